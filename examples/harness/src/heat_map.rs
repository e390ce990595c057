//! Tables of numbers as colored fields.

use std::{fs, path::Path};

use anyhow::{Result, ensure};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::run::write_atomically;

const FIELD: (i32, i32) = (78, 40);
const LEFT: i32 = 200;
const TOP: i32 = 52;
const BOTTOM: i32 = 64;
/// Width of the scale of colors, with its numbers.
const SCALE: i32 = 90;
const INK: RGBColor = RGBColor(60, 60, 60);
/// Fields without a number.
const MISSING: RGBColor = RGBColor(225, 225, 225);
/// From dark blue through green to yellow, equally far apart to the eye.
const COLORS: [RGBColor; 5] = [
    RGBColor(68, 1, 84),
    RGBColor(59, 82, 139),
    RGBColor(33, 145, 140),
    RGBColor(94, 201, 98),
    RGBColor(253, 231, 37),
];

/// One field: the number that gives the color, and what stands in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Field {
    /// `None` or a number that is not finite: gray.
    pub value: Option<f64>,
    /// Up to two lines.
    pub text: String,
}

/// A table of colored fields, rows from the top.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeatMap {
    /// Above the table.
    pub title: String,
    /// Below the columns.
    pub x_label: String,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Name and fields of each row.
    pub rows: Vec<(String, Vec<Field>)>,
    /// Numbers of the first and the last color; numbers beyond get the nearest color.
    pub range: (f64, f64),
}

impl HeatMap {
    /// Writes the table as an SVG.
    ///
    /// # Errors
    /// If a row has not as many fields as there are columns, the range is empty or not finite, or the
    /// file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let (low, high) = self.range;
        ensure!(
            low.is_finite() && high.is_finite() && low < high,
            "heat map: expected a range from low to high, found {low} to {high}"
        );
        for (name, fields) in &self.rows {
            let (expected, found) = (self.columns.len(), fields.len());
            ensure!(
                expected == found,
                "heat map: expected {expected} fields in row {name}, found {found}"
            );
        }
        let width = LEFT + FIELD.0 * self.columns.len() as i32 + SCALE + 30;
        let height = TOP + FIELD.1 * self.rows.len() as i32 + BOTTOM;
        let mut svg = String::new();
        {
            let canvas = SVGBackend::with_string(&mut svg, (width as u32, height as u32));
            let canvas = canvas.into_drawing_area();
            canvas.fill(&WHITE)?;
            let middle = LEFT + FIELD.0 * self.columns.len() as i32 / 2;
            let end = TOP + FIELD.1 * self.rows.len() as i32;
            let text = |size| style(size, HPos::Center, &INK);
            canvas.draw(&Text::new(self.title.as_str(), (width / 2, 26), text(20)))?;
            canvas.draw(&Text::new(self.x_label.as_str(), (middle, end + 44), text(16)))?;
            for (at, name) in self.columns.iter().enumerate() {
                let x = LEFT + FIELD.0 * at as i32 + FIELD.0 / 2;
                canvas.draw(&Text::new(name.as_str(), (x, end + 18), text(15)))?;
            }
            for (at, (name, fields)) in self.rows.iter().enumerate() {
                self.draw_row(&canvas, TOP + FIELD.1 * at as i32, name, fields)?;
            }
            self.draw_scale(&canvas, width - SCALE, end)?;
            canvas.present()?;
        }
        write_atomically(path, |temporary| Ok(fs::write(temporary, svg)?))
    }

    fn draw_row(&self, canvas: &Canvas<'_>, y: i32, name: &str, fields: &[Field]) -> Result<()> {
        let middle = y + FIELD.1 / 2;
        canvas.draw(&Text::new(name, (LEFT - 12, middle), style(15, HPos::Right, &INK)))?;
        for (at, field) in fields.iter().enumerate() {
            let x = LEFT + FIELD.0 * at as i32;
            let color = field.value.map_or(MISSING, |value| self.color(value));
            let corners = [(x + 1, y + 1), (x + FIELD.0 - 1, y + FIELD.1 - 1)];
            canvas.draw(&Rectangle::new(corners, color.filled()))?;
            let ink = if luminance(color) > 0.5 { BLACK } else { WHITE };
            let lines: Vec<&str> = field.text.lines().take(2).collect();
            for (line, text) in lines.iter().enumerate() {
                let shift = 16 * line as i32 - 8 * (lines.len() as i32 - 1);
                let place = (x + FIELD.0 / 2, middle + shift);
                canvas.draw(&Text::new(*text, place, style(14, HPos::Center, &ink)))?;
            }
        }
        Ok(())
    }

    fn draw_scale(&self, canvas: &Canvas<'_>, x: i32, end: i32) -> Result<()> {
        let (low, high) = self.range;
        let length = (end - TOP).max(1);
        for y in 0..length {
            let value = high - (high - low) * f64::from(y) / f64::from(length);
            let corners = [(x, TOP + y), (x + 18, TOP + y + 1)];
            canvas.draw(&Rectangle::new(corners, self.color(value).filled()))?;
        }
        for (value, y) in [(high, TOP + 6), (0.5 * (low + high), (TOP + end) / 2), (low, end - 6)] {
            let text = format!("{:.3}", value);
            let text = text.trim_end_matches('0').trim_end_matches('.').to_owned();
            canvas.draw(&Text::new(text, (x + 26, y), style(14, HPos::Left, &INK)))?;
        }
        Ok(())
    }

    fn color(&self, value: f64) -> RGBColor {
        if !value.is_finite() {
            return MISSING;
        }
        let (low, high) = self.range;
        let place = ((value - low) / (high - low)).clamp(0.0, 1.0) * (COLORS.len() - 1) as f64;
        let at = (place as usize).min(COLORS.len() - 2);
        let part = place - at as f64;
        let mix =
            |a: u8, b: u8| (f64::from(a) + part * (f64::from(b) - f64::from(a))).round() as u8;
        let (a, b) = (COLORS[at], COLORS[at + 1]);
        RGBColor(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
    }
}

type Canvas<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn style(size: u32, side: HPos, color: &RGBColor) -> TextStyle<'static> {
    let style: TextStyle<'static> = ("sans-serif", size).into_font().color(color);
    style.pos(Pos::new(side, VPos::Center))
}

fn luminance(color: RGBColor) -> f64 {
    (0.299 * f64::from(color.0) + 0.587 * f64::from(color.1) + 0.114 * f64::from(color.2)) / 255.0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn map() -> HeatMap {
        let field = |value: Option<f64>, text: &str| Field { value, text: text.into() };
        HeatMap {
            title: "Title".into(),
            x_label: "scale".into(),
            columns: vec!["0.2".into(), "0.4".into()],
            rows: vec![("first".into(), vec![field(Some(0.0), "0.00\nabc"), field(None, "-")])],
            range: (0.0, 1.0),
        }
    }

    #[test]
    fn picture_has_names_numbers_and_colors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("map.svg");
        map().write(&path).unwrap();
        let svg = fs::read_to_string(path).unwrap();
        for text in ["Title", "scale", "0.2", "first", "0.00", "abc", "#440154", "#E1E1E1"] {
            assert!(svg.contains(text), "{text}");
        }
    }

    #[test]
    fn colors_run_from_the_first_to_the_last_and_stop_there() {
        let map = map();
        assert_eq!((map.color(0.0), map.color(-5.0)), (COLORS[0], COLORS[0]));
        assert_eq!((map.color(1.0), map.color(9.0)), (COLORS[4], COLORS[4]));
        assert_eq!((map.color(0.5), map.color(f64::NAN)), (COLORS[2], MISSING));
    }

    #[test]
    fn wrong_sizes_and_ranges_are_errors() {
        let path = Path::new("unused.svg");
        let mut wrong = map();
        wrong.rows[0].1.pop();
        let error = wrong.write(path).unwrap_err().to_string();
        assert_eq!(error, "heat map: expected 2 fields in row first, found 1");
        let empty = HeatMap { range: (1.0, 1.0), ..map() };
        assert!(empty.write(path).is_err());
    }
}
