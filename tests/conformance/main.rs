//! What every layer, network and state of the workspace must do, on every backend.
//!
//! To add a type, implement [`Subject`] for it in `subjects.rs` and add a line to the table below.
//! `$FIREBRICK_DEVICES` chooses the devices, by default `flex`.
#![recursion_limit = "256"]

mod checks;
#[path = "../support/devices.rs"]
mod devices;
mod subjects;

#[global_allocator]
static ALLOCATOR: checks::CountingAllocator = checks::CountingAllocator;

/// One test per line: the name and the type.
macro_rules! conformance {
    ($($name:ident => $subject:ty,)*) => {$(
        #[test]
        fn $name() {
            checks::all::<$subject>(stringify!($name));
        }
    )*};
}

conformance! {
    co_teaching => subjects::CoTeachingSubject,
    early_learning => subjects::EarlyLearningSubject,
    generalized_cross_entropy => subjects::GeneralizedCrossEntropySubject,
    mlp => subjects::MlpSubject,
    noisy_label_early_learning => subjects::EarlyLearningLearnerSubject,
    noisy_label_learner => subjects::LearnerSubject,
    small_cnn => subjects::SmallCnnSubject,
    sop => subjects::SopSubject,
    sop_plus_paper => subjects::SopPlusSubject,
    symmetric_cross_entropy => subjects::SymmetricCrossEntropySubject,
}
