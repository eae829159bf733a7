//! The right side of a rule: what to turn, where, and by how much.

use super::{Parser, Wrong};
use crate::knob::{Bounds, Knob, parse_value};
use crate::rule::action::{Action, Aim, Amount, Operation, Place, Step};
use crate::rule::error::Problem;
use crate::rule::named::NAMED_ACTIONS;
use crate::rule::token::{Kind, Token};
use crate::rule::{names, quantity};
use crate::scope::ScopeKind;
use crate::{KnobId, Value};

/// The place that is no provider's name.
const HEAVIER: &str = "heavier";

impl Parser<'_> {
    /// One action.
    pub(in crate::rule) fn action(&mut self) -> Result<Action, Wrong> {
        let (first, start) = (self.next, self.at());
        let word = self.word("an action")?;
        let steps = match word {
            "set" | "raise" | "lower" => vec![self.turn(word)?],
            "restore" => self.restore()?,
            name => {
                let Some(named) = NAMED_ACTIONS.iter().find(|named| named.name == name) else {
                    let known =
                        NAMED_ACTIONS.iter().map(|named| named.name).chain(["set", "raise", "lower", "restore"]);
                    return Err((start, names::unknown("action", name, "", name, known)));
                };
                let mut steps = Vec::new();
                for step in named.steps {
                    steps.extend(
                        Parser::new(step)
                            .and_then(|mut parser| parser.action())
                            .map_err(|(_, problem)| (start, problem))?
                            .steps,
                    );
                }
                self.place_all(&mut steps)?;
                steps
            }
        };
        Ok(Action { written: self.written_since(first), steps })
    }

    /// `@provider` behind a named action goes to its steps that have no place of their own.
    fn place_all(&mut self, steps: &mut [Step]) -> Result<(), Wrong> {
        let at = self.at();
        let Some(provider) = self.scope() else { return Ok(()) };
        let mut open: Vec<&mut Step> = steps
            .iter_mut()
            .filter(|step| step.knob.knob().scope != ScopeKind::Global && step.place == Place::Unsaid)
            .collect();
        if open.is_empty() {
            let message = "this action turns nothing that one provider has of its own: leave out `@`";
            return Err((at, Problem::Scope(message.to_owned())));
        }
        let place = place(provider).map_err(|problem| (at, problem))?;
        open.iter_mut().for_each(|step| step.place = place.clone());
        Ok(())
    }

    fn turn(&mut self, verb: &str) -> Result<Step, Wrong> {
        let (knob, place) = self.knob()?;
        let entry = knob.knob();
        let operation = match verb {
            "set" if self.takes_sign("=") => Operation::Set(self.aim(&entry)?),
            "set" => return Err(self.expected("`=` and a value")),
            _ if self.takes_word("to") => {
                let aim = self.aim(&entry)?;
                if verb == "raise" { Operation::RaiseTo(aim) } else { Operation::LowerTo(aim) }
            }
            _ if self.takes_word("by") => {
                let amount = self.amount(&entry, verb)?;
                if verb == "raise" { Operation::RaiseBy(amount) } else { Operation::LowerBy(amount) }
            }
            _ => return Err(self.expected("`by` and an amount, or `to` and a value")),
        };
        Ok(Step { knob, operation, place })
    }

    fn restore(&mut self) -> Result<Vec<Step>, Wrong> {
        let step = |knob, place| Step { knob, operation: Operation::Restore, place };
        if self.takes_word("all") {
            return Ok(KnobId::ALL.iter().map(|knob| step(*knob, Place::Unsaid)).collect());
        }
        self.knob().map(|(knob, place)| vec![step(knob, place)])
    }

    fn knob(&mut self) -> Result<(KnobId, Place), Wrong> {
        let at = self.at();
        let word = self.word("the name of a knob")?;
        let Some(knob) = KnobId::by_name(word) else {
            return Err((at, names::unknown("knob", word, "", word, KnobId::ALL.iter().map(|id| id.name()))));
        };
        let at = self.at();
        let Some(provider) = self.scope() else { return Ok((knob, Place::Unsaid)) };
        if knob.knob().scope == ScopeKind::Global {
            let message = format!("{word} applies to the whole host, not to one provider: leave out `@`");
            return Err((at, Problem::Scope(message)));
        }
        Ok((knob, place(provider).map_err(|problem| (at, problem))?))
    }

    /// A value for a knob, or a share of a metric in its unit.
    fn aim(&mut self, knob: &Knob) -> Result<Aim, Wrong> {
        let start = self.next;
        if let Some(Token { kind: Kind::Number { number, unit: "%" }, .. }) = self.take()
            && self.takes_word("of")
        {
            let at = self.at();
            let (info, statistic) = self.metric()?;
            if info.unit != knob.unit || is_of_words(knob) {
                let problem =
                    format!("{} is measured in {}, {} is set in {}", info.name, info.unit, knob.name, unit_words(knob));
                return Err((at, Problem::Value { knob: knob.name, problem }));
            }
            return Ok(Aim::Share { share: number / 100.0, metric: info.name, statistic });
        }
        self.next = start;
        let at = self.at();
        let Some(token) = self.take().filter(|token| matches!(token.kind, Kind::Word | Kind::Number { .. })) else {
            self.next = start;
            return Err(self.expected(&knob.bounds.expected()));
        };
        let value = match (token.kind, &knob.bounds) {
            (Kind::Number { number, unit }, Bounds::IntegerRange(..) | Bounds::NumberRange(..)) => {
                let number = quantity::in_unit(number, unit, knob.unit);
                let number = number.ok_or_else(|| self.wrong_unit(knob.name, knob.unit))?;
                let value = whole(knob, number);
                knob.bounds.check(&value).map(|()| value)
            }
            _ => parse_value(&knob.bounds, token.text),
        };
        value.map(Aim::Value).map_err(|problem| (at, Problem::Value { knob: knob.name, problem }))
    }

    fn amount(&mut self, knob: &Knob, verb: &str) -> Result<Amount, Wrong> {
        let at = self.at();
        let refuse = |problem: &str| (at, Problem::Value { knob: knob.name, problem: problem.to_owned() });
        if is_of_words(knob) {
            return Err(refuse("it takes words, which cannot be raised or lowered by an amount: use `to`"));
        }
        let (number, unit) = self.number("an amount such as 2x, 10% or 4")?;
        let amount = match unit {
            "x" if number > 1.0 => Amount::Times(number),
            "x" => return Err(refuse("a factor must be above 1")),
            "%" if verb == "lower" && number >= 100.0 => return Err(refuse("it cannot be lowered by 100 % or more")),
            "%" => Amount::Share(number / 100.0),
            _ => match quantity::in_unit(number, unit, knob.unit) {
                Some(amount) => Amount::By(amount),
                None => return Err(self.wrong_unit(knob.name, knob.unit)),
            },
        };
        if number > 0.0 { Ok(amount) } else { Err(refuse("an amount must be above 0")) }
    }
}

fn place(written: &str) -> Result<Place, Problem> {
    match written {
        HEAVIER => Ok(Place::Heavier),
        model if model.contains('/') => Err(Problem::Scope(format!(
            "knobs belong to a provider, not to one of its models: write `@{}`",
            model.split('/').next().unwrap_or_default()
        ))),
        provider => Ok(Place::Provider(provider.to_owned())),
    }
}

/// Weights are shares among providers: turning all of them alike changes nothing.
pub(super) fn check_weights(action: &Action, provider: Option<&str>) -> Result<(), Problem> {
    let is_for_all = |step: &Step| {
        step.knob == KnobId::CandidateWeight
            && step.place == Place::Unsaid
            && provider.is_none()
            && step.operation != Operation::Restore
    };
    if !action.steps.iter().any(is_for_all) {
        return Ok(());
    }
    let name = &action.written;
    Err(Problem::Scope(format!("`{name}` needs a provider: name one with `@` behind it, or in the trigger")))
}

fn is_of_words(knob: &Knob) -> bool {
    matches!(knob.bounds, Bounds::OneOf(_) | Bounds::AnyFlag)
}

fn unit_words(knob: &Knob) -> &'static str {
    if is_of_words(knob) { "words" } else { knob.unit }
}

/// A number as the knob's type. One with a fraction stays one, for the bounds to refuse.
fn whole(knob: &Knob, number: f64) -> Value {
    match knob.bounds {
        Bounds::IntegerRange(..) if number.fract() == 0.0 && number.abs() < 9e15 => Value::Integer(number as i64),
        _ => Value::Number(number),
    }
}
