//! The checks, generic over the optimizer.

use burn::module::{Module, ParamGroup};
use burn::optim::{AdamConfig, GradientsAccumulator, GradientsParams, OptimizerRecord};
use burn::tensor::Device;

use crate::devices::{self, Named};
use crate::functions::{Function, Quadratic, Rosenbrock};
use crate::network::{Network, given_gradients, ids, state_of, values};
use crate::subject::{Contract, Goal, Subject};

/// A learning rate that is safe for the network.
const LR: f64 = 0.02;

/// Where a check runs.
pub struct Place<'a> {
    /// With autodiff.
    pub device: Device,
    pub named: &'a Named,
    /// All chosen devices.
    pub all: &'a [Named],
}

impl Place<'_> {
    /// Rounding between two runs of the same work: none on the host.
    fn rounding(&self) -> f32 {
        if self.named.is_host() { 0.0 } else { 1e-6 }
    }
}

/// Runs a check on every chosen device.
pub fn everywhere<C: Contract>(subject: &Subject<C>, check: fn(&Subject<C>, &Place)) {
    // The order of a sum may depend on the number of threads. Another test may have been first.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
    let all = devices::chosen();
    for named in &all {
        println!("on {}", named.name);
        check(subject, &Place { device: named.device.clone().autodiff(), named, all: &all });
    }
}

fn assert_close(what: &str, expected: &[f32], found: &[f32], tolerance: f32) {
    assert_eq!(expected.len(), found.len(), "{what}: number of values");
    for (index, (a, b)) in expected.iter().zip(found).enumerate() {
        let close = (a - b).abs() <= tolerance * (1.0 + a.abs());
        assert!(close, "{what}: value {index}: expected {a}, found {b}");
    }
}

/// A network with its optimizer.
#[derive(Clone)]
struct Training<C> {
    network: Network,
    optimizer: C,
}

impl<C: Contract> Training<C> {
    fn steps(mut self, steps: std::ops::Range<usize>) -> Self {
        for step in steps {
            let gradients = self.network.gradients(step);
            self.network = self.optimizer.step(LR, self.network, gradients);
        }
        self
    }

    fn values(&self) -> Vec<f32> {
        values(&self.network)
    }

    /// What it becomes by being written to bytes and read into a fresh optimizer.
    fn reloaded(&self, subject: &Subject<C>) -> Self {
        let bytes = self.optimizer.to_record().into_bytes().expect("a record can be written");
        let record = OptimizerRecord::from_bytes(bytes).expect("a record can be read");
        Self { network: self.network.clone(), optimizer: (subject.init)().load_record(record) }
    }
}

impl<C: Contract> Subject<C> {
    fn train(&self, place: &Place) -> Training<C> {
        Training { network: Network::new(&place.device), optimizer: (self.init)() }
    }
}

fn minimize<F: Function, C: Contract>(
    subject: &Subject<C>,
    place: &Place,
    goal: Goal,
    steps: usize,
) {
    let mut function = F::init(&place.device);
    let mut optimizer = (subject.init)();
    for _ in 0..steps {
        let gradients = GradientsParams::from_grads(function.value().backward(), &function);
        function = optimizer.step(goal.lr, function, gradients);
    }
    let (distance, Goal { lr, tolerance }) = (function.distance(), goal);
    println!("{distance:.1e} from the minimum after {steps} steps at {lr}");
    assert!(distance <= tolerance, "{distance} from the minimum, expected at most {tolerance}");
}

pub fn minimizes_a_quadratic<C: Contract>(subject: &Subject<C>, place: &Place) {
    minimize::<Quadratic, C>(subject, place, subject.expect.quadratic, 300);
}

/// On the host only: thousands of steps are too many for a software GPU.
pub fn minimizes_rosenbrock<C: Contract>(subject: &Subject<C>, place: &Place) {
    if place.named.is_host() {
        minimize::<Rosenbrock, C>(subject, place, subject.expect.rosenbrock, 8000);
    }
}

pub fn leaves_parameters_without_gradient_and_their_state_alone<C: Contract>(
    subject: &Subject<C>,
    place: &Place,
) {
    for warm_up in [0, 2] {
        let Training { network, mut optimizer } = subject.train(place).steps(0..warm_up);
        let of_second = ids(&network.second);
        let state = state_of(optimizer.to_record(), &of_second);
        assert_eq!(state.is_empty(), warm_up == 0, "state of the second layer: {:?}", state.keys());
        let (first, second) = (values(&network.first), values(&network.second));

        let gradients = network.gradients_of_first(warm_up);
        let network = optimizer.step(LR, network, gradients);
        assert_eq!(values(&network.second), second, "parameters without a gradient moved");
        assert_ne!(values(&network.first), first, "parameters with a gradient did not move");
        let after = state_of(optimizer.to_record(), &of_second);
        assert!(after == state, "the state of parameters without a gradient changed");

        let before = values(&network);
        let network = optimizer.step(LR, network, GradientsParams::new());
        assert_eq!(values(&network), before, "parameters moved without any gradient");
        let trained = Training { network, optimizer }.steps(3..5);
        assert!(trained.values().iter().all(|value| value.is_finite()));
    }
}

pub fn survives_gradients_of_zero<C: Contract>(subject: &Subject<C>, place: &Place) {
    let Training { mut network, mut optimizer } = subject.train(place);
    let start = values(&network);
    for step in 0..3 {
        let gradients = given_gradients(&network, step, 0.0);
        network = optimizer.step(LR, network, gradients);
        let now = values(&network);
        assert!(now.iter().all(|value| value.is_finite()), "not finite: {now:?}");
        if subject.expect.rests_at_zero_gradient {
            assert_eq!(now, start, "gradients of zero moved the parameters");
        }
    }
    let trained = Training { network, optimizer }.steps(0..3);
    assert!(trained.values().iter().all(|value| value.is_finite()), "not finite afterwards");
    assert_ne!(trained.values(), start, "does not move any more after gradients of zero");
}

pub fn takes_accumulated_gradients<C: Contract>(subject: &Subject<C>, place: &Place) {
    let whole = subject.train(place).steps(0..3).values();
    let Training { mut network, mut optimizer } = subject.train(place);
    for step in 0..3 {
        let mut accumulator = GradientsAccumulator::new();
        for half in [0..4, 4..8] {
            let gradients = network.gradients_of(step, half);
            accumulator.accumulate(&network, gradients);
        }
        network = optimizer.step(LR, network, accumulator.grads());
    }
    assert_close("two halves", &whole, &values(&network), 1e-5);
}

pub fn resumes_exactly_from_the_bytes_of_its_record<C: Contract>(
    subject: &Subject<C>,
    place: &Place,
) {
    let half = subject.train(place).steps(0..3);
    let resumed = half.reloaded(subject).steps(3..6).values();
    let whole = half.steps(3..6).values();
    assert_close("resumed", &whole, &resumed, place.rounding());
}

/// Beside Adam on the other layer, with gradients that do not depend on the parameters.
pub fn works_the_same_in_a_group_as_alone<C: Contract>(subject: &Subject<C>, place: &Place) {
    let start = Network::new(&place.device);
    let base = || AdamConfig::new().init();
    let mut grouped = (subject.grouped)(base(), ParamGroup::from_ids(ids(&start.first)));
    let (mut alone, mut other) = ((subject.init)(), base());
    let (mut both, mut first, mut second) =
        (start.clone(), start.first.clone(), start.second.clone());
    for step in 0..4 {
        let gradients = || given_gradients(&start, step, 1.0);
        both = grouped.step(LR, both, gradients());
        first = alone.step(LR, first, only(gradients(), &start.first));
        second = other.step(LR, second, only(gradients(), &start.second));
    }
    assert_close("in the group", &values(&first), &values(&both.first), place.rounding());
    assert_close("beside it", &values(&second), &values(&both.second), place.rounding());
}

/// The gradients of a part of a module.
fn only(mut gradients: GradientsParams, part: &burn::nn::Linear) -> GradientsParams {
    let mut found = GradientsParams::new();
    if let Some(gradient) = gradients.remove::<2>(part.weight.id) {
        found.register(part.weight.id, gradient);
    }
    if let Some(bias) = &part.bias
        && let Some(gradient) = gradients.remove::<1>(bias.id)
    {
        found.register(bias.id, gradient);
    }
    found
}

pub fn moves_between_devices<C: Contract>(subject: &Subject<C>, place: &Place) {
    let half = subject.train(place).steps(0..3);
    let stayed = half.clone().steps(3..6).values();
    for other in place.all {
        let device = other.device.clone().autodiff();
        let move_to = |half: &Training<C>| Training {
            network: half.network.clone().fork(&device),
            optimizer: half.optimizer.clone(),
        };
        // The state follows the gradients: from memory, and from a record.
        for moved in [move_to(&half), move_to(&half.reloaded(subject))] {
            let what = format!("moved to {}", other.name);
            let moved = moved.steps(3..6);
            let devices = moved.network.devices();
            assert!(devices.iter().all(|found| *found == device), "{what}: {devices:?}");
            let tolerance = if other.name == place.named.name { place.rounding() } else { 1e-4 };
            assert_close(&what, &stayed, &moved.values(), tolerance);
        }
    }
}

pub fn has_independent_clones<C: Contract>(subject: &Subject<C>, place: &Place) {
    for warm_up in [0, 2] {
        // A copy of the network keeps the ids, so that an optimizer of the same start is equal.
        let start = subject.train(place);
        let fresh = || Training { network: start.network.clone(), optimizer: (subject.init)() };
        let undisturbed = fresh().steps(0..warm_up + 3).values();
        let original = fresh().steps(0..warm_up);
        if warm_up == 0 && !subject.expect.fresh_clones_are_independent {
            continue;
        }
        let continued = original.clone().steps(warm_up..warm_up + 3).values();
        original.clone().steps(10..14);
        let original = original.steps(warm_up..warm_up + 3).values();
        let rounding = place.rounding();
        assert_close("original after its clones", &undisturbed, &original, rounding);
        assert_close("clone", &undisturbed, &continued, rounding);
    }
}

pub fn stands_still_at_a_learning_rate_of_zero<C: Contract>(subject: &Subject<C>, place: &Place) {
    let Training { network, mut optimizer } = subject.train(place).steps(0..2);
    let before = values(&network);
    let gradients = network.gradients(2);
    let network = optimizer.step(0.0, network, gradients);
    let after = values(&network);
    assert!(after.iter().all(|value| value.is_finite()), "not finite: {after:?}");
    assert_eq!(after, before, "a learning rate of zero moved the parameters");
}

pub fn repeats_itself<C: Contract>(subject: &Subject<C>, place: &Place) {
    let start = subject.train(place);
    let run = || {
        let start = Training { network: start.network.clone(), optimizer: (subject.init)() };
        start.steps(0..5).values()
    };
    let (first, second) = (run(), run());
    assert_close("second run", &first, &second, place.rounding());
    assert_ne!(first, start.values(), "five steps move the parameters");
}
