//! Which plugins are trusted: whose signatures, from where, and over what.
//!
//! Read here, enforced by [`crate::plugin_source`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::load::{ConfigError, Sources};
use crate::plugin_source::kind::Kind;
use crate::plugin_source::oci::Login;
use crate::plugin_source::signature::PublicKey;

/// Where signatures may be asked for: everywhere but inside the binary.
const ALL: [Kind; 4] = [Kind::Path, Kind::Url, Kind::Oci, Kind::Upload];

/// `[trust]` as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawTrust {
    /// PEM files of public keys; relative ones are looked for beside the configuration file.
    pub public_keys: Vec<PathBuf>,
    /// Whether plugins must be signed by one of them: for all sources, or a list of them.
    pub require_signature: RawRequired,
    /// Where the API may load strategies from, beside the built-in ones and those that the configuration names.
    pub api_sources: Option<Vec<Kind>>,
    /// Hosts, with their port, that plain http may be spoken to.
    pub plain_http: Vec<String>,
}

/// `true`, `false`, or a list of sources.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum RawRequired {
    /// For all, or for none.
    Everywhere(bool),
    /// For these.
    Sources(Vec<Kind>),
}

impl Default for RawRequired {
    fn default() -> Self {
        Self::Everywhere(false)
    }
}

/// `[[registry]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRegistry {
    /// Its host, with the port where it is not the usual one.
    pub host: String,
    /// User name.
    pub username: String,
    /// Name of the environment variable that holds the password or token.
    pub password_env: Option<String>,
    /// File that holds it.
    pub password_file: Option<PathBuf>,
}

/// What is trusted.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Keys that a signature may be made with.
    pub keys: Vec<PublicKey>,
    /// Sources whose plugins must be signed.
    pub signed_sources: BTreeSet<Kind>,
    /// Sources that the API may load from.
    pub api_sources: BTreeSet<Kind>,
    /// Hosts that plain http may be spoken to, beside this machine.
    pub plain_http: Vec<String>,
    /// Credentials by registry.
    pub logins: BTreeMap<String, Login>,
}

impl Trust {
    /// Checks what a person wrote. `file` is the configuration file, for relative paths.
    pub(super) fn check(
        raw: RawTrust,
        registries: Vec<RawRegistry>,
        file: Option<&Path>,
        sources: &Sources,
    ) -> Result<Self, ConfigError> {
        let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
        let keys = raw.public_keys.iter().enumerate().map(|(at, path)| {
            PublicKey::read(&folder.join(path))
                .map_err(|error| ConfigError::value(format!("trust.public_keys[{at}]"), error.to_string()))
        });
        let keys: Vec<PublicKey> = keys.collect::<Result<_, _>>()?;
        let signed_sources: BTreeSet<Kind> = match raw.require_signature {
            RawRequired::Everywhere(true) => ALL.into(),
            RawRequired::Everywhere(false) => BTreeSet::new(),
            RawRequired::Sources(list) => list.into_iter().collect(),
        };
        if keys.is_empty() && !signed_sources.is_empty() {
            let message = "signatures are required and no key is named; add trust.public_keys = [\"cosign.pub\"]";
            return Err(ConfigError::value("trust.require_signature", message));
        }
        for host in &raw.plain_http {
            if host.is_empty() || host.contains("://") || host.contains('/') {
                let message = format!("{host:?} where a host is expected, such as \"registry.lan:5000\"");
                return Err(ConfigError::value("trust.plain_http", message));
            }
        }
        Ok(Self {
            keys,
            signed_sources,
            api_sources: raw.api_sources.map_or_else(|| [Kind::Path].into(), |list| list.into_iter().collect()),
            plain_http: raw.plain_http,
            logins: logins(registries, sources)?,
        })
    }

    /// Whether a key of this name is trusted.
    pub fn has_key(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
    }
}

fn logins(registries: Vec<RawRegistry>, sources: &Sources) -> Result<BTreeMap<String, Login>, ConfigError> {
    let mut logins = BTreeMap::new();
    for (at, registry) in registries.into_iter().enumerate() {
        let place = |key: &str| format!("registry[{at}].{key}");
        if registry.host.is_empty() || registry.host.contains('/') {
            let message = format!("{:?} where a host is expected, such as \"registry.lan:5000\"", registry.host);
            return Err(ConfigError::value(place("host"), message));
        }
        let password = match (&registry.password_env, &registry.password_file) {
            (Some(variable), None) => sources.variable(variable).ok_or_else(|| {
                ConfigError::value(place("password_env"), format!("the variable {variable} is not set"))
            })?,
            (None, Some(path)) => std::fs::read_to_string(path)
                .map(|text| text.trim().to_owned())
                .map_err(|error| ConfigError::value(place("password_file"), format!("{}: {error}", path.display())))?,
            _ => {
                let message = "one of password_env and password_file is expected";
                return Err(ConfigError::value(format!("registry[{at}]"), message));
            }
        };
        if logins.insert(registry.host.clone(), Login::new(registry.username, password)).is_some() {
            return Err(ConfigError::value(place("host"), format!("{:?} comes twice", registry.host)));
        }
    }
    Ok(logins)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Trust, String> {
        #[derive(Deserialize)]
        struct Whole {
            #[serde(default)]
            trust: RawTrust,
            #[serde(default)]
            registry: Vec<RawRegistry>,
        }
        let whole: Whole = toml::from_str(text).map_err(|error| error.to_string())?;
        let sources = Sources { environment: vec![("PASSWORD".to_owned(), "secret".to_owned())], ..Sources::default() };
        Trust::check(whole.trust, whole.registry, None, &sources).map_err(|error| error.to_string())
    }

    #[test]
    fn by_default_the_api_loads_files_and_nothing_need_be_signed() {
        let trust = check("").expect("defaults");
        assert_eq!(trust.api_sources, [Kind::Path].into());
        assert!(trust.signed_sources.is_empty() && trust.keys.is_empty() && trust.plain_http.is_empty());
    }

    #[test]
    fn required_signatures_need_a_key_to_check_them_with() {
        for text in ["[trust]\nrequire_signature = true", "[trust]\nrequire_signature = ['oci']"] {
            let error = check(text).expect_err(text);
            assert!(error.contains("trust.require_signature") && error.contains("trust.public_keys"), "{error}");
        }
        let error = check("[trust]\npublic_keys = ['/nowhere/cosign.pub']").expect_err("no such file");
        assert!(error.contains("trust.public_keys[0]") && error.contains("/nowhere/cosign.pub"), "{error}");
    }

    #[test]
    fn sources_are_words() {
        let trust = check("[trust]\napi_sources = ['path', 'url', 'oci', 'upload']").expect("all of them");
        assert_eq!(trust.api_sources, ALL.into());
        let error = check("[trust]\napi_sources = ['paths']").expect_err("no such source");
        assert!(error.contains("line 2") && error.contains("`path`, `url`, `oci`, `upload`"), "{error}");
        assert!(check("[trust]\nplain_http = ['http://host']").expect_err("an address").contains("trust.plain_http"));
    }

    #[test]
    fn credentials_come_from_a_variable_or_a_file() {
        let registry = "[[registry]]\nhost = 'r:5000'\nusername = 'me'\n";
        let trust = check(&format!("{registry}password_env = 'PASSWORD'")).expect("a login");
        assert_eq!(trust.logins["r:5000"], Login::new("me", "secret"));
        assert!(!format!("{trust:?}").contains("secret"));
        for (rest, words) in [
            ("", "one of password_env and password_file"),
            ("password_env = 'NOT_SET'", "NOT_SET is not set"),
            ("password_file = '/nowhere/password'", "/nowhere/password"),
            ("password = 'secret'", "unknown field"),
        ] {
            let error = check(&format!("{registry}{rest}")).expect_err(words);
            assert!(error.contains(words), "{error}");
        }
    }
}
