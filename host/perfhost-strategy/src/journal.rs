//! What a strategy and the guard were told between two proposals, in the form in which the decision log keeps it.
//!
//! Together with each cycle's observation this is all that a strategy's answers and the guard's verdicts follow from, so
//! [`crate::replay`] can ask again and get the same. Owns the records; who writes them down is the host.

use serde::{Deserialize, Serialize};

use crate::guard::{GuardPolicy, Handover};
use crate::knob::{Bounds, OfferedKnob};
use crate::plan::FleetNames;
use crate::{KnobId, Outcome, Proposal, Scope};

/// Calls that are remembered between two proposals; of more, only their number is.
pub const MOST_CALLS: usize = 1_000;

/// Answers from history that are remembered between two proposals.
pub const MOST_HISTORY_ANSWERS: usize = 64;

/// Points in all of these answers together.
pub const MOST_HISTORY_POINTS: usize = 8_192;

/// Bytes of the names in one question to history; longer ones name nothing that is recorded.
const MOST_NAME_BYTES: usize = 1_024;

/// What a strategy was told between two proposals.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// The calls, in order.
    pub calls: Vec<Call>,
    /// What it asked of history from the proposal before to this one, in order, with the answers.
    pub history: Vec<HistoryAnswer>,
    /// Calls and answers that were too many to be kept. Where this is not 0, a replay may differ.
    pub lost: u64,
}

/// One call of a strategy's control interface, other than `propose`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// A new instance that was told nothing yet. Nothing before this matters.
    Loaded,
    /// `configure`.
    Configured {
        /// What the user set.
        parameters: Vec<(String, String)>,
        /// What may be turned.
        knobs: Vec<KnobOffer>,
    },
    /// `restore`.
    Restored {
        /// The state.
        #[serde(with = "hexadecimal")]
        state: Vec<u8>,
    },
    /// `fleet`.
    Fleet(FleetNames),
    /// `learn`.
    Learned(Vec<Outcome>),
    /// The control instance was made anew from what it was told and had saved: [`crate::Strategy::renew`].
    Renewed,
}

/// A knob on offer, by name; the rest is in the registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnobOffer {
    /// Its name.
    pub name: String,
    /// Where it can be turned.
    pub at: Scope,
    /// Its bounds there.
    pub bounds: Bounds,
}

/// What one question to history was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryAnswer {
    /// The metric asked for.
    pub metric: String,
    /// Where.
    pub scope: String,
    /// From when, Unix time in milliseconds.
    pub from_ms: u64,
    /// Until when, Unix time in milliseconds.
    pub to_ms: u64,
    /// One point for each so many milliseconds.
    pub step_ms: u32,
    /// The answer: time in milliseconds, count, mean and 95th percentile of each point.
    pub points: Vec<(u64, u64, f64, f64)>,
}

/// What the guard was told between two cycles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuardCall {
    /// A new guard, with nothing pending.
    Started(GuardPolicy),
    /// Another policy.
    Policy(GuardPolicy),
    /// A reload knob's change took effect.
    TookEffect {
        /// The decision.
        decision: u64,
        /// When, Unix time in milliseconds.
        at_ms: u64,
    },
    /// A reload knob's change could not take effect.
    FailedToApply {
        /// The decision.
        decision: u64,
        /// Why.
        why: String,
    },
    /// Another strategy is in service: [`crate::Guard::forget_pending`].
    Forgot,
    /// Another's turn in an experiment: [`crate::Guard::hand_over`].
    HandedOver(Handover),
    /// An engine runs with that turn's settings: [`crate::Guard::turn_took_effect`].
    TurnTookEffect {
        /// Since when, Unix time in milliseconds.
        at_ms: u64,
    },
    /// Proposals of the host's own (an alert's), judged after the cycle's review and before the strategy's.
    Judged(Vec<Proposal>),
}

impl KnobOffer {
    /// The form that the log keeps.
    pub fn of(offered: &OfferedKnob) -> Self {
        Self { name: offered.knob.name.to_owned(), at: offered.at.clone(), bounds: offered.bounds_here.clone() }
    }

    /// The knob as it is offered; `None` when the registry no longer has it.
    pub fn offered(&self) -> Option<OfferedKnob> {
        let knob = KnobId::by_name(&self.name)?.knob();
        Some(OfferedKnob { knob, at: self.at.clone(), bounds_here: self.bounds.clone() })
    }
}

impl Told {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a strategy's life begins in it.
    pub fn has_beginning(&self) -> bool {
        self.calls.contains(&Call::Loaded)
    }

    /// Notes a call. What came before a new instance no longer matters, and goes.
    pub fn note(&mut self, call: Call) {
        if call == Call::Loaded {
            self.calls.clear();
            self.lost = 0;
        }
        if self.calls.len() < MOST_CALLS { self.calls.push(call) } else { self.lost += 1 }
    }

    /// Notes an answer from history.
    pub fn note_answer(&mut self, answer: HistoryAnswer) {
        let points: usize = self.history.iter().map(|answer| answer.points.len()).sum();
        let is_short = answer.metric.len() + answer.scope.len() <= MOST_NAME_BYTES;
        let has_room = self.history.len() < MOST_HISTORY_ANSWERS;
        if is_short && has_room && points + answer.points.len() <= MOST_HISTORY_POINTS {
            self.history.push(answer);
        } else {
            self.lost += 1;
        }
    }
}

/// Bytes as a text of hexadecimal digits.
mod hexadecimal {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let digit = |half: u8| char::from(if half < 10 { b'0' + half } else { b'a' + half - 10 });
        let text: String = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let pairs = text.as_bytes().chunks(2);
        let byte = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
        pairs
            .map(|pair| byte(pair).ok_or_else(|| D::Error::custom("state is not written in hexadecimal digits")))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proposal::Measurement;
    use crate::{Value, Verdict};

    #[test]
    fn every_call_is_read_back_as_it_was_written() {
        let concurrency = KnobId::ConcurrencyLimit.knob();
        let offered = OfferedKnob { at: Scope::global(), bounds_here: concurrency.bounds.clone(), knob: concurrency };
        let outcome = Outcome {
            name: "candidate_weight".to_owned(),
            scope: Scope::provider("local"),
            proposed: Value::Number(2.0),
            verdict: Verdict::RolledBack,
            detail: "é".to_owned(),
            measured: Some(Measurement { metric: "error_rate".to_owned(), before: 0.1, after: 1e300 }),
        };
        let calls = vec![
            Call::Loaded,
            Call::Configured {
                parameters: vec![("a".to_owned(), "b".to_owned())],
                knobs: vec![KnobOffer::of(&offered)],
            },
            Call::Restored { state: vec![0, 15, 16, 255] },
            Call::Fleet(FleetNames { targets: Vec::new(), models: vec!["m".to_owned()] }),
            Call::Learned(vec![outcome]),
            Call::Renewed,
        ];
        let told = Told { calls, history: Vec::new(), lost: 3 };
        let text = serde_json::to_string(&told).unwrap();
        assert!(text.contains("000f10ff"), "{text}");
        assert_eq!(serde_json::from_str::<Told>(&text).unwrap(), told);
        assert_eq!(KnobOffer::of(&offered).offered(), Some(offered));
    }

    #[test]
    fn damaged_state_is_an_error_and_not_other_state() {
        for wrong in ["abc", "zz", "é0"] {
            let text = format!(r#"{{"calls":[{{"restored":{{"state":"{wrong}"}}}}]}}"#);
            assert!(serde_json::from_str::<Told>(&text).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_noted_is_bounded_and_a_new_instance_clears_it() {
        let mut told = Told::default();
        (0..MOST_CALLS + 5).for_each(|_| told.note(Call::Renewed));
        assert_eq!((told.calls.len(), told.lost, told.has_beginning()), (MOST_CALLS, 5, false));
        told.note(Call::Loaded);
        assert_eq!((told.calls.len(), told.lost, told.has_beginning()), (1, 0, true));
        let answer = |points| HistoryAnswer {
            metric: String::new(),
            scope: String::new(),
            from_ms: 0,
            to_ms: 0,
            step_ms: 1,
            points: vec![(0, 0, 0.0, 0.0); points],
        };
        told.note_answer(answer(MOST_HISTORY_POINTS - 1));
        told.note_answer(answer(2));
        (0..MOST_HISTORY_ANSWERS).for_each(|_| told.note_answer(answer(0)));
        assert_eq!((told.history.len(), told.lost), (MOST_HISTORY_ANSWERS, 2));
    }
}
