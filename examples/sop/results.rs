//! The table of a run, and what the method promises.

use firebrick_harness::claims::{Claims, mean_std, table};

use crate::mixture_table;
use crate::setup::Settings;
use crate::training::Outcome;

type Value = fn(&Outcome) -> f64;

const COLUMNS: [(&str, Value); 11] = [
    ("valid. accuracy", |o| o.valid_accuracy),
    ("best valid.", |o| o.best_accuracy),
    ("in epoch", |o| o.best_epoch),
    ("test accuracy", |o| o.test_accuracy),
    ("wrong labels memorized", |o| o.memorized),
    ("detection AUC", |o| o.auc),
    ("precision", |o| o.precision),
    ("recall", |o| o.recall),
    ("estimated noise", |o| o.estimated_rate),
    ("right suggestions", |o| o.corrected),
    ("seconds", |o| o.seconds),
];

/// Mean and standard deviation over the seeds of one method.
fn over_seeds(outcomes: &[Outcome], method: &str, value: Value) -> (f64, f64) {
    let chosen = outcomes.iter().filter(|outcome| outcome.method == method);
    mean_std(&chosen.map(value).collect::<Vec<_>>())
}

/// Prints one line per method.
pub fn report(name: &str, settings: &Settings, outcomes: &[Outcome]) {
    let flipped = outcomes.iter().map(|outcome| outcome.realized_rate).collect::<Vec<_>>();
    let (noise, wrong) = (settings.noise_name(), 100.0 * mean_std(&flipped).0);
    let (seeds, epochs) = (settings.seeds.len(), settings.epochs);
    println!(
        "\n{} on {name}: {noise} noise, {wrong:.1} % of the training labels wrong, {seeds} seed(s), {epochs} epochs",
        settings.dataset,
    );
    let header: Vec<&str> = ["method"].into_iter().chain(COLUMNS.map(|(title, _)| title)).collect();
    let line = |method: &String| {
        let show = |(title, value): (&str, Value)| {
            let (mean, deviation) = over_seeds(outcomes, method, value);
            let digits = if title == "in epoch" { 0 } else { 3 };
            if mean.is_nan() {
                "-".into()
            } else {
                format!("{mean:.digits$} ± {deviation:.digits$}")
            }
        };
        [method.clone()].into_iter().chain(COLUMNS.map(show)).collect()
    };
    println!("{}\n", table(&header, &settings.methods.iter().map(line).collect::<Vec<_>>()));
}

/// What the method promises.
pub fn check(claims: &mut Claims, settings: &Settings, device: &str, outcomes: &[Outcome]) {
    let of = |method, value: Value| over_seeds(outcomes, method, value).0;
    let named = |claim: &str| match settings.table {
        true => format!("{}: {claim} ({device})", settings.noise),
        false => format!("{claim} ({device})"),
    };
    let auc = of("sop", |o| o.auc);
    let text = format!("{auc:.3}");
    if !auc.is_nan() {
        let claim = named("scores rank wrong labels first, AUC");
        claims.check_quick(claim, "> 0.8", &text, auc > 0.8);
    }
    if !settings.has_claims() {
        return;
    }
    claims.check(named("detection AUC"), ">= 0.95", text, auc >= 0.95);
    let (ce, sop) = (of("ce", |o| o.test_accuracy), of("sop", |o| o.test_accuracy));
    let mixture = settings.dataset == "mixture";
    if mixture {
        let (expected, reach) = mixture_table::sop_accuracy(settings.seeds.len());
        let (text, holds) = (format!("{sop:.3}"), (sop - expected).abs() <= reach);
        let expected = format!("{expected:.3} ± {reach:.3}");
        claims.check(named("test accuracy of SOP"), expected, text, holds);
    }
    let (least, gain) = (if mixture { 0.15 } else { 0.05 }, sop - ce);
    let (expected, text) = (format!(">= {least}"), format!("{gain:.3}"));
    claims.check(named("SOP above cross entropy"), expected, text, gain >= least);
    let (ce, sop) = (of("ce", |o| o.memorized), of("sop", |o| o.memorized));
    let text = format!("{sop:.3} of {ce:.3}");
    claims.check(named("SOP memorizes at most half"), "<= half", text, ce >= 2.0 * sop);
}
