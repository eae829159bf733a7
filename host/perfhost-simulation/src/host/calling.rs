//! admit: what goes upstream waits for a place, has it until it is over, and gives it back.

use std::time::Duration;

use super::admission::Entry;
use super::provider::Serving;
use super::{Call, CallKey, Event, Host, Request};
use crate::ending::{CacheUse, Ending};
use crate::operator::Operator;
use crate::slab::Key;

impl<O: Operator> Host<'_, O> {
    /// Begins what goes upstream for a request; with `is_shared`, equal requests may take part.
    pub(super) fn call(&mut self, key: Key<Request>, is_shared: bool) {
        let Some(request) = self.requests.get_mut(key) else { return };
        let mut order = std::mem::take(&mut request.order);
        // Managed engines that are not there are known not to be.
        order.retain(|provider| Some(*provider) != self.managed || self.providers[*provider].is_reachable());
        let Some(first) = order.first().copied() else {
            return self.finish_request(key, Ending::Unavailable, None, 0, None);
        };
        let settings = request.settings.clone();
        let call = self.calls.add(Call {
            leader: Some(key),
            followers: Vec::new(),
            ask: request.ask,
            plan: request.plan.clone(),
            may_write: request.may_write,
            is_shared,
            order,
            began: self.now,
            deadline: request.arrived.after(settings.total_timeout),
            place: None,
            admitted: None,
            tried: 0,
            used: 0,
            rounds: 0,
            under_way: Vec::new(),
            missed: None,
            provider: first,
            first_byte: None,
            sent: None,
            counted: 0,
            settings: settings.clone(),
        });
        let (ask, priority) = (request.ask, request.plan.priority);
        if is_shared {
            self.flights.insert(ask.key, call);
        }
        match self.admission.enter(call, priority, settings.queue_length) {
            Entry::Admitted => {
                self.note_admitted(call);
                self.send_first(call);
            }
            Entry::Waiting(place) => {
                if let Some(call) = self.calls.get_mut(call) {
                    call.place = Some(place);
                }
                self.agenda.add(self.now.after(settings.queue_wait), Event::WaitedLong(call));
            }
            Entry::Refused => self.end_call(call, Ending::Rejected),
        }
    }

    /// Gives free places to those who wait. They are sent by events of their own: one that fails at once frees its place
    /// for the next, which must not happen inside the other.
    pub(super) fn admit(&mut self) {
        while let Some(call) = self.admission.admit_next() {
            self.note_admitted(call);
            self.agenda.add(self.now, Event::Sends(call));
        }
    }

    fn note_admitted(&mut self, key: CallKey) {
        if let Some(call) = self.calls.get_mut(key) {
            call.place = None;
            call.admitted = Some(self.now);
        }
    }

    /// Sends what was admitted.
    pub(super) fn send_first(&mut self, key: CallKey) {
        let Some(call) = self.calls.get(key) else { return };
        let deadline = call.deadline;
        if self.now >= deadline {
            return self.end_call(key, Ending::Timeout);
        }
        self.agenda.add(deadline, Event::TookLong(key));
        self.send_round(key);
    }

    /// It waited for a place as long as it may.
    pub(super) fn waited_long(&mut self, key: CallKey) {
        let place = self.calls.get(key).and_then(|call| call.place);
        if place.is_some_and(|place| self.admission.leave(place)) {
            self.end_call(key, Ending::Rejected);
        }
    }

    /// One of those who wait for the answer is gone; nobody else may be left.
    pub(super) fn forget_watcher(&mut self, key: CallKey, request: Key<Request>) {
        let Some(call) = self.calls.get_mut(key) else { return };
        call.leader = call.leader.filter(|leader| *leader != request);
        call.followers.retain(|follower| *follower != request);
        if call.leader.is_none() && call.followers.is_empty() {
            self.end_call(key, Ending::Cancelled);
        }
    }

    /// It is over, for the leader and for those that share its answer. Followers of a call that failed before its first
    /// byte look for another.
    pub(super) fn end_call(&mut self, key: CallKey, ending: Ending) {
        for number in self.calls.get(key).map_or_else(Vec::new, |call| call.numbers()) {
            self.drop_attempt(super::AttemptKey { call: key, number });
        }
        let Some(call) = self.calls.remove(key) else { return };
        if let Some(place) = call.place {
            self.admission.leave(place);
        }
        if call.admitted.is_some() {
            self.admission.depart();
            if self.admission.queued() > 0 {
                self.agenda.add(self.now, Event::Admits);
            }
        }
        if call.is_shared && self.flights.get(&call.ask.key) == Some(&key) {
            self.flights.remove(&call.ask.key);
        }
        let tokens = call.counted as u32;
        if ending == Ending::Success && call.may_write {
            let ttl = match call.plan.cache_ttl_ms {
                0 => call.settings.cache_ttl,
                milliseconds => Duration::from_millis(u64::from(milliseconds)),
            };
            let expires = self.now.after(ttl);
            self.cache.insert(call.ask.key, (tokens, call.provider), call.ask.is_streaming, expires);
        }
        if let Some(leader) = call.leader {
            self.finish_request(leader, ending, Some(call.provider), tokens, Some(&call));
        }
        for follower in &call.followers {
            if ending == Ending::Success || call.first_byte.is_some() {
                if let Some(request) = self.requests.get_mut(*follower) {
                    request.cache = CacheUse::Shared;
                }
                self.finish_request(*follower, ending, Some(call.provider), tokens, Some(&call));
            } else {
                self.agenda.add(self.now, Event::Joins(*follower));
            }
        }
    }

    /// Counts the tokens that the winning attempt has got since they were last counted. Streams are counted as they
    /// come, whole answers at their end.
    pub(super) fn count_tokens(&mut self, key: CallKey) {
        let Some(call) = self.calls.get(key) else { return };
        let Some(attempt) = call.under_way.first().filter(|_| call.first_byte.is_some()).copied() else { return };
        if !call.ask.is_streaming {
            return;
        }
        let so_far = match &mut self.providers[attempt.provider].serving {
            Serving::Engine(machine) => {
                machine.advance(self.now);
                machine.progress(super::AttemptKey { call: key, number: attempt.number })
            }
            Serving::Cloud(_) => attempt.first_token.map(|first| 1.0 + self.now.seconds_since(first) / attempt.token_s),
        };
        // Rounding must not count a token before it is whole, nor one too many.
        let so_far = (so_far.unwrap_or(0.0) + 1e-6).min(f64::from(attempt.output_tokens)) as u64;
        self.count_up_to(key, so_far);
    }

    pub(super) fn count_up_to(&mut self, key: CallKey, tokens: u64) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let new = tokens.saturating_sub(call.counted);
        call.counted += new;
        if new > 0 {
            if let Some(windows) = &mut self.windows {
                windows.add_tokens(self.fleet.scopes_of(Some(call.provider), call.ask.model), new);
            }
            if self.now <= self.closes {
                self.recorder.add_tokens(self.now, new);
            }
        }
    }
}

impl Call {
    fn numbers(&self) -> Vec<u64> {
        self.under_way.iter().map(|attempt| attempt.number).collect()
    }
}
