//! Which log-determinant a flow computes.

use burn::tensor::{Tensor, TensorData};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::exact::exact_log_det;
use super::pullback::Pullback;
use super::roulette::Roulette;
use super::series::{neumann, power_series};

/// How the log-determinants of a flow are computed.
///
/// | | value | gradient | cost |
/// |---|---|---|---|
/// | [`Exact`](Self::Exact) | exact | exact | one product with `J^T` per dimension |
/// | [`training`](Self::training) | unbiased | unbiased | four products on average, the graph of one |
/// | [`evaluation`](Self::evaluation) | unbiased, with less noise | unbiased | 22 products on average |
/// | truncated | biased by up to [`truncation_bias`](super::truncation_bias) | biased | `terms` products |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum LogDet {
    /// From the dense Jacobian, for few dimensions.
    Exact,
    /// From random probes of the power series.
    Estimate(Estimator),
}

/// An estimator from one random probe per sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimator {
    /// Which terms.
    pub terms: Terms,
    /// Distribution of the probes.
    pub probe: Probe,
    /// How the gradient is computed.
    pub gradient: SeriesGradient,
}

/// Which terms of the series an estimator takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Terms {
    /// The first ones; biased.
    Truncated(usize),
    /// A random number of them, weighted so that the estimate is unbiased.
    Roulette(Roulette),
}

/// Distribution of the entries of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Probe {
    /// Standard normal.
    Gaussian,
    /// 1 or -1 with equal probability: less noise where the diagonal dominates.
    Rademacher,
}

/// How the gradient of an estimate is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeriesGradient {
    /// By its own series: the graph of one product with `J^T`.
    Neumann,
    /// Through all terms of the value.
    Series,
}

impl LogDet {
    /// Roulette with two exact terms and the Neumann gradient.
    pub fn training() -> Self {
        Self::roulette(Roulette::default())
    }

    /// Roulette with twenty exact terms and the Neumann gradient.
    pub fn evaluation() -> Self {
        Self::roulette(Roulette::evaluation())
    }

    /// Unbiased, with Gaussian probes and the Neumann gradient.
    pub fn roulette(roulette: Roulette) -> Self {
        Self::series(Terms::Roulette(roulette))
    }

    /// The first `terms` terms, with Gaussian probes and the Neumann gradient.
    pub fn truncated(terms: usize) -> Self {
        Self::series(Terms::Truncated(terms))
    }

    fn series(terms: Terms) -> Self {
        let (probe, gradient) = (Probe::Gaussian, SeriesGradient::Neumann);
        Self::Estimate(Estimator { terms, probe, gradient })
    }

    /// `log det(I + J)` for each sample, `[batch]`, a log-determinant in every case: also with the
    /// Neumann gradient the value is that of the power series.
    ///
    /// The exact one leaves `rng` alone; estimates draw their number of terms once and their probes for
    /// every sample from it.
    ///
    /// # Shapes
    /// - like: `[batch, ..]`, a tensor of the input's shape and float type
    ///
    /// # Panics
    /// As [`Roulette::draw`].
    pub fn evaluate<const D: usize>(
        &self,
        pullback: &impl Pullback<D>,
        like: &Tensor<D>,
        rng: &mut impl Rng,
    ) -> Tensor<1> {
        let estimator = match self {
            Self::Exact => return exact_log_det(pullback, like),
            Self::Estimate(estimator) => estimator,
        };
        let coefficients = match estimator.terms {
            Terms::Truncated(terms) => vec![1.0; terms],
            Terms::Roulette(roulette) => roulette.coefficients(&roulette.draw(rng)),
        };
        let probe = estimator.probe.draw(like, rng);
        match estimator.gradient {
            SeriesGradient::Neumann => neumann(pullback, probe, &coefficients).log_det(),
            SeriesGradient::Series => power_series(pullback, probe, &coefficients),
        }
    }
}

impl Probe {
    /// Draws a probe on the host, so that a seed gives the same one on every device.
    ///
    /// # Shapes
    /// - like, output: any, the same
    pub fn draw<const D: usize>(self, like: &Tensor<D>, rng: &mut impl Rng) -> Tensor<D> {
        let shape = like.dims();
        let entry = |_| match self {
            Self::Gaussian => rng.sample::<f64, _>(StandardNormal),
            Self::Rademacher => {
                if rng.random::<bool>() {
                    1.0
                } else {
                    -1.0
                }
            }
        };
        let values: Vec<f64> = (0..shape.iter().product()).map(entry).collect();
        Tensor::from_data(TensorData::new(values, shape), (&like.device(), like.dtype()))
    }
}
