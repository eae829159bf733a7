//! What alerts ask for: their actions, one knob at a time, until the decision loop takes them to the guard.
//!
//! Owns how long a wish lives. It ends with its alert, and there are none during an experiment: settings that an alert
//! turned in one arm's turn would be held for that arm's own. How a wish becomes proposals is `perfhost_strategy::alert`'s
//! business, whether it is granted the guard's.

use std::collections::VecDeque;

use parking_lot::Mutex;
use perfhost_strategy::Observation;
use perfhost_strategy::alert::{self, AlertRecord};
use perfhost_strategy::rule::Action;
use tracing::{info, warn};

use super::{State, Tuner};

/// Wishes that wait at most.
const MOST_WISHES: usize = 64;

/// The wishes that wait.
#[derive(Default)]
pub(super) struct Wishes(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// Oldest first, at most [`MOST_WISHES`].
    queue: VecDeque<(AlertRecord, Action)>,
    /// An experiment is under way.
    is_refused: bool,
}

impl Wishes {
    fn add(&self, alert: &AlertRecord, actions: &[Action]) {
        let mut waiting = self.0.lock();
        let of_one_knob = |action: &Action| {
            let written = action.written.clone();
            action.steps.clone().into_iter().map(move |step| Action { written: written.clone(), steps: vec![step] })
        };
        for action in actions.iter().flat_map(of_one_knob) {
            if waiting.is_refused {
                say_refused(alert, &action, "an experiment is under way");
            } else if waiting.queue.len() >= MOST_WISHES {
                say_refused(alert, &action, "too many actions wait");
            } else {
                waiting.queue.push_back((alert.clone(), action));
            }
        }
    }

    /// Ends the wishes of these alerts.
    fn withdraw(&self, over: &[u64]) {
        self.0.lock().queue.retain(|(alert, action)| {
            let is_over = over.contains(&alert.id);
            if is_over {
                say_refused(alert, action, "the alert is over");
            }
            !is_over
        });
    }

    /// Refuses wishes from now on, those that wait too; or takes them again.
    pub(super) fn set_refused(&self, is_refused: bool) {
        let mut waiting = self.0.lock();
        waiting.is_refused = is_refused;
        if is_refused {
            for (alert, action) in waiting.queue.drain(..) {
                say_refused(&alert, &action, "an experiment is under way");
            }
        }
    }

    fn next(&self) -> Option<(AlertRecord, Action)> {
        self.0.lock().queue.pop_front()
    }
}

fn say_refused(alert: &AlertRecord, action: &Action, why: &str) {
    warn!(alert = alert.id, rule = alert.rule, action = action.written, why, "an alert's action is not done");
}

impl Tuner {
    /// An alert asks for actions: proposed in the next cycles, one knob a cycle, when nothing else is under way. Refused
    /// while an experiment is.
    pub fn ask_for(&self, alert: &AlertRecord, actions: &[Action]) {
        self.wishes.add(alert, actions);
    }

    /// These alerts are over: what they asked for and was not done yet is not done any more.
    pub fn withdraw(&self, over: &[u64]) {
        self.wishes.withdraw(over);
    }

    /// The next action that an alert asked for, judged like a strategy's proposals.
    pub(super) fn grant_wishes(&self, state: &mut State, seen: &Observation) {
        if state.guard.pending().next().is_some() {
            return;
        }
        let Some((alert, action)) = self.wishes.next() else { return };
        let (settings, offered) = (self.settings.load(), self.offered(&state.config));
        let asked = alert::proposals(&alert, std::slice::from_ref(&action), seen, &settings, &offered);
        if asked.is_empty() {
            info!(
                alert = alert.id,
                action = action.written,
                "nothing to turn: it is so already, or it is not on offer"
            );
            return;
        }
        self.judge_own(state, seen, &alert::author(), &asked);
    }
}

#[cfg(test)]
mod tests {
    use perfhost_strategy::Scope;
    use perfhost_strategy::alert::{AlertEngine, AlertRule};
    use perfhost_strategy::observation::{Metric, Summary, metric};
    use perfhost_strategy::rule::Trigger;

    use super::*;

    /// Alerts that fire, numbered from 1.
    fn alerts(count: usize) -> Vec<AlertRecord> {
        let rule = |at| AlertRule::new(&format!("rule-{at}"), "", Trigger::parse("error_rate > 5%").unwrap());
        let mut engine = AlertEngine::new((0..count).map(rule).collect(), Vec::new(), Vec::new(), 1);
        let summary = Summary { count: 100, mean: 0.5, ..Summary::default() };
        let (name, unit) = (metric::ERROR_RATE.to_owned(), "ratio".to_owned());
        let errors = Metric { name, scope: Scope::global(), unit, window_ms: 10_000, summary };
        engine.step(0, &Observation { metrics: vec![errors], ..Observation::default() }, &[]).changed
    }

    fn waiting(wishes: &Wishes) -> Vec<(u64, usize)> {
        std::iter::from_fn(|| wishes.next()).map(|(alert, action)| (alert.id, action.steps.len())).collect()
    }

    #[test]
    fn a_wish_is_for_one_knob_and_ends_with_its_alert() {
        let (wishes, alerts) = (Wishes::default(), alerts(2));
        let two_knobs = [Action::parse("enable_aggressive_caching").unwrap()];
        alerts.iter().for_each(|alert| wishes.add(alert, &two_knobs));
        wishes.withdraw(&[1]);
        assert_eq!(waiting(&wishes), [(2, 1), (2, 1)]);
    }

    #[test]
    fn an_experiment_refuses_what_waits_and_what_comes() {
        let (wishes, alerts) = (Wishes::default(), alerts(3));
        let action = [Action::parse("disable_retries").unwrap()];
        wishes.add(&alerts[0], &action);
        wishes.set_refused(true);
        wishes.add(&alerts[1], &action);
        wishes.set_refused(false);
        wishes.add(&alerts[2], &action);
        assert_eq!(waiting(&wishes), [(3, 1)]);
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let (wishes, alerts) = (Wishes::default(), alerts(1));
        let action = [Action::parse("disable_retries").unwrap()];
        (0..MOST_WISHES + 1).for_each(|_| wishes.add(&alerts[0], &action));
        assert_eq!(waiting(&wishes).len(), MOST_WISHES);
    }
}
