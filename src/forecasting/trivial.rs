//! Forecasts that need no model.

/// The last of the steps, as the forecast of the next.
///
/// # Shapes
/// - history: row-major `[steps, width]`
/// - output: `[width]`
///
/// # Panics
/// If `width` is zero, or `history` is not a whole number of at least one step.
pub fn last_value(history: &[f64], width: usize) -> Vec<f64> {
    check(history, width);
    history[history.len() - width..].to_vec()
}

/// The mean of the steps, as the forecast of the next.
///
/// # Shapes
/// - history: row-major `[steps, width]`
/// - output: `[width]`
///
/// # Panics
/// If `width` is zero, or `history` is not a whole number of at least one step.
pub fn window_mean(history: &[f64], width: usize) -> Vec<f64> {
    check(history, width);
    let steps = (history.len() / width) as f64;
    let mut mean = vec![0.0; width];
    for step in history.chunks_exact(width) {
        mean.iter_mut().zip(step).for_each(|(sum, value)| *sum += value);
    }
    mean.iter_mut().for_each(|sum| *sum /= steps);
    mean
}

fn check(history: &[f64], width: usize) {
    assert!(
        width > 0 && !history.is_empty() && history.len().is_multiple_of(width),
        "history: expected at least one step of {width} > 0 values, found {} values",
        history.len()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_step_is_its_own_forecast() {
        assert_eq!(last_value(&[3.0, 4.0], 2), [3.0, 4.0]);
        assert_eq!(window_mean(&[3.0, 4.0], 2), [3.0, 4.0]);
    }

    #[test]
    fn the_mean_is_over_steps_and_the_last_is_the_last_step() {
        let history = [1.0, 2.0, 3.0, 6.0];
        assert_eq!(
            (last_value(&history, 2), window_mean(&history, 2)),
            (vec![3.0, 6.0], vec![2.0, 4.0])
        );
    }

    #[test]
    #[should_panic(expected = "expected at least one step of 2 > 0 values, found 3 values")]
    fn part_of_a_step_is_refused() {
        last_value(&[1.0, 2.0, 3.0], 2);
    }
}
