//! The written form of rules and conditions: "when this is measured for so long, do that, until this".
//!
//! Owns the language: reading it, what its names mean, and when a condition holds. Turning knobs is the business of the
//! `rules` strategy, telling people that of alerts; both read the same form here, and the host's configuration checks it
//! here, so that a mistake is found before anything runs.
//!
//! # Language
//!
//! ```text
//! rule      = [ name ":" ] trigger "->" action { "," action } { option }
//! trigger   = condition { "and" condition } [ "for" duration ]
//! condition = metric [ "@" scope ] ( ">" | ">=" | "<" | "<=" ) number
//! option    = "until" trigger | "every" duration | "cooldown" duration | "keep"
//! action    = named [ "@" provider ]
//!           | "set" knob [ "@" provider ] "=" value
//!           | ( "raise" | "lower" ) knob [ "@" provider ] "by" ( number | number "%" | number "x" )
//!           | "restore" knob [ "@" provider ]
//! ```
//!
//! One rule a line; from `#` to the end of the line is a comment. An alert is written as a trigger alone:
//! `response_time_p95 > 5000 for 3m`. `→` may stand for `->`.
//!
//! - **metric**: a name of [`crate::observation::metric`]; a unit at its end may be left out (`response_time` for
//!   `response_time_ms`), `ttft` and `tpot` are short for the times to and per token. `_mean`, `_avg`, `_min`, `_max`,
//!   `_p50`, `_p95` or `_p99` after it says which number of its distribution is meant; the mean, if nothing does.
//! - **number**: in the metric's unit, or with one: `5s`, `90%`, `512MiB`. A share lies between 0 and 1, so a larger
//!   number without a unit is per cent: `cpu_usage > 7.0` is 7 %, `cpu_usage > 0.7` is 70 %.
//! - **scope**: a provider, or `provider/model`. Without one the whole host is meant; what is measured only at providers
//!   (`engine_requests_deferred`) counts where it is worst.
//! - **duration**: `30s`, `5m`, `1h`, `2d`, `500ms`.
//! - **named**: one of [`NAMED_ACTIONS`].
//!
//! ```
//! use perfhost_strategy::rule::Rule;
//!
//! let rules = Rule::parse_all("hot: cpu_usage > 7.0 for 5m -> enable_aggressive_caching until cpu_usage < 5.0 for 2m")?;
//! assert_eq!((rules[0].name.as_deref(), rules[0].actions.len()), (Some("hot"), 1));
//! let error = Rule::parse_all("cpu_usge > 7 -> reduce_slots").unwrap_err();
//! assert_eq!(error.to_string(), "rule 1, line 1, column 1: no metric is called `cpu_usge`; did you mean `cpu_usage`?");
//! # Ok::<(), perfhost_strategy::rule::RuleError>(())
//! ```

mod action;
mod condition;
mod error;
mod goal;
mod measured;
mod named;
mod names;
mod parser;
mod quantity;
mod token;
mod watch;

use std::time::Duration;

pub use action::{Action, Aim, Amount, Operation, Place, Step};
pub use condition::{Condition, Operator, Statistic, Trigger};
pub use error::{Position, Problem, RuleError};
pub use measured::{EVENTS_MIN, Measured, Reading, SAMPLES_MIN, SAMPLES_MIN_P95, SAMPLES_MIN_P99};
pub use named::{NAMED_ACTIONS, NamedAction};
pub use watch::{Event, Timing, Watch};

use parser::Parser;

/// Most rules in one text.
pub const MOST_RULES: usize = 64;
/// Longest line, in bytes, so that a reason can quote the rule.
pub const MOST_LINE_BYTES: usize = 500;
/// Time after a rule has cleared before it may fire again, where it says nothing else.
pub const DEFAULT_COOLDOWN: Duration = Duration::from_secs(60);

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What people call it.
    pub name: Option<String>,
    /// As it was written, without its name, comments and superfluous spaces.
    pub text: String,
    /// When it fires.
    pub trigger: Trigger,
    /// What it does then, in order.
    pub actions: Vec<Action>,
    /// When it has cleared; `None` for "beyond the trigger's threshold by a tenth, for as long as the trigger needs".
    pub until: Option<Trigger>,
    /// While the trigger holds, it acts again each time this has passed.
    pub every: Option<Duration>,
    /// Time after it has cleared before it may fire again.
    pub cooldown: Duration,
    /// What it changed stays when it has cleared.
    pub is_kept: bool,
}

impl Rule {
    /// Reads one rule a line.
    ///
    /// # Errors
    /// The first mistake, with its place in `text`.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, RuleError> {
        let mut rules: Vec<Self> = Vec::new();
        for (line, written) in text.lines().enumerate() {
            let bare = written.split('#').next().unwrap_or_default();
            if bare.trim().is_empty() {
                continue;
            }
            let number = rules.len() + 1;
            let read = if number > MOST_RULES {
                Err((0, Problem::TooMany { allowed: MOST_RULES }))
            } else {
                Self::parse(bare).and_then(|rule| rule.check_unlike(&rules).map(|()| rule))
            };
            rules.push(read.map_err(|(at, problem)| {
                let position =
                    Position { rule: Some(number), name: parser::name_of(bare), ..Position::of(written, at) };
                RuleError::new(Position { line: line + 1, ..position }, problem)
            })?);
        }
        Ok(rules)
    }

    fn parse(line: &str) -> Result<Self, (usize, Problem)> {
        if line.trim().len() > MOST_LINE_BYTES {
            return Err((0, Problem::TooLong { allowed: MOST_LINE_BYTES }));
        }
        let mut parser = Parser::new(line)?;
        let rule = parser.rule()?;
        parser.end()?;
        Ok(rule)
    }

    /// Two rules of the same name or text could not be told apart.
    fn check_unlike(&self, others: &[Self]) -> Result<(), (usize, Problem)> {
        let is_alike = |other: &Self| other.text == self.text || (self.name.is_some() && other.name == self.name);
        match others.iter().position(is_alike) {
            Some(at) => Err((0, Problem::Alike { other: at + 1 })),
            None => Ok(()),
        }
    }

    /// The name, or the text where there is none.
    pub fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.text)
    }

    /// How long what must hold.
    pub fn timing(&self) -> Timing {
        Timing {
            hold: self.trigger.hold,
            clear: self.until.as_ref().map_or(self.trigger.hold, |until| until.hold),
            every: self.every,
            cooldown: self.cooldown,
        }
    }
}

impl Trigger {
    /// Reads a trigger alone, as alerts and configuration write it.
    ///
    /// # Errors
    /// The first mistake, with its place in `text`.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        fragment(text, Parser::trigger)
    }
}

impl Action {
    /// Reads an action alone, as configuration writes it.
    ///
    /// # Errors
    /// The first mistake, with its place in `text`.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        fragment(text, Parser::action)
    }
}

/// Reads a duration alone: `30s`, `5m`, `1h`.
///
/// # Errors
/// What was found in its place.
pub fn parse_duration(text: &str) -> Result<Duration, RuleError> {
    fragment(text, Parser::duration)
}

/// Reads a rule's name alone: letters, digits, `-` and `_`.
///
/// # Errors
/// What was found in its place.
pub fn parse_name(text: &str) -> Result<String, RuleError> {
    fragment(text, Parser::name)
}

fn fragment<'a, T>(
    text: &'a str,
    read: impl FnOnce(&mut Parser<'a>) -> Result<T, (usize, Problem)>,
) -> Result<T, RuleError> {
    let read_all = || {
        let mut parser = Parser::new(text)?;
        let found = read(&mut parser)?;
        parser.end().map(|()| found)
    };
    read_all().map_err(|(at, problem)| RuleError::new(Position::of(text, at), problem))
}
