//! The text that Prometheus and its like scrape (exposition format 0.0.4), as of the last tick.
//!
//! Names and buckets follow the OpenTelemetry conventions for generative AI where they have a word for it; the rest begins
//! with `perfhost_`. Counts and histograms run since the process started. Gauges show their newest sample; per-second
//! rates and percentiles are left to the scraper's own functions. All times are in seconds.

mod text;

use perfhost_strategy::plan::Operation;
use perfhost_strategy::{Scope, scope::ScopeKind};

use crate::histogram::{DURATION_NS, FIRST_TOKEN_NS, Histogram, OUTPUT_TOKEN_NS, TOKENS};
use crate::phase::Phase;
use crate::record::{CacheStatus, RequestOutcome};
use crate::series::SeriesNames;
use crate::tally::Exported;
use crate::telemetry::Telemetry;
use text::{Families, Family, Kind};

/// What kind of metric an [`ExtraMetric`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraKind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
}

/// A metric that telemetry does not keep itself: a knob, an engine's state, a count of another crate.
#[derive(Debug, Clone, PartialEq)]
pub struct ExtraMetric {
    /// Full name, such as `perfhost_knob`. Characters that names may not have become `_`.
    pub name: String,
    /// One sentence. The first of all metrics of one name counts, for the kind too.
    pub help: String,
    /// What kind it is.
    pub kind: ExtraKind,
    /// Names and values of its labels. Characters that names may not have become `_`; of equal names the first counts.
    pub labels: Vec<(String, String)>,
    /// Its value, in the unit that its name ends in.
    pub value: f64,
}

impl ExtraMetric {
    /// One that rises and falls, without labels.
    pub fn gauge(name: &str, help: &str, value: f64) -> Self {
        Self { name: name.to_owned(), help: help.to_owned(), kind: ExtraKind::Gauge, labels: Vec::new(), value }
    }

    /// One that only rises, without labels. Its name ends in `_total`.
    pub fn counter(name: &str, help: &str, count: u64) -> Self {
        Self { kind: ExtraKind::Counter, ..Self::gauge(name, help, count as f64) }
    }

    /// With one more label.
    pub fn with(mut self, label: &str, value: &str) -> Self {
        self.labels.push((label.to_owned(), value.to_owned()));
        self
    }
}

const NANOSECOND: f64 = 1e-9;

/// All metrics as text. An extra metric with the name of one of telemetry's own is left out, and so is a second one of
/// the same name and labels.
pub fn render(telemetry: &Telemetry, extra: &[ExtraMetric]) -> String {
    let mut families = Families::default();
    let mut requests = Requests::new();
    telemetry.each_exported(|names, exported| requests.add(names, exported));
    requests.finish(&mut families);
    for (metric, scope, value) in telemetry.latest_gauges() {
        let name = format!("perfhost_{metric}");
        let help = crate::window::meaning(metric);
        families.sample(&name, Kind::Gauge, help, &scope_labels(&scope), value);
    }
    families.seal();
    for metric in extra {
        let kind = match metric.kind {
            ExtraKind::Counter => Kind::Counter,
            ExtraKind::Gauge => Kind::Gauge,
        };
        let labels: Vec<(&str, &str)> =
            metric.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        families.sample(&metric.name, kind, &metric.help, &labels, metric.value);
    }
    families.into_text()
}

/// The families that requests fill.
struct Requests {
    duration: Family,
    first_token: Family,
    output_token: Family,
    tokens: Family,
    requests: Family,
    phases: Family,
    cache: Family,
    generated: Family,
}

impl Requests {
    fn new() -> Self {
        let histogram = |name, help| Family::new(name, Kind::Histogram, help);
        let counter = |name, help| Family::new(name, Kind::Counter, help);
        Self {
            duration: histogram(
                "gen_ai_server_request_duration_seconds",
                "Time from a request's arrival to the last byte of its answer.",
            ),
            first_token: histogram(
                "gen_ai_server_time_to_first_token_seconds",
                "Time from a streamed request's arrival to its first token.",
            ),
            output_token: histogram(
                "gen_ai_server_time_per_output_token_seconds",
                "Time per token of a streamed answer after its first.",
            ),
            tokens: histogram("gen_ai_client_token_usage", "Tokens of one request, by type."),
            requests: counter("perfhost_requests_total", "Requests, by what they came to."),
            phases: Family::new("perfhost_phase_seconds", Kind::Summary, "Time of requests in each phase."),
            cache: counter("perfhost_cache_requests_total", "Requests, by what the cache did."),
            generated: counter("perfhost_generated_tokens_total", "Tokens that providers generated, as they came."),
        }
    }

    fn add(&mut self, names: &SeriesNames, exported: &Exported) {
        let operation = match names.operation {
            Operation::Chat => "chat",
            Operation::Completion => "text_completion",
            Operation::Embedding => "embeddings",
        };
        let of_series = [
            ("gen_ai_provider_name", names.provider.as_str()),
            ("gen_ai_request_model", &names.model),
            ("gen_ai_operation_name", operation),
            ("strategy", &names.strategy),
        ];
        let with = |name: &'static str, value: &'static str| {
            let [a, b, c, d] = of_series;
            [a, b, c, d, (name, value)]
        };
        for (outcome, duration) in RequestOutcome::ALL.iter().zip(&exported.duration) {
            self.requests.sample(&with("outcome", outcome.cause()), duration.count as f64);
            let of_outcome = with("error_type", outcome.cause());
            let labels = if *outcome == RequestOutcome::Success { &of_series[..] } else { &of_outcome };
            histogram(&mut self.duration, labels, duration, &DURATION_NS, NANOSECOND);
        }
        histogram(&mut self.first_token, &of_series, &exported.first_token, &FIRST_TOKEN_NS, NANOSECOND);
        histogram(&mut self.output_token, &of_series, &exported.output_token, &OUTPUT_TOKEN_NS, NANOSECOND);
        let (input, output) = (with("gen_ai_token_type", "input"), with("gen_ai_token_type", "output"));
        histogram(&mut self.tokens, &input, &exported.prompt_tokens, &TOKENS, 1.0);
        histogram(&mut self.tokens, &output, &exported.output_tokens, &TOKENS, 1.0);
        for (phase, sum_ns) in Phase::ALL.iter().zip(exported.phases_ns) {
            self.phases.totals(&with("phase", phase.name()), exported.requests(), sum_ns as f64 * NANOSECOND);
        }
        for (status, count) in CacheStatus::ALL.iter().zip(exported.cache) {
            self.cache.sample(&with("status", status.name()), count as f64);
        }
        self.generated.sample(&of_series, exported.generated_tokens as f64);
    }

    fn finish(self, families: &mut Families) {
        let Self { duration, first_token, output_token, tokens, requests, phases, cache, generated } = self;
        for family in [duration, first_token, output_token, tokens, requests, phases, cache, generated] {
            families.add(family);
        }
    }
}

/// Writes a histogram in its unit; one that holds nothing is left out.
fn histogram<const N: usize>(
    family: &mut Family,
    labels: &[(&str, &str)],
    counted: &Histogram<N>,
    bounds: &[u64; N],
    unit: f64,
) {
    if counted.count > 0 {
        // Rounded so that 10 ms reads 0.01 and not 0.010000000000000002.
        let bounds = bounds.map(|bound| (bound as f64 * unit * 1e6).round() / 1e6);
        family.buckets(labels, &bounds, &counted.cumulative(), counted.count);
        family.totals(labels, counted.count, counted.sum as f64 * unit);
    }
}

fn scope_labels(scope: &Scope) -> Vec<(&str, &str)> {
    match (scope.kind(), scope.as_str().split_once('/')) {
        (ScopeKind::Global, _) => Vec::new(),
        (_, Some((provider, model))) => vec![("gen_ai_provider_name", provider), ("gen_ai_request_model", model)],
        (_, None) => vec![("gen_ai_provider_name", scope.as_str())],
    }
}
