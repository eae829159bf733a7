//! Parameters that a user sets, checked against a table. All of them are numbers.

use crate::text::Text;
use crate::types::Fault;

/// One entry of a strategy's parameter table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParameterInfo {
    /// Its name.
    pub name: &'static str,
    /// `ms`, `s`, `bytes`, `ratio`, `count` or empty.
    pub unit: &'static str,
    /// Its value where the user sets none.
    pub default: f64,
    /// Smallest value allowed.
    pub lowest: f64,
    /// Largest value allowed.
    pub highest: f64,
    /// For people.
    pub meaning: &'static str,
}

impl ParameterInfo {
    /// The default as a user would write it.
    pub fn default_text(&self) -> String {
        Text::default().number(self.default).done()
    }
}

/// The values in force, one for each entry of the table.
#[derive(Debug, Clone)]
pub struct Parameters {
    table: &'static [ParameterInfo],
    values: Vec<f64>,
}

impl Parameters {
    /// Every parameter at its default.
    pub fn defaults(table: &'static [ParameterInfo]) -> Self {
        Self { table, values: table.iter().map(|info| info.default).collect() }
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
            let info = &table[at];
            match decimal(text.trim()) {
                Some(value) if (info.lowest..=info.highest).contains(&value) => read.values[at] = value,
                _ => return Err(out_of_range(info, text)),
            }
        }
        Ok(read)
    }

    /// The value of `name`; 0 for a name that is not in the table.
    pub fn get(&self, name: &str) -> f64 {
        let at = self.table.iter().position(|info| info.name == name);
        debug_assert!(at.is_some(), "{name} is not in the table");
        at.map_or(0.0, |at| self.values[at])
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

fn out_of_range(info: &ParameterInfo, found: &str) -> Fault {
    let text = Text::new("parameter `").words(info.name).words("` is `").words(found).words("`; allowed is a number");
    let text = text.words(" from ").number(info.lowest).words(" to ").number(info.highest);
    Fault::InvalidParameter(text.words(if info.unit.is_empty() { "" } else { " in " }).words(info.unit).done())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[ParameterInfo] = &[
        ParameterInfo { name: "target", unit: "ms", default: 2000.0, lowest: 1.0, highest: 60000.0, meaning: "" },
        ParameterInfo { name: "share", unit: "ratio", default: 0.5, lowest: 0.0, highest: 1.0, meaning: "" },
    ];

    fn given(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn what_is_not_given_keeps_its_default() {
        let read = Parameters::read(TABLE, &given("target", " 750.5 ")).expect("allowed");
        assert_eq!((read.get("target"), read.get("share")), (750.5, 0.5));
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
        assert_eq!(fault("targett", "1"), "unknown parameter `targett`; allowed are target, share");
        for wrong in ["NaN", "-1", "2", "much", "inf"] {
            let message = fault("share", wrong);
            assert!(message.contains(wrong) && message.ends_with("from 0 to 1 in ratio"), "{message}");
        }
    }
}
