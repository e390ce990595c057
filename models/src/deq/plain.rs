//! Copies without autodiff.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Bool, Int, Tensor};

/// Values with a copy that has left autodiff: tensors, tuples, lists and options of them.
///
/// For a module, implement it by [`without_autodiff`].
pub trait Plain: Clone + Send + Sync + 'static {
    /// The copy.
    fn plain(&self) -> Self;
}

struct ToInner;

impl ModuleMapper for ToInner {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, value, _) = parameter.consume();
        Param::initialized(id, value.inner()).set_require_grad(false)
    }
}

/// The module with its parameters taken out of autodiff and everything else as it is.
///
/// [`Module::valid`] would switch off what works during training only, and [`Module::no_grad`] leaves the
/// parameters on the autodiff device.
///
/// # Example
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use firebrick_models::deq::without_autodiff;
///
/// let layer = LinearConfig::new(2, 3).init(&Device::flex().autodiff());
/// assert!(!without_autodiff(&layer).weight.val().is_autodiff());
/// ```
pub fn without_autodiff<M: Module>(module: &M) -> M {
    module.clone().map(&mut ToInner)
}

macro_rules! tensors {
    ($($kind:ty),*) => {$(
        impl<const D: usize> Plain for Tensor<D, $kind> {
            fn plain(&self) -> Self {
                self.clone().without_autodiff()
            }
        }
    )*};
}

tensors!(burn::tensor::Float, Int, Bool);

impl Plain for () {
    fn plain(&self) {}
}

impl<P: Plain> Plain for Option<P> {
    fn plain(&self) -> Self {
        self.as_ref().map(P::plain)
    }
}

impl<P: Plain> Plain for Vec<P> {
    fn plain(&self) -> Self {
        self.iter().map(P::plain).collect()
    }
}

macro_rules! tuple {
    ($($part:ident $index:tt),*) => {
        impl<$($part: Plain),*> Plain for ($($part,)*) {
            fn plain(&self) -> Self {
                ($(self.$index.plain(),)*)
            }
        }
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
