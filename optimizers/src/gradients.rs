//! Operations on all gradients of a module at once.
//!
//! Burn's own clipping takes the norm of one tensor at a time, which changes the direction of the
//! step; [`clip_global_norm`] scales all of them by one factor.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsParams, MultiGradientsParams};
use burn::tensor::{DType, Tensor};
use firebrick_ops::fused::adai::square_sum;

/// The norm of all gradients of `module` together, `[1]`, in at least 32 bits on the device of the
/// first one; `None` if there is no gradient.
pub fn global_norm<M: Module>(module: &M, gradients: &GradientsParams) -> Option<Tensor<1>> {
    let mut visitor = SquareSum { gradients, sum: None };
    module.visit(&mut visitor);
    visitor.sum.map(Tensor::sqrt)
}

/// Multiplies all gradients of `module` by `min(1, max_norm / norm)` with their joint norm.
///
/// The factor stays on the device. A gradient that is not finite makes the norm not finite, and
/// with it gradients that are zero or NaN.
///
/// # Panics
/// If `max_norm` is not positive.
///
/// # Example
/// ```
/// use burn::nn::LinearConfig;
/// use burn::optim::GradientsParams;
/// use burn::tensor::{Device, Tensor};
/// use firebrick_optimizers::gradients::{clip_global_norm, global_norm};
///
/// let device = Device::flex().autodiff();
/// let network = LinearConfig::new(3, 2).init(&device);
/// let loss = network.forward(Tensor::<2>::ones([4, 3], &device)).sum();
/// let gradients = GradientsParams::from_grads(loss.backward(), &network);
/// let gradients = clip_global_norm(&network, gradients, 1.0);
/// let norm = global_norm(&network, &gradients).unwrap().into_scalar::<f32>();
/// assert!((norm - 1.0).abs() < 1e-6);
/// ```
pub fn clip_global_norm<M: Module>(
    module: &M,
    mut gradients: GradientsParams,
    max_norm: f64,
) -> GradientsParams {
    assert!(max_norm > 0.0, "clip_global_norm: max_norm must be positive, got {max_norm}");
    let Some(norm) = global_norm(module, &gradients) else { return gradients };
    let factor = norm.clamp_min(f64::from(f32::MIN_POSITIVE)).recip() * max_norm;
    let factor = factor.clamp_max(1.0);
    module.visit(&mut Scale { gradients: &mut gradients, factor });
    gradients
}

/// Handles to the same gradients.
pub(crate) fn copy_gradients<M: Module>(module: &M, from: &GradientsParams) -> GradientsParams {
    let mut visitor = Copy { from, to: GradientsParams::new() };
    module.visit(&mut visitor);
    visitor.to
}

/// The sum of each parameter's gradients, on the device that Burn chooses.
pub(crate) fn merge_gradients<M: Module>(
    module: &M,
    from: MultiGradientsParams,
) -> GradientsParams {
    let mut visitor = Merge { from, to: GradientsParams::new() };
    module.visit(&mut visitor);
    visitor.to
}

fn wide<const D: usize>(gradient: Tensor<D>) -> Tensor<D> {
    match gradient.dtype() {
        DType::F32 | DType::F64 => gradient,
        _ => gradient.cast(DType::F32),
    }
}

struct SquareSum<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for SquareSum<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        let square = square_sum(wide(gradient), None);
        self.sum = Some(match self.sum.take() {
            Some(sum) => {
                let square = square.to_device(&sum.device()).cast(sum.dtype());
                sum + square
            }
            None => square,
        });
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: Tensor<1>,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.remove::<D>(param.id) else { return };
        let dtype = gradient.dtype();
        let gradient = wide(gradient);
        let factor = self.factor.clone().to_device(&gradient.device()).cast(gradient.dtype());
        let gradient = gradient * factor.reshape([1; D]);
        self.gradients.register(param.id, gradient.cast(dtype));
    }
}

struct Copy<'a> {
    from: &'a GradientsParams,
    to: GradientsParams,
}

impl ModuleVisitor for Copy<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.from.get::<D>(param.id) {
            self.to.register(param.id, gradient);
        }
    }
}

struct Merge {
    from: MultiGradientsParams,
    to: GradientsParams,
}

impl ModuleVisitor for Merge {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some((gradient, _)) = self.from.remove::<D>(param.id) {
            self.to.register(param.id, gradient);
        }
    }
}
