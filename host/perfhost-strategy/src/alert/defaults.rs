//! The alert rules that are there without a word of configuration.

use super::spec::{AlertRule, Severity};
use crate::rule::Trigger;

/// One of them, as it is written.
#[derive(Debug, Clone, Copy)]
pub struct DefaultAlert {
    /// Its name.
    pub name: &'static str,
    /// Its condition.
    pub when: &'static str,
    /// How urgent it is.
    pub severity: Severity,
    /// One alert for each provider.
    pub is_for_each_provider: bool,
    /// Rules that it inhibits.
    pub inhibits: &'static [&'static str],
    /// What it means.
    pub summary: &'static str,
}

/// The default rules. Response time and error rate are the critical figures of the table of key figures; low hit rates
/// count only where some requests do repeat.
pub const DEFAULT_ALERTS: &[DefaultAlert] = &[
    DefaultAlert {
        name: "slow-responses",
        when: "response_time_p95 > 5000 for 3m",
        severity: Severity::Warning,
        is_for_each_provider: false,
        inhibits: &[],
        summary: "one answer in twenty takes longer than five seconds",
    },
    DefaultAlert {
        name: "high-error-rate",
        when: "error_rate > 5% for 2m",
        severity: Severity::Critical,
        is_for_each_provider: false,
        inhibits: &[],
        summary: "more than one request in twenty fails",
    },
    DefaultAlert {
        name: "high-memory",
        when: "memory_usage > 90% for 5m",
        severity: Severity::Warning,
        is_for_each_provider: false,
        inhibits: &[],
        summary: "this machine is about to run out of memory",
    },
    DefaultAlert {
        name: "high-cpu",
        when: "cpu_usage > 95% for 10m",
        severity: Severity::Warning,
        is_for_each_provider: false,
        inhibits: &[],
        summary: "every core of this machine is busy",
    },
    DefaultAlert {
        name: "low-cache-hits",
        when: "cache_hit_rate < 30% and cache_hit_rate > 0 and requests_per_second > 0.5 for 30m",
        severity: Severity::Info,
        is_for_each_provider: false,
        inhibits: &[],
        summary: "requests repeat and few are answered from the cache",
    },
    DefaultAlert {
        name: "provider-down",
        when: "provider_down > 50% for 30s",
        severity: Severity::Critical,
        is_for_each_provider: true,
        inhibits: &["high-error-rate", "slow-responses"],
        summary: "a provider does not answer",
    },
    DefaultAlert {
        name: "strategy-failing",
        when: "strategy_failing > 50% for 15s",
        severity: Severity::Warning,
        is_for_each_provider: false,
        inhibits: &[],
        summary: "the strategy failed again and again, and a built-in one stands in for it",
    },
];

/// The default rules, read.
pub fn default_rules() -> Vec<AlertRule> {
    let read = |default: &DefaultAlert| {
        let when = Trigger::parse(default.when).ok()?;
        Some(AlertRule {
            summary: default.summary.to_owned(),
            severity: default.severity,
            is_for_each_provider: default.is_for_each_provider,
            inhibits: default.inhibits.iter().map(|name| (*name).to_owned()).collect(),
            ..AlertRule::new(default.name, default.when, when)
        })
    };
    DEFAULT_ALERTS.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_reads_and_inhibits_only_what_there_is() {
        let rules = default_rules();
        assert_eq!(rules.len(), DEFAULT_ALERTS.len());
        for inhibited in rules.iter().flat_map(|rule| &rule.inhibits) {
            assert!(rules.iter().any(|rule| rule.name == *inhibited), "{inhibited}");
        }
    }
}
