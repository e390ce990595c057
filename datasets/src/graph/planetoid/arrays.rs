//! Matrices, labels and neighbor lists from the values of a pickle.

use crate::DatasetError;
use crate::graph::SparseRows;

use super::pickle::{Handle, Name, Pickle, Value};

/// Elements of an array, in row-major order of its shape.
enum Elements {
    Integers(Vec<i64>),
    Floats(Vec<f64>),
}

impl Pickle<'_> {
    /// The whole file as a sparse matrix; zeros that are stored are dropped.
    pub(super) fn sparse_matrix(&self) -> Result<SparseRows, DatasetError> {
        let at = self.root();
        let &Value::Object { of: Name::SparseMatrix, state: Some(state), .. } = self.value(at)
        else {
            return Err(self.wrong(at, "a sparse matrix with a state"));
        };
        let shape = self.field(state, "_shape")?;
        let [height, width] = self.sizes(shape)?[..] else {
            return Err(self.error(shape, "a shape of two sizes", "another number"));
        };
        if width > MOST_COLUMNS {
            let expected = format!("at most {MOST_COLUMNS} columns");
            return Err(self.error(shape, expected, width.to_string()));
        }
        let starts = self.integers(self.field(state, "indptr")?)?;
        let columns = self.integers(self.field(state, "indices")?)?;
        let values = match self.array(self.field(state, "data")?)?.1 {
            Elements::Floats(values) => values,
            Elements::Integers(values) => values.into_iter().map(|value| value as f64).collect(),
        };
        if starts.len().checked_sub(1) != Some(height) {
            let expected = format!("{height} rows and one start more than rows");
            return Err(self.error(at, expected, format!("{} starts", starts.len())));
        }
        if values.len() != columns.len() {
            let expected = format!("{} values, one per column", columns.len());
            return Err(self.error(at, expected, values.len().to_string()));
        }
        self.rows(at, width, &starts, &columns, &values)
    }

    /// Rows with sorted columns and without zeros.
    fn rows(
        &self,
        at: Handle,
        width: usize,
        starts: &[i64],
        columns: &[i64],
        values: &[f64],
    ) -> Result<SparseRows, DatasetError> {
        let (mut new_starts, mut new_columns, mut new_values) = (vec![0], vec![], vec![]);
        for (row, pair) in starts.windows(2).enumerate() {
            let range = usize::try_from(pair[0]).ok().zip(usize::try_from(pair[1]).ok());
            let Some((start, end)) = range.filter(|&(a, b)| a <= b && b <= columns.len()) else {
                let expected = format!("starts that rise up to {}", columns.len());
                let found = format!("row {row} from {} to {}", pair[0], pair[1]);
                return Err(self.error(at, expected, found));
            };
            let mut stored: Vec<(i64, f32)> = columns[start..end]
                .iter()
                .zip(&values[start..end])
                .filter(|&(_, &value)| value != 0.0)
                .map(|(&column, &value)| (column, value as f32))
                .collect();
            stored.sort_by_key(|&(column, _)| column);
            for (column, value) in stored {
                let Some(column) = usize::try_from(column).ok().filter(|&column| column < width)
                else {
                    let expected = format!("columns below {width}");
                    return Err(self.error(at, expected, format!("{column} in row {row}")));
                };
                new_columns.push(column);
                new_values.push(value);
            }
            new_starts.push(new_columns.len());
        }
        if starts.first() != Some(&0) || starts.last() != Some(&(columns.len() as i64)) {
            let expected = format!("starts from 0 to {}", columns.len());
            let found = format!("{:?} to {:?}", starts.first(), starts.last());
            return Err(self.error(at, expected, found));
        }
        SparseRows::new(width, new_starts, new_columns, new_values)
            .map_err(|error| self.error(at, "rows of finite values", error.to_string()))
    }

    /// The whole file as one label per row, and the number of classes: rows of zeros with at most
    /// one 1.
    pub(super) fn one_hot(&self) -> Result<(Vec<i64>, usize), DatasetError> {
        let at = self.root();
        let (shape, elements) = self.array(at)?;
        let [_, classes] = shape[..] else {
            return Err(self.error(at, "an array of two dimensions", shape.len().to_string()));
        };
        let Elements::Integers(elements) = elements else {
            return Err(self.error(at, "an array of integers", "one of floats"));
        };
        if !(1..=MOST_COLUMNS).contains(&classes) {
            let expected = format!("from 1 to {MOST_COLUMNS} classes");
            return Err(self.error(at, expected, classes.to_string()));
        }
        let mut labels = Vec::with_capacity(elements.len() / classes);
        for (row, values) in elements.chunks_exact(classes).enumerate() {
            let ones = values.iter().filter(|&&value| value == 1).count();
            if ones > 1 || values.iter().any(|&value| value != 0 && value != 1) {
                let found = format!("row {row}: {values:?}");
                return Err(self.error(at, "rows of zeros with at most one 1", found));
            }
            let class = values.iter().position(|&value| value == 1);
            labels.push(class.map_or(crate::graph::UNLABELED, |class| class as i64));
        }
        Ok((labels, classes))
    }

    /// The whole file as neighbor lists: pairs of a node and its neighbors, and every node once.
    pub(super) fn neighbor_lists(&self) -> Result<Vec<(i64, Vec<i64>)>, DatasetError> {
        let at = self.root();
        let Value::Dict(pairs) = self.value(at) else {
            return Err(self.wrong(at, "a dictionary of neighbor lists"));
        };
        // One list may be the value of several keys, so that what is copied is counted.
        let mut copied = 0;
        let mut lists = Vec::with_capacity(pairs.len());
        for &(node, neighbors) in pairs {
            let Value::List(items) = self.value(neighbors) else {
                return Err(self.wrong(neighbors, "a list of neighbors"));
            };
            copied += items.len();
            if copied > MOST_NEIGHBORS {
                let expected = format!("at most {MOST_NEIGHBORS} neighbors in all");
                return Err(self.error(neighbors, expected, "more"));
            }
            let neighbors: Result<Vec<i64>, _> =
                items.iter().map(|&item| self.integer(item, "a node")).collect();
            lists.push((self.integer(node, "a node")?, neighbors?));
        }
        Ok(lists)
    }

    /// The value of a key of a dictionary.
    fn field(&self, dict: Handle, name: &str) -> Result<Handle, DatasetError> {
        let Value::Dict(pairs) = self.value(dict) else {
            return Err(self.wrong(dict, "a dictionary as state"));
        };
        let is_name = |key: Handle| match self.value(key) {
            Value::Bytes(range) => self.bytes(range) == name.as_bytes(),
            _ => false,
        };
        let found = pairs.iter().rev().find(|&&(key, _)| is_name(key));
        found.map(|&(_, value)| value).ok_or_else(|| {
            self.error(dict, format!("the key \"{name}\""), format!("{} other keys", pairs.len()))
        })
    }

    fn integer(&self, at: Handle, what: &str) -> Result<i64, DatasetError> {
        match self.value(at) {
            &Value::Integer(value) => Ok(value),
            _ => Err(self.wrong(at, format!("{what}, an integer"))),
        }
    }

    /// A tuple of sizes.
    fn sizes(&self, at: Handle) -> Result<Vec<usize>, DatasetError> {
        let Value::Tuple(items) = self.value(at) else {
            return Err(self.wrong(at, "a tuple of sizes"));
        };
        let size = |&item: &Handle| {
            let size = self.integer(item, "a size")?;
            usize::try_from(size).map_err(|_| self.error(item, "a size", size.to_string()))
        };
        items.iter().map(size).collect()
    }

    fn integers(&self, at: Handle) -> Result<Vec<i64>, DatasetError> {
        match self.array(at)?.1 {
            Elements::Integers(values) => Ok(values),
            Elements::Floats(_) => Err(self.error(at, "an array of integers", "one of floats")),
        }
    }

    /// Shape and elements of an array. As many elements are made as bytes are there for them.
    fn array(&self, at: Handle) -> Result<(Vec<usize>, Elements), DatasetError> {
        let &Value::Object { of: Name::ReconstructArray, state: Some(state), .. } = self.value(at)
        else {
            return Err(self.wrong(at, "an array with a state"));
        };
        let Value::Tuple(items) = self.value(state) else {
            return Err(self.wrong(state, "a tuple as state"));
        };
        let &[_, shape, kind, by_columns, data] = items.as_slice() else {
            let found = format!("{} parts", items.len());
            return Err(self.error(state, "version, shape, type, order and data", found));
        };
        let shape = self.sizes(shape)?;
        let kind = self.element_type(kind)?;
        let &Value::Bool(by_columns) = self.value(by_columns) else {
            return Err(self.wrong(by_columns, "a truth value for the order"));
        };
        let Value::Bytes(range) = self.value(data) else {
            return Err(self.wrong(data, "a string with the elements"));
        };
        let bytes = self.bytes(range);
        let width = usize::from(kind[1] - b'0');
        let count = shape.iter().try_fold(width, |product, &size| product.checked_mul(size));
        if count != Some(bytes.len()) {
            let expected = format!("{shape:?} elements of {width} bytes");
            return Err(self.error(data, expected, format!("{} bytes", bytes.len())));
        }
        let elements = match &kind {
            b"i4" => Elements::Integers(numbers(bytes, |b| i64::from(i32::from_le_bytes(b)))),
            b"i8" => Elements::Integers(numbers(bytes, i64::from_le_bytes)),
            b"f4" => Elements::Floats(numbers(bytes, |b| f64::from(f32::from_le_bytes(b)))),
            _ => Elements::Floats(numbers(bytes, f64::from_le_bytes)),
        };
        if by_columns && shape.len() > 1 {
            let [height, width] = shape[..] else {
                return Err(self.error(at, "at most two dimensions in column order", "more"));
            };
            let elements = match elements {
                Elements::Integers(values) => Elements::Integers(by_rows(&values, height, width)),
                Elements::Floats(values) => Elements::Floats(by_rows(&values, height, width)),
            };
            return Ok((shape, elements));
        }
        Ok((shape, elements))
    }

    /// `i4`, `i8`, `f4` or `f8`, with the smallest byte first.
    fn element_type(&self, at: Handle) -> Result<[u8; 2], DatasetError> {
        let expected = "a type of elements among <i4, <i8, <f4 and <f8";
        let &Value::Object { of: Name::ElementType, arguments, state: Some(state) } =
            self.value(at)
        else {
            return Err(self.wrong(at, expected));
        };
        let text = |tuple: Handle, index: usize| match self.value(tuple) {
            Value::Tuple(items) => items.get(index).and_then(|&item| match self.value(item) {
                Value::Bytes(range) => Some(self.bytes(range)),
                _ => None,
            }),
            _ => None,
        };
        let (name, order) = (text(arguments, 0), text(state, 1));
        match (name, order) {
            (Some(&[kind @ (b'i' | b'f'), width @ (b'4' | b'8')]), Some(b"<")) => Ok([kind, width]),
            _ => {
                let shown = |part: Option<&[u8]>| {
                    part.map_or("nothing".to_string(), |part| {
                        String::from_utf8_lossy(&part[..part.len().min(8)]).into_owned()
                    })
                };
                Err(self.error(at, expected, format!("{}{}", shown(order), shown(name))))
            }
        }
    }
}

/// Most columns of a matrix: far more than any vocabulary, and little enough for one row of values.
const MOST_COLUMNS: usize = 1 << 22;

/// Most neighbors in all lists of a file.
const MOST_NEIGHBORS: usize = 1 << 22;

fn numbers<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|&chunk| read(chunk)).collect()
}

/// Elements that stand column after column, row after row.
fn by_rows<T: Copy>(values: &[T], height: usize, width: usize) -> Vec<T> {
    // Without elements one of the sizes is zero, and the other may be any number.
    let height = if values.is_empty() { 0 } else { height };
    (0..height)
        .flat_map(|row| (0..width).map(move |column| values[column * height + row]))
        .collect()
}
