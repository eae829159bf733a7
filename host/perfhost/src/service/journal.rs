//! A strategy with a journal: passes every call on, and notes the control calls, what history answered and their order,
//! for the decision log.
//!
//! Planning is passed on unseen: plans are made per request and are no part of a decision.

use std::sync::Arc;

use parking_lot::Mutex;
use perfhost_strategy::advice::{Advice, Choice};
use perfhost_strategy::journal::{Call, HistoryAnswer, KnobOffer, Told};
use perfhost_strategy::knob::OfferedKnob;
use perfhost_strategy::observation::Hardware;
use perfhost_strategy::plan::FleetNames;
use perfhost_strategy::strategy::{Allowance, Description, Identity, InstanceCounts, InstanceMemory};
use perfhost_strategy::{Candidate, Observation, Outcome, Plan, PlanRequest, Proposal, Strategy, StrategyError};
use perfhost_wasm::{History, HistoryPoint};

/// A strategy whose control calls are noted.
pub struct Journal {
    inner: Arc<dyn Strategy>,
    asked: Arc<AskedHistory>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    /// Since the last proposal.
    since: Told,
    /// From the proposal before the last to the last.
    last: Told,
    /// The last of each, for a new beginning.
    configured: Option<Call>,
    fleet: Option<Call>,
}

impl Journal {
    /// Notes the calls of a strategy that was loaded with `asked` as its history and has been told nothing yet.
    pub fn new(inner: Arc<dyn Strategy>, asked: Arc<AskedHistory>) -> Self {
        let mut book = Book::default();
        book.since.note(Call::Loaded);
        Self { inner, asked, book: Mutex::new(book) }
    }

    /// Notes a call and makes it, with the book held, so that the order of notes is the order of calls.
    fn tell<T>(
        &self,
        call: Call,
        make: impl FnOnce(&dyn Strategy) -> Result<T, StrategyError>,
    ) -> Result<T, StrategyError> {
        let mut book = self.book.lock();
        match &call {
            Call::Configured { .. } => book.configured = Some(call.clone()),
            Call::Fleet(_) => book.fleet = Some(call.clone()),
            _ => {}
        }
        book.since.note(call);
        make(self.inner.as_ref())
    }
}

impl Strategy for Journal {
    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    fn description(&self) -> &Description {
        self.inner.description()
    }

    fn allowance(&self) -> &Allowance {
        self.inner.allowance()
    }

    fn configure(&self, parameters: &[(String, String)], knobs: &[OfferedKnob]) -> Result<(), StrategyError> {
        let knobs_kept = knobs.iter().map(KnobOffer::of).collect();
        let call = Call::Configured { parameters: parameters.to_vec(), knobs: knobs_kept };
        self.tell(call, |inner| inner.configure(parameters, knobs))
    }

    fn propose(&self, seen: &Observation) -> Result<Vec<Proposal>, StrategyError> {
        let mut book = self.book.lock();
        let answer = self.inner.propose(seen);
        let answers = self.asked.take();
        let mut told = std::mem::take(&mut book.since);
        told.history = answers.history;
        told.lost += answers.lost;
        book.last = told;
        answer
    }

    fn learn(&self, outcomes: &[Outcome]) -> Result<(), StrategyError> {
        self.tell(Call::Learned(outcomes.to_vec()), |inner| inner.learn(outcomes))
    }

    fn save(&self) -> Result<Vec<u8>, StrategyError> {
        self.inner.save()
    }

    fn restore(&self, state: &[u8]) -> Result<(), StrategyError> {
        self.tell(Call::Restored { state: state.to_vec() }, |inner| inner.restore(state))
    }

    fn fleet(&self, names: &FleetNames) -> Result<(), StrategyError> {
        self.tell(Call::Fleet(names.clone()), |inner| inner.fleet(names))
    }

    fn plan(&self, asked: &PlanRequest, candidates: &[Candidate]) -> Result<Plan, StrategyError> {
        self.inner.plan(asked, candidates)
    }

    fn advise(
        &self,
        on: &Hardware,
        context_tokens: u32,
        parallel: u32,
        choices: &[Choice],
    ) -> Result<Vec<Advice>, StrategyError> {
        self.inner.advise(on, context_tokens, parallel, choices)
    }

    /// Makes the instance anew and begins the journal again: a replay can start here.
    fn renew(&self) -> Result<(), StrategyError> {
        let mut book = self.book.lock();
        let state = self.inner.save()?;
        self.inner.renew()?;
        let beginning = [
            Some(Call::Loaded),
            book.configured.clone(),
            (!state.is_empty()).then_some(Call::Restored { state }),
            book.fleet.clone(),
            Some(Call::Renewed),
        ];
        beginning.into_iter().flatten().for_each(|call| book.since.note(call));
        Ok(())
    }

    fn told(&self) -> Told {
        self.book.lock().last.clone()
    }

    fn memory(&self) -> InstanceMemory {
        self.inner.memory()
    }

    fn instances(&self) -> InstanceCounts {
        self.inner.instances()
    }

    fn warm(&self, together: usize) -> Result<(), StrategyError> {
        self.inner.warm(together)
    }

    fn trim(&self) {
        self.inner.trim();
    }

    fn rest(&self) {
        self.inner.rest();
    }

    fn warm_instances(&self) -> usize {
        self.inner.warm_instances()
    }
}

/// History for one strategy that keeps what it answered until it is taken.
pub struct AskedHistory {
    inner: Arc<dyn History>,
    answers: Mutex<Told>,
}

impl AskedHistory {
    /// Answers as `inner` does.
    pub fn new(inner: Arc<dyn History>) -> Arc<Self> {
        Arc::new(Self { inner, answers: Mutex::default() })
    }

    fn take(&self) -> Told {
        std::mem::take(&mut self.answers.lock())
    }
}

impl History for AskedHistory {
    fn query(&self, metric: &str, scope: &str, from_ms: u64, to_ms: u64, step_ms: u32) -> Vec<HistoryPoint> {
        let points = self.inner.query(metric, scope, from_ms, to_ms, step_ms);
        self.answers.lock().note_answer(HistoryAnswer {
            metric: metric.to_owned(),
            scope: scope.to_owned(),
            from_ms,
            to_ms,
            step_ms,
            points: points.iter().map(|point| (point.at_ms, point.count, point.mean, point.p95)).collect(),
        });
        points
    }
}

/// History in a replay: each question gets the answer that the log holds for it, and else what `otherwise` answers.
pub struct ToldHistory {
    told: Mutex<Vec<HistoryAnswer>>,
    otherwise: Arc<dyn History>,
}

impl ToldHistory {
    /// With nothing told yet.
    pub fn new(otherwise: Arc<dyn History>) -> Arc<Self> {
        Arc::new(Self { told: Mutex::default(), otherwise })
    }

    /// From now on these are the answers that the log holds.
    pub fn tell(&self, answers: &[HistoryAnswer]) {
        *self.told.lock() = answers.to_vec();
    }
}

impl History for ToldHistory {
    fn query(&self, metric: &str, scope: &str, from_ms: u64, to_ms: u64, step_ms: u32) -> Vec<HistoryPoint> {
        let mut told = self.told.lock();
        let asked = (metric, scope, from_ms, to_ms, step_ms);
        let is_it = |answer: &HistoryAnswer| {
            (answer.metric.as_str(), answer.scope.as_str(), answer.from_ms, answer.to_ms, answer.step_ms) == asked
        };
        // A question that comes twice was answered twice, in that order.
        let Some(at) = told.iter().position(is_it) else {
            drop(told);
            return self.otherwise.query(metric, scope, from_ms, to_ms, step_ms);
        };
        let point = |(at_ms, count, mean, p95)| HistoryPoint { at_ms, count, mean, p95 };
        told.remove(at).points.into_iter().map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perfhost_wasm::{NoHistory, PluginSource, Runtime, RuntimeConfig};

    fn journal() -> Journal {
        let runtime = Runtime::new(RuntimeConfig::default()).expect("a sandbox");
        let asked = AskedHistory::new(Arc::new(OnePoint));
        let bytes = crate::built_in::find("aggressive").expect("built in").to_vec();
        let source = PluginSource { name: "built-in aggressive".to_owned(), bytes };
        let inner = runtime.load(&source, asked.clone()).expect("it loads");
        Journal::new(inner, asked)
    }

    struct OnePoint;

    impl History for OnePoint {
        fn query(&self, _: &str, _: &str, from_ms: u64, _: u64, _: u32) -> Vec<HistoryPoint> {
            vec![HistoryPoint { at_ms: from_ms, count: 1, mean: 2.0, p95: 3.0 }]
        }
    }

    #[test]
    fn calls_are_noted_in_order_and_a_proposal_closes_the_page() {
        let journal = journal();
        let learned = Call::Learned(Vec::new());
        journal.configure(&[], &[]).expect("no parameters");
        journal.propose(&Observation::default()).expect("an answer");
        let configured = Call::Configured { parameters: Vec::new(), knobs: Vec::new() };
        assert_eq!(journal.told().calls, [Call::Loaded, configured.clone()]);
        journal.learn(&[]).expect("nothing to learn");
        assert_eq!(journal.told().calls.len(), 2, "what came after the proposal belongs to the next");
        journal.propose(&Observation::default()).expect("an answer");
        assert_eq!(journal.told().calls, std::slice::from_ref(&learned));

        // A new instance begins a new page, with all that it was told.
        journal.learn(&[]).expect("nothing to learn");
        journal.renew().expect("renewed");
        journal.propose(&Observation::default()).expect("an answer");
        assert_eq!(journal.told().calls, [Call::Loaded, configured, Call::Renewed]);
    }

    #[test]
    fn history_answers_in_a_replay_as_it_did_and_else_from_elsewhere() {
        let asked = AskedHistory::new(Arc::new(OnePoint));
        asked.query("error_rate", "local", 5, 9, 1);
        let answers = asked.take().history;
        assert_eq!(asked.take().history, []);
        let told = ToldHistory::new(Arc::new(NoHistory));
        told.tell(&answers);
        assert_eq!(told.query("error_rate", "", 5, 9, 1), []);
        assert_eq!(told.query("error_rate", "local", 5, 9, 1), OnePoint.query("", "", 5, 0, 0));
        assert_eq!(told.query("error_rate", "local", 5, 9, 1), [], "asked once, answered once");
    }
}
