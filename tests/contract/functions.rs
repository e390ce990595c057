//! Functions to minimize.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

/// A function of its own parameters.
pub trait Function: Module + Clone {
    fn init(device: &Device) -> Self;

    fn value(&self) -> Tensor<1>;

    /// The largest distance of a parameter to the minimum.
    fn distance(&self) -> f64;
}

/// `1/2 sum_i c_i (x_i - 1)^2` over a matrix and a vector, with curvatures `c` from 1 to 10.
#[derive(Module, Debug)]
pub struct Quadratic {
    matrix: Param<Tensor<2>>,
    vector: Param<Tensor<1>>,
}

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.map(f64::abs).fold(0.0, f64::max)
}

fn host<const D: usize>(param: &Param<Tensor<D>>) -> impl Iterator<Item = f64> {
    param.val().into_data().iter::<f64>().collect::<Vec<_>>().into_iter()
}

impl Function for Quadratic {
    fn init(device: &Device) -> Self {
        let values = TensorData::new(vec![-1.0f32, 0.5, 2.5, 1.2, 0.0, -0.4], [2, 3]);
        Self {
            matrix: Param::from_tensor(Tensor::from_data(values, device)),
            vector: Param::from_tensor(Tensor::from_data([3.0, -0.5, 1.1, 0.9], device)),
        }
    }

    fn value(&self) -> Tensor<1> {
        let (matrix, vector) = (self.matrix.val() - 1.0, self.vector.val() - 1.0);
        let device = matrix.device();
        let of_matrix = Tensor::from_data([[1.0, 2.0, 3.0], [5.0, 8.0, 10.0]], &device);
        let of_vector = Tensor::from_data([1.5, 4.0, 7.0, 9.0], &device);
        let sum = (matrix.clone() * matrix * of_matrix).sum();
        (sum + (vector.clone() * vector * of_vector).sum()).mul_scalar(0.5)
    }

    fn distance(&self) -> f64 {
        largest(host(&self.matrix).chain(host(&self.vector)).map(|value| value - 1.0))
    }
}

/// `(1 - x)^2 + 100 (y - x^2)^2`, from the other side of its curved valley.
#[derive(Module, Debug)]
pub struct Rosenbrock {
    point: Param<Tensor<1>>,
}

impl Function for Rosenbrock {
    fn init(device: &Device) -> Self {
        Self { point: Param::from_tensor(Tensor::from_data([-1.0, 1.0], device)) }
    }

    fn value(&self) -> Tensor<1> {
        let point = self.point.val();
        let (x, y) = (point.clone().narrow(0, 0, 1), point.narrow(0, 1, 1));
        let (slope, valley) = (x.clone() - 1.0, y - x.clone() * x);
        slope.clone() * slope + (valley.clone() * valley).mul_scalar(100.0)
    }

    fn distance(&self) -> f64 {
        largest(host(&self.point).map(|value| value - 1.0))
    }
}
