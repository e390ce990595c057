//! The sparse noise state: equal to the dense one, small, and careful with its files.
#![recursion_limit = "256"]

use burn::tensor::{Device, Int, Tensor, TensorData};
use firebrick_optimizers::OptimizerError;
use firebrick_optimizers::sop::{LabelFingerprint, Sop, SopConfig, SopRouting, SparseSop};
use proptest::prelude::*;

const SAMPLES: usize = 9;
const CLASSES: usize = 5;

fn config() -> SopConfig {
    let labels: Vec<usize> = (0..SAMPLES).map(|index| index % CLASSES).collect();
    SopConfig::new(LabelFingerprint::of(&labels, CLASSES)).with_validate(true).with_seed(3)
}

fn integers(values: &[usize]) -> Tensor<1, Int> {
    let values: Vec<i64> = values.iter().map(|&value| value as i64).collect();
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), &Device::flex().autodiff())
}

fn logits(values: &[f32]) -> Tensor<2> {
    let rows = values.len() / CLASSES;
    let data = TensorData::new(values.to_vec(), [rows, CLASSES]);
    Tensor::from_data(data, &Device::flex().autodiff()).require_grad()
}

fn host(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The same batch for both states; gives the loss and the gradient of the logits of both.
fn step(sparse: &mut SparseSop, dense: Sop, indices: &[usize], values: &[f32]) -> Sop {
    let labels: Vec<usize> = indices.iter().map(|index| index % CLASSES).collect();
    let input = logits(values);
    let output = sparse.forward(integers(indices), input.clone(), integers(&labels));
    let other_input = logits(values);
    let other = dense.forward(integers(indices), other_input.clone(), integers(&labels));
    let loss = |loss: &Tensor<1>| loss.clone().inner().into_scalar::<f32>();
    assert_eq!(loss(&output.loss), loss(&other.loss));
    let gradient = input.grad(&output.loss.backward()).expect("tracked");
    assert_eq!(host(gradient), host(other_input.grad(&other.loss.backward()).expect("tracked")));
    sparse.apply(output.update);
    dense.apply(other.update)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn equals_the_dense_state_bit_for_bit(
        batches in prop::collection::vec(
            (prop::collection::vec(0..SAMPLES, 4), prop::collection::vec(-4.0..4.0f32, 8 * CLASSES)),
            1..6
        ),
        std in prop::sample::select(vec![1e-8, 1e-2, 0.4]),
        paper: bool,
        plus: bool,
    ) {
        let routing = if paper { SopRouting::Paper } else { SopRouting::Joint };
        let config = config().with_routing(routing).with_init_std(std);
        let config = if plus { config.plus() } else { config };
        let mut sparse = config.init_sparse();
        let mut dense = sparse.dense(&Device::flex().autodiff());
        for (indices, values) in &batches {
            dense = step(&mut sparse, dense, indices, values);
        }
        let again = sparse.dense(&Device::flex());
        prop_assert_eq!(host(again.u.val()), host(dense.u.val()));
        prop_assert_eq!(host(again.v.val()), host(dense.v.val()));
        prop_assert_eq!(sparse.scores(), dense.scores());
        let given: Vec<usize> = (0..SAMPLES).map(|index| (index + 1) % CLASSES).collect();
        prop_assert_eq!(sparse.suggested_labels(&given), dense.suggested_labels(&given));
        let mut seen: Vec<usize> = batches.into_iter().flat_map(|(indices, _)| indices).collect();
        seen.sort_unstable();
        seen.dedup();
        prop_assert_eq!(sparse.rows(), seen.len());
    }
}

/// A state in which sample 4 was predicted as class 2 again and again.
fn trained() -> SparseSop {
    let mut sop = config().init_sparse();
    for _ in 0..50 {
        let mut values = [0.0; 2 * CLASSES];
        values[2] = 4.0;
        values[CLASSES] = 4.0;
        let output = sop.forward(integers(&[4, 0]), logits(&values), integers(&[4, 0]));
        sop.apply(output.update);
    }
    sop
}

#[test]
fn keeps_only_entries_that_the_network_predicted_against_the_label() {
    let sop = trained();
    assert_eq!((sop.rows(), sop.entries()), (2, 1));
    assert!(sop.bytes() < 200, "{}", sop.bytes());
    assert!(sop.scores()[4] > sop.scores()[0]);
}

#[test]
fn a_file_brings_the_state_back_and_training_goes_on_as_without_it() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("noise.sparse");
    let sop = trained();
    sop.save(&path).expect("written");
    let loaded = config().with_seed(99).init_sparse().load(&path).expect("read");
    let dense = |sop: &SparseSop| host(sop.dense(&Device::flex()).v.val());
    assert_eq!(dense(&loaded), dense(&sop));
    assert_eq!(loaded.config().seed, 3);
    let further = |mut sop: SparseSop| {
        let output = sop.forward(integers(&[7, 4]), logits(&[0.5; 10]), integers(&[2, 4]));
        sop.apply(output.update);
        dense(&sop)
    };
    assert_eq!(further(loaded), further(sop));
}

#[test]
fn damaged_files_are_errors_that_name_file_and_place() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("noise.sparse");
    let sop = trained();
    sop.save(&path).expect("written");
    let bytes = std::fs::read(&path).expect("read");
    let load = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("written");
        config().init_sparse().load(&path)
    };
    for length in 0..bytes.len() {
        let error = load(&bytes[..length]).expect_err("cut off").to_string();
        assert!(error.contains("noise.sparse"), "{error}");
    }
    let error = load(&[&bytes[..], &[0]].concat()).expect_err("longer").to_string();
    assert!(error.ends_with("expected the end of the file, found 1 more bytes"), "{error}");
    // Row count, sample, number of entries: larger than anything that the file can hold.
    for place in [48, 56, 68] {
        let mut bytes = bytes.clone();
        bytes[place..place + 4].fill(0xff);
        let error = load(&bytes).expect_err("impossible");
        assert!(matches!(error, OptimizerError::Damaged { .. }), "{place}: {error}");
    }
    let other = SopConfig::new(LabelFingerprint::of(&[1; SAMPLES], CLASSES)).init_sparse();
    std::fs::write(&path, &bytes).expect("written");
    assert!(matches!(other.load(&path), Err(OptimizerError::WrongLabels { .. })));
    assert!(matches!(other.load(folder.path().join("none")), Err(OptimizerError::Io { .. })));
}

#[test]
#[should_panic(expected = "indices must be in 0..9, got 9 at position 1")]
fn refuses_an_index_out_of_range() {
    config().init_sparse().forward(integers(&[0, 9]), logits(&[0.0; 10]), integers(&[0, 1]));
}
