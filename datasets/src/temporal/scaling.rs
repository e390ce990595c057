//! Features and weights from 0 to 1.
//!
//! ```text
//! y = (x - min) / (max - min)        per feature; 0 where max = min
//! ```

use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::temporal::TemporalGraphData;
use crate::temporal::data::unsuitable;

/// Smallest value and range of each feature, fitted on one part of the data and applied to all.
///
/// # Notes
/// Values outside the fitted part may lie outside of 0 to 1; weights that become negative are then
/// refused where -1 stands for absence.
///
/// # Example
/// ```
/// use firebrick_datasets::temporal::{MinMaxScaler, TemporalGraphData};
///
/// let data = TemporalGraphData::from_ranges("one", 1, vec![], vec![], &[0..0, 0..0, 0..0])?
///     .with_features(1, vec![2.0, 4.0, 8.0])?;
/// let scaler = MinMaxScaler::fit_steps(&data, [0, 1])?;
/// let scaled = scaler.features(&data)?;
/// assert_eq!(scaled.features(), [0.0, 1.0, 3.0]);
/// assert_eq!(scaler.inverse(0, 3.0), 8.0);
/// # Ok::<(), firebrick_datasets::DatasetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MinMaxScaler {
    minima: Vec<f32>,
    ranges: Vec<f32>,
}

impl MinMaxScaler {
    /// Fits the features of all nodes at the given steps.
    ///
    /// # Errors
    /// If a step does not exist or there is no value to fit.
    pub fn fit_steps(
        data: &TemporalGraphData,
        steps: impl IntoIterator<Item = usize>,
    ) -> Result<Self, DatasetError> {
        let mut rows = Rows::new(data.num_features());
        for step in steps {
            data.check_steps(&(step..step.saturating_add(1)))?;
            rows.add(data.features_of(step));
        }
        rows.scaler()
    }

    /// Fits the features of the given nodes at all steps.
    ///
    /// # Errors
    /// If a node does not exist or there is no value to fit.
    pub fn fit_nodes(data: &TemporalGraphData, nodes: &[usize]) -> Result<Self, DatasetError> {
        let (width, count) = (data.num_features(), data.num_nodes());
        if let Some(node) = nodes.iter().find(|&&node| node >= count) {
            return Err(unsuitable("nodes", format!("nodes below {count}"), node.to_string()));
        }
        let mut rows = Rows::new(width);
        for step in 0..data.num_steps() {
            let features = data.features_of(step);
            nodes.iter().for_each(|&node| rows.add(&features[node * width..(node + 1) * width]));
        }
        rows.scaler()
    }

    /// Fits the weights of the entries at the given steps, each channel by itself.
    ///
    /// # Errors
    /// If there are no weights, a step does not exist, or there is no value to fit.
    pub fn fit_weights(
        data: &TemporalGraphData,
        steps: impl IntoIterator<Item = usize>,
    ) -> Result<Self, DatasetError> {
        let weights = data.weights().unwrap_or_default();
        let channels = data.num_channels();
        let mut rows = Rows::new(channels);
        for step in steps {
            data.check_steps(&(step..step.saturating_add(1)))?;
            let range = data.range(step);
            rows.add(weights.get(range.start * channels..range.end * channels).unwrap_or(&[]));
        }
        rows.scaler()
    }

    /// The same data with scaled features.
    ///
    /// # Errors
    /// If it has another number of features, or a scaled one is not finite.
    pub fn features(&self, data: &TemporalGraphData) -> Result<TemporalGraphData, DatasetError> {
        let scaled = self.scaled("features", data.num_features(), data.features())?;
        data.clone().with_features(data.num_features(), scaled)
    }

    /// The same data with scaled weights.
    ///
    /// # Errors
    /// If it has another number of channels or no weights, or a scaled one is not finite.
    pub fn weights(&self, data: &TemporalGraphData) -> Result<TemporalGraphData, DatasetError> {
        let weights = data.weights().ok_or_else(|| unsuitable("weights", "weights", "none"))?;
        let scaled = self.scaled("channels", data.num_channels(), weights)?;
        data.clone().with_weights(data.num_channels(), scaled)
    }

    /// A value of a feature from its own units.
    ///
    /// # Panics
    /// If there is no such feature.
    pub fn scale(&self, feature: usize, value: f32) -> f32 {
        match self.ranges[feature] {
            0.0 => 0.0,
            range => (value - self.minima[feature]) / range,
        }
    }

    /// A scaled value of a feature in its own units.
    ///
    /// # Panics
    /// If there is no such feature.
    pub fn inverse(&self, feature: usize, scaled: f32) -> f32 {
        scaled * self.ranges[feature] + self.minima[feature]
    }

    fn scaled(&self, what: &str, width: usize, values: &[f32]) -> Result<Vec<f32>, DatasetError> {
        if width != self.minima.len() {
            return Err(unsuitable(what, self.minima.len().to_string(), width.to_string()));
        }
        let places = (0..width).cycle();
        Ok(values.iter().zip(places).map(|(&value, place)| self.scale(place, value)).collect())
    }
}

/// Running bounds of rows.
struct Rows {
    minima: Vec<f32>,
    maxima: Vec<f32>,
}

impl Rows {
    fn new(width: usize) -> Self {
        Self { minima: vec![f32::INFINITY; width], maxima: vec![f32::NEG_INFINITY; width] }
    }

    fn add(&mut self, values: &[f32]) {
        if self.minima.is_empty() {
            return;
        }
        for row in values.chunks_exact(self.minima.len()) {
            for (place, &value) in row.iter().enumerate() {
                self.minima[place] = self.minima[place].min(value);
                self.maxima[place] = self.maxima[place].max(value);
            }
        }
    }

    fn scaler(self) -> Result<MinMaxScaler, DatasetError> {
        let Self { minima, maxima } = self;
        if minima.iter().any(|minimum| minimum.is_infinite()) {
            return Err(unsuitable("part to fit", "at least one value of each feature", "none"));
        }
        let ranges = minima.iter().zip(&maxima).map(|(minimum, maximum)| maximum - minimum);
        Ok(MinMaxScaler { ranges: ranges.collect(), minima })
    }
}
