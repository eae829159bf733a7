//! Which metric a written name means, and which known name comes nearest to an unknown one.

use super::condition::Statistic;
use super::error::Problem;
use crate::observation::metric::{self, MetricInfo};

/// Short names beside those that only leave out a unit.
const SHORT: [(&str, &str); 2] = [("ttft", metric::TIME_TO_FIRST_TOKEN), ("tpot", metric::TIME_PER_OUTPUT_TOKEN)];
const STATISTICS: [(&str, Statistic); 7] = [
    ("_mean", Statistic::Mean),
    ("_avg", Statistic::Mean),
    ("_min", Statistic::Min),
    ("_max", Statistic::Max),
    ("_p50", Statistic::P50),
    ("_p95", Statistic::P95),
    ("_p99", Statistic::P99),
];
/// Most edits between a name and the one that is offered in its place.
const MOST_EDITS: usize = 3;

/// The metric and the number of its distribution that `written` means.
pub(super) fn metric(written: &str) -> Result<(&'static MetricInfo, Statistic), Problem> {
    if let Some(known) = base(written) {
        return Ok((known, Statistic::Mean));
    }
    let ending =
        STATISTICS.iter().find_map(|(ending, statistic)| Some((written.strip_suffix(ending)?, ending, *statistic)));
    if let Some((name, _, statistic)) = ending
        && let Some(known) = base(name)
    {
        return Ok((known, statistic));
    }
    let (name, ending) = ending.map_or((written, ""), |(name, ending, _)| (name, *ending));
    let known = metric::ALL.iter().map(|info| without_unit(info)).chain(SHORT.iter().map(|(short, _)| *short));
    Err(unknown("metric", written, ending, name, known))
}

fn base(written: &str) -> Option<&'static MetricInfo> {
    let full = SHORT.iter().find(|(short, _)| *short == written).map_or(written, |(_, full)| full);
    metric::ALL.iter().find(|info| info.name == full || without_unit(info) == full)
}

/// The metric's name as people write it.
pub(super) fn without_unit(info: &MetricInfo) -> &'static str {
    ["_ms", "_bytes"].iter().find_map(|unit| info.name.strip_suffix(unit)).unwrap_or(info.name)
}

/// That no `kind` is called `written`, with the nearest of `known` to `name` (and `ending` behind it), or all of them.
pub(super) fn unknown(
    kind: &'static str,
    written: &str,
    ending: &str,
    name: &str,
    known: impl Iterator<Item = &'static str> + Clone,
) -> Problem {
    let nearest = known.clone().map(|known| (edits(name, known), known)).min_by_key(|(edits, _)| *edits);
    let hint = match nearest {
        Some((edits, nearest)) if edits <= MOST_EDITS.min(nearest.len() / 3) => {
            format!("did you mean `{nearest}{ending}`?")
        }
        _ => format!("there are {}", known.collect::<Vec<_>>().join(", ")),
    };
    Problem::UnknownName { kind, found: written.chars().take(80).collect(), hint }
}

/// Letters to put in, take out or exchange to make one word of the other (Levenshtein's distance).
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    // A line is short, but a name is compared with every known one.
    for (above, letter) in one.chars().take(80).enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (at, other) in other.iter().enumerate() {
            let exchanged = diagonal + usize::from(letter != *other);
            diagonal = row[at + 1];
            row[at + 1] = exchanged.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(written: &str) -> (&'static str, Statistic) {
        let (info, statistic) = metric(written).unwrap();
        (info.name, statistic)
    }

    #[test]
    fn a_unit_may_be_left_out_and_a_number_of_the_distribution_added() {
        assert_eq!(name("response_time_p95"), (metric::RESPONSE_TIME, Statistic::P95));
        assert_eq!(name("response_time_ms_p99"), (metric::RESPONSE_TIME, Statistic::P99));
        assert_eq!(name("memory_used_max"), (metric::MEMORY_USED, Statistic::Max));
        assert_eq!(name("ttft"), (metric::TIME_TO_FIRST_TOKEN, Statistic::Mean));
        assert_eq!(name("cpu_usage_avg"), (metric::CPU_USAGE, Statistic::Mean));
    }

    #[test]
    fn every_metric_is_found_by_its_name_and_no_two_share_a_short_one() {
        for info in metric::ALL {
            assert_eq!(name(info.name).0, info.name);
            assert_eq!(name(without_unit(info)).0, info.name);
        }
    }

    #[test]
    fn an_unknown_name_leads_to_the_nearest_or_to_all() {
        let hint = |written: &str| metric(written).map(|_| ()).unwrap_err().to_string();
        assert_eq!(
            hint("respnse_time_p95"),
            "no metric is called `respnse_time_p95`; did you mean `response_time_p95`?"
        );
        assert!(hint("vibes").contains("there are response_time, ") && hint("vibes").contains("cpu_usage"));
        assert_eq!([edits("", "abc"), edits("abc", "abc"), edits("axc", "abcd")], [3, 0, 2]);
    }
}
