//! Synthetic traffic in the form of PeMS.
//!
//! Sensors stand along roads. Demand has a morning and an evening peak on workdays; on top of it,
//! disturbances enter a road and travel down it with the traffic, so that what a sensor sees is what the
//! one before it saw a few minutes ago:
//!
//! ```text
//! u_i(t) = 0.9 u_j(t - d) + 0.1 e_i(t)                   j before i on the road, d steps away
//! u_i(t) = 0.9 u_i(t - 1) + sqrt(1 - 0.9^2) e_i(t)       at the head of a road
//! demand x_i = (0.1 + peaks_i) exp(0.3 u_i)
//! flow = 500 x / (1 + x^3 / 4),  occupancy = 0.15 x^2 / (1 + x^2),  speed = 68 / (1 + x^4 / 12)
//! ```
//!
//! # Notes
//! Not a data set and not a simulation of any real road: it has the files' form and gives methods
//! something that only the graph tells them. Numbers measured on it say nothing about PeMS.

use std::f64::consts::PI;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::DatasetError;
use crate::graph::GraphData;
use crate::random::{Use, generator};
use crate::temporal::TemporalGraphData;
use crate::temporal::data::unsuitable;
use crate::temporal::pems::{NUM_FEATURES, NUM_MEASUREMENTS, STEP_MINUTES, with_time};

/// Settings of synthetic traffic.
///
/// # Example
/// ```
/// use firebrick_datasets::temporal::TrafficConfig;
///
/// let data = TrafficConfig::new(20, 2).generate(0)?;
/// assert_eq!((data.num_nodes(), data.num_steps(), data.num_features()), (20, 2 * 288, 5));
/// assert!(data.is_unchanging() && data.weights().is_some());
/// # Ok::<(), firebrick_datasets::DatasetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrafficConfig {
    /// Number of sensors.
    pub sensors: usize,
    /// Number of days, of 288 steps each; the first is a Monday.
    pub days: usize,
    /// Number of sensors along a road. Default: 10.
    pub road_length: usize,
    /// Standard deviation of the measurements' noise, as a part of their value. Default: 0.03.
    pub noise: f64,
}

/// Demand in excess of the night's at a peak.
const PEAK: f64 = 1.1;
/// How much of a disturbance is there after one step, or at the next sensor.
const KEPT: f64 = 0.9;

impl TrafficConfig {
    /// So many sensors and days, in roads of 10 sensors.
    pub fn new(sensors: usize, days: usize) -> Self {
        Self { sensors, days, road_length: 10, noise: 0.03 }
    }

    /// Chooses the number of sensors along a road.
    pub fn with_road_length(mut self, road_length: usize) -> Self {
        self.road_length = road_length;
        self
    }

    /// Chooses the noise of the measurements.
    pub fn with_noise(mut self, noise: f64) -> Self {
        self.noise = noise;
        self
    }

    /// Draws roads and traffic; a function of settings and seed alone. Neighbors on a road are
    /// connected in both directions, and the head of each road with a sensor of the road before.
    ///
    /// # Errors
    /// If a number is zero, or the noise is negative or not finite.
    pub fn generate(&self, seed: u64) -> Result<TemporalGraphData, DatasetError> {
        for (what, found) in
            [("sensors", self.sensors), ("days", self.days), ("road length", self.road_length)]
        {
            if found == 0 {
                return Err(unsuitable(what, "at least 1", "0"));
            }
        }
        if !(self.noise.is_finite() && self.noise >= 0.0) {
            let expected = "a number that is not negative";
            return Err(unsuitable("noise", expected, self.noise.to_string()));
        }
        let roads = generator(Use::Traffic, seed, 0);
        let (graph, delays) = self.roads(roads)?;
        let disturbances = self.disturbances(&delays, generator(Use::Traffic, seed, 1));
        let values = self.measurements(&disturbances, generator(Use::Traffic, seed, 2));
        TemporalGraphData::unchanging(&graph, self.steps())?
            .with_features(NUM_FEATURES, with_time(&values, self.sensors, 0))
    }

    fn steps(&self) -> usize {
        self.days.saturating_mul(24 * 60 / STEP_MINUTES)
    }

    /// The graph with distances in miles, and the steps that traffic needs from the sensor before;
    /// 0 at the head of a road.
    fn roads(&self, mut generator: impl Rng) -> Result<(GraphData, Vec<usize>), DatasetError> {
        let (mut sources, mut targets, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        let mut delays = Vec::with_capacity(self.sensors);
        for sensor in 0..self.sensors {
            let distance: f64 = generator.random_range(0.5..4.0);
            let is_head = sensor % self.road_length == 0;
            // At 60 miles per hour.
            let steps = (distance / STEP_MINUTES as f64).ceil() as usize;
            delays.push(if is_head { 0 } else { steps });
            let before = match (is_head, sensor) {
                (_, 0) => continue,
                (false, _) => sensor - 1,
                (true, _) => generator.random_range(sensor - self.road_length..sensor),
            };
            sources.extend([before, sensor]);
            targets.extend([sensor, before]);
            weights.extend([distance as f32; 2]);
        }
        let graph = GraphData::new("synthetic traffic", self.sensors, sources, targets)?;
        Ok((graph.with_weights(weights)?, delays))
    }

    /// `u`, `[steps, sensors]`, of variance about 1 at the heads.
    fn disturbances(&self, delays: &[usize], mut generator: impl Rng) -> Vec<f64> {
        let width = self.sensors;
        let fresh = (1.0 - KEPT * KEPT).sqrt();
        let mut u = vec![0.0; self.steps() * width];
        for step in 0..self.steps() {
            for (sensor, &delay) in delays.iter().enumerate() {
                let noise: f64 = generator.sample(StandardNormal);
                u[step * width + sensor] = if delay == 0 {
                    let last = if step == 0 { noise } else { u[(step - 1) * width + sensor] };
                    KEPT * last + fresh * noise
                } else {
                    let then = step.saturating_sub(delay);
                    KEPT * u[then * width + sensor - 1] + (1.0 - KEPT) * noise
                };
            }
        }
        u
    }

    /// Flow, occupancy and speed, `[steps, sensors, 3]`.
    fn measurements(&self, disturbances: &[f64], mut generator: impl Rng) -> Vec<f32> {
        let tastes: Vec<[f64; 2]> = (0..self.sensors)
            .map(|_| [generator.random_range(0.4..1.0), generator.random_range(0.4..1.0)])
            .collect();
        let mut values = Vec::with_capacity(disturbances.len() * NUM_MEASUREMENTS);
        for (step, row) in disturbances.chunks_exact(self.sensors).enumerate() {
            let minutes = step * STEP_MINUTES;
            let (hour, day) = ((minutes % (24 * 60)) as f64 / 60.0, minutes / (24 * 60) % 7);
            for (&[morning, evening], &u) in tastes.iter().zip(row) {
                let x = (0.1 + demand(hour, day, morning, evening)) * (0.3 * u).exp();
                let flow = 500.0 * x / (1.0 + x.powi(3) / 4.0);
                let occupancy = 0.15 * x * x / (1.0 + x * x);
                let speed = 68.0 / (1.0 + x.powi(4) / 12.0);
                for value in [flow, occupancy, speed] {
                    let noise: f64 = generator.sample(StandardNormal);
                    values.push((value * (1.0 + self.noise * noise)).max(0.0) as f32);
                }
            }
        }
        values
    }
}

/// Demand above the night's: two peaks on workdays, one broad hill on weekends.
fn demand(hour: f64, day: usize, morning: f64, evening: f64) -> f64 {
    let peak = |center: f64, width: f64| (-((hour - center) / width).powi(2) / 2.0).exp();
    let daylight = (0.5 - 0.5 * (2.0 * PI * (hour - 3.0) / 24.0).cos()) * 0.4;
    if day < 5 {
        daylight + PEAK * (morning * peak(8.0, 1.2) + evening * peak(17.5, 1.6))
    } else {
        daylight + 0.5 * PEAK * peak(14.0, 3.0)
    }
}
