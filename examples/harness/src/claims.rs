//! What an example claims and whether it holds here, and the tables and statistics for saying so.

use anyhow::{Result, ensure};
use serde::Serialize;

/// The claims of one run, in the order checked.
#[derive(Clone, Debug, Serialize)]
pub struct Claims {
    quick: bool,
    claims: Vec<Claim>,
}

#[derive(Clone, Debug, Serialize)]
struct Claim {
    claim: String,
    expected: String,
    here: String,
    /// `None`: a quick run cannot show it.
    holds: Option<bool>,
}

impl Claims {
    /// No claims yet; `quick` tells whether the run is too short for claims that need a full one.
    pub fn new(quick: bool) -> Self {
        Self { quick, claims: Vec::new() }
    }

    /// Records a claim that needs a full run; a quick run says `not run (quick)`.
    pub fn check(
        &mut self,
        claim: impl Into<String>,
        expected: impl Into<String>,
        here: impl Into<String>,
        holds: bool,
    ) {
        if self.quick {
            self.record(claim.into(), expected.into(), "-".to_owned(), None);
        } else {
            self.record(claim.into(), expected.into(), here.into(), Some(holds));
        }
    }

    /// Records a claim that a quick run shows as well.
    pub fn check_quick(
        &mut self,
        claim: impl Into<String>,
        expected: impl Into<String>,
        here: impl Into<String>,
        holds: bool,
    ) {
        self.record(claim.into(), expected.into(), here.into(), Some(holds));
    }

    fn record(&mut self, claim: String, expected: String, here: String, holds: Option<bool>) {
        self.claims.push(Claim { claim, expected, here, holds });
    }

    /// Whether every claim that was checked holds.
    pub fn all_hold(&self) -> bool {
        self.failed().next().is_none()
    }

    /// Prints the table `claim | expected | here | holds`.
    pub fn print(&self) {
        print!("{}", self.to_table());
    }

    /// Prints the table and, with `check` (the flag `--check`), judges it.
    ///
    /// # Errors
    /// With `check`: if a claim fails, or if no claim was checked at all, because an example
    /// without a claim for its quick run is incomplete.
    pub fn finish(&self, check: bool) -> Result<()> {
        self.print();
        if !check {
            return Ok(());
        }
        let checked = self.claims.iter().any(|claim| claim.holds.is_some());
        ensure!(checked, "incomplete example: this run checked no claim");
        let failed: Vec<_> = self.failed().collect();
        ensure!(failed.is_empty(), "does not hold: {}", failed.join("; "));
        Ok(())
    }

    fn failed(&self) -> impl Iterator<Item = &str> {
        let failed = self.claims.iter().filter(|claim| claim.holds == Some(false));
        failed.map(|claim| claim.claim.as_str())
    }

    fn to_table(&self) -> String {
        let row = |claim: &Claim| {
            let holds = match claim.holds {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "not run (quick)",
            };
            vec![claim.claim.clone(), claim.expected.clone(), claim.here.clone(), holds.to_owned()]
        };
        let rows: Vec<_> = self.claims.iter().map(row).collect();
        table(&["claim", "expected", "here", "holds"], &rows)
    }
}

/// A Markdown table, aligned for the terminal, one line per row.
///
/// Columns of numbers (`91.2 %`, `0.5 ± 0.1`, `>= 3`, with `-` for none) stand to the right, but
/// the first column always to the left.
///
/// # Panics
/// If a row has not as many cells as `header`.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    for row in rows {
        let (expected, found) = (header.len(), row.len());
        assert!(found == expected, "table: expected {expected} cells per row, found {found}");
    }
    let columns: Vec<_> = (0..header.len())
        .map(|index| {
            let cells = || rows.iter().map(|row| row[index].as_str());
            let widths = cells().map(|cell| cell.chars().count());
            let width = widths.chain([header[index].chars().count(), 3]).max().unwrap_or(3);
            (width, index > 0 && are_numbers(cells()))
        })
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.zip(&columns).map(|(cell, &(width, right))| {
            if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        cells.collect::<Vec<_>>().join(" | ").trim_end().to_owned() + "\n"
    };
    let rules: Vec<_> = columns
        .iter()
        .map(|&(width, right)| "-".repeat(width - 1) + if right { ":" } else { "-" })
        .collect();
    let mut text = line(&mut header.iter().copied());
    text += &line(&mut rules.iter().map(String::as_str));
    for row in rows {
        text += &line(&mut row.iter().map(String::as_str));
    }
    text
}

/// Whether there is a number and, besides, only numbers and empty places.
fn are_numbers<'a>(cells: impl Iterator<Item = &'a str>) -> bool {
    let is_number = |cell: &str| {
        let is_part = |c: char| c.is_ascii_digit() || " .+-±%<>=≤≥~×e".contains(c);
        cell.parse::<f64>().is_ok()
            || (cell.chars().all(is_part) && cell.contains(|c: char| c.is_ascii_digit()))
    };
    let mut filled = cells.filter(|cell| !matches!(*cell, "" | "-")).peekable();
    filled.peek().is_some() && filled.all(is_number)
}

/// Mean and sample standard deviation (divisor `n - 1`; zero for one value).
///
/// Both are NaN for no values.
pub fn mean_std(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let variance = match values.len() {
        0 => f64::NAN,
        1 => 0.0,
        n => squares / (n as f64 - 1.0),
    };
    (mean, variance.sqrt())
}

/// Area under the ROC curve: the probability that a positive scores above a negative, where a tie
/// counts half (the Mann-Whitney statistic with average ranks).
///
/// `None` if there are no positives or no negatives; NaN if a score is NaN.
///
/// # Panics
/// If `scores` and `positive` differ in length.
pub fn auc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let (n, labels) = (scores.len(), positive.len());
    assert!(n == labels, "auc: expected a label for each of {n} scores, found {labels}");
    let positives = positive.iter().filter(|&&is_positive| is_positive).count();
    if positives == 0 || positives == n {
        return None;
    }
    if scores.iter().any(|score| score.is_nan()) {
        return Some(f64::NAN);
    }
    let mut pairs: Vec<_> = scores.iter().copied().zip(positive.iter().copied()).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank_sum, mut below) = (0.0, 0);
    for ties in pairs.chunk_by(|a, b| a.0 == b.0) {
        let average_rank = below as f64 + (ties.len() as f64 + 1.0) / 2.0;
        rank_sum += average_rank * ties.iter().filter(|pair| pair.1).count() as f64;
        below += ties.len();
    }
    let (positives, negatives) = (positives as f64, (n - positives) as f64);
    Some((rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|&cell| cell.to_owned()).collect()
    }

    #[test]
    fn full_run_shows_every_claim() {
        let mut claims = Claims::new(false);
        claims.check("beats the baseline", "> 80 %", "91.2 %", true);
        claims.check_quick("loss falls", "< 1", "1.5", false);
        let expected = "\
claim              | expected |   here | holds
------------------ | -------: | -----: | -----
beats the baseline |   > 80 % | 91.2 % | yes
loss falls         |      < 1 |    1.5 | NO
";
        assert_eq!(claims.to_table(), expected);
        assert!(!claims.all_hold());
        let error = claims.finish(true).unwrap_err().to_string();
        assert_eq!(error, "does not hold: loss falls");
        assert!(claims.finish(false).is_ok());
    }

    #[test]
    fn quick_run_leaves_full_claims_open() {
        let mut claims = Claims::new(true);
        claims.check("beats the baseline", "> 80 %", "12 %", false);
        claims.check_quick("loss falls", "yes", "yes", true);
        let table = claims.to_table();
        let cells: Vec<_> = table.lines().nth(2).unwrap().split('|').map(str::trim).collect();
        assert_eq!(cells, ["beats the baseline", "> 80 %", "-", "not run (quick)"]);
        assert!(claims.all_hold());
        assert!(claims.finish(true).is_ok());
    }

    #[test]
    fn quick_run_without_quick_claim_is_an_incomplete_example() {
        let mut claims = Claims::new(true);
        claims.check("beats the baseline", "> 80 %", "91.2 %", true);
        let error = claims.finish(true).unwrap_err().to_string();
        assert!(error.starts_with("incomplete example"), "{error}");
        assert!(claims.finish(false).is_ok());
    }

    #[test]
    fn summary_says_null_for_claims_that_were_not_run() {
        let mut claims = Claims::new(true);
        claims.check("a", "b", "c", true);
        claims.check_quick("d", "e", "f", true);
        let json = serde_json::to_value(&claims).unwrap();
        assert!(json["claims"][0]["holds"].is_null());
        assert_eq!(json["claims"][1]["holds"], true);
    }

    #[test]
    fn table_aligns_numbers_right_and_counts_characters() {
        let rows = [row(&["1", "0.5 ± 0.1", "é", "NaN"]), row(&["10", "-", "bcde", "1e-3"])];
        let expected = "\
n   |  accuracy | note | rate
--- | --------: | ---- | ---:
1   | 0.5 ± 0.1 | é    |  NaN
10  |         - | bcde | 1e-3
";
        assert_eq!(table(&["n", "accuracy", "note", "rate"], &rows), expected);
        assert_eq!(table(&["n"], &[]), "n\n---\n");
    }

    #[test]
    #[should_panic(expected = "expected 2 cells per row, found 1")]
    fn ragged_table_is_refused() {
        table(&["a", "b"], &[row(&["1"])]);
    }

    #[test]
    fn standard_deviation_is_that_of_a_sample() {
        let (mean, std) = mean_std(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!(mean, 5.0);
        assert!((std - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
        assert_eq!(mean_std(&[3.0]), (3.0, 0.0));
        let (mean, std) = mean_std(&[]);
        assert!(mean.is_nan() && std.is_nan());
    }

    #[test]
    fn auc_is_the_fraction_of_ordered_pairs() {
        let scores = [0.1, 0.4, 0.35, 0.8];
        assert_eq!(auc(&scores, &[false, false, true, true]), Some(0.75));
        assert_eq!(auc(&scores, &[false, true, false, true]), Some(1.0));
        assert_eq!(auc(&[-0.0, 0.0], &[true, false]), Some(0.5));
    }

    #[test]
    fn auc_counts_ties_half() {
        let (scores, positive) =
            ([1.0, 1.0, 2.0, 2.0, 2.0, 3.0], [true, false, true, false, false, true]);
        let mut wins = 0.0;
        for i in (0..6).filter(|&i| positive[i]) {
            for j in (0..6).filter(|&j| !positive[j]) {
                wins += f64::from(scores[i] > scores[j]) + 0.5 * f64::from(scores[i] == scores[j]);
            }
        }
        assert_eq!(auc(&scores, &positive), Some(wins / 9.0));
    }

    #[test]
    fn auc_does_not_hide_missing_classes_or_nan() {
        assert_eq!(auc(&[1.0, 2.0], &[true, true]), None);
        assert_eq!(auc(&[1.0, 2.0], &[false, false]), None);
        assert_eq!(auc(&[], &[]), None);
        assert!(auc(&[1.0, f64::NAN], &[true, false]).unwrap().is_nan());
    }
}
