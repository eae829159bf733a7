//! The observations that a strategy is shown: ordinary ones that follow from the seed, and the extremes that production
//! brings sooner or later. Every number in them is finite, as the host promises.

use super::numbers::Numbers;
use crate::knob::{Bounds, OfferedKnob};
use crate::observation::{Gpu, Hardware, Health, Metric, ProviderState, Setting, Summary, extra, metric};
use crate::plan::{FleetNames, Target};
use crate::scope::ScopeKind;
use crate::{KnobId, Observation, Scope, Settings, Value};

/// The windows that a host's observations carry.
const WINDOWS_MS: [u32; 3] = [10_000, 30_000, 60_000];

/// A day in 2025, Unix time in milliseconds.
const START_MS: u64 = 1_750_000_000_000;

/// Time between two observations.
const INTERVAL_MS: u32 = 5_000;

const GIB: u64 = 1 << 30;

/// One observation with the knobs and the fleet that go with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What it is, for messages.
    pub name: String,
    /// Knobs on offer.
    pub knobs: Vec<OfferedKnob>,
    /// What the strategy sees.
    pub observation: Observation,
    /// What plan calls refer to.
    pub fleet: FleetNames,
}

impl Case {
    /// An observation from a decision log. Without the knobs that were on offer then, every knob that it shows is.
    pub fn recorded(cycle: u64, observation: Observation, knobs: Option<Vec<OfferedKnob>>) -> Self {
        let knobs = knobs.unwrap_or_else(|| crate::replay::offered_in(&observation));
        let fleet = crate::replay::fleet_in(&observation);
        Self { name: format!("recorded cycle {cycle}"), knobs, observation, fleet }
    }
}

/// An ordinary moment: providers under some load, everything measured.
pub(super) fn ordinary(numbers: &mut Numbers, at: u64) -> Case {
    let providers: Vec<ProviderState> = (0..1 + numbers.up_to(2)).map(|at| provider(numbers, at)).collect();
    let mut case = of_providers(format!("generated {at}"), providers, numbers);
    case.observation.now_ms = START_MS + at * u64::from(INTERVAL_MS);
    case
}

/// The extremes, each an ordinary moment but for what its name says.
pub(super) fn extremes(numbers: &mut Numbers) -> Vec<Case> {
    type Change = fn(&mut Case, &mut Numbers);
    let changes: &[(&str, Change)] = &[
        ("no metrics", |case, _| case.observation.metrics.clear()),
        ("empty windows", |case, _| each_summary(case, |summary| *summary = Summary::default())),
        ("one measurement a window", |case, _| each_summary(case, |summary| summary.count = 1)),
        ("no providers", |case, numbers| {
            *case = of_providers(String::new(), Vec::new(), numbers);
        }),
        ("no providers and nothing measured", |case, numbers| {
            *case = of_providers(String::new(), Vec::new(), numbers);
            case.observation.metrics.clear();
            case.observation.settings.clear();
        }),
        ("1,000 models", |case, numbers| {
            let models = (0..1_000).map(|at| format!("model-{at}")).collect();
            let provider = ProviderState { models, ..provider(numbers, 0) };
            *case = of_providers(String::new(), vec![provider], numbers);
        }),
        ("100 providers", |case, numbers| {
            let providers = (0..100).map(|at| provider(numbers, at)).collect();
            *case = of_providers(String::new(), providers, numbers);
        }),
        ("all providers down", |case, _| {
            case.observation.providers.iter_mut().for_each(|provider| provider.health = Health::Down);
        }),
        ("huge values", |case, _| {
            each_summary(case, |summary| *summary = all(1e300, u64::MAX));
            each_provider(case, |provider| (provider.in_flight, provider.queued) = (u32::MAX, u32::MAX));
        }),
        ("largest values", |case, _| each_summary(case, |summary| *summary = all(f64::MAX, u64::MAX))),
        ("tiny values", |case, _| each_summary(case, |summary| *summary = all(f64::MIN_POSITIVE, 1))),
        ("all zero but measured", |case, _| each_summary(case, |summary| *summary = all(0.0, 1_000))),
        ("odd names", |case, numbers| {
            let names =
                ["", "ünïcödé-模型-🦀", "a/b//c", "quote\"s and\nlines\t", "..", " ", "%s{}\u{0}", &"x".repeat(500)];
            let named = |(at, name): (usize, &&str)| ProviderState {
                name: (*name).to_owned(),
                kind: name.to_string(),
                models: names.iter().map(ToString::to_string).collect(),
                ..provider(&mut numbers.clone(), at as u64)
            };
            let providers = names.iter().enumerate().map(named).collect();
            *case = of_providers(String::new(), providers, numbers);
        }),
        ("names of a later host", |case, _| {
            for metric in &mut case.observation.metrics {
                metric.name = format!("later_{}", metric.name);
            }
            for setting in &mut case.observation.settings {
                setting.name = format!("later_{}", setting.name);
            }
            case.observation.extra = vec![("later".to_owned(), 1.0)];
            case.observation.providers.iter_mut().for_each(|provider| provider.kind = "later".to_owned());
        }),
        ("knobs pinned to their values", |case, _| {
            let settings = Settings::of(&case.observation.settings);
            each_knob(case, |knob| knob.bounds_here = only(&settings.value(knob.knob.id, &knob.at)));
        }),
        ("bounds of one other value", |case, _| each_knob(case, |knob| knob.bounds_here = edge(&knob.bounds_here))),
        ("no knobs on offer", |case, _| case.knobs.clear()),
        ("no settings shown", |case, _| case.observation.settings.clear()),
        ("settings outside their bounds", |case, _| {
            each_knob(case, |knob| knob.bounds_here = edge(&knob.bounds_here));
        }),
        ("nothing known of the machine", |case, _| case.observation.hardware = Hardware::default()),
        ("no memory free", |case, _| case.observation.hardware.memory_free_bytes = 0),
        ("sixteen graphics processors", |case, _| {
            let gpu = |at| Gpu { name: format!("gpu {at}"), memory_total_bytes: 80 * GIB, memory_free_bytes: at * GIB };
            case.observation.hardware.gpus = (0..16).map(gpu).collect();
        }),
        ("the clock at zero", |case, _| (case.observation.now_ms, case.observation.interval_ms) = (0, 0)),
        // The last moment of the year 9999.
        ("the clock far ahead", |case, _| {
            (case.observation.now_ms, case.observation.interval_ms) = (253_402_300_799_999, u32::MAX);
        }),
        ("the largest seed", |case, _| case.observation.seed = u64::MAX),
    ];
    let extreme = |(name, change): &(&str, Change)| {
        let mut case = ordinary(numbers, 0);
        change(&mut case, numbers);
        if case.observation.now_ms == START_MS {
            case.observation.now_ms = START_MS - u64::from(INTERVAL_MS);
        }
        Case { name: (*name).to_owned(), ..case }
    };
    changes.iter().map(extreme).collect()
}

fn provider(numbers: &mut Numbers, at: u64) -> ProviderState {
    let kinds = ["llama-cpp", "ollama", "vllm", "lm-studio", "openai", "anthropic", "groq", "openai-compatible"];
    let kind = if at == 0 { "llama-cpp" } else { numbers.pick(&kinds) };
    ProviderState {
        name: format!("provider-{at}"),
        kind: kind.to_owned(),
        health: *numbers.pick(&[Health::Up, Health::Up, Health::Up, Health::Degraded, Health::Down]),
        managed: at == 0,
        in_flight: numbers.up_to(32) as u32,
        queued: numbers.up_to(8) as u32,
        models: (0..numbers.up_to(3)).map(|model| format!("model-{model}:{at}b")).collect(),
        extra: extra::PROVIDER
            .iter()
            .map(|figure| (figure.name.to_owned(), numbers.magnitude(0.01, 1_000.0)))
            .collect(),
    }
}

/// A moment with these providers.
fn of_providers(name: String, providers: Vec<ProviderState>, numbers: &mut Numbers) -> Case {
    let names: Vec<String> = providers.iter().map(|provider| provider.name.clone()).collect();
    let settings: Vec<Setting> = Settings::default().list(&names);
    let knobs: Vec<OfferedKnob> = KnobId::ALL.iter().flat_map(|id| offers(*id, &providers)).collect();
    let mut observation = Observation {
        now_ms: START_MS,
        seed: numbers.next(),
        interval_ms: INTERVAL_MS,
        settings,
        hardware: Hardware {
            physical_cores: 8,
            logical_cores: 16,
            memory_total_bytes: 32 * GIB,
            memory_free_bytes: numbers.up_to(32 * GIB),
            gpus: Vec::new(),
        },
        ..Observation::default()
    };
    for knob in &knobs {
        if numbers.is_one_in(4)
            && let Some(value) = turned(knob, numbers)
        {
            set(&mut observation.settings, knob, value);
        }
    }
    // A host with very many providers measures few of them at a time.
    let measured = names.iter().take(8).map(|name| Scope::provider(name));
    let scopes: Vec<Scope> = std::iter::once(Scope::global()).chain(measured).collect();
    let pace = numbers.magnitude(0.1, 100.0);
    for scope in &scopes {
        for info in metric::ALL {
            if numbers.is_one_in(8) {
                continue;
            }
            let base = typical(info.unit, numbers);
            for window_ms in WINDOWS_MS {
                let count = (pace * f64::from(window_ms) / 1_000.0) as u64;
                observation.metrics.push(Metric {
                    name: info.name.to_owned(),
                    scope: scope.clone(),
                    unit: info.unit.to_owned(),
                    window_ms,
                    summary: summary(base, count, numbers),
                });
            }
        }
    }
    observation.providers = providers;
    let fleet = crate::replay::fleet_in(&observation);
    Case { name, knobs, observation, fleet }
}

fn offers(id: KnobId, providers: &[ProviderState]) -> Vec<OfferedKnob> {
    let knob = id.knob();
    let scopes: Vec<Scope> = match knob.scope {
        ScopeKind::Global => vec![Scope::global()],
        _ => {
            let fit = providers.iter().filter(|provider| !knob.reload || provider.managed);
            fit.map(|provider| Scope::provider(&provider.name)).collect()
        }
    };
    scopes.into_iter().map(|at| OfferedKnob { at, bounds_here: knob.bounds.clone(), knob: knob.clone() }).collect()
}

/// Another value of the knob within a factor of four of its default.
fn turned(offered: &OfferedKnob, numbers: &mut Numbers) -> Option<Value> {
    let factor = numbers.magnitude(0.25, 4.0);
    let value = match (&offered.knob.default, &offered.bounds_here) {
        (Value::Integer(default), _) => Value::Integer((*default as f64 * factor) as i64),
        (Value::Number(default), _) => Value::Number(default * factor),
        (Value::Text(_), Bounds::OneOf(words)) => Value::Text(numbers.pick(words).clone()),
        _ => return None,
    };
    offered.bounds_here.clamp(&value)
}

fn set(settings: &mut [Setting], offered: &OfferedKnob, value: Value) {
    let is_it = |setting: &&mut Setting| setting.name == offered.knob.name && setting.scope == offered.at;
    if let Some(setting) = settings.iter_mut().find(is_it) {
        setting.value = value;
    }
}

/// A usual value of a metric with that unit.
fn typical(unit: &str, numbers: &mut Numbers) -> f64 {
    match unit {
        "ms" => numbers.magnitude(0.1, 60_000.0),
        "ratio" => numbers.share(),
        "bytes" => numbers.magnitude(1e6, 64e9),
        "count" => numbers.magnitude(0.1, 64.0),
        _ => numbers.magnitude(0.1, 1_000.0),
    }
}

fn summary(base: f64, count: u64, numbers: &mut Numbers) -> Summary {
    if count == 0 {
        return Summary::default();
    }
    let spread = 1.0 + numbers.share();
    Summary {
        count,
        mean: base,
        min: base / (spread * spread),
        max: base * spread * spread,
        p50: base * 0.95,
        p95: base * spread,
        p99: base * spread * 1.1_f64.min(spread),
    }
}

fn all(value: f64, count: u64) -> Summary {
    Summary { count, mean: value, min: value, max: value, p50: value, p95: value, p99: value }
}

fn each_summary(case: &mut Case, change: impl Fn(&mut Summary)) {
    case.observation.metrics.iter_mut().for_each(|metric| change(&mut metric.summary));
}

fn each_provider(case: &mut Case, change: impl Fn(&mut ProviderState)) {
    case.observation.providers.iter_mut().for_each(change);
}

fn each_knob(case: &mut Case, change: impl Fn(&mut OfferedKnob)) {
    case.knobs.iter_mut().for_each(change);
}

/// Bounds that allow this value only.
fn only(value: &Value) -> Bounds {
    match value {
        Value::Flag(_) => Bounds::AnyFlag,
        Value::Integer(integer) => Bounds::IntegerRange(*integer, *integer),
        Value::Number(number) => Bounds::NumberRange(*number, *number),
        Value::Text(text) => Bounds::OneOf(vec![text.clone()]),
    }
}

/// Bounds that allow the highest value only.
fn edge(bounds: &Bounds) -> Bounds {
    match bounds {
        Bounds::AnyFlag => Bounds::AnyFlag,
        Bounds::IntegerRange(_, highest) => Bounds::IntegerRange(*highest, *highest),
        Bounds::NumberRange(_, highest) => Bounds::NumberRange(*highest, *highest),
        Bounds::OneOf(words) => Bounds::OneOf(words.last().cloned().into_iter().collect()),
    }
}

/// Names for a fleet of so many targets.
pub(super) fn fleet(targets: u32) -> FleetNames {
    let target = |at: u32| Target {
        provider: format!("provider-{at}"),
        model: "model-0".to_owned(),
        kind: "openai-compatible".to_owned(),
    };
    FleetNames { targets: (0..targets).map(target).collect(), models: vec!["model-0".to_owned()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_cases_and_no_number_is_anything_but_finite() {
        let cases = |seed| {
            let mut numbers = Numbers::new(seed);
            let mut cases = extremes(&mut numbers);
            cases.extend((0..50).map(|at| ordinary(&mut numbers, at)));
            cases
        };
        let all = cases(1);
        assert_eq!(all, cases(1));
        assert_ne!(all, cases(2));
        for case in &all {
            for metric in &case.observation.metrics {
                let Summary { mean, min, max, p50, p95, p99, .. } = metric.summary;
                let numbers = [mean, min, max, p50, p95, p99];
                assert!(numbers.iter().all(|number| number.is_finite() && *number >= 0.0), "{}: {metric:?}", case.name);
            }
            for knob in &case.knobs {
                assert!(knob.bounds_here.expected().len() > 2, "{}", case.name);
            }
        }
    }

    #[test]
    fn ordinary_settings_are_within_their_bounds_and_pinned_ones_can_only_stay() {
        let mut numbers = Numbers::new(3);
        let all = extremes(&mut numbers);
        let case = |name: &str| all.iter().find(|case| case.name == name).unwrap();
        let pinned = case("knobs pinned to their values");
        let settings = Settings::of(&pinned.observation.settings);
        for knob in &pinned.knobs {
            assert_eq!(knob.bounds_here.check(&settings.value(knob.knob.id, &knob.at)), Ok(()), "{}", knob.knob.name);
        }
        assert_eq!(case("100 providers").observation.providers.len(), 100);
        assert_eq!(case("1,000 models").fleet.models.len(), 1_000);
        assert!(case("odd names").observation.providers[0].name.is_empty());
        for at in 0..50 {
            let case = ordinary(&mut numbers, at);
            for setting in &case.observation.settings {
                let bounds = KnobId::by_name(&setting.name).unwrap().knob().bounds;
                assert_eq!(bounds.check(&setting.value), Ok(()), "{}", setting.name);
            }
        }
    }
}
