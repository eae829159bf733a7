//! The simulated host: requests arrive, are planned, cached, admitted, sent and answered, as the real one does it.
//!
//! Owns the clock and the order of events. The phases of a request are in files of their own:
//!
//! - `arriving`: identify, plan, cache, and sharing the answer of an equal request
//! - `calling`: admit, and the life of what goes upstream
//! - `attempting`: send and first byte, with retries, hedging and time limits
//! - `ending`: what is recorded
//! - `watching`: the ticks and what a strategy sees; `turning`: what its settings do; `disturbing`: what goes wrong
//! - `admission`, `cache`, `provider`, `recent`: the parts they work with

mod admission;
mod arriving;
mod attempting;
mod cache;
mod calling;
mod disturbing;
mod ending;
mod provider;
mod recent;
mod turning;
mod watching;

use std::collections::HashMap;
use std::sync::Arc;

use perfhost_strategy::observation::Hardware;
use perfhost_strategy::{Candidate, Plan, Settings, StrategyError};

use crate::agenda::Agenda;
use crate::ending::CacheUse;
use crate::engine::Signal;
use crate::fleet::Fleet;
use crate::measure::{Recorder, Windows};
use crate::moment::Moment;
use crate::operator::{Beginning, Operator};
use crate::scenario::{Arrivals, Scenario};
use crate::slab::{Key, Slab};
use crate::traffic::{Ask, Traffic};
use admission::{Admission, Place};
use cache::Cache;
use provider::Provider;
pub use turning::KnobTrack;
pub(crate) use turning::offered;

/// A simulated host.
pub(crate) struct Host<'a, O> {
    scenario: &'a Scenario,
    seed: u64,
    operator: O,
    fleet: Fleet,
    traffic: Traffic<'a>,
    agenda: Agenda<Event>,
    now: Moment,
    /// When the last request may arrive.
    closes: Moment,
    settings: Arc<Settings>,
    providers: Vec<Provider>,
    /// Number of the managed engine among the providers.
    managed: Option<usize>,
    admission: Admission<CallKey>,
    cache: Cache,
    /// Calls that equal requests may share, by key.
    flights: HashMap<u64, CallKey>,
    requests: Slab<Request>,
    calls: Slab<Call>,
    arrived: u64,
    attempts: u64,
    /// Memory that other programs hold now.
    other_bytes: u64,
    hardware: Hardware,
    next_look: Moment,
    /// `None` when nobody looks.
    windows: Option<Windows>,
    recorder: Recorder,
    knobs: Vec<KnobTrack>,
    /// Room that is used again.
    candidates: Vec<Candidate>,
    signals: Vec<Signal>,
}

/// What can happen.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// An open-loop request arrives.
    Arrives,
    /// A client asks, for the time of that number.
    ClientAsks(u32, u64),
    /// A client goes away.
    Leaves(Key<Request>),
    /// A request that shared an answer which did not come looks for another.
    Joins(Key<Request>),
    /// Places have become free.
    Admits,
    /// A request has a place and is sent.
    Sends(CallKey),
    /// It has waited for a place as long as it may.
    WaitedLong(CallKey),
    /// Everything about it has taken as long as it may.
    TookLong(CallKey),
    /// The pause before another attempt is over.
    RetryDue(CallKey),
    /// A second provider is asked as well.
    HedgeDue(AttemptKey),
    /// The first byte is late.
    FirstByteDue(AttemptKey),
    /// An engine has something to say, unless its version is another by now.
    EngineDue(usize, u64),
    /// A cloud service answers, with its first token or 503.
    CloudBegins(AttemptKey),
    /// A cloud service has answered in full.
    CloudEnds(AttemptKey),
    /// A disturbance begins or ends.
    Disturbs,
    /// A second has passed.
    Ticks(u64),
}

/// A client's request, until it is over.
#[derive(Debug)]
struct Request {
    number: u64,
    ask: Ask,
    arrived: Moment,
    client: Option<(u32, u64)>,
    settings: Arc<Settings>,
    plan: Plan,
    /// Numbers of providers, best first.
    order: Vec<usize>,
    arm: u32,
    cache: CacheUse,
    may_read: bool,
    may_write: bool,
    /// How often it has waited for the answer of an equal request.
    joins: u32,
    first_token: Option<Moment>,
}

pub(crate) type CallKey = Key<Call>;

/// What goes upstream for a request and for those that share its answer.
#[derive(Debug)]
pub(crate) struct Call {
    /// Who began it, unless its client went away.
    leader: Option<Key<Request>>,
    followers: Vec<Key<Request>>,
    ask: Ask,
    settings: Arc<Settings>,
    plan: Plan,
    may_write: bool,
    is_shared: bool,
    /// Numbers of providers, best first.
    order: Vec<usize>,
    began: Moment,
    deadline: Moment,
    place: Option<Place>,
    admitted: Option<Moment>,
    /// Places in the order that were sent to, counting on past its end.
    tried: usize,
    /// Of these, in the present round: two when it is hedged.
    used: usize,
    rounds: u32,
    under_way: Vec<Attempt>,
    missed: Option<attempting::Miss>,
    /// The provider tried last.
    provider: usize,
    first_byte: Option<Moment>,
    sent: Option<Moment>,
    /// Tokens that have been counted.
    counted: u64,
}

/// One request to one provider.
#[derive(Debug, Clone, Copy)]
struct Attempt {
    number: u64,
    provider: usize,
    sent: Moment,
    /// Tokens that it will have, once the context cut it short.
    output_tokens: u32,
    first_token: Option<Moment>,
    /// Seconds that each further token takes, of a cloud service.
    token_s: f64,
    /// A cloud service will answer 503.
    is_failing: bool,
}

/// Names one attempt; finds nothing once that is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AttemptKey {
    call: CallKey,
    number: u64,
}

impl<'a, O: Operator> Host<'a, O> {
    pub(crate) fn new(
        scenario: &'a Scenario,
        settings: Settings,
        seed: u64,
        operator: O,
    ) -> Result<Self, StrategyError> {
        let fleet = Fleet::new(scenario);
        let settings = Arc::new(settings);
        let provider = |spec| Provider::new(spec, &settings);
        let mut host = Self {
            traffic: Traffic::new(scenario, &fleet, seed),
            providers: fleet.providers.iter().map(provider).collect(),
            managed: fleet.providers.iter().position(|provider| provider.is_managed()),
            admission: Admission::new(settings.concurrency_limit),
            windows: operator.is_looking().then(|| Windows::new(&fleet.scopes)),
            recorder: Recorder::new(scenario),
            closes: Moment::from_seconds(scenario.duration_s),
            next_look: Moment::from_seconds(scenario.interval_s),
            other_bytes: scenario.machine.other_bytes,
            scenario,
            seed,
            operator,
            agenda: Agenda::new(),
            now: Moment::START,
            cache: Cache::default(),
            flights: HashMap::new(),
            requests: Slab::new(),
            calls: Slab::new(),
            arrived: 0,
            attempts: 0,
            hardware: Hardware::default(),
            knobs: Vec::new(),
            candidates: Vec::new(),
            signals: Vec::new(),
            settings,
            fleet,
        };
        host.cache.set_capacity(host.settings.cache_capacity_bytes);
        let beginning =
            Beginning { settings: host.settings.clone(), offered: &offered(scenario), fleet: &host.fleet.names };
        host.operator.begin(&beginning)?;
        host.hardware = host.look_at_hardware();
        Ok(host)
    }

    /// Lets everything happen. Requests arrive until the scenario's time is over; each of them comes to its end.
    pub(crate) fn run(mut self) -> (Recorder, Vec<KnobTrack>, u64, O) {
        self.enter_first_events();
        while let Some((at, event)) = self.agenda.next() {
            if at > self.closes && self.requests.len() == 0 {
                break;
            }
            self.now = at;
            self.happen(event);
        }
        (self.recorder, self.knobs, self.arrived, self.operator)
    }

    fn enter_first_events(&mut self) {
        for disturbance in &self.scenario.disturbances {
            self.agenda.add(Moment::from_seconds(disturbance.at_s), Event::Disturbs);
            self.agenda.add(Moment::from_seconds(disturbance.at_s + disturbance.for_s), Event::Disturbs);
        }
        self.agenda.add(Moment::from_seconds(1.0), Event::Ticks(1));
        if let Arrivals::Clients { count, .. } = self.scenario.arrivals {
            for client in 0..count {
                // Not all in the same microsecond.
                let within_a_second = f64::from(client) / f64::from(count);
                self.agenda.add(Moment::from_seconds(within_a_second), Event::ClientAsks(client, 0));
            }
        }
        self.expect_arrival();
    }

    fn expect_arrival(&mut self) {
        if let Some(at) = self.traffic.next_arrival().filter(|at| *at < self.closes) {
            self.agenda.add(at, Event::Arrives);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrives => {
                let ask = self.traffic.request(self.arrived);
                self.expect_arrival();
                self.arrive(ask, None);
            }
            Event::ClientAsks(client, number) if self.now < self.closes => {
                let ask = self.traffic.of_client(client, number);
                self.arrive(ask, Some((client, number)));
            }
            Event::ClientAsks(..) => {}
            Event::Leaves(request) => self.leave(request),
            Event::Joins(request) => self.join(request),
            Event::Admits => self.admit(),
            Event::Sends(call) => self.send_first(call),
            Event::WaitedLong(call) => self.waited_long(call),
            Event::TookLong(call) => self.took_long(call),
            Event::RetryDue(call) => self.send_round(call),
            Event::HedgeDue(attempt) => self.hedge(attempt),
            Event::FirstByteDue(attempt) => self.first_byte_late(attempt),
            Event::EngineDue(provider, version) => self.engine_due(provider, version),
            Event::CloudBegins(attempt) => self.cloud_begins(attempt),
            Event::CloudEnds(attempt) => self.ended(attempt),
            Event::Disturbs => self.disturb(),
            Event::Ticks(number) => self.tick(number),
        }
    }
}
