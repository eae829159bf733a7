//! send, first byte: one provider after the other until one answers, with retries, hedging and time limits. All of it
//! happens before the first byte; after it nothing is sent again. The rules are those of the gateway's `attempt`.

use super::provider::Serving;
use super::{Attempt, AttemptKey, CallKey, Event, Host};
use crate::ending::Ending;
use crate::engine::{Job, Signal};
use crate::operator::Operator;
use crate::random::Random;

/// First part of the names of the streams of randomness that cloud services draw from.
const CLOUD: u64 = 10;

/// Why an attempt did not come to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Miss {
    /// No connection, or one that broke.
    Unreachable,
    /// 503.
    Status,
    /// Its first byte did not come in time.
    FirstByteTimeout,
}

impl<O: Operator> Host<'_, O> {
    /// Sends to the next provider in the order, or waits before the same ones are tried again.
    pub(super) fn send_round(&mut self, key: CallKey) {
        let now = self.now;
        let Some(call) = self.calls.get_mut(key) else { return };
        let provider = call.order[call.tried % call.order.len()];
        call.used = 1;
        call.missed = None;
        let may_hedge = call.tried + 1 < call.order.len();
        let planned = (call.plan.hedge_after_ms > 0).then_some(u64::from(call.plan.hedge_after_ms) * 1_000);
        let of_settings = call.settings.hedge_after.map(|after| after.as_micros() as u64);
        let hedge_after_us = planned.or(of_settings).filter(|_| may_hedge);
        let attempt = self.send(key, provider);
        if let (Some(attempt), Some(microseconds)) = (attempt, hedge_after_us) {
            self.agenda.add(now.after_seconds(microseconds as f64 * 1e-6), Event::HedgeDue(attempt));
        }
    }

    /// The first provider has not answered by now: another is asked as well.
    pub(super) fn hedge(&mut self, attempt: AttemptKey) {
        let Some(call) = self.calls.get_mut(attempt.call) else { return };
        let is_waiting = call.first_byte.is_none() && call.under_way.iter().any(|one| one.number == attempt.number);
        if is_waiting && call.used == 1 {
            call.used = 2;
            let provider = call.order[call.tried + 1];
            self.send(attempt.call, provider);
        }
    }

    /// Sends to one provider. `None` when that is over already.
    fn send(&mut self, key: CallKey, provider: usize) -> Option<AttemptKey> {
        let call = self.calls.get_mut(key)?;
        let number = self.attempts;
        self.attempts += 1;
        call.provider = provider;
        call.sent.get_or_insert(self.now);
        let (ask, attempt) = (call.ask, AttemptKey { call: key, number });
        let mut sent = Attempt {
            number,
            provider,
            sent: self.now,
            output_tokens: ask.output_tokens,
            first_token: None,
            token_s: 0.0,
            is_failing: false,
        };
        let place = call.tried + call.used - 1;
        let first_byte_ms = match call.plan.first_byte_timeout_ms {
            0 => call.settings.first_byte_timeout.as_secs_f64(),
            milliseconds => f64::from(milliseconds) * 1e-3,
        };
        let to = &mut self.providers[provider];
        if !to.is_reachable() {
            call.under_way.push(sent);
            to.recent.note_unreachable();
            self.missed(attempt, Miss::Unreachable);
            return None;
        }
        // Injected failures of any provider, drawn from the request's number and the attempt's: the same in every run.
        let mut random = Random::new(self.seed, &[CLOUD, provider as u64, ask.number, place as u64]);
        let failing = random.share();
        to.under_way.push(attempt);
        match &mut to.serving {
            Serving::Cloud(cloud) => {
                let first_s = cloud.first_token_ms.draw(&mut random) * 1e-3 * to.slower;
                sent.token_s = cloud.token_ms.draw(&mut random) * 1e-3 * to.slower;
                sent.is_failing = failing < cloud.failing.max(to.failing);
                self.agenda.add(self.now.after_seconds(first_s), Event::CloudBegins(attempt));
            }
            Serving::Engine(_) if failing < to.failing => {
                sent.is_failing = true;
                self.agenda.add(self.now, Event::CloudBegins(attempt));
            }
            Serving::Engine(machine) => {
                let room = machine.context_tokens().saturating_sub(ask.prompt_tokens);
                sent.output_tokens = ask.output_tokens.min(room);
                if room > 0 {
                    machine.advance(self.now);
                    let offer = self.fleet.offers[ask.model].iter().find(|offer| offer.provider == provider);
                    let output_tokens = sent.output_tokens;
                    let job = Job { attempt, prompt_tokens: ask.prompt_tokens, output_tokens };
                    machine.begin(self.now, offer.map_or(0, |offer| offer.model), job);
                }
            }
        }
        call.under_way.push(sent);
        if sent.output_tokens == 0 {
            // The prompt alone is longer than the context: the engine says so at once.
            self.end_call(key, Ending::ClientError);
            return None;
        }
        self.agenda.add(self.now.after_seconds(first_byte_ms), Event::FirstByteDue(attempt));
        self.hear(provider);
        self.calls.get(key).map(|_| attempt)
    }

    /// Takes note of what an engine has to say, and of when it will have more. Call it after anything that concerns it.
    pub(super) fn hear(&mut self, provider: usize) {
        let mut signals = std::mem::take(&mut self.signals);
        while let Serving::Engine(machine) = &mut self.providers[provider].serving {
            machine.advance(self.now);
            machine.settle(self.now, &mut signals);
            if signals.is_empty() {
                break;
            }
            for signal in signals.drain(..) {
                match signal {
                    Signal::FirstToken(attempt) => self.first_token(attempt),
                    Signal::Ended(attempt) => self.ended(attempt),
                    Signal::Replaced => self.operator.engine_changed(self.now, Ok(())),
                }
            }
        }
        self.signals = signals;
        let now = self.now;
        let of = &mut self.providers[provider];
        of.version += 1;
        if let Serving::Engine(machine) = &of.serving
            && let Some(due) = machine.due(now)
        {
            self.agenda.add(due.max(now), Event::EngineDue(provider, of.version));
        }
    }

    pub(super) fn engine_due(&mut self, provider: usize, version: u64) {
        if self.providers[provider].version == version {
            self.hear(provider);
        }
    }

    /// A cloud service begins to answer.
    pub(super) fn cloud_begins(&mut self, attempt: AttemptKey) {
        let Some(sent) = self.attempt(attempt).copied() else { return };
        if sent.is_failing {
            // Alone in the order, its own error is passed on as the answer, which comes to the same.
            self.providers[sent.provider].recent.note_reachable();
            return self.missed(attempt, Miss::Status);
        }
        self.first_token(attempt);
        let rest_s = f64::from(sent.output_tokens - 1) * sent.token_s;
        self.agenda.add(self.now.after_seconds(rest_s), Event::CloudEnds(attempt));
    }

    /// A first token is there; in a stream it is the first byte.
    fn first_token(&mut self, attempt: AttemptKey) {
        let now = self.now;
        let Some(call) = self.calls.get_mut(attempt.call) else { return };
        let Some(sent) = call.under_way.iter_mut().find(|one| one.number == attempt.number) else { return };
        sent.first_token = Some(now);
        if call.ask.is_streaming {
            self.first_byte(attempt);
        }
    }

    /// This attempt's answer is the client's from now on; another one under way is given up.
    fn first_byte(&mut self, attempt: AttemptKey) {
        let now = self.now;
        let Some(call) = self.calls.get_mut(attempt.call) else { return };
        if call.first_byte.is_some() {
            return;
        }
        call.first_byte = Some(now);
        let others: Vec<u64> =
            call.under_way.iter().map(|one| one.number).filter(|number| *number != attempt.number).collect();
        if call.ask.is_streaming {
            for watcher in call.leader.iter().chain(&call.followers) {
                if let Some(request) = self.requests.get_mut(*watcher) {
                    request.first_token = Some(now);
                }
            }
        }
        for number in others {
            self.drop_attempt(AttemptKey { number, ..attempt });
        }
        let Some(call) = self.calls.get_mut(attempt.call) else { return };
        if let Some(winner) = call.under_way.first() {
            call.provider = winner.provider;
            self.providers[winner.provider].recent.note_reachable();
        }
    }

    /// An answer is complete.
    pub(super) fn ended(&mut self, attempt: AttemptKey) {
        self.first_byte(attempt);
        let Some(sent) = self.attempt(attempt).copied() else { return };
        self.count_up_to(attempt.call, u64::from(sent.output_tokens));
        let Some(call) = self.calls.get(attempt.call) else { return };
        let first = sent.first_token.unwrap_or(self.now);
        let ttft_ms = call.ask.is_streaming.then(|| first.ms_since(sent.sent));
        let seconds = self.now.seconds_since(first);
        let tokens_per_second = (seconds > 0.0).then(|| f64::from(sent.output_tokens - 1) / seconds);
        let recent = &mut self.providers[sent.provider].recent;
        recent.note_success(self.now.ms_since(sent.sent), ttft_ms, tokens_per_second);
        self.end_call(attempt.call, Ending::Success);
    }

    /// The first byte did not come in time.
    pub(super) fn first_byte_late(&mut self, attempt: AttemptKey) {
        let is_waiting = self.calls.get(attempt.call).is_some_and(|call| call.first_byte.is_none());
        if is_waiting && self.attempt(attempt).is_some() {
            self.missed(attempt, Miss::FirstByteTimeout);
        }
    }

    /// Everything together took as long as it may.
    pub(super) fn took_long(&mut self, key: CallKey) {
        self.count_tokens(key);
        if let Some(call) = self.calls.get(key) {
            if let Some(attempt) = call.under_way.first() {
                self.providers[attempt.provider].recent.note_failure();
            }
            self.end_call(key, Ending::Timeout);
        }
    }

    /// The provider broke off.
    pub(super) fn broke(&mut self, attempt: AttemptKey) {
        let Some(call) = self.calls.get(attempt.call) else { return };
        if call.first_byte.is_none() {
            return self.missed(attempt, Miss::Unreachable);
        }
        if let Some(sent) = self.attempt(attempt).copied() {
            self.providers[sent.provider].recent.note_failure();
            self.end_call(attempt.call, Ending::UpstreamError);
        }
    }

    /// An attempt came to nothing: another one under way may still answer, another provider may, or it is over.
    fn missed(&mut self, attempt: AttemptKey, miss: Miss) {
        let Some(sent) = self.attempt(attempt).copied() else { return };
        self.drop_attempt(attempt);
        let Some(call) = self.calls.get_mut(attempt.call) else { return };
        // Of two misses the one that says more: an answer, if there is one.
        let miss = call.missed.filter(|before| *before == Miss::Status).unwrap_or(miss);
        if !call.under_way.is_empty() {
            call.missed = Some(miss);
            return;
        }
        self.providers[sent.provider].recent.note_failure();
        call.tried += call.used;
        call.rounds += 1;
        let has_other = call.tried < call.order.len();
        if call.rounds > call.settings.retries || (miss != Miss::Unreachable && !has_other) {
            let ending = match miss {
                Miss::Unreachable if Some(sent.provider) == self.managed => Ending::Unavailable,
                Miss::Unreachable | Miss::Status => Ending::UpstreamError,
                Miss::FirstByteTimeout => Ending::Timeout,
            };
            return self.end_call(attempt.call, ending);
        }
        let again = call.tried.checked_sub(call.order.len());
        let pause = again.map(|again| call.settings.retry_backoff.saturating_mul(1 << again.min(16)));
        let at = self.now.after(pause.unwrap_or_default());
        if pause.is_some() && at >= call.deadline {
            return self.end_call(attempt.call, Ending::Timeout);
        }
        self.agenda.add(at, Event::RetryDue(attempt.call));
    }

    /// Gives up an attempt, wherever it is.
    pub(super) fn drop_attempt(&mut self, attempt: AttemptKey) {
        let Some(call) = self.calls.get_mut(attempt.call) else { return };
        let Some(at) = call.under_way.iter().position(|one| one.number == attempt.number) else { return };
        let provider = call.under_way.remove(at).provider;
        let of = &mut self.providers[provider];
        of.under_way.retain(|one| *one != attempt);
        if let Serving::Engine(machine) = &mut of.serving {
            machine.advance(self.now);
            machine.cancel(attempt);
            // What this frees begins at once; heard by an event, since this may be in the midst of hearing.
            of.version += 1;
            self.agenda.add(self.now, Event::EngineDue(provider, of.version));
        }
    }

    fn attempt(&self, attempt: AttemptKey) -> Option<&Attempt> {
        self.calls.get(attempt.call)?.under_way.iter().find(|one| one.number == attempt.number)
    }
}
