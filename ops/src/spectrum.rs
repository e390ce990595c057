//! Singular values of convolutions on a ring, in 64 bits on the host.
//!
//! A convolution with circular padding is diagonal in the Fourier basis up to channels: at each
//! frequency it is one matrix, and its singular values are those of all these matrices together. With
//! a stride the inputs of one output position (one *cell* of `stride x stride` pixels) count as
//! channels, with a dilation the taps lie further apart, and groups are independent convolutions.
//!
//! ```text
//! H(u, v) = sum_j W[j] exp(2 pi i (u q_0(j) / rows + v q_1(j) / columns))      q(j): the tap's cell
//! ```
//!
//! A kernel is orthogonal for every image size if and only if its taps by cell satisfy
//! `sum_j F[j + m]^T F[j] = I` for `m = 0` and `0` for every other `m` ([`RingConv::defect`]); with
//! fewer outputs than inputs the transposed identity takes its place.
//!
//! # References
//! - H. Sedghi, V. Gupta, P. Long, *The Singular Values of Convolutional Layers*, ICLR 2019.
//! - P. P. Vaidyanathan, *Multirate Systems and Filter Banks*, 1993, chapter 14 (the identity).

use std::f64::consts::TAU;

use faer::{Mat, c64};

/// A two-dimensional convolution on a ring: kernel and geometry.
///
/// # Example
/// ```
/// use firebrick_ops::spectrum::RingConv;
///
/// // Two channels that change places and move by one pixel.
/// let mut kernel = vec![0.0; 2 * 2 * 3];
/// kernel[3 + 2] = 1.0;
/// kernel[2 * 3] = 1.0;
/// let conv = RingConv::new(kernel, [2, 2, 1, 3]);
/// assert!(conv.defect() < 1e-15);
/// assert!(conv.singular_values([4, 5]).iter().all(|value| (value - 1.0).abs() < 1e-12));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RingConv {
    kernel: Vec<f64>,
    /// `[out, in / groups, height, width]`
    shape: [usize; 4],
    stride: [usize; 2],
    dilation: [usize; 2],
    groups: usize,
}

impl RingConv {
    /// A convolution with stride, dilation and groups of 1.
    ///
    /// # Shapes
    /// - kernel: `[out, in / groups, height, width]`, row-major
    ///
    /// # Panics
    /// If the kernel has not as many values as its shape asks for, or a size is zero.
    pub fn new(kernel: Vec<f64>, shape: [usize; 4]) -> Self {
        let expected: usize = shape.iter().product();
        assert!(
            kernel.len() == expected && expected > 0,
            "RingConv: kernel must have as many values as its shape {shape:?} and not be empty, \
             got {}",
            kernel.len()
        );
        Self { kernel, shape, stride: [1, 1], dilation: [1, 1], groups: 1 }
    }

    /// Sets the stride, `[height, width]`.
    ///
    /// # Panics
    /// If it is zero.
    #[must_use]
    pub fn with_stride(mut self, stride: [usize; 2]) -> Self {
        assert!(!stride.contains(&0), "RingConv: stride must be positive, got {stride:?}");
        self.stride = stride;
        self
    }

    /// Sets the dilation, `[height, width]`.
    ///
    /// # Panics
    /// If it is zero.
    #[must_use]
    pub fn with_dilation(mut self, dilation: [usize; 2]) -> Self {
        assert!(!dilation.contains(&0), "RingConv: dilation must be positive, got {dilation:?}");
        self.dilation = dilation;
        self
    }

    /// Sets the number of groups.
    ///
    /// # Panics
    /// If it is zero or does not divide the number of outputs.
    #[must_use]
    pub fn with_groups(mut self, groups: usize) -> Self {
        assert!(
            groups > 0 && self.shape[0].is_multiple_of(groups),
            "RingConv: groups must divide the {} outputs, got {groups}",
            self.shape[0]
        );
        self.groups = groups;
        self
    }

    /// All singular values of the convolution on an image of this size, sorted from small to large.
    ///
    /// There are `groups * cells * min(out, in * stride^2)` of them (channels per group), where
    /// `cells` counts the output positions.
    ///
    /// # Panics
    /// If the stride does not divide the image, or the kernel holds NaN.
    pub fn singular_values(&self, image: [usize; 2]) -> Vec<f64> {
        let cells = self.cells(image);
        let mut all = Vec::new();
        for group in 0..self.groups {
            let taps = self.taps(group);
            for (frequency, copies) in half_plane(cells) {
                let values = singular_values(response(&taps, frequency, cells).as_ref());
                (0..copies).for_each(|_| all.extend_from_slice(&values));
            }
        }
        all.sort_by(f64::total_cmp);
        all
    }

    /// How far the kernel is from orthogonal on any image: the largest entry of
    /// `sum_j F[j + m]^T F[j] - delta_m I` over all shifts `m`, or of its transpose if there are fewer
    /// outputs than inputs of a cell.
    ///
    /// Uses real arithmetic only; 0 for an orthogonal kernel, whatever the image size.
    pub fn defect(&self) -> f64 {
        let defects = (0..self.groups).map(|group| defect_of(&self.taps(group)));
        // `f64::max` would drop a NaN.
        defects.fold(0.0, |worst, defect| if defect <= worst { worst } else { defect })
    }

    /// The kernel's matrices with the cell that each belongs to, relative to the output's own.
    fn taps(&self, group: usize) -> Vec<Tap> {
        let [outputs, inputs, height, width] = self.shape;
        let (outputs, phases) = (outputs / self.groups, self.stride[0] * self.stride[1]);
        let mut taps: Vec<Tap> = Vec::new();
        for at in 0..height * width {
            let (row, column) = (at / width, at % width);
            let (cell_row, phase_row) = split(row * self.dilation[0], self.stride[0]);
            let (cell_column, phase_column) = split(column * self.dilation[1], self.stride[1]);
            let (cell, phase) =
                ([cell_row, cell_column], phase_row * self.stride[1] + phase_column);
            let tap = match taps.iter().position(|tap| tap.cell == cell) {
                Some(known) => &mut taps[known],
                None => {
                    taps.push(Tap { cell, matrix: Mat::zeros(outputs, inputs * phases) });
                    taps.last_mut().expect("pushed above")
                }
            };
            for output in 0..outputs {
                for input in 0..inputs {
                    let value = self.kernel
                        [((group * outputs + output) * inputs + input) * height * width + at];
                    tap.matrix[(output, input * phases + phase)] = value;
                }
            }
        }
        taps
    }

    fn cells(&self, image: [usize; 2]) -> [usize; 2] {
        let divides = (0..2).all(|axis| image[axis].is_multiple_of(self.stride[axis]));
        assert!(
            divides && !image.contains(&0),
            "RingConv: the stride {:?} must divide the image, which must not be empty, got {image:?}",
            self.stride
        );
        [image[0] / self.stride[0], image[1] / self.stride[1]]
    }
}

/// One tap of a polyphase kernel.
struct Tap {
    cell: [usize; 2],
    matrix: Mat<f64>,
}

fn split(position: usize, stride: usize) -> (usize, usize) {
    (position / stride, position % stride)
}

/// The matrix of a kernel at one frequency.
fn response(taps: &[Tap], frequency: [usize; 2], cells: [usize; 2]) -> Mat<c64> {
    let (rows, columns) = (taps[0].matrix.nrows(), taps[0].matrix.ncols());
    let mut sum = Mat::<c64>::zeros(rows, columns);
    for tap in taps {
        let turn = phase(frequency, tap.cell, cells);
        for column in 0..columns {
            for row in 0..rows {
                sum[(row, column)] += turn * tap.matrix[(row, column)];
            }
        }
    }
    sum
}

/// `exp(2 pi i sum_a frequency_a position_a / cells_a)`, with the turns reduced in integers.
pub fn phase(frequency: [usize; 2], position: [usize; 2], cells: [usize; 2]) -> c64 {
    let turn =
        |axis: usize| (frequency[axis] * position[axis] % cells[axis]) as f64 / cells[axis] as f64;
    let angle = TAU * (turn(0) + turn(1));
    c64::new(angle.cos(), angle.sin())
}

/// The frequencies of a real signal up to sign, with the number (1 or 2) of frequencies that each
/// stands for.
pub fn half_plane(cells: [usize; 2]) -> Vec<([usize; 2], usize)> {
    let mut chosen = Vec::new();
    for row in 0..cells[0] {
        for column in 0..cells[1] {
            let mirror = [(cells[0] - row) % cells[0], (cells[1] - column) % cells[1]];
            match [row, column].cmp(&mirror) {
                std::cmp::Ordering::Less => chosen.push(([row, column], 2)),
                std::cmp::Ordering::Equal => chosen.push(([row, column], 1)),
                std::cmp::Ordering::Greater => {}
            }
        }
    }
    chosen
}

/// The singular values of a complex matrix, from large to small.
///
/// # Panics
/// If the matrix holds NaN or infinities.
pub fn singular_values(matrix: faer::MatRef<'_, c64>) -> Vec<f64> {
    matrix.singular_values().unwrap_or_else(|error| {
        panic!(
            "singular_values: the matrix must be finite, and the decomposition failed: {error:?}"
        )
    })
}

fn defect_of(taps: &[Tap]) -> f64 {
    let tall = taps[0].matrix.nrows() >= taps[0].matrix.ncols();
    let size = taps[0].matrix.nrows().min(taps[0].matrix.ncols());
    let mut shifts: Vec<([isize; 2], Mat<f64>)> = vec![([0, 0], -Mat::<f64>::identity(size, size))];
    for left in taps {
        for right in taps {
            let difference = |axis: usize| left.cell[axis] as isize - right.cell[axis] as isize;
            let shift = [difference(0), difference(1)];
            let (a, b) = (&left.matrix, &right.matrix);
            let product = if tall { a.transpose() * b } else { a * b.transpose() };
            match shifts.iter().position(|(known, _)| *known == shift) {
                Some(known) => shifts[known].1 += product,
                None => shifts.push((shift, product)),
            }
        }
    }
    let mut worst = 0.0;
    for (_, sum) in &shifts {
        for column in 0..size {
            for row in 0..size {
                let value = sum[(row, column)].abs();
                // Written so that a NaN stays.
                worst = if value <= worst { worst } else { value };
            }
        }
    }
    worst
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn random(conv: &RingConv, seed: u64) -> RingConv {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let kernel = conv.kernel.iter().map(|_| rng.random_range(-1.0..1.0)).collect();
        RingConv { kernel, ..conv.clone() }
    }

    /// The dense matrix, from the definition of a convolution.
    fn dense(conv: &RingConv, [height, width]: [usize; 2]) -> Mat<f64> {
        let [outputs, inputs, rows, columns] = conv.shape;
        let [down, right] = conv.stride;
        let (h, w) = (height / down, width / right);
        let mut matrix = Mat::zeros(outputs * h * w, inputs * conv.groups * height * width);
        for output in 0..outputs {
            let group = output / (outputs / conv.groups);
            for (input, y, x) in (0..inputs * h * w).map(|at| (at / (h * w), at / w % h, at % w)) {
                for (a, b) in (0..rows * columns).map(|at| (at / columns, at % columns)) {
                    let row = (y * down + a * conv.dilation[0]) % height;
                    let column = (x * right + b * conv.dilation[1]) % width;
                    let from = ((group * inputs + input) * height + row) * width + column;
                    let tap = ((output * inputs + input) * rows + a) * columns + b;
                    matrix[((output * h + y) * w + x, from)] += conv.kernel[tap];
                }
            }
        }
        matrix
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn agrees_with_the_dense_matrix(
            channels in (1usize..4, 1usize..4), kernel in (1usize..5, 1usize..4),
            stride in (1usize..3, 1usize..3), dilation in (1usize..3, 1usize..3),
            cells in (1usize..4, 1usize..4), groups in 1usize..3, seed in any::<u64>(),
        ) {
            let shape = [channels.0 * groups, channels.1, kernel.0, kernel.1];
            let conv = RingConv::new(vec![0.0; shape.iter().product()], shape)
                .with_stride([stride.0, stride.1])
                .with_dilation([dilation.0, dilation.1])
                .with_groups(groups);
            let conv = random(&conv, seed);
            let image = [cells.0 * stride.0, cells.1 * stride.1];
            let found = conv.singular_values(image);
            let mut expected = dense(&conv, image).singular_values().unwrap();
            expected.reverse();
            prop_assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!((found - expected).abs() < 1e-10, "{found} and {expected}");
            }
        }
    }

    #[test]
    fn haar_wavelet_is_orthogonal_with_stride_and_not_without() {
        let half = 0.5;
        #[rustfmt::skip]
        let kernel = vec![
            half, half, half, half,   half, -half, half, -half,
            half, half, -half, -half,   half, -half, -half, half,
        ];
        let wavelet = RingConv::new(kernel, [4, 1, 2, 2]);
        assert!((wavelet.defect() - 3.0).abs() < 1e-15, "{}", wavelet.defect());
        let wavelet = wavelet.with_stride([2, 2]);
        assert!(wavelet.defect() < 1e-15);
        assert!(wavelet.singular_values([4, 6]).iter().all(|value| (value - 1.0).abs() < 1e-14));
    }

    #[test]
    fn defect_of_nan_is_nan() {
        assert!(RingConv::new(vec![1.0, f64::NAN], [1, 2, 1, 1]).defect().is_nan());
    }

    #[test]
    fn frequencies_cover_the_plane_once() {
        for cells in [[1, 1], [2, 3], [4, 4], [5, 1], [3, 6]] {
            let count: usize = half_plane(cells).iter().map(|(_, copies)| copies).sum();
            assert_eq!(count, cells[0] * cells[1], "{cells:?}");
        }
    }

    #[test]
    #[should_panic(expected = "the stride [2, 1] must divide the image")]
    fn refuses_an_image_that_the_stride_does_not_divide() {
        RingConv::new(vec![1.0], [1, 1, 1, 1]).with_stride([2, 1]).singular_values([3, 3]);
    }
}
