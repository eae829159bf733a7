//! The processes of one machine: they share its cores, are loaded, replaced, unloaded, and die with it.

use perfhost_strategy::settings::EngineSettings;

use super::process::Process;
use super::speed::Speed;
use super::{Job, memory_bytes};
use crate::host::AttemptKey;
use crate::moment::Moment;
use crate::scenario::{EngineSpec, ModelSpec};

/// Speed of an engine whose machine has given out more memory than it has, over its usual speed. Assumed: what is
/// swapped is read from disk for each token.
const SPEED_WHEN_SWAPPING: f64 = 0.1;

/// Memory asked for before an engine is replaced, over the estimate: what perfhost asks for.
const MEMORY_MARGIN: f64 = 1.2;

/// What an engine has to say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Signal {
    /// A request got its first token.
    FirstToken(AttemptKey),
    /// A request got its last token.
    Ended(AttemptKey),
    /// The process asked for by [`Machine::reload`] serves.
    Replaced,
}

/// What came of asking for other settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reload {
    /// They are what runs already.
    Same,
    /// A process with them is being loaded, now or after the one that is.
    Loading,
    /// It would not fit in memory; in words.
    Refused(String),
}

/// One machine.
#[derive(Debug)]
pub(crate) struct Machine {
    spec: EngineSpec,
    speed: Speed,
    /// In the order they were started. Of one model, at most one is not draining, beside one that is being loaded.
    processes: Vec<Process>,
    /// Requests for models that no memory is free for.
    unplaced: Vec<(usize, Job)>,
    /// Of a managed engine: what runs or is being loaded, and what comes after it.
    settings: EngineSettings,
    next_settings: Option<EngineSettings>,
    worked_until: Moment,
    /// How many times as long everything takes.
    pub(crate) slower: f64,
    pub(crate) is_down: bool,
    /// More memory is given out than there is.
    pub(crate) is_swapping: bool,
    busy_seconds: f64,
}

impl Machine {
    /// A managed engine serves from the start; other engines load models when they are asked for.
    pub(crate) fn new(spec: &EngineSpec, settings: EngineSettings) -> Self {
        let mut machine = Self {
            speed: Speed::new(spec),
            processes: Vec::new(),
            unplaced: Vec::new(),
            settings,
            next_settings: None,
            worked_until: Moment::START,
            slower: 1.0,
            is_down: false,
            is_swapping: false,
            busy_seconds: 0.0,
            spec: spec.clone(),
        };
        if spec.managed {
            machine.load(0, Moment::START);
            machine.processes[0].ready_at = None;
        }
        machine
    }

    /// Takes a request for a model.
    pub(crate) fn begin(&mut self, now: Moment, model: usize, job: Job) {
        self.unload_unused(now);
        match self.processes.iter_mut().find(|process| process.model == model && process.takes_requests()) {
            Some(process) => process.add(job),
            None => self.unplaced.push((model, job)),
        }
    }

    /// Forgets a request.
    pub(crate) fn cancel(&mut self, attempt: AttemptKey) {
        self.unplaced.retain(|(_, job)| job.attempt != attempt);
        self.processes.iter_mut().for_each(|process| process.cancel(attempt));
    }

    /// Does the work up to `now`, at the pace that held until now.
    pub(crate) fn advance(&mut self, now: Moment) {
        let seconds = now.seconds_since(std::mem::replace(&mut self.worked_until, now));
        let pace = self.pace();
        if seconds > 0.0 && pace > 0.0 {
            self.busy_seconds += seconds;
            self.processes.iter_mut().for_each(|process| process.work(seconds * pace));
        }
    }

    /// Notes what has happened by now. Call it after [`Self::advance`] and any change.
    pub(crate) fn settle(&mut self, now: Moment, signals: &mut Vec<Signal>) {
        if self.is_down {
            return;
        }
        for at in 0..self.processes.len() {
            if self.processes[at].ready_at.is_some_and(|ready_at| ready_at <= now) {
                self.processes[at].ready_at = None;
                self.take_over(at, now, signals);
            }
        }
        self.place(now);
        self.processes.iter_mut().for_each(|process| process.settle(now, signals));
        self.processes.retain(|process| !(process.is_draining && process.is_idle()));
        if !self.unplaced.is_empty() {
            // What has just ended may have left room.
            self.place(now);
            self.processes.iter_mut().for_each(|process| process.settle(now, signals));
        }
    }

    /// When something will happen if nothing else does.
    pub(crate) fn due(&self, now: Moment) -> Option<Moment> {
        if self.is_down {
            return None;
        }
        let pace = self.pace();
        let work = self.processes.iter().filter_map(Process::seconds_to_next).min_by(f64::total_cmp);
        let work = work.map(|seconds| now.after_seconds(seconds / pace));
        let loads = self.processes.iter().filter_map(|process| process.ready_at);
        loads.chain(work).min()
    }

    /// Asks a managed engine for other settings. `free_bytes` is the memory that can be had now.
    pub(crate) fn reload(&mut self, now: Moment, settings: &EngineSettings, free_bytes: u64) -> Reload {
        if *settings == self.settings && self.next_settings.is_none() {
            return Reload::Same;
        }
        let needed = (self.memory_with(settings) as f64 * MEMORY_MARGIN) as u64;
        if needed > free_bytes && !self.is_down {
            let mib = |bytes: u64| bytes >> 20;
            let (needed, free) = (mib(needed), mib(free_bytes));
            return Reload::Refused(format!("a second process needs {needed} MiB of memory, {free} MiB can be had"));
        }
        if self.is_down || self.processes.iter().any(|process| process.ready_at.is_some()) {
            self.next_settings = Some(settings.clone());
        } else {
            self.settings = settings.clone();
            self.load(0, now);
        }
        Reload::Loading
    }

    /// Everything in it ends. Returns the requests that it had.
    pub(crate) fn fail(&mut self) -> Vec<AttemptKey> {
        self.is_down = true;
        let mut lost: Vec<AttemptKey> = self.unplaced.drain(..).map(|(_, job)| job.attempt).collect();
        lost.extend(self.processes.iter_mut().flat_map(Process::abandon));
        self.processes.clear();
        lost
    }

    /// It can be started again; a managed engine is, at once.
    pub(crate) fn recover(&mut self, now: Moment) {
        self.is_down = false;
        if self.spec.managed {
            if let Some(settings) = self.next_settings.take() {
                self.settings = settings;
            }
            self.load(0, now);
        }
    }

    /// A process of a managed engine serves.
    pub(crate) fn is_serving(&self) -> bool {
        !self.is_down && self.processes.iter().any(|process| process.ready_at.is_none())
    }

    /// The model answers without being loaded first.
    pub(crate) fn is_resident(&self, now: Moment, model: usize) -> bool {
        let mut of_model = self.processes.iter().filter(|process| process.model == model);
        !self.is_down && of_model.any(|process| process.ready_at.is_none() && !self.is_unused(process, now))
    }

    /// Tokens that a request has got so far; `None` before its first.
    pub(crate) fn progress(&self, attempt: AttemptKey) -> Option<f64> {
        self.processes.iter().find_map(|process| process.progress(attempt))
    }

    /// Bytes that all processes take.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.processes.iter().map(|process| process.memory_bytes).sum()
    }

    /// Slots that work on a request, and requests that wait for one.
    pub(crate) fn load_now(&self) -> (usize, usize) {
        let busy = self.processes.iter().map(Process::slots_busy).sum();
        let waiting: usize = self.processes.iter().map(Process::waiting).sum();
        (busy, waiting + self.unplaced.len())
    }

    /// Tokens that one request may have, prompt and answer.
    pub(crate) fn context_tokens(&self) -> u32 {
        if self.spec.managed { self.settings.context_tokens } else { self.spec.context_tokens }
    }

    /// Seconds of work since the last call.
    pub(crate) fn take_busy_seconds(&mut self) -> f64 {
        std::mem::take(&mut self.busy_seconds)
    }

    /// Work that each process with something to do gets done in a second.
    fn pace(&self) -> f64 {
        let busy = self.processes.iter().filter(|process| process.is_busy()).count();
        let speed = if self.is_swapping { SPEED_WHEN_SWAPPING } else { 1.0 };
        if busy == 0 { 0.0 } else { speed / (self.slower * busy as f64) }
    }

    /// A process has loaded: of a managed engine, it takes the place of the one before.
    fn take_over(&mut self, at: usize, now: Moment, signals: &mut Vec<Signal>) {
        if !self.spec.managed {
            return;
        }
        self.processes[..at].iter_mut().for_each(|process| process.is_draining = true);
        signals.push(Signal::Replaced);
        if let Some(settings) = self.next_settings.take().filter(|settings| *settings != self.settings) {
            self.settings = settings;
            self.load(0, now);
        }
    }

    fn load(&mut self, model: usize, now: Moment) {
        let Some(spec) = self.spec.models.get(model) else { return };
        let (slots, memory) = if self.spec.managed {
            (self.settings.slots, self.memory_with(&self.settings))
        } else {
            (self.spec.slots, self.memory_of(spec))
        };
        let ready_at = now.after_seconds(spec.load_s * self.slower);
        self.processes.push(Process::new((model, spec.speed), self.speed.clone(), slots, memory, ready_at));
    }

    fn memory_with(&self, settings: &EngineSettings) -> u64 {
        let of = |model: &ModelSpec| {
            let (slots, context) = (settings.slots, settings.context_tokens);
            memory_bytes(model.weights_bytes, model.kv_bytes_per_token, &settings.kv_type, slots, context)
        };
        self.spec.models.first().map_or(0, of)
    }

    fn memory_of(&self, model: &ModelSpec) -> u64 {
        let (slots, context) = (self.spec.slots, self.spec.context_tokens);
        memory_bytes(model.weights_bytes, model.kv_bytes_per_token, "f16", slots, context)
    }

    /// Finds a process for every request that has none: loads its model, and unloads others for it if they are idle. The
    /// first request that finds no room waits, and those for models not loaded wait behind it.
    fn place(&mut self, now: Moment) {
        let mut is_full = false;
        for (model, job) in std::mem::take(&mut self.unplaced) {
            let mut processes = self.processes.iter_mut();
            if let Some(process) = processes.find(|process| process.model == model && process.takes_requests()) {
                process.add(job);
            } else if !is_full && self.make_room(model) {
                self.load(model, now);
                if let Some(process) = self.processes.last_mut() {
                    process.add(job);
                }
            } else {
                is_full = true;
                self.unplaced.push((model, job));
            }
        }
    }

    /// Unloads idle models, longest unused first, until `model` fits. One that is larger than the memory is loaded alone.
    fn make_room(&mut self, model: usize) -> bool {
        let Some(spec) = self.spec.models.get(model) else { return false };
        let needed = self.memory_of(spec);
        while self.memory_bytes() + needed > self.spec.memory_bytes && !self.processes.is_empty() {
            let idle = self.processes.iter().enumerate();
            let idle = idle.filter(|(_, process)| process.is_idle() && process.ready_at.is_none());
            let Some((oldest, _)) = idle.min_by_key(|(_, process)| process.idle_since) else { return false };
            self.processes.remove(oldest);
        }
        true
    }

    fn unload_unused(&mut self, now: Moment) {
        let unused: Vec<bool> = self.processes.iter().map(|process| self.is_unused(process, now)).collect();
        let mut unused = unused.into_iter();
        self.processes.retain(|_| !unused.next().unwrap_or(false));
    }

    fn is_unused(&self, process: &Process, now: Moment) -> bool {
        let is_kept = self.spec.managed || self.spec.keep_alive_s == 0.0 || !process.is_idle();
        !is_kept && process.ready_at.is_none() && now.seconds_since(process.idle_since) >= self.spec.keep_alive_s
    }
}

impl Process {
    /// New requests go to it: it serves or, where nothing else does, is being loaded.
    fn takes_requests(&self) -> bool {
        !self.is_draining
    }
}
