//! 1-Lipschitz networks: an attack, which needs gradients of the images alone, and certificates.

use burn::module::Module;
use burn::tensor::Device;
use firebrick::certificates::{Certifier, L2AttackConfig};
use firebrick::models::vision::orthogonal::{Layers, OrthogonalCnnConfig};

use crate::rows::{integers, wave};
use crate::runner::{Machine, Row};

const BATCH: usize = 64;
const STEPS: usize = 10;
/// Samples and classes whose radii are computed.
const CERTIFIED: [usize; 2] = [10_000, 100];

pub fn rows(machine: &Machine) -> Vec<Row> {
    vec![attack(machine), certificates(machine)]
}

/// Multiply-adds of the digits' network, forward.
fn forward(batch: f64) -> f64 {
    batch * (64. * 16. * 9. + 16. * 32. * 16. * 16. + 16. * 32. * 32. * 9. + 128. * 64. + 640.)
}

/// Projected gradient descent on the digits' orthogonal network, whose kernels are composed once.
fn attack(machine: &Machine) -> Row {
    let device = Device::flex();
    let network = OrthogonalCnnConfig::new(10);
    let network = network.init_with(&mut Layers::sc_fac(&device).with_seed(0)).valid();
    let images = wave([BATCH, 1, 8, 8], &device);
    let labels = integers((0..BATCH).map(|index| index % 10), &device);
    let attack = L2AttackConfig::new().with_steps(STEPS).with_random_start(false).init();
    // Backward to the images costs as much as forward; the last point is only looked at.
    let operations = 2.0 * forward(BATCH as f64) * (2.0 * STEPS as f64 + 1.0);
    Row {
        name: format!("l2 attack, {STEPS} steps, digits' orthogonal CNN, B={BATCH}"),
        pytorch: format!("l2_attack {BATCH} {STEPS}"),
        against: "the same network with circular convolutions, the same steps".into(),
        floor: machine.floor(0.0, operations),
        ours: Box::new(move || {
            let moved = attack.perturb(&network, images.clone(), labels.clone());
            std::hint::black_box(moved.into_data());
        }),
    }
}

fn certificates(machine: &Machine) -> Row {
    let [samples, classes] = CERTIFIED;
    let logits = wave([samples, classes], &Device::flex());
    let certifier = Certifier::new(1.0).expect("1 is positive");
    Row {
        name: format!("certified radii, N={samples} K={classes}"),
        pytorch: format!("certified_radii {samples} {classes}"),
        against: "`torch.topk`".into(),
        floor: machine.floor(4.0 * (samples * classes) as f64, 0.0),
        ours: Box::new(move || {
            std::hint::black_box(certifier.radii(logits.clone()).into_data());
        }),
    }
}
