//! A run that is killed in the middle goes on with `--resume` to the numbers of a whole run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The compiled example, which stands beside the folder of the tests.
fn example() -> PathBuf {
    let tests = std::env::current_exe().expect("the path of this test");
    let folder = tests.ancestors().nth(2).expect("target/PROFILE/deps/TEST").join("examples");
    let path = folder.join(format!("sop{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "{}: build it first: cargo build --release --examples", path.display());
    path
}

fn command(out: &Path) -> Command {
    let mut command = Command::new(example());
    // One thread, because the order of a sum may depend on their number.
    command.env("RAYON_NUM_THREADS", "1").env("BURN_DEVICE", "flex");
    command.stdout(Stdio::null()).stderr(Stdio::null()).arg("--out").arg(out);
    command
}

fn run_folder(out: &Path) -> Option<PathBuf> {
    fs::read_dir(out.join("sop")).ok()?.next()?.ok().map(|entry| entry.path())
}

/// The summary without the times.
fn summary(out: &Path) -> Value {
    let path = run_folder(out).expect("a run folder").join("summary.json");
    let text = fs::read_to_string(path).expect("a summary");
    let mut summary: Value = serde_json::from_str(&text).expect("JSON");
    for outcome in summary[0].as_array_mut().expect("outcomes") {
        assert!(outcome["test_accuracy"].as_f64().is_some_and(|accuracy| accuracy > 0.2));
        outcome["seconds"] = Value::Null;
    }
    summary
}

/// A damaged checkpoint is an error that names the file; mended, the run goes on.
fn refuses_a_damaged_checkpoint(out: &Path, checkpoints: &Path) {
    let newest = (5..=32).rev().find_map(|epoch| {
        let complete = checkpoints.join(format!("scheduler-{epoch}.bpk")).is_file();
        complete.then(|| checkpoints.join(format!("model-{epoch}.bpk")))
    });
    let path = newest.expect("a checkpoint");
    let bytes = fs::read(&path).expect("the checkpoint can be read");
    fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
    let output = command(out).arg("--resume").stderr(Stdio::piped()).output().expect("it runs");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains(&path.display().to_string()), "{message}");
    fs::write(&path, bytes).expect("written");
}

#[test]
fn a_killed_run_resumes_to_the_numbers_of_a_whole_one() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    let flags = ["--epochs", "32", "--seeds", "1"];
    let status = command(&whole).args(flags).status().expect("the example runs");
    assert!(status.success());

    let mut child = command(&broken).args(flags).spawn().expect("the example runs");
    // In the middle of the second training, so that a finished one is skipped as well.
    let start = Instant::now();
    let reached = || {
        run_folder(&broken)
            .is_some_and(|run| run.join("flex-sop-0/checkpoint/scheduler-5.bpk").is_file())
    };
    while !reached() {
        assert!(start.elapsed() < Duration::from_secs(120), "no checkpoint within two minutes");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("the example was still running");
    child.wait().expect("it ends");
    let run = run_folder(&broken).expect("a run folder");
    assert!(!run.join("summary.json").exists(), "the run was over before it was killed");

    refuses_a_damaged_checkpoint(&broken, &run.join("flex-sop-0/checkpoint"));
    let status = command(&broken).arg("--resume").status().expect("the example runs");
    assert!(status.success());
    assert_eq!(summary(&broken), summary(&whole));
}
