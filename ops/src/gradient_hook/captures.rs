//! What a hook may use, with a check for autodiff.

use std::sync::Arc;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, Int, Tensor};

/// Values that a hook uses: tensors, modules, numbers, and tuples, lists and options of them.
pub trait Captures: Send + Sync + 'static {
    /// Names a part that carries autodiff, if there is one.
    fn autodiff(&self) -> Option<String>;
}

/// A value without tensors.
#[derive(Clone, Copy, Debug)]
pub struct Constant<T>(pub T);

impl<T: Send + Sync + 'static> Captures for Constant<T> {
    fn autodiff(&self) -> Option<String> {
        None
    }
}

/// A module, whose parameters are checked one by one.
#[derive(Clone, Debug)]
pub struct CapturedModule<M>(pub M);

struct FindAutodiff(Option<String>);

impl ModuleVisitor for FindAutodiff {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let value = parameter.val();
        if self.0.is_none() && value.is_autodiff() {
            self.0 = Some(format!("a parameter of shape {:?}", value.dims()));
        }
    }
}

impl<M: Module + Send + Sync + 'static> Captures for CapturedModule<M> {
    fn autodiff(&self) -> Option<String> {
        let mut find = FindAutodiff(None);
        self.0.visit(&mut find);
        find.0
    }
}

macro_rules! tensors {
    ($($kind:ty),*) => {$(
        impl<const D: usize> Captures for Tensor<D, $kind> {
            fn autodiff(&self) -> Option<String> {
                self.is_autodiff().then(|| format!("a tensor of shape {:?}", self.dims()))
            }
        }
    )*};
}

tensors!(burn::tensor::Float, Int, Bool);

impl Captures for () {
    fn autodiff(&self) -> Option<String> {
        None
    }
}

impl Captures for f64 {
    fn autodiff(&self) -> Option<String> {
        None
    }
}

impl<C: Captures> Captures for Option<C> {
    fn autodiff(&self) -> Option<String> {
        self.as_ref().and_then(C::autodiff)
    }
}

impl<C: Captures> Captures for Vec<C> {
    fn autodiff(&self) -> Option<String> {
        self.iter().find_map(C::autodiff)
    }
}

impl<C: Captures> Captures for Arc<C> {
    fn autodiff(&self) -> Option<String> {
        C::autodiff(self)
    }
}

macro_rules! tuple {
    ($($part:ident $index:tt),*) => {
        impl<$($part: Captures),*> Captures for ($($part,)*) {
            fn autodiff(&self) -> Option<String> {
                None$(.or_else(|| self.$index.autodiff()))*
            }
        }
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
