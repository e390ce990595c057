//! Where a kernel reads and writes: padding, stride, dilation, groups.

use burn::module::Content;
use burn::tensor::Tensor;
use burn::tensor::module::{conv_transpose2d, conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use firebrick_ops::circular::{circular_fold, circular_pad};

use super::OrthogonalPadding;

/// Geometry of a convolution `image -> image / stride`; a transposed layer runs it backwards.
#[derive(Clone, Debug)]
pub(super) struct Geometry {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    pub groups: usize,
    pub padding: OrthogonalPadding,
}

impl Geometry {
    /// Of a layer of sequences, which are images of height 1.
    ///
    /// # Panics
    /// If explicit padding would give the sequence a height.
    pub fn of_sequences(
        name: &str,
        [kernel, stride, dilation]: [usize; 3],
        groups: usize,
        padding: OrthogonalPadding,
    ) -> Self {
        if let OrthogonalPadding::Explicit([height, width]) = padding {
            assert!(
                height == 0,
                "{name}: explicit padding of a sequence must be Explicit([0, {width}]), got \
                 {padding:?}"
            );
        }
        let (kernel, stride, dilation) = ([1, kernel], [1, stride], [1, dilation]);
        Self { kernel, stride, dilation, groups, padding }
    }

    /// Extent of the kernel.
    fn extent(&self, axis: usize) -> usize {
        self.dilation[axis] * (self.kernel[axis] - 1) + 1
    }

    /// Padding before and behind the image, per axis.
    pub fn padding(&self) -> [(usize, usize); 2] {
        [0, 1].map(|axis| {
            let (extent, stride) = (self.extent(axis), self.stride[axis]);
            match self.padding {
                OrthogonalPadding::Circular | OrthogonalPadding::Same => {
                    let front = extent / 2 - stride / 2;
                    (front, extent - stride - front)
                }
                OrthogonalPadding::Full => ((extent - 1) / stride * stride, extent - stride),
                OrthogonalPadding::Explicit(size) => (size[axis], size[axis]),
            }
        })
    }

    fn front_back(&self) -> ([usize; 2], [usize; 2]) {
        let padding = self.padding();
        (padding.map(|(front, _)| front), padding.map(|(_, back)| back))
    }

    /// The circular padding that goes before a plain convolution; other paddings change nothing.
    pub fn pad(&self, input: Tensor<4>) -> Tensor<4> {
        if self.padding != OrthogonalPadding::Circular {
            return input;
        }
        let (front, back) = self.front_back();
        circular_pad(input, front, back)
    }

    /// Padding that the plain convolution after [`pad`](Self::pad) does itself.
    pub fn zeros(&self) -> [(usize, usize); 2] {
        match self.padding {
            OrthogonalPadding::Circular => [(0, 0); 2],
            _ => self.padding(),
        }
    }

    /// Adds the attributes that all convolutions show.
    pub fn display(&self, content: Content, channels: [usize; 2], bias: bool) -> Content {
        content
            .add("ch_in", &channels[0])
            .add("ch_out", &channels[1])
            .add_debug_attribute("kernel_size", &self.kernel)
            .add_debug_attribute("stride", &self.stride)
            .add_debug_attribute("dilation", &self.dilation)
            .add("groups", &self.groups)
            .add_debug_attribute("padding", &self.padding)
            .add("bias", &bias)
    }

    /// The convolution.
    pub fn apply(&self, name: &str, input: Tensor<4>, kernel: Tensor<4>) -> Tensor<4> {
        let [_, channels, height, width] = input.dims();
        let expected = kernel.dims()[1] * self.groups;
        check_channels(name, channels, expected);
        self.check_image(name, [height, width]);
        let (stride, dilation) = (self.stride, self.dilation);
        let options = ConvOptions::new_with_padding(stride, self.zeros(), dilation, self.groups);
        conv2d(self.pad(input), kernel, None, options)
    }

    fn check_image(&self, name: &str, image: [usize; 2]) {
        if matches!(self.padding, OrthogonalPadding::Explicit(_)) {
            return;
        }
        let fits = [0, 1].iter().all(|&a| image[a] > 0 && image[a].is_multiple_of(self.stride[a]));
        assert!(
            fits,
            "{name}: the image's height and width must be positive multiples of the stride {:?} \
             under {:?} padding, got {image:?}",
            self.stride, self.padding
        );
    }

    /// The adjoint of [`apply`](Self::apply).
    ///
    /// Of the images that `apply` can have made `output` from, explicit padding takes the smallest.
    pub fn adjoint(&self, name: &str, output: Tensor<4>, kernel: Tensor<4>) -> Tensor<4> {
        let spread = self.spread(name, output, kernel);
        let [_, _, height, width] = spread.dims();
        if self.padding == OrthogonalPadding::Circular {
            return self.fold(spread);
        }
        let (front, back) = self.front_back();
        let size = [height, width];
        let kept = [0, 1].map(|a| size[a].saturating_sub(front[a] + back[a]));
        assert!(
            kept.iter().all(|&kept| kept > 0),
            "{name}: no image gives an output of this size under {:?} padding",
            self.padding
        );
        spread.narrow(2, front[0], kept[0]).narrow(3, front[1], kept[1])
    }

    /// Folds a transposed convolution onto the periodic image; other paddings change nothing.
    pub fn fold(&self, spread: Tensor<4>) -> Tensor<4> {
        if self.padding != OrthogonalPadding::Circular {
            return spread;
        }
        let (front, back) = self.front_back();
        circular_fold(spread, front, back)
    }

    /// The transposed convolution without folding or cropping.
    pub fn spread(&self, name: &str, output: Tensor<4>, kernel: Tensor<4>) -> Tensor<4> {
        check_channels(name, output.dims()[1], kernel.dims()[0]);
        let (stride, dilation) = (self.stride, self.dilation);
        let options = ConvTransposeOptions::new(stride, [0, 0], [0, 0], dilation, self.groups);
        conv_transpose2d(output, kernel, None, options)
    }
}

pub(super) fn check_channels(name: &str, found: usize, expected: usize) {
    assert!(found == expected, "{name}: input must have {expected} channels, got {found}");
}
