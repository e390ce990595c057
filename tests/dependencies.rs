//! `firebrick` stays a library: what only programs need does not come along with it.

use std::process::Command;

fn dependencies(package: &str, features: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--package", package])
        .args(features)
        .output()
        .expect("cargo can be run");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "cargo tree: {message}");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split_whitespace().next().map(String::from))
        .collect()
}

#[test]
fn firebrick_by_default_has_no_training_loop_command_line_or_plots() {
    let names = dependencies("firebrick", &[]);
    assert!(names.iter().any(|name| name == "burn-flex"), "the default backend is missing");
    for unwanted in ["burn-train", "clap", "plotters", "indicatif", "burn-wgpu"] {
        assert!(!names.iter().any(|name| name == unwanted), "{unwanted} came along");
    }
}

#[test]
fn the_feature_train_brings_the_training_loop() {
    let names = dependencies("firebrick", &["--features", "train"]);
    assert!(names.iter().any(|name| name == "burn-train"));
}

#[test]
fn data_sets_do_not_depend_on_burn() {
    let names = dependencies("firebrick-datasets", &[]);
    assert!(!names.iter().any(|name| name == "burn" || name.starts_with("burn-")));
}
