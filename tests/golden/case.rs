//! Reading golden files, strictly, and comparing with them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use serde::Deserialize;
use serde_json::Value;

/// Every kind there is; a file of another kind is an error, so that a misspelled one is noticed.
const KINDS: &[&str] = &[
    "attack_acg",
    "attack_apgd_l1",
    "attack_apgd",
    "attack_apgd_targeted",
    "attack_checkpoints",
    "attack_digits_curves",
    "direction_normalisation",
    "attack_diversity_index",
    "attack_diversity_window",
    "interpolation_batchnorm",
    "interpolation_mlp",
    "interpolation_two_solutions",
    "attack_losses",
    "attack_projections",
    "deq_end_to_end",
    "deq_jacobian_reg",
    "deq_linear",
    "deq_norms",
    "deq_activation",
    "deq_solver",
    "dsm_loss",
    "inverse_operators",
    "langevin_quadratic",
    "langevin_relu_generator",
    "matrix_families",
    "random_relu_expected_loss",
    "score_sde_steps",
    "sgilo_update",
    "diag_gd",
    "diag_gd_deep",
    "diag_gd_product",
    "diag_hessian",
    "factors_flow_and_gd",
    "flow",
    "flow_nonwhitened",
    "interpolators",
    "graph_appnp",
    "graph_cheb",
    "planetoid_checks",
    "graph_cvae",
    "temporal_dyncsl",
    "temporal_evolvegcn",
    "graph_gat",
    "graph_gatv2",
    "temporal_recurrent",
    "graph_gcn",
    "graph_gcnii",
    "graph_gin",
    "graph_gine",
    "graph_grand",
    "graph_lagcn",
    "graph_sage",
    "graph_sgc",
    "temporal_time_then_graph",
    "graph_uscore",
    "adai",
    "efld_bounds",
    "efld_lsd",
    "efld_quantised",
    "efld_sgld",
    "efld_sign",
    "gdm",
    "ortho_activations_pooling",
    "ortho_alternatives",
    "ortho_conv1d",
    "ortho_conv2d",
    "ortho_conv2d_cayley",
    "ortho_conv_transpose1d",
    "ortho_conv_transpose2d",
    "ortho_linear",
    "ortho_margin_and_certificates",
    "ortho_resblock",
    "ortho_residual_flow",
    "ortho_shuffleblock",
    "ortho_skew_maps",
    "ortho_train_trajectory",
    "confident_learning",
    "nc_metrics",
    "noise_transition_matrices",
    "peer_losses",
    "rescaled_mse",
    "sop_linear",
    "sop_loss",
    "sop_trajectory",
    "ufm_closed_forms",
    "ufm_critical_points",
    "ufm_extended_linear",
    "ufm_extended_relu_family",
    "ufm_extended_relu",
    "ufm_gd_trajectory",
    "ufm_objective_grad",
];

/// A golden file.
#[derive(Debug, Deserialize)]
pub struct Case {
    #[serde(skip)]
    path: PathBuf,
    kind: String,
    params: BTreeMap<String, Value>,
    tensors: BTreeMap<String, Stored>,
}

#[derive(Debug, Deserialize)]
struct Stored {
    shape: Vec<usize>,
    /// `null` is NaN; a scalar stands as a list of one.
    data: Vec<Option<f64>>,
}

/// Why a case does not hold.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a found value may be from the expected one: `absolute + relative * |expected|`.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    pub absolute: f64,
    pub relative: f64,
    /// Whether the absolute part shrinks with the tensor's largest value where that is below 1, so
    /// that tensors of small values are really compared.
    pub scaled: bool,
}

impl Tolerance {
    pub const fn absolute(absolute: f64) -> Self {
        Self { absolute, relative: 0.0, scaled: false }
    }

    pub const fn relative(relative: f64) -> Self {
        Self { absolute: 0.0, relative, scaled: false }
    }
}

impl Case {
    /// The file's name, for messages.
    pub fn file(&self) -> String {
        self.path.display().to_string()
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let fail = |what: String| Failure(format!("{}: {what}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
        let mut case: Self =
            serde_json::from_str(&text).map_err(|error| fail(error.to_string()))?;
        case.path = path.to_path_buf();
        if !KINDS.contains(&case.kind.as_str()) {
            return Err(fail(format!("unknown kind '{}'", case.kind)));
        }
        for (name, stored) in &case.tensors {
            let expected: usize = stored.shape.iter().product();
            if stored.data.len() != expected {
                let found = stored.data.len();
                return Err(fail(format!(
                    "tensor {name}: shape asks for {expected} values, found {found}"
                )));
            }
        }
        Ok(case)
    }

    /// A parameter that the file may lack.
    pub fn optional(&self, name: &str) -> Option<&Value> {
        self.params.get(name).filter(|value| !value.is_null())
    }

    fn param<T>(
        &self,
        name: &str,
        what: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, Failure> {
        let value =
            self.optional(name).ok_or_else(|| Failure(format!("parameter {name} is missing")))?;
        read(value)
            .ok_or_else(|| Failure(format!("parameter {name}: expected {what}, found {value}")))
    }

    pub fn f64(&self, name: &str) -> Result<f64, Failure> {
        self.param(name, "a number", Value::as_f64)
    }

    pub fn usize(&self, name: &str) -> Result<usize, Failure> {
        self.param(name, "a count", |value| value.as_u64().map(|value| value as usize))
    }

    pub fn bool(&self, name: &str) -> Result<bool, Failure> {
        self.param(name, "true or false", Value::as_bool)
    }

    /// A field of a parameter that is an object.
    pub fn field(&self, name: &str, field: &str) -> Result<&Value, Failure> {
        let value =
            self.optional(name).ok_or_else(|| Failure(format!("parameter {name} is missing")))?;
        value
            .get(field)
            .ok_or_else(|| Failure(format!("parameter {name}: {field} is missing in {value}")))
    }

    fn stored(&self, name: &str) -> Result<&Stored, Failure> {
        self.tensors.get(name).ok_or_else(|| Failure(format!("tensor {name} is missing")))
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// A tensor's values, row-major, and its shape.
    pub fn values<const D: usize>(&self, name: &str) -> Result<(Vec<f64>, [usize; D]), Failure> {
        let stored = self.stored(name)?;
        let shape = stored.shape.clone().try_into().map_err(|shape: Vec<usize>| {
            Failure(format!("tensor {name}: expected {D} dimensions, found the shape {shape:?}"))
        })?;
        Ok((stored.data.iter().map(|value| value.unwrap_or(f64::NAN)).collect(), shape))
    }

    /// A tensor's values, row-major, whatever its shape.
    pub fn flat(&self, name: &str) -> Result<Vec<f64>, Failure> {
        let stored = self.stored(name)?;
        Ok(stored.data.iter().map(|value| value.unwrap_or(f64::NAN)).collect())
    }

    /// A list of indices or labels.
    pub fn indices(&self, name: &str) -> Result<Vec<usize>, Failure> {
        let stored = self.stored(name)?;
        let index = |value: &Option<f64>| match value {
            Some(value) if *value >= 0.0 && value.fract() == 0.0 => Ok(*value as usize),
            _ => Err(Failure(format!("tensor {name}: expected indices, found {value:?}"))),
        };
        stored.data.iter().map(index).collect()
    }

    /// Compares a result with the tensor of the given name.
    pub fn compare<const D: usize>(
        &self,
        name: &str,
        found: Tensor<D>,
        tolerance: Tolerance,
    ) -> Result<(), Failure> {
        let (expected, shape) = self.values::<D>(name)?;
        self.compare_part(name, &expected, shape, found.into_data(), tolerance)
    }

    /// Compares a result with part `index` along the first axis of the tensor of the given name.
    pub fn compare_at<const D: usize>(
        &self,
        name: &str,
        index: usize,
        found: Tensor<D>,
        tolerance: Tolerance,
    ) -> Result<(), Failure> {
        let stored = self.stored(name)?;
        let shape: [usize; D] =
            stored.shape.get(1..).and_then(|shape| shape.try_into().ok()).ok_or_else(|| {
                Failure(format!("tensor {name}: unexpected shape {:?}", stored.shape))
            })?;
        let size: usize = shape.iter().product();
        let part: Vec<f64> = stored.data[index * size..(index + 1) * size]
            .iter()
            .map(|value| value.unwrap_or(f64::NAN))
            .collect();
        self.compare_part(&format!("{name}[{index}]"), &part, shape, found.into_data(), tolerance)
    }

    /// Compares a scalar that stands among the tensors, with the shape `[]`.
    pub fn compare_scalar(
        &self,
        name: &str,
        found: Tensor<1>,
        tolerance: Tolerance,
    ) -> Result<(), Failure> {
        let (expected, _) = self.values::<0>(name)?;
        self.compare_part(name, &expected, [1], found.into_data(), tolerance)
    }

    /// Compares host values with the tensor of the given name.
    pub fn compare_host(
        &self,
        name: &str,
        found: &[f64],
        tolerance: Tolerance,
    ) -> Result<(), Failure> {
        let stored = self.stored(name)?;
        let expected: Vec<f64> =
            stored.data.iter().map(|value| value.unwrap_or(f64::NAN)).collect();
        let found = TensorData::new(found.to_vec(), [found.len()]);
        self.compare_part(name, &expected, [expected.len()], found, tolerance)
    }

    fn compare_part<const D: usize>(
        &self,
        name: &str,
        expected: &[f64],
        shape: [usize; D],
        found: TensorData,
        tolerance: Tolerance,
    ) -> Result<(), Failure> {
        if found.shape()[..] != shape {
            return Err(Failure(format!(
                "{name}: expected the shape {shape:?}, found {:?}",
                found.shape()
            )));
        }
        let found: Vec<f64> = found.iter::<f64>().collect();
        let largest =
            expected.iter().filter(|x| x.is_finite()).fold(0.0f64, |max, x| max.max(x.abs()));
        let scale = if tolerance.scaled { largest.min(1.0) } else { 1.0 };
        let absolute = tolerance.absolute * scale;
        // Above 1 a value is out of tolerance; NaN agrees with NaN only.
        let badness = |(expected, found): (&f64, &f64)| match (expected.is_nan(), found.is_nan()) {
            (true, true) => 0.0,
            (false, false) if expected == found => 0.0,
            (false, false) => {
                (expected - found).abs() / (absolute + tolerance.relative * expected.abs())
            }
            _ => f64::INFINITY,
        };
        let (worst, bad) =
            expected.iter().zip(&found).map(badness).enumerate().fold(
                (0, 0.0),
                |worst, (index, bad)| if bad > worst.1 { (index, bad) } else { worst },
            );
        if bad <= 1.0 {
            return Ok(());
        }
        Err(Failure(format!(
            "{name}{:?}: expected {:e}, found {:e} ({bad:.2} x the tolerance {tolerance:?})",
            coordinate(worst, &shape),
            expected[worst],
            found[worst]
        )))
    }
}

fn coordinate(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut coordinate = vec![0; shape.len()];
    for (axis, &size) in shape.iter().enumerate().rev() {
        coordinate[axis] = index % size.max(1);
        index /= size.max(1);
    }
    coordinate
}

/// Every case of a kind below the golden folder.
///
/// # Panics
/// If the folder is missing or holds no file, or any file in it cannot be read.
pub fn cases_of(kind: &str) -> Vec<Case> {
    let folder = std::env::var_os("FIREBRICK_GOLDEN")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), PathBuf::from);
    let cases = read_folder(&folder).unwrap_or_else(|failure| panic!("golden files: {failure}"));
    cases.into_iter().filter(|case| case.kind == kind).collect()
}

fn read_folder(folder: &Path) -> Result<Vec<Case>, Failure> {
    let mut paths = Vec::new();
    collect(folder, &mut paths)?;
    paths.sort();
    if paths.is_empty() {
        return Err(Failure(format!("{}: no .json file in this folder", folder.display())));
    }
    paths.iter().map(|path| Case::read(path)).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let fail = |error: std::io::Error| Failure(format!("{}: {error}", folder.display()));
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.is_dir() {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    Ok(())
}

mod tests {
    use super::*;
    use burn::tensor::Device;

    const GOOD: &str = r#"{"kind": "adai", "about": "", "made_with": "", "params": {"n": 2, "x": null},
        "tensors": {"a": {"shape": [2], "data": [1.0, null]}, "s": {"shape": [], "data": [1e-9]}}}"#;

    fn folder(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::create_dir(folder.path().join("deeper")).expect("folder");
        fs::write(folder.path().join("deeper/case.json"), text).expect("file");
        folder
    }

    fn error(text: &str) -> String {
        read_folder(folder(text).path()).expect_err("must not be read").to_string()
    }

    #[test]
    fn golden_reads_files_in_deeper_folders_and_keeps_null_as_nan() {
        let cases = read_folder(folder(GOOD).path()).expect("a good file");
        assert_eq!(cases[0].usize("n").expect("there"), 2);
        assert!(cases[0].optional("x").is_none());
        assert!(cases[0].values::<1>("a").expect("there").0[1].is_nan());
    }

    #[test]
    fn golden_refuses_missing_and_empty_folders() {
        let empty = tempfile::tempdir().expect("temporary folder");
        assert!(read_folder(empty.path()).is_err());
        assert!(read_folder(&empty.path().join("none")).is_err());
    }

    #[test]
    fn golden_refuses_unknown_kinds_and_broken_files() {
        assert!(error(&GOOD.replace("adai", "adia")).contains("unknown kind 'adia'"));
        assert!(error(&GOOD[..40]).contains("case.json"));
        assert!(error(&GOOD.replace("[2]", "[3]")).contains("shape asks for 3 values, found 2"));
    }

    #[test]
    fn golden_comparison_names_the_worst_coordinate_and_sees_small_values() {
        let cases = read_folder(folder(GOOD).path()).expect("a good file");
        let tolerance = Tolerance { scaled: true, ..Tolerance::absolute(1e-5) };
        let device = Device::flex();
        let found = Tensor::<1>::from_data([1.5, f32::NAN], &device);
        let message =
            cases[0].compare("a", found, tolerance).expect_err("1.5 is not 1").to_string();
        assert!(message.starts_with("a[0]: expected 1e0, found 1.5e0"), "{message}");
        let number = Tensor::<1>::from_data([1.0, 0.0], &device);
        assert!(cases[0].compare("a", number, tolerance).is_err(), "NaN is expected");
        let zero = Tensor::<1>::zeros([1], &device);
        assert!(cases[0].compare_scalar("s", zero, tolerance).is_err(), "1e-9 is not 0");
    }
}
