//! Small operations on rows, and the way of their results to the host.

use burn::tensor::{Bool, DType, Tensor, TensorData};

/// A map on rows.
pub(super) type Map<'a> = dyn FnMut(Tensor<2>) -> Tensor<2> + 'a;

/// Inner product of each pair of rows, `[batch, 1]`.
pub(super) fn dots(a: &Tensor<2>, b: &Tensor<2>) -> Tensor<2> {
    (a.clone() * b.clone()).sum_dim(1)
}

/// Rows over their largest absolute entries, and those, `[batch, 1]`, with 1 for a row of zeros.
///
/// Squares of such rows neither overflow nor vanish.
pub(super) fn scaled(rows: &Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let peaks = rows.clone().max_abs_dim(1);
    let peaks = peaks.clone().mask_fill(peaks.equal_elem(0.0), 1.0);
    (rows.clone() / peaks.clone(), peaks)
}

/// Columns side by side in one read: one list of columns per sample.
pub(super) fn read(columns: Vec<Tensor<2>>) -> Vec<Vec<f64>> {
    let width = columns.len();
    let values: Vec<f64> = Tensor::cat(columns, 1).into_data().iter::<f64>().collect();
    values.chunks(width).map(<[f64]>::to_vec).collect()
}

/// One number per sample, `[batch, 1]`, on the device of `like`.
pub(super) fn column(values: Vec<f64>, like: &Tensor<2>) -> Tensor<2> {
    let rows = values.len();
    Tensor::from_data(TensorData::new(values, [rows, 1]), (&like.device(), like.dtype()))
}

/// One truth value per sample, spread over the rows of `like`.
pub(super) fn mask(values: Vec<bool>, like: &Tensor<2>) -> Tensor<2, Bool> {
    let rows = values.len();
    Tensor::<2, Bool>::from_data(TensorData::new(values, [rows, 1]), &like.device())
        .expand(like.dims())
}

/// Where `chosen`, the rows of `yes`, else those of `no`.
pub(super) fn choose(chosen: &[bool], yes: &Tensor<2>, no: Tensor<2>) -> Tensor<2> {
    match (chosen.iter().all(|&c| c), chosen.iter().any(|&c| c)) {
        (true, _) => yes.clone(),
        (_, false) => no,
        _ => {
            let mask = mask(chosen.to_vec(), &no);
            no.mask_where(mask, yes.clone())
        }
    }
}

/// Denominators below this count as zero.
pub(super) fn tiny(dtype: DType) -> f64 {
    if dtype == DType::F64 { 1e-30 } else { 1e-20 }
}

/// The smallest positive normal number.
pub(super) fn smallest(dtype: DType) -> f64 {
    if dtype == DType::F64 { f64::MIN_POSITIVE } else { f64::from(f32::MIN_POSITIVE) }
}
