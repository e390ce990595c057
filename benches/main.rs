//! Firebrick against PyTorch on this machine, in one run.
//!
//! ```text
//! cargo bench --bench main -- [--threads 1] [--rows sop]
//! ```
//! PyTorch is found through `$FIREBRICK_PYTHON` (default `python3`); without it its columns show
//! `-`. `benches/pytorch/worker.py` is the other side.
#![recursion_limit = "256"]

mod adai;
mod deq;
mod efld;
mod graphs;
mod lagnn;
mod lipschitz;
mod losses;
mod memory;
mod momentum;
mod orthogonal;
mod residual_flow;
mod rows;
mod runner;
mod temporal;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

fn main() -> anyhow::Result<()> {
    let options = runner::Options::parse()?;
    options.set_threads()?;
    let machine = runner::Machine::measure();
    let mut rows = rows::all(&machine);
    rows.extend(adai::rows(&machine));
    rows.extend(momentum::rows(&machine));
    rows.extend(efld::all(&machine));
    rows.extend(losses::all(&machine));
    rows.extend(orthogonal::rows(&machine));
    rows.extend(deq::rows(&machine));
    rows.extend(graphs::rows(&machine));
    rows.extend(lagnn::rows(&machine));
    rows.extend(residual_flow::rows(&machine));
    rows.extend(lipschitz::rows(&machine));
    rows.extend(temporal::rows(&machine));
    runner::run(&options, &machine, rows)?;
    orthogonal::against_plain(&machine, options.filter());
    deq::memory(options.filter());
    Ok(())
}
