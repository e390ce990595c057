//! A training step of a residual flow in the plane, with exact and with estimated log-determinants.

use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use firebrick::models::generative::residual_flow::{LogDet, VectorFlow, VectorFlowConfig};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::runner::{Machine, Row};

const BLOCKS: usize = 8;
const WIDTH: usize = 64;
const BATCH: usize = 256;
/// Terms of the estimate, on both sides.
const TERMS: usize = 4;

/// Multiply-adds of a step: the layers and `products` with their transposes, forward and backward of all that
/// is in the graph, and the exponential of one square matrix per block.
fn operations(products: usize) -> f64 {
    let layers = (BATCH * (2 * 2 * WIDTH + WIDTH * WIDTH)) as f64;
    let exponential = 5.0 * (WIDTH as f64).powi(3);
    BLOCKS as f64 * 3.0 * ((1 + products) as f64 * layers + exponential)
}

pub fn rows(machine: &Machine) -> Vec<Row> {
    let row = |form: &str, case: &str, against: &str, method, products| Row {
        name: format!("residual flow in the plane, training step, {form}"),
        pytorch: format!("{case} {BLOCKS} {WIDTH} {BATCH} {TERMS}"),
        against: against.into(),
        floor: machine.floor(0.0, 2.0 * operations(products)),
        ours: Box::new(step(method)),
    };
    vec![
        row(
            "exact log-determinant",
            "flow_exact",
            "two double backward passes per block, torch.matrix_exp",
            LogDet::Exact,
            2,
        ),
        row(
            "Neumann gradient, 4 terms",
            "flow_neumann",
            "vector-Jacobian products by autograd as published, torch.matrix_exp",
            LogDet::truncated(TERMS),
            2,
        ),
    ]
}

fn step(method: LogDet) -> impl FnMut() {
    let device = Device::flex().autodiff();
    let values: Vec<f32> = (0..2 * BATCH).map(|i| 3.0 * (i as f32 * 0.7311).sin()).collect();
    let points: Tensor<2> = Tensor::from_data(TensorData::new(values, [BATCH, 2]), &device);
    let config = VectorFlowConfig::new(2).with_blocks(BLOCKS).with_hidden(vec![WIDTH; 2]);
    let flow = config.with_seed(Some(0)).init(&device).fitted(points.clone());
    let mut flow: Option<VectorFlow> = Some(flow);
    let mut optimizer: ModuleOptimizer = AdamConfig::new().with_beta_2(0.99).init();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    move || {
        let model = flow.take().expect("put back by every step");
        let loss = model.log_density(points.clone(), &method, &mut rng).mean().neg();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        flow = Some(optimizer.step(1e-3, model, gradients));
    }
}
