//! Residual flows: log-determinant estimators with given probes and draws, their gradients, the inverse.

use burn::tensor::{DType, Tensor};
use firebrick::models::generative::residual_flow::{
    InverseConfig, InverseMethod, Pullback, ResidualFunction, Roulette, Stopping, exact_log_det,
    invert, jacobian, neumann, power_series, truncated_log_det,
};

use crate::Target;
use crate::case::{Case, Failure, Tolerance};

/// `g(x) = W2 tanh(W1 x + b)`.
struct Network {
    first: Tensor<2>,
    second: Tensor<2>,
    bias: Tensor<1>,
}

struct AtPoint {
    first: Tensor<2>,
    second: Tensor<2>,
    slopes: Tensor<2>,
}

impl Pullback<2> for AtPoint {
    fn apply(&self, cotangent: Tensor<2>) -> Tensor<2> {
        (cotangent.matmul(self.second.clone()) * self.slopes.clone()).matmul(self.first.clone())
    }

    fn detached(&self) -> Self {
        let slopes = self.slopes.clone().detach();
        Self { first: self.first.clone(), second: self.second.clone(), slopes }
    }
}

impl ResidualFunction<2> for Network {
    type Pullback<'a> = AtPoint;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.linearize(input).0
    }

    fn linearize(&self, input: Tensor<2>) -> (Tensor<2>, AtPoint) {
        let hidden = input.matmul(self.first.clone().transpose()) + self.bias.clone().unsqueeze();
        let active = hidden.tanh();
        let output = active.clone().matmul(self.second.clone().transpose());
        let slopes = active.powi_scalar(2).neg().add_scalar(1.0);
        (output, AtPoint { first: self.first.clone(), second: self.second.clone(), slopes })
    }

    /// The files promise a contraction; its exact bound plays no part.
    fn lipschitz(&self) -> f64 {
        0.999
    }
}

struct Check<'a> {
    case: &'a Case,
    target: &'a Target,
    network: Network,
    probe: Tensor<2>,
    input: Tensor<2>,
}

/// `ortho_residual_flow`.
pub fn estimators(case: &Case, target: &Target) -> Result<(), Failure> {
    let matrix = |name: &str| -> Result<Tensor<2>, Failure> {
        let (values, shape) = case.values::<2>(name)?;
        Ok(target.float(values, shape))
    };
    let (bias, shape) = case.values::<1>("b")?;
    let dim = case.usize("dim")?;
    if matrix("x")?.dims()[1] != dim {
        return Err(Failure::new(format!("x: expected {dim} columns")));
    }
    let network =
        Network { first: matrix("W1")?, second: matrix("W2")?, bias: target.float(bias, shape) };
    let (probe, input) = (matrix("eps")?, matrix("x")?);
    let check = Check { case, target, network, probe, input };
    check.function()?;
    let mut checked = 0;
    let names: Vec<String> = case.names().map(String::from).collect();
    for name in &names {
        checked += usize::from(check.named(name)?);
    }
    if checked == 0 {
        return Err(Failure::new("no tensor of an estimator"));
    }
    check.inverse()
}

impl Check<'_> {
    /// Relative to the largest expected value where that exceeds 1.
    fn tolerance(&self, name: &str) -> Result<Tolerance, Failure> {
        let largest = self.case.flat(name)?.iter().fold(1.0f64, |max, x| max.max(x.abs()));
        let relative = if self.target.dtype == DType::F64 { 1e-10 } else { 2e-5 };
        Ok(Tolerance::absolute(relative * largest))
    }

    fn compare<const D: usize>(&self, name: &str, found: Tensor<D>) -> Result<(), Failure> {
        self.case.compare(name, found, self.tolerance(name)?)
    }

    fn function(&self) -> Result<(), Failure> {
        let (g, pullback) = self.network.linearize(self.input.clone());
        self.compare("g", g.clone())?;
        self.compare("y", self.input.clone() + g)?;
        self.compare("exact_logdet", exact_log_det(&pullback, &self.input))
    }

    /// Compares the tensor of a name that says what it holds; whether it did.
    fn named(&self, name: &str) -> Result<bool, Failure> {
        let number = |text: &str| -> Result<usize, Failure> {
            text.parse()
                .map_err(|_| Failure::new(format!("{name}: expected a count, found {text}")))
        };
        let (_, pullback) = self.network.linearize(self.input.clone());
        if let Some(terms) = name.strip_prefix("basic.trunc") {
            let coefficients = vec![1.0; number(terms)?];
            self.compare(name, power_series(&pullback, self.probe.clone(), &coefficients))?;
        } else if let Some(terms) = name.strip_prefix("exact_trace.trunc") {
            let jacobian = jacobian(&pullback, &self.input);
            self.compare(name, truncated_log_det(jacobian, number(terms)?))?;
        } else if let Some(rest) = name.strip_prefix("neumann.trunc") {
            match rest.split_once('.') {
                Some((terms, "value")) => self.neumann(name, &vec![1.0; number(terms)?])?,
                Some((terms, "grad_x")) => self.gradient(name, &vec![1.0; number(terms)?])?,
                _ => return Err(Failure::new(format!("{name}: expected .value or .grad_x"))),
            }
        } else if let Some(law) = name.strip_suffix(".survival") {
            let roulette = Roulette { stopping: stopping(law)?, ..Roulette::default() };
            let terms = self.case.flat(name)?.len();
            let found: Vec<f64> = (1..=terms).map(|term| roulette.survival(term)).collect();
            self.case.compare_host(name, &found, Tolerance::absolute(1e-10))?;
        } else if let Some(rest) = name.strip_prefix("rr.coeffs_") {
            self.roulette(name, rest)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// The value of the surrogate; the estimate that comes with it is the power series.
    fn neumann(&self, name: &str, coefficients: &[f64]) -> Result<(), Failure> {
        let (_, pullback) = self.network.linearize(self.input.clone());
        let estimate = neumann(&pullback, self.probe.clone(), coefficients);
        self.compare(name, estimate.surrogate.clone())?;
        let series = power_series(&pullback, self.probe.clone(), coefficients);
        let difference = (estimate.log_det() - series).abs().max().into_scalar::<f64>();
        let bound = if self.target.dtype == DType::F64 { 1e-12 } else { 1e-4 };
        if difference <= bound {
            return Ok(());
        }
        Err(Failure::new(format!("{name}: the value differs from the series by {difference:e}")))
    }

    fn gradient(&self, name: &str, coefficients: &[f64]) -> Result<(), Failure> {
        let input = self.input.clone().require_grad();
        let (_, pullback) = self.network.linearize(input.clone());
        let estimate = neumann(&pullback, self.probe.clone(), coefficients);
        let gradients = estimate.log_det().sum().backward();
        let found = input.grad(&gradients);
        self.compare(name, found.ok_or_else(|| Failure::new(format!("{name}: no gradient")))?)
    }

    /// `n1_n4_geom0.5`: draws, then the law.
    fn roulette(&self, name: &str, rest: &str) -> Result<(), Failure> {
        let (draws, law) = rest
            .rsplit_once('_')
            .ok_or_else(|| Failure::new(format!("{name}: expected draws and a law")))?;
        // A law may itself hold a separator, as in `poisson_lam2.0`.
        let (draws, law) = match draws.rsplit_once('_') {
            Some((before, "geom" | "poisson")) => (before, &rest[before.len() + 1..]),
            _ => (draws, law),
        };
        let read = |draw: &str| draw.strip_prefix('n').and_then(|count| count.parse().ok());
        let counts: Option<Vec<usize>> = draws.split('_').map(read).collect();
        let counts = counts.ok_or_else(|| Failure::new(format!("{name}: draws {draws}")))?;
        let roulette =
            Roulette { stopping: stopping(law)?, draws: counts.len(), ..Roulette::default() };
        let coefficients = roulette.coefficients(&counts);
        self.case.compare_host(name, &coefficients, Tolerance::absolute(1e-10))?;
        let (_, pullback) = self.network.linearize(self.input.clone());
        let series = power_series(&pullback, self.probe.clone(), &coefficients);
        self.compare(&format!("rr.basic_{draws}"), series)?;
        self.neumann(&format!("rr.neumann_{draws}"), &coefficients)
    }

    fn inverse(&self) -> Result<(), Failure> {
        let published =
            InverseConfig::new().with_tolerance(1e-5).with_method(InverseMethod::Published);
        let (y, shape) = self.case.values::<2>("y")?;
        let y = self.target.float(y, shape);
        let run = |config: &InverseConfig| {
            invert(self.network.fixed(), self.network.lipschitz(), y.clone(), config)
                .map_err(|error| Failure::new(format!("inverse: {error}")))
        };
        let found = run(&published)?;
        self.compare("inverse", found.input)?;
        let steps = [found.steps as f64];
        self.case.compare_host("inverse_iterations", &steps, Tolerance::absolute(0.0))?;
        let (x, _) = self.case.values::<2>("x")?;
        let error = (run(&InverseConfig::new())?.input - self.target.float(x, shape)).abs();
        let error = error.max().into_scalar::<f64>();
        if error <= 1e-5 { Ok(()) } else { Err(Failure::new(format!("inverse: off by {error:e}"))) }
    }
}

/// `geom0.5`, `geom_p0.5`, `poisson2.0`, `poisson_lam2.0`.
fn stopping(law: &str) -> Result<Stopping, Failure> {
    let unknown = || Failure::new(format!("unknown law of the number of terms: {law}"));
    let number = |text: &str| text.parse::<f64>().map_err(|_| unknown());
    if let Some(rest) = law.strip_prefix("geom") {
        let probability = number(rest.strip_prefix("_p").unwrap_or(rest))?;
        return Ok(Stopping::Geometric { probability });
    }
    let rest = law.strip_prefix("poisson").ok_or_else(unknown)?;
    Ok(Stopping::Poisson { mean: number(rest.strip_prefix("_lam").unwrap_or(rest))? })
}
