//! What one request cost, by phase, and how it ended; recorded exactly once, whatever becomes of the request.
//!
//! One clock read ends a phase and begins the next, so the phases always sum to the request's time. A ledger that is
//! dropped open belongs to a request whose client went away.

use std::rc::Rc;
use std::time::Instant;

use perfhost_strategy::plan::Operation;
use perfhost_telemetry::{CacheStatus, Phase, RequestOutcome, RequestRecord, SeriesId};
use perfhost_upstream::FleetView;

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
    ttft_ns: Option<u64>,
    is_closed: bool,
}

impl Ledger {
    pub(crate) fn open(worker: &Rc<Worker>, view: &Rc<View>, operation: Operation) -> Self {
        let now = Instant::now();
        Self {
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
        });
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.close(RequestOutcome::Cancelled);
    }
}
