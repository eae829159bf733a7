//! record: what a request came to is counted once, and its client may ask again.

use super::{Call, Event, Host, Request};
use crate::ending::{CacheUse, Ending, RequestEnd};
use crate::measure::windows::OVERHEAD_MS;
use crate::operator::Operator;
use crate::scenario::Arrivals;
use crate::slab::Key;

impl<O: Operator> Host<'_, O> {
    /// A request is over. `call` is what went upstream for it, if anything did.
    pub(super) fn finish_request(
        &mut self,
        key: Key<Request>,
        ending: Ending,
        provider: Option<usize>,
        output_tokens: u32,
        call: Option<&Call>,
    ) {
        let Some(request) = self.requests.remove(key) else { return };
        let ask = request.ask;
        let has_answer = output_tokens > 0 || request.cache == CacheUse::Hit;
        // Who shared an answer neither waited for a place nor sent anything.
        let own = call.filter(|_| request.cache != CacheUse::Shared);
        let waited_ms = |call: &Call| call.admitted.unwrap_or(self.now).ms_since(call.began);
        let end = RequestEnd {
            number: request.number,
            arm: request.arm,
            arrived: request.arrived,
            ended: self.now,
            ending,
            cache: request.cache,
            is_streaming: ask.is_streaming,
            is_cut_short: ending == Ending::Success && output_tokens < ask.output_tokens,
            provider,
            model: ask.model,
            response_ms: self.now.ms_since(request.arrived) + OVERHEAD_MS,
            first_token_ms: request.first_token.map(|first| first.ms_since(request.arrived) + OVERHEAD_MS),
            queue_ms: own.map_or(0.0, waited_ms),
            upstream_ms: own.and_then(|call| call.sent).map_or(0.0, |sent| self.now.ms_since(sent)),
            prompt_tokens: if has_answer { ask.prompt_tokens } else { 0 },
            output_tokens,
            session: ask.session,
        };
        if let Some(windows) = &mut self.windows {
            windows.add(self.fleet.scopes_of(provider, ask.model), &end);
        }
        self.recorder.add(&end);
        self.operator.finished(&end);
        if let Some((client, number)) = request.client {
            let pause_s = match (&self.scenario.arrivals, ending) {
                (_, Ending::Success) => self.traffic.think_s(client, number),
                (Arrivals::Clients { back_off_s, .. }, _) => *back_off_s,
                _ => 0.0,
            };
            self.agenda.add(self.now.after_seconds(pause_s), Event::ClientAsks(client, number + 1));
        }
    }
}
