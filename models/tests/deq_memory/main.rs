//! Peak memory of a training step against the number of allowed iterations, with an allocator that counts.
#![recursion_limit = "256"]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};

use burn::tensor::{Device, Tensor, TensorData};
use firebrick_models::deq::{DeqConfig, DeqGradient, DeqLayer, DeqLayerConfig};
use firebrick_ops::fixed_point::{AndersonConfig, BroydenConfig, FixedPointConfig, Solver};

struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);

#[allow(unsafe_code)]
// SAFETY: every call is handed on to the system's allocator unchanged; the counters have no effect on the
// memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live =
            LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed) + layout.size() as isize;
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: as for the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as for the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const BATCH: usize = 64;
const WIDTH: usize = 128;
const STATE: f64 = (BATCH * WIDTH * 4) as f64;

struct Step {
    layer: DeqLayer,
    x: Tensor<2>,
}

impl Step {
    fn new() -> Self {
        let device = Device::flex().autodiff();
        let layer = DeqLayerConfig::new(16, WIDTH).with_seed(Some(1)).init(&device);
        let values: Vec<f32> = (0..BATCH * 16).map(|i| (i as f32 * 0.37).sin()).collect();
        Self { layer, x: Tensor::from_data(TensorData::new(values, [BATCH, 16]), &device) }
    }

    /// States above what was live before, at the highest point of a forward and a backward pass.
    fn peak(&self, config: &DeqConfig) -> f64 {
        let deq = config.init();
        let run = || {
            let loss = self.layer.forward(&deq, self.x.clone()).state.square().mean();
            std::hint::black_box(self.layer.cell.weight.grad(&loss.backward()));
        };
        (0..2).for_each(|_| run());
        let before = LIVE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        run();
        (PEAK.load(Ordering::Relaxed) - before) as f64 / STATE
    }

    /// All allowed steps are made, in both directions.
    fn solver(&self, solver: Solver, steps: usize) -> f64 {
        let solver = solver.with_max_steps(steps).with_tolerance(0.0);
        self.peak(&DeqConfig::new().with_forward(solver.clone()).with_backward(solver))
    }
}

/// One test: the counters belong to the process.
#[test]
fn memory_does_not_grow_with_the_number_of_allowed_iterations() {
    let step = Step::new();
    for solver in [Solver::from(FixedPointConfig::new()), AndersonConfig::new().into()] {
        let [few, many] = [10, 160].map(|steps| step.solver(solver.clone(), steps));
        println!("{solver:?}: {few:.1} states at 10 steps, {many:.1} at 160");
        assert!((many - few).abs() < 5.0, "{solver:?}: {few:.1} and {many:.1} states");
    }
    let broyden = |memory: usize, steps: usize| {
        step.solver(BroydenConfig::new().with_memory(Some(memory)).into(), steps)
    };
    let [few, many, more] = [broyden(8, 10), broyden(8, 160), broyden(20, 160)];
    println!(
        "Broyden: {few:.1} states at 10 steps with 8 terms, {many:.1} at 160, {more:.1} with 20 terms"
    );
    assert!((many - few).abs() < 5.0, "Broyden with 8 terms: {few:.1} and {many:.1} states");
    assert!(
        (more - many - 24.0).abs() < 5.0,
        "Broyden: 12 terms more took {:.1} states",
        more - many
    );
    // The test sees what it is about: recorded iterations do grow.
    let unrolled =
        |steps| step.peak(&DeqConfig::new().with_gradient(DeqGradient::Unrolled { steps }));
    let [few, many] = [unrolled(10), unrolled(160)];
    println!("unrolled: {few:.1} states at 10 steps, {many:.1} at 160");
    assert!(many - few > 150.0, "unrolled: {few:.1} and {many:.1} states");
}
