//! What one request cost, by phase, and how it ended; recorded exactly once, whatever becomes of the request.
//!
//! One clock read ends a phase and begins the next, so the phases always sum to the request's time. A ledger that is
//! dropped open belongs to a request whose client went away.

use std::rc::Rc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use perfhost_strategy::experiment::Outcome;
use perfhost_strategy::plan::Operation;
use perfhost_telemetry::{CacheStatus, Phase, RequestOutcome, RequestRecord, SeriesId};
use perfhost_upstream::FleetView;

use crate::caching::now_ms;
use crate::experiment::{self, Entry};
use crate::protocol::openai::Asked;
use crate::worker::{View, Worker};

/// The account of one request.
pub(crate) struct Ledger {
    worker: Rc<Worker>,
    view: Rc<View>,
    operation: Operation,
    started: Instant,
    last: Instant,
    phases_ns: [u64; Phase::COUNT],
    /// Empty until identified.
    model: String,
    model_index: u32,
    series: Option<SeriesId>,
    /// Index of the provider that answered or was tried last.
    pub(crate) provider: Option<usize>,
    is_streaming: bool,
    pub(crate) cache: CacheStatus,
    /// What it will have come to when its answer has been passed on in full.
    pub(crate) outcome: RequestOutcome,
    pub(crate) prompt_tokens: u32,
    pub(crate) output_tokens: u32,
    /// What making a kept answer had taken.
    pub(crate) saved: Duration,
    ttft_ns: Option<u64>,
    is_closed: bool,
    request_id: HeaderValue,
    number: u64,
    /// Its part in an experiment, if it has one.
    entry: Option<Entry>,
}

impl Ledger {
    pub(crate) fn open(worker: &Rc<Worker>, view: &Rc<View>, operation: Operation) -> Self {
        let now = Instant::now();
        let (request_id, number) = worker.next_request_id();
        Self {
            request_id,
            number,
            entry: None,
            worker: worker.clone(),
            view: view.clone(),
            operation,
            started: now,
            last: now,
            phases_ns: [0; Phase::COUNT],
            model: String::new(),
            model_index: FleetView::UNLISTED_MODEL,
            series: None,
            provider: None,
            is_streaming: false,
            cache: CacheStatus::Bypass,
            outcome: RequestOutcome::Success,
            prompt_tokens: 0,
            output_tokens: 0,
            saved: Duration::ZERO,
            ttft_ns: None,
            is_closed: false,
        }
    }

    pub(crate) fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }

    pub(crate) fn view(&self) -> &Rc<View> {
        &self.view
    }

    /// What is asked for is known.
    pub(crate) fn identified(&mut self, model: &str, model_index: u32, is_streaming: bool) {
        self.model.push_str(model);
        (self.model_index, self.is_streaming) = (model_index, is_streaming);
    }

    /// Takes part in the experiment that is running, if one is: from here on the request sees what its arm's requests see,
    /// and if it is counted it shares cached answers with those only.
    pub(crate) fn join_experiment(&mut self, asked: &mut Asked) -> &Rc<View> {
        let view = self.view.clone();
        let Some(experiment) = view.experiment.as_ref() else { return &self.view };
        let (unit, assignment) = experiment.assign(self.number, asked);
        let Some(arm) = view.arms.get(assignment.arm) else { return &self.view };
        if let Some(partition) = experiment.allocation.cache_partition(&assignment) {
            asked.key = asked.key.in_partition(partition);
        }
        self.entry = experiment.enter(self.number, unit, &assignment, now_ms(), asked);
        self.view = arm.clone();
        &self.view
    }

    /// As its answer carries it.
    pub(crate) fn request_id(&self) -> &HeaderValue {
        &self.request_id
    }

    pub(crate) fn is_streaming(&self) -> bool {
        self.is_streaming
    }

    /// The series that the request counts in is known: its provider will not change any more.
    pub(crate) fn note_series(&mut self, series: SeriesId) {
        self.series = Some(series);
    }

    /// When the request arrived.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// When the last phase ended.
    pub(crate) fn last_mark(&self) -> Instant {
        self.last
    }

    /// Nanoseconds per phase so far.
    pub(crate) fn phases_ns(&self) -> &[u64; Phase::COUNT] {
        &self.phases_ns
    }

    /// The time since the last mark was `phase`'s. Returns it, in nanoseconds.
    pub(crate) fn mark(&mut self, phase: Phase) -> u64 {
        let now = Instant::now();
        let elapsed_ns = now.duration_since(self.last).as_nanos() as u64;
        self.last = now;
        self.phases_ns[phase as usize] += elapsed_ns;
        elapsed_ns
    }

    /// The time since the last mark went into sending upstream; attempts that failed count as waiting.
    pub(crate) fn mark_sent(&mut self, connect_ns: u64, send_ns: u64) {
        let elapsed_ns = self.mark(Phase::FirstByte);
        let connect_ns = connect_ns.min(elapsed_ns);
        let send_ns = send_ns.min(elapsed_ns - connect_ns);
        self.phases_ns[Phase::FirstByte as usize] -= connect_ns + send_ns;
        self.phases_ns[Phase::Connect as usize] += connect_ns;
        self.phases_ns[Phase::Send as usize] += send_ns;
    }

    /// The first token passed.
    pub(crate) fn note_first_token(&mut self, at: Instant) {
        self.ttft_ns = Some(at.duration_since(self.started).as_nanos() as u64);
    }

    pub(crate) fn has_first_token(&self) -> bool {
        self.ttft_ns.is_some()
    }

    /// The answer has ended; `outcome` is what the request came to. Later calls do nothing.
    pub(crate) fn close(&mut self, outcome: RequestOutcome) {
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        self.mark(Phase::Record);
        let series = self.series.unwrap_or_else(|| {
            self.worker.series(&self.view, self.provider, (self.model_index, &self.model), self.operation)
        });
        self.worker.recorder().record(&RequestRecord {
            series,
            outcome,
            cache: self.cache,
            is_streaming: self.is_streaming,
            phases_ns: self.phases_ns,
            total_ns: self.last.duration_since(self.started).as_nanos() as u64,
            ttft_ns: self.ttft_ns,
            prompt_tokens: self.prompt_tokens,
            output_tokens: self.output_tokens,
            saved_ns: u64::try_from(self.saved.as_nanos()).unwrap_or(u64::MAX),
        });
        if let Some(entry) = self.entry.take() {
            entry.end(now_ms(), self.experiment_outcome(outcome));
        }
    }

    fn experiment_outcome(&self, outcome: RequestOutcome) -> Outcome {
        let milliseconds = |nanoseconds: u64| nanoseconds as f64 / 1e6;
        let at_provider = [Phase::Connect, Phase::Send, Phase::FirstByte, Phase::Stream];
        let at_provider_ns: u64 = at_provider.iter().map(|phase| self.phases_ns[*phase as usize]).sum();
        let is_ours = !matches!(self.cache, CacheStatus::Hit | CacheStatus::Shared);
        Outcome {
            ending: experiment::ending(outcome),
            response_ms: milliseconds(self.last.duration_since(self.started).as_nanos() as u64),
            ttft_ms: self.ttft_ns.map(milliseconds),
            output_tokens: self.output_tokens,
            // No provider tells its price: the seconds for which the request kept a place at one stand for it.
            cost: if is_ours { at_provider_ns as f64 / 1e9 } else { 0.0 },
            quality: None,
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.close(RequestOutcome::Cancelled);
    }
}
