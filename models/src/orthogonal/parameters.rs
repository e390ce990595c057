//! Parameters of orthogonal layers by the authors' names; [`ParameterTable`] has the scheme.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use firebrick_ops::orthogonal::{HostMatrix, complete};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::filter::{FilterPlan, ParaunitaryFilter};
use crate::ModelError;

/// Matrices by name.
///
/// ```text
/// g0.d1.r2.skew
/// |  |  |  '-- skew: the free parameter;  base: its fixed orthogonal matrix;  matrix: the product
/// |  |  '----- q: the square matrix;  r1, r2, ..: factors on the right;  l1, l2, ..: on the left
/// |  '-------- axis, 0 for the height and 1 for the width; absent where there is one axis or one tap
/// '----------- group; absent in linear layers
/// ```
///
/// The filter that adaptive composition adds has the prefix `fold.`. Importing takes `skew` and `base`,
/// or `matrix` alone, which becomes the first columns of a base.
///
/// # Example
/// ```
/// use firebrick_models::orthogonal::{OrthogonalConv2dConfig, ParameterTable};
///
/// let device = burn::tensor::Device::flex();
/// let layer = OrthogonalConv2dConfig::new([1, 1], [1, 1]).init(&device);
/// let mut table = ParameterTable::new();
/// table.insert("conv.g0.q.skew", 1, 1, vec![0.0]);
/// table.insert("conv.g0.q.base", 1, 1, vec![-1.0]);
/// let layer = layer.import(&table, &Default::default())
///     .expect_err("the prefix is missing");
/// assert_eq!(layer.to_string(), "g0.q.skew: the matrix is missing");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParameterTable(BTreeMap<String, HostMatrix>);

impl ParameterTable {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a matrix, row by row; replaces one of the same name.
    ///
    /// # Panics
    /// If there are not `rows * columns` values.
    pub fn insert(
        &mut self,
        name: impl Into<String>,
        rows: usize,
        columns: usize,
        values: Vec<f64>,
    ) {
        self.0.insert(name.into(), HostMatrix::new(rows, columns, values));
    }

    /// The matrix of this name.
    pub fn get(&self, name: &str) -> Option<&HostMatrix> {
        self.0.get(name)
    }

    /// With the named matrices transposed.
    pub(super) fn turned(&self, names: &[String]) -> Self {
        let mut turned = self.clone();
        for name in names {
            if let Some(matrix) = turned.0.get_mut(name) {
                *matrix = matrix.transpose();
            }
        }
        turned
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// How parameters of another implementation are laid out.
#[derive(Clone, Debug, Default)]
pub struct ImportLayout {
    /// What stands before every name, such as `features.3.`.
    pub prefix: String,
    /// Whether matrices are stored column by column, that is, transposed.
    pub transposed: bool,
    /// Whether the free parameter stands above the diagonal instead of below it: `A = U - U^T` of the
    /// strictly upper triangle `U`.
    pub upper: bool,
}

/// A matrix of a layer: its name and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterSlot {
    /// Name as in [`ParameterTable`], without the last part.
    pub name: String,
    /// Whether it is one of the projections, else one of the rotations.
    pub projection: bool,
    /// Index along the first axis of the parameter that holds it.
    pub index: usize,
    /// Rows and columns.
    pub shape: [usize; 2],
}

/// All matrices of a filter.
pub(super) fn slots(plan: &FilterPlan) -> Vec<ParameterSlot> {
    let mut slots = Vec::new();
    for group in 0..plan.groups {
        for axis in 0..plan.ranks.len() {
            let place = match plan.ranks.len() {
                1 => format!("g{group}"),
                _ => format!("g{group}.d{axis}"),
            };
            slots.push(ParameterSlot {
                name: format!("{place}.q"),
                projection: false,
                index: plan.rotation(axis, group),
                shape: [plan.size, plan.size],
            });
            for (position, &rank) in plan.ranks[axis].iter().enumerate() {
                let side = if plan.order.is_left(position) { 'l' } else { 'r' };
                slots.push(ParameterSlot {
                    name: format!("{place}.{side}{}", position / 2 + 1),
                    projection: true,
                    index: plan.projection(axis, position, group),
                    shape: [plan.size, rank],
                });
            }
        }
    }
    slots
}

/// Reads every matrix of a filter from the table.
pub(super) fn import(
    filter: ParaunitaryFilter,
    table: &ParameterTable,
    layout: &ImportLayout,
) -> Result<ParaunitaryFilter, ModelError> {
    let plan = filter.plan().clone();
    let slots = slots(&plan);
    let empty = HostMatrix::new(plan.size, 0, Vec::new());
    let count = |projection| slots.iter().filter(|slot| slot.projection == projection).count();
    let mut free = [vec![empty.clone(); count(false)], vec![empty.clone(); count(true)]];
    let mut bases = free.clone();
    for slot in &slots {
        let full = format!("{}{}", layout.prefix, slot.name);
        let (matrix, base) = read(table, layout, &full, slot.shape)?;
        let columns = if slot.projection { plan.largest_rank() } else { plan.size };
        let kind = usize::from(slot.projection);
        free[kind][slot.index] = HostMatrix::from_fn(plan.size, columns, |i, j| {
            if j < slot.shape[1] { matrix.get(i, j) } else { 0.0 }
        });
        bases[kind][slot.index] = base;
    }
    let ([rotations, projections], [rotation_bases, projection_bases]) = (free, bases);
    Ok(filter.assign([&rotations, &rotation_bases], [&projections, &projection_bases]))
}

/// The free parameter and the base of one matrix: from `skew` and `base`, or from `matrix` alone.
pub(super) fn read(
    table: &ParameterTable,
    layout: &ImportLayout,
    name: &str,
    shape: [usize; 2],
) -> Result<(HostMatrix, HostMatrix), ModelError> {
    let size = shape[0];
    // Only ranks above zero have parameters, and any base will do for the others.
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let missing = |name: String| ModelError::MissingMatrix { name };
    let (skew, base, matrix) =
        (format!("{name}.skew"), format!("{name}.base"), format!("{name}.matrix"));
    if shape[1] == 0 {
        return Ok((
            HostMatrix::new(size, 0, Vec::new()),
            firebrick_ops::orthogonal::identity(size),
        ));
    }
    if table.get(&skew).is_none() && table.get(&matrix).is_some() {
        let given = checked(table, layout, &matrix, shape)?;
        let base = complete(&given, &mut rng)
            .map_err(|source| ModelError::NotOrthonormal { name: matrix, source })?;
        return Ok((HostMatrix::from_fn(size, shape[1], |_, _| 0.0), base));
    }
    if table.get(&skew).is_none() {
        return Err(missing(skew));
    }
    if table.get(&base).is_none() {
        return Err(missing(base));
    }
    let stored_shape = if layout.upper { [shape[1], shape[0]] } else { shape };
    let free = checked(table, layout, &skew, stored_shape)?;
    // The strictly upper triangle U of X gives U - U^T, the lower one of -X^T the same.
    let free = match layout.upper {
        true => HostMatrix::from_fn(shape[0], shape[1], |i, j| -free.get(j, i)),
        false => free,
    };
    let given = checked(table, layout, &base, [size, size])?;
    let base = complete(&given, &mut rng)
        .map_err(|source| ModelError::NotOrthonormal { name: base, source })?;
    Ok((free, base))
}

/// A finite matrix of the right shape, row by row.
fn checked(
    table: &ParameterTable,
    layout: &ImportLayout,
    name: &str,
    expected: [usize; 2],
) -> Result<HostMatrix, ModelError> {
    let name = name.to_string();
    let Some(matrix) = table.get(&name) else { return Err(ModelError::MissingMatrix { name }) };
    let matrix = if layout.transposed { matrix.transpose() } else { matrix.clone() };
    let found = matrix.shape();
    if found != expected {
        return Err(ModelError::MatrixShape { name, expected, found });
    }
    match matrix.values().iter().position(|value| !value.is_finite()) {
        None => Ok(matrix),
        Some(index) => Err(ModelError::NotFinite {
            name,
            entry: [index / found[1], index % found[1]],
            found: matrix.values()[index],
        }),
    }
}

/// Adds every matrix of a filter to the table: `skew` and `base`.
pub(super) fn export(filter: &ParaunitaryFilter, prefix: &str, table: &mut ParameterTable) {
    let (rotation_bases, projection_bases) = filter.bases();
    for slot in slots(filter.plan()) {
        let parameters = match slot.projection {
            false => Some((filter.rotations().val(), rotation_bases.clone())),
            true => filter.projections().map(|p| p.val()).zip(projection_bases.clone()),
        };
        let Some((free, base)) = parameters.filter(|_| slot.shape[1] > 0) else { continue };
        let mut add = |what: &str, tensor: Tensor<3>, columns: usize| {
            let rows = slot.shape[0];
            let values = tensor.narrow(0, slot.index, 1).narrow(2, 0, columns);
            let values = values.into_data().iter::<f64>().collect();
            table.insert(format!("{prefix}{}.{what}", slot.name), rows, columns, values);
        };
        add("skew", free, slot.shape[1]);
        add("base", base, slot.shape[0]);
    }
}
