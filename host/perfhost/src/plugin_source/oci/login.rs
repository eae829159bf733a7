//! Credentials for a registry: those that configuration names, else those that `docker login` left.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// Docker Hub's names: the one that people write, and the one under which docker keeps its credentials.
const DOCKER_HUB: [&str; 2] = ["docker.io", "index.docker.io"];
/// Bytes of docker's configuration file.
const FILE_BYTES: u64 = 1 << 20;

/// A user name and a password or token. Its `Debug` form does not show the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub username: String,
    password: String,
}

/// The part of docker's config.json that holds credentials.
#[derive(Default, Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Default, Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
}

impl Login {
    /// A login with these.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: username.into(), password: password.into() }
    }

    /// The value of the `Authorization` header.
    pub(super) fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.username, self.password)))
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).field("password", &"***").finish()
    }
}

/// Where `docker login` keeps credentials, by the variables that docker itself reads.
pub(crate) fn docker_config(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let folder = variable("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".docker")))?;
    Some(folder.join("config.json"))
}

/// The login for `registry` in docker's configuration file: an `auth` entry. Credential helpers are other programs, and
/// not run. A file that does not read is as good as none, and a warning.
pub(super) fn from_docker(file: &Path, registry: &str) -> Option<Login> {
    let is_small = std::fs::metadata(file).is_ok_and(|data| data.len() <= FILE_BYTES);
    let text = is_small.then(|| std::fs::read(file).ok()).flatten()?;
    let config: DockerConfig = serde_json::from_slice(&text)
        .inspect_err(|error| tracing::warn!(file = %file.display(), %error, "registry credentials cannot be read"))
        .ok()?;
    let is_meant = |key: &str| {
        let host = host_of(key);
        host == registry || (DOCKER_HUB.contains(&host) && DOCKER_HUB.contains(&registry))
    };
    let (_, entry) = config.auths.iter().find(|(key, entry)| is_meant(key) && !entry.auth.is_empty())?;
    let decoded = STANDARD.decode(entry.auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded.as_deref().and_then(|pair| pair.split_once(':')) {
        Some((username, password)) => Some(Login::new(username, password.trim_end_matches('\0'))),
        None => {
            tracing::warn!(file = %file.display(), registry, "the auth entry is not user:password in base64");
            None
        }
    }
}

/// The host of a key such as `https://index.docker.io/v1/` or `registry.example.com`.
fn host_of(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_entries_are_found_however_the_registry_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.json");
        let auth = |pair: &str| STANDARD.encode(pair);
        let text = serde_json::json!({
            "auths": {
                "https://index.docker.io/v1/": { "auth": auth("hub:one:two") },
                "localhost:5000": { "auth": auth("me:secret") },
                "helped.example": {},
                "broken.example": { "auth": "!" },
            },
            "credsStore": "pass",
        });
        std::fs::write(&file, text.to_string()).expect("a file");
        assert_eq!(from_docker(&file, "localhost:5000"), Some(Login::new("me", "secret")));
        assert_eq!(from_docker(&file, "docker.io"), Some(Login::new("hub", "one:two")));
        for none in ["helped.example", "broken.example", "localhost", "other"] {
            assert_eq!(from_docker(&file, none), None, "{none}");
        }
        assert_eq!(from_docker(&folder.path().join("none"), "localhost:5000"), None);
        assert!(!format!("{:?}", Login::new("me", "secret")).contains("secret"));
    }

    #[test]
    fn dockers_own_variables_say_where_the_file_is() {
        let at = |pairs: &'static [(&str, &str)]| {
            docker_config(|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(at(&[("HOME", "/h")]), Some("/h/.docker/config.json".into()));
        assert_eq!(at(&[("HOME", "/h"), ("DOCKER_CONFIG", "/d")]), Some("/d/config.json".into()));
        assert_eq!(at(&[]), None);
    }
}
