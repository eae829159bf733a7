//! A strategy's answer for one request, and the numbers it is asked with.

use serde::{Deserialize, Serialize};

/// What is asked of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// Chat completion.
    Chat,
    /// Text completion.
    Completion,
    /// Embedding.
    Embedding,
}

/// A provider and a model that it serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Provider's name.
    pub provider: String,
    /// Model's name there.
    pub model: String,
    /// Provider's kind.
    pub kind: String,
}

/// What the indexes in later plan calls refer to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetNames {
    /// Index space of [`Candidate::target`].
    pub targets: Vec<Target>,
    /// Index space of [`PlanRequest::model`].
    pub models: Vec<String>,
}

/// One target that could serve a request, with what is known of it now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Index into [`FleetNames::targets`].
    pub target: u32,
    /// Requests under way there.
    pub in_flight: u32,
    /// Requests waiting for a slot of the engine, inside it or at the host.
    pub queued: u32,
    /// The model is loaded.
    pub is_resident: bool,
    /// Recent median latency; 0 when unknown.
    pub latency_p50_ms: f32,
    /// Recent median time to first token; 0 when unknown.
    pub ttft_p50_ms: f32,
    /// Recent share of failures, 0 to 1.
    pub error_rate: f32,
    /// US dollars per million tokens.
    pub cost: f32,
    /// Share of the prompt expected in the target's cache, 0 to 1.
    pub prefix_match: f32,
    /// The provider's `candidate_weight` knob.
    pub weight: f32,
    /// Recent median generation speed of single requests; 0 when unknown. In the contract: the first of `extra`.
    pub tokens_per_second: f32,
}

/// One request as a strategy sees it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PlanRequest {
    /// What is asked.
    pub operation: Operation,
    /// Index into [`FleetNames::models`].
    pub model: u32,
    /// The client wants a stream.
    pub is_streaming: bool,
    /// The same request again would be expected to give the same answer.
    pub is_deterministic: bool,
    /// Size of the request's body.
    pub prompt_bytes: u32,
    /// 0 when the client set no limit.
    pub max_tokens: u32,
    /// Higher goes first.
    pub priority: i32,
    /// 0 for none.
    pub deadline_ms: u32,
    /// Hash of everything that changes the answer.
    pub key: u64,
    /// Hash of the session; 0 for none.
    pub session: u64,
    /// An equal request was seen not long ago.
    pub was_seen_before: bool,
}

/// The plan. Zero milliseconds means: the setting's own value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Indexes into the candidates, best first.
    pub order: Vec<u32>,
    /// Answer from the cache if it can.
    pub cache_read: bool,
    /// Keep the answer in the cache.
    pub cache_write: bool,
    /// How long the kept answer holds.
    pub cache_ttl_ms: u32,
    /// Time allowed until the first byte.
    pub first_byte_timeout_ms: u32,
    /// Send to the second candidate as well after this time; 0 for never.
    pub hedge_after_ms: u32,
    /// Higher goes first when requests wait.
    pub priority: i32,
}

/// Candidates up to which a plan is checked without allocating.
const FEW_CANDIDATES: usize = 64;

impl Plan {
    /// The plan that serves when a strategy has none: candidates with the lowest load for their weight first, and the
    /// cache only for requests whose answer is expected to be the same again.
    pub fn default_for(asked: &PlanRequest, candidates: &[Candidate]) -> Self {
        let load = |index: u32| {
            candidates.get(index as usize).map_or(f32::INFINITY, |candidate| {
                (candidate.in_flight as f32 + candidate.queued as f32 + 1.0) / candidate.weight.max(0.001)
                    * (1.0 + 10.0 * candidate.error_rate)
            })
        };
        let mut order: Vec<u32> = (0..candidates.len() as u32).collect();
        order.sort_by(|a, b| load(*a).total_cmp(&load(*b)));
        Self {
            order,
            cache_read: asked.is_deterministic,
            cache_write: asked.is_deterministic,
            cache_ttl_ms: 0,
            first_byte_timeout_ms: 0,
            hedge_after_ms: 0,
            priority: asked.priority,
        }
    }

    /// What is wrong with the plan for a call with `candidates` candidates, if anything.
    pub fn defect(&self, candidates: usize) -> Option<String> {
        if self.order.is_empty() && candidates > 0 {
            return Some("order is empty; name at least one candidate".to_owned());
        }
        if self.order.len() > candidates {
            return Some(format!("order has {} entries for {candidates} candidates", self.order.len()));
        }
        // Looking back is faster for the few candidates of most requests; marks are for very many.
        let mut marks = vec![false; if candidates > FEW_CANDIDATES { candidates } else { 0 }];
        for (at, index) in self.order.iter().enumerate() {
            if *index as usize >= candidates {
                return Some(format!("order names candidate {index}; there are {candidates}"));
            }
            let is_twice = match marks.get_mut(*index as usize) {
                Some(mark) => std::mem::replace(mark, true),
                None => self.order[..at].contains(index),
            };
            if is_twice {
                return Some(format!("order names candidate {index} twice"));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> PlanRequest {
        PlanRequest {
            operation: Operation::Chat,
            model: 0,
            is_streaming: false,
            is_deterministic: false,
            prompt_bytes: 0,
            max_tokens: 0,
            priority: 0,
            deadline_ms: 0,
            key: 0,
            session: 0,
            was_seen_before: false,
        }
    }

    fn plan(order: Vec<u32>) -> Plan {
        Plan { order, ..Plan::default_for(&request(), &[]) }
    }

    #[test]
    fn defects_are_found_among_few_candidates_and_among_many() {
        for candidates in [3, FEW_CANDIDATES, FEW_CANDIDATES + 1, 1_000] {
            let last = candidates as u32 - 1;
            assert_eq!(plan((0..=last).rev().collect()).defect(candidates), None);
            assert_eq!(plan(vec![last]).defect(candidates), None);
            let defect = |order| plan(order).defect(candidates).unwrap_or_default();
            assert!(defect(vec![0, last, 0]).contains("candidate 0 twice"));
            assert!(defect(vec![0, last + 1]).contains(&format!("candidate {}; there are {candidates}", last + 1)));
            assert!(defect(Vec::new()).contains("empty") && defect(vec![0; candidates + 1]).contains("entries"));
        }
    }

    #[test]
    fn the_default_plan_bears_the_largest_numbers() {
        let candidate = |in_flight, queued| Candidate { in_flight, queued, weight: 1.0, ..Candidate::default() };
        let candidates = [candidate(u32::MAX, u32::MAX), candidate(1, 0)];
        let asked = PlanRequest { is_deterministic: true, ..request() };
        assert_eq!(Plan::default_for(&asked, &candidates).order, [1, 0]);
    }
}
