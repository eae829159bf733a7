//! A provider's secret key. It is never printed: `Debug` and `Display` show asterisks.

use std::fmt;

use http::HeaderValue;
use http::header::InvalidHeaderValue;

/// What authorizes requests at a provider.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes a key as the user wrote it; white space around it is dropped. `None` when nothing remains.
    pub fn new(key: &str) -> Option<Self> {
        let key = key.trim();
        (!key.is_empty()).then(|| Self(key.to_owned()))
    }

    /// The key as a header's value, marked as sensitive; `prefix` stands before it.
    ///
    /// # Errors
    /// The key holds bytes that no header can.
    pub(crate) fn header(&self, prefix: &str) -> Result<HeaderValue, InvalidHeaderValue> {
        let mut value = HeaderValue::try_from(format!("{prefix}{}", self.0))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let key = ApiKey::new(" sk-secret\n").expect("a key");
        assert_eq!((format!("{key:?}"), key.to_string()), ("***".to_owned(), "***".to_owned()));
        let header = key.header("Bearer ").expect("a header");
        assert_eq!(header.as_bytes(), b"Bearer sk-secret");
        assert!(!format!("{header:?}").contains("secret"));
        assert!(ApiKey::new("  ").is_none());
    }
}
