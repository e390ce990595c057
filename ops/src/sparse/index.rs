//! A list of indices with its copies on devices.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::tensor::{Device, IntTensor};
use burn::backend::{Backend, TensorData, get_or_init_device_settings};

/// Indices below 2^31. The tensors of a device are made at first use and kept; Flex, whose kernels read
/// the list itself, makes none.
#[derive(Clone)]
pub(crate) struct Index {
    values: Arc<Vec<u32>>,
    tensors: Arc<Mutex<Vec<Box<dyn Any + Send + Sync>>>>,
}

/// What the cache holds for one backend and device.
struct OnDevice<B: Backend> {
    device: Device<B>,
    tensor: IntTensor<B>,
}

impl Index {
    pub fn new(values: Vec<u32>) -> Self {
        Self { values: Arc::new(values), tensors: Arc::default() }
    }

    /// `0, 1, .., len - 1`
    pub fn identity(len: usize) -> Self {
        Self::new((0..len as u32).collect())
    }

    pub fn values(&self) -> &[u32] {
        &self.values
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// `[len]` on a device.
    pub fn tensor<B: Backend>(&self, device: &Device<B>) -> IntTensor<B> {
        // A panic elsewhere leaves the list whole: an entry is pushed when it is complete.
        let mut tensors = self.tensors.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tensors
            .iter()
            .filter_map(|known| known.downcast_ref::<OnDevice<B>>())
            .find(|known| known.device == *device);
        if let Some(known) = known {
            return known.tensor.clone();
        }
        let values: Vec<i32> = self.values.iter().map(|&value| value as i32).collect();
        let dtype = get_or_init_device_settings::<B>(device).int_dtype;
        let data = TensorData::new(values, [self.len()]).convert_dtype(dtype.into());
        let tensor = B::int_from_data(data, device);
        tensors.push(Box::new(OnDevice::<B> { device: device.clone(), tensor: tensor.clone() }));
        tensor
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} indices", self.len())
    }
}
