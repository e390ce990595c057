//! PNG pictures of fields of numbers, side by side.

use std::path::Path;

use anyhow::{Result, ensure};
use image::{ImageFormat, Rgb, RgbImage};

use crate::run::write_atomically;
use crate::sheet::{ADVANCE, LINE, draw_text};

/// Fields are enlarged by a whole factor to about this many pixels.
const PICTURE: usize = 360;
const GAP: usize = 14;
const INK: Rgb<u8> = Rgb([60, 60, 60]);
/// What is not a number.
const NOTHING: Rgb<u8> = Rgb([255, 255, 255]);
/// Dark blue over green to yellow, of rising lightness, which color-blind readers can follow too.
const SCALE: [[f64; 3]; 5] = [
    [68.0, 1.0, 84.0],
    [59.0, 82.0, 139.0],
    [33.0, 145.0, 140.0],
    [94.0, 201.0, 98.0],
    [253.0, 231.0, 37.0],
];

/// How values become colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colors {
    /// From dark blue to yellow.
    Map,
    /// From black to white.
    Gray,
}

/// One field of [`heat_maps`].
#[derive(Clone, Debug)]
pub struct Field {
    /// Text above the field: digits and letters, which become lowercase.
    pub caption: String,
    /// Values row by row, the top row first.
    pub values: Vec<f32>,
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// Values of the first and the last color; others get the nearer one, NaN stays white.
    pub range: (f32, f32),
    /// How values become colors.
    pub colors: Colors,
}

impl Field {
    /// A field in colors from 0 to its largest value, as of densities and counts.
    pub fn density(
        caption: impl Into<String>,
        values: Vec<f32>,
        rows: usize,
        columns: usize,
    ) -> Self {
        let largest = values.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let (caption, range, colors) = (caption.into(), (0.0, largest), Colors::Map);
        Self { caption, values, rows, columns, range, colors }
    }

    fn scale(&self) -> usize {
        let side = self.rows.max(self.columns).max(1);
        ((PICTURE + side / 2) / side).max(1)
    }

    fn color(&self, value: f32) -> Rgb<u8> {
        if value.is_nan() {
            return NOTHING;
        }
        let (low, high) = self.range;
        let share = f64::from(((value - low) / (high - low)).clamp(0.0, 1.0));
        if self.colors == Colors::Gray {
            return Rgb([(255.0 * share).round() as u8; 3]);
        }
        let place = share * (SCALE.len() - 1) as f64;
        let index = (place as usize).min(SCALE.len() - 2);
        let part = place - index as f64;
        let mixed = |channel: usize| {
            let [from, to] = [SCALE[index][channel], SCALE[index + 1][channel]];
            (from + part * (to - from)).round() as u8
        };
        Rgb([mixed(0), mixed(1), mixed(2)])
    }
}

/// Writes the fields beside each other, each with its caption above.
///
/// # Errors
/// If there is no field, a field has not `rows * columns` values or an empty range, or the file cannot be
/// written.
pub fn heat_maps(path: &Path, fields: &[Field]) -> Result<()> {
    ensure!(!fields.is_empty(), "heat maps: expected at least one field");
    for Field { caption, values, rows, columns, range, .. } in fields {
        let found = values.len();
        ensure!(
            rows.checked_mul(*columns) == Some(found) && found > 0,
            "heat maps: expected {rows} x {columns} values in '{caption}', found {found}"
        );
        ensure!(
            range.0 < range.1,
            "heat maps: expected a range from low to high in '{caption}', found {} to {}",
            range.0,
            range.1
        );
    }
    let picture = draw(fields);
    write_atomically(path, |temporary| Ok(picture.save_with_format(temporary, ImageFormat::Png)?))
}

fn draw(fields: &[Field]) -> RgbImage {
    let width = |field: &Field| {
        (field.columns * field.scale()).max(ADVANCE * field.caption.chars().count())
    };
    let height = fields.iter().map(|field| field.rows * field.scale()).max().unwrap_or(0);
    let total: usize = fields.iter().map(|field| width(field) + GAP).sum();
    let size = [GAP + total, 2 * GAP + LINE + height].map(|side| side as u32);
    let mut picture = RgbImage::from_pixel(size[0], size[1], NOTHING);
    let mut left = GAP;
    for field in fields {
        draw_text(&mut picture, left, GAP, &field.caption, INK);
        let scale = field.scale();
        for y in 0..field.rows * scale {
            for x in 0..field.columns * scale {
                let value = field.values[y / scale * field.columns + x / scale];
                picture.put_pixel((left + x) as u32, (GAP + LINE + y) as u32, field.color(value));
            }
        }
        left += width(field) + GAP;
    }
    picture
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_drawn_from_the_top_in_their_colors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fields.png");
        let first = Field::density("data", vec![0.0, 1.0, 2.0, f32::NAN], 2, 2);
        let second = Field { colors: Colors::Gray, range: (1.0, 2.0), ..first.clone() };
        heat_maps(&path, &[first, second]).unwrap();
        let picture = image::open(&path).unwrap().to_rgb8();
        let (left, top) = (GAP as u32, (GAP + LINE) as u32);
        assert_eq!(*picture.get_pixel(left, top), Rgb([68, 1, 84]));
        assert_eq!(*picture.get_pixel(left + 180, top), Rgb([33, 145, 140]));
        assert_eq!(*picture.get_pixel(left, top + 180), Rgb([253, 231, 37]));
        assert_eq!(*picture.get_pixel(left + 180, top + 180), NOTHING);
        let next = left + (360 + GAP) as u32;
        assert_eq!(*picture.get_pixel(next, top), Rgb([0; 3]));
        assert_eq!(*picture.get_pixel(next, top + 180), Rgb([255; 3]));
        assert!(picture.rows().take(GAP + LINE).flatten().any(|&pixel| pixel == INK));
    }

    #[test]
    fn wrong_sizes_and_ranges_are_errors() {
        let path = Path::new("unused.png");
        assert!(heat_maps(path, &[]).is_err());
        let message = |field| heat_maps(path, &[field]).unwrap_err().to_string();
        let short = Field::density("a", vec![1.0], 1, 2);
        assert_eq!(message(short), "heat maps: expected 1 x 2 values in 'a', found 1");
        let flat = Field { range: (1.0, 1.0), ..Field::density("b", vec![1.0], 1, 1) };
        assert!(message(flat).ends_with("found 1 to 1"));
    }
}
