//! The experiment of section 6.1 over groups, dilations, strides and upsampling.

use anyhow::Result;
use burn::tensor::{Device, Distribution, Tensor};
use firebrick::models::orthogonal::{
    Initialization, OrthogonalConv2dConfig, OrthogonalConvTranspose2dConfig, OrthogonalLayer,
};
use firebrick_harness::claims::{Claims, table};
use firebrick_harness::run::Run;
use serde::Serialize;

use crate::setup::Settings;

/// Gaussian images per layer.
const IMAGES: usize = 128;

/// `|J x| / |x|` of one layer.
#[derive(Debug, Serialize)]
struct Cell {
    device: String,
    layer: String,
    mean: f64,
    deviation: f64,
    /// The largest `| |J x| / |x| - 1 |`.
    worst: f64,
}

/// Measures all layers of the grid, prints a table and claims that norms are kept; not part of quick
/// runs and of runs with chosen kinds.
pub fn measure(
    run: &Run,
    settings: &Settings,
    name: &str,
    device: &Device,
    claims: &mut Claims,
) -> Result<()> {
    if !settings.only.is_empty() {
        return Ok(());
    }
    let claim = format!("grid: worst | |Jx| / |x| - 1 | ({name})");
    if settings.quick {
        claims.check(claim, "<= 2e-6", "-", false);
        return Ok(());
    }
    device.seed(settings.seed);
    let cells = cells(settings, name, device);
    println!("\nNorms over the grid of section 6.1 on {name}: {IMAGES} Gaussian images each");
    let line = |cell: &Cell| {
        let numbers = [cell.mean - 1.0, cell.deviation, cell.worst];
        [cell.layer.clone()].into_iter().chain(numbers.map(|x| format!("{x:.1e}"))).collect()
    };
    let lines: Vec<Vec<String>> = cells.iter().map(line).collect();
    println!("{}", table(&["layer", "mean - 1", "deviation", "worst"], &lines));
    // A NaN stays.
    let worst = cells.iter().fold(0.0, |max, c| if c.worst <= max { max } else { c.worst });
    claims.check(claim, "<= 2e-6", format!("{worst:.1e}"), worst <= 2e-6);
    run.write_json(&format!("grid-{}.json", name.replace(':', "-")), &cells)
}

fn cells(settings: &Settings, name: &str, device: &Device) -> Vec<Cell> {
    let (channels, [height, width]) = (settings.channels, settings.image);
    let start = |outputs: usize, kernel: usize| {
        OrthogonalConv2dConfig::new([channels, outputs], [kernel; 2])
            .with_initialization(Initialization::Uniform)
            .with_seed(Some(settings.seed))
    };
    let mut cells = Vec::new();
    let groups = [1, 4, 16].into_iter().filter(|&groups| channels.is_multiple_of(groups));
    for groups in groups {
        let layer = start(channels, 3).with_groups(groups).init(device);
        cells.push(cell(name, format!("3x3, groups {groups}"), &layer, settings.image, device));
    }
    for dilation in [2, 4, 8] {
        let layer = start(channels, 3).with_dilation([dilation; 2]).init(device);
        cells.push(cell(name, format!("3x3, dilation {dilation}"), &layer, settings.image, device));
    }
    for stride in [2, 4] {
        let (wide, kernel) = (channels * stride * stride, 3 * stride);
        let layer = start(wide, kernel).with_stride([stride; 2]).init(device);
        let text = format!("{kernel}x{kernel}, stride {stride}");
        cells.push(cell(name, text, &layer, settings.image, device));
        let layer = OrthogonalConvTranspose2dConfig::new([wide, channels], [kernel; 2])
            .with_stride([stride; 2])
            .with_initialization(Initialization::Uniform)
            .with_seed(Some(settings.seed))
            .init(device);
        let text = format!("{kernel}x{kernel}, up {stride}");
        cells.push(cell(name, text, &layer, [height / stride, width / stride], device));
    }
    cells
}

fn cell<L: OrthogonalLayer>(
    device_name: &str,
    text: String,
    layer: &L,
    [height, width]: [usize; 2],
    device: &Device,
) -> Cell {
    let shape = [IMAGES, layer.channels()[0], height, width];
    let input = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), device);
    let output = layer.forward_linear(input.clone());
    let ratios: Vec<f64> = norms(output).iter().zip(norms(input)).map(|(a, b)| a / b).collect();
    let mean = ratios.iter().sum::<f64>() / IMAGES as f64;
    let square = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>() / IMAGES as f64;
    let worst = ratios.iter().fold(0.0f64, |max, ratio| max.max((ratio - 1.0).abs()));
    Cell { device: device_name.into(), layer: text, mean, deviation: square.sqrt(), worst }
}

/// The norm of every image, summed in 64 bits.
fn norms(images: Tensor<4>) -> Vec<f64> {
    let values: Vec<f64> = images.into_data().iter::<f64>().collect();
    let norm = |image: &[f64]| image.iter().map(|value| value * value).sum::<f64>().sqrt();
    values.chunks(values.len() / IMAGES).map(norm).collect()
}
