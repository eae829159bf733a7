//! A native strategy that keeps to the contract until it is told in which way to break it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking::Cell;
use perfhost_strategy::advice::{Advice, Choice};
use perfhost_strategy::knob::{Bounds, OfferedKnob};
use perfhost_strategy::observation::Hardware;
use perfhost_strategy::plan::FleetNames;
use perfhost_strategy::proposal::ExpectedEffect;
use perfhost_strategy::strategy::{Description, Identity, InstanceMemory, Parameter, World};
use perfhost_strategy::{
    Candidate, Observation, Outcome, Plan, PlanRequest, Proposal, Scope, Strategy, StrategyError, Value,
};

/// What begins its state.
const MARK: &[u8] = b"double 1 ";

/// Where its clock stands, in microseconds; plans that take long move it on.
static CLOCK_US: AtomicU64 = AtomicU64::new(0);

/// Instances made, which is what one that is not deterministic answers by.
static MADE: AtomicU64 = AtomicU64::new(0);

pub(crate) fn clock() -> Duration {
    Duration::from_micros(CLOCK_US.load(Ordering::Relaxed))
}

/// One instance.
pub(crate) struct Double {
    identity: Identity,
    description: Description,
    way: &'static str,
    number: u64,
    memory: Cell<Memory>,
}

#[derive(Clone, Default)]
struct Memory {
    limit: Option<OfferedKnob>,
    others: Arc<Vec<OfferedKnob>>,
    step: f64,
    learned: u64,
    plans: u64,
    targets: usize,
}

/// A new instance that misbehaves in this way; `""` for one that does not.
pub(crate) fn make(way: &'static str, world: World) -> Arc<dyn Strategy> {
    let text = |text: &str| text.to_owned();
    let mut description = Description {
        name: text("double"),
        version: text("1.0.0"),
        summary: text("turns the concurrency limit"),
        goal: text("none"),
        reads: vec![text("in_flight")],
        turns: vec![text("concurrency_limit")],
        parameters: vec![Parameter { name: text("step"), unit: text(""), default: text("2"), meaning: text("factor") }],
    };
    match way {
        "reads what is not there" => description.reads.push(text("time_to_first_tokn_ms")),
        "turns what is not there" => description.turns.push(text("gpu_fan_speed")),
        "has no version" => description.version = text("new"),
        "refuses its default" => description.parameters[0].default = text("-1"),
        "names a parameter twice" => description.parameters.push(description.parameters[0].clone()),
        "says nothing of itself" => description.goal.clear(),
        _ => {}
    }
    let identity = Identity { name: text("double"), version: text("1.0.0"), digest: text(""), world, source: text("") };
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    Arc::new(Double { identity, description, way, number, memory: Cell::default() })
}

impl Double {
    fn is(&self, way: &str) -> bool {
        self.way == way
    }

    fn trap<T>(&self, call: &'static str) -> Result<T, StrategyError> {
        Err(StrategyError::Trap { call, message: "unreachable".to_owned() })
    }
}

fn fault<T>(call: &'static str, message: &str) -> Result<T, StrategyError> {
    Err(StrategyError::Fault { call, message: message.to_owned() })
}

impl Strategy for Double {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn configure(&self, parameters: &[(String, String)], knobs: &[OfferedKnob]) -> Result<(), StrategyError> {
        let mut memory = self.memory.get();
        if self.is("needs a parameter") && parameters.is_empty() {
            return fault("configure", "invalid parameter: target is needed");
        }
        memory.step = if self.is("forgets what was set") { memory.step } else { 2.0 };
        for (name, value) in parameters {
            match (name.as_str(), value.parse::<f64>()) {
                ("step", Ok(step)) if step > 0.0 => memory.step = step,
                ("step", _) if self.is("takes any value") => {}
                ("step", _) => {
                    if self.is("configures by halves") {
                        memory.step = 7.0;
                        self.memory.set(memory);
                    }
                    return fault("configure", "invalid parameter: step is a number above 0");
                }
                _ if self.is("takes unknown parameters") => {}
                _ if self.is("does not name the parameter") => return fault("configure", "invalid parameter"),
                _ if self.is("traps on unknown parameters") => return self.trap("configure"),
                (other, _) => return fault("configure", &format!("invalid parameter: {other}; allowed is step")),
            }
        }
        memory.limit = knobs.iter().find(|offered| offered.knob.name == "concurrency_limit").cloned();
        memory.others = Arc::new(knobs.to_vec());
        self.memory.set(memory);
        Ok(())
    }

    fn propose(&self, seen: &Observation) -> Result<Vec<Proposal>, StrategyError> {
        let mut memory = self.memory.get();
        if self.is("traps where nothing was measured") && seen.metrics.iter().all(|metric| metric.summary.count == 0) {
            return self.trap("propose");
        }
        let Some(offered) = &memory.limit else { return Ok(Vec::new()) };
        let present = seen.settings.iter().find(|setting| setting.name == "concurrency_limit");
        let present = present.and_then(|setting| setting.value.as_number()).unwrap_or(1.0);
        // Up and up, and from the beginning again.
        let more = if present > 10_000.0 { 10.0 } else { present * memory.step };
        let wanted = Value::Integer(more as i64 + (memory.learned % 3) as i64);
        let value = offered.bounds_here.clamp(&wanted).unwrap_or(wanted);
        if value.as_number() == Some(present) && !self.is("proposes what is") {
            return Ok(Vec::new());
        }
        let mut proposal = Proposal {
            name: "concurrency_limit".to_owned(),
            scope: Scope::global(),
            value,
            reason: "more".to_owned(),
            expected: Some(ExpectedEffect { metric: "in_flight".to_owned(), ratio: 1.1 }),
            confidence: 0.5,
        };
        match self.way {
            "leaves its bounds" => proposal.value = Value::Integer(-5),
            "mistakes a type" => proposal.value = Value::Text("many".to_owned()),
            "divides by nothing" => proposal.confidence = f64::NAN,
            "expects the infinite" => {
                proposal.expected = Some(ExpectedEffect { metric: "in_flight".to_owned(), ratio: f64::INFINITY });
            }
            "expects less than nothing" => {
                proposal.expected = Some(ExpectedEffect { metric: "in_flight".to_owned(), ratio: -1.0 });
            }
            "expects what is not measured" => {
                proposal.expected = Some(ExpectedEffect { metric: "happiness".to_owned(), ratio: 1.0 });
            }
            "is too sure" => proposal.confidence = 2.0,
            "gives no reason" => proposal.reason.clear(),
            "invents a knob" => proposal.name = "concurency_limit".to_owned(),
            "turns another knob" => {
                let other = memory.others.iter().find(|offered| matches!(offered.bounds_here, Bounds::OneOf(_)));
                let Some(other) = other else { return Ok(Vec::new()) };
                (proposal.name, proposal.scope) = (other.knob.name.to_owned(), other.at.clone());
                let Bounds::OneOf(words) = &other.bounds_here else { return Ok(Vec::new()) };
                proposal.value = Value::Text(words[0].clone());
            }
            "turns it elsewhere" => proposal.scope = Scope::provider("nowhere"),
            "answers by chance" => proposal.confidence = (self.number % 97) as f64 / 97.0,
            "proposes what is" if offered.bounds_here.check(&Value::Integer(present as i64)).is_ok() => {
                proposal.value = Value::Integer(present as i64);
            }
            _ => {}
        }
        if self.is("counts its calls") {
            memory.plans += 1;
            proposal.confidence = (memory.plans % 90) as f64 / 100.0;
            self.memory.set(memory);
        }
        if self.is("proposes twice") { Ok(vec![proposal.clone(), proposal]) } else { Ok(vec![proposal]) }
    }

    fn learn(&self, outcomes: &[Outcome]) -> Result<(), StrategyError> {
        if self.is("traps on strange outcomes") && outcomes.iter().any(|outcome| outcome.name.is_empty()) {
            return self.trap("learn");
        }
        let mut memory = self.memory.get();
        memory.learned += outcomes.len() as u64;
        self.memory.set(memory);
        Ok(())
    }

    fn save(&self) -> Result<Vec<u8>, StrategyError> {
        let memory = self.memory.get();
        match self.way {
            "saves nothing" | "counts its calls" => Ok(Vec::new()),
            "saves without a mark" => Ok(memory.learned.to_le_bytes().to_vec()),
            "saves something else each time" => {
                let mut next = memory.clone();
                next.plans += 1;
                self.memory.set(next);
                Ok([MARK, &memory.learned.to_le_bytes(), &memory.plans.to_le_bytes()].concat())
            }
            _ => Ok([MARK, &memory.learned.to_le_bytes()].concat()),
        }
    }

    fn restore(&self, state: &[u8]) -> Result<(), StrategyError> {
        let mut memory = self.memory.get();
        let body = match self.way {
            "saves without a mark" => Some(state),
            "saves something else each time" => state.strip_prefix(MARK).map(|body| &body[..body.len().min(8)]),
            "traps on foreign state" if !state.starts_with(MARK) => return self.trap("restore"),
            "refuses its own state" => None,
            _ => state.strip_prefix(MARK),
        };
        if self.is("restores by halves") {
            memory.step = 5.0;
            self.memory.set(memory.clone());
        }
        let learned = body.map(|body| (body.len(), body.try_into().ok().map(u64::from_le_bytes)));
        memory.learned = match learned {
            Some((_, Some(learned))) => learned,
            Some((0, _)) if self.is("saves nothing") => 0,
            _ if self.is("saves without a mark") => 0,
            _ if state.is_empty() => 0,
            _ => return fault("restore", "unsupported: not a state of this strategy"),
        };
        self.memory.set(memory);
        Ok(())
    }

    fn fleet(&self, names: &FleetNames) -> Result<(), StrategyError> {
        let mut memory = self.memory.get();
        memory.targets = names.targets.len();
        self.memory.set(memory);
        Ok(())
    }

    fn plan(&self, asked: &PlanRequest, candidates: &[Candidate]) -> Result<Plan, StrategyError> {
        let mut plan = Plan::default_for(asked, candidates);
        let mut memory = self.memory.get();
        memory.plans += 1;
        match self.way {
            "plans with nobody" => plan.order.clear(),
            "plans with one too many" => plan.order.push(candidates.len() as u32),
            "plans with one twice" if candidates.len() > 1 => plan.order[1] = plan.order[0],
            "plans for targets" => plan.order = candidates.iter().map(|candidate| candidate.target + 1).collect(),
            "plans by turns" => plan.order.rotate_left(memory.plans as usize % candidates.len()),
            "plans by chance" => plan.cache_ttl_ms = self.number as u32,
            "plans slowly" => drop(CLOCK_US.fetch_add(80, Ordering::Relaxed)),
            "traps in plans" => return self.trap("plan-request"),
            _ => {}
        }
        self.memory.set(memory);
        Ok(plan)
    }

    fn advise(&self, _: &Hardware, _: u32, _: u32, choices: &[Choice]) -> Result<Vec<Advice>, StrategyError> {
        let advice = |choice: &Choice| Advice {
            model: choice.model.clone(),
            variant_name: choice.variant_name.clone(),
            kv_type: if self.is("advises a strange cache") { "q3_1".to_owned() } else { "f16".to_owned() },
            reason: if self.is("advises without a reason") { String::new() } else { "small".to_owned() },
            confidence: if self.is("is too sure of its advice") { 1.5 } else { 0.5 },
        };
        let mut all: Vec<Advice> = choices.iter().map(advice).collect();
        if self.is("advises what is not there") {
            all.iter_mut().for_each(|advice| advice.variant_name.push('x'));
        }
        if self.is("advises by chance") {
            all.iter_mut().for_each(|advice| advice.reason = self.number.to_string());
        }
        Ok(all)
    }

    fn memory(&self) -> InstanceMemory {
        let memory = self.memory.get();
        let base = 1 << 20;
        InstanceMemory {
            control_bytes: if self.is("hoards outcomes") { base + 4_096 * memory.learned } else { base },
            planning_bytes: if self.is("hoards requests") { base + 256 * memory.plans } else { base },
        }
    }
}

/// A cell that many threads may use, as the trait asks.
mod parking {
    use std::sync::{Mutex, PoisonError};

    #[derive(Default)]
    pub(super) struct Cell<T>(Mutex<T>);

    impl<T: Clone> Cell<T> {
        pub(super) fn get(&self) -> T {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }

        pub(super) fn set(&self, value: T) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
        }
    }
}
