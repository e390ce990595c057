//! What can be wrong with the input of a generalization bound.

/// The reason why a bound or a measurement is refused.
///
/// # Example
/// ```
/// use firebrick::generalization::StabilityBounds;
///
/// let error = StabilityBounds::new(100, 60)?.paper(1.0).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "paper's bound: expected a batch size of at most n / 2 = 50, found 60; \
///      the unconditional bound does not need it"
/// );
/// # Ok::<(), firebrick::generalization::GeneralizationError>(())
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GeneralizationError {
    /// The paper's bound needs mini-batches of at most half of the training set.
    #[error(
        "{bound}: expected a batch size of at most n / 2 = {}, found {batch_size}; \
         the unconditional bound does not need it",
        num_train / 2
    )]
    BatchTooLarge {
        /// The bound that was asked for.
        bound: &'static str,
        /// Size of the training set.
        num_train: usize,
        /// Size of a mini-batch.
        batch_size: usize,
    },

    /// A setting lies outside its range.
    #[error("{what}: expected {expected}, found {found}")]
    InvalidSetting {
        /// The name of the setting.
        what: &'static str,
        /// The range, in words.
        expected: &'static str,
        /// The value found.
        found: f64,
    },

    /// Too few examples were measured.
    #[error("step {step}, {pool} pool: expected at least {expected} gradients, found {found}")]
    PoolTooSmall {
        /// The step of the measurement, from 1.
        step: u64,
        /// `training` or `fresh`.
        pool: &'static str,
        /// The least number.
        expected: usize,
        /// The number found.
        found: usize,
    },

    /// Two gradients of one measurement differ in length.
    #[error(
        "step {step}, {pool} pool, gradient {example}: expected {expected} parameters, found {found}"
    )]
    ParameterCount {
        /// The step of the measurement, from 1.
        step: u64,
        /// `training` or `fresh`.
        pool: &'static str,
        /// Position in the pool.
        example: usize,
        /// Number of parameters of the first gradient.
        expected: usize,
        /// Number of parameters of this one.
        found: usize,
    },

    /// A gradient is infinite or not a number.
    #[error(
        "step {step}, {pool} pool, gradient {example}, parameter {parameter}: \
         expected a finite number, found {found}"
    )]
    NotFinite {
        /// The step of the measurement, from 1.
        step: u64,
        /// `training` or `fresh`.
        pool: &'static str,
        /// Position in the pool.
        example: usize,
        /// Position in the gradient.
        parameter: usize,
        /// The value found.
        found: f64,
    },

    /// Steps were taken before the first measurement, so that nothing is known about them.
    #[error("{steps} steps were counted, but none was measured; the first step must be")]
    NoMeasurement {
        /// Number of steps counted.
        steps: u64,
    },

    /// A measurement does not belong to the step that was counted last.
    #[error("measurement: expected one of step {expected}, found one of step {found}")]
    WrongStep {
        /// The step counted last.
        expected: u64,
        /// The step that the pools were made for.
        found: u64,
    },

    /// A module of the network behaves differently in training: it uses statistics of the batch, so
    /// that a gradient of a single example does not exist, or draws at random.
    #[error(
        "{path}: {module} is in training mode, in which the gradient of a single example is not \
         defined; apply without_training_flags to the model"
    )]
    TrainingFlag {
        /// Where the flag is in the model.
        path: String,
        /// The type that holds it, as in `BatchNorm`.
        module: String,
    },
}

pub(super) fn positive(what: &'static str, found: f64) -> Result<f64, GeneralizationError> {
    if found.is_finite() && found > 0.0 {
        return Ok(found);
    }
    let expected = "a finite number above 0";
    Err(GeneralizationError::InvalidSetting { what, expected, found })
}
