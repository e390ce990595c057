//! Vector instructions that are chosen at run time.

/// Runs loops with the widest vector instructions that the machine has.
///
/// Only what is inlined into `work` takes part, so `work` is a closure with `#[inline(always)]`, and
/// so are the functions it calls. A product and a sum never become one rounding: results are the
/// same on every machine.
#[inline(always)]
pub(crate) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}
