//! Gradient descent with momentum on the patch network, in the reference setting.

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use firebrick::datasets::SignalPatchesConfig;
use firebrick::models::patch_network::PatchNetworkConfig;
use firebrick::momentum::{DescentConfig, MomentumStudy, PatchFilters};
use firebrick::optimizers::averaged_momentum::AveragedMomentumConfig;

use crate::runner::{Machine, Row};

const STEPS: usize = 100;
/// Multiply-adds with 100 examples of 2 patches of 100 numbers and 5 filters, forward and backward.
const OPERATIONS: f64 = 2.0 * 2.0 * (100 * 2 * 100 * 5) as f64;

pub fn rows(machine: &Machine) -> Vec<Row> {
    let floor = machine.floor(0.0, STEPS as f64 * OPERATIONS);
    let row = |form: &str, pytorch: &str, against: &str, ours: Box<dyn FnMut()>| Row {
        name: format!("GD+M on the patch network, {STEPS} steps, {form}"),
        pytorch: format!("{pytorch} {STEPS}"),
        against: against.into(),
        floor,
        ours,
    };
    let closed = || Box::new(closed_form());
    vec![
        row("closed form, f64", "gdm_closed", "closed form, f64", closed()),
        row("closed form, f64", "gdm_autograd", "autograd, f32", closed()),
        row("autodiff, f32", "gdm_autograd", "autograd, f32", Box::new(tensors())),
    ]
}

fn study() -> MomentumStudy {
    // One test example: the table is about training.
    let data = SignalPatchesConfig::default().with_num_test(1).generate(0);
    let (train, test) = data.expect("the defaults are valid");
    let start = PatchFilters::init(&PatchNetworkConfig::new(100, 5));
    MomentumStudy::new(train, test, start).expect("filters as long as patches")
}

fn closed_form() -> impl FnMut() {
    let study = study();
    let config = DescentConfig::new(0.5)
        .with_momentum(0.99)
        .with_tolerance(0.0)
        .with_max_steps(STEPS)
        .with_every(STEPS);
    move || {
        std::hint::black_box(study.run(&config).expect("valid settings"));
    }
}

fn tensors() -> impl FnMut() {
    let (study, device) = (study(), Device::flex().autodiff());
    let train = study.train().clone();
    let (inputs, signs) = (train.inputs().to_vec(), train.signs());
    let inputs: Tensor<3> = Tensor::from_data(TensorData::new(inputs, [100, 2, 100]), &device);
    let signs: Tensor<1> = Tensor::from_data(TensorData::new(signs, [100]), &device);
    move || {
        let mut network = study.start().to_network(&device);
        let mut optimizer: ModuleOptimizer =
            AveragedMomentumConfig::new().with_momentum(0.99).init();
        for _ in 0..STEPS {
            let loss = network.loss(inputs.clone(), signs.clone(), 0.0);
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(0.5, network, gradients);
        }
        std::hint::black_box(network);
    }
}
