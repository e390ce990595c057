//! What every layer, network and state of the workspace must do, on every backend.
//!
//! To add a type, implement [`Subject`] for it in `subjects.rs` and add a line to the table below.
//! `$FIREBRICK_DEVICES` chooses the devices, by default `flex`.
#![recursion_limit = "256"]

mod checks;
mod deq;
#[path = "../support/devices.rs"]
mod devices;
mod optimizers;
mod orthogonal;
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
    adai => optimizers::AdaiSubject,
    aoc_conv2d => firebrick::models::orthogonal::alternatives::AocConv2d,
    bcop_conv2d => firebrick::models::orthogonal::alternatives::BcopConv2d,
    bjorck_linear => firebrick::models::orthogonal::Pointwise<firebrick::models::orthogonal::alternatives::BjorckLinear>,
    cayley_conv2d => firebrick::models::orthogonal::alternatives::CayleyConv2d,
    cayley_linear => firebrick::models::orthogonal::Pointwise<firebrick::models::orthogonal::alternatives::CayleyLinear>,
    co_teaching => subjects::CoTeachingSubject,
    deq_layer => firebrick::models::deq::DeqLayer,
    early_learning => subjects::EarlyLearningSubject,
    efld_quantized => optimizers::EfldQuantizedSubject,
    efld_sgld => optimizers::EfldSgldSubject,
    efld_sign => optimizers::EfldSignSubject,
    generalized_cross_entropy => subjects::GeneralizedCrossEntropySubject,
    householder_linear => firebrick::models::orthogonal::Pointwise<firebrick::models::orthogonal::alternatives::HouseholderLinear>,
    mlp => subjects::MlpSubject,
    noisy_label_early_learning => subjects::EarlyLearningLearnerSubject,
    noisy_label_learner => subjects::LearnerSubject,
    orthogonal_conv1d => firebrick::models::orthogonal::OrthogonalConv1d,
    orthogonal_conv2d => firebrick::models::orthogonal::OrthogonalConv2d,
    orthogonal_conv2d_folded => orthogonal::FoldedSubject,
    orthogonal_conv_transpose1d => firebrick::models::orthogonal::OrthogonalConvTranspose1d,
    orthogonal_conv_transpose2d => firebrick::models::orthogonal::OrthogonalConvTranspose2d,
    orthogonal_linear => firebrick::models::orthogonal::OrthogonalLinear,
    patch_network => subjects::PatchNetworkSubject,
    rko_conv2d => firebrick::models::orthogonal::alternatives::RkoConv2d,
    small_cnn => subjects::SmallCnnSubject,
    soc_conv2d => firebrick::models::orthogonal::alternatives::SocConv2d,
    sop => subjects::SopSubject,
    sop_plus_paper => subjects::SopPlusSubject,
    svcm_conv2d => firebrick::models::orthogonal::alternatives::SvcmConv2d,
    symmetric_cross_entropy => subjects::SymmetricCrossEntropySubject,
}
