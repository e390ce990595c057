//! What Adai remembers of one parameter.

use burn::optim::{RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor, TensorData};

/// State of one parameter, in the parameter's shape; in 32 bits, or 64 for a 64-bit parameter.
#[derive(Clone, Debug)]
pub struct AdaiState<const D: usize> {
    /// Number of steps in which the parameter had a gradient.
    pub time: usize,
    /// First moment `m`.
    pub moment_1: Tensor<D>,
    /// Second moment `v`, without bias correction.
    pub moment_2: Tensor<D>,
    /// One minus the product of all inertias `beta_1`, by which `m` is biased.
    pub correction: Tensor<D>,
    /// Sum of all elements of `moment_2`, `[1]`, from which the next step takes its mean.
    pub moment_2_sum: Tensor<1>,
}

pub(super) const MOMENT_1: &str = "moment_1";
pub(super) const MOMENT_2: &str = "moment_2";
pub(super) const CORRECTION: &str = "correction";
pub(super) const TIME: &str = "time";
const MOMENT_2_SUM: &str = "moment_2_sum";

impl<const D: usize> AdaiState<D> {
    pub(super) fn zeros_like(gradient: &Tensor<D>) -> Self {
        let zeros = || gradient.zeros_like();
        Self {
            time: 0,
            moment_1: zeros(),
            moment_2: zeros(),
            correction: zeros(),
            moment_2_sum: Tensor::zeros([1], (&gradient.device(), gradient.dtype())),
        }
    }

    pub(super) fn moved_to(self, device: &Device) -> Self {
        Self {
            time: self.time,
            moment_1: self.moment_1.to_device(device),
            moment_2: self.moment_2.to_device(device),
            correction: self.correction.to_device(device),
            moment_2_sum: self.moment_2_sum.to_device(device),
        }
    }

    pub(super) fn check(&self, gradient: &Tensor<D>) {
        assert!(
            self.moment_1.dims() == gradient.dims(),
            "Adai: the state of a parameter must have its gradient's shape {:?}, got {:?}; was a \
             record of another model loaded?",
            gradient.dims(),
            self.moment_1.dims()
        );
    }
}

/// By hand, because the derived form reads every tensor in the default float type, and a 64-bit
/// state would not resume exactly.
impl<const D: usize> RecordState for AdaiState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_scalar(prefix, TIME, self.time.into());
        for (name, tensor) in
            [(MOMENT_1, &self.moment_1), (MOMENT_2, &self.moment_2), (CORRECTION, &self.correction)]
        {
            out.push_tensor(prefix, name, tensor.to_data());
        }
        out.push_tensor(prefix, MOMENT_2_SUM, self.moment_2_sum.to_data());
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        fn tensor<const D: usize>(data: TensorData, device: &Device) -> Option<Tensor<D>> {
            let dtype = data.dtype();
            (data.rank() == D).then(|| Tensor::from_data(data, (device, dtype)))
        }
        Some(Self {
            time: src.take_scalar(prefix, TIME)?.try_into().ok()?,
            moment_1: tensor(src.take_tensor(prefix, MOMENT_1)?, device)?,
            moment_2: tensor(src.take_tensor(prefix, MOMENT_2)?, device)?,
            correction: tensor(src.take_tensor(prefix, CORRECTION)?, device)?,
            moment_2_sum: tensor(src.take_tensor(prefix, MOMENT_2_SUM)?, device)?,
        })
    }
}
