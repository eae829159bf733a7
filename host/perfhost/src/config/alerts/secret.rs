//! Secrets of channels: from the file itself, the environment or a file of their own, and hidden wherever they would show.

use std::fmt;
use std::path::PathBuf;

use crate::config::{ConfigError, Sources};

/// Something that no output shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// What it is: for the one who is to have it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// `text` without the secret, and without the part of it that a URL's log line would show.
    pub fn hide_in(&self, text: &str) -> String {
        let path = self.0.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
        let hide = |text: String, part: &str| if part.len() < 4 { text } else { text.replace(part, "(hidden)") };
        hide(hide(text.to_owned(), &self.0), path)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// A secret as it may be written: itself, a variable, or a file.
pub(super) struct Written<'a> {
    pub(super) itself: &'a Option<String>,
    pub(super) variable: &'a Option<String>,
    pub(super) file: &'a Option<PathBuf>,
}

impl Written<'_> {
    /// The secret, if it was written. `place` is its key.
    pub(super) fn read(&self, place: &str, sources: &Sources) -> Result<Option<Secret>, ConfigError> {
        let given = [self.itself.is_some(), self.variable.is_some(), self.file.is_some()];
        if given.iter().filter(|is_given| **is_given).count() > 1 {
            let message = format!("it is given more than once; keep one of {place}, {place}_env and {place}_file");
            return Err(ConfigError::value(place, message));
        }
        let text = match (self.itself, self.variable, self.file) {
            (Some(text), ..) => text.clone(),
            (_, Some(variable), _) => sources.variable(variable).ok_or_else(|| {
                ConfigError::value(format!("{place}_env"), format!("the variable {variable} is not set"))
            })?,
            (.., Some(path)) => std::fs::read_to_string(path)
                .map_err(|error| ConfigError::value(format!("{place}_file"), format!("{}: {error}", path.display())))?,
            _ => return Ok(None),
        };
        Ok(Some(Secret(text.trim().to_owned())).filter(|secret| !secret.0.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_secret_nor_the_path_of_a_secret_url_is_shown() {
        let secret = Secret::new("https://hooks.example/services/T0/B1/verysecret");
        assert_eq!(format!("{secret:?}"), "(hidden)");
        let error = "POST https://hooks.example/services/T0/B1/verysecret failed at /services/T0/B1/verysecret";
        assert!(!secret.hide_in(error).contains("verysecret"));
    }
}
