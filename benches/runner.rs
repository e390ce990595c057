//! The protocol: both sides interleaved, warm-up 3, at least 20 repeats and 2 seconds, medians.
//!
//! Times are wall time. Beside them stands the CPU time of each side's process, all threads, per
//! repeat: the mean over all repeats of a row.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use burn::tensor::{Device, Distribution, Tensor};
use firebrick_harness::claims::table;
use rayon::prelude::*;

const WARM_UP: usize = 3;
const REPEATS: usize = 20;
const SECONDS: f64 = 2.0;
/// Repeats of one side before the other's turn.
const TURN: usize = 5;

/// One comparison.
pub struct Row {
    /// What is measured.
    pub name: String,
    /// Name and arguments of the case in `worker.py`.
    pub pytorch: String,
    /// What PyTorch runs, for the table.
    pub against: String,
    /// One repeat on our side.
    pub ours: Box<dyn FnMut()>,
    /// Time below which this machine cannot do the work.
    pub floor: Duration,
}

/// The command line: `--threads N` and `--rows TEXT`.
pub struct Options {
    threads: usize,
    rows: String,
}

impl Options {
    pub fn parse() -> anyhow::Result<Self> {
        let mut options = Self { threads: 1, rows: String::new() };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word.as_str() {
                "--threads" => options.threads = value()?.parse().context("--threads")?,
                "--rows" => options.rows = value()?,
                "--bench" => {}
                other => anyhow::bail!("unknown flag {other}; known: --threads N, --rows TEXT"),
            }
        }
        Ok(options)
    }

    /// The text that a case's name must contain.
    pub fn filter(&self) -> &str {
        &self.rows
    }

    pub fn set_threads(&self) -> anyhow::Result<()> {
        rayon::ThreadPoolBuilder::new().num_threads(self.threads).build_global()?;
        Ok(())
    }
}

/// What the machine can do at best, measured at the start of the run.
pub struct Machine {
    bytes_per_second: f64,
    operations_per_second: f64,
}

impl Machine {
    pub fn measure() -> Self {
        let device = Device::flex();
        let n = 768;
        let random = || Tensor::<2>::random([n, n], Distribution::Default, &device);
        let (a, b) = (random(), random());
        let matmul = best(|| drop(a.clone().matmul(b.clone())));
        let bytes_per_second = bandwidth();
        Self { bytes_per_second, operations_per_second: 2.0 * (n as f64).powi(3) / matmul }
    }

    /// The larger of bytes over bandwidth and operations over peak.
    pub fn floor(&self, bytes: f64, operations: f64) -> Duration {
        let seconds = (bytes / self.bytes_per_second).max(operations / self.operations_per_second);
        Duration::from_secs_f64(seconds)
    }
}

/// Bytes per second of memory, on all threads of the run: the better of a copy (2 accesses per
/// element) and an update in place (3), because which of them is limited by memory alone depends on
/// the machine.
fn bandwidth() -> f64 {
    const LEN: usize = 16 << 20;
    const PART: usize = 1 << 16;
    let source = vec![1.0f32; LEN];
    let mut target = vec![0.0f32; LEN];
    let mut pass = |work: fn(&mut [f32], &[f32])| {
        best(|| {
            let source = std::hint::black_box(&source);
            let parts = target.par_chunks_mut(PART).zip(source.par_chunks(PART));
            parts.for_each(|(target, source)| work(target, source));
            std::hint::black_box(&mut target);
        })
    };
    let copy = pass(|target, source| target.copy_from_slice(source));
    let update = pass(|target, source| {
        target.iter_mut().zip(source).for_each(|(target, source)| *target += source);
    });
    4.0 * LEN as f64 * (2.0 / copy).max(3.0 / update)
}

fn best(mut work: impl FnMut()) -> f64 {
    (0..7).map(|_| time(&mut work)).fold(f64::INFINITY, f64::min)
}

fn time(work: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// A PyTorch process that times cases on request.
struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// `None` if there is no Python with PyTorch.
    fn start(threads: usize) -> Option<Self> {
        let python = std::env::var("FIREBRICK_PYTHON").unwrap_or_else(|_| "python3".into());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/pytorch/worker.py");
        let mut child = Command::new(python)
            .args([script, &threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let (input, output) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        let mut worker = Self { child, input, output };
        worker.ask("hello").ok().filter(|answer| answer.starts_with("torch")).map(|version| {
            println!("PyTorch: {version}, {threads} thread(s)");
            worker
        })
    }

    fn ask(&mut self, request: &str) -> anyhow::Result<String> {
        writeln!(self.input, "{request}")?;
        self.input.flush()?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        Ok(answer.trim().to_string())
    }

    /// Repeats a case: the wall time of each, and the CPU time of all.
    fn times(&mut self, case: &str, repeats: usize) -> anyhow::Result<(Vec<f64>, f64)> {
        let answer = self.ask(&format!("time {repeats} {case}"))?;
        let read = || answer.split_whitespace().map(|word| word.parse::<f64>()).collect();
        let numbers: Result<Vec<f64>, _> = read();
        let wrong = || format!("worker.py answered '{answer}' to '{case}'");
        let mut times = numbers.with_context(wrong)?;
        let cpu = times.pop().with_context(wrong)?;
        Ok((times, cpu))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn run(options: &Options, machine: &Machine, rows: Vec<Row>) -> anyhow::Result<()> {
    println!(
        "this machine: {:.1} GB/s, {:.0} GFLOP/s (matmul) on {} thread(s)",
        machine.bytes_per_second / 1e9,
        machine.operations_per_second / 1e9,
        options.threads
    );
    let mut worker = Worker::start(options.threads);
    if worker.is_none() {
        println!(
            "PyTorch not found: python3 -m venv venv && venv/bin/pip install torch, \
             then FIREBRICK_PYTHON=venv/bin/python"
        );
    }
    let header = [
        "case",
        "here ms (min)",
        "PyTorch ms (min)",
        "ratio",
        "CPU ms here",
        "CPU ms PyTorch",
        "CPU ratio",
        "floor ms",
        "PyTorch runs",
    ];
    let mut lines = Vec::new();
    for row in rows.into_iter().filter(|row| row.name.contains(&options.rows)) {
        lines.push(measure(row, worker.as_mut())?);
    }
    println!("{}", table(&header, &lines));
    Ok(())
}

fn measure(mut row: Row, mut worker: Option<&mut Worker>) -> anyhow::Result<Vec<String>> {
    (0..WARM_UP).for_each(|_| (row.ours)());
    if let Some(worker) = worker.as_mut() {
        worker.times(&row.pytorch, WARM_UP)?;
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut our_cpu, mut their_cpu) = (0.0, 0.0);
    let start = Instant::now();
    while ours.len() < REPEATS || start.elapsed().as_secs_f64() < SECONDS {
        let before = cpu_seconds();
        ours.extend((0..TURN).map(|_| time(&mut row.ours)));
        our_cpu += cpu_seconds() - before;
        if let Some(worker) = worker.as_mut() {
            let (times, cpu) = worker.times(&row.pytorch, TURN)?;
            theirs.extend(times);
            their_cpu += cpu;
        }
    }
    let (our_cpu, their_cpu) = (our_cpu / ours.len() as f64, their_cpu / theirs.len() as f64);
    let (here, here_min) = median_min(&mut ours);
    let show = |median: f64, min: f64| format!("{:.3} ({:.3})", median * 1e3, min * 1e3);
    let mut line = vec![row.name, show(here, here_min)];
    if theirs.is_empty() {
        line.extend(["-".into(), "-".into(), format!("{:.3}", our_cpu * 1e3)]);
        line.extend(["-".into(), "-".into()]);
    } else {
        let (there, there_min) = median_min(&mut theirs);
        line.extend([show(there, there_min), format!("{:.2}", here / there)]);
        line.extend([our_cpu, their_cpu].map(|seconds| format!("{:.3}", seconds * 1e3)));
        line.push(format!("{:.2}", our_cpu / their_cpu));
    }
    line.extend([format!("{:.4}", row.floor.as_secs_f64() * 1e3), row.against]);
    Ok(line)
}

/// CPU time of this process, all threads; NaN where there is no such clock.
#[cfg(unix)]
fn cpu_seconds() -> f64 {
    #[allow(unsafe_code)]
    mod c {
        // SAFETY: C's `clock` takes nothing, touches no memory of ours and may be called at any time.
        unsafe extern "C" {
            pub safe fn clock() -> std::ffi::c_long;
        }
    }
    // POSIX has a million ticks per second, whatever the real resolution is.
    c::clock() as f64 * 1e-6
}

#[cfg(not(unix))]
fn cpu_seconds() -> f64 {
    f64::NAN
}

fn median_min(times: &mut [f64]) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[0])
}
