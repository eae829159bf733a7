//! The text in which results survive an instance: a heading, then one line a result with tabs between its fields.
//!
//! Only finished results are kept, so the text changes only when something was learned.

use super::{Effect, Trials, Tried};
use crate::types::Fault;

const HEADING: &str = "perfhost-trials 1";

impl Trials {
    /// The results as bytes; empty when there are none.
    pub fn save(&self) -> Vec<u8> {
        if self.tried.is_empty() {
            return Vec::new();
        }
        let mut text = HEADING.to_owned();
        for tried in self.tried.iter().filter(|tried| is_plain(&tried.name) && is_plain(&tried.scope)) {
            // Demand in thousandths: whole numbers keep the float formatter out of the strategy.
            let thousandths = (tried.demand.clamp(0.0, 1e9) * 1000.0) as u64;
            let fields = [
                tried.name.clone(),
                tried.scope.clone(),
                tried.from.to_string(),
                tried.value.to_string(),
                word(tried.effect).to_owned(),
                thousandths.to_string(),
                tried.at_ms.to_string(),
                u8::from(tried.is_return).to_string(),
            ];
            text.push('\n');
            text.push_str(&fields.join("\t"));
        }
        text.into_bytes()
    }

    /// Puts saved results in the place of the present ones. What is under way stays.
    ///
    /// # Errors
    /// `unsupported` for anything that [`Trials::save`] of this version did not write.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), Fault> {
        let unsupported = || Fault::Unsupported("the saved state is not of the form `perfhost-trials 1`".to_owned());
        let mut results = Vec::new();
        if !state.is_empty() {
            let text = std::str::from_utf8(state).map_err(|_| unsupported())?;
            let mut lines = text.split('\n');
            if lines.next() != Some(HEADING) {
                return Err(unsupported());
            }
            for line in lines {
                results.push(read(line).ok_or_else(unsupported)?);
            }
        }
        self.tried.clear();
        results.into_iter().for_each(|result| self.remember(result));
        Ok(())
    }
}

fn read(line: &str) -> Option<Tried> {
    let mut fields = line.split('\t');
    let tried = Tried {
        name: fields.next()?.to_owned(),
        scope: fields.next()?.to_owned(),
        from: fields.next()?.parse().ok()?,
        value: fields.next()?.parse().ok()?,
        effect: effect(fields.next()?)?,
        demand: fields.next()?.parse::<u64>().ok()? as f64 / 1000.0,
        at_ms: fields.next()?.parse().ok()?,
        is_return: fields.next()? == "1",
    };
    fields.next().is_none().then_some(tried)
}

fn is_plain(name: &str) -> bool {
    !name.contains(['\t', '\n'])
}

fn word(effect: Effect) -> &'static str {
    match effect {
        Effect::Better => "better",
        Effect::Same => "same",
        Effect::Worse => "worse",
        Effect::Unknown => "unknown",
    }
}

fn effect(word: &str) -> Option<Effect> {
    match word {
        "better" => Some(Effect::Better),
        "same" => Some(Effect::Same),
        "worse" => Some(Effect::Worse),
        "unknown" => Some(Effect::Unknown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(value: i64, effect: Effect) -> Tried {
        let (name, scope) = ("engine_slots".to_owned(), String::new());
        Tried { name, scope, from: 1, value, effect, demand: 7.5, at_ms: 1_700_000_000_000, is_return: value == 2 }
    }

    #[test]
    fn what_is_saved_comes_back() {
        let mut trials = Trials::default();
        assert_eq!(trials.save(), b"");
        trials.remember(tried(2, Effect::Better));
        trials.remember(tried(4, Effect::Same));
        trials.remember(tried(8, Effect::Worse));
        let mut other = Trials::default();
        other.restore(&trials.save()).expect("own state");
        assert_eq!(other.tried, trials.tried);
        assert_eq!(other.save(), trials.save());
        other.restore(b"").expect("nothing");
        assert!(other.tried.is_empty());
    }

    #[test]
    fn foreign_state_is_refused_and_changes_nothing() {
        let mut trials = Trials::default();
        trials.remember(tried(4, Effect::Same));
        for foreign in [&b"\xff"[..], b"perfhost-trials 2", b"perfhost-trials 1\nengine_slots\t\t1", b"{}"] {
            assert!(matches!(trials.restore(foreign), Err(Fault::Unsupported(_))));
            assert_eq!(trials.tried.len(), 1);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut trials = Trials::default();
        (0..1000).for_each(|value| trials.remember(tried(value, Effect::Same)));
        assert_eq!(trials.tried.len(), super::super::REMEMBERED_MAX);
    }
}
