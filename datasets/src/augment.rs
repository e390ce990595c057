//! Random views of small images: weak and strong augmentation on the host.
//!
//! A view is a function of the image, the seed, the epoch, the index of the sample and the number of
//! the view, and of nothing else: a resumed run sees the views of the uninterrupted one, on every
//! device. The steps, in this order, each drawn anew for every view:
//!
//! ```text
//! operations   num_operations times one of: rotate, shear along x or y, zoom, contrast,
//!              brightness, posterize, solarize, with random strength
//! shift        pad with zeros, crop: by -shift..=shift pixels along each axis
//! flip         left to right, every second time
//! cutout       a square of zeros whose center lies anywhere in the image
//! ```
//!
//! [`Augmentation::weak`] is shift and perhaps flip, [`Augmentation::strong`] all of them: the two
//! views of SOP+, where the authors take AutoAugment's policy for CIFAR for the operations.
//!
//! # References
//! E. Cubuk, B. Zoph, J. Shlens, Q. Le, *RandAugment*, 2020, for operations without a learned
//! policy; T. DeVries, G. Taylor, *Improved Regularization of CNNs with Cutout*, 2017.
//!
//! # Example
//! ```
//! use firebrick_datasets::augment::{Augmentation, ViewKey};
//! use firebrick_datasets::{LabeledSamples, digits};
//!
//! let set = digits();
//! let weak = Augmentation::weak(set.shape());
//! let key = ViewKey { seed: 0, epoch: 3, index: 7, view: 0 };
//! let view = weak.apply(&set.sample(7), set.shape(), key);
//! assert_eq!(view, weak.apply(&set.sample(7), set.shape(), key));
//! assert_eq!(view.len(), 64);
//! ```

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::random::{Use, epoch_generator};

/// Largest rotation of an operation, in degrees.
const ROTATION: f64 = 30.0;
/// Largest shear of an operation: shift per pixel of the other axis.
const SHEAR: f64 = 0.3;
/// Largest zoom of an operation, as a factor away from 1.
const ZOOM: f64 = 0.2;
/// Largest change of contrast and brightness.
const CONTRAST: f64 = 0.8;
const BRIGHTNESS: f64 = 0.3;

/// What a view depends on besides its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewKey {
    /// Seed of the run.
    pub seed: u64,
    /// Epoch, from 0.
    pub epoch: usize,
    /// Index of the sample in the training set.
    pub index: usize,
    /// Which view of the sample, from 0 to 15.
    pub view: usize,
}

/// Settings of random views; the default changes nothing.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `shift` | 0 | largest shift along each axis, in pixels |
/// | `flip` | `false` | whether every second view is mirrored left to right |
/// | `num_operations` | 0 | random operations per view |
/// | `magnitude` | 1.0 | strength of the operations, from 0 (none) to 1 |
/// | `cutout` | 0 | side of the square of zeros, in pixels |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Augmentation {
    /// Largest shift along each axis, in pixels.
    pub shift: usize,
    /// Whether every second view is mirrored left to right. Not for digits and letters.
    pub flip: bool,
    /// Random operations per view.
    pub num_operations: usize,
    /// Strength of the operations, from 0 (none) to 1.
    pub magnitude: f64,
    /// Side of the square of zeros, in pixels.
    pub cutout: usize,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self { shift: 0, flip: false, num_operations: 0, magnitude: 1.0, cutout: 0 }
    }
}

impl Augmentation {
    /// Shift by an eighth of the smaller side: 4 pixels of 32, 3 of 28, 1 of 8. No flip.
    ///
    /// # Shapes
    /// - shape: `[channels, height, width]`
    pub fn weak(shape: [usize; 3]) -> Self {
        let side = shape[1].min(shape[2]);
        Self { shift: side / 8, ..Self::default() }
    }

    /// The weak view of an image after two operations, with a cutout of half the smaller side.
    ///
    /// # Shapes
    /// - shape: `[channels, height, width]`
    pub fn strong(shape: [usize; 3]) -> Self {
        let side = shape[1].min(shape[2]);
        Self { num_operations: 2, cutout: side / 2, ..Self::weak(shape) }
    }

    /// Sets the largest shift in pixels.
    pub fn with_shift(mut self, shift: usize) -> Self {
        self.shift = shift;
        self
    }

    /// Sets whether every second view is mirrored.
    pub fn with_flip(mut self, flip: bool) -> Self {
        self.flip = flip;
        self
    }

    /// Sets the number of operations per view.
    pub fn with_num_operations(mut self, num_operations: usize) -> Self {
        self.num_operations = num_operations;
        self
    }

    /// Sets the strength of the operations, from 0 to 1.
    pub fn with_magnitude(mut self, magnitude: f64) -> Self {
        self.magnitude = magnitude;
        self
    }

    /// Sets the side of the square of zeros in pixels.
    pub fn with_cutout(mut self, cutout: usize) -> Self {
        self.cutout = cutout;
        self
    }

    /// One view of an image.
    ///
    /// # Shapes
    /// - image: row-major `shape`, values from 0 to 1
    /// - shape: `[channels, height, width]`
    /// - output: as the image
    ///
    /// # Panics
    /// If the image does not have the shape, the strength is not from 0 to 1, or `view` is above 15.
    pub fn apply(&self, image: &[f32], shape: [usize; 3], key: ViewKey) -> Vec<f32> {
        let ViewKey { seed, epoch, index, view } = key;
        let size: usize = shape.iter().product();
        assert!(
            image.len() == size,
            "Augmentation: expected an image of the shape {shape:?}, {size} values, found {}",
            image.len()
        );
        assert!(
            (0.0..=1.0).contains(&self.magnitude),
            "Augmentation: expected a magnitude from 0 to 1, found {}",
            self.magnitude
        );
        assert!(view < 16, "Augmentation: expected a view below 16, found {view}");
        let stream = (index as u64) << 4 | view as u64;
        let mut draw = epoch_generator(Use::Augmentation, seed, epoch as u64, stream);
        let mut values = image.to_vec();
        for _ in 0..self.num_operations {
            values = Operation::draw(self.magnitude, &mut draw).apply(values, shape);
        }
        if self.shift > 0 {
            let reach = self.shift as i64;
            let [down, right] = [0, 1].map(|_| draw.random_range(-reach..=reach));
            values = shifted(&values, shape, down, right);
        }
        if self.flip && draw.random() {
            values.chunks_mut(shape[2].max(1)).for_each(<[f32]>::reverse);
        }
        if self.cutout > 0 {
            cut(&mut values, shape, self.cutout, &mut draw);
        }
        values
    }
}

/// A change of the whole image.
#[derive(Clone, Copy, Debug)]
enum Operation {
    /// Samples the image at `matrix * (position - center) + center`, bilinearly, zeros outside.
    Affine([[f64; 2]; 2]),
    /// Stretches values around their mean.
    Contrast(f32),
    /// Adds to every value.
    Brightness(f32),
    /// Rounds values to a number of levels.
    Posterize(f32),
    /// Inverts values above a threshold.
    Solarize(f32),
}

impl Operation {
    fn draw(magnitude: f64, draw: &mut impl Rng) -> Self {
        let kind = draw.random_range(0..8);
        let strength = magnitude * draw.random_range(-1.0..=1.0_f64);
        let shear = SHEAR * strength;
        match kind {
            0 => {
                let (sin, cos) = (ROTATION * strength).to_radians().sin_cos();
                Self::Affine([[cos, -sin], [sin, cos]])
            }
            1 => Self::Affine([[1.0, 0.0], [shear, 1.0]]),
            2 => Self::Affine([[1.0, shear], [0.0, 1.0]]),
            3 => {
                let factor = 1.0 + ZOOM * strength;
                Self::Affine([[factor, 0.0], [0.0, factor]])
            }
            4 => Self::Contrast((1.0 + CONTRAST * strength) as f32),
            5 => Self::Brightness((BRIGHTNESS * strength) as f32),
            // From 255 levels, which are no change, down to 9.
            6 => Self::Posterize(255.0_f64.powf(1.0 - 0.6 * strength.abs()).round() as f32),
            _ => Self::Solarize((1.0 - 0.5 * strength.abs()) as f32),
        }
    }

    fn apply(self, mut values: Vec<f32>, shape: [usize; 3]) -> Vec<f32> {
        match self {
            Self::Affine(matrix) => return resampled(&values, shape, matrix),
            Self::Contrast(factor) => {
                let mean = values.iter().sum::<f32>() / values.len().max(1) as f32;
                values.iter_mut().for_each(|value| *value = mean + (*value - mean) * factor);
            }
            Self::Brightness(change) => values.iter_mut().for_each(|value| *value += change),
            Self::Posterize(levels) => {
                values.iter_mut().for_each(|value| *value = (*value * levels).round() / levels);
            }
            Self::Solarize(threshold) => {
                let invert = |value: &mut f32| {
                    if *value > threshold {
                        *value = 1.0 - *value;
                    }
                };
                values.iter_mut().for_each(invert);
            }
        }
        values.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
        values
    }
}

/// `matrix` maps positions `(row, column)`, from the center, of the result to those of the image.
fn resampled(values: &[f32], [_, height, width]: [usize; 3], matrix: [[f64; 2]; 2]) -> Vec<f32> {
    let center = [(height as f64 - 1.0) / 2.0, (width as f64 - 1.0) / 2.0];
    let mut output = Vec::with_capacity(values.len());
    for channel in values.chunks((height * width).max(1)) {
        let at = |row: i64, column: i64| {
            let inside = (0..height as i64).contains(&row) && (0..width as i64).contains(&column);
            if inside { channel[row as usize * width + column as usize] } else { 0.0 }
        };
        for row in 0..height {
            for column in 0..width {
                let [y, x] = [row as f64 - center[0], column as f64 - center[1]];
                let from = [0, 1].map(|i| matrix[i][0] * y + matrix[i][1] * x + center[i]);
                let [top, left] = from.map(|position| position.floor() as i64);
                let [down, right] = [(from[0] - top as f64) as f32, (from[1] - left as f64) as f32];
                let upper = at(top, left) * (1.0 - right) + at(top, left + 1) * right;
                let lower = at(top + 1, left) * (1.0 - right) + at(top + 1, left + 1) * right;
                output.push(upper * (1.0 - down) + lower * down);
            }
        }
    }
    output
}

/// The image moved by whole pixels, with zeros where it came from.
fn shifted(values: &[f32], shape: [usize; 3], down: i64, right: i64) -> Vec<f32> {
    let [channels, height, width] = shape;
    let mut output = vec![0.0; values.len()];
    for channel in 0..channels {
        for row in 0..height {
            let from = row as i64 - down;
            if !(0..height as i64).contains(&from) {
                continue;
            }
            let source = &values[(channel * height + from as usize) * width..][..width];
            let target = &mut output[(channel * height + row) * width..][..width];
            let distance = (right.unsigned_abs() as usize).min(width);
            if right >= 0 {
                target[distance..].copy_from_slice(&source[..width - distance]);
            } else {
                target[..width - distance].copy_from_slice(&source[distance..]);
            }
        }
    }
    output
}

/// Sets a square of the given side around a random pixel to zero, in all channels.
fn cut(values: &mut [f32], [_, height, width]: [usize; 3], side: usize, draw: &mut impl Rng) {
    if height == 0 || width == 0 {
        return;
    }
    let range = |center: usize, end: usize| {
        center.saturating_sub(side / 2)..(center + side - side / 2).min(end)
    };
    let rows = range(draw.random_range(0..height), height);
    let columns = range(draw.random_range(0..width), width);
    for channel in values.chunks_mut(height * width) {
        for row in rows.clone() {
            channel[row * width..][columns.clone()].fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHAPE: [usize; 3] = [2, 4, 6];

    fn image() -> Vec<f32> {
        (0..48).map(|value| (value + 1) as f32 / 48.0).collect()
    }

    fn key(epoch: usize, index: usize, view: usize) -> ViewKey {
        ViewKey { seed: 5, epoch, index, view }
    }

    #[test]
    fn the_default_changes_nothing() {
        assert_eq!(Augmentation::default().apply(&image(), SHAPE, key(0, 0, 0)), image());
        let none = Augmentation::default().with_num_operations(3).with_magnitude(0.0);
        let view = none.apply(&image(), SHAPE, key(0, 0, 0));
        assert!(view.iter().zip(image()).all(|(a, b)| (a - b).abs() < 3e-3), "{view:?}");
    }

    #[test]
    fn a_shift_moves_rows_and_columns_and_pads_with_zeros() {
        let values: Vec<f32> = (1..=6).map(|value| value as f32).collect();
        let shape = [1, 2, 3];
        assert_eq!(shifted(&values, shape, 1, 0), [0., 0., 0., 1., 2., 3.]);
        assert_eq!(shifted(&values, shape, 0, -1), [2., 3., 0., 5., 6., 0.]);
        assert_eq!(shifted(&values, shape, -1, 2), [0., 0., 4., 0., 0., 0.]);
        assert_eq!(shifted(&values, shape, 5, 5), [0.0; 6]);
    }

    #[test]
    fn resampling_turns_and_keeps_the_center() {
        let cross = [0., 1., 0., 0., 1., 0., 0., 0., 0.];
        // A quarter turn: the upper arm goes to a side.
        let turned = resampled(&cross, [1, 3, 3], [[0.0, -1.0], [1.0, 0.0]]);
        assert!((turned[4] - 1.0).abs() < 1e-6);
        assert!((turned[3] + turned[5] - 1.0).abs() < 1e-6 && turned[1] == 0.0, "{turned:?}");
        let same = resampled(&cross, [1, 3, 3], [[1.0, 0.0], [0.0, 1.0]]);
        assert_eq!(same, cross);
    }

    #[test]
    fn every_shift_flip_and_cutout_is_seen() {
        let weak = Augmentation::default().with_shift(1).with_flip(true);
        let mut views: Vec<Vec<u32>> = (0..400)
            .map(|epoch| weak.apply(&image(), SHAPE, key(epoch, 1, 0)))
            .map(|view| view.into_iter().map(f32::to_bits).collect())
            .collect();
        views.sort();
        views.dedup();
        assert_eq!(views.len(), 3 * 3 * 2);
        let cut = Augmentation::default().with_cutout(2);
        let zeros = |epoch| {
            let view = cut.apply(&image(), SHAPE, key(epoch, 1, 0));
            view.iter().filter(|value| **value == 0.0).count()
        };
        // A square of 2 x 2 in both channels, cut off at the border.
        assert!((0..200).map(zeros).all(|count| (2..=8).contains(&count)));
        assert!((0..200).any(|epoch| zeros(epoch) == 8));
    }

    #[test]
    fn seed_epoch_index_and_view_each_change_the_view() {
        let strong = Augmentation::strong([1, 8, 8]).with_flip(true);
        let digit: Vec<f32> = (0..64).map(|value| (value * 37 % 64) as f32 / 64.0).collect();
        let view = |key| strong.apply(&digit, [1, 8, 8], key);
        let base = view(key(1, 2, 0));
        assert_eq!(base, view(key(1, 2, 0)));
        for other in [key(2, 2, 0), key(1, 3, 0), key(1, 2, 1)] {
            assert_ne!(base, view(other));
        }
        assert_ne!(base, view(ViewKey { seed: 6, ..key(1, 2, 0) }));
    }

    #[test]
    #[should_panic(expected = "expected an image of the shape [2, 4, 6], 48 values, found 3")]
    fn refuses_an_image_of_another_shape() {
        Augmentation::default().apply(&[0.0; 3], SHAPE, key(0, 0, 0));
    }

    proptest! {
        #[test]
        fn views_stay_in_the_range_of_values(
            height in 0..7_usize, width in 0..7_usize, epoch in 0..1000_usize, shift in 0..9_usize
        ) {
            let shape = [1, height, width];
            let image: Vec<f32> = (0..height * width).map(|i| (i % 5) as f32 / 4.0).collect();
            let strong = Augmentation::strong(shape).with_flip(true).with_shift(shift);
            let view = strong.with_cutout(3).apply(&image, shape, key(epoch, 0, 1));
            prop_assert_eq!(view.len(), image.len());
            prop_assert!(view.iter().all(|value| (-1e-6..=1.0 + 1e-6).contains(value)));
        }
    }
}
