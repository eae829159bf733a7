//! One model in memory: requests wait for a slot, their prompts are processed one after the other, and then all slots
//! generate in step.

use std::collections::VecDeque;

use super::speed::Speed;
use super::{Job, Signal};
use crate::host::AttemptKey;
use crate::moment::Moment;

/// Work smaller than this, in seconds or tokens, is done: it is rounding.
const NOTHING: f64 = 1e-7;

/// One process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) model: usize,
    pub(super) slots: usize,
    pub(super) memory_bytes: u64,
    /// `None` once it serves.
    pub(super) ready_at: Option<Moment>,
    /// Another has taken its place; it ends with its last request.
    pub(super) is_draining: bool,
    pub(super) idle_since: Moment,
    speed: Speed,
    /// Speed of this model over that of `speed`.
    factor: f64,
    waiting: VecDeque<Job>,
    /// In a slot, prompt not yet processed; the first is being processed.
    prompts: VecDeque<Job>,
    /// Seconds of work left on the first prompt.
    prompt_left: f64,
    generating: Vec<Generating>,
    /// Tokens that a request has got that generated from the beginning.
    tokens: f64,
}

#[derive(Debug)]
struct Generating {
    attempt: AttemptKey,
    since: f64,
    until: f64,
}

impl Process {
    pub(super) fn new(
        (model, factor): (usize, f64),
        speed: Speed,
        slots: u32,
        memory_bytes: u64,
        ready_at: Moment,
    ) -> Self {
        Self {
            model,
            slots: slots as usize,
            memory_bytes,
            ready_at: Some(ready_at),
            is_draining: false,
            idle_since: ready_at,
            speed,
            factor,
            waiting: VecDeque::new(),
            prompts: VecDeque::new(),
            prompt_left: 0.0,
            generating: Vec::new(),
            tokens: 0.0,
        }
    }

    pub(super) fn add(&mut self, job: Job) {
        self.waiting.push_back(job);
    }

    /// Forgets a request; what was done for it is lost.
    pub(super) fn cancel(&mut self, attempt: AttemptKey) {
        self.waiting.retain(|job| job.attempt != attempt);
        self.generating.retain(|one| one.attempt != attempt);
        let is_first = self.prompts.front().is_some_and(|job| job.attempt == attempt);
        self.prompts.retain(|job| job.attempt != attempt);
        if is_first {
            self.begin_prompt();
        }
    }

    /// Every request it has, forgotten.
    pub(super) fn abandon(&mut self) -> Vec<AttemptKey> {
        let queued = self.waiting.drain(..).chain(self.prompts.drain(..)).map(|job| job.attempt);
        queued.chain(self.generating.drain(..).map(|one| one.attempt)).collect()
    }

    /// Has work for the cores.
    pub(super) fn is_busy(&self) -> bool {
        !self.prompts.is_empty() || !self.generating.is_empty()
    }

    /// Has no request at all.
    pub(super) fn is_idle(&self) -> bool {
        !self.is_busy() && self.waiting.is_empty()
    }

    pub(super) fn slots_busy(&self) -> usize {
        self.prompts.len() + self.generating.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Tokens that a request has got so far; `None` before its first.
    pub(super) fn progress(&self, attempt: AttemptKey) -> Option<f64> {
        let one = self.generating.iter().find(|one| one.attempt == attempt)?;
        Some(1.0 + self.tokens - one.since)
    }

    /// Seconds of undivided work until something happens; `None` while there is nothing to do.
    pub(super) fn seconds_to_next(&self) -> Option<f64> {
        if !self.prompts.is_empty() {
            return Some(self.prompt_left);
        }
        let first = self.generating.iter().map(|one| one.until).min_by(f64::total_cmp)?;
        Some((first - self.tokens).max(0.0) * self.step_seconds())
    }

    /// So many seconds of undivided work are done.
    pub(super) fn work(&mut self, seconds: f64) {
        if !self.prompts.is_empty() {
            self.prompt_left -= seconds;
        } else if !self.generating.is_empty() {
            self.tokens += seconds / self.step_seconds();
        }
    }

    /// Notes what has happened by now.
    pub(super) fn settle(&mut self, now: Moment, signals: &mut Vec<Signal>) {
        if self.ready_at.is_some() {
            return;
        }
        let was_busy = self.is_busy();
        loop {
            let tokens = self.tokens;
            self.generating.retain(|one| {
                let is_over = one.until - tokens <= NOTHING;
                if is_over {
                    signals.push(Signal::Ended(one.attempt));
                }
                !is_over
            });
            while self.slots_busy() < self.slots
                && let Some(job) = self.waiting.pop_front()
            {
                self.prompts.push_back(job);
                if self.prompts.len() == 1 {
                    self.begin_prompt();
                }
            }
            // The first token comes with the end of the prompt.
            let Some(job) = self.prompts.pop_front_if(|_| self.prompt_left <= NOTHING) else { break };
            signals.push(Signal::FirstToken(job.attempt));
            let until = tokens + f64::from(job.output_tokens.max(1) - 1);
            self.generating.push(Generating { attempt: job.attempt, since: tokens, until });
            self.begin_prompt();
        }
        if was_busy && !self.is_busy() {
            self.idle_since = now;
        }
    }

    fn begin_prompt(&mut self) {
        let rate = self.speed.prompt_tokens_per_second * self.factor;
        self.prompt_left = self.prompts.front().map_or(0.0, |job| f64::from(job.prompt_tokens) / rate);
    }

    fn step_seconds(&self) -> f64 {
        self.speed.step_seconds(self.generating.len()) / self.factor
    }
}
