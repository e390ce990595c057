//! Features of nodes, one row per node: every value, or only those that are not zero.
//!
//! Bags of words are almost all zeros (98.7 % of Cora's features are), so that storing, normalizing
//! and multiplying only the stored values is far cheaper.

use crate::DatasetError;

/// Rows of equal width with every value stored.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseRows {
    num_rows: usize,
    width: usize,
    values: Vec<f32>,
}

impl DenseRows {
    /// Checks and keeps rows that stand one after the other.
    ///
    /// # Shapes
    /// - values: row-major `[num_rows, width]`
    ///
    /// # Errors
    /// If there is another number of values, or one is not finite.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::graph::DenseRows;
    ///
    /// let rows = DenseRows::new(2, 3, vec![1.0, 0.0, 2.0, 0.0, 0.0, 0.0])?;
    /// assert_eq!(rows.row(0), [1.0, 0.0, 2.0]);
    /// assert!(DenseRows::new(2, 3, vec![0.0; 5]).is_err());
    /// # Ok::<(), firebrick_datasets::DatasetError>(())
    /// ```
    pub fn new(num_rows: usize, width: usize, values: Vec<f32>) -> Result<Self, DatasetError> {
        let expected = num_rows.saturating_mul(width);
        check_length("values", expected, values.len())?;
        check_finite(&values)?;
        Ok(Self { num_rows, width, values })
    }

    /// Number of rows.
    pub fn num_rows(&self) -> usize {
        self.num_rows
    }

    /// Values per row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All values, row-major `[num_rows, width]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The values of one row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        assert!(row < self.num_rows, "row: expected a row below {}, got {row}", self.num_rows);
        &self.values[row * self.width..][..self.width]
    }
}

/// Rows of equal width of which only some values are stored; the others are zero (CSR).
#[derive(Clone, Debug, PartialEq)]
pub struct SparseRows {
    width: usize,
    /// Where each row starts in `columns` and `values`, and where the last one ends.
    starts: Vec<usize>,
    columns: Vec<usize>,
    values: Vec<f32>,
}

impl SparseRows {
    /// Checks and keeps rows in compressed form: row `i` has `values[p]` in column `columns[p]` for
    /// `p` in `starts[i]..starts[i + 1]`.
    ///
    /// # Shapes
    /// - starts: one more than there are rows
    /// - columns, values: one per stored value
    ///
    /// # Errors
    /// If the lengths disagree, `starts` does not begin with zero, decreases or does not end with
    /// the number of values, the columns of a row do not increase or reach `width`, or a value is
    /// not finite.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::graph::SparseRows;
    ///
    /// let rows = SparseRows::new(4, vec![0, 2, 2], vec![0, 3], vec![1.0, 3.0])?;
    /// assert_eq!(rows.num_rows(), 2);
    /// assert_eq!(rows.row(0), (&[0, 3][..], &[1.0, 3.0][..]));
    /// assert_eq!(rows.to_dense().row(1), [0.0; 4]);
    /// # Ok::<(), firebrick_datasets::DatasetError>(())
    /// ```
    pub fn new(
        width: usize,
        starts: Vec<usize>,
        columns: Vec<usize>,
        values: Vec<f32>,
    ) -> Result<Self, DatasetError> {
        check_length("values of columns", columns.len(), values.len())?;
        check_starts(&starts, columns.len())?;
        for row in starts.windows(2) {
            check_columns(&columns, row[0]..row[1], width)?;
        }
        check_finite(&values)?;
        Ok(Self { width, starts, columns, values })
    }

    /// Rows of ones in the given columns, as bags of words are.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn binary(
        width: usize,
        starts: Vec<usize>,
        columns: Vec<usize>,
    ) -> Result<Self, DatasetError> {
        let values = vec![1.0; columns.len()];
        Self::new(width, starts, columns, values)
    }

    /// Number of rows.
    pub fn num_rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Values per row, stored or not.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of stored values.
    pub fn num_stored(&self) -> usize {
        self.values.len()
    }

    /// Where each row starts among the stored values, and where the last one ends.
    pub fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// Column of every stored value, row by row, increasing within a row.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// Every stored value, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Columns and values that are stored in one row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> (&[usize], &[f32]) {
        assert!(row < self.num_rows(), "row: expected a row below {}, got {row}", self.num_rows());
        let range = self.starts[row]..self.starts[row + 1];
        (&self.columns[range.clone()], &self.values[range])
    }

    /// The same rows with every value stored.
    pub fn to_dense(&self) -> DenseRows {
        let (num_rows, width) = (self.num_rows(), self.width);
        let mut values = vec![0.0; num_rows * width];
        for row in 0..num_rows {
            let (columns, stored) = self.row(row);
            for (&column, &value) in columns.iter().zip(stored) {
                values[row * width + column] = value;
            }
        }
        DenseRows { num_rows, width, values }
    }
}

/// Features of all nodes.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeFeatures {
    /// Every value is stored.
    Dense(DenseRows),
    /// Values other than zero are stored.
    Sparse(SparseRows),
}

impl NodeFeatures {
    /// Features of width zero, for graphs without features.
    pub fn none(num_nodes: usize) -> Self {
        Self::Dense(DenseRows { num_rows: num_nodes, width: 0, values: Vec::new() })
    }

    /// The identity: node `i` has a one in column `i`. For graphs without features of their own.
    pub fn one_hot(num_nodes: usize) -> Self {
        Self::Sparse(SparseRows {
            width: num_nodes,
            starts: (0..=num_nodes).collect(),
            columns: (0..num_nodes).collect(),
            values: vec![1.0; num_nodes],
        })
    }

    /// Number of rows.
    pub fn num_rows(&self) -> usize {
        match self {
            Self::Dense(rows) => rows.num_rows(),
            Self::Sparse(rows) => rows.num_rows(),
        }
    }

    /// Values per row.
    pub fn width(&self) -> usize {
        match self {
            Self::Dense(rows) => rows.width(),
            Self::Sparse(rows) => rows.width(),
        }
    }

    /// Values other than zero in each row.
    pub fn nonzeros(&self) -> Vec<usize> {
        let nonzero = |values: &[f32]| values.iter().filter(|&&value| value != 0.0).count();
        match self {
            Self::Dense(rows) => (0..rows.num_rows()).map(|row| nonzero(rows.row(row))).collect(),
            Self::Sparse(rows) => {
                (0..rows.num_rows()).map(|row| nonzero(rows.row(row).1)).collect()
            }
        }
    }

    /// Each row divided by the sum of its values; rows whose sum is zero stay as they are.
    ///
    /// # Example
    /// ```
    /// use firebrick_datasets::graph::{DenseRows, NodeFeatures};
    ///
    /// let rows = NodeFeatures::Dense(DenseRows::new(2, 2, vec![1.0, 3.0, 0.0, 0.0])?);
    /// assert_eq!(rows.normalize_rows().to_dense().values(), [0.25, 0.75, 0.0, 0.0]);
    /// # Ok::<(), firebrick_datasets::DatasetError>(())
    /// ```
    pub fn normalize_rows(&self) -> Self {
        let divide = |values: &mut [f32]| {
            let sum: f64 = values.iter().map(|&value| f64::from(value)).sum();
            if sum != 0.0 {
                values.iter_mut().for_each(|value| *value = (f64::from(*value) / sum) as f32);
            }
        };
        let mut result = self.clone();
        match &mut result {
            Self::Dense(rows) if rows.width > 0 => {
                rows.values.chunks_exact_mut(rows.width).for_each(divide);
            }
            Self::Dense(_) => {}
            Self::Sparse(rows) => {
                for row in rows.starts.windows(2) {
                    divide(&mut rows.values[row[0]..row[1]]);
                }
            }
        }
        result
    }

    /// Every value, row-major `[num_rows, width]`.
    pub fn to_dense(&self) -> DenseRows {
        match self {
            Self::Dense(rows) => rows.clone(),
            Self::Sparse(rows) => rows.to_dense(),
        }
    }

    /// The given rows in the given order; a row may come several times.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn select(&self, chosen: &[usize]) -> Self {
        match self {
            Self::Dense(rows) => {
                let values = chosen.iter().flat_map(|&row| rows.row(row)).copied().collect();
                Self::Dense(DenseRows { num_rows: chosen.len(), width: rows.width, values })
            }
            Self::Sparse(rows) => {
                let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
                for &row in chosen {
                    let (row_columns, row_values) = rows.row(row);
                    columns.extend_from_slice(row_columns);
                    values.extend_from_slice(row_values);
                    starts.push(columns.len());
                }
                Self::Sparse(SparseRows { width: rows.width, starts, columns, values })
            }
        }
    }
}

fn place() -> String {
    "node features".to_string()
}

fn check_length(list: &'static str, expected: usize, found: usize) -> Result<(), DatasetError> {
    if expected == found {
        return Ok(());
    }
    Err(DatasetError::GraphLength { place: place(), list, expected, found })
}

fn check_finite(values: &[f32]) -> Result<(), DatasetError> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(value("value", index, "a finite number", values[index])),
    }
}

fn check_starts(starts: &[usize], stored: usize) -> Result<(), DatasetError> {
    if starts.first() != Some(&0) {
        let found = starts.first().map_or("nothing".to_string(), usize::to_string);
        return Err(value("start", 0, "0", found));
    }
    if let Some(row) = starts.windows(2).position(|pair| pair[0] > pair[1]) {
        let expected = format!("at least {}, where the row begins", starts[row]);
        return Err(value("start", row + 1, expected, starts[row + 1]));
    }
    match starts.last() {
        Some(&last) if last == stored => Ok(()),
        last => {
            let expected = format!("{stored}, the number of stored values");
            Err(value("start", starts.len() - 1, expected, last.copied().unwrap_or_default()))
        }
    }
}

fn check_columns(
    columns: &[usize],
    row: std::ops::Range<usize>,
    width: usize,
) -> Result<(), DatasetError> {
    let mut least = 0;
    for index in row {
        let column = columns[index];
        if column < least || column >= width {
            let expected = format!("a column from {least} to below {width}, increasing in a row");
            return Err(value("column", index, expected, column));
        }
        least = column + 1;
    }
    Ok(())
}

fn value(
    list: &'static str,
    index: usize,
    expected: impl Into<String>,
    found: impl ToString,
) -> DatasetError {
    let (expected, found) = (expected.into(), found.to_string());
    DatasetError::GraphValue { place: place(), list, index, expected, found }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn message(width: usize, starts: &[usize], columns: &[usize], values: &[f32]) -> String {
        SparseRows::new(width, starts.to_vec(), columns.to_vec(), values.to_vec())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn sparse_rows_say_what_is_wrong() {
        let ok: (&[usize], &[usize], &[f32]) = (&[0, 2, 3], &[0, 2, 1], &[1.0, 2.0, 3.0]);
        assert!(SparseRows::new(3, ok.0.to_vec(), ok.1.to_vec(), ok.2.to_vec()).is_ok());
        assert!(message(3, ok.0, ok.1, &[1.0]).ends_with("expected 3, found 1"));
        assert!(message(3, &[], &[], &[]).ends_with("start 0: expected 0, found nothing"));
        assert!(message(3, &[1, 2, 3], ok.1, ok.2).ends_with("start 0: expected 0, found 1"));
        assert!(message(3, &[0, 3, 2], ok.1, ok.2).contains("start 2: expected at least 3"));
        assert!(message(3, &[0, 2, 2], ok.1, ok.2).contains("start 2: expected 3, the number"));
        assert!(message(2, ok.0, ok.1, ok.2).contains("column 1: expected a column from 1 to"));
        assert!(message(3, ok.0, &[2, 2, 1], ok.2).contains("column 1: expected a column from 3"));
        assert!(message(3, ok.0, ok.1, &[1.0, f32::NAN, 0.0]).contains("value 1: expected a fin"));
    }

    #[test]
    fn dense_and_sparse_rows_agree() {
        let sparse =
            SparseRows::new(3, vec![0, 2, 2, 4], vec![0, 2, 1, 2], vec![1.0, 3.0, -2.0, 2.0]);
        let sparse = NodeFeatures::Sparse(sparse.unwrap());
        let dense = NodeFeatures::Dense(sparse.to_dense());
        assert_eq!(sparse.nonzeros(), dense.nonzeros());
        assert_eq!(sparse.normalize_rows().to_dense(), dense.normalize_rows().to_dense());
        // A row whose sum is zero stays.
        assert_eq!(dense.normalize_rows().to_dense().row(2), [0.0, -2.0, 2.0]);
        let chosen = [2, 0, 0];
        assert_eq!(sparse.select(&chosen).to_dense(), dense.select(&chosen).to_dense());
    }

    #[test]
    fn features_may_be_empty() {
        assert_eq!(NodeFeatures::none(3).normalize_rows(), NodeFeatures::none(3));
        let none = NodeFeatures::one_hot(0);
        assert_eq!((none.num_rows(), none.width()), (0, 0));
        assert_eq!(NodeFeatures::one_hot(2).to_dense().values(), [1.0, 0.0, 0.0, 1.0]);
    }
}
