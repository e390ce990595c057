//! What can be wrong with what comes from outside.

use firebrick_ops::orthogonal::NotOrthonormal;

/// What can be wrong with parameters from outside.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A matrix that the layer needs is not there.
    #[error("{name}: the matrix is missing")]
    MissingMatrix {
        /// Full name of the matrix.
        name: String,
    },
    /// A matrix has another shape than the layer needs.
    #[error("{name}: expected a matrix {expected:?}, found {found:?}")]
    MatrixShape {
        /// Full name of the matrix.
        name: String,
        /// Rows and columns that the layer needs.
        expected: [usize; 2],
        /// Rows and columns that came.
        found: [usize; 2],
    },
    /// A matrix that must have orthonormal columns does not.
    #[error("{name}: {source}")]
    NotOrthonormal {
        /// Full name of the matrix.
        name: String,
        /// By how much.
        source: NotOrthonormal,
    },
    /// A matrix has an entry that is NaN or infinite.
    #[error("{name}: entry {entry:?} must be finite, found {found}")]
    NotFinite {
        /// Full name of the matrix.
        name: String,
        /// Row and column.
        entry: [usize; 2],
        /// The entry.
        found: f64,
    },
    /// A name that is none of the known ones.
    #[error("unknown {what} '{found}'; known: {known}")]
    UnknownName {
        /// What is named.
        what: &'static str,
        /// The name.
        found: String,
        /// The known names.
        known: &'static str,
    },
    /// An inverse was asked of a block that may have none.
    #[error(
        "the inverse of x + g(x) needs a g with a Lipschitz constant below 1, found the bound {bound}"
    )]
    NotContractive {
        /// The bound of the Lipschitz constant.
        bound: f64,
    },
    /// A tensor from outside holds NaN or infinities.
    #[error("{what} must be finite, found NaN or infinities")]
    NotFiniteTensor {
        /// Which tensor.
        what: &'static str,
    },
    /// The iteration for the inverse of a block found none.
    #[error(
        "no inverse after {steps} steps: the last change is {change} times the tolerance, with the bound \
         {bound} of the Lipschitz constant"
    )]
    NoInverse {
        /// Steps that were made.
        steps: usize,
        /// Largest change in the last step relative to its tolerance; not finite if the iteration diverged.
        change: f64,
        /// The bound of the Lipschitz constant.
        bound: f64,
    },
    /// A matrix family is asked for something that it does not have.
    #[error("{family}: {what} must be {expected}, found {found}")]
    InvalidMatrixFamily {
        /// The family.
        family: String,
        /// The part of the request.
        what: &'static str,
        /// The rule.
        expected: String,
        /// What was given.
        found: String,
    },
}
