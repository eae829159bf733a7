//! What /metrics shows, read by a strict reader of the exposition format 0.0.4.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the whole file is tests")]

use std::collections::{BTreeMap, BTreeSet};

use perfhost_strategy::Scope;
use perfhost_strategy::observation::metric;
use perfhost_strategy::plan::Operation;
use perfhost_telemetry::prometheus::render;
use perfhost_telemetry::{CacheStatus, ExtraKind, ExtraMetric, Phase, RequestOutcome, RequestRecord, Telemetry};

type Labels = BTreeMap<String, String>;

#[derive(Debug)]
struct Sample {
    name: String,
    labels: Labels,
    value: f64,
}

/// Every sample, after checking: lines end in newlines, HELP and TYPE come once and before the samples of their family,
/// families are not mixed, names are legal, values and labels parse, no sample comes twice, histograms add up.
fn check(text: &str) -> Vec<Sample> {
    assert!(text.is_empty() || text.ends_with('\n'));
    let mut kinds: BTreeMap<String, String> = BTreeMap::new();
    let mut helped = BTreeSet::new();
    let mut current = String::new();
    let mut all: Vec<Sample> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help text");
            assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(["counter", "gauge", "histogram", "summary"].contains(&kind), "{line}");
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            current = name.to_owned();
        } else {
            let sample = parse(line);
            let suffix = sample.name.strip_prefix(&current).expect("a sample of the family that was begun");
            let is_allowed = match kinds[&current].as_str() {
                "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
                "summary" => ["_sum", "_count"].contains(&suffix),
                _ => suffix.is_empty(),
            };
            assert!(is_allowed && helped.contains(&current), "{line}");
            let is_twice = all.iter().any(|other| other.name == sample.name && other.labels == sample.labels);
            assert!(!is_twice, "{line}");
            all.push(sample);
        }
    }
    for name in kinds.iter().filter(|(_, kind)| *kind == "histogram").map(|(name, _)| name) {
        check_histogram(name, &all);
    }
    all
}

fn check_histogram(name: &str, all: &[Sample]) {
    let mut by_labels: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in all.iter().filter(|sample| sample.name == format!("{name}_bucket")) {
        let mut labels = sample.labels.clone();
        let bound = labels.remove("le").expect("a bound");
        by_labels.entry(labels).or_default().push((number(&bound), sample.value));
    }
    assert!(!by_labels.is_empty(), "{name}");
    for (labels, buckets) in by_labels {
        for pair in buckets.windows(2) {
            assert!(pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1, "{name} {labels:?}: {pair:?}");
        }
        let (last_bound, last) = buckets[buckets.len() - 1];
        let of = |suffix: &str| {
            let wanted = format!("{name}{suffix}");
            all.iter().find(|sample| sample.name == wanted && sample.labels == labels).map(|sample| sample.value)
        };
        assert_eq!((last_bound, Some(last)), (f64::INFINITY, of("_count")), "{name} {labels:?}");
        assert!(of("_sum").is_some());
    }
}

fn parse(line: &str) -> Sample {
    let name_end = line.find(['{', ' ']).expect("a name's end");
    let (name, mut rest) = line.split_at(name_end);
    assert!(is_name(name, ":_"), "{line}");
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").expect("a label");
            assert!(is_name(label, "_"), "{line}");
            let (value, after) = unescape(after);
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').expect("one blank before the value");
    Sample { name: name.to_owned(), labels, value: number(value) }
}

fn is_name(name: &str, marks: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || marks.contains(character))
}

fn unescape(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match characters.next().expect("an escaped character").1 {
                'n' => '\n',
                other @ ('"' | '\\') => other,
                other => panic!("\\{other} is no escape"),
            }),
            other => value.push(other),
        }
    }
    panic!("a label without an end: {text}")
}

fn number(text: &str) -> f64 {
    match text {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        other => other.parse().expect("a number"),
    }
}

fn find<'a>(all: &'a [Sample], name: &str, labels: &[(&str, &str)]) -> Option<&'a Sample> {
    let has = |sample: &Sample, (name, value): &(&str, &str)| sample.labels.get(*name).is_some_and(|v| v == value);
    all.iter().find(|sample| sample.name == name && labels.iter().all(|label| has(sample, label)))
}

#[test]
fn nothing_recorded_is_nothing_shown() {
    assert_eq!(render(&Telemetry::new(), &[]), "");
}

#[test]
fn a_busy_host_shows_valid_text_with_the_right_numbers() {
    let telemetry = Telemetry::new();
    let recorder = telemetry.recorder();
    let odd_name = "quotes \"and\" back\\slashes\nand lines";
    let series = telemetry.series("engine", odd_name, "balanced@0.1.0", Operation::Chat);
    let embedding = telemetry.series("cloud", "e", "balanced@0.1.0", Operation::Embedding);
    for (at, outcome) in RequestOutcome::ALL.into_iter().cycle().take(70).enumerate() {
        recorder.record(&RequestRecord {
            series: if at % 10 == 9 { embedding } else { series },
            outcome,
            cache: CacheStatus::ALL[at % 4],
            is_streaming: true,
            phases_ns: [at as u64 * 1_000; Phase::COUNT],
            total_ns: at as u64 * 4_000_000,
            ttft_ns: Some(at as u64 * 1_000_000),
            prompt_tokens: 100,
            output_tokens: at as u32,
            saved_ns: 0,
        });
        recorder.tokens(series, 3);
    }
    telemetry.gauge(metric::IN_FLIGHT, &Scope::global(), 3.0);
    telemetry.gauge(metric::ENGINE_SLOTS_BUSY, &Scope::provider("engine"), 2.0);
    telemetry.gauge(metric::PROCESS_CPU, &Scope::model("engine", "org/m"), 0.5);
    telemetry.tick(1_000);
    let extra = [
        ExtraMetric {
            name: "perfhost_knob".to_owned(),
            help: "A knob's\nvalue \\ setting.".to_owned(),
            kind: ExtraKind::Gauge,
            labels: vec![("knob".to_owned(), "concurrency_limit".to_owned()), ("a-b".to_owned(), "\\".to_owned())],
            value: f64::INFINITY,
        },
        ExtraMetric {
            name: "perfhost_requests_total".to_owned(),
            help: "Not this one.".to_owned(),
            kind: ExtraKind::Gauge,
            labels: Vec::new(),
            value: 1.0,
        },
    ];
    let all = check(&render(&telemetry, &extra));

    let of_series = [
        ("gen_ai_request_model", odd_name),
        ("gen_ai_provider_name", "engine"),
        ("gen_ai_operation_name", "chat"),
        ("strategy", "balanced@0.1.0"),
    ];
    let requests: f64 =
        all.iter().filter(|sample| sample.name == "perfhost_requests_total").map(|sample| sample.value).sum();
    assert_eq!(requests, 70.0);
    assert!(find(&all, "perfhost_requests_total", &[("outcome", "cancelled")]).is_some());
    let phase = find(&all, "perfhost_phase_seconds_count", &[of_series[1], ("phase", "first_byte")]);
    assert_eq!(phase.map(|sample| sample.value), Some(63.0));
    assert!(find(&all, "perfhost_cache_requests_total", &[("status", "shared")]).is_some());
    let duration = find(&all, "gen_ai_server_request_duration_seconds_bucket", &of_series);
    assert_eq!(duration.and_then(|sample| sample.labels.get("le")).map(String::as_str), Some("0.01"));
    for name in ["gen_ai_server_time_to_first_token_seconds_sum", "gen_ai_server_time_per_output_token_seconds_sum"] {
        assert!(find(&all, name, &of_series).is_some(), "{name}");
    }
    let error = [("error_type", "timeout")];
    assert!(find(&all, "gen_ai_server_request_duration_seconds_count", &error).is_some());
    let usage = [("gen_ai_token_type", "input"), ("gen_ai_operation_name", "embeddings")];
    assert!(find(&all, "gen_ai_client_token_usage_bucket", &usage).is_some());
    let generated = find(&all, "perfhost_generated_tokens_total", &of_series);
    assert_eq!(generated.map(|sample| sample.value), Some(210.0));
    assert_eq!(find(&all, "perfhost_in_flight", &[]).map(|sample| sample.value), Some(3.0));
    let slots = find(&all, "perfhost_engine_slots_busy", &[("gen_ai_provider_name", "engine")]);
    assert_eq!(slots.map(|sample| sample.value), Some(2.0));
    assert!(find(&all, "perfhost_process_cpu", &[("gen_ai_request_model", "org/m")]).is_some());
    let knob = find(&all, "perfhost_knob", &[("knob", "concurrency_limit"), ("a_b", "\\")]);
    assert_eq!(knob.map(|sample| sample.value), Some(f64::INFINITY));
}

#[test]
fn counts_rise_from_tick_to_tick() {
    let telemetry = Telemetry::new();
    let recorder = telemetry.recorder();
    let series = telemetry.series("engine", "m", "s", Operation::Completion);
    for tick in 1..=3_u32 {
        recorder.record(&RequestRecord {
            series,
            outcome: RequestOutcome::Success,
            cache: CacheStatus::Miss,
            is_streaming: false,
            phases_ns: [0; Phase::COUNT],
            total_ns: 10_000_000,
            ttft_ns: None,
            prompt_tokens: 1,
            output_tokens: 1,
            saved_ns: 0,
        });
        telemetry.tick(u64::from(tick) * 1_000);
        let all = check(&render(&telemetry, &[]));
        let first = find(&all, "gen_ai_server_request_duration_seconds_bucket", &[("le", "0.01")]);
        assert_eq!(first.map(|sample| sample.value), Some(f64::from(tick)));
    }
}
