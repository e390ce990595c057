//! Orthogonal convolutions: composing the kernel against PyTorch, and whole steps against Burn's own
//! convolution on the same device.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Instant;

use burn::module::{Module, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use firebrick::models::orthogonal::{OrthogonalConv2d, OrthogonalConv2dConfig};
use firebrick_harness::claims::table;

use crate::memory;
use crate::runner::{Machine, Row};

/// Channels and image size; the kernel is 3x3 and the batch 16.
const SIZES: [(usize, usize); 4] = [(64, 32), (128, 16), (256, 8), (512, 4)];
const BATCH: usize = 16;
const ADAM_STEPS: usize = 100;
/// Root mean squares of the free parameters of rotations and projections after [`ADAM_STEPS`], for
/// [`SIZES`] in millionths: what PyTorch draws its parameters with. Compared with ours in every run.
const SPREADS: [[usize; 2]; 4] =
    [[25_989, 30_368], [13_352, 18_209], [5_222, 5_663], [4_450, 5_845]];

fn wave(shape: [usize; 4], speed: f32, device: &Device) -> Tensor<4> {
    let values: Vec<f32> =
        (0..shape.iter().product()).map(|i: usize| (i as f32 * speed).sin()).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A layer with an optimizer and a batch, after a hundred steps of Adam.
struct Trained<L> {
    layer: L,
    optimizer: ModuleOptimizer,
    input: Tensor<4>,
    target: Tensor<4>,
}

impl<L: Module> Trained<L> {
    fn new(layer: L, channels: usize, size: usize) -> Self {
        let device = Device::flex().autodiff();
        let shape = [BATCH, channels, size, size];
        let (input, target) = (wave(shape, 0.7311, &device), wave(shape, 0.3917, &device));
        Self { layer, optimizer: AdamConfig::new().init(), input, target }
    }

    /// Forward, backward to the input and the parameters, and Adam.
    fn step(mut self, forward: impl Fn(&L, Tensor<4>) -> Tensor<4>) -> Self {
        let input = self.input.clone().require_grad();
        let loss = (forward(&self.layer, input) * self.target.clone()).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &self.layer);
        self.layer = self.optimizer.step(1e-3, self.layer, gradients);
        self
    }
}

fn orthogonal(channels: usize) -> OrthogonalConv2d {
    let config = OrthogonalConv2dConfig::new([channels; 2], [3, 3]).with_seed(Some(0));
    config.init(&Device::flex().autodiff())
}

fn plain(channels: usize) -> Conv2d {
    Conv2dConfig::new([channels; 2], [3, 3])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .with_bias(false)
        .init(&Device::flex().autodiff())
}

fn trained(channels: usize, size: usize) -> Trained<OrthogonalConv2d> {
    let start = Trained::new(orthogonal(channels), channels, size);
    (0..ADAM_STEPS).fold(start, |state, _| state.step(OrthogonalConv2d::forward))
}

/// Root mean square of the live entries, those below the diagonal.
fn spread(free: &Param<Tensor<3>>) -> f64 {
    let free = free.val().inner();
    let [matrices, rows, columns] = free.dims();
    let live = matrices * (columns * (rows - columns) + columns * (columns - 1) / 2);
    let squares = free.tril(-1).powi_scalar(2).sum().into_scalar::<f64>();
    (squares / live as f64).sqrt()
}

/// Says how large the parameters are on both sides.
///
/// # Panics
/// If they differ by more than a tenth.
fn compare_parameters(layer: &OrthogonalConv2d, theirs: [usize; 2], channels: usize) {
    let filter = layer.parameters().main();
    let projections = filter.projections().expect("a kernel of 3x3 has projections");
    let ours = [spread(filter.rotations()), spread(projections)];
    let theirs = theirs.map(|millionths| millionths as f64 * 1e-6);
    println!(
        "{channels} channels: root mean square of the free parameters of rotations and projections \
         {ours:.6?} here, {theirs:.6?} in PyTorch"
    );
    let near = ours.iter().zip(theirs).all(|(ours, theirs)| (ours / theirs - 1.0).abs() < 0.1);
    assert!(near, "SPREADS: {channels} channels: expected {ours:?}, got {theirs:?}");
}

/// Multiply-adds of a kernel's composition, forward and backward: six exponentials with four products
/// and one squaring each, of which four are needed in half their columns in the last product; bases,
/// taps and the product of the axes.
fn composition(n: f64) -> f64 {
    3.0 * n.powi(3) * (6.0 * 5.0 - 2.0 + 4.0 + 2.0 * 3.0 + 9.0)
}

/// The kernel's composition with its gradient, against PyTorch.
pub fn rows(machine: &Machine) -> Vec<Row> {
    let sizes = SIZES.into_iter().zip(SPREADS);
    sizes.map(|((channels, size), spreads)| kernel(machine, channels, size, spreads)).collect()
}

fn kernel(machine: &Machine, channels: usize, size: usize, spreads: [usize; 2]) -> Row {
    let layer: Rc<OnceCell<OrthogonalConv2d>> = Rc::default();
    let device = Device::flex().autodiff();
    let cotangent = wave([channels, channels, 3, 3], 0.5, &device);
    Row {
        name: format!("orthogonal kernel 3x3 with gradient, {channels} channels"),
        pytorch: format!("orthogonal_kernel {channels} {} {}", spreads[0], spreads[1]),
        against: "torch.matrix_exp of each matrix, taps and products as in the paper".into(),
        floor: machine.floor(0.0, 2.0 * composition(channels as f64)),
        ours: Box::new(move || {
            let layer = layer.get_or_init(|| {
                let layer = trained(channels, size).layer;
                compare_parameters(&layer, spreads, channels);
                layer
            });
            let gradients = (layer.kernel() * cotangent.clone()).sum().backward();
            std::hint::black_box(GradientsParams::from_grads(gradients, layer));
        }),
    }
}

/// Median seconds of two sides, in turns.
fn compare(mut ours: impl FnMut(), mut theirs: impl FnMut()) -> [f64; 2] {
    let time = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    (0..3).for_each(|_| {
        ours();
        theirs();
    });
    let mut times = [Vec::new(), Vec::new()];
    let start = Instant::now();
    while times[0].len() < 20 || start.elapsed().as_secs_f64() < 2.0 {
        times[0].push(time(&mut ours));
        times[1].push(time(&mut theirs));
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    })
}

/// Whole steps and cached evaluation against Burn's own convolution.
pub fn against_plain(machine: &Machine, filter: &str) {
    let name = "orthogonal step";
    if !name.contains(filter) && !filter.contains(name) {
        return;
    }
    let milliseconds = |seconds: f64| format!("{:.2}", seconds * 1e3);
    let mut lines = Vec::new();
    for (channels, size) in SIZES {
        let n = channels as f64;
        let mut ours = Some(trained(channels, size));
        let mut theirs = Some(Trained::new(plain(channels), channels, size));
        let [here, there] = compare(
            || ours = ours.take().map(|state| state.step(OrthogonalConv2d::forward)),
            || theirs = theirs.take().map(|state| state.step(Conv2d::forward)),
        );
        let peaks = [
            memory::peak(|| ours = ours.take().map(|state| state.step(OrthogonalConv2d::forward))),
            memory::peak(|| theirs = theirs.take().map(|state| state.step(Conv2d::forward))),
        ];
        let pixels = (BATCH * size * size) as f64;
        let floor = machine.floor(0.0, 2.0 * (composition(n) + 27.0 * n * n * pixels));
        let (layer, input) = {
            let state = ours.expect("put back by every step");
            (state.layer.valid(), state.input.inner())
        };
        let plain = layer.to_conv2d();
        let [cached, circular] = compare(
            || drop(layer.forward(input.clone())),
            || drop(plain.forward(layer.pad(input.clone()))),
        );
        let megabytes = |bytes: usize| format!("{:.0}", bytes as f64 / 1e6);
        lines.push(vec![
            format!("{name}, {channels} channels, {size}x{size}, batch {BATCH}"),
            milliseconds(here),
            milliseconds(there),
            format!("{:.2}", here / there),
            milliseconds(floor.as_secs_f64()),
            megabytes(peaks[0]),
            megabytes(peaks[1]),
            milliseconds(cached),
            format!("{:.2}", cached / circular),
        ]);
    }
    let header = [
        "case",
        "here ms",
        "Burn's zero-padded Conv2d ms",
        "ratio",
        "floor ms",
        "peak MB",
        "Conv2d's peak MB",
        "cached evaluation ms",
        "to a circular-padded Conv2d",
    ];
    println!("{}", table(&header, &lines));
}
