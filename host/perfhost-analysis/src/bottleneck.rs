//! Which phase takes a request's time, and what the rest of the measurements say about why.
//!
//! The share of each phase in the mean time of successes says where the time goes; a phase with much of it is a bottleneck
//! only with a cause that the other measurements show, or by its share alone. Every finding names both.

use serde::Serialize;

/// Requests below which nothing is said.
pub const LEAST_REQUESTS: u64 = 20;

/// A phase with less of the time is no bottleneck.
const LEAST_SHARE: f64 = 0.15;

/// Mean time of one phase.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PhaseTime {
    /// Its name, as in `server-timing`.
    pub phase: &'static str,
    /// Mean milliseconds.
    pub mean_ms: f64,
}

/// What is known besides the phases; `None` for what was not measured.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Evidence {
    /// Successful requests behind the phases.
    pub requests: u64,
    /// Mean length of the queue.
    pub queue_length: Option<f64>,
    /// Mean requests under way.
    pub in_flight: Option<f64>,
    /// The concurrency limit.
    pub concurrency_limit: Option<f64>,
    /// Mean engine slots that generate.
    pub slots_busy: Option<f64>,
    /// Engine slots that there are.
    pub slots: Option<f64>,
    /// Mean requests that wait for a slot of the engine.
    pub deferred: Option<f64>,
    /// Share of all cores in use.
    pub cpu_usage: Option<f64>,
    /// Share of the machine's memory in use.
    pub memory_usage: Option<f64>,
    /// Share of the time in which the busiest graphics processor computed.
    pub gpu_usage: Option<f64>,
    /// Share of cacheable requests answered from the cache.
    pub cache_hit_rate: Option<f64>,
    /// Mean milliseconds for each token of an answer.
    pub time_per_token_ms: Option<f64>,
}

/// One bottleneck.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bottleneck {
    /// The phase.
    pub phase: &'static str,
    /// Its share of the mean request, 0 to 1.
    pub share: f64,
    /// Its mean milliseconds.
    pub mean_ms: f64,
    /// What is short: `admission`, `engine_slots`, `processor`, `gpu`, `memory`, `generation`, `provider`, `network` or
    /// `host`.
    pub cause: &'static str,
    /// Figures that say so, in words.
    pub evidence: Vec<String>,
    /// What would help.
    pub advice: &'static str,
}

/// The bottlenecks, largest share first; none below [`LEAST_REQUESTS`].
pub fn bottlenecks(phases: &[PhaseTime], evidence: &Evidence) -> Vec<Bottleneck> {
    let total_ms: f64 = phases.iter().map(|phase| phase.mean_ms).sum();
    if evidence.requests < LEAST_REQUESTS || total_ms <= 0.0 {
        return Vec::new();
    }
    let mut found: Vec<Bottleneck> = phases
        .iter()
        .filter(|phase| phase.mean_ms / total_ms >= LEAST_SHARE)
        .map(|phase| explain(*phase, phase.mean_ms / total_ms, evidence))
        .collect();
    found.sort_by(|a, b| b.share.total_cmp(&a.share));
    found
}

fn explain(time: PhaseTime, share: f64, known: &Evidence) -> Bottleneck {
    let mut evidence = vec![format!(
        "{} takes {:.0} % of the mean request: {:.1} ms, over {} requests",
        time.phase,
        share * 100.0,
        time.mean_ms,
        known.requests
    )];
    let (cause, advice) = match time.phase {
        "admit" => {
            evidence.extend(known.queue_length.map(|length| format!("{length:.1} requests wait on average")));
            if let (Some(limit), Some(in_flight)) = (known.concurrency_limit, known.in_flight) {
                evidence.push(format!("{in_flight:.1} of {limit:.0} allowed requests are under way"));
            }
            match engine_is_full(known, &mut evidence) {
                true => (
                    "engine_slots",
                    "add engine slots (engine_slots), or a provider; more admission would only wait there",
                ),
                false => ("admission", "raise concurrency_limit, if the providers can take more at once"),
            }
        }
        "connect" => {
            ("network", "keep more connections open (pool_size, pool_idle_ms), or look at the way to the provider")
        }
        "first_byte" => match (engine_is_full(known, &mut evidence), is_processor_full(known, &mut evidence)) {
            (true, _) => (
                "engine_slots",
                "add engine slots (engine_slots), or lower concurrency_limit so that requests wait in order",
            ),
            (false, true) => ("processor", "use a smaller model or variant, shorter prompts, or prompt-cache reuse"),
            (false, false) if is_gpu_full(known, &mut evidence) => (
                "gpu",
                "reading prompts is bound by the graphics processor: shorter prompts, prompt-cache reuse, a smaller model, or another provider",
            ),
            (false, false) => (
                "provider",
                "the provider reads prompts slowly: reuse prompt caches, shorten prompts, or prefer another provider",
            ),
        },
        "stream" => {
            evidence.extend(known.time_per_token_ms.map(|each| format!("{each:.1} ms for each token")));
            match (is_processor_full(known, &mut evidence), is_memory_full(known, &mut evidence)) {
                (_, true) => ("memory", "free memory: a smaller variant, a smaller context, or fewer engine slots"),
                (true, false) => (
                    "processor",
                    "generation is bound by the machine: a smaller or quantized variant, fewer slots at once, or another provider",
                ),
                (false, false) if is_gpu_full(known, &mut evidence) => (
                    "gpu",
                    "generation is bound by the graphics processor: a smaller or quantized variant, fewer slots at once, or another provider",
                ),
                (false, false) => (
                    "generation",
                    "answers take their time: limit max_tokens, use a faster variant, or cache what repeats",
                ),
            }
        }
        "plan" => ("host", "the strategy plans slowly: lower plan_budget_us, or use another strategy"),
        "send" => ("network", "requests are large or the provider reads them slowly"),
        _ => {
            is_processor_full(known, &mut evidence);
            ("host", "perfhost itself is short of processor time: give it more workers, or the machine less other work")
        }
    };
    if matches!(time.phase, "first_byte" | "stream") && known.cache_hit_rate.is_some_and(|rate| rate < 0.3) {
        let rate = known.cache_hit_rate.unwrap_or_default();
        evidence.push(format!("{:.0} % of cacheable requests were answered from the cache", rate * 100.0));
    }
    Bottleneck { phase: time.phase, share, mean_ms: time.mean_ms, cause, evidence, advice }
}

fn engine_is_full(known: &Evidence, evidence: &mut Vec<String>) -> bool {
    let is_deferring = known.deferred.is_some_and(|deferred| deferred >= 0.5);
    if let Some(deferred) = known.deferred.filter(|_| is_deferring) {
        evidence.push(format!("{deferred:.1} requests wait for a slot of the engine"));
    }
    let Some((busy, slots)) =
        known.slots_busy.zip(known.slots).filter(|(busy, slots)| *slots > 0.0 && busy / slots >= 0.85)
    else {
        return is_deferring;
    };
    evidence.push(format!("{busy:.1} of {slots:.0} engine slots are busy"));
    true
}

fn is_processor_full(known: &Evidence, evidence: &mut Vec<String>) -> bool {
    let full = known.cpu_usage.filter(|usage| *usage >= 0.85);
    evidence.extend(full.map(|usage| format!("the processor is {:.0} % busy", usage * 100.0)));
    full.is_some()
}

fn is_gpu_full(known: &Evidence, evidence: &mut Vec<String>) -> bool {
    let full = known.gpu_usage.filter(|usage| *usage >= 0.85);
    evidence.extend(full.map(|usage| format!("the graphics processor is {:.0} % busy", usage * 100.0)));
    full.is_some()
}

fn is_memory_full(known: &Evidence, evidence: &mut Vec<String>) -> bool {
    let full = known.memory_usage.filter(|usage| *usage >= 0.9);
    evidence.extend(full.map(|usage| format!("memory is {:.0} % full", usage * 100.0)));
    full.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phases(list: &[(&'static str, f64)]) -> Vec<PhaseTime> {
        list.iter().map(|(phase, mean_ms)| PhaseTime { phase, mean_ms: *mean_ms }).collect()
    }

    #[test]
    fn the_phase_with_the_time_is_named_with_its_evidence() {
        let times = phases(&[("plan", 0.1), ("admit", 700.0), ("first_byte", 100.0), ("stream", 200.0)]);
        let evidence = Evidence {
            requests: 100,
            queue_length: Some(12.0),
            in_flight: Some(4.0),
            concurrency_limit: Some(4.0),
            ..Evidence::default()
        };
        let found = bottlenecks(&times, &evidence);
        assert_eq!(found.iter().map(|one| one.phase).collect::<Vec<_>>(), ["admit", "stream"]);
        assert_eq!(found[0].cause, "admission");
        assert!(found[0].evidence.iter().any(|line| line.contains("4.0 of 4")), "{:?}", found[0].evidence);
    }

    #[test]
    fn causes_follow_from_what_else_is_measured() {
        let waiting = phases(&[("first_byte", 900.0), ("stream", 100.0)]);
        let cause = |evidence: Evidence| bottlenecks(&waiting, &Evidence { requests: 50, ..evidence })[0].cause;
        assert_eq!(cause(Evidence::default()), "provider");
        assert_eq!(cause(Evidence { cpu_usage: Some(0.95), ..Evidence::default() }), "processor");
        assert_eq!(cause(Evidence { slots_busy: Some(3.9), slots: Some(4.0), ..Evidence::default() }), "engine_slots");
        assert_eq!(
            cause(Evidence { deferred: Some(2.0), cpu_usage: Some(0.95), ..Evidence::default() }),
            "engine_slots"
        );
        let generating = phases(&[("stream", 900.0)]);
        let evidence =
            Evidence { requests: 50, memory_usage: Some(0.97), cpu_usage: Some(0.97), ..Evidence::default() };
        assert_eq!(bottlenecks(&generating, &evidence)[0].cause, "memory");
        for (phases, without) in [(&waiting, "provider"), (&generating, "generation")] {
            for (gpu_usage, expected) in [(None, without), (Some(0.5), without), (Some(0.95), "gpu")] {
                let found = bottlenecks(phases, &Evidence { requests: 50, gpu_usage, ..Evidence::default() });
                assert_eq!(found[0].cause, expected);
                let is_told = found[0].evidence.iter().any(|line| line == "the graphics processor is 95 % busy");
                assert_eq!(is_told, expected == "gpu");
            }
        }
    }

    #[test]
    fn nothing_is_said_of_a_few_requests_or_of_even_shares() {
        let times = phases(&[("admit", 700.0)]);
        assert!(bottlenecks(&times, &Evidence { requests: 19, ..Evidence::default() }).is_empty());
        let even = phases(&[("a", 1.0), ("b", 1.0), ("c", 1.0), ("d", 1.0), ("e", 1.0), ("f", 1.0), ("g", 1.0)]);
        assert!(bottlenecks(&even, &Evidence { requests: 99, ..Evidence::default() }).is_empty());
    }
}
