//! What a fixed point can be made of.

use std::fmt::Debug;

use burn::tensor::Tensor;

/// A batch of states: a tensor, a tuple or a list of tensors.
///
/// Axis 0 is the batch. A tensor `[batch, a, b, ..]` is `batch` rows of `a b ..` numbers; a tensor
/// `[n]` is `n` samples of one number. Several tensors lie side by side in a row, so that norms are
/// those of the whole state.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use firebrick_ops::fixed_point::State;
///
/// let device = Device::flex();
/// let state = (Tensor::<3>::zeros([4, 2, 5], &device), Tensor::<1>::ones([4], &device));
/// let layout = state.layout();
/// let rows = state.into_rows();
/// assert_eq!(rows.dims(), [4, 11]);
/// let (first, second) = State::from_rows(rows, &layout);
/// let (_first, _second): (Tensor<3>, Tensor<1>) = (first, second);
/// ```
pub trait State: Clone {
    /// The shapes of the parts.
    type Layout: Clone + PartialEq + Debug + Send + Sync + 'static;

    /// The shapes of the parts.
    fn layout(&self) -> Self::Layout;

    /// Rows and numbers per row of this layout.
    fn size(layout: &Self::Layout) -> [usize; 2];

    /// The state as a matrix with one row per sample.
    ///
    /// # Panics
    /// If the parts differ in their number of samples.
    fn into_rows(self) -> Tensor<2>;

    /// The inverse of [`into_rows`](Self::into_rows).
    fn from_rows(rows: Tensor<2>, layout: &Self::Layout) -> Self;
}

impl<const D: usize> State for Tensor<D> {
    type Layout = [usize; D];

    fn layout(&self) -> [usize; D] {
        self.dims()
    }

    fn size(layout: &[usize; D]) -> [usize; 2] {
        [layout[0], layout[1..].iter().product()]
    }

    fn into_rows(self) -> Tensor<2> {
        let size = Self::size(&self.dims());
        self.reshape(size)
    }

    fn from_rows(rows: Tensor<2>, layout: &[usize; D]) -> Self {
        rows.reshape(*layout)
    }
}

fn beside(parts: Vec<Tensor<2>>) -> Tensor<2> {
    let samples = parts.first().map_or(0, |part| part.dims()[0]);
    for (index, part) in parts.iter().enumerate() {
        let found = part.dims()[0];
        assert!(
            found == samples,
            "state: part {index} must have {samples} samples as part 0 has, got {found}"
        );
    }
    Tensor::cat(parts, 1)
}

macro_rules! tuple {
    ($($part:ident $index:tt),*) => {
        impl<$($part: State),*> State for ($($part,)*) {
            type Layout = ($($part::Layout,)*);

            fn layout(&self) -> Self::Layout {
                ($(self.$index.layout(),)*)
            }

            fn size(layout: &Self::Layout) -> [usize; 2] {
                let sizes = [$($part::size(&layout.$index)),*];
                [sizes[0][0], sizes.iter().map(|size| size[1]).sum()]
            }

            fn into_rows(self) -> Tensor<2> {
                beside(vec![$(self.$index.into_rows()),*])
            }

            fn from_rows(rows: Tensor<2>, layout: &Self::Layout) -> Self {
                let mut start = 0;
                ($({
                    let width = $part::size(&layout.$index)[1];
                    let part = rows.clone().narrow(1, start, width);
                    start += width;
                    let _ = start;
                    $part::from_rows(part, &layout.$index)
                },)*)
            }
        }
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, E 3);

impl<S: State> State for Vec<S> {
    type Layout = Vec<S::Layout>;

    fn layout(&self) -> Self::Layout {
        self.iter().map(S::layout).collect()
    }

    fn size(layout: &Self::Layout) -> [usize; 2] {
        let width = layout.iter().map(|part| S::size(part)[1]).sum();
        [layout.first().map_or(0, |part| S::size(part)[0]), width]
    }

    fn into_rows(self) -> Tensor<2> {
        assert!(!self.is_empty(), "state: a list of tensors must not be empty");
        beside(self.into_iter().map(S::into_rows).collect())
    }

    fn from_rows(rows: Tensor<2>, layout: &Self::Layout) -> Self {
        let mut start = 0;
        layout
            .iter()
            .map(|part| {
                let width = S::size(part)[1];
                start += width;
                S::from_rows(rows.clone().narrow(1, start - width, width), part)
            })
            .collect()
    }
}
