//! What every layer, network and state of the workspace must do, on every backend.
//!
//! To add a type, implement [`Subject`] for it in `subjects.rs` and add a line to the table below.
//! `$FIREBRICK_DEVICES` chooses the devices, by default `flex`.
#![recursion_limit = "256"]

mod checks;
mod deq;
#[path = "../support/devices.rs"]
mod devices;
mod graphs;
mod lipschitz;
mod local_augmentation;
mod optimizers;
mod orthogonal;
mod residual_flow;
mod subjects;
mod temporal;
mod temporal_baselines;

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
    augmented_gat => firebrick::models::graph::local_augmentation::AugmentedGat,
    augmented_gcn => firebrick::models::graph::local_augmentation::AugmentedGcn,
    augmented_gcnii => firebrick::models::graph::local_augmentation::AugmentedGcnii,
    augmented_sage => firebrick::models::graph::local_augmentation::AugmentedSage,
    bcop_conv2d => firebrick::models::orthogonal::alternatives::BcopConv2d,
    bjorck_linear => firebrick::models::orthogonal::Pointwise<firebrick::models::orthogonal::alternatives::BjorckLinear>,
    cayley_conv2d => firebrick::models::orthogonal::alternatives::CayleyConv2d,
    cayley_linear => firebrick::models::orthogonal::Pointwise<firebrick::models::orthogonal::alternatives::CayleyLinear>,
    cheb_conv => firebrick::models::graph::ChebConv,
    co_teaching => subjects::CoTeachingSubject,
    dcrnn => firebrick::models::temporal::Dcrnn,
    deq_layer => firebrick::models::deq::DeqLayer,
    dysat => firebrick::models::temporal::Dysat,
    early_learning => subjects::EarlyLearningSubject,
    efld_quantized => optimizers::EfldQuantizedSubject,
    efld_sgld => optimizers::EfldSgldSubject,
    efld_sign => optimizers::EfldSignSubject,
    evolve_gcn_h => firebrick::models::temporal::EvolveGcnH,
    evolve_gcn_o => firebrick::models::temporal::EvolveGcnO,
    flow_of_images => firebrick::models::generative::residual_flow::ImageFlow,
    flow_of_vectors => firebrick::models::generative::residual_flow::VectorFlow,
    gat => firebrick::models::graph::Gat,
    gat_conv_with_edges => firebrick::models::graph::GatConv,
    gatv2_conv => firebrick::models::graph::Gatv2Conv,
    gcn => firebrick::models::graph::Gcn,
    gcn_gru => firebrick::models::temporal::GcnGru,
    gcnii => firebrick::models::graph::Gcnii,
    gcrn => firebrick::models::temporal::Gcrn,
    generalized_cross_entropy => subjects::GeneralizedCrossEntropySubject,
    gin_conv => firebrick::models::graph::GinConv,
    gine_conv => firebrick::models::graph::GineConv,
    grand => firebrick::models::graph::local_augmentation::Grand,
    graph_sage => firebrick::models::graph::GraphSage,
    householder_activation => lipschitz::HouseholderSubject,
    householder_linear => firebrick::models::orthogonal::Pointwise<firebrick::models::orthogonal::alternatives::HouseholderLinear>,
    graph_gru => firebrick::models::temporal::GraphGru,
    lip_convnet => lipschitz::ChainSubject,
    mlp => subjects::MlpSubject,
    multi_class_hinge => lipschitz::HingeSubject,
    neighbor_cvae => firebrick::models::graph::local_augmentation::NeighborCvae,
    noisy_label_early_learning => subjects::EarlyLearningLearnerSubject,
    noisy_label_learner => subjects::LearnerSubject,
    orthogonal_cnn => lipschitz::CnnSubject,
    orthogonal_conv1d => firebrick::models::orthogonal::OrthogonalConv1d,
    orthogonal_conv2d => firebrick::models::orthogonal::OrthogonalConv2d,
    orthogonal_conv2d_folded => orthogonal::FoldedSubject,
    orthogonal_conv_transpose1d => firebrick::models::orthogonal::OrthogonalConvTranspose1d,
    orthogonal_conv_transpose2d => firebrick::models::orthogonal::OrthogonalConvTranspose2d,
    orthogonal_linear => firebrick::models::orthogonal::OrthogonalLinear,
    orthogonal_resnet => lipschitz::ResNetSubject,
    orthogonal_shufflenet => lipschitz::ShuffleNetSubject,
    patch_network => subjects::PatchNetworkSubject,
    rko_conv2d => firebrick::models::orthogonal::alternatives::RkoConv2d,
    sgc_conv => firebrick::models::graph::SgcConv,
    small_cnn => subjects::SmallCnnSubject,
    soc_conv2d => firebrick::models::orthogonal::alternatives::SocConv2d,
    sop => subjects::SopSubject,
    sop_plus_paper => subjects::SopPlusSubject,
    spectral_norm => firebrick::models::deq::SpectralNorm,
    svcm_conv2d => firebrick::models::orthogonal::alternatives::SvcmConv2d,
    symmetric_cross_entropy => subjects::SymmetricCrossEntropySubject,
    time_then_graph => firebrick::models::temporal::TimeThenGraph,
    weight_norm => firebrick::models::deq::WeightNorm<2>,
}
