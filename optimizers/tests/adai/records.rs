//! Saving, loading and going on.

use std::fs;

use burn::module::{Module, Param};
use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;
use burn::tensor::{DType, Tensor};
use firebrick_optimizers::OptimizerError;
use firebrick_optimizers::adai::AdaiConfig;
use proptest::prelude::*;

use crate::reference::problem;
use crate::{Model, all, tensor};

const LR: f64 = 0.3;

proptest! {
    /// P9
    #[test]
    fn a_run_goes_on_bit_by_bit_after_saving_and_loading(
        (init, steps) in problem(8),
        at in 0usize..8,
        wide in any::<bool>(),
        decoupled in any::<bool>(),
    ) {
        let dtype = if wide { DType::F64 } else { DType::F32 };
        let config = AdaiConfig::new().with_weight_decay(0.1).with_decoupled(decoupled);
        let at = at.min(steps.len());
        let (mut model, mut optimizer) = (Model::new(&init, dtype), config.init());
        let mut resumed = None;
        for (index, step) in steps.iter().enumerate() {
            if index == at {
                let bytes = optimizer.to_record().into_bytes().expect("a record can be written");
                let record = OptimizerRecord::from_bytes(bytes).expect("and read");
                resumed = Some((model.clone(), config.init().load_record(record)));
            }
            let gradients = model.gradients(step);
            model = optimizer.step(LR, model, gradients);
            if let Some((model, mut optimizer)) = resumed.take() {
                let gradients = model.gradients(step);
                let model = optimizer.step(LR, model, gradients);
                resumed = Some((model, optimizer));
            }
        }
        if let Some((resumed, _)) = resumed {
            prop_assert_eq!(resumed.values(), model.values());
        }
    }
}

fn trained(rows: &[usize]) -> (Model, firebrick_optimizers::adai::Adai) {
    let init: Vec<Vec<f64>> = rows.iter().map(|&size| vec![1.0; size]).collect();
    let mut optimizer = AdaiConfig::new().init();
    let model = Model::new(&init, DType::F32);
    let gradients = model.gradients(&all(&init));
    let model = optimizer.step(LR, model, gradients);
    (model, optimizer)
}

/// A parameter with the same id and five elements.
fn longer(parameter: &Param<Tensor<1>>) -> Param<Tensor<1>> {
    let value = tensor(&[0.0; 5], [5], DType::F32);
    Param::initialized(parameter.id, Tensor::from_inner(value).require_grad())
}

#[test]
fn files_are_written_whole_and_read_back() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("adai.bpk");
    let (model, optimizer) = trained(&[3, 2]);
    optimizer.save(&path).expect("written");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "no temporary file");
    let loaded = AdaiConfig::new().init().load(&path, &model).expect("read");
    let (states, expected) = (loaded.states(), optimizer.states());
    assert_eq!(states.len(), 2);
    for (id, state) in &expected {
        let found = &states[id];
        assert_eq!(found.steps, 1);
        assert_eq!(found.moment_1, state.moment_1);
        assert_eq!(found.moment_2, state.moment_2);
        assert_eq!(found.correction, state.correction);
        assert_eq!(state.moment_2.iter::<f64>().count(), state.moment_1.shape()[0]);
    }
}

#[test]
fn files_of_another_model_are_errors_with_name_and_shapes() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("adai.bpk");
    let (model, optimizer) = trained(&[3, 2]);
    optimizer.save(&path).expect("written");
    let load = |model: &Model| AdaiConfig::new().init().load(&path, model).map(|_| ());

    let other = Model::new(&[vec![0.0; 3], vec![0.0; 2]], DType::F32);
    match load(&other) {
        Err(OptimizerError::WrongParameter { expected: None, path: named, .. }) => {
            assert_eq!(named, path);
        }
        other => panic!("ids of another model: {other:?}"),
    }
    // The same ids with other shapes, as after an edit of the network.
    let mut edited = model.clone();
    edited.rows[1] = longer(&model.rows[1]);
    let message = load(&edited).expect_err("another shape").to_string();
    assert!(
        message.contains("has the shape [2], but the parameter has the shape [5]"),
        "{message}"
    );

    fs::write(&path, "no record").expect("written");
    assert!(matches!(load(&model), Err(OptimizerError::Record { .. })));
    fs::remove_file(&path).expect("removed");
    assert!(matches!(load(&model), Err(OptimizerError::Io { .. })));
}

#[test]
#[should_panic(expected = "must have its gradient's shape [5], got [2]")]
fn a_record_of_other_shapes_panics_at_the_next_step() {
    let (model, optimizer) = trained(&[2]);
    let mut edited = model.clone();
    edited.rows[0] = longer(&model.rows[0]);
    let gradients = edited.gradients(&all(&[vec![1.0; 5]]));
    AdaiConfig::new().init().load_record(optimizer.to_record()).step(LR, edited, gradients);
}

#[test]
fn a_model_and_its_optimizer_go_on_in_fresh_objects() {
    let (model, optimizer) = trained(&[4, 1]);
    let bytes = model.clone().into_record().into_bytes().expect("written");
    let record = ModuleRecord::from_bytes(bytes).expect("read");
    let fresh = Model::new(&[vec![0.0; 4], vec![0.0]], DType::F32).load_record(record);
    let mut resumed = AdaiConfig::new().init().load_record(optimizer.to_record());
    let mut optimizer = optimizer;
    let step = all(&[vec![0.1, -0.2, 0.3, 2.0], vec![-1.0]]);
    let (a, b) = (model.gradients(&step), fresh.gradients(&step));
    let model = optimizer.step(LR, model, a);
    assert_eq!(resumed.step(LR, fresh, b).values(), model.values());
}
