//! `perfhost ab …` as typed.

use clap::{Args, Subcommand, ValueEnum};

use super::ClientFlags;

/// Commands about experiments.
#[derive(Debug, Subcommand)]
pub enum AbCommand {
    /// Compare strategies on the live traffic of a running host, and put the better one in service
    Start(Box<StartFlags>),
    /// How an experiment stands; on a terminal it is shown anew each second until it has ended
    Status {
        /// Its number [default: the newest]
        id: Option<u64>,
        /// Show it once
        #[arg(long)]
        once: bool,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
    /// End an experiment; the strategy that was in service stays
    Stop {
        /// Its number [default: the newest]
        id: Option<u64>,
        /// Why, for the report
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
    /// What came of an experiment, to read or to paste into a change request
    Report {
        /// Its number [default: the newest]
        id: Option<u64>,
        /// How it is written [default: text, or json with --output json]
        #[arg(long, value_enum, value_name = "FORMAT")]
        format: Option<ReportForm>,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
    /// Experiments, newest first
    List {
        /// How many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
        /// Where and how
        #[command(flatten)]
        client: ClientFlags,
    },
}

/// Terms of an experiment.
#[derive(Debug, Clone, Args)]
pub struct StartFlags {
    /// The incumbent: a strategy, knobs that are set and stay so, or both: "balanced retries=3" [default: what is in
    /// service]
    #[arg(long, value_name = "ARM")]
    pub a: Option<String>,
    /// The challenger, likewise. Repeat for several
    #[arg(long, value_name = "ARM", required = true)]
    pub b: Vec<String>,
    /// What is to be improved: goodput, latency-p95, time-to-first-token, tokens-per-second, cost, error-rate, feedback
    /// or mix; with the least change that is worth one after a colon, such as goodput:0.02 [default: goodput]
    #[arg(long, value_name = "METRIC[:EFFECT]")]
    pub objective: Option<String>,
    /// What must not get worse, and by how much at most. Repeat for several [default: error-rate:0.01]
    #[arg(long, value_name = "METRIC:TOLERANCE")]
    pub guardrail: Vec<String>,
    /// End without a winner after this long, such as 30m or 2h [default: 1d]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub max_duration: Option<u64>,
    /// What is drawn by chance, where arms serve at the same time: request, session or user [default: request]
    #[arg(long, value_enum, value_name = "UNIT")]
    pub unit: Option<UnitName>,
    /// A good answer begins within this time; 0 for any [default: 2s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub slo_ttft: Option<u64>,
    /// A good answer takes at most this long for each token after the first; 0 for any [default: 200ms]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub slo_token: Option<u64>,
    /// A good answer has ended within this time [default: any]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub slo_response: Option<u64>,
    /// What has not ended after this has failed [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub deadline: Option<u64>,
    /// Probability of ever naming a winner that is none [default: 0.05]
    #[arg(long, value_name = "PROBABILITY")]
    pub error_bound: Option<f64>,
    /// Begin with equal shares, not with 1 % for the challenger
    #[arg(long)]
    pub no_ramp: bool,
    /// How long arms that take turns need to settle [default: as measured here; at least 10s where they tune, or as answers take]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub settling: Option<u64>,
    /// Requests per second to expect, for turns that hold enough of them [default: as measured]
    #[arg(long, value_name = "RATE")]
    pub pace: Option<f64>,
    /// Share of traffic that stays with the loser while the winner is confirmed [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    pub holdout: Option<f64>,
    /// Longest time of confirming a winner; 0 for none [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub confirm: Option<u64>,
    /// What people call it
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// Where and how
    #[command(flatten)]
    pub client: ClientFlags,
}

/// What is drawn by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnitName {
    /// Each request
    Request,
    /// Each session
    Session,
    /// Each user
    User,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportForm {
    /// For a terminal
    Text,
    /// For a change request
    Markdown,
    /// For programs
    Json,
    /// A page of its own, with plots
    Html,
}

/// Reads `90s`, `30m`, `2h`, `1d` or `500ms`; a number alone is seconds. Milliseconds.
fn time(text: &str) -> Result<u64, String> {
    let at = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let factor = match unit {
        "ms" => 1.0,
        "" | "s" => 1_000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return Err("a number with ms, s, m, h or d is expected, such as 30m".to_owned()),
    };
    let number: f64 =
        number.parse().map_err(|_| "a number with ms, s, m, h or d is expected, such as 30m".to_owned())?;
    Ok((number * factor).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(
            ["500ms", "2", "1.5s", "30m", "2h", "1d"].map(|text| time(text).unwrap()),
            [500, 2_000, 1_500, 1_800_000, 7_200_000, 86_400_000]
        );
        for wrong in ["", "m", "3 weeks", "-1s", "1..5s"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
