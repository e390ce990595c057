//! Check values of Cora, Citeseer and others in their form, read from `$FIREBRICK_DATA`.

use std::path::PathBuf;

use firebrick::datasets::graph::{GraphData, planetoid};

use crate::case::{Case, Failure, Tolerance};

/// The data sets that may be in the folder.
const NAMES: [&str; 3] = ["cora", "citeseer", "pubmed"];

/// The folder with the data sets: `$FIREBRICK_DATA/planetoid`, or `$FIREBRICK_DATA` itself.
pub fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("FIREBRICK_DATA").filter(|v| !v.is_empty())?);
    let inner = folder.join("planetoid");
    Some(if inner.is_dir() { inner } else { folder })
}

/// `planetoid_checks`: counts, degrees, labels and one propagation of the features.
pub fn checks(case: &Case) -> Result<(), Failure> {
    let graph = find(case.usize("nodes")?)?;
    for (what, found) in
        [("features", graph.features().width()), ("undirected_edges", graph.num_entries() / 2)]
    {
        let expected = case.usize(what)?;
        if found != expected {
            return Err(Failure::new(format!("{what}: expected {expected}, found {found}")));
        }
    }
    let mut degrees = vec![0.0; graph.num_nodes()];
    graph.targets().iter().for_each(|&node| degrees[node] += 1.0);
    let (normalized, sum) = propagated(&graph, &degrees);
    let nonzeros: Vec<f64> = graph.features().nonzeros().iter().map(|&n| n as f64).collect();
    let labels: Vec<f64> = graph.labels().iter().map(|&label| label as f64).collect();
    let split = graph.split();
    let counts = |nodes: &[usize]| -> Vec<f64> {
        graph.class_counts(nodes.iter().copied()).iter().map(|&count| count as f64).collect()
    };
    let everyone: Vec<usize> = (0..graph.num_nodes()).collect();
    let isolated = degrees.iter().filter(|&&degree| degree == 0.0).count() as f64;
    let (exact, close) = (Tolerance::absolute(0.0), Tolerance::relative(1e-6));
    for name in case.names() {
        let one = |value: f64| vec![value];
        let (found, tolerance) = match name {
            "max_degree" => (one(degrees.iter().copied().fold(0.0, f64::max)), exact),
            "isolated" => (one(isolated), exact),
            "class_counts_labelled" => (counts(&everyone), exact),
            "train_class_counts" => (counts(&split.train), exact),
            "val_class_counts" => (counts(&split.validation), exact),
            "test_class_counts" => (counts(&split.test), exact),
            "adj_norm_sum" => (one(sum), close),
            "AXc_sum" => (one(normalized.iter().sum()), close),
            _ => {
                let lists = [
                    ("degree", &degrees, exact),
                    ("labels", &labels, exact),
                    ("feature_nnz", &nonzeros, exact),
                    ("AXc", &normalized, close),
                ];
                part(name, &lists)?
            }
        };
        case.compare_host(name, &found, tolerance)?;
    }
    Ok(())
}

/// The data set with the given number of nodes.
fn find(nodes: usize) -> Result<GraphData, Failure> {
    let folder = folder().ok_or_else(|| Failure::new("FIREBRICK_DATA is not set"))?;
    let mut errors = Vec::new();
    for name in NAMES {
        match planetoid::load(&folder, name) {
            Ok(loaded) if loaded.graph().num_nodes() == nodes => {
                return loaded.complete().map_err(|error| Failure::new(error.to_string()));
            }
            Ok(_) => {}
            Err(error) => errors.push(error.to_string()),
        }
    }
    let errors = errors.join("; ");
    Err(Failure::new(format!("{}: no data set of {nodes} nodes {errors}", folder.display())))
}

/// `A_hat X c` with `c_j = (j mod 7) + 1` and rows of `X` divided by their sum, and the sum of all
/// elements of `A_hat`.
fn propagated(graph: &GraphData, degrees: &[f64]) -> (Vec<f64>, f64) {
    let rows = graph.features().normalize_rows().to_dense();
    let weighted = |row: usize| -> f64 {
        let values = rows.row(row).iter().enumerate();
        values.map(|(column, &value)| f64::from(value) * (column % 7 + 1) as f64).sum()
    };
    let inputs: Vec<f64> = (0..graph.num_nodes()).map(weighted).collect();
    // The self loop counts as one more neighbor.
    let scale = |node: usize| (degrees[node] + 1.0).powf(-0.5);
    let loops = (0..graph.num_nodes()).map(|node| (node, node));
    let (mut outputs, mut sum) = (vec![0.0; inputs.len()], 0.0);
    for (source, target) in graph.entries().chain(loops) {
        let weight = scale(source) * scale(target);
        outputs[target] += weight * inputs[source];
        sum += weight;
    }
    (outputs, sum)
}

/// `NAME_first20` or `NAME_last10` of one of the lists.
fn part(
    name: &str,
    lists: &[(&str, &Vec<f64>, Tolerance)],
) -> Result<(Vec<f64>, Tolerance), Failure> {
    for (list, values, tolerance) in lists {
        let rest = name.strip_prefix(list).and_then(|rest| rest.strip_prefix('_'));
        let Some(rest) = rest else { continue };
        let count = |prefix: &str| rest.strip_prefix(prefix)?.parse::<usize>().ok();
        let inside = |&count: &usize| count <= values.len();
        if let Some(count) = count("first").filter(inside) {
            return Ok((values[..count].to_vec(), *tolerance));
        }
        if let Some(count) = count("last").filter(inside) {
            return Ok((values[values.len() - count..].to_vec(), *tolerance));
        }
    }
    Err(Failure::new(format!("tensor {name} is not known")))
}
