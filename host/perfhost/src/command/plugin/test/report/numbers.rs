//! Numbers of a run side by side, with what the difference to the baseline means.

use perfhost_simulation::Totals;

use super::{percent, signed_percent};
use crate::command::plugin::test::{Contestant, Trial};
use crate::command::print::{number, table};

/// Which way a number should go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    High,
    Low,
    /// It says something about the traffic, not about who serves it.
    Neither,
}

/// How a number of a run is called, read, written and wanted.
type Row = (&'static str, fn(&Totals) -> f64, fn(f64) -> String, Wanted);

const ROWS: [Row; 12] = [
    ("requests", |totals| totals.requests as f64, |count| format!("{count:.0}"), Wanted::Neither),
    GOODPUT,
    ("good answers/s", |totals| totals.goodput_per_second, number, Wanted::High),
    ("tokens/s", |totals| totals.tokens_per_second, number, Wanted::High),
    ("response p50, ms", |totals| totals.response_p50_ms, number, Wanted::Low),
    ("response p95, ms", |totals| totals.response_p95_ms, number, Wanted::Low),
    ("response p99, ms", |totals| totals.response_p99_ms, number, Wanted::Low),
    ("first token p95, ms", |totals| totals.first_token_p95_ms, number, Wanted::Low),
    ("failed", |totals| totals.error_rate, percent, Wanted::Low),
    ("rejected", |totals| totals.rejected_rate, percent, Wanted::Low),
    ("given up", |totals| totals.given_up_rate, percent, Wanted::Low),
    ("cache hits", |totals| totals.cache_hit_rate, percent, Wanted::High),
];

const GOODPUT: Row = ("goodput", |totals| totals.goodput, percent, Wanted::High);

/// Rows from here on are left out where all are 0.
const SOMETIMES: usize = 10;

/// Rows of the second half: the ones that show where a strategy has led to.
const SECOND_HALF: [usize; 4] = [1, 3, 5, 7];

/// Relative change from which one number is called better than another.
const WORTH_A_WORD: f64 = 0.01;

/// The whole run, and where there is room its second half.
pub(super) fn numbers(trial: &Trial, has_second_half: bool) -> String {
    let is_any = |row: &Row| trial.contestants.iter().any(|contestant| row.1(&contestant.run.whole) > 0.0);
    let rows = ROWS.iter().enumerate().filter(|(at, row)| *at < SOMETIMES || is_any(row)).map(|(_, row)| row);
    let whole = side_by_side(trial, "WHOLE RUN", &rows.collect::<Vec<_>>(), |contestant| &contestant.run.whole);
    if !has_second_half {
        return whole;
    }
    let rows: Vec<&Row> = SECOND_HALF.iter().map(|at| &ROWS[*at]).collect();
    whole + "\n" + &side_by_side(trial, "SECOND HALF", &rows, |contestant| &contestant.run.second_half)
}

/// Goodput in each of several scenarios.
pub(super) fn summary(trials: &[Trial]) -> String {
    let Some(first) = trials.first() else { return String::new() };
    let rows = trials.iter().map(|trial| {
        let cells = cells(trial, &GOODPUT, |contestant| &contestant.run.whole);
        std::iter::once(trial.scenario.name.clone()).chain(cells).collect()
    });
    table(&header("GOODPUT IN", first).each_ref().map(String::as_str), &rows.collect::<Vec<_>>())
}

fn side_by_side(trial: &Trial, title: &str, rows: &[&Row], of: fn(&Contestant) -> &Totals) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| std::iter::once(row.0.to_owned()).chain(cells(trial, row, of)).collect()).collect();
    table(&header(title, trial).each_ref().map(String::as_str), &rows)
}

fn header(title: &str, trial: &Trial) -> [String; 5] {
    let [strategy, baseline, nobody] = trial.contestants.each_ref().map(|contestant| contestant.name.clone());
    [title.to_owned(), strategy, baseline, nobody, "AGAINST BASELINE".to_owned()]
}

fn cells(trial: &Trial, row: &Row, of: fn(&Contestant) -> &Totals) -> Vec<String> {
    let (_, read, written, wanted) = row;
    let values = trial.contestants.each_ref().map(|contestant| read(of(contestant)));
    values.iter().map(|value| written(*value)).chain([against(values[0], values[1], *wanted)]).collect()
}

/// The relative change from the baseline, and whether it is for the better.
fn against(found: f64, baseline: f64, wanted: Wanted) -> String {
    if baseline <= 0.0 {
        return "-".to_owned();
    }
    let change = found / baseline - 1.0;
    let word = match (wanted, change) {
        (Wanted::High, change) if change >= WORTH_A_WORD => "  better",
        (Wanted::High, change) if change <= -WORTH_A_WORD => "  worse",
        (Wanted::Low, change) if change <= -WORTH_A_WORD => "  better",
        (Wanted::Low, change) if change >= WORTH_A_WORD => "  worse",
        _ => "",
    };
    format!("{:>9}{word}", signed_percent(change))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_called_what_it_is_for_the_one_who_waits() {
        assert_eq!(against(110.0, 100.0, Wanted::High), "  +10.0 %  better");
        assert_eq!(against(110.0, 100.0, Wanted::Low), "  +10.0 %  worse");
        assert_eq!(against(50.0, 100.0, Wanted::Low), "  -50.0 %  better");
        assert_eq!(against(50.0, 100.0, Wanted::Neither), "  -50.0 %");
        assert_eq!(
            (against(100.5, 100.0, Wanted::Low).trim(), against(1.0, 0.0, Wanted::High).as_str()),
            ("+0.5 %", "-")
        );
    }
}
