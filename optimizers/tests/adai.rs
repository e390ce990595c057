//! Adai: the update's exact properties, groups, clipping, misuse and files.
#![recursion_limit = "256"]

#[path = "adai/properties.rs"]
mod properties;
#[path = "adai/records.rs"]
mod records;
#[path = "adai/reference.rs"]
mod reference;
#[path = "adai/usage.rs"]
mod usage;

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use firebrick_optimizers::adai::{Adai, AdaiConfig};

/// Parameters in one list.
#[derive(Module, Debug)]
struct Model {
    rows: Vec<Param<Tensor<1>>>,
}

/// Gradients of one step by parameter; `None` for a parameter without one.
type Gradients = Vec<Option<Vec<f64>>>;

fn tensor<const D: usize>(values: &[f64], shape: [usize; D], dtype: DType) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (&Device::flex(), dtype))
}

impl Model {
    fn new(rows: &[Vec<f64>], dtype: DType) -> Self {
        let parameter = |values: &Vec<f64>| {
            let value = tensor(values, [values.len()], dtype);
            Param::from_tensor(Tensor::from_inner(value).require_grad())
        };
        Self { rows: rows.iter().map(parameter).collect() }
    }

    fn gradients(&self, values: &Gradients) -> GradientsParams {
        let mut gradients = GradientsParams::new();
        for (row, values) in self.rows.iter().zip(values) {
            if let Some(values) = values {
                gradients.register(row.id, tensor(values, [values.len()], row.val().dtype()));
            }
        }
        gradients
    }

    fn values(&self) -> Vec<Vec<f64>> {
        let read = |row: &Param<Tensor<1>>| row.val().into_data().iter::<f64>().collect();
        self.rows.iter().map(read).collect()
    }
}

/// Runs all steps and returns the parameters.
fn run(
    mut optimizer: Adai,
    init: &[Vec<f64>],
    steps: &[Gradients],
    lr: f64,
    dtype: DType,
) -> Vec<Vec<f64>> {
    let mut model = Model::new(init, dtype);
    for step in steps {
        let gradients = model.gradients(step);
        model = optimizer.step(lr, model, gradients);
    }
    model.values()
}

/// In 64 bits.
fn run_64(config: &AdaiConfig, init: &[Vec<f64>], steps: &[Gradients], lr: f64) -> Vec<Vec<f64>> {
    run(config.init(), init, steps, lr, DType::F64)
}

fn assert_close(found: &[Vec<f64>], expected: &[Vec<f64>], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (row, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len());
        for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
            // Negated, so that NaN fails.
            assert!(
                (found - expected).abs() <= tolerance * (1.0 + expected.abs()),
                "parameter {row}, element {index}: {found} for {expected}"
            );
        }
    }
}

/// The same gradients for every parameter that exists.
fn all(values: &[Vec<f64>]) -> Gradients {
    values.iter().cloned().map(Some).collect()
}
