//! The patch network in closed form, on the host in 64 bits.

use burn::tensor::{Device, Tensor, TensorData};
use firebrick_datasets::{LabeledSamples, Margin, SignalPatches};
use firebrick_models::patch_network::{PatchNetwork, PatchNetworkConfig};
use serde::{Deserialize, Serialize};

use super::{ErrorRates, MomentumError};

/// The filters of a [`PatchNetwork`], with its outputs, loss and gradient in closed form.
///
/// ```text
/// f(X)     = sum_r sum_j <w_r, X_j>^q
/// L(W)     = 1/N sum_i log(1 + exp(-y_i f(X_i))) + penalty/2 |W|^2
/// dL/dw_r  = 1/N sum_i -y_i S(-y_i f(X_i)) q sum_j <w_r, X_ij>^(q-1) X_ij + penalty w_r
/// ```
///
/// with the logistic function `S`.
///
/// # Example
/// ```
/// use firebrick::datasets::SignalPatchesConfig;
/// use firebrick::models::patch_network::PatchNetworkConfig;
/// use firebrick::momentum::PatchFilters;
///
/// let (train, _) = SignalPatchesConfig::default().with_num_test(1).generate(0)?;
/// let filters = PatchFilters::init(&PatchNetworkConfig::new(100, 5));
/// let (loss, gradient) = filters.loss_and_gradient(&train, None, 0.0);
/// assert!((loss - 0.7).abs() < 0.1);
/// assert_eq!(gradient.len(), 500);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatchFilters {
    dim: usize,
    power: usize,
    values: Vec<f64>,
}

impl PatchFilters {
    /// Takes given filters.
    ///
    /// # Shapes
    /// - values: `[num_filters, dim]`, row-major
    ///
    /// # Errors
    /// [`MomentumError`] if a size is zero, the length does not fit, a number is not finite, or the
    /// power is even or below 3.
    pub fn new(
        [num_filters, dim]: [usize; 2],
        power: usize,
        values: Vec<f64>,
    ) -> Result<Self, MomentumError> {
        if num_filters == 0 || dim == 0 {
            let found = format!("{num_filters} x {dim}");
            return Err(MomentumError::new(
                "filters",
                "at least one, of at least one number",
                found,
            ));
        }
        let expected = || format!("{num_filters} x {dim} finite numbers");
        if num_filters.checked_mul(dim) != Some(values.len()) {
            let found = format!("{} numbers", values.len());
            return Err(MomentumError::new("filters", expected(), found));
        }
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(MomentumError::new("filters", expected(), value));
        }
        if power < 3 || power.is_multiple_of(2) {
            return Err(MomentumError::new("power", "an odd number of at least 3", power));
        }
        Ok(Self { dim, power, values })
    }

    /// The start of the network of these settings, drawn from their seed.
    ///
    /// # Panics
    /// If the settings are none of a network; see [`PatchNetworkConfig::init`].
    pub fn init(config: &PatchNetworkConfig) -> Self {
        Self { dim: config.dim, power: config.power, values: config.initial_filters() }
    }

    /// Reads the filters of a network from its device.
    pub fn from_network(network: &PatchNetwork) -> Self {
        let filters = network.filters.val();
        let dim = filters.dims()[1];
        let values = filters.into_data().iter::<f64>().collect();
        Self { dim, power: network.power(), values }
    }

    /// The same network on `device`, in its default float type.
    pub fn to_network(&self, device: &Device) -> PatchNetwork {
        let shape = [self.num_filters(), self.dim];
        let values = TensorData::new(self.values.clone(), shape);
        PatchNetworkConfig::new(self.dim, self.num_filters())
            .with_power(self.power)
            .init_with(Tensor::from_data(values, device))
    }

    /// The number of filters, `m`.
    pub fn num_filters(&self) -> usize {
        self.values.len() / self.dim
    }

    /// The length of a filter, `d`.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The power `q` that is the activation.
    pub fn power(&self) -> usize {
        self.power
    }

    /// All filters, `[num_filters, dim]`, row-major.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The norm `|W|` of all filters together.
    pub fn norm(&self) -> f64 {
        dot(&self.values, &self.values).sqrt()
    }

    /// The outputs `f(X_i)`, `[N]`.
    ///
    /// # Panics
    /// If the patches have another length than the filters.
    pub fn outputs(&self, data: &SignalPatches) -> Vec<f64> {
        self.assert_fits(data);
        let mut responses = Vec::new();
        (0..data.len()).map(|index| self.output(data.example(index), &mut responses)).collect()
    }

    /// The loss over all examples.
    ///
    /// # Panics
    /// If the patches have another length than the filters.
    pub fn loss(&self, data: &SignalPatches, penalty: f64) -> f64 {
        let outputs = self.outputs(data).into_iter().enumerate();
        let losses = outputs.map(|(index, output)| softplus(-data.sign(index) * output));
        losses.sum::<f64>() / data.len() as f64 + self.penalty(penalty)
    }

    /// The loss over a batch, or over all examples, and its gradient `[num_filters, dim]`.
    ///
    /// # Panics
    /// If the patches have another length than the filters, the batch is empty, or an index is not
    /// below the number of examples.
    pub fn loss_and_gradient(
        &self,
        data: &SignalPatches,
        batch: Option<&[usize]>,
        penalty: f64,
    ) -> (f64, Vec<f64>) {
        self.assert_fits(data);
        let size = batch.map_or(data.len(), <[usize]>::len);
        assert!(size > 0, "PatchFilters: expected a batch of at least one example, found none");
        let mut gradient: Vec<f64> = self.values.iter().map(|w| penalty * w).collect();
        let mut responses = Vec::with_capacity(data.num_patches() * self.num_filters());
        let mut loss = 0.0;
        for at in 0..size {
            let index = batch.map_or(at, |batch| batch[at]);
            let (example, sign) = (data.example(index), data.sign(index));
            let wrong = -sign * self.output(example, &mut responses);
            loss += softplus(wrong);
            let slope = -sign * logistic(wrong) * self.power as f64 / size as f64;
            if slope == 0.0 {
                // So well fitted that its pull underflows.
                continue;
            }
            responses.iter_mut().for_each(|x| *x = slope * power(*x, self.power - 1));
            let factors = responses.chunks(2 * self.num_filters());
            for (patches, factors) in example.chunks(2 * self.dim).zip(factors) {
                self.add_patches(&mut gradient, patches, factors);
            }
        }
        (loss / size as f64 + self.penalty(penalty), gradient)
    }

    /// How far each filter points along the feature: `<w_r, w>`, `[num_filters]`.
    ///
    /// # Panics
    /// If the feature has another length than the filters.
    pub fn signals(&self, feature: &[f64]) -> Vec<f64> {
        assert!(
            feature.len() == self.dim,
            "PatchFilters: expected a feature of {} numbers, found {}",
            self.dim,
            feature.len()
        );
        self.values.chunks_exact(self.dim).map(|filter| dot(filter, feature)).collect()
    }

    /// How well a filter fits a noise patch: the largest `y_i <w_r, X_ij>` over the filters and the
    /// noise patches of all examples of one margin; `None` if there is no such example.
    ///
    /// # Panics
    /// If the patches have another length than the filters.
    pub fn largest_noise(&self, data: &SignalPatches, margin: Margin) -> Option<f64> {
        self.assert_fits(data);
        let mut largest: Option<f64> = None;
        for index in (0..data.len()).filter(|&index| data.margins()[index] == margin) {
            let signal = data.signal_patches()[index];
            let patches = data.example(index).chunks_exact(self.dim).enumerate();
            for (_, patch) in patches.filter(|(at, _)| *at != signal) {
                for filter in self.values.chunks_exact(self.dim) {
                    let fit = data.sign(index) * dot(filter, patch);
                    largest = Some(largest.map_or(fit, |largest| largest.max(fit)));
                }
            }
        }
        largest
    }

    /// The share of wrong examples, in total and by margin. An output of zero counts as wrong.
    ///
    /// # Panics
    /// If the patches have another length than the filters.
    pub fn error_rates(&self, data: &SignalPatches) -> ErrorRates {
        let outputs = self.outputs(data);
        let wrong = |index: &usize| {
            let right = data.sign(*index) * outputs[*index] > 0.0;
            !right
        };
        let rate = |margin: Option<Margin>| {
            let of_margin =
                |index: &usize| margin.is_none_or(|margin| data.margins()[*index] == margin);
            let count = (0..data.len()).filter(of_margin).count();
            let errors = (0..data.len()).filter(of_margin).filter(wrong).count();
            (count > 0).then(|| errors as f64 / count as f64)
        };
        ErrorRates {
            total: rate(None).unwrap_or_default(),
            small: rate(Some(Margin::Small)),
            large: rate(Some(Margin::Large)),
        }
    }

    /// `W <- W - step * direction`
    pub(super) fn descend(&mut self, step: f64, direction: &[f64]) {
        add_scaled(&mut self.values, -step, direction);
    }

    /// Adds one or two patches to each filter's gradient.
    fn add_patches(&self, gradient: &mut [f64], patches: &[f64], factors: &[f64]) {
        let (left, right) = patches.split_at(self.dim);
        let (of_left, of_right) = factors.split_at(self.num_filters());
        for (filter, row) in gradient.chunks_exact_mut(self.dim).enumerate() {
            match of_right.get(filter) {
                Some(&of_right) => add_two_scaled(row, [of_left[filter], of_right], left, right),
                None => add_scaled(row, of_left[filter], left),
            }
        }
    }

    /// Fills `responses` with `<w_r, X_j>`, patch by patch, and sums their powers.
    fn output(&self, example: &[f64], responses: &mut Vec<f64>) -> f64 {
        responses.clear();
        for patch in example.chunks_exact(self.dim) {
            responses.extend(self.values.chunks_exact(self.dim).map(|filter| dot(filter, patch)));
        }
        responses.iter().map(|&response| power(response, self.power)).sum()
    }

    fn penalty(&self, penalty: f64) -> f64 {
        if penalty == 0.0 { 0.0 } else { penalty / 2.0 * dot(&self.values, &self.values) }
    }

    fn assert_fits(&self, data: &SignalPatches) {
        assert!(
            data.dim() == self.dim,
            "PatchFilters: expected patches of {} numbers, found {}",
            self.dim,
            data.dim()
        );
    }
}

/// `log(1 + exp(x))` without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + exp_of_minus(x.abs()).ln_1p()
}

/// `1 / (1 + exp(-x))` without overflow.
fn logistic(x: f64) -> f64 {
    let small = exp_of_minus(x.abs());
    if x >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) }
}

/// `exp(-x)` for `x >= 0`; what is below 1e-304 counts as zero, because subnormal numbers are slow.
fn exp_of_minus(x: f64) -> f64 {
    if x > 700.0 { 0.0 } else { (-x).exp() }
}

/// `x^exponent` for a positive exponent.
fn power(x: f64, exponent: usize) -> f64 {
    let square = x * x;
    let start = if exponent.is_multiple_of(2) { 1.0 } else { x };
    (0..exponent / 2).fold(start, |product, _| product * square)
}

/// Sums in lanes, which the compiler keeps in vector registers.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for at in 0..LANES {
            lanes[at] += a[at] * b[at];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f64>() + rest
}

fn add_scaled(target: &mut [f64], factor: f64, source: &[f64]) {
    target.iter_mut().zip(source).for_each(|(target, source)| *target += factor * source);
}

/// Two at once, which loads and stores the target half as often.
fn add_two_scaled(target: &mut [f64], factors: [f64; 2], left: &[f64], right: &[f64]) {
    for ((target, left), right) in target.iter_mut().zip(left).zip(right) {
        *target += factors[0] * left + factors[1] * right;
    }
}
