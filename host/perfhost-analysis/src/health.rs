//! One number for how a host stands, from 100 (all is well) to 0, with the reasons for every point that is missing.
//!
//! Each figure has a weight; from target to critical it loses evenly up to all of it. What was not measured loses nothing.
//! Conditions that are wrong in themselves (no provider is up, a leak) lose fixed points.

use serde::Serialize;

use crate::kpi::{Kpi, Level};

/// From this score on a host is healthy.
pub const HEALTHY: f64 = 80.0;

/// From this score on it is degraded, below unhealthy.
pub const DEGRADED: f64 = 50.0;

/// Points that each figure may lose, by its name in the table.
pub const WEIGHTS: [(&str, f64); 4] =
    [("response_time", 30.0), ("error_rate", 40.0), ("cpu_per_response", 10.0), ("cache_hit_rate", 5.0)];

/// What is wrong in itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Condition {
    /// Its name, in snake_case.
    pub name: &'static str,
    /// Points that it loses.
    pub points: f64,
    /// What was seen.
    pub reason: String,
}

/// In a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All is well.
    Healthy,
    /// Something should be looked at.
    Degraded,
    /// Users notice.
    Unhealthy,
}

/// How a host stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Health {
    /// 0 to 100.
    pub score: f64,
    /// In a word.
    pub status: Status,
    /// What lost points, most first.
    pub reasons: Vec<Condition>,
}

/// The score of a table of figures and of conditions besides it.
pub fn health(kpis: &[Kpi], conditions: Vec<Condition>) -> Health {
    let mut reasons: Vec<Condition> = kpis.iter().filter_map(lost).chain(conditions).collect();
    reasons.retain(|reason| reason.points > 0.0);
    reasons.sort_by(|a, b| b.points.total_cmp(&a.points));
    let score = (100.0 - reasons.iter().map(|reason| reason.points).sum::<f64>()).clamp(0.0, 100.0);
    let status = match score {
        score if score >= HEALTHY => Status::Healthy,
        score if score >= DEGRADED => Status::Degraded,
        _ => Status::Unhealthy,
    };
    Health { score, status, reasons }
}

fn lost(kpi: &Kpi) -> Option<Condition> {
    let (_, weight) = WEIGHTS.iter().find(|(name, _)| *name == kpi.name)?;
    let value = kpi.value?;
    let shown = |value: f64| match kpi.unit {
        "ratio" => format!("{:.1} %", value * 100.0),
        unit if value.abs() >= 10.0 => format!("{value:.0} {unit}"),
        unit => format!("{value:.1} {unit}"),
    };
    let past = match kpi.level? {
        Level::OnTarget => return None,
        Level::OffTarget => format!("off its target of {}", shown(kpi.target)),
        Level::Warning => format!("past its warning at {}", shown(kpi.warning)),
        Level::Critical => format!("past its critical threshold of {}", shown(kpi.critical)),
    };
    Some(Condition {
        name: kpi.name,
        points: weight * kpi.severity,
        reason: format!("{} is {}, {past}", kpi.name, shown(value)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kpi::{Figures, Targets, table};

    fn score(figures: Figures, conditions: Vec<Condition>) -> Health {
        health(&table(&figures, &Targets::default()), conditions)
    }

    #[test]
    fn nothing_measured_or_all_on_target_is_healthy() {
        assert_eq!(score(Figures::default(), Vec::new()).score, 100.0);
        let good = Figures {
            response_time_p95_ms: Some(500.0),
            cache_hit_rate: Some(0.9),
            error_rate: Some(0.0),
            cpu_percent_per_response: Some(1.0),
            ..Figures::default()
        };
        assert_eq!(score(good, Vec::new()), Health { score: 100.0, status: Status::Healthy, reasons: Vec::new() });
    }

    #[test]
    fn points_are_lost_evenly_from_target_to_critical_with_reasons() {
        let half = Figures { response_time_p95_ms: Some(3_500.0), ..Figures::default() };
        let found = score(half, Vec::new());
        assert_eq!((found.score, found.status), (85.0, Status::Healthy));
        assert!(found.reasons[0].reason.contains("3500 ms") && found.reasons[0].reason.contains("3000"), "{found:?}");
        let all = Figures { error_rate: Some(0.5), response_time_p95_ms: Some(9e9), ..Figures::default() };
        let found = score(all, Vec::new());
        assert_eq!((found.score, found.status), (30.0, Status::Unhealthy));
        assert_eq!(found.reasons.iter().map(|reason| reason.name).collect::<Vec<_>>(), ["error_rate", "response_time"]);
    }

    #[test]
    fn conditions_count_and_the_score_has_a_floor() {
        let down = |points| vec![Condition { name: "no_provider", points, reason: "no provider is up".to_owned() }];
        assert_eq!(score(Figures::default(), down(60.0)).status, Status::Unhealthy);
        assert_eq!(score(Figures::default(), down(999.0)).score, 0.0);
    }
}
