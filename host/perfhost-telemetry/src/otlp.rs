//! What an OpenTelemetry collector is sent: an `ExportMetricsServiceRequest` in the protocol's JSON encoding, as of the
//! last tick. Sending it is the caller's business.
//!
//! Names, units and buckets follow the conventions for generative AI where they have a word for it; the rest begins
//! with `perfhost.`. Sums and histograms are cumulative since the process started, so a push that was lost costs
//! nothing but that moment. In this encoding enumerations are numbers, and 64-bit whole numbers strings that receivers
//! also take as numbers. Times are strings here and counts are not, with sums `asDouble`: collectors built on
//! opentelemetry-proto for Rust (0.29 was tried) drop a data point without a word where its counts are strings.

use perfhost_strategy::Scope;
use perfhost_strategy::plan::Operation;
use perfhost_strategy::scope::ScopeKind;
use serde_json::{Value, json};

use crate::histogram::{DURATION_NS, FIRST_TOKEN_NS, Histogram, OUTPUT_TOKEN_NS, TOKENS};
use crate::record::RequestOutcome;
use crate::series::SeriesNames;
use crate::tally::Exported;
use crate::telemetry::Telemetry;

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`.
const CUMULATIVE: u8 = 2;

const NANOSECOND: f64 = 1e-9;

/// The request for `POST {endpoint}/v1/metrics`. `instance` is the host's address; times are Unix time in milliseconds.
pub fn metrics_request(telemetry: &Telemetry, instance: &str, started_ms: u64, now_ms: u64) -> Value {
    let clock = Clock { start: nanoseconds(started_ms), now: nanoseconds(now_ms) };
    let mut points = Points::default();
    telemetry.each_exported(|names, exported| points.add(&clock, names, exported));
    let mut metrics = points.into_metrics();
    for (metric, scope, value) in telemetry.latest_gauges() {
        let point = json!({ "attributes": attributes(&scope_attributes(&scope)), "timeUnixNano": clock.now, "asDouble": value });
        let name = format!("perfhost.{metric}");
        match metrics.iter_mut().find(|known| known["name"] == name.as_str()) {
            Some(known) => {
                if let Some(points) = known["gauge"]["dataPoints"].as_array_mut() {
                    points.push(point);
                }
            }
            None => metrics.push(json!({
                "name": name, "description": crate::window::meaning(metric), "gauge": { "dataPoints": [point] },
            })),
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    let resource = [("service.name", "perfhost"), ("service.version", version), ("service.instance.id", instance)];
    json!({ "resourceMetrics": [{
        "resource": { "attributes": attributes(&resource) },
        "scopeMetrics": [{ "scope": { "name": "perfhost", "version": version }, "metrics": metrics }],
    }] })
}

struct Clock {
    start: String,
    now: String,
}

fn nanoseconds(milliseconds: u64) -> String {
    (u128::from(milliseconds) * 1_000_000).to_string()
}

/// The points of the metrics that requests fill.
#[derive(Default)]
struct Points {
    duration: Vec<Value>,
    first_token: Vec<Value>,
    output_token: Vec<Value>,
    tokens: Vec<Value>,
    requests: Vec<Value>,
    generated: Vec<Value>,
}

impl Points {
    fn add(&mut self, clock: &Clock, names: &SeriesNames, exported: &Exported) {
        let operation = match names.operation {
            Operation::Chat => "chat",
            Operation::Completion => "text_completion",
            Operation::Embedding => "embeddings",
        };
        let of_series = [
            ("gen_ai.provider.name", names.provider.as_str()),
            ("gen_ai.request.model", &names.model),
            ("gen_ai.operation.name", operation),
            ("perfhost.strategy", &names.strategy),
        ];
        let with = |name: &'static str, value: &'static str| {
            let [a, b, c, d] = of_series;
            [a, b, c, d, (name, value)]
        };
        for (outcome, duration) in RequestOutcome::ALL.iter().zip(&exported.duration) {
            let of_outcome = with("error.type", outcome.cause());
            let labels = if *outcome == RequestOutcome::Success { &of_series[..] } else { &of_outcome };
            self.duration.extend(histogram(clock, labels, duration, &DURATION_NS, NANOSECOND));
            self.requests.extend(count(clock, &with("outcome", outcome.cause()), duration.count));
        }
        self.first_token.extend(histogram(clock, &of_series, &exported.first_token, &FIRST_TOKEN_NS, NANOSECOND));
        self.output_token.extend(histogram(clock, &of_series, &exported.output_token, &OUTPUT_TOKEN_NS, NANOSECOND));
        let (input, output) = (with("gen_ai.token.type", "input"), with("gen_ai.token.type", "output"));
        self.tokens.extend(histogram(clock, &input, &exported.prompt_tokens, &TOKENS, 1.0));
        self.tokens.extend(histogram(clock, &output, &exported.output_tokens, &TOKENS, 1.0));
        self.generated.extend(count(clock, &of_series, exported.generated_tokens));
    }

    /// Metrics without points are left out.
    fn into_metrics(self) -> Vec<Value> {
        let histogram =
            |points: &[Value]| json!({ "histogram": { "aggregationTemporality": CUMULATIVE, "dataPoints": points } });
        let sum = |points: &[Value]| json!({ "sum": { "aggregationTemporality": CUMULATIVE, "isMonotonic": true, "dataPoints": points } });
        let metrics = [
            ("gen_ai.server.request.duration", "s", histogram(&self.duration), &self.duration),
            ("gen_ai.server.time_to_first_token", "s", histogram(&self.first_token), &self.first_token),
            ("gen_ai.server.time_per_output_token", "s", histogram(&self.output_token), &self.output_token),
            ("gen_ai.client.token.usage", "{token}", histogram(&self.tokens), &self.tokens),
            ("perfhost.requests", "{request}", sum(&self.requests), &self.requests),
            ("perfhost.generated_tokens", "{token}", sum(&self.generated), &self.generated),
        ];
        let filled = metrics.into_iter().filter(|(_, _, _, points)| !points.is_empty());
        let named = filled.map(|(name, unit, mut metric, _)| {
            (metric["name"], metric["unit"]) = (json!(name), json!(unit));
            metric
        });
        named.collect()
    }
}

fn histogram<const N: usize>(
    clock: &Clock,
    labels: &[(&str, &str)],
    counted: &Histogram<N>,
    bounds: &[u64; N],
    unit: f64,
) -> Option<Value> {
    if counted.count == 0 {
        return None;
    }
    // Each bucket alone, and one more for what is above the last boundary.
    let mut below = 0;
    let each = counted.cumulative().into_iter().chain([counted.count]).map(|cumulative| {
        let own = cumulative - below;
        below = cumulative;
        own
    });
    let counts: Vec<u64> = each.collect();
    let bounds: Vec<f64> = bounds.iter().map(|bound| (*bound as f64 * unit * 1e6).round() / 1e6).collect();
    Some(json!({
        "attributes": attributes(labels), "startTimeUnixNano": clock.start, "timeUnixNano": clock.now,
        "count": counted.count, "sum": counted.sum as f64 * unit,
        "explicitBounds": bounds, "bucketCounts": counts,
    }))
}

fn count(clock: &Clock, labels: &[(&str, &str)], count: u64) -> Option<Value> {
    (count > 0).then(|| {
        json!({
            "attributes": attributes(labels), "startTimeUnixNano": clock.start, "timeUnixNano": clock.now,
            "asDouble": count as f64,
        })
    })
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<Value> {
    pairs.iter().map(|(key, value)| json!({ "key": key, "value": { "stringValue": value } })).collect()
}

fn scope_attributes(scope: &Scope) -> Vec<(&str, &str)> {
    match (scope.kind(), scope.as_str().split_once('/')) {
        (ScopeKind::Global, _) => Vec::new(),
        (_, Some((provider, model))) => vec![("gen_ai.provider.name", provider), ("gen_ai.request.model", model)],
        (_, None) => vec![("gen_ai.provider.name", scope.as_str())],
    }
}
