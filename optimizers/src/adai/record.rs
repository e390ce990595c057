//! Files with the state, and the state by parameter.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::OptimizerRecord;
use burn::store::RecordError;
use burn::tensor::{Bytes, DType, Shape, Tensor, TensorData};
use burn_pack::Reader;

use super::Adai;
use super::state::{CORRECTION, MOMENT_1, MOMENT_2, TIME};
use crate::{OptimizerError, files};

/// What Adai remembers of one parameter, on the host, in the parameter's shape.
#[derive(Clone, Debug)]
pub struct AdaiParameterState {
    /// Number of steps in which the parameter had a gradient.
    pub steps: usize,
    /// First moment `m`.
    pub moment_1: TensorData,
    /// Second moment `v`, without bias correction.
    pub moment_2: TensorData,
    /// One minus the product of all inertias `beta_1`.
    pub correction: TensorData,
}

type Tensors = BTreeMap<String, (DType, Shape, Bytes)>;

impl Adai {
    /// The state of each parameter that Adai has stepped, read back to the host.
    pub fn states(&self) -> BTreeMap<ParamId, AdaiParameterState> {
        let expect = "a record of this optimizer can be read";
        let bytes = self.to_record().into_bytes().expect(expect);
        let reader = Reader::from_bytes(bytes).expect(expect);
        let scalars = reader.scalars().clone();
        let mut tensors = read(reader).expect(expect);
        let ids: Vec<u64> =
            scalars.keys().filter_map(|key| key.strip_suffix(".__rank")?.parse().ok()).collect();
        let state = |id: u64| {
            let mut take = |name: &str| {
                let (dtype, shape, bytes) = tensors.remove(&format!("{id}.{name}"))?;
                Some(TensorData::from_bytes(bytes, shape, dtype))
            };
            let steps = (*scalars.get(&format!("{id}.{TIME}"))?).try_into().ok()?;
            let moment_1 = take(MOMENT_1)?;
            let moment_2 = take(MOMENT_2)?;
            // Another optimizer's state has no correction.
            let correction = take(CORRECTION)?;
            Some((ParamId::from(id), AdaiParameterState { steps, moment_1, moment_2, correction }))
        };
        ids.into_iter().filter_map(state).collect()
    }

    /// Writes the state to a file, to a temporary one first that is then renamed.
    ///
    /// # Errors
    /// [`OptimizerError::Io`] or [`OptimizerError::Record`], with the file.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), OptimizerError> {
        let path = path.as_ref();
        let bytes = self
            .to_record()
            .into_bytes()
            .map_err(|source| OptimizerError::Record { path: path.to_path_buf(), source })?;
        files::replace(path, |file| file.write_all(&bytes))
    }

    /// Takes the state from a file that [`save`](Self::save) or Burn's checkpoints wrote, and checks
    /// that it belongs to `module`, whose record has been loaded before.
    ///
    /// # Errors
    /// [`OptimizerError::Io`] if there is no such file, [`OptimizerError::Record`] if it is no
    /// record, [`OptimizerError::WrongParameter`] if a state belongs to no parameter of the module
    /// or has another shape.
    pub fn load<M: Module>(
        self,
        path: impl AsRef<Path>,
        module: &M,
    ) -> Result<Self, OptimizerError> {
        let path = path.as_ref();
        fs::metadata(path)
            .map_err(|source| OptimizerError::Io { path: path.to_path_buf(), source })?;
        let not_a_record = |source| OptimizerError::Record { path: path.to_path_buf(), source };
        let reader =
            Reader::from_file(path).map_err(|error| not_a_record(RecordError::from(error)))?;
        let mut shapes = ParameterShapes::default();
        module.visit(&mut shapes);
        let tensors = reader.into_tensors().map_err(|error| not_a_record(error.into()))?;
        for tensor in tensors {
            // The sum of a moment is one number whatever the parameter's shape.
            let Some(id) = tensor.param_id.filter(|_| is_like_parameter(&tensor.name)) else {
                continue;
            };
            let expected = shapes.0.get(&id);
            if expected.is_none_or(|shape| *shape != tensor.shape) {
                return Err(OptimizerError::WrongParameter {
                    path: path.to_path_buf(),
                    name: tensor.name.clone(),
                    expected: expected.map(|shape| shape.to_vec()),
                    found: tensor.shape.to_vec(),
                });
            }
        }
        let record = OptimizerRecord::load(path).map_err(not_a_record)?;
        Ok(self.load_record(record))
    }
}

fn is_like_parameter(name: &str) -> bool {
    let field = name.rsplit('.').next();
    field.is_some_and(|field| [MOMENT_1, MOMENT_2, CORRECTION].contains(&field))
}

fn read(reader: Reader) -> Result<Tensors, burn_pack::Error> {
    let parts = |tensor: burn_pack::Tensor| {
        let (name, dtype, shape, _, bytes) = tensor.into_parts()?;
        Ok((name, (dtype, shape, bytes)))
    };
    reader.into_tensors()?.into_iter().map(parts).collect()
}

#[derive(Default)]
struct ParameterShapes(BTreeMap<u64, Shape>);

impl ModuleVisitor for ParameterShapes {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.insert(param.id.val(), param.lazy_shape());
    }
}
