//! Sparse updates of a few rows of a large table.
//!
//! A table `[N, K]` with one row per training sample changes in `B` rows per step. A dense
//! gradient of the table would touch all `N` rows; these functions touch `B` of them, in place
//! where the table is not shared.

use burn::tensor::{IndexingUpdateOp, Int, Tensor};

/// Adds a row to the table at each index; rows of a repeated index add up.
///
/// Runs in place on Flex if nothing else holds the table's storage.
///
/// # Shapes
/// - table: `[rows, columns]`
/// - indices: `[batch]`, each in `0..rows`
/// - values: `[batch, columns]`
/// - output: `[rows, columns]`
///
/// # Panics
/// If the shapes disagree. An index outside the table panics on host backends and is undefined on
/// GPUs, as everywhere in Burn.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use firebrick_ops::rows::add_rows;
///
/// let device = Device::flex();
/// let table = Tensor::<2>::zeros([3, 1], &device);
/// let indices = Tensor::<1, Int>::from_data([2, 0, 2], &device);
/// let values = Tensor::<2>::from_data([[1.0], [5.0], [1.0]], &device);
/// let table = add_rows(table, indices, values);
/// assert_eq!(table.into_data().try_to_vec::<f32>().unwrap(), [5.0, 0.0, 2.0]);
/// ```
pub fn add_rows(table: Tensor<2>, indices: Tensor<1, Int>, values: Tensor<2>) -> Tensor<2> {
    check_shapes("add_rows", &table, &indices, &values);
    if indices.dims()[0] == 0 {
        return table;
    }
    table.select_assign(0, indices, values, IndexingUpdateOp::Add)
}

/// Clamps the rows at the given indices to `[min, max]`; the other rows stay as they are.
///
/// # Shapes
/// - table: `[rows, columns]`
/// - indices: `[batch]`, each in `0..rows`, repetitions allowed
/// - output: `[rows, columns]`
///
/// # Panics
/// As [`add_rows`].
pub fn clamp_rows(table: Tensor<2>, indices: Tensor<1, Int>, min: f64, max: f64) -> Tensor<2> {
    if indices.dims()[0] == 0 {
        return table;
    }
    let rows = table.clone().select(0, indices.clone()).clamp(min, max);
    check_shapes("clamp_rows", &table, &indices, &rows);
    table.select_assign(0, indices, rows, IndexingUpdateOp::Assign)
}

fn check_shapes(name: &str, table: &Tensor<2>, indices: &Tensor<1, Int>, values: &Tensor<2>) {
    let [_, columns] = table.dims();
    let expected = [indices.dims()[0], columns];
    assert!(
        values.dims() == expected,
        "{name}: values must have one row per index and the table's columns, {expected:?}, got {:?}",
        values.dims()
    );
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn numbers(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn adds_repeated_rows_and_leaves_the_others() {
        let device = Device::flex();
        let table = Tensor::<2>::from_data([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], &device);
        let indices = Tensor::<1, Int>::from_data([2, 2], &device);
        let values = Tensor::<2>::from_data([[1.0, 0.0], [1.0, 10.0]], &device);
        assert_eq!(numbers(add_rows(table, indices, values)), [1., 2., 3., 4., 7., 16.]);
    }

    #[test]
    fn does_not_change_a_table_that_somebody_else_holds() {
        let device = Device::flex();
        let table = Tensor::<2>::zeros([2, 1], &device);
        let held = table.clone();
        let indices = Tensor::<1, Int>::from_data([1], &device);
        let changed = add_rows(table, indices, Tensor::ones([1, 1], &device));
        assert_eq!(numbers(held), [0.0, 0.0]);
        assert_eq!(numbers(changed), [0.0, 1.0]);
    }

    #[test]
    fn clamps_only_the_rows_that_are_named() {
        let device = Device::flex();
        let table = Tensor::<2>::from_data([[3.0, -3.0], [3.0, 0.5]], &device);
        let indices = Tensor::<1, Int>::from_data([1, 1], &device);
        assert_eq!(numbers(clamp_rows(table, indices, -1.0, 1.0)), [3.0, -3.0, 1.0, 0.5]);
    }

    #[test]
    fn accepts_an_empty_batch() {
        let device = Device::flex();
        let indices = Tensor::<1, Int>::from_data([0; 0], &device);
        let table = add_rows(
            Tensor::ones([2, 2], &device),
            indices.clone(),
            Tensor::zeros([0, 2], &device),
        );
        assert_eq!(numbers(clamp_rows(table, indices, 0.0, 0.5)), [1.0; 4]);
    }

    #[test]
    #[should_panic(expected = "[1, 2], got [1, 3]")]
    fn names_both_shapes_when_columns_disagree() {
        let device = Device::flex();
        let indices = Tensor::<1, Int>::from_data([0], &device);
        add_rows(Tensor::ones([2, 2], &device), indices, Tensor::zeros([1, 3], &device));
    }
}
