//! Targets: the table of key figures with target, warning and critical, and the grade of a host. Owns the usual
//! thresholds; all of them can be configured.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Three thresholds of one figure. Where more is worse they rise, where less is worse they fall.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 3]", into = "[f64; 3]")]
pub struct Limits {
    /// What is aimed at.
    pub target: f64,
    /// What should not last.
    pub warning: f64,
    /// What must be looked at now.
    pub critical: f64,
}

impl From<[f64; 3]> for Limits {
    fn from([target, warning, critical]: [f64; 3]) -> Self {
        Self { target, warning, critical }
    }
}

impl From<Limits> for [f64; 3] {
    fn from(limits: Limits) -> Self {
        [limits.target, limits.warning, limits.critical]
    }
}

/// Thresholds of all figures, and the bounds of grades.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Targets {
    /// 95th percentile of the response time, in milliseconds.
    pub response_time_ms: Limits,
    /// Processor that perfhost itself uses for each response under way, in percent of all cores.
    pub cpu_percent_per_response: Limits,
    /// Share of cacheable requests answered from the cache.
    pub cache_hit_rate: Limits,
    /// Share of finished requests that failed.
    pub error_rate: Limits,
    /// Bounds of excellent, good and acceptable for the mean response time, in milliseconds.
    pub grade_response_time_ms: [f64; 3],
    /// The same for finished requests per minute, where there was demand.
    pub grade_requests_per_minute: [f64; 3],
    /// The same for the growth of memory, in millions of bytes per hour.
    pub grade_memory_mb_per_hour: [f64; 3],
    /// The same for the cache hit rate.
    pub grade_cache_hit_rate: [f64; 3],
}

impl Default for Targets {
    fn default() -> Self {
        Self {
            response_time_ms: [2_000.0, 3_000.0, 5_000.0].into(),
            cpu_percent_per_response: [5.0, 7.0, 10.0].into(),
            cache_hit_rate: [0.70, 0.50, 0.30].into(),
            error_rate: [0.01, 0.05, 0.10].into(),
            grade_response_time_ms: [2_000.0, 3_000.0, 5_000.0],
            grade_requests_per_minute: [30.0, 20.0, 15.0],
            grade_memory_mb_per_hour: [10.0, 25.0, 50.0],
            grade_cache_hit_rate: [0.50, 0.30, 0.15],
        }
    }
}

/// Thresholds out of order.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{name}: {found:?} where three numbers are expected, each {order} than the one before")]
pub struct TargetsError {
    /// Which.
    pub name: &'static str,
    /// As given.
    pub found: [f64; 3],
    /// `larger` or `smaller`.
    pub order: &'static str,
}

impl Targets {
    /// Checks that each three are finite, not negative and in order.
    ///
    /// Errors: the first three that are not.
    pub fn check(&self) -> Result<(), TargetsError> {
        for (name, found, is_rising) in [
            ("response_time_ms", self.response_time_ms.into(), true),
            ("cpu_percent_per_response", self.cpu_percent_per_response.into(), true),
            ("cache_hit_rate", self.cache_hit_rate.into(), false),
            ("error_rate", self.error_rate.into(), true),
            ("grade_response_time_ms", self.grade_response_time_ms, true),
            ("grade_requests_per_minute", self.grade_requests_per_minute, false),
            ("grade_memory_mb_per_hour", self.grade_memory_mb_per_hour, true),
            ("grade_cache_hit_rate", self.grade_cache_hit_rate, false),
        ] {
            let is_ordered = found.windows(2).all(|pair| if is_rising { pair[0] < pair[1] } else { pair[0] > pair[1] });
            if !is_ordered || found.iter().any(|value| !value.is_finite() || *value < 0.0) {
                return Err(TargetsError { name, found, order: if is_rising { "larger" } else { "smaller" } });
            }
        }
        Ok(())
    }
}

/// What was measured; `None` for what was not, which is neither good nor bad.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// Requests behind the response times.
    pub requests: u64,
    /// 95th percentile, in milliseconds.
    pub response_time_p95_ms: Option<f64>,
    /// Mean, in milliseconds.
    pub response_time_mean_ms: Option<f64>,
    /// See [`Targets::cpu_percent_per_response`].
    pub cpu_percent_per_response: Option<f64>,
    /// Share, 0 to 1.
    pub cache_hit_rate: Option<f64>,
    /// Share, 0 to 1.
    pub error_rate: Option<f64>,
    /// Finished requests per minute, where there was demand all the time; else `None`.
    pub requests_per_minute: Option<f64>,
    /// Growth of perfhost's own memory, in millions of bytes per hour.
    pub memory_mb_per_hour: Option<f64>,
}

/// How a figure stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// On target.
    OnTarget,
    /// Off target, short of the warning.
    OffTarget,
    /// Past the warning.
    Warning,
    /// Past the critical threshold.
    Critical,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Kpi {
    /// Name of the figure.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Its value, if it was measured.
    pub value: Option<f64>,
    /// The first threshold.
    pub target: f64,
    /// The second.
    pub warning: f64,
    /// The third.
    pub critical: f64,
    /// How it stands; `None` for what was not measured.
    pub level: Option<Level>,
    /// How far the value lies on the way from target (0) to critical (1); not above 1.
    pub severity: f64,
}

/// A grade, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Better than the first bound.
    Excellent,
    /// Up to the second.
    Good,
    /// Up to the third.
    Acceptable,
    /// Beyond it.
    NeedsOptimization,
}

/// The grade of one figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Graded {
    /// Name of the figure.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// Its grade.
    pub grade: Grade,
}

/// The table of key figures.
pub fn table(figures: &Figures, targets: &Targets) -> Vec<Kpi> {
    let row = |name, unit, value: Option<f64>, limits: Limits| {
        let Limits { target, warning, critical } = limits;
        let severity = value.map_or(0.0, |value| ((value - target) / (critical - target)).clamp(0.0, 1.0));
        let level = value.map(|value| level(value, limits));
        Kpi { name, unit, value, target, warning, critical, level, severity }
    };
    vec![
        row("response_time", "ms", figures.response_time_p95_ms, targets.response_time_ms),
        row("cpu_per_response", "%", figures.cpu_percent_per_response, targets.cpu_percent_per_response),
        row("cache_hit_rate", "ratio", figures.cache_hit_rate, targets.cache_hit_rate),
        row("error_rate", "ratio", figures.error_rate, targets.error_rate),
    ]
}

fn level(value: f64, limits: Limits) -> Level {
    let sign = if limits.critical >= limits.target { 1.0 } else { -1.0 };
    let is_past = |limit: f64| (value - limit) * sign > 0.0;
    match () {
        () if is_past(limits.critical) => Level::Critical,
        () if is_past(limits.warning) => Level::Warning,
        () if is_past(limits.target) => Level::OffTarget,
        () => Level::OnTarget,
    }
}

/// The grade of every figure that was measured, and of the host: the worst of them; `None` when nothing was measured.
pub fn grades(figures: &Figures, targets: &Targets) -> (Option<Grade>, Vec<Graded>) {
    let graded: Vec<Graded> = [
        ("response_time_ms", figures.response_time_mean_ms, targets.grade_response_time_ms),
        ("requests_per_minute", figures.requests_per_minute, targets.grade_requests_per_minute),
        ("memory_mb_per_hour", figures.memory_mb_per_hour, targets.grade_memory_mb_per_hour),
        ("cache_hit_rate", figures.cache_hit_rate, targets.grade_cache_hit_rate),
    ]
    .into_iter()
    .filter_map(|(name, value, bounds)| value.map(|value| Graded { name, value, grade: grade(value, bounds) }))
    .collect();
    (graded.iter().map(|one| one.grade).max(), graded)
}

fn grade(value: f64, bounds: [f64; 3]) -> Grade {
    let is_rising = bounds[0] < bounds[2];
    // "< 2 s" is excellent and 2 s is good; "> 30 a minute" is excellent and 30 is good.
    let beyond = bounds.iter().filter(|bound| if is_rising { value >= **bound } else { value <= **bound }).count();
    [Grade::Excellent, Grade::Good, Grade::Acceptable, Grade::NeedsOptimization][beyond]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_thresholds_are_in_order_and_levels_follow_them() {
        let targets = Targets::default();
        assert_eq!(targets.check(), Ok(()));
        let levels = [2_000.0, 2_001.0, 3_001.0, 5_001.0].map(|value| level(value, targets.response_time_ms));
        assert_eq!(levels, [Level::OnTarget, Level::OffTarget, Level::Warning, Level::Critical]);
        let falling = [0.7, 0.6, 0.4, 0.2].map(|value| level(value, targets.cache_hit_rate));
        assert_eq!(falling, [Level::OnTarget, Level::OffTarget, Level::Warning, Level::Critical]);
    }

    #[test]
    fn grades_are_the_worst_of_what_was_measured() {
        let targets = Targets::default();
        let figures = Figures { response_time_mean_ms: Some(1_500.0), cache_hit_rate: Some(0.4), ..Figures::default() };
        let (overall, graded) = grades(&figures, &targets);
        assert_eq!((overall, graded.len()), (Some(Grade::Good), 2));
        assert_eq!(grades(&Figures::default(), &targets).0, None);
        let slow = Figures { requests_per_minute: Some(15.0), memory_mb_per_hour: Some(60.0), ..figures };
        let found: Vec<Grade> = grades(&slow, &targets).1.iter().map(|one| one.grade).collect();
        assert_eq!(found, [Grade::Excellent, Grade::NeedsOptimization, Grade::NeedsOptimization, Grade::Good]);
        assert_eq!(grade(2_000.0, targets.grade_response_time_ms), Grade::Good);
        assert_eq!(grade(3_000.0, targets.grade_response_time_ms), Grade::Acceptable);
    }

    #[test]
    fn thresholds_out_of_order_are_refused_by_name() {
        let targets = Targets { cache_hit_rate: [0.3, 0.5, 0.7].into(), ..Targets::default() };
        let error = targets.check().unwrap_err();
        assert_eq!((error.name, error.order), ("cache_hit_rate", "smaller"));
    }
}
