//! Errors of forecasts, and the forecasts that need no model.
//!
//! | function | what |
//! |---|---|
//! | [`mae`], [`rmse`], [`mape`] | the usual errors |
//! | [`node_rmse`], [`smoothed_mape`] | the errors of published comparisons of temporal graph networks |
//! | [`last_value`], [`window_mean`] | forecasts that any model has to beat |
//!
//! All of them work on the host in 64 bits.
//!
//! # Example
//! ```
//! use firebrick::forecasting::{last_value, mae, window_mean};
//!
//! // Two nodes, three steps.
//! let history = [1.0, 10.0, 2.0, 10.0, 6.0, 13.0];
//! let next = [7.0, 13.0];
//! assert_eq!(mae(&last_value(&history, 2), &next), 0.5);
//! assert_eq!(mae(&window_mean(&history, 2), &next), 3.0);
//! ```

mod metrics;
mod trivial;

pub use metrics::{mae, mape, node_rmse, rmse, smoothed_mape};
pub use trivial::{last_value, window_mean};
