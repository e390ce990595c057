//! The checks, generic over the type.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicIsize, Ordering};

use burn::module::{ModuleVisitor, Param};
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::store::ModuleRecord;
use burn::tensor::{Device, Tensor};

use crate::devices::{self, Named};
use crate::subjects::Subject;

/// Counts the bytes that are allocated and not yet freed.
pub struct CountingAllocator;

static LIVE: AtomicIsize = AtomicIsize::new(0);

#[allow(unsafe_code)]
// SAFETY: every call is handed on to the system's allocator unchanged; the counter has no effect
// on the memory.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as for the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as for the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The subjects run one after another: the count of live bytes belongs to the process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs every check of a subject on every chosen device.
pub fn all<S: Subject>(name: &str) {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let devices = devices::chosen();
    for named in &devices {
        let device = named.device.clone().autodiff();
        println!("{name} on {}", named.name);
        saves_and_loads::<S>(&device, &devices);
        resumes_exactly::<S>(&device, named);
        agrees_in_valid_and_no_grad::<S>(&device);
        moves_between_devices::<S>(&device, &devices);
        clones_are_independent::<S>(&device);
        trains_in_two_threads::<S>(&device, named);
        if named.is_host() {
            does_not_grow_in_memory::<S>(&device);
        }
    }
}

struct Trained<S> {
    module: S,
    optimizer: ModuleOptimizer,
}

impl<S: Subject> Trained<S> {
    fn new(module: S) -> Self {
        Self { module, optimizer: S::optimizer() }
    }

    fn steps(mut self, steps: std::ops::Range<usize>) -> Self {
        for step in steps {
            self.module = self.module.train_step(&mut self.optimizer, step);
        }
        self
    }
}

fn bytes_of<S: Subject>(module: &S) -> burn::tensor::Bytes {
    module.clone().into_record().into_bytes().expect("a record can be written")
}

fn load<S: Subject>(bytes: &burn::tensor::Bytes, device: &Device) -> S {
    let bytes = burn::tensor::Bytes::from_bytes_vec(bytes.to_vec());
    let record = ModuleRecord::from_bytes(bytes).expect("a record can be read");
    S::init(device).load_record(record)
}

fn assert_close(what: &str, expected: &[f32], found: &[f32], tolerance: f32) {
    assert_eq!(expected.len(), found.len(), "{what}: number of outputs");
    for (index, (a, b)) in expected.iter().zip(found).enumerate() {
        let close = (a - b).abs() <= tolerance * (1.0 + a.abs());
        assert!(close, "{what}: output {index}: expected {a}, found {b}");
    }
}

/// Rounding between backends; zero on one and the same host backend.
const ACROSS: f32 = 1e-4;

fn same_device(named: &Named) -> f32 {
    if named.is_host() { 0.0 } else { 1e-6 }
}

fn saves_and_loads<S: Subject>(device: &Device, devices: &[Named]) {
    let trained = Trained::new(S::init(device)).steps(0..3);
    let bytes = bytes_of(&trained.module);
    let expected = trained.module.output();
    for other in devices {
        let loaded: S = load(&bytes, &other.device.clone().autodiff());
        assert_close(&format!("loaded on {}", other.name), &expected, &loaded.output(), ACROSS);
        Trained::new(loaded).steps(3..4);
    }
}

fn resumes_exactly<S: Subject>(device: &Device, named: &Named) {
    let half = Trained::new(S::init(device)).steps(0..3);
    let module = bytes_of(&half.module);
    let optimizer = half.optimizer.to_record().into_bytes().expect("a record can be written");
    let whole = half.steps(3..6).module.output();

    let record = OptimizerRecord::from_bytes(optimizer).expect("a record can be read");
    let resumed = Trained {
        module: load::<S>(&module, device),
        optimizer: S::optimizer().load_record(record),
    };
    let resumed = resumed.steps(3..6).module.output();
    assert_close("resumed", &whole, &resumed, same_device(named));
}

struct CountTracked(usize);

impl ModuleVisitor for CountTracked {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 += usize::from(param.val().is_require_grad());
    }
}

fn tracked<S: Subject>(module: &S) -> usize {
    let mut count = CountTracked(0);
    module.visit(&mut count);
    count.0
}

fn agrees_in_valid_and_no_grad<S: Subject>(device: &Device) {
    let module = Trained::new(S::init(device)).steps(0..2).module;
    let expected = module.output();
    assert!(tracked(&module) > 0, "a module in training has parameters that require gradients");
    let valid = module.valid();
    assert!(!valid.devices()[0].is_autodiff(), "valid() leaves autodiff");
    assert_close("valid()", &expected, &valid.output(), 1e-6);
    let frozen = module.no_grad();
    assert_eq!(tracked(&frozen), 0, "no_grad() leaves no parameter that requires gradients");
    assert_close("no_grad()", &expected, &frozen.output(), 1e-6);
}

fn moves_between_devices<S: Subject>(device: &Device, devices: &[Named]) {
    let module = Trained::new(S::init(device)).steps(0..2).module;
    let expected = module.output();
    for other in devices {
        let moved = module.clone().fork(&other.device.clone().autodiff());
        assert_close(&format!("moved to {}", other.name), &expected, &moved.output(), ACROSS);
        Trained::new(moved).steps(2..3);
    }
}

fn clones_are_independent<S: Subject>(device: &Device) {
    let original = Trained::new(S::init(device)).steps(0..1).module;
    let expected = original.output();
    let changed = Trained::new(original.clone()).steps(1..4).module;
    assert_eq!(original.output(), expected, "training a clone changed the original");
    assert_ne!(changed.output(), expected, "training changes the output");
}

fn trains_in_two_threads<S: Subject>(device: &Device, named: &Named) {
    let start = S::init(device);
    let bytes = bytes_of(&start);
    let run = |module: S| Trained::new(module).steps(0..5).module.output();
    let expected = run(load(&bytes, device));
    let outputs: Vec<Vec<f32>> = std::thread::scope(|scope| {
        let spawn = |_| {
            let module: S = load(&bytes, device);
            scope.spawn(move || run(module))
        };
        let threads: Vec<_> = (0..2).map(spawn).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    for output in outputs {
        assert_close("in a thread", &expected, &output, same_device(named));
    }
}

fn does_not_grow_in_memory<S: Subject>(device: &Device) {
    let warm = Trained::new(S::init(device)).steps(0..50);
    let before = LIVE.load(Ordering::Relaxed);
    let after_more = warm.steps(50..250);
    let growth = LIVE.load(Ordering::Relaxed) - before;
    drop(after_more);
    // 64 KiB over 200 steps is 300 bytes a step, less than one leaked tensor each.
    assert!(growth < 64 * 1024, "200 steps left {growth} bytes behind");
}
