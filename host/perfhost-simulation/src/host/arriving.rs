//! identify, plan, cache: what happens to a request before it goes upstream, or instead of it.

use perfhost_strategy::observation::Health;
use perfhost_strategy::plan::Operation;
use perfhost_strategy::{Candidate, Plan, PlanRequest};

use super::{Event, Host, Request};
use crate::ending::{CacheUse, Ending};
use crate::operator::Operator;
use crate::slab::Key;
use crate::traffic::Ask;

/// How often a request waits for the answer of an equal one; after that it goes upstream by itself.
const MOST_JOINS: u32 = 2;

/// Bytes of a prompt for each of its tokens.
const BYTES_PER_TOKEN: u32 = 4;

impl<O: Operator> Host<'_, O> {
    /// A request arrives.
    pub(super) fn arrive(&mut self, ask: Ask, client: Option<(u32, u64)>) {
        let number = self.arrived;
        self.arrived += 1;
        let was_seen_before = self.cache.was_seen_before(ask.key);
        self.list_candidates(ask.model);
        let asked = PlanRequest {
            operation: Operation::Chat,
            model: ask.model as u32,
            is_streaming: ask.is_streaming,
            is_deterministic: ask.is_deterministic,
            prompt_bytes: ask.prompt_tokens.saturating_mul(BYTES_PER_TOKEN),
            max_tokens: self.scenario.requests.max_tokens,
            priority: 0,
            deadline_ms: 0,
            key: ask.key,
            session: ask.session,
            was_seen_before,
        };
        let direction = self.operator.direct(&asked, &self.candidates);
        let plan = match direction.plan.defect(self.candidates.len()) {
            None => direction.plan,
            Some(_) => Plan::default_for(&asked, &self.candidates),
        };
        let chosen = plan.order.iter().filter_map(|index| self.candidates.get(*index as usize));
        let order = chosen.filter_map(|candidate| self.fleet.provider_of(candidate.target)).collect();
        let has_cache = direction.settings.cache_capacity_bytes > 0;
        let request = self.requests.add(Request {
            number,
            ask,
            arrived: self.now,
            client,
            may_read: has_cache && plan.cache_read,
            may_write: has_cache && plan.cache_write,
            cache: if has_cache && (plan.cache_read || plan.cache_write) { CacheUse::Miss } else { CacheUse::Bypass },
            settings: direction.settings,
            plan,
            order,
            arm: direction.arm,
            joins: 0,
            first_token: None,
        });
        if let Some(patience_s) = ask.patience_s {
            self.agenda.add(self.now.after_seconds(patience_s), Event::Leaves(request));
        }
        self.look_up(request);
    }

    /// Answers from the cache, or shares or begins what goes upstream.
    fn look_up(&mut self, key: Key<Request>) {
        let Some(request) = self.requests.get_mut(key) else { return };
        if request.may_read
            && let Some(entry) = self.cache.get(self.now, request.ask.key)
        {
            request.cache = CacheUse::Hit;
            request.first_token = request.ask.is_streaming.then_some(self.now);
            return self.finish_request(key, Ending::Success, Some(entry.provider), entry.output_tokens, None);
        }
        self.join(key);
    }

    /// Shares the answer of an equal request under way, if there is one and it may.
    pub(super) fn join(&mut self, key: Key<Request>) {
        let Some(request) = self.requests.get_mut(key) else { return };
        if !request.may_read || request.joins >= MOST_JOINS {
            return self.call(key, false);
        }
        let flight = self.flights.get(&request.ask.key).copied();
        match flight.and_then(|call| self.calls.get_mut(call)) {
            Some(call) => {
                request.joins += 1;
                if request.ask.is_streaming && call.first_byte.is_some() {
                    request.first_token = Some(self.now);
                }
                call.followers.push(key);
            }
            None => self.call(key, true),
        }
    }

    /// A client goes away.
    pub(super) fn leave(&mut self, key: Key<Request>) {
        if self.requests.get(key).is_none() {
            return;
        }
        let call = self.calls.keys().find(|call| {
            let call = self.calls.get(*call);
            call.is_some_and(|call| call.leader == Some(key) || call.followers.contains(&key))
        });
        let mut reached = (None, 0);
        if let Some(call) = call {
            self.count_tokens(call);
            reached = self.calls.get(call).map_or(reached, |call| (Some(call.provider), call.counted as u32));
            self.forget_watcher(call, key);
        }
        self.finish_request(key, Ending::Cancelled, reached.0, reached.1, None);
    }

    /// The candidates for a model as the host knows them now, in place. Those that are down are left out unless all are.
    fn list_candidates(&mut self, model: usize) {
        let offers = &self.fleet.offers[model];
        let is_up = |provider: usize| self.providers[provider].health() != Health::Down;
        let is_any_up = offers.iter().any(|offer| is_up(offer.provider));
        let usable = offers.iter().filter(|offer| !is_any_up || is_up(offer.provider));
        self.candidates.clear();
        self.candidates.extend(usable.map(|offer| {
            let provider = &self.providers[offer.provider];
            Candidate {
                target: offer.target as u32,
                in_flight: provider.under_way.len() as u32,
                queued: provider.queued,
                is_resident: provider.is_resident(self.now, offer.model),
                latency_p50_ms: provider.recent.latency_p50_ms(),
                ttft_p50_ms: provider.recent.ttft_p50_ms(),
                error_rate: provider.recent.error_rate(),
                weight: provider.weight,
                ..Candidate::default()
            }
        }));
    }
}
