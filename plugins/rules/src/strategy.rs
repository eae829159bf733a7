//! The contract's calls: rules are watched at every observation, and one change at a time is asked for.

use perfhost_strategy::observation::metric;
use perfhost_strategy::rule::{Event, Operation, Place, Rule, Step};
use perfhost_strategy::scope::ScopeKind;
use perfhost_strategy::{KnobId, Value};
use strategy_kit::control::{Description, Outcome, Verdict};
use strategy_kit::pauses::Pauses;
use strategy_kit::route::{Candidate, Plan, Request};
use strategy_kit::types::{Effect, Fault, Knob, Observation, Proposal};
use strategy_kit::{Instance, Knobs, Parameters, Seen, order};

use crate::course::Course;
use crate::defaults::{ABOUT, DEFAULT_RULES, RULES};
use crate::goals::Circumstances;
use crate::ledger::{Ledger, Phase, Put};
use crate::sight::{Sight, to_contract, within};
use crate::wording::reason;

/// Confidence that a knob which goes back does no harm.
const RETURN_CONFIDENCE: f64 = 0.5;
/// A change whose effect was not reported within this time (a swap came between) is forgotten.
const UNREPORTED_MAX_MS: u64 = 600_000;
/// Time without a look, beside twice the interval, after which what was counting starts anew: a restart, a suspend.
const UNSEEN_MAX_MS: u64 = 90_000;

/// A change that was asked for and not yet measured.
#[derive(Debug, Clone)]
struct Asked {
    rule: String,
    knob: KnobId,
    scope: String,
    before: Value,
    is_return: bool,
    is_applied: bool,
    at_ms: u64,
}

/// The strategy.
#[derive(Debug)]
pub struct Rules {
    pub(crate) courses: Vec<Course>,
    pub(crate) ledger: Ledger,
    /// Unix time in milliseconds of the last observation; 0 for none.
    pub(crate) seen_ms: u64,
    /// What is in the ledger comes from before a restart or swap.
    pub(crate) is_restored: bool,
    knobs: Knobs,
    kv_bytes_per_token: f64,
    asked: Option<Asked>,
    pauses: Pauses,
}

impl Default for Rules {
    fn default() -> Self {
        let rules = Rule::parse_all(DEFAULT_RULES).unwrap_or_default();
        Self {
            courses: rules.into_iter().map(Course::new).collect(),
            ledger: Ledger::default(),
            seen_ms: 0,
            is_restored: false,
            knobs: Knobs::default(),
            kv_bytes_per_token: Parameters::defaults(ABOUT.parameters).get("kv_bytes_per_token"),
            asked: None,
            pauses: Pauses::default(),
        }
    }
}

impl Instance for Rules {
    fn describe() -> Description {
        Description {
            reads: metric::ALL.iter().map(|info| info.name.to_owned()).collect(),
            turns: KnobId::ALL.iter().map(|knob| knob.name().to_owned()).collect(),
            ..ABOUT.description()
        }
    }

    /// Rules that were there before go on where they are; what others changed goes back.
    fn configure(&mut self, given: &[(String, String)], offered: Vec<Knob>) -> Result<(), Fault> {
        let parameters = Parameters::read(ABOUT.parameters, given)?;
        let rules = Rule::parse_all(parameters.text(RULES))
            .map_err(|error| Fault::InvalidParameter(format!("parameter `{RULES}`: {error}")))?;
        let known = std::mem::take(&mut self.courses);
        let course = |rule: Rule| match known.iter().find(|known| known.rule.text == rule.text) {
            Some(known) => Course { rule, ..known.clone() },
            None => Course::new(rule),
        };
        self.courses = rules.into_iter().map(course).collect();
        let courses = &self.courses;
        self.ledger.release_others(|text| courses.iter().any(|course| course.rule.text == text));
        self.kv_bytes_per_token = parameters.get("kv_bytes_per_token");
        self.knobs = Knobs::new(offered);
        Ok(())
    }

    fn propose(&mut self, observation: &Observation) -> Vec<Proposal> {
        let sight = Sight(Seen::new(observation, 0));
        self.notice_gap(observation);
        self.reconcile(sight);
        self.watch(sight);
        self.next_change(sight).into_iter().collect()
    }

    fn learn(&mut self, outcomes: &[Outcome]) {
        outcomes.iter().for_each(|outcome| self.learn_one(outcome));
    }

    fn save(&self) -> Vec<u8> {
        crate::state::save(self)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), Fault> {
        crate::state::restore(self, state)
    }

    /// Rules turn knobs; a request goes where the least is under way for its weight, as the host would plan it, but to a
    /// model that must be loaded first only when others have a queue.
    fn plan(&self, asked: &Request, candidates: &[Candidate]) -> Plan {
        let cost = |candidate: &Candidate| {
            let loading = if candidate.resident { 1.0 } else { 4.0 };
            order::load(candidate) * loading * (1.0 + 10.0 * candidate.error_rate)
        };
        order::plan(order::by_cost(candidates, cost), asked)
    }
}

impl Rules {
    fn notice_gap(&mut self, observation: &Observation) {
        let unseen_ms = observation.now_ms.saturating_sub(self.seen_ms);
        if self.seen_ms > 0 && unseen_ms > UNSEEN_MAX_MS + 2 * u64::from(observation.interval_ms) {
            self.courses.iter_mut().for_each(|course| course.watch.interrupt());
        }
        self.seen_ms = observation.now_ms;
        self.asked.take_if(|asked| observation.now_ms.saturating_sub(asked.at_ms) >= UNREPORTED_MAX_MS);
    }

    fn reconcile(&mut self, sight: Sight<'_>) {
        let under_way = self.asked.as_ref().map(|asked| ((asked.knob, asked.scope.as_str()), asked.is_applied));
        let lost = self.ledger.reconcile(|(knob, scope)| sight.present(knob, scope), under_way);
        // After a restart the knobs have their start values again: rules that still hold are to do their part anew.
        if std::mem::take(&mut self.is_restored) {
            for course in self.courses.iter_mut().filter(|course| lost.contains(&course.rule.text)) {
                (course.watch.fired_ms, course.watch.clear_since_ms) = (None, None);
            }
        }
    }

    /// Reads every rule and enters in the ledger what those that fire want.
    fn watch(&mut self, sight: Sight<'_>) {
        let circumstances = Circumstances { sight, knobs: &self.knobs, kv_bytes_per_token: self.kv_bytes_per_token };
        for course in &mut self.courses {
            let reading = course.rule.read(&sight);
            course.value = reading.value;
            let rule = &course.rule;
            match course.watch.step(sight.0.now_ms(), reading.is_met, reading.is_cleared, rule.timing()) {
                Some(Event::Fired) => fire(rule, &circumstances, &mut self.ledger),
                Some(Event::Cleared) => self.ledger.release(&rule.text, rule.is_kept),
                None => {}
            }
        }
    }

    /// The next change, unless one is under way: the effects of two could not be told apart.
    fn next_change(&mut self, sight: Sight<'_>) -> Option<Proposal> {
        let now_ms = sight.0.now_ms();
        if self.asked.is_some() {
            return None;
        }
        let (at, value) = self.ledger.next(
            |(knob, scope)| sight.present(knob, scope),
            |(knob, scope), wanted| within(&self.knobs, knob, scope, wanted),
            |scope| self.pauses.is_over(scope, now_ms),
        )?;
        let entry = &self.ledger.entries[at];
        let course = self.courses.iter().find(|course| course.rule.text == entry.rule);
        let before = sight.present(entry.knob, &entry.scope)?;
        let is_return = entry.phase == Phase::Returning;
        let (ratio, confidence) = match course {
            Some(course) if !is_return => (course.expected_ratio(), course.tally.confidence()),
            _ => (1.0, RETURN_CONFIDENCE),
        };
        let condition = course.and_then(Course::condition);
        let proposal = Proposal {
            name: entry.knob.name().to_owned(),
            scope: entry.scope.clone(),
            value: to_contract(&value),
            reason: reason(course, entry, &before, &value, now_ms),
            expected: Some(Effect {
                metric: condition.map_or(metric::RESPONSE_TIME, |condition| condition.metric).to_owned(),
                ratio,
            }),
            confidence,
        };
        self.asked = Some(Asked {
            rule: entry.rule.clone(),
            knob: entry.knob,
            scope: entry.scope.clone(),
            before,
            is_return,
            is_applied: false,
            at_ms: now_ms,
        });
        Some(proposal)
    }

    fn learn_one(&mut self, outcome: &Outcome) {
        let is_it = |asked: &mut Asked| asked.knob.name() == outcome.name && asked.scope == outcome.scope;
        let Some(mut asked) = self.asked.take_if(is_it) else { return };
        if matches!(outcome.verdict, Verdict::RolledBack) {
            self.ledger.correct_above(&asked.rule, (asked.knob, &asked.scope), &asked.before);
        }
        let entry = self.ledger.find(&asked.rule, (asked.knob, &asked.scope));
        let course = self.courses.iter_mut().find(|course| course.rule.text == asked.rule);
        match (&outcome.verdict, &outcome.measured) {
            (Verdict::Refused, _) => self.pauses.lengthen(&asked.scope, self.seen_ms),
            (Verdict::RolledBack, _) if asked.is_return => {
                // It is still in place, and is tried again later.
                if let Some(entry) = entry {
                    entry.put = Put::Unread;
                }
                self.pauses.lengthen(&asked.scope, self.seen_ms);
            }
            (Verdict::RolledBack, _) => {
                if let Some(entry) = entry {
                    entry.put = if asked.before == entry.from { Put::Nothing } else { Put::Unread };
                    (entry.goal, entry.has_helped) = (asked.before, Some(false));
                }
                if let Some(course) = course {
                    course.tally.count(false);
                }
            }
            (_, None) if !asked.is_applied => {
                if let Some(entry) = entry {
                    entry.put = Put::Unread;
                }
                asked.is_applied = true;
                self.asked = Some(asked);
            }
            (_, measured) => {
                self.pauses.end(&asked.scope);
                let Some(course) = course.filter(|_| !asked.is_return) else { return };
                let metric = course.condition().map(|condition| condition.metric);
                let measured = measured.as_ref().filter(|measured| Some(measured.metric.as_str()) == metric);
                let has_helped = measured.map(|measured| course.has_helped(measured.before, measured.after));
                if let Some(has_helped) = has_helped {
                    course.tally.count(has_helped);
                }
                if let Some(entry) = entry {
                    entry.has_helped = has_helped;
                }
            }
        }
    }
}

/// Enters what a rule wants, as far as it can be had. A step that was measured and did not help is not repeated.
fn fire(rule: &Rule, circumstances: &Circumstances<'_>, ledger: &mut Ledger) {
    for step in rule.actions.iter().flat_map(|action| &action.steps) {
        if step.operation == Operation::Restore {
            ledger.restore(step.knob, named_provider(rule, step));
            continue;
        }
        for scope in circumstances.scopes(rule, step) {
            let spot = (step.knob, scope.as_str());
            let Some(present) = circumstances.sight.present(step.knob, &scope) else { continue };
            if ledger.is_of_no_help(&rule.text, spot) {
                continue;
            }
            if let Some(goal) = circumstances.goal(step, &scope, &present) {
                ledger.hold(&rule.text, spot, &present, goal);
            }
        }
    }
}

/// The provider that a step is for, if the step or its rule's trigger names one.
fn named_provider<'a>(rule: &'a Rule, step: &'a Step) -> Option<&'a str> {
    match &step.place {
        Place::Provider(provider) => Some(provider),
        Place::Unsaid if step.knob.knob().scope != ScopeKind::Global => rule.trigger.provider(),
        _ => None,
    }
}
