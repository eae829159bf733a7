//! What is kept of a generation: which strategy it was, when and why it served, and what came of its time in service.
//!
//! Owns the records and what makes them readable again. Who writes them is the host's; who stores them is telemetry.

use serde::{Deserialize, Serialize};

use super::PlanningCounts;
use crate::strategy::{Identity, World};

/// Why a generation came into service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrival {
    /// The host started with it.
    Start,
    /// The configuration file names it since it was reloaded.
    Configuration,
    /// Somebody asked for it.
    Swap,
    /// Its file changed.
    Watch,
    /// Somebody went back to an earlier generation's strategy.
    Rollback,
    /// It stands in for a strategy that failed again and again.
    Fallback,
    /// A strategy that had failed gets another chance.
    Retry,
}

impl Arrival {
    /// As in the API and the store.
    pub fn name(self) -> &'static str {
        match self {
            Arrival::Start => "start",
            Arrival::Configuration => "configuration",
            Arrival::Swap => "swap",
            Arrival::Watch => "watch",
            Arrival::Rollback => "rollback",
            Arrival::Fallback => "fallback",
            Arrival::Retry => "retry",
        }
    }
}

/// What the guard made of proposals during a generation's time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionCounts {
    /// Changes applied, as asked or clamped.
    pub applied: u64,
    /// Proposals refused.
    pub refused: u64,
    /// Changes of its own that were taken back in its time.
    pub rolled_back: u64,
}

/// What the whole host did during a generation's time in service, to the second: requests count for the generation in
/// whose time they end. Times are 0 where nothing was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Finished requests: successes and errors.
    pub requests: u64,
    /// Of these, errors: upstream errors, timeouts, unavailable.
    pub errors: u64,
    /// Requests that admission turned away.
    pub rejected: u64,
    /// Tokens generated.
    pub output_tokens: u64,
    /// Seconds in which a request finished or a token was generated; the rates are over these.
    pub busy_seconds: f64,
    /// Successes per busy second.
    pub successes_per_second: f64,
    /// Tokens per busy second.
    pub tokens_per_second: f64,
    /// Median response time of successes.
    pub response_time_p50_ms: f64,
    /// 95th percentile of the same.
    pub response_time_p95_ms: f64,
    /// 95th percentile of the time to first token of streams.
    pub time_to_first_token_p95_ms: f64,
}

/// One generation's time in service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerationRecord {
    /// [`super::Generation::number`]; unique in one data directory.
    pub number: u64,
    /// Name of the strategy.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the plugin file, in hexadecimal.
    pub digest: String,
    /// What it implements.
    pub world: World,
    /// Where it came from.
    pub source: String,
    /// Why it came into service.
    pub why: Arrival,
    /// More about that, for people: the failure that called the fallback, the generation that was gone back to.
    pub detail: Option<String>,
    /// The number of the generation in whose place it stands. Its own for one that was chosen anew; a rollback, a
    /// fallback and a retry stand in the place of an earlier one, and going back from them means going back from there.
    pub place: u64,
    /// When it came into service, Unix time in milliseconds.
    pub from_ms: u64,
    /// When it left; `None` while it serves.
    pub to_ms: Option<u64>,
    /// When the rest of this record was last brought up to date; a killed host's last generation ended about then.
    pub updated_ms: u64,
    /// Requests it planned and what that cost.
    pub planning: PlanningCounts,
    /// Proposals and what became of them.
    pub decisions: DecisionCounts,
    /// What the host did meanwhile.
    pub figures: Figures,
}

impl GenerationRecord {
    /// A generation that comes into service at `now_ms`, in a place of its own.
    pub fn new(number: u64, strategy: &Identity, why: Arrival, now_ms: u64) -> Self {
        Self {
            number,
            name: strategy.name.clone(),
            version: strategy.version.clone(),
            digest: strategy.digest.clone(),
            world: strategy.world,
            source: strategy.source.clone(),
            why,
            detail: None,
            place: number,
            from_ms: now_ms,
            to_ms: None,
            updated_ms: now_ms,
            planning: PlanningCounts::default(),
            decisions: DecisionCounts::default(),
            figures: Figures::default(),
        }
    }
}

/// The generation to go back to from the one in service: the newest before its place that had another strategy file.
/// `records` may be in any order; `None` when there is none among them.
pub fn before<'a>(records: &'a [GenerationRecord], in_service: &GenerationRecord) -> Option<&'a GenerationRecord> {
    // A fallback is not what one goes back from: its place holds the strategy that failed.
    let replaced = records.iter().find(|record| record.number == in_service.place).unwrap_or(in_service);
    records
        .iter()
        .filter(|record| record.number < in_service.place)
        .filter(|record| record.digest != in_service.digest && record.digest != replaced.digest)
        .max_by_key(|record| record.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Generations 1, 2, 3, … with these digests and places (0 for their own).
    fn records(list: &[(&str, u64)]) -> Vec<GenerationRecord> {
        let one = |(at, (digest, place)): (usize, &(&str, u64))| {
            let identity = Identity {
                name: "one".to_owned(),
                version: "1.0.0".to_owned(),
                digest: (*digest).to_owned(),
                world: World::Tuner,
                source: "test".to_owned(),
            };
            let number = at as u64 + 1;
            let place = if *place == 0 { number } else { *place };
            GenerationRecord { place, ..GenerationRecord::new(number, &identity, Arrival::Swap, 0) }
        };
        list.iter().enumerate().map(one).collect()
    }

    /// The number that is gone back to from the last of these.
    fn back_from(list: &[(&str, u64)]) -> Option<u64> {
        let records = records(list);
        before(&records, records.last()?).map(|record| record.number)
    }

    #[test]
    fn going_back_leads_to_the_strategy_before_and_further_each_time() {
        assert_eq!(back_from(&[("a", 0), ("b", 0), ("c", 0)]), Some(2));
        assert_eq!(back_from(&[("a", 0), ("b", 0), ("c", 0), ("b", 2)]), Some(1));
        assert_eq!(back_from(&[("a", 0), ("b", 0), ("c", 0), ("b", 2), ("a", 1)]), None);
        assert_eq!(back_from(&[("a", 0)]), None);
    }

    #[test]
    fn after_a_rollback_and_a_new_swap_the_way_back_is_that_of_the_earlier_place() {
        assert_eq!(back_from(&[("a", 0), ("b", 0), ("a", 1), ("c", 0)]), Some(3));
        assert_eq!(back_from(&[("a", 0), ("b", 0), ("a", 1), ("c", 0), ("a", 1)]), None);
    }

    #[test]
    fn from_a_fallback_one_goes_back_past_the_strategy_that_failed() {
        assert_eq!(back_from(&[("a", 0), ("b", 0), ("fallback", 2)]), Some(1));
        assert_eq!(back_from(&[("a", 0), ("b", 0), ("fallback", 2), ("b", 2)]), Some(1));
    }

    #[test]
    fn a_restart_with_the_same_strategy_is_nothing_to_go_back_to() {
        assert_eq!(back_from(&[("a", 0), ("a", 0)]), None);
        assert_eq!(back_from(&[("a", 0), ("b", 0), ("b", 0)]), Some(1));
    }

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let record = records(&[("a", 0)]).remove(0);
        let text = serde_json::to_string(&record).unwrap();
        assert!(text.contains(r#""why":"swap""#), "{text}");
        assert_eq!(serde_json::from_str::<GenerationRecord>(&text).unwrap(), record);
    }
}
