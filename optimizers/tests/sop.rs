//! SOP: invariants, closed forms, misuse and files.
#![recursion_limit = "256"]

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use firebrick_optimizers::OptimizerError;
use firebrick_optimizers::sop::{LabelFingerprint, PendingUpdates, Sop, SopConfig, SopRouting};
use proptest::prelude::*;

const SAMPLES: usize = 7;
const CLASSES: usize = 4;

fn device() -> Device {
    Device::flex().autodiff()
}

fn float(values: &[f64], shape: [usize; 2]) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (&device(), DType::F64))
}

fn integers(values: &[usize]) -> Tensor<1, Int> {
    let values: Vec<i64> = values.iter().map(|&value| value as i64).collect();
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), &device())
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn scalar(tensor: Tensor<1>) -> f64 {
    tensor.inner().into_scalar::<f64>()
}

fn config() -> SopConfig {
    SopConfig::new(LabelFingerprint::new(SAMPLES, CLASSES, 0)).with_validate(true)
}

/// A batch with everything that the loss needs, in 64 bits.
#[derive(Clone, Debug)]
struct Problem {
    u: Vec<f64>,
    v: Vec<f64>,
    logits: Vec<f64>,
    indices: Vec<usize>,
    labels: Vec<usize>,
}

impl Problem {
    fn state(&self, config: &SopConfig) -> Sop {
        config.init_with(float(&self.u, [SAMPLES, 1]), float(&self.v, [SAMPLES, CLASSES]))
    }

    fn logits(&self) -> Tensor<2> {
        float(&self.logits, [self.logits.len() / CLASSES, CLASSES])
    }

    fn forward(&self, config: &SopConfig) -> firebrick_optimizers::sop::SopOutput {
        let sop = self.state(config);
        sop.forward(integers(&self.indices), self.logits().require_grad(), integers(&self.labels))
    }

    fn value(&self, config: &SopConfig) -> f64 {
        scalar(self.forward(config).loss)
    }
}

/// Problems with the given number of views, away from the corners of the clamps at 1.
fn problem(views: usize) -> impl Strategy<Value = Problem> {
    let rows = 1..=5usize;
    rows.prop_flat_map(move |rows| {
        let numbers = |len, range: std::ops::Range<f64>| proptest::collection::vec(range, len);
        (
            numbers(SAMPLES, -0.9..0.9),
            numbers(SAMPLES * CLASSES, -0.9..0.9),
            numbers(views * rows * CLASSES, -3.0..3.0),
            proptest::collection::vec(0..SAMPLES, rows),
            proptest::collection::vec(0..CLASSES, rows),
        )
            .prop_map(|(u, v, logits, indices, labels)| Problem {
                u,
                v,
                logits,
                indices,
                labels,
            })
    })
}

fn close(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn closed_form_and_autodiff_agree_and_repeated_indices_add_up(
        problem in problem(2), paper: bool, plus: bool
    ) {
        let routing = if paper { SopRouting::Paper } else { SopRouting::Joint };
        let config = config().with_routing(routing).with_lr_u(1.0).with_lr_v(1.0);
        let config = config.with_project(Some(false));
        let config = if plus { config.plus() } else { config };
        let (indices, labels) = (integers(&problem.indices), integers(&problem.labels));

        let sop = problem.state(&config);
        let logits = problem.logits().require_grad();
        let output = sop.forward(indices.clone(), logits.clone(), labels.clone());
        let gradient = host(logits.grad(&output.loss.backward()).expect("tracked"));
        let closed = sop.clone().apply(output.update);

        let logits = problem.logits().require_grad();
        let (loss, _) = sop.forward_autodiff(indices, logits.clone(), labels);
        let mut gradients = loss.backward();
        prop_assert!((scalar(loss) - scalar(output.loss)).abs() < 1e-12);
        let recorded = host(logits.grad(&gradients).expect("tracked"));
        prop_assert!(close(&gradient, &recorded, 1e-12), "{:?} {:?}", gradient, recorded);
        let mut gradients = GradientsParams::from_module(&mut gradients, &sop);
        let recorded = sop.apply_gradients(&mut gradients);
        prop_assert!(close(&host(closed.u.val()), &host(recorded.u.val()), 1e-12));
        prop_assert!(close(&host(closed.v.val()), &host(recorded.v.val()), 1e-12));
    }

    #[test]
    fn gradients_agree_with_central_differences(problem in problem(1)) {
        // Logits far enough apart that a small change moves no prediction and no clamp.
        let config = config().with_balance(0.1).with_lr_u(1.0);
        let output = problem.forward(&config);
        let step = 1e-6;
        let row = problem.indices[0];
        let moved = |change: f64| {
            let mut moved = problem.clone();
            moved.u[row] += change;
            moved.value(&config)
        };
        let expected = (moved(step) - moved(-step)) / (2.0 * step);
        let rows = host(output.update.u);
        let found: f64 = (0..rows.len()).filter(|&i| problem.indices[i] == row).map(|i| rows[i]).sum();
        // In the routing Joint the whole gradient of u is that of the loss.
        prop_assert!((expected - found).abs() < 1e-6, "{expected} {found}");
    }

    #[test]
    fn signs_of_the_state_do_not_matter(problem in problem(1)) {
        let mut flipped = problem.clone();
        flipped.u.iter_mut().chain(&mut flipped.v).for_each(|value| *value = -*value);
        let (a, b) = (problem.forward(&config()), flipped.forward(&config()));
        prop_assert_eq!(scalar(a.loss), scalar(b.loss));
        let negated: Vec<f64> = host(b.update.u).iter().map(|value| -value).collect();
        prop_assert_eq!(host(a.update.u), negated);
    }

    #[test]
    fn permuting_the_classes_permutes_everything(problem in problem(1)) {
        let to = |class: usize| (class + 1) % CLASSES;
        let permute = |values: &[f64]| {
            let mut permuted = vec![0.0; values.len()];
            for (i, value) in values.iter().enumerate() {
                permuted[i / CLASSES * CLASSES + to(i % CLASSES)] = *value;
            }
            permuted
        };
        let permuted = Problem {
            v: permute(&problem.v),
            logits: permute(&problem.logits),
            labels: problem.labels.iter().map(|&label| to(label)).collect(),
            ..problem.clone()
        };
        let config = config().with_balance(0.1);
        let (a, b) = (problem.forward(&config), permuted.forward(&config));
        prop_assert!((scalar(a.loss) - scalar(b.loss)).abs() < 1e-12);
        prop_assert!(close(&permute(&host(a.update.v)), &host(b.update.v), 1e-12));
        prop_assert!(close(&permute(&host(a.noise_estimate)), &host(b.noise_estimate), 1e-12));
    }

    #[test]
    fn the_noise_estimate_is_positive_at_the_given_class_at_most(problem in problem(1)) {
        let estimate = host(problem.forward(&config()).noise_estimate);
        for (i, value) in estimate.iter().enumerate() {
            if i % CLASSES != problem.labels[i / CLASSES] {
                prop_assert!(*value <= 0.0);
            }
        }
    }

    #[test]
    fn only_the_rows_of_the_batch_change(problem in problem(1)) {
        let config = config();
        let sop = problem.state(&config).apply(problem.forward(&config).update);
        let (u, v) = (host(sop.u.val()), host(sop.v.val()));
        for row in (0..SAMPLES).filter(|row| !problem.indices.contains(row)) {
            prop_assert_eq!(u[row], problem.u[row]);
            let columns = row * CLASSES..(row + 1) * CLASSES;
            prop_assert_eq!(&v[columns.clone()], &problem.v[columns]);
        }
    }
}

fn example() -> Problem {
    Problem {
        u: vec![1e-9; SAMPLES],
        v: vec![1e-9; SAMPLES * CLASSES],
        logits: vec![2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 0.0],
        indices: vec![2, 4],
        labels: vec![0, 1],
    }
}

#[test]
fn at_the_start_the_loss_is_cross_entropy_plus_twice_the_error_rate() {
    let output = example().forward(&config());
    let softmax = |own: f64, others: [f64; 3]| {
        own.exp() / (own.exp() + others.iter().map(|z| z.exp()).sum::<f64>())
    };
    let first = -softmax(2.0, [0.0; 3]).ln();
    let second = -softmax(0.0, [0.0, 5.0, 0.0]).ln();
    assert!((scalar(output.terms.cross_entropy) - (first + second) / 2.0).abs() < 1e-12);
    // One of two samples is predicted wrong.
    assert!((scalar(output.terms.squared_error) - 1.0).abs() < 1e-12);
}

#[test]
fn a_wrong_label_that_is_fully_explained_costs_no_squared_error() {
    let mut problem = example();
    problem.u[4] = 1.0;
    problem.v[4 * CLASSES + 2] = -1.0;
    problem.indices = vec![4];
    problem.labels = vec![1];
    problem.logits = problem.logits[4..].to_vec();
    let output = problem.forward(&config());
    // The entries that are not in use start at 1e-9.
    assert!(scalar(output.terms.squared_error) < 1e-30);
    assert!(close(&host(output.noise_estimate), &[0.0, 1.0, -1.0, 0.0], 1e-15));
    let sop = problem.state(&config());
    assert_eq!(sop.scores()[4], 1.0);
    assert_eq!(sop.suggested_labels(&[0, 0, 0, 0, 1, 0, 3]), [0, 0, 0, 0, 2, 0, 3]);
}

#[test]
fn an_entry_above_one_is_frozen_without_projection_and_comes_back_with_it() {
    let mut problem = example();
    problem.u[4] = 1.5;
    let joint = problem.state(&config()).apply(problem.forward(&config()).update);
    assert_eq!(host(joint.u.val())[4], 1.5);
    let config = config().with_project(Some(true));
    let projected = problem.state(&config).apply(problem.forward(&config).update);
    assert_eq!(host(projected.u.val())[4], 1.0);
}

#[test]
fn per_sample_steps_do_not_depend_on_the_batch_size() {
    let config = config().with_per_sample(true);
    let problem = example();
    let both = problem.state(&config).apply(problem.forward(&config).update);
    let alone = Problem {
        indices: vec![4],
        labels: vec![1],
        logits: problem.logits[4..].to_vec(),
        ..problem.clone()
    };
    let alone = alone.state(&config).apply(alone.forward(&config).update);
    assert!((host(both.u.val())[4] / host(alone.u.val())[4] - 1.0).abs() < 1e-12);
}

#[test]
fn soft_labels_give_the_hard_loss_at_the_corners_and_their_closed_form_agrees() {
    let problem = example();
    let sop = problem.state(&config());
    let hard = problem.value(&config());
    let given = float(&[1., 0., 0., 0., 0., 1., 0., 0.], [2, CLASSES]);
    let soft = sop.forward_soft(integers(&problem.indices), problem.logits(), given);
    assert!((scalar(soft.loss) - hard).abs() < 1e-12);

    let mut problem = problem;
    problem.u = vec![0.4; SAMPLES];
    let given = float(&[0.7, 0.3, 0., 0., 0.1, 0.6, 0.3, 0.], [2, CLASSES]);
    let value = |u: f64| {
        let mut moved = problem.clone();
        moved.u[2] = u;
        let sop = moved.state(&config());
        let output = sop.forward_soft(integers(&moved.indices), moved.logits(), given.clone());
        (scalar(output.loss), host(output.update.u)[0])
    };
    let expected = (value(0.4 + 1e-6).0 - value(0.4 - 1e-6).0) / 2e-6;
    assert!((expected - value(0.4).1).abs() < 1e-6);
}

#[test]
fn half_precision_logits_are_computed_in_the_precision_of_the_state() {
    let problem = example();
    let config = config();
    let u = float(&problem.u, [SAMPLES, 1]).cast(DType::F32);
    let v = float(&problem.v, [SAMPLES, CLASSES]).cast(DType::F32);
    let sop = config.init_with(u.detach(), v.detach());
    let logits = problem.logits().cast(DType::F16).detach().require_grad();
    let output = sop.forward(integers(&problem.indices), logits.clone(), integers(&problem.labels));
    assert_eq!(output.loss.dtype(), DType::F32);
    assert!((scalar(output.loss.clone()) - problem.value(&config)).abs() < 1e-2);
    assert!(logits.grad(&output.loss.backward()).is_some());
}

#[test]
fn non_contiguous_logits_are_read_right() {
    let problem = example();
    let logits = problem.logits().transpose().reshape([CLASSES, 2]);
    let columns: Vec<f64> = host(logits);
    let strided = float(&columns, [CLASSES, 2]).transpose();
    let sop = problem.state(&config());
    let output = sop.forward(integers(&problem.indices), strided, integers(&problem.labels));
    assert!((scalar(output.loss) - problem.value(&config())).abs() < 1e-12);
}

#[test]
fn updates_waiting_in_the_queue_are_applied_in_order_and_once() {
    let problem = example();
    let config = config();
    let pending = PendingUpdates::default();
    pending.push(problem.forward(&config).update);
    let queued = problem.state(&config).apply_pending(&pending);
    let direct = problem.state(&config).apply(problem.forward(&config).update);
    assert_eq!(host(queued.u.val()), host(direct.u.val()));
    assert!(pending.take().is_empty());
}

#[test]
fn a_file_brings_the_state_back_and_refuses_other_labels() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("noise.bpk");
    let labels = [0, 1, 2, 3, 0, 1, 2];
    let config = SopConfig::new(LabelFingerprint::of(&labels, CLASSES));
    let device = Device::flex();
    let sop = config.clone().with_seed(1).init(&device);
    sop.save(&path).expect("written");

    let fresh = config.clone().with_seed(2).init(&device);
    let loaded = fresh.load(&path).expect("read");
    assert_eq!(host(loaded.v.val()), host(sop.v.val()));
    loaded.verify().expect("the same labels");

    let others = LabelFingerprint::of(&[0, 1, 2, 3, 0, 2, 1], CLASSES);
    let other = SopConfig::new(others).init(&device);
    let error = other.load(&path).expect_err("other labels");
    assert!(matches!(error, OptimizerError::WrongLabels { .. }), "{error}");
    assert!(error.to_string().contains("noise.bpk"), "{error}");
    // Through Burn's own record the check is a call of its own.
    let loaded = other.load_record(sop.clone().into_record());
    assert!(matches!(loaded.verify(), Err(OptimizerError::WrongLabels { .. })));
}

#[test]
fn files_that_are_missing_broken_or_of_another_size_are_errors_that_name_them() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let device = Device::flex();
    let sop = config().init(&device);
    let missing = sop.load(folder.path().join("none.bpk")).expect_err("missing");
    assert!(matches!(missing, OptimizerError::Io { .. }), "{missing}");

    let path = folder.path().join("broken.bpk");
    sop.save(&path).expect("written");
    let bytes = std::fs::read(&path).expect("read");
    for length in [0, 3, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).expect("written");
        let error = sop.load(&path).expect_err("truncated");
        assert!(error.to_string().contains("broken.bpk"), "{error}");
    }
    std::fs::write(&path, &bytes).expect("written");
    let larger = SopConfig::new(LabelFingerprint::new(SAMPLES + 1, CLASSES, 0)).init(&device);
    let error = larger.load(&path).expect_err("another size");
    assert!(matches!(error, OptimizerError::Record { .. }), "{error}");
    assert!(sop.save(folder.path().join("no/such/folder.bpk")).is_err());
}

#[test]
fn prints_as_one_short_line() {
    let text = config().init(&Device::flex()).to_string();
    assert!(text.contains("samples: 7") && text.contains("classes: 4"), "{text}");
    assert!(text.contains("Joint"), "{text}");
}

macro_rules! refuses {
    ($($name:ident: $message:literal, $config:expr, $change:expr;)*) => {$(
        #[test]
        #[should_panic(expected = $message)]
        fn $name() {
            let mut problem = example();
            let change: fn(&mut Problem) = $change;
            change(&mut problem);
            problem.forward(&$config);
        }
    )*};
}

refuses! {
    refuses_an_index_out_of_range: "indices must be in 0..7, got 7 at position 1",
        config(), |p| p.indices[1] = 7;
    refuses_a_label_out_of_range: "labels must be in 0..4, got 4 at position 0",
        config(), |p| p.labels[0] = 4;
    refuses_logits_that_are_not_numbers: "logits must be finite",
        config(), |p| p.logits[0] = f64::NAN;
    refuses_another_number_of_labels: "labels must give the shape [2, 4], got [1, 4]",
        config(), |p| { p.labels.pop(); };
    refuses_another_number_of_logits: "one or two rows per label, 2 or 4, got 3",
        config(), |p| p.logits.extend([0.0; 4]);
    refuses_consistency_with_one_view: "consistency needs logits of two views, 4 rows, got 2",
        config().plus(), |_| ();
    refuses_an_empty_batch: "the batch must not be empty",
        config(), |p| { p.indices.clear(); p.labels.clear(); p.logits.clear(); };
}
