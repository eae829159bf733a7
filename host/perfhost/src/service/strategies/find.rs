//! Which strategy a person means: by `name@version`, by name, or by the beginning of its digest.

use super::SwapError;

/// Shortest beginning of a digest that names a strategy.
const SHORTEST_PREFIX: usize = 6;

/// Digits of a digest that messages show.
const SHOWN_DIGITS: usize = 12;

/// What a strategy can be found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) digest: String,
}

/// The digest of the one that is meant; `None` when none is.
pub(super) fn find(known: &[Known], wanted: &str) -> Result<Option<String>, SwapError> {
    let by_name = |known: &&Known| known.name == wanted || format!("{}@{}", known.name, known.version) == wanted;
    let mut matching: Vec<&Known> = known.iter().filter(by_name).collect();
    if matching.is_empty() {
        let prefix = wanted.strip_prefix("sha256:").unwrap_or(wanted).to_ascii_lowercase();
        let is_prefix = prefix.len() >= SHORTEST_PREFIX && prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
        matching = known.iter().filter(|known| is_prefix && known.digest.starts_with(&prefix)).collect();
    }
    matching.sort_by(|one, other| one.digest.cmp(&other.digest));
    matching.dedup_by(|one, other| one.digest == other.digest);
    match matching.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.digest.clone())),
        several => Err(SwapError::Ambiguous {
            wanted: wanted.to_owned(),
            among: several
                .iter()
                .map(|known| format!("{}@{} ({})", known.name, known.version, short(&known.digest)))
                .collect(),
        }),
    }
}

fn short(digest: &str) -> &str {
    digest.get(..SHOWN_DIGITS).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<Known> {
        [("tuner", "1.0.0", "aaaaaa11"), ("tuner", "1.1.0", "aaaaaa22"), ("facade", "2.0.0", "bbbbbb33")]
            .map(|(name, version, digest)| Known {
                name: name.to_owned(),
                version: version.to_owned(),
                digest: digest.to_owned(),
            })
            .into()
    }

    fn found(wanted: &str) -> Option<String> {
        find(&known(), wanted).unwrap()
    }

    #[test]
    fn a_strategy_is_found_by_name_version_and_digest() {
        assert_eq!(found("tuner@1.1.0").as_deref(), Some("aaaaaa22"));
        assert_eq!(found("facade").as_deref(), Some("bbbbbb33"));
        for prefix in ["aaaaaa1", "sha256:aaaaaa11", "AAAAAA11"] {
            assert_eq!(found(prefix).as_deref(), Some("aaaaaa11"), "{prefix}");
        }
        for nobody in ["tuner@3.0.0", "other", "cccccc", "bbbbb", "facade@"] {
            assert_eq!(found(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn several_are_named_with_what_tells_them_apart() {
        for wanted in ["tuner", "aaaaaa"] {
            let message = find(&known(), wanted).unwrap_err().to_string();
            assert!(message.contains("tuner@1.0.0 (aaaaaa11) or tuner@1.1.0 (aaaaaa22)"), "{message}");
        }
    }

    #[test]
    fn the_same_strategy_in_two_places_is_one() {
        let twice: Vec<Known> = known().into_iter().chain(known()).collect();
        assert_eq!(find(&twice, "facade").unwrap().as_deref(), Some("bbbbbb33"));
    }
}
