//! How far one change may move a knob: the arithmetic of [`Step`].

use crate::Value;
use crate::knob::{Knob, Step};

/// A number below this share of its default may go to 0; halving alone would never get there. Whole numbers need no such
/// rule: they move by 1.
const NEXT_TO_NOTHING: f64 = 0.01;

/// The value nearest to `wanted` that one change may reach from `present`.
///
/// Whole numbers may always move by 1, so that a factor of 2 leads from 1 to 2. A knob at 0 is switched off, and no
/// factor leads away from 0: it may go up to its default at once. Flags and words have no distance.
pub(super) fn within_step(knob: &Knob, present: &Value, wanted: &Value) -> Value {
    let (Some(from), Some(to)) = (present.as_number(), wanted.as_number()) else { return wanted.clone() };
    let (lowest, highest) = match knob.step {
        Step::Free => return wanted.clone(),
        Step::Factor(factor) => factor_range(knob, from, factor.max(1.0)),
        Step::Amount(amount) => (from - amount.abs(), from + amount.abs()),
    };
    match wanted {
        Value::Integer(_) => {
            let (lowest, highest) = (lowest.ceil().min(from - 1.0), highest.floor().max(from + 1.0));
            if (lowest..=highest).contains(&to) {
                wanted.clone()
            } else {
                Value::Integer(to.clamp(lowest, highest) as i64)
            }
        }
        Value::Number(_) => Value::Number(to.clamp(lowest, highest)),
        Value::Flag(_) | Value::Text(_) => wanted.clone(),
    }
}

/// What the step allows, in words.
pub(super) fn step_words(step: Step) -> String {
    match step {
        Step::Free => "one change may go anywhere".to_owned(),
        Step::Factor(factor) => format!("one change may at most multiply or divide it by {factor}"),
        Step::Amount(amount) => format!("one change may move it by at most {amount}"),
    }
}

fn factor_range(knob: &Knob, from: f64, factor: f64) -> (f64, f64) {
    let usual = knob.default.as_number().unwrap_or(0.0).abs();
    if from == 0.0 {
        let reach = if usual > 0.0 { usual } else { 1.0 };
        return (-reach, reach);
    }
    let (larger, smaller) = (from * factor, from / factor);
    let is_number = matches!(knob.default, Value::Number(_));
    let smaller = if is_number && smaller.abs() < usual * NEXT_TO_NOTHING { 0.0 } else { smaller };
    (larger.min(smaller), larger.max(smaller))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KnobId;
    use Value::{Integer, Number};

    fn step(id: KnobId, from: Value, to: Value) -> Value {
        within_step(&id.knob(), &from, &to)
    }

    #[test]
    fn a_factor_of_two_doubles_and_halves_whole_numbers() {
        let slots = |from, to| step(KnobId::EngineSlots, Integer(from), Integer(to));
        assert_eq!(
            [slots(1, 8), slots(2, 8), slots(3, 64), slots(4, 8)],
            [Integer(2), Integer(4), Integer(6), Integer(8)]
        );
        assert_eq!([slots(8, 1), slots(5, 1), slots(2, 1)], [Integer(4), Integer(3), Integer(1)]);
        assert_eq!(slots(4, 5), Integer(5));
        assert_eq!(step(KnobId::ConcurrencyLimit, Integer(3), Integer(1)), Integer(2));
    }

    #[test]
    fn a_knob_that_is_off_comes_back_at_its_default_and_no_further() {
        assert_eq!(step(KnobId::CacheCapacity, Integer(0), Integer(1 << 40)), Integer(64 << 20));
        assert_eq!(step(KnobId::QueueLength, Integer(0), Integer(10)), Integer(10));
        assert_eq!(step(KnobId::CandidateWeight, Number(0.0), Number(50.0)), Number(1.0));
    }

    #[test]
    fn every_knob_of_a_range_can_be_led_to_both_its_ends() {
        for id in KnobId::ALL {
            let knob = id.knob();
            let ends = match knob.bounds {
                crate::knob::Bounds::IntegerRange(lowest, highest) => [Integer(lowest), Integer(highest)],
                crate::knob::Bounds::NumberRange(lowest, highest) => [Number(lowest), Number(highest)],
                _ => continue,
            };
            for end in [ends[0].clone(), ends[1].clone(), ends[0].clone()] {
                let mut at = knob.default.clone();
                for _ in 0..60 {
                    at = within_step(&knob, &at, &end);
                }
                assert_eq!(at, end, "{}", knob.name);
            }
        }
    }

    #[test]
    fn an_amount_moves_by_that_much_and_words_move_freely() {
        assert_eq!(step(KnobId::Retries, Integer(1), Integer(9)), Integer(2));
        let text = |word: &str| Value::Text(word.to_owned());
        assert_eq!(step(KnobId::EngineKvType, text("f16"), text("q4_0")), text("q4_0"));
    }
}
