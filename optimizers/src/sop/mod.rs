//! SOP and SOP+: robust training under label noise by over-parameterization.
//!
//! Every training sample `i` owns a scalar `u_i` and a vector `v_i` that soak up the part of its
//! given label which the network cannot explain:
//!
//! ```text
//! U_i = clamp(u_i^2 * y_i, 0, 1)         grows to 1 where the given label is wrong
//! V_i = clamp(v_i^2 * (1 - y_i), 0, 1)   grows to 1 at the class the label should have been
//! q   = max(p + U - V, eps),  r = clamp(q / sum(q), eps, 1)
//! CE  = -mean_i sum_k y_ik log r_ik
//! MSE =  mean_i |h_i + U_i - V_i - y_i|^2,   h = one_hot(argmax logits)
//! L   = CE + MSE [+ balance * B(r)] [+ consistency * KL(p || p2)]     (SOP+)
//! ```
//!
//! The network learns from the first term as usual; `u` and `v` take plain gradient steps of their
//! own. Because the squares grow multiplicatively from a tiny start, only persistent
//! disagreements become large: implicit sparsity. No clean data and no noise rate are needed.
//!
//! # Which step sizes
//! | data | `init_std` | `lr_u` | `lr_v` | preset |
//! |---|---|---|---|---|
//! | CIFAR-10 scale, 100+ epochs | 1e-8 | 10 | 10 | [`SopPreset::Cifar10`] |
//! | CIFAR-100, symmetric noise | 1e-8 | 1 | 10 | [`SopPreset::Cifar100Symmetric`] |
//! | CIFAR-100, asymmetric noise | 1e-8 | 0.1 | 100 | [`SopPreset::Cifar100Asymmetric`] |
//! | the same with the routing `Paper` | 1e-8 | 1 | 100 | [`SopPreset::Cifar100AsymmetricPaper`] |
//! | pretrained network, few epochs | 1e-8 | 0.1 | 1 | [`SopPreset::Pretrained`] |
//! | small network or data set that memorizes within a few epochs | 1e-2 | 10 | 10 | [`SopPreset::SmallData`] |
//!
//! `lr_u` and `lr_v` multiply the gradient of a batch mean: keep `lr / batch_size` constant when the
//! batch size moves away from the paper's 128, or set [`SopConfig::per_sample`] and divide the
//! table's values by 128. From 1e-8 a small `lr_u` is too slow for a network that memorizes within
//! a few epochs (take `lr_u = 100`, or start at 1e-2); a large `lr_u * init_std` flags too many
//! samples. With `lr_v > batch_size / 4` the entries of `v` overshoot 1.
//!
//! # A plain training loop
//! ```
//! use burn::nn::LinearConfig;
//! use burn::optim::{GradientsParams, SgdConfig};
//! use burn::tensor::{Device, Int, Tensor};
//! use firebrick_optimizers::sop::{LabelFingerprint, SopConfig};
//!
//! let device = Device::flex().autodiff();
//! let given_labels = [0, 1, 1, 0]; // some of them wrong
//! let mut network = LinearConfig::new(3, 2).init(&device);
//! let mut optimizer = SgdConfig::new().init();
//! let mut sop = SopConfig::new(LabelFingerprint::of(&given_labels, 2)).init(&device);
//! # let images = Tensor::<2>::ones([2, 3], &device);
//!
//! let indices = Tensor::<1, Int>::from_data([2, 0], &device); // positions in the training set
//! let labels = Tensor::<1, Int>::from_data([1, 0], &device);
//! let output = sop.forward(indices, network.forward(images), labels);
//! let gradients = GradientsParams::from_grads(output.loss.backward(), &network);
//! network = optimizer.step(0.02, network, gradients);
//! sop = sop.apply(output.update); // plain gradient step on the batch's rows of u and v
//! let scores = sop.scores(); // near 1: the label is probably wrong
//! ```
//!
//! # With Burn's `Learner`
//! Make the state a field of the model, so that checkpoints hold it, and hand the row update from
//! `step` to `optimize` through [`PendingUpdates`]:
//! ```
//! use burn::module::Module;
//! use burn::nn::Linear;
//! use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
//! use burn::optim::{GradientsParams, ModuleOptimizer};
//! use burn::tensor::{Int, Tensor};
//! use burn::train::{ClassificationOutput, TrainOutput, TrainStep};
//! use firebrick_optimizers::sop::{PendingUpdates, Sop};
//!
//! #[derive(Clone, Debug)]
//! struct Batch { images: Tensor<2>, labels: Tensor<1, Int>, indices: Tensor<1, Int> }
//!
//! #[derive(Module, Debug)]
//! struct Model { network: Linear, sop: Sop, #[module(skip)] pending: PendingUpdates }
//!
//! impl TrainStep for Model {
//!     type Input = Batch;
//!     type Output = ClassificationOutput;
//!     fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
//!         let logits = self.network.forward(batch.images);
//!         let output = self.sop.forward(batch.indices, logits.clone(), batch.labels.clone());
//!         self.pending.push(output.update);
//!         let gradients = output.loss.backward();
//!         TrainOutput::new(self, gradients, ClassificationOutput::new(output.loss, logits, batch.labels))
//!     }
//!     fn optimize(mut self, optimizer: &mut ModuleOptimizer, lr: ModuleLearningRate, gradients: GradientsParams) -> Self {
//!         self.sop = self.sop.apply_pending(&self.pending);
//!         optimizer.step(lr, self, gradients)
//!     }
//! }
//! ```
//!
//! # Very many samples
//! `v` takes `4 N K` bytes: 4 GB for a million samples of a thousand classes. [`SparseSop`]
//! ([`SopConfig::init_sparse`]) has the same calls and keeps only what has left its start, on the
//! host; neither it nor [`Sop::forward`] ever makes a gradient of `N x K`.
//!
//! # Notes
//! The default [`SopRouting::Joint`] follows the authors' code, in which `u` learns from both
//! terms and the squares are clamped; [`SopRouting::Paper`] is Algorithm 1. The balance term acts
//! on the corrected distribution `r`, as in the code (the paper: on the network's output). SOP+
//! has no mixup. The scalar `u_i` is the one entry of the paper's vector that is ever used.
//!
//! # References
//! S. Liu, Z. Zhu, Q. Qu, C. You, *Robust Training under Label Noise by Over-parameterization*,
//! ICML 2022 (PMLR 162), arXiv:2202.14026; Algorithm 1 for the routing `Paper`.

mod config;
mod gradients;
mod loss;
mod rows;
mod sparse;
mod sparse_file;
mod state;

pub use config::{LabelFingerprint, SopConfig, SopPreset, SopRouting};
pub use loss::{SopOutput, SopTerms};
pub use sparse::SparseSop;
pub use state::{PendingUpdates, Sop, SopUpdate};
