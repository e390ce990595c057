//! SVG charts with one fixed look.

use std::{fs, path::Path};

use anyhow::{Result, ensure};
use plotters::{
    chart::ChartContext,
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::run::write_atomically;

/// The colors of Okabe and Ito, which color-blind readers can tell apart, without the yellow that
/// is too pale on white. They repeat after the seventh.
const PALETTE: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(204, 121, 167),
    RGBColor(0, 0, 0),
];
const SIZE: (u32, u32) = (900, 540);
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(60, 60, 60);
const GRID: RGBColor = RGBColor(228, 228, 228);
/// Longest name in the legend, in characters.
const LONGEST_NAME: usize = 28;
/// Lines with at most so many points also show the points.
const FEW_POINTS: usize = 30;

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// One line of a [`line_chart`].
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// `(x, y)` of each point, in the order to be joined.
    pub points: Vec<(f64, f64)>,
    /// `(lower, upper)` around each point, drawn as a shaded band.
    pub band: Option<Vec<(f64, f64)>>,
}

impl Series {
    /// A line without a band.
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, band: None }
    }
}

/// Writes a chart of lines, each with its shaded band if it has one.
///
/// Points that are not finite are left out; without points the chart is empty.
///
/// # Errors
/// If a band has not as many pairs as its series has points, or the file cannot be written.
pub fn line_chart(
    path: &Path,
    title: &str,
    x_label: &str,
    y_label: &str,
    series: &[Series],
) -> Result<()> {
    let mut lines = Vec::new();
    let mut bands = Vec::new();
    for Series { name, points, band } in series {
        let band = band.as_deref().unwrap_or_default();
        let (expected, found) = (points.len(), band.len());
        ensure!(
            found == 0 || found == expected,
            "{name}: {found} band pairs for {expected} points"
        );
        let finite = |point: &(f64, f64)| is_drawable(point.0) && is_drawable(point.1);
        lines.push(points.iter().copied().filter(finite).collect::<Vec<_>>());
        let edges =
            points.iter().zip(band).map(|(point, pair)| ((point.0, pair.0), (point.0, pair.1)));
        let edges = edges.filter(|(lower, upper)| finite(lower) && finite(upper));
        bands.push(edges.unzip::<_, _, Vec<_>, Vec<_>>());
    }
    let all = || lines.iter().chain(bands.iter().flat_map(|band| [&band.0, &band.1])).flatten();
    let x_range = span(all().map(|point| point.0), 0.0);
    let y_range = span(all().map(|point| point.1), 0.05);
    let names: Vec<_> = series.iter().map(|series| series.name.as_str()).collect();
    draw(path, title, (x_label, y_label), &names, (x_range, y_range), |chart| {
        for (index, (lower, upper)) in bands.into_iter().enumerate() {
            let outline: Vec<_> = lower.into_iter().chain(upper.into_iter().rev()).collect();
            if !outline.is_empty() {
                chart.draw_series([Polygon::new(outline, color(index).mix(0.2).filled())])?;
            }
        }
        for (index, line) in lines.into_iter().enumerate() {
            if line.len() <= FEW_POINTS {
                let dot = |&point| Circle::new(point, 3, color(index).filled());
                chart.draw_series(line.iter().map(dot))?;
            }
            chart.draw_series(LineSeries::new(line, color(index).stroke_width(2)))?;
        }
        Ok(())
    })
}

/// Writes a histogram: for each group, the number of values in each of `bins` equal parts of
/// `range`, overlaid half transparent.
///
/// The last bin holds its upper end too; values outside `range` and NaN are not counted.
///
/// # Errors
/// If `range` is empty or not finite, if `bins` is zero, or if the file cannot be written.
pub fn histogram(
    path: &Path,
    title: &str,
    x_label: &str,
    groups: &[(&str, Vec<f64>)],
    range: (f64, f64),
    bins: usize,
) -> Result<()> {
    let (low, high) = range;
    ensure!(
        is_drawable(low) && is_drawable(high) && low < high,
        "histogram: expected a range from low to high, found {low} to {high}"
    );
    ensure!(bins > 0, "histogram: expected at least one bin");
    let counts: Vec<_> = groups.iter().map(|(_, values)| count(values, range, bins)).collect();
    let highest = counts.iter().flatten().copied().max().unwrap_or(0).max(1) as f64;
    let names: Vec<_> = groups.iter().map(|group| group.0).collect();
    let labels = (x_label, "count");
    draw(path, title, labels, &names, (range, (0.0, 1.05 * highest)), |chart| {
        for (index, counts) in counts.iter().enumerate() {
            let edge = |bin: usize| low + (high - low) * bin as f64 / bins as f64;
            let mut outline = vec![(low, 0.0)];
            for (bin, &count) in counts.iter().enumerate() {
                outline.extend([(edge(bin), count as f64), (edge(bin + 1), count as f64)]);
            }
            outline.push((high, 0.0));
            chart.draw_series([Polygon::new(outline.clone(), color(index).mix(0.35).filled())])?;
            chart.draw_series(LineSeries::new(outline, color(index).stroke_width(1)))?;
        }
        Ok(())
    })
}

fn count(values: &[f64], (low, high): (f64, f64), bins: usize) -> Vec<usize> {
    let mut counts = vec![0; bins];
    for value in values.iter().filter(|&&value| value >= low && value <= high) {
        let bin = ((value - low) / (high - low) * bins as f64) as usize;
        counts[bin.min(bins - 1)] += 1;
    }
    counts
}

/// Draws frame, axes, legend and whatever `content` adds, and writes the file.
fn draw(
    path: &Path,
    title: &str,
    (x_label, y_label): (&str, &str),
    names: &[&str],
    (x_range, y_range): ((f64, f64), (f64, f64)),
    content: impl FnOnce(&mut Chart<'_>) -> Result<()>,
) -> Result<()> {
    let mut svg = String::new();
    {
        let canvas = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        canvas.fill(&WHITE)?;
        let canvas = canvas.margin(8, 0, 0, 0).titled(title, text(22))?;
        let (plot, legend) = canvas.split_horizontally(SIZE.0 - legend_width(names));
        let mut chart = ChartBuilder::on(&plot)
            .margin(12)
            .margin_right(24)
            .x_label_area_size(48)
            .y_label_area_size(72)
            .build_cartesian_2d(x_range.0..x_range.1, y_range.0..y_range.1)?;
        chart
            .configure_mesh()
            .x_desc(x_label)
            .y_desc(y_label)
            .axis_desc_style(text(17))
            .label_style(text(14))
            .x_labels(8)
            .y_labels(8)
            .x_label_formatter(&|value| tick(*value, x_range))
            .y_label_formatter(&|value| tick(*value, y_range))
            .axis_style(INK)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .draw()?;
        content(&mut chart)?;
        draw_legend(&legend, names)?;
        canvas.present()?;
    }
    write_atomically(path, |temporary| Ok(fs::write(temporary, svg)?))
}

/// The legend stands beside the plot, where it hides nothing.
fn draw_legend(area: &Canvas<'_>, names: &[&str]) -> Result<()> {
    let style = text(15).pos(Pos::new(HPos::Left, VPos::Center));
    for (index, name) in names.iter().enumerate() {
        let y = 22 + 24 * index as i32;
        area.draw(&Rectangle::new([(0, y - 5), (18, y + 5)], color(index).filled()))?;
        area.draw(&Text::new(shorten(name), (26, y), style.clone()))?;
    }
    Ok(())
}

/// Without a font at hand, capitals count as 10 pixels and other characters as 7.
fn legend_width(names: &[&str]) -> u32 {
    let width = |c: char| if c.is_uppercase() { 10 } else { 7 };
    let widths = names.iter().map(|name| shorten(name).chars().map(width).sum::<u32>());
    widths.max().map_or(0, |widest| 40 + widest)
}

fn shorten(name: &str) -> String {
    if name.chars().count() <= LONGEST_NAME {
        return name.to_owned();
    }
    name.chars().take(LONGEST_NAME - 1).chain(['…']).collect()
}

fn text(size: u32) -> TextStyle<'static> {
    (FONT, size).into_font().color(&INK)
}

fn color(index: usize) -> RGBColor {
    PALETTE[index % PALETTE.len()]
}

/// Finite, and small enough for differences and pixels to be finite as well.
fn is_drawable(value: f64) -> bool {
    value.abs() < 1e100
}

/// The range of `values` with `margin` (a fraction of it) on both sides, and never empty.
fn span(values: impl Iterator<Item = f64>, margin: f64) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    let largest = low.abs().max(high.abs());
    if largest < 1e-100 {
        (-0.5, 0.5)
    } else if high - low < 1e-9 * largest {
        (low - 0.5 * largest, high + 0.5 * largest)
    } else {
        let margin = margin * (high - low);
        (low - margin, high + margin)
    }
}

/// The shortest text for an axis value that tells neighbors apart.
fn tick(value: f64, (low, high): (f64, f64)) -> String {
    let largest = low.abs().max(high.abs());
    let value = if value.abs() < 1e-9 * largest { 0.0 } else { value };
    let digits = |unit: f64| (2.0 - unit.log10().floor()).clamp(0.0, 9.0) as usize;
    if !(1e-3..1e6).contains(&largest) {
        let text = format!("{value:.*e}", digits((high - low) / largest));
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let mantissa = without_final_zeros(mantissa);
        return if mantissa == "0" { mantissa.into() } else { format!("{mantissa}e{exponent}") };
    }
    without_final_zeros(&format!("{value:.*}", digits(high - low))).to_owned()
}

fn without_final_zeros(number: &str) -> &str {
    match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn drawn(chart: impl FnOnce(&Path) -> Result<()>) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chart.svg");
        chart(&path).unwrap();
        fs::read_to_string(path).unwrap()
    }

    fn lines(series: &[Series]) -> String {
        drawn(|path| line_chart(path, "Title", "x axis", "y axis", series))
    }

    #[test]
    fn line_chart_has_title_labels_legend_line_and_band() {
        let mut series = Series::new("with band", (0..50).map(|x| (f64::from(x), 1.0)).collect());
        series.band = Some(vec![(0.5, 1.5); 50]);
        let svg = lines(&[series, Series::new("<dots> & line", vec![(0.0, 1.0), (9.0, 2.0)])]);
        for text in ["Title", "x axis", "y axis", "with band", "&lt;dots&gt; &amp; line"] {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(svg.matches("<polygon").count(), 1);
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("#0072B2") && svg.contains("#D55E00"));
    }

    #[test]
    fn values_that_are_not_finite_are_skipped() {
        let banded = |points: Vec<(f64, f64)>, band| {
            let name = "a".to_owned();
            let band = Some(band);
            lines(&[Series { name, points, band }])
        };
        let clean = banded(vec![(0.0, 1.0), (2.0, 3.0)], vec![(0.5, 1.5), (2.5, 3.5)]);
        let nan = f64::NAN;
        let points = vec![(0.0, 1.0), (1.0, nan), (f64::INFINITY, 2.0), (2.0, 3.0)];
        let band = vec![(0.5, 1.5), (nan, 9.0), (1.0, 2.0), (2.5, 3.5)];
        assert_eq!(banded(points, band), clean);
    }

    #[test]
    fn charts_without_values_are_empty() {
        let mut nothing = Series::new("nothing", vec![(f64::NAN, 1.0)]);
        nothing.band = Some(vec![(0.0, 1.0)]);
        for series in [&[][..], &[Series::default()], &[nothing]] {
            assert!(lines(series).contains("x axis"));
        }
        for groups in [&[][..], &[("a", vec![])], &[("a", vec![f64::NAN])]] {
            let svg = drawn(|path| histogram(path, "Title", "x", groups, (0.0, 1.0), 4));
            assert!(svg.contains("count"));
        }
    }

    #[test]
    fn extreme_values_are_drawn_in_no_time() {
        for values in [[1.0; 2], [0.0; 2], [1e16, 1e16 + 2.0], [1e-300, 2e-300], [-9e99, 9e99]] {
            lines(&[Series::new("a", values.iter().map(|&value| (value, value)).collect())]);
        }
        lines(&[Series::new("a", vec![(0.0, f64::MAX), (1.0, f64::MIN)])]);
        drawn(|path| histogram(path, "", "", &[("a", vec![1e16])], (1e16, 1e16 + 4.0), 2));
    }

    #[test]
    fn axes_keep_small_differences_and_are_never_empty() {
        let range = |values: &[f64]| span(values.iter().copied(), 0.0);
        assert_eq!(range(&[3e-14, 1e-14]), (1e-14, 3e-14));
        assert_eq!(range(&[1.0, 1.0 + 1e-7]), (1.0, 1.0 + 1e-7));
        assert_eq!(range(&[-2.0]), (-3.0, -1.0));
        assert_eq!(range(&[0.0, 0.0]), (-0.5, 0.5));
        assert_eq!(range(&[]), (0.0, 1.0));
    }

    #[test]
    fn band_of_another_length_is_an_error() {
        let mut series = Series::new("a", vec![(0.0, 1.0), (1.0, 1.0)]);
        series.band = Some(vec![(0.0, 1.0)]);
        let error = line_chart(Path::new("unused.svg"), "", "", "", &[series]).unwrap_err();
        assert_eq!(error.to_string(), "a: 1 band pairs for 2 points");
    }

    #[test]
    fn histogram_counts_both_ends_and_nothing_outside() {
        let values = [-0.1, 0.0, 0.24, 0.25, 0.5, 0.99, 1.0, 1.1, f64::NAN, f64::INFINITY];
        assert_eq!(count(&values, (0.0, 1.0), 4), [2, 1, 1, 2]);
    }

    #[test]
    fn histogram_refuses_an_empty_range_and_no_bins() {
        let path = Path::new("unused.svg");
        for (range, bins) in
            [((1.0, 1.0), 3), ((1.0, 0.0), 3), ((0.0, f64::NAN), 3), ((0.0, 1.0), 0)]
        {
            assert!(histogram(path, "", "", &[], range, bins).is_err(), "{range:?} {bins}");
        }
    }

    #[test]
    fn ticks_are_short_and_distinct() {
        for (value, range, expected) in [
            (0.30000000000000004, (0.0, 1.0), "0.3"),
            (-1e-17, (-1.0, 1.0), "0"),
            (100.0, (0.0, 300.0), "100"),
            (0.0125, (0.01, 0.02), "0.0125"),
            (2e-5, (0.0, 1e-4), "2e-5"),
            (2.5e7, (0.0, 1e8), "2.5e7"),
            (0.0, (0.0, 1e8), "0"),
            (1000.002, (1000.0, 1000.01), "1000.002"),
        ] {
            assert_eq!(tick(value, range), expected);
        }
    }

    #[test]
    fn long_names_are_shortened() {
        assert_eq!(shorten("short"), "short");
        assert_eq!(shorten(&"é".repeat(40)).chars().count(), LONGEST_NAME);
    }
}
