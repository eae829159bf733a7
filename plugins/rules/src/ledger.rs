//! What was changed, by which rule, from what, to what: so that everything can go back.
//!
//! The entries of one knob in one scope are a stack. A rule that turns a knob which another has turned already lies on
//! top of it and acts on what it finds. When the lower one goes, the upper one inherits what to go back to; the order in
//! which rules end does not matter. Only the top of a stack is acted on.

use perfhost_strategy::{KnobId, Value};

/// Most entries; rules that would need more do without.
pub const ENTRIES_MAX: usize = 1_024;

/// One knob in one scope.
pub type Spot<'a> = (KnobId, &'a str);

/// What an entry is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The rule holds: to the goal.
    Holding,
    /// The rule is over and its change stays.
    Kept,
    /// The rule is over: back.
    Returning,
}

/// What the knob should read, as far as this strategy is concerned.
#[derive(Debug, Clone, PartialEq)]
pub enum Put {
    /// Nothing was changed yet.
    Nothing,
    /// Something was changed; the host may have made less of it, so it has to be read.
    Unread,
    /// This.
    At(Value),
}

/// One rule's change of one knob.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The rule's text.
    pub rule: String,
    /// The knob.
    pub knob: KnobId,
    /// Where.
    pub scope: String,
    /// Its value before.
    pub from: Value,
    /// The value wanted.
    pub goal: Value,
    /// What is in place.
    pub put: Put,
    /// What comes next.
    pub phase: Phase,
    /// Whether the last measured step moved the rule's metric the right way.
    pub has_helped: Option<bool>,
}

impl Entry {
    /// The value to ask for, if it is not there.
    fn wanted(&self) -> Option<&Value> {
        match self.phase {
            Phase::Holding => Some(&self.goal),
            Phase::Returning => Some(&self.from),
            Phase::Kept => None,
        }
    }

    fn is_at(&self, (knob, scope): Spot<'_>) -> bool {
        self.knob == knob && self.scope == scope
    }
}

/// All entries, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    /// The entries.
    pub entries: Vec<Entry>,
}

impl Ledger {
    /// A rule wants a knob at `goal`; `present` is what it is now.
    pub fn hold(&mut self, rule: &str, (knob, scope): Spot<'_>, present: &Value, goal: Value) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.rule == rule && entry.is_at((knob, scope))) {
            (entry.goal, entry.phase) = (goal, Phase::Holding);
        } else if self.entries.len() < ENTRIES_MAX {
            self.entries.push(Entry {
                rule: rule.to_owned(),
                knob,
                scope: scope.to_owned(),
                from: present.clone(),
                goal,
                put: Put::Nothing,
                phase: Phase::Holding,
                has_helped: None,
            });
        }
    }

    /// Whether the rule's last step there was measured and did not help.
    pub fn is_of_no_help(&self, rule: &str, spot: Spot<'_>) -> bool {
        self.entries.iter().any(|entry| entry.rule == rule && entry.is_at(spot) && entry.has_helped == Some(false))
    }

    /// A rule is over. What it did not come to do cannot be kept.
    pub fn release(&mut self, rule: &str, is_kept: bool) {
        for entry in self.entries.iter_mut().filter(|entry| entry.rule == rule && entry.phase == Phase::Holding) {
            entry.phase = if is_kept && entry.put != Put::Nothing { Phase::Kept } else { Phase::Returning };
            entry.has_helped = None;
        }
    }

    /// Rules that are no longer there are over, and what they changed goes back.
    pub fn release_others(&mut self, is_there: impl Fn(&str) -> bool) {
        for entry in self.entries.iter_mut().filter(|entry| entry.phase == Phase::Holding && !is_there(&entry.rule)) {
            entry.phase = Phase::Returning;
        }
    }

    /// The knob goes back to what it was before any rule turned it: everywhere, or in one scope.
    pub fn restore(&mut self, knob: KnobId, scope: Option<&str>) {
        let is_meant = |entry: &Entry| entry.knob == knob && scope.is_none_or(|scope| entry.scope == scope);
        for entry in self.entries.iter_mut().filter(|entry| is_meant(entry)) {
            entry.phase = Phase::Returning;
        }
    }

    /// Brings the entries in line with what the knobs are now (`present`; `None` where there is no such knob).
    /// Where a change is `under_way` nothing is decided; whether it was applied yet says whether it can be read. A knob that
    /// somebody else has turned is theirs from then on: its entries go. Gives the rules that lost one.
    pub fn reconcile(
        &mut self,
        present: impl Fn(Spot<'_>) -> Option<Value>,
        under_way: Option<(Spot<'_>, bool)>,
    ) -> Vec<String> {
        let mut lost = Vec::new();
        let mut at = self.entries.len();
        while at > 0 {
            at -= 1;
            // An entry above may have taken others of its stack with it.
            let Some(entry) = self.entries.get(at) else { continue };
            let (knob, scope) = (entry.knob, entry.scope.clone());
            let spot = (knob, scope.as_str());
            let above = self.entries[at + 1..].iter().position(|other| other.is_at(spot)).map(|next| at + 1 + next);
            let under_way = under_way.filter(|(there, _)| *there == spot);
            if let Some(above) = above {
                if under_way.is_none() && self.entries[at].phase == Phase::Returning {
                    let gone = self.entries.remove(at);
                    let heir = &mut self.entries[above - 1];
                    heir.from = gone.from;
                    if heir.put == Put::Nothing {
                        heir.put = gone.put;
                    }
                }
                continue;
            }
            let present = present(spot);
            let entry = &mut self.entries[at];
            let can_be_read = under_way.is_none_or(|(_, is_applied)| is_applied);
            if entry.put == Put::Unread && can_be_read {
                entry.put = present.clone().map_or(Put::Nothing, Put::At);
            }
            if under_way.is_some() {
                continue;
            }
            let is_theirs = matches!(&entry.put, Put::At(put) if present.as_ref() != Some(put)) || present.is_none();
            let is_back =
                entry.phase == Phase::Returning && (entry.put == Put::Nothing || present.as_ref() == Some(&entry.from));
            if is_theirs {
                lost.extend(self.entries.iter().filter(|entry| entry.is_at(spot)).map(|entry| entry.rule.clone()));
                self.entries.retain(|entry| !entry.is_at(spot));
            } else if is_back {
                self.entries.remove(at);
            }
        }
        lost
    }

    /// The next change to ask for: an entry and the value. What a rule holds comes before what goes back, older entries
    /// before newer ones. `within` brings a value within bounds.
    pub fn next(
        &self,
        present: impl Fn(Spot<'_>) -> Option<Value>,
        within: impl Fn(Spot<'_>, &Value) -> Value,
        is_open: impl Fn(&str) -> bool,
    ) -> Option<(usize, Value)> {
        let due = |phase: Phase| {
            self.entries.iter().enumerate().find_map(|(at, entry)| {
                let spot = (entry.knob, entry.scope.as_str());
                let is_top = !self.entries[at + 1..].iter().any(|other| other.is_at(spot));
                let wanted = entry.wanted().filter(|_| entry.phase == phase && is_top && is_open(spot.1))?;
                let value = within(spot, wanted);
                (present(spot)? != value).then_some((at, value))
            })
        };
        due(Phase::Holding).or_else(|| due(Phase::Returning))
    }

    /// The host put a rule's knob back to `before`: all who came on top meanwhile saw something else.
    pub fn correct_above(&mut self, rule: &str, spot: Spot<'_>, before: &Value) {
        let of_rule = self.entries.iter().position(|entry| entry.rule == rule && entry.is_at(spot));
        let above = self.entries.iter_mut().skip(of_rule.map_or(usize::MAX, |at| at + 1));
        above.filter(|entry| entry.is_at(spot)).for_each(|entry| entry.from = before.clone());
    }

    /// The entry of a rule at one spot.
    pub fn find(&mut self, rule: &str, spot: Spot<'_>) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.rule == rule && entry.is_at(spot))
    }
}
