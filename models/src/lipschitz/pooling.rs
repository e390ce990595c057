//! Pooling with Lipschitz constant 1: the sum of a window over the root of its size.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;

/// Settings of [`NormPool2d`].
#[derive(Config, Debug)]
pub struct NormPool2dConfig {
    /// Height and width of the window, and its steps.
    pub kernel_size: [usize; 2],
}

impl NormPool2dConfig {
    /// Creates the pooling.
    ///
    /// # Panics
    /// If the window is empty.
    pub fn init(&self) -> NormPool2d {
        assert!(
            !self.kernel_size.contains(&0),
            "NormPool2dConfig: kernel_size must be positive, got {:?}",
            self.kernel_size
        );
        NormPool2d { kernel_size: self.kernel_size }
    }
}

/// Sums of disjoint windows over the root of their size, `sqrt(K0 K1)` times their mean.
///
/// For a square window of `K x K` this is the sum divided by `K`. The rows of its matrix are orthonormal:
/// it keeps norms of gradients and shrinks those of images that vary within a window.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_models::lipschitz::NormPool2dConfig;
///
/// let pool = NormPool2dConfig::new([2, 2]).init();
/// let y = pool.forward(Tensor::ones([1, 1, 4, 4], &Device::flex()));
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [2.0; 4]);
/// ```
#[derive(Module, Debug)]
pub struct NormPool2d {
    #[module(skip)]
    kernel_size: [usize; 2],
}

impl NormPool2d {
    /// Height and width of the window.
    pub fn kernel_size(&self) -> [usize; 2] {
        self.kernel_size
    }

    /// Applies the pooling.
    ///
    /// # Shapes
    /// - input: `[batch, channels, height, width]`
    /// - output: `[batch, channels, height / K0, width / K1]`
    ///
    /// # Panics
    /// If the window does not divide the image.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = input.dims();
        let [rows, columns] = self.kernel_size;
        assert!(
            height > 0 && width > 0 && height.is_multiple_of(rows) && width.is_multiple_of(columns),
            "NormPool2d: the image's height and width must be positive multiples of the window \
             {rows}x{columns}, got {height}x{width}"
        );
        let options = AvgPoolOptions::new(self.kernel_size).with_stride(self.kernel_size);
        avg_pool2d(input, options) * ((rows * columns) as f64).sqrt()
    }
}
