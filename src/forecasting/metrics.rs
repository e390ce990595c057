//! Errors of forecasts `f` against what came, `y`.
//!
//! ```text
//! MAE            mean |f - y|
//! RMSE           sqrt(mean (f - y)^2)
//! node RMSE      mean over nodes of the RMSE of each
//! MAPE           mean |f - y| / |y|             over y != 0
//! smoothed MAPE  mean |f - y| / (|y| + 1)
//! ```
//!
//! # Notes
//! Published numbers of time-then-graph and its relatives under the name MAPE are the smoothed one on
//! values scaled to 0 to 1, so that the denominator lies between 1 and 2: a few percent there say
//! nothing about the error in percent of a value. Never compare it with an ordinary MAPE.
//!
//! # References
//! J. Gao, B. Ribeiro, *On the Equivalence Between Temporal and Static Equivariant Graph
//! Representations*, ICML 2022 (smoothed MAPE and node RMSE).

/// Mean absolute error; NaN without values.
///
/// # Panics
/// If the lists differ in length.
pub fn mae(forecast: &[f64], truth: &[f64]) -> f64 {
    mean(pairs(forecast, truth).map(|(f, y)| (f - y).abs()))
}

/// Root of the mean squared error; NaN without values.
///
/// # Panics
/// If the lists differ in length.
pub fn rmse(forecast: &[f64], truth: &[f64]) -> f64 {
    mean(pairs(forecast, truth).map(|(f, y)| (f - y).powi(2))).sqrt()
}

/// Mean over `nodes` nodes of the root of each one's mean squared error; NaN without values.
///
/// # Shapes
/// - forecast, truth: row-major `[any, nodes]`
///
/// # Panics
/// If the lists differ in length or do not fill whole rows.
pub fn node_rmse(forecast: &[f64], truth: &[f64], nodes: usize) -> f64 {
    assert!(
        nodes > 0 && truth.len().is_multiple_of(nodes),
        "node_rmse: expected rows of {nodes} > 0 nodes, found {} values",
        truth.len()
    );
    mean((0..nodes).map(|node| {
        let of_node = pairs(forecast, truth).skip(node).step_by(nodes);
        mean(of_node.map(|(f, y)| (f - y).powi(2))).sqrt()
    }))
}

/// Mean absolute error in proportion to the true value, as a fraction; values of 0 are left out. NaN
/// if all are.
///
/// # Panics
/// If the lists differ in length.
///
/// # Example
/// ```
/// use firebrick::forecasting::mape;
///
/// assert_eq!(mape(&[1.0, 3.0], &[0.0, 4.0]), 0.25);
/// ```
pub fn mape(forecast: &[f64], truth: &[f64]) -> f64 {
    let with_value = pairs(forecast, truth).filter(|&(_, y)| y != 0.0);
    mean(with_value.map(|(f, y)| (f - y).abs() / y.abs()))
}

/// Mean of `|f - y| / (|y| + 1)`, as a fraction; NaN without values. Published on scaled values, see
/// the notes of the module.
///
/// # Panics
/// If the lists differ in length.
///
/// # Example
/// ```
/// use firebrick::forecasting::smoothed_mape;
///
/// assert_eq!(smoothed_mape(&[1.0, 3.0], &[0.0, 4.0]), (1.0 + 0.2) / 2.0);
/// ```
pub fn smoothed_mape(forecast: &[f64], truth: &[f64]) -> f64 {
    mean(pairs(forecast, truth).map(|(f, y)| (f - y).abs() / (y.abs() + 1.0)))
}

fn pairs<'a>(forecast: &'a [f64], truth: &'a [f64]) -> impl Iterator<Item = (f64, f64)> + use<'a> {
    assert!(
        forecast.len() == truth.len(),
        "forecast: expected {} values, as many as came, found {}",
        truth.len(),
        forecast.len()
    );
    forecast.iter().copied().zip(truth.iter().copied())
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    sum / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FORECAST: [f64; 4] = [1.0, 2.0, -3.0, 0.5];
    const TRUTH: [f64; 4] = [1.0, 4.0, -2.0, 0.0];

    #[test]
    fn errors_are_those_of_the_formulas() {
        assert_eq!(mae(&FORECAST, &TRUTH), 3.5 / 4.0);
        assert_eq!(rmse(&FORECAST, &TRUTH), (5.25_f64 / 4.0).sqrt());
        assert_eq!(mape(&FORECAST, &TRUTH), (0.5 + 0.5) / 3.0);
        let expected = (2.0 / 5.0 + 1.0 / 3.0 + 0.5) / 4.0;
        assert!((smoothed_mape(&FORECAST, &TRUTH) - expected).abs() < 1e-15);
        // Nodes alternate: errors 0 and -1, then -2 and 0.5.
        let expected = (0.5_f64.sqrt() + (4.25_f64 / 2.0).sqrt()) / 2.0;
        assert!((node_rmse(&FORECAST, &TRUTH, 2) - expected).abs() < 1e-15);
    }

    #[test]
    fn nothing_to_average_is_no_number() {
        assert!(mae(&[], &[]).is_nan() && rmse(&[], &[]).is_nan());
        assert!(mape(&[1.0], &[0.0]).is_nan() && smoothed_mape(&[], &[]).is_nan());
    }

    #[test]
    fn a_value_that_is_no_number_shows() {
        assert!(mae(&[f64::NAN], &[1.0]).is_nan() && smoothed_mape(&[f64::NAN], &[1.0]).is_nan());
    }

    #[test]
    #[should_panic(expected = "forecast: expected 2 values, as many as came, found 1")]
    fn lists_of_different_length_are_refused() {
        mae(&[1.0], &[1.0, 2.0]);
    }

    #[test]
    #[should_panic(expected = "expected rows of 3 > 0 nodes, found 4 values")]
    fn ragged_rows_are_refused() {
        node_rmse(&FORECAST, &TRUTH, 3);
    }

    proptest! {
        #[test]
        fn errors_are_ordered_and_scale(
            pairs in prop::collection::vec((-10.0..10.0_f64, 1.0..10.0_f64), 1..30),
            factor in 0.1..10.0_f64,
        ) {
            let (forecast, truth): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            prop_assert!(mae(&forecast, &truth) <= rmse(&forecast, &truth) + 1e-12);
            prop_assert!(smoothed_mape(&forecast, &truth) <= mape(&forecast, &truth));
            prop_assert!((node_rmse(&forecast, &truth, 1) - rmse(&forecast, &truth)).abs() < 1e-12);
            let scale = |values: &[f64]| values.iter().map(|value| value * factor).collect::<Vec<_>>();
            let (scaled, true_scaled) = (scale(&forecast), scale(&truth));
            prop_assert!((mae(&scaled, &true_scaled) - factor * mae(&forecast, &truth)).abs() < 1e-9);
            prop_assert!((mape(&scaled, &true_scaled) - mape(&forecast, &truth)).abs() < 1e-9);
        }
    }
}
