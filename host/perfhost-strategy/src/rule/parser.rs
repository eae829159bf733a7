//! From pieces to rules: one function for each line of the grammar in [`super`].

mod steps;

use std::time::Duration;

use super::condition::{Condition, Operator, Statistic, Trigger};
use super::error::Problem;
use super::token::{Kind, Token, tokens};
use super::{DEFAULT_COOLDOWN, Rule, names, quantity};
use crate::Scope;
use crate::observation::metric::MetricInfo;

/// A problem and the byte at which it is.
type Wrong = (usize, Problem);

/// Words that stand between the parts of a rule, so that nothing can be called by them.
const RESERVED: [&str; 6] = ["and", "for", "until", "every", "cooldown", "keep"];

/// Reads one line.
pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token<'a>>,
    next: usize,
}

/// The name before a rule, as far as it can be made out in a line that may be wrong.
pub(super) fn name_of(line: &str) -> Option<String> {
    let (name, _) = line.split_once(':')?;
    super::parse_name(name).ok()
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, Wrong> {
        Ok(Self { text, tokens: tokens(text)?, next: 0 })
    }

    /// That nothing follows.
    pub(super) fn end(&mut self) -> Result<(), Wrong> {
        if self.peek().is_none() { Ok(()) } else { Err(self.expected("the end")) }
    }

    /// A whole rule.
    pub(super) fn rule(&mut self) -> Result<Rule, Wrong> {
        let has_name = matches!(self.tokens.get(1), Some(token) if token.kind == Kind::Sign(":"));
        let name = if has_name { Some(self.name()?) } else { None };
        if has_name {
            self.next += 1;
        }
        let first = self.next;
        let trigger = self.trigger()?;
        if !self.takes_sign("->") {
            return Err(self.expected(match trigger.hold.is_zero() {
                true => "`and`, `for` or `->`",
                false => "`->` and what to do",
            }));
        }
        let mut actions = Vec::new();
        loop {
            let at = self.at();
            let action = self.action()?;
            steps::check_weights(&action, trigger.provider()).map_err(|problem| (at, problem))?;
            actions.push(action);
            if !self.takes_sign(",") {
                break;
            }
        }
        let mut rule = Rule {
            name,
            text: String::new(),
            trigger,
            actions,
            until: None,
            every: None,
            cooldown: DEFAULT_COOLDOWN,
            is_kept: false,
        };
        self.options(&mut rule)?;
        rule.text = self.written_since(first);
        Ok(rule)
    }

    fn options(&mut self, rule: &mut Rule) -> Result<(), Wrong> {
        let mut given: Vec<&'static str> = Vec::new();
        while self.peek().is_some() {
            let at = self.at();
            let Some(option) = ["until", "every", "cooldown", "keep"].into_iter().find(|word| self.takes_word(word))
            else {
                return Err(self.expected("`,`, `until`, `every`, `cooldown`, `keep` or the end"));
            };
            if given.contains(&option) {
                return Err((at, Problem::Twice { option }));
            }
            given.push(option);
            match option {
                "until" => {
                    let at = self.at();
                    let until = self.trigger()?;
                    rule.trigger.check_apart(&until).map_err(|problem| (at, problem))?;
                    rule.until = Some(until);
                }
                "every" => rule.every = Some(self.duration()?),
                "cooldown" => rule.cooldown = self.duration()?,
                _ => rule.is_kept = true,
            }
        }
        Ok(())
    }

    /// Conditions, and for how long.
    pub(super) fn trigger(&mut self) -> Result<Trigger, Wrong> {
        let mut conditions = vec![self.condition()?];
        while self.takes_word("and") {
            conditions.push(self.condition()?);
        }
        let hold = if self.takes_word("for") { self.duration()? } else { Duration::ZERO };
        Ok(Trigger { conditions, hold })
    }

    fn condition(&mut self) -> Result<Condition, Wrong> {
        let first = self.next;
        let (info, statistic) = self.metric()?;
        let scope = self.scope().map(Scope::parse);
        let written = self.written_since(first);
        let operator =
            [(">", Operator::Above), (">=", Operator::AtLeast), ("<", Operator::Below), ("<=", Operator::AtMost)]
                .into_iter()
                .find(|(sign, _)| self.takes_sign(sign));
        let Some((_, operator)) = operator else { return Err(self.expected("one of > >= < <=")) };
        let at = self.at();
        let (number, unit) = self.number("a threshold")?;
        let threshold = if info.unit == "ratio" {
            quantity::share(number, unit)
        } else {
            quantity::in_unit(number, unit, info.unit)
        };
        let threshold = threshold.ok_or_else(|| self.wrong_unit(info.name, info.unit))?;
        let condition =
            Condition { written, metric: info.name, unit: info.unit, statistic, scope, operator, threshold };
        condition.check().map_err(|problem| (at, problem))?;
        Ok(condition)
    }

    fn metric(&mut self) -> Result<(&'static MetricInfo, Statistic), Wrong> {
        let at = self.at();
        let word = self.word("the name of a metric")?;
        names::metric(word).map_err(|problem| (at, problem))
    }

    /// A duration.
    pub(super) fn duration(&mut self) -> Result<Duration, Wrong> {
        let (start, expected) = (self.next, "a duration such as 30s, 5m or 1h, at most 30d");
        let (number, unit) = self.number(expected)?;
        quantity::duration(number, unit).ok_or_else(|| {
            self.next = start;
            self.expected(expected)
        })
    }

    /// A name.
    pub(super) fn name(&mut self) -> Result<String, Wrong> {
        self.word("a name of letters, digits, - and _").map(str::to_owned)
    }

    fn number(&mut self, expected: &str) -> Result<(f64, &'a str), Wrong> {
        match self.peek() {
            Some(Token { kind: Kind::Number { number, unit }, .. }) => {
                self.next += 1;
                Ok((number, unit))
            }
            _ => Err(self.expected(expected)),
        }
    }

    fn word(&mut self, expected: &str) -> Result<&'a str, Wrong> {
        match self.peek() {
            Some(token) if token.kind == Kind::Word && !RESERVED.contains(&token.text) => {
                self.next += 1;
                Ok(token.text)
            }
            _ => Err(self.expected(expected)),
        }
    }

    fn scope(&mut self) -> Option<&'a str> {
        let Some(Token { kind: Kind::Scope(scope), .. }) = self.peek() else { return None };
        self.next += 1;
        Some(scope)
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is_it = matches!(self.peek(), Some(token) if token.kind == Kind::Word && token.text == word);
        self.next += usize::from(is_it);
        is_it
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let is_it = matches!(self.peek(), Some(Token { kind: Kind::Sign(found), .. }) if found == sign);
        self.next += usize::from(is_it);
        is_it
    }

    fn take(&mut self) -> Option<Token<'a>> {
        let token = self.peek()?;
        self.next += 1;
        Some(token)
    }

    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).copied()
    }

    /// The byte at which the next piece begins; behind the last one, the end of the text.
    fn at(&self) -> usize {
        self.peek().map_or(self.text.trim_end().len(), |token| token.at)
    }

    /// What was read since the piece `first`, spaced as one would.
    fn written_since(&self, first: usize) -> String {
        let pieces: Vec<&str> = self.tokens[first..self.next].iter().map(|token| token.text).collect();
        pieces.join(" ").replace(" ,", ",").replace(" @", "@").replace('→', "->")
    }

    fn expected(&self, expected: &str) -> Wrong {
        let found = self.peek().map_or("the end".to_owned(), |token| format!("`{}`", token.text));
        (self.at(), Problem::Unexpected { found, expected: expected.to_owned() })
    }

    /// The number that was just read has a unit that does not fit.
    fn wrong_unit(&self, name: &str, unit: &str) -> Wrong {
        let token = &self.tokens[self.next.saturating_sub(1)];
        let (found, name) = (token.text.to_owned(), name.to_owned());
        (token.at, Problem::Unit { found, name, allowed: quantity::allowed(unit) })
    }
}
