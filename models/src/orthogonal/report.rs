//! How orthogonal a layer is, measured: its singular values and what it does to norms.
//!
//! The Jacobian `J` of the linear part on images of one size is the same at every point. Layers on a ring
//! repeat it from cell to cell (a cell is what a shift moves by: `stride` pixels of the input, one of the
//! output), so that the responses to one cell of impulses and a Fourier transform give all singular
//! values; other layers, such as those with zero padding, are measured by their dense Jacobian. Which case
//! it is, is found out by shifting random images. Linear algebra runs in 64 bits on the host, so that only
//! the rounding of the layer itself shows.
//!
//! # Example
//! ```
//! use burn::tensor::Device;
//! use firebrick_models::orthogonal::alternatives::RkoConv2dConfig;
//! use firebrick_models::orthogonal::orthogonality_report;
//!
//! let layer = RkoConv2dConfig::new([4, 4], 3).with_seed(Some(0)).init(&Device::flex());
//! let report = orthogonality_report(&layer, [6, 6]);
//! println!("{report}");
//! assert!(report.max <= 1.0 + 1e-5 && report.min < 0.5);
//! ```

use std::fmt;

use burn::module::{ModuleVisitor, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use faer::{Mat, c64};
use firebrick_ops::spectrum::{half_plane, phase, singular_values};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::OrthogonalLayer;

/// Random images whose norms are compared.
const SAMPLES: usize = 128;
/// The largest dense Jacobian: a decomposition of this size takes minutes.
const MAX_DENSE: usize = 4096;
/// Images per call when the dense Jacobian is read.
const CHUNK: usize = 256;

/// How the singular values were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpectrumMethod {
    /// One small matrix per frequency; for layers that commute with shifts on the ring.
    Frequencies,
    /// The whole Jacobian.
    Dense,
}

/// Ratios of norms over random vectors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NormRatio {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub deviation: f64,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
}

/// How orthogonal a layer is on images of one size; see [`orthogonality_report`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrthogonalityReport {
    /// Channels `[input, output]`.
    pub channels: [usize; 2],
    /// Height and width of the input.
    pub input_size: [usize; 2],
    /// Height and width of the output.
    pub output_size: [usize; 2],
    /// How the singular values were found.
    pub method: SpectrumMethod,
    /// Smallest singular value.
    pub min: f64,
    /// Largest singular value: the Lipschitz constant.
    pub max: f64,
    /// Mean of the singular values.
    pub mean: f64,
    /// The largest `|s - 1|`.
    pub deviation: f64,
    /// `|J|_F^2 / max^2`; the number of singular values, if all are equal.
    pub stable_rank: f64,
    /// `|J x| / |x|` for normal images `x`; 1 for an isometry.
    pub output_ratio: NormRatio,
    /// `|J^T g| / |g|` for normal gradients `g`; 1 for layers with at most as many outputs as inputs.
    pub gradient_ratio: NormRatio,
    /// All singular values, as many as the smaller side of the Jacobian has rows, from small to large.
    pub singular_values: Vec<f64>,
}

/// Measures a layer on images of the given size, `[height, width]`.
///
/// The layer is measured as it stands: with the number of series terms of training if its weights are
/// tracked by autodiff, in its own float type, on its own device. The random images are the same in every
/// call.
///
/// # Panics
/// If the layer has no parameters, does not accept the image, or gives values that are not finite, or if
/// it does not commute with shifts and the larger side of its Jacobian exceeds 4096.
pub fn orthogonality_report<L: OrthogonalLayer>(
    layer: &L,
    image_size: [usize; 2],
) -> OrthogonalityReport {
    let probe = Probe::new(layer, image_size);
    let (method, singular_values) = match probe.cells() {
        Some(cells) => (SpectrumMethod::Frequencies, probe.by_frequency(cells)),
        None => (SpectrumMethod::Dense, probe.by_jacobian()),
    };
    let count = singular_values.len() as f64;
    let (min, max) = (singular_values[0], singular_values[singular_values.len() - 1]);
    let squares: f64 = singular_values.iter().map(|value| value * value).sum();
    OrthogonalityReport {
        channels: probe.channels,
        input_size: image_size,
        output_size: probe.output_size,
        method,
        min,
        max,
        mean: singular_values.iter().sum::<f64>() / count,
        deviation: (1.0 - min).abs().max((max - 1.0).abs()),
        stable_rank: squares / (max * max),
        output_ratio: probe.output_ratio(),
        gradient_ratio: probe.gradient_ratio(),
        singular_values,
    }
}

impl fmt::Display for OrthogonalityReport {
    /// A table with one quantity per line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |[height, width]: [usize; 2]| format!("{height}x{width}");
        let [inputs, outputs] = self.channels;
        let (from, to) = (size(self.input_size), size(self.output_size));
        let how = match self.method {
            SpectrumMethod::Frequencies => "by frequency",
            SpectrumMethod::Dense => "of the dense Jacobian",
        };
        writeln!(f, "layer             {inputs} x {from} -> {outputs} x {to}")?;
        writeln!(f, "singular values   {} {how}", self.singular_values.len())?;
        writeln!(f, "  smallest        {:.10}", self.min)?;
        writeln!(f, "  largest         {:.10}", self.max)?;
        writeln!(f, "  mean            {:.10}", self.mean)?;
        writeln!(f, "  worst |s - 1|   {:.2e}", self.deviation)?;
        writeln!(f, "stable rank       {:.3}", self.stable_rank)?;
        writeln!(f, "|J x| / |x|       {}", self.output_ratio)?;
        write!(f, "|J^T g| / |g|     {}", self.gradient_ratio)
    }
}

impl fmt::Display for NormRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mean, deviation, min, max } = self;
        write!(f, "{mean:.8} ± {deviation:.1e} ({min:.8} to {max:.8})")
    }
}

/// Where the parameters of a layer are.
#[derive(Default)]
struct Place(Option<(Device, DType)>);

impl ModuleVisitor for Place {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        self.0.get_or_insert_with(|| (value.device(), value.dtype()));
    }
}

/// A layer with what is needed to ask it questions.
struct Probe<'a, L> {
    layer: &'a L,
    device: Device,
    dtype: DType,
    /// Input and output, asked once.
    channels: [usize; 2],
    input_size: [usize; 2],
    output_size: [usize; 2],
}

/// The cells of a layer that commutes with shifts.
#[derive(Clone, Copy)]
struct Cells {
    /// Number of cells, `[rows, columns]`.
    count: [usize; 2],
    /// Pixels of a cell of the input.
    input: [usize; 2],
    /// Pixels of a cell of the output.
    output: [usize; 2],
}

impl<'a, L: OrthogonalLayer> Probe<'a, L> {
    fn new(layer: &'a L, input_size: [usize; 2]) -> Self {
        let mut place = Place::default();
        layer.visit(&mut place);
        let (device, dtype) = place
            .0
            .unwrap_or_else(|| panic!("orthogonality_report: the layer must have parameters"));
        let channels = layer.channels();
        let [height, width] = input_size;
        let shape = [1, channels[0], height, width];
        let [_, _, rows, columns] =
            layer.forward_linear(Tensor::zeros(shape, (&device, dtype))).dims();
        Self { layer, device, dtype, channels, input_size, output_size: [rows, columns] }
    }

    /// Images from host values, `[batch, input, height, width]`.
    fn images(&self, values: Vec<f64>) -> Tensor<4> {
        let [height, width] = self.input_size;
        let batch = values.len() / self.input_len();
        let shape = [batch, self.channels[0], height, width];
        Tensor::from_data(TensorData::new(values, shape), (&self.device, self.dtype))
    }

    fn input_len(&self) -> usize {
        self.channels[0] * self.input_size.iter().product::<usize>()
    }

    fn output_len(&self) -> usize {
        self.channels[1] * self.output_size.iter().product::<usize>()
    }

    fn apply(&self, values: Vec<f64>) -> Vec<f64> {
        host(self.layer.forward_linear(self.images(values)))
    }

    /// The cells, if the layer commutes with shifts by one cell along each axis.
    fn cells(&self) -> Option<Cells> {
        let of = |axis: usize| gcd(self.input_size[axis], self.output_size[axis]);
        let count = [of(0), of(1)];
        let pixels = |size: [usize; 2]| [size[0] / count[0], size[1] / count[1]];
        let cells =
            Cells { count, input: pixels(self.input_size), output: pixels(self.output_size) };
        let input = self.images(normal(2 * self.input_len(), 1));
        let output = self.layer.forward_linear(input.clone());
        let epsilon = if self.dtype == DType::F64 { f64::EPSILON } else { f32::EPSILON.into() };
        let commutes = |axis: usize| {
            let shift =
                |x: &Tensor<4>, cell: [usize; 2]| x.clone().roll_dim(cell[axis] as i64, axis + 2);
            let there = host(self.layer.forward_linear(shift(&input, cells.input)));
            let here = host(shift(&output, cells.output));
            let worst = there.iter().zip(&here).fold(0.0f64, |max, (a, b)| max.max((a - b).abs()));
            let scale = here.iter().fold(0.0f64, |max, value| max.max(value.abs()));
            worst <= 1e3 * epsilon * scale
        };
        // A single cell tells nothing: its frequency is the dense Jacobian.
        (count != [1, 1] && commutes(0) && commutes(1)).then_some(cells)
    }

    /// The singular values of the matrices of all frequencies.
    fn by_frequency(&self, cells: Cells) -> Vec<f64> {
        let [inputs, outputs] = self.channels;
        let [height, width] = self.input_size;
        let columns = inputs * cells.input[0] * cells.input[1];
        let mut impulses = vec![0.0; columns * self.input_len()];
        for column in 0..columns {
            let (input, row, place) = digits(column, cells.input);
            impulses[column * self.input_len() + (input * height + row) * width + place] = 1.0;
        }
        let responses = self.apply(impulses);
        // One line per entry of the matrices, one column per cell.
        let rows = outputs * cells.output[0] * cells.output[1];
        let number = cells.count[0] * cells.count[1];
        let by_cell = Mat::from_fn(rows * columns, number, |line, cell| {
            let (output, row, place) = digits(line % rows, cells.output);
            let row = cell / cells.count[1] * cells.output[0] + row;
            let place = cell % cells.count[1] * cells.output[1] + place;
            let [h, w] = self.output_size;
            responses[(line / rows) * self.output_len() + (output * h + row) * w + place]
        });
        let half = half_plane(cells.count);
        let turn = |cell: usize, index: usize| -> c64 {
            let cell = [cell / cells.count[1], cell % cells.count[1]];
            phase(half[index].0, cell, cells.count)
        };
        let re = &by_cell * Mat::from_fn(number, half.len(), |cell, at| turn(cell, at).re);
        let im = &by_cell * Mat::from_fn(number, half.len(), |cell, at| turn(cell, at).im);
        let mut all = Vec::with_capacity(number * rows.min(columns));
        for (index, (_, copies)) in half.iter().enumerate() {
            let matrix = Mat::from_fn(rows, columns, |row, column| {
                let line = column * rows + row;
                c64::new(re[(line, index)], im[(line, index)])
            });
            let values = singular_values(matrix.as_ref());
            (0..*copies).for_each(|_| all.extend_from_slice(&values));
        }
        all.sort_by(f64::total_cmp);
        all
    }

    /// The singular values of the Jacobian, column by column.
    fn by_jacobian(&self) -> Vec<f64> {
        let (inputs, outputs) = (self.input_len(), self.output_len());
        assert!(
            inputs.max(outputs) <= MAX_DENSE,
            "orthogonality_report: the layer does not commute with shifts, and its Jacobian \
             {outputs}x{inputs} is larger than {MAX_DENSE}; give a smaller image_size"
        );
        let mut jacobian = Mat::<f64>::zeros(outputs, inputs);
        for start in (0..inputs).step_by(CHUNK) {
            let count = CHUNK.min(inputs - start);
            let mut impulses = vec![0.0; count * inputs];
            (0..count).for_each(|at| impulses[at * inputs + start + at] = 1.0);
            for (at, response) in self.apply(impulses).chunks(outputs).enumerate() {
                (0..outputs).for_each(|row| jacobian[(row, start + at)] = response[row]);
            }
        }
        let mut values = jacobian.singular_values().unwrap_or_else(|error| {
            panic!("orthogonality_report: the Jacobian must be finite, and its decomposition failed: {error:?}")
        });
        values.sort_by(f64::total_cmp);
        values
    }

    fn output_ratio(&self) -> NormRatio {
        let input = normal(SAMPLES * self.input_len(), 2);
        // The norms of what the layer really gets, rounded to its float type.
        let images = self.images(input);
        let output = host(self.layer.forward_linear(images.clone()));
        ratio(&output, &host(images))
    }

    fn gradient_ratio(&self) -> NormRatio {
        let device = self.device.clone().autodiff();
        let [height, width] = self.input_size;
        let shape = [SAMPLES, self.channels[0], height, width];
        let input = Tensor::<4>::zeros(shape, (&device, self.dtype)).require_grad();
        let output = self.layer.forward_linear(input.clone());
        let gradient = normal(SAMPLES * self.output_len(), 3);
        let gradient = TensorData::new(gradient, output.dims());
        let gradient = Tensor::<4>::from_data(gradient, (&device, self.dtype));
        let found = input.grad(&(output * gradient.clone()).sum().backward());
        let found = found.expect("the output depends on the input");
        ratio(&host(found), &host(gradient))
    }
}

fn host(tensor: Tensor<4>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn normal(count: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.sample(StandardNormal)).collect()
}

/// `|a| / |b|` of `SAMPLES` pairs.
fn ratio(a: &[f64], b: &[f64]) -> NormRatio {
    let norms = |values: &[f64]| -> Vec<f64> {
        let norm = |part: &[f64]| part.iter().map(|x| x * x).sum::<f64>().sqrt();
        values.chunks(values.len() / SAMPLES).map(norm).collect()
    };
    let ratios: Vec<f64> = norms(a).iter().zip(norms(b)).map(|(a, b)| a / b).collect();
    let mean = ratios.iter().sum::<f64>() / SAMPLES as f64;
    let variance = ratios.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / SAMPLES as f64;
    NormRatio {
        mean,
        deviation: variance.sqrt(),
        min: ratios.iter().copied().fold(f64::INFINITY, f64::min),
        max: ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    }
}

/// Channel, row and column of an index into `[channel, rows, columns]`.
fn digits(index: usize, [rows, columns]: [usize; 2]) -> (usize, usize, usize) {
    (index / (rows * columns), index / columns % rows, index % columns)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
