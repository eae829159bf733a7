//! On which line of a configuration file something is written. Finds it by reading the file once more and failing at the
//! place on purpose: each notation's reader says then where it was, so that none needs a parser of its own here.

use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The line of `place`, such as `alert[0].do[1]`, counted from 1. Of what is missing there, the line of the innermost
/// table that is there; `None` where not even the first is.
pub(super) fn line(path: &Path, text: &str, place: &str) -> Option<usize> {
    let steps = steps(place);
    let walk = Walk { steps: &steps, is_inside: false };
    match path.extension()?.to_str()? {
        "toml" => {
            let error = walk.deserialize(toml::Deserializer::parse(text).ok()?).err()?;
            let before = text.get(..error.span()?.start)?;
            Some(before.lines().count() + usize::from(before.is_empty() || before.ends_with('\n')))
        }
        "json" => {
            let mut reader = serde_json::Deserializer::from_str(text);
            Some(walk.deserialize(&mut reader).err()?.line()).filter(|line| *line > 0)
        }
        _ => Some(walk.deserialize(serde_yaml_ng::Deserializer::from_str(text)).err()?.location()?.line()),
    }
}

/// One step on the way.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    Key(&'a str),
    Item(usize),
}

fn steps(place: &str) -> Vec<Step<'_>> {
    let parts = place.split(['.', '[']).filter(|part| !part.is_empty());
    let step = |part: &'_ str| part.strip_suffix(']').and_then(|number| number.parse().ok()).map(Step::Item);
    parts.map(|part| step(part).unwrap_or(Step::Key(part))).collect()
}

/// Goes the steps and fails where they end.
#[derive(Clone, Copy)]
struct Walk<'a> {
    steps: &'a [Step<'a>],
    /// At least one step was found.
    is_inside: bool,
}

impl<'a> Walk<'a> {
    fn next(self) -> Self {
        Self { steps: self.steps.get(1..).unwrap_or_default(), is_inside: true }
    }

    /// It is here.
    fn stop<E: Error>(self) -> Result<(), E> {
        if self.is_inside { Err(E::custom("here")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some(Step::Key(wanted)) = self.steps.first() else { return self.stop() };
        while let Some(key) = map.next_key::<String>()? {
            if key == *wanted {
                map.next_value_seed(self.next())?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        self.stop()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some(Step::Item(wanted)) = self.steps.first() else { return self.stop() };
        for _ in 0..*wanted {
            if items.next_element::<IgnoredAny>()?.is_none() {
                return self.stop();
            }
        }
        items.next_element_seed(self.next())?;
        self.stop()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.stop()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.stop()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.stop()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.stop()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.stop()
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.stop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str =
        "listen = 'x'\n\n[[alert]]\nname = 'a'\nwhen = 'b'\n\n[[alert]]\nname = 'c'\ndo = [\n  'd',\n  'e',\n]\n";
    const YAML: &str = "listen: x\nalert:\n  - name: a\n    when: b\n  - name: c\n    do:\n      - d\n      - e\n";
    const JSON: &str = "{\n \"listen\": 1.5,\n \"alert\": [\n  {\"name\": \"a\",\n   \"when\": true},\n  {\"name\": \"c\",\n   \"do\": [\"d\",\n    \"e\"]}\n ]\n}\n";

    #[test]
    fn what_is_written_is_found_in_three_notations() {
        for (place, lines) in [
            ("listen", [1, 1, 2]),
            ("alert[0].when", [5, 4, 5]),
            ("alert[1].name", [8, 5, 6]),
            ("alert[1].do[1]", [11, 8, 8]),
        ] {
            let files = [("a.toml", TOML), ("a.yaml", YAML), ("a.json", JSON)];
            let found = files.map(|(name, text)| line(Path::new(name), text, place));
            assert_eq!(found, lines.map(Some), "{place}");
        }
    }

    #[test]
    fn of_what_is_missing_the_table_is_found_and_of_a_missing_table_nothing() {
        assert_eq!(line(Path::new("a.toml"), TOML, "alert[1].severity"), Some(7));
        assert_eq!(line(Path::new("a.yaml"), YAML, "rule[0].when"), None);
        // A list of one may be written without being one.
        assert_eq!(line(Path::new("a.toml"), TOML, "alert[0].when[0]"), Some(5));
    }
}
