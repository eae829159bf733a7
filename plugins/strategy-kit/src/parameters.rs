//! Parameters that a user sets, checked against a table.

use crate::text::Text;
use crate::types::Fault;

/// One entry of a strategy's parameter table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParameterInfo {
    /// Its name.
    pub name: &'static str,
    /// `ms`, `s`, `bytes`, `ratio`, `count` or empty.
    pub unit: &'static str,
    /// What it takes, and its value where the user sets none.
    pub kind: ParameterKind,
    /// For people.
    pub meaning: &'static str,
}

/// What a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ParameterKind {
    /// A number.
    Number {
        /// Where the user sets none.
        default: f64,
        /// Smallest value allowed.
        lowest: f64,
        /// Largest value allowed.
        highest: f64,
    },
    /// A text, which the strategy itself checks; its default.
    Text(&'static str),
}

/// Time after a change before the next one.
pub const SETTLE_S: ParameterInfo =
    ParameterInfo::number("settle_s", "s", 15.0, (0.0, 3_600.0), "time after a change before the next one");

/// What a slot's memory is reckoned with.
pub const KV_BYTES_PER_TOKEN: ParameterInfo = ParameterInfo::number(
    "kv_bytes_per_token",
    "bytes",
    131_072.0,
    (1.0, 16_777_216.0),
    "KV cache of one token at 16 bits, for the memory of a slot; the default is that of an 8B model",
);

impl ParameterInfo {
    /// A number between `lowest` and `highest`, both allowed.
    pub const fn number(
        name: &'static str,
        unit: &'static str,
        default: f64,
        (lowest, highest): (f64, f64),
        meaning: &'static str,
    ) -> Self {
        Self { name, unit, kind: ParameterKind::Number { default, lowest, highest }, meaning }
    }

    /// A share from 0 to 1.
    pub const fn share(name: &'static str, default: f64, meaning: &'static str) -> Self {
        Self::number(name, "ratio", default, (0.0, 1.0), meaning)
    }

    /// A text.
    pub const fn text(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self { name, unit: "", kind: ParameterKind::Text(default), meaning }
    }

    /// The default as a user would write it.
    pub fn default_text(&self) -> String {
        match self.kind {
            ParameterKind::Number { default, .. } => Text::default().number(default).done(),
            ParameterKind::Text(default) => default.to_owned(),
        }
    }

    fn default_value(&self) -> Given {
        match self.kind {
            ParameterKind::Number { default, .. } => Given::Number(default),
            ParameterKind::Text(default) => Given::Text(default.to_owned()),
        }
    }

    fn read(&self, text: &str) -> Result<Given, Fault> {
        let ParameterKind::Number { lowest, highest, .. } = self.kind else { return Ok(Given::Text(text.to_owned())) };
        match decimal(text.trim()) {
            Some(value) if (lowest..=highest).contains(&value) => Ok(Given::Number(value)),
            _ => Err(self.out_of_range(text, lowest, highest)),
        }
    }

    fn out_of_range(&self, found: &str, lowest: f64, highest: f64) -> Fault {
        let text = Text::new("parameter `").words(self.name).words("` is `").words(found);
        let text = text.words("`; allowed is a number from ").number(lowest).words(" to ").number(highest);
        Fault::InvalidParameter(text.words(if self.unit.is_empty() { "" } else { " in " }).words(self.unit).done())
    }
}

/// The value of one parameter.
#[derive(Debug, Clone)]
enum Given {
    Number(f64),
    Text(String),
}

/// The values in force, one for each entry of the table.
#[derive(Debug, Clone)]
pub struct Parameters {
    table: &'static [ParameterInfo],
    values: Vec<Given>,
}

impl Parameters {
    /// Every parameter at its default.
    pub fn defaults(table: &'static [ParameterInfo]) -> Self {
        Self { table, values: table.iter().map(ParameterInfo::default_value).collect() }
    }

    /// The defaults with what the user `given` in their place.
    ///
    /// # Errors
    /// `invalid-parameter`, which names the parameter and what is allowed.
    pub fn read(table: &'static [ParameterInfo], given: &[(String, String)]) -> Result<Self, Fault> {
        let mut read = Self::defaults(table);
        for (name, text) in given {
            let Some(at) = table.iter().position(|info| info.name == name) else {
                return Err(unknown(table, name));
            };
            read.values[at] = table[at].read(text)?;
        }
        Ok(read)
    }

    /// The number `name`; 0 for a name that is not one of the table.
    pub fn get(&self, name: &str) -> f64 {
        match self.value(name) {
            Some(Given::Number(value)) => *value,
            _ => 0.0,
        }
    }

    /// The text `name`; empty for a name that is not one of the table.
    pub fn text(&self, name: &str) -> &str {
        match self.value(name) {
            Some(Given::Text(value)) => value,
            _ => "",
        }
    }

    fn value(&self, name: &str) -> Option<&Given> {
        let at = self.table.iter().position(|info| info.name == name);
        debug_assert!(at.is_some(), "{name} is not in the table");
        at.map(|at| &self.values[at])
    }
}

/// Reads `12`, `0.05` or `-3`: at most 15 digits, so that the result is exact to the last bit. The standard library's
/// parser would cost a strategy more bytes than its policy does.
fn decimal(text: &str) -> Option<f64> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut value = 0_u64;
    for byte in whole.bytes().chain(fraction.bytes()) {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value = value * 10 + u64::from(digit);
        if value >= 1_000_000_000_000_000 {
            return None;
        }
    }
    if whole.is_empty() || fraction.len() > 15 {
        return None;
    }
    let magnitude = value as f64 / (0..fraction.len()).fold(1.0, |scale, _| scale * 10.0);
    Some(if is_negative { -magnitude } else { magnitude })
}

fn unknown(table: &[ParameterInfo], name: &str) -> Fault {
    let mut text = Text::new("unknown parameter `").words(name).words("`; allowed are ");
    for (at, info) in table.iter().enumerate() {
        text = text.words(if at == 0 { "" } else { ", " }).words(info.name);
    }
    Fault::InvalidParameter(text.done())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[ParameterInfo] = &[
        ParameterInfo::number("target", "ms", 2000.0, (1.0, 60_000.0), ""),
        ParameterInfo::share("share", 0.5, ""),
        ParameterInfo::text("words", "as they are", ""),
    ];

    fn given(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn what_is_not_given_keeps_its_default() {
        let read = Parameters::read(TABLE, &given("target", " 750.5 ")).expect("allowed");
        assert_eq!((read.get("target"), read.get("share"), read.text("words")), (750.5, 0.5, "as they are"));
        assert_eq!(Parameters::read(TABLE, &given("words", " a\nb ")).expect("any text").text("words"), " a\nb ");
    }

    #[test]
    fn decimals_are_exact_and_nothing_else_is_read() {
        for text in ["0", "12", "0.05", "-3.25", "131072", "999999999999999", "0.1", "007.50"] {
            assert_eq!(decimal(text), text.parse().ok(), "{text}");
        }
        for text in ["", ".", ".5", "1e3", "1_000", "+1", "- 1", "1.2.3", "9999999999999999", "0.0000000000000001", "٣"]
        {
            assert_eq!(decimal(text), None, "{text}");
        }
    }

    #[test]
    fn faults_name_the_parameter_and_what_is_allowed() {
        let fault = |name, value| match Parameters::read(TABLE, &given(name, value)) {
            Err(Fault::InvalidParameter(message)) => message,
            other => panic!("{other:?}"),
        };
        assert_eq!(fault("targett", "1"), "unknown parameter `targett`; allowed are target, share, words");
        for wrong in ["NaN", "-1", "2", "much", "inf"] {
            let message = fault("share", wrong);
            assert!(message.contains(wrong) && message.ends_with("from 0 to 1 in ratio"), "{message}");
        }
    }
}
