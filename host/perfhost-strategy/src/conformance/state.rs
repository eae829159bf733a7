//! State: what `save` gives, `restore` takes on a fresh instance, and the instance goes on as the first would. State that
//! is not its own is refused in words.

use std::sync::Arc;

use super::cases::{Case, ordinary};
use super::finding::Severity::{Error, Note, Warning};
use super::trial::Trial;
use super::tuning::{is_alike, is_same_answer, words};
use crate::observation::{Setting, metric};
use crate::proposal::Measurement;
use crate::{Outcome, Proposal, Strategy, StrategyError, Verdict};

/// Observations before each round trip.
const BETWEEN_TRIPS: u64 = 20;

/// Round trips.
const TRIPS: u64 = 4;

/// Time between the last observation before a round trip and the first one after it. What is under way ends before it,
/// and pauses are over after it: what matters then was learned, and that is what must survive.
const REST_MS: u64 = 3_600_000;

/// Observations after each, in which the answers must be the same.
const AFTER: u64 = 3;

pub(super) fn check<E>(trial: &mut Trial<'_, E>) -> Result<(), E> {
    let (mut newest, mut world) = (Vec::new(), World::default());
    let first = ordinary(&mut trial.numbers, 0);
    let strategy = trial.told(&first)?;
    for trip in 0..TRIPS {
        let mut open = Vec::new();
        let rest_ms = trip * REST_MS;
        for at in 0..BETWEEN_TRIPS {
            if trial.is_given_up() {
                return Ok(());
            }
            let case = world.at(ordinary(&mut trial.numbers, trip * BETWEEN_TRIPS + at), rest_ms);
            let asked_for = live(trial, strategy.as_ref(), &case);
            world.apply(&asked_for);
            open.extend(asked_for);
        }
        close(trial, strategy.as_ref(), open);
        let case = world.at(ordinary(&mut trial.numbers, (trip + 1) * BETWEEN_TRIPS), rest_ms + REST_MS);
        if !trial.tell(strategy.as_ref(), &case) {
            return Ok(());
        }
        let saved = strategy.save();
        let Some(state) = trial.passed(saved, "round trip") else { return Ok(()) };
        round_trip(trial, (&strategy, &mut world), &case, &state)?;
        newest = state;
    }
    foreign(trial, &first, &newest)
}

/// Where everything that is asked for is applied, and nobody else turns anything.
#[derive(Default)]
struct World {
    settings: Vec<Setting>,
}

impl World {
    /// The case so much later, with the settings of this world.
    fn at(&mut self, mut case: Case, later_ms: u64) -> Case {
        case.observation.now_ms += later_ms;
        for seen in &mut case.observation.settings {
            match self.settings.iter().find(|known| known.name == seen.name && known.scope == seen.scope) {
                Some(known) => seen.value = known.value.clone(),
                None => self.settings.push(seen.clone()),
            }
        }
        case
    }

    fn apply(&mut self, proposals: &[Proposal]) {
        for proposal in proposals {
            let is_it = |known: &&mut Setting| known.name == proposal.name && known.scope == proposal.scope;
            if let Some(known) = self.settings.iter_mut().find(is_it) {
                known.value = proposal.value.clone();
            }
        }
    }
}

/// One moment in service: everything asked for is applied. Gives what was.
fn live<E>(trial: &mut Trial<'_, E>, strategy: &dyn Strategy, case: &Case) -> Vec<Proposal> {
    if !trial.tell(strategy, case) {
        return Vec::new();
    }
    let Ok(proposals) = trial.propose(strategy, case) else { return Vec::new() };
    let outcomes: Vec<Outcome> = proposals.iter().map(|proposal| applied(proposal, None)).collect();
    let learned = strategy.learn(&outcomes);
    trial.passed(learned, "round trip");
    proposals
}

/// The second outcome of every change that was applied: it is kept, and it helped.
fn close<E>(trial: &mut Trial<'_, E>, strategy: &dyn Strategy, open: Vec<Proposal>) {
    let outcomes = open.iter().map(|proposal| {
        let expected = proposal.expected.as_ref().map(|expected| expected.metric.clone());
        let metric = expected.unwrap_or_else(|| metric::RESPONSE_TIME.to_owned());
        applied(proposal, Some(Measurement { metric, before: 100.0, after: 80.0 }))
    });
    let outcomes: Vec<Outcome> = outcomes.collect();
    let learned = strategy.learn(&outcomes);
    trial.passed(learned, "round trip");
}

fn applied(proposal: &Proposal, measured: Option<Measurement>) -> Outcome {
    Outcome {
        name: proposal.name.clone(),
        scope: proposal.scope.clone(),
        proposed: proposal.value.clone(),
        verdict: Verdict::Applied,
        detail: String::new(),
        measured,
    }
}

/// Two fresh instances get the state: they must agree with each other, and save the same state again.
fn round_trip<E>(
    trial: &mut Trial<'_, E>,
    (live, world): (&Arc<dyn Strategy>, &mut World),
    case: &Case,
    state: &[u8],
) -> Result<(), E> {
    let place = "save and restore".to_owned();
    let (one, other) = (trial.told(case)?, trial.told(case)?);
    for fresh in [&one, &other] {
        match fresh.restore(state) {
            Err(StrategyError::Fault { message, .. }) => {
                let says = format!("it refuses the state that it has just saved: {message}");
                let fix = "let `restore` take what `save` of the same version gives";
                trial.findings.add(Error, "own-state-refused", "restore", (place, says, fix));
                return Ok(());
            }
            restored => {
                if trial.passed(restored, &place).is_none() {
                    return Ok(());
                }
            }
        }
    }
    let again = one.save();
    if let Some(again) = trial.passed(again, &place)
        && again != state
    {
        let says = format!("{} bytes of state, restored and saved again, are {} other bytes", state.len(), again.len());
        let fix = "let `restore` take over all that `save` wrote, and write it in one order";
        trial.findings.add(Warning, "state-changed", "save", (place.clone(), says, fix));
    }
    let (mut numbers, now_ms) = (trial.numbers.clone(), case.observation.now_ms);
    for at in 0..AFTER {
        let mut case = if at == 0 { case.clone() } else { world.at(ordinary(&mut numbers, at), 0) };
        case.observation.now_ms = now_ms + at * u64::from(case.observation.interval_ms);
        let instances = [&one, &other, live];
        if !instances.iter().all(|instance| trial.tell(instance.as_ref(), &case)) {
            return Ok(());
        }
        let [first, second, went_on] = instances.map(|instance| trial.propose(instance.as_ref(), &case));
        if !is_same_answer(&first, &second) {
            let says = "two fresh instances with the same state answer differently";
            let fix = "let all that matters for an answer come from the state and the observation";
            trial.findings.add(Error, "not-deterministic", "restore", (place, says, fix));
            return Ok(());
        }
        if !is_alike(&first, &went_on) {
            let (severity, remembers) = match state.is_empty() {
                true => (Warning, "it remembers what matters for its answers, and saves nothing"),
                false => (Note, "it remembers more than it saves"),
            };
            let (fresh, went_on) = (words(&first), words(&went_on));
            let says =
                format!("{remembers}: where it asks for {went_on}, a fresh instance with its state asks for {fresh}");
            let fix = "save what should survive: instances are made anew at swaps, restarts and any other time";
            trial.findings.add(severity, "unsaved-memory", "save", (place, says, fix));
            return Ok(());
        }
    }
    Ok(())
}

/// State that is damaged, cut short, or somebody else's.
fn foreign<E>(trial: &mut Trial<'_, E>, case: &Case, own: &[u8]) -> Result<(), E> {
    let mut flipped = own.to_vec();
    if !own.is_empty() {
        let at = trial.numbers.up_to(own.len() as u64 - 1) as usize;
        flipped[at] ^= 0xff;
    }
    let numbers = &mut trial.numbers;
    let others: Vec<(&str, Vec<u8>, bool)> = vec![
        ("one byte", vec![0], true),
        ("64 random bytes", numbers.bytes(64), true),
        ("64 KiB of random bytes", numbers.bytes(64 << 10), true),
        ("text of another strategy", b"{\"version\": 7, \"weights\": [1, 2, 3]}".to_vec(), true),
        ("64 KiB of zeros", vec![0; 64 << 10], true),
        // Whether damage can be noticed depends on the form of the state; it must not end in a trap either way.
        ("its own state, cut in half", own[..own.len() / 2].to_vec(), false),
        ("its own state with one byte flipped", flipped, false),
        ("its own state twice", [own, own].concat(), false),
    ];
    for (what, state, is_foreign) in others {
        let strategy = trial.told(case)?;
        let place = format!("restore of {what}");
        match strategy.restore(&state) {
            Err(StrategyError::Fault { .. }) => {
                trial.figures.calls += 1;
                let untouched = trial.told(case)?;
                let answer = trial.propose(strategy.as_ref(), case);
                let expected = trial.propose(untouched.as_ref(), case);
                if !is_same_answer(&answer, &expected) {
                    let says = "after state that it refused it answers otherwise than a fresh instance";
                    let fix = "read the whole state before any of it is taken over";
                    trial.findings.add(Warning, "half-restored", "restore", (place, says, fix));
                }
            }
            Err(error) => {
                let says = format!("it fails where it should refuse: {error}");
                let fix =
                    "check the state's form and length as it is read, and answer `unsupported` for what is not its own";
                trial.findings.add(Error, "restore-fails", error.code(), (place, says, fix));
            }
            // One that keeps no state has nothing to tell its own from others' by.
            Ok(()) if is_foreign && !own.is_empty() => {
                let says = "it takes state that it never saved";
                let fix =
                    "begin the state with a mark and a version, and answer `unsupported` where they are not there";
                trial.findings.add(Warning, "foreign-state-taken", "restore", (place, says, fix));
            }
            Ok(()) => trial.figures.calls += 1,
        }
    }
    Ok(())
}
