//! Asks a running host over its API.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body};

use crate::cli::ClientFlags;

/// Longest time for one answer; loading a strategy compiles it first.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A running host.
pub struct Client {
    agent: Agent,
    base: String,
    token: Option<String>,
}

impl Client {
    /// The host that the flags name.
    pub fn new(flags: &ClientFlags) -> Self {
        let agent = Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).build().into();
        Self { agent, base: flags.host.trim_end_matches('/').to_owned(), token: flags.token.clone() }
    }

    /// `GET path`.
    pub fn get(&self, path: &str) -> Result<Value> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.read(path, request.call())
    }

    /// `GET path`, whose answer is no JSON.
    pub fn text(&self, path: &str) -> Result<String> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut answer = self.reached(path, request.call())?;
        if !answer.status().is_success() {
            return Err(self.read(path, Ok(answer)).err().unwrap_or_else(|| anyhow!("{}{path}: no answer", self.base)));
        }
        answer.body_mut().read_to_string().with_context(|| format!("reading the answer of {path}"))
    }

    /// `POST path` with a body of the given type.
    pub fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Result<Value> {
        self.post_with(path, content_type, &[], body)
    }

    /// `POST path` with further headers.
    pub fn post_with(&self, path: &str, content_type: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Value> {
        let mut request = self.agent.post(format!("{}{path}", self.base)).header("content-type", content_type);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.read(path, request.send(body))
    }

    /// `DELETE path`.
    pub fn delete(&self, path: &str) -> Result<Value> {
        let mut request = self.agent.delete(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.read(path, request.call())
    }

    fn reached(&self, path: &str, answer: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>> {
        answer.map_err(|error| match error {
            ureq::Error::Io(cause) if cause.kind() == std::io::ErrorKind::ConnectionRefused => {
                anyhow!(
                    "no perfhost is running at {}; start one with `perfhost`, or name another with --host URL",
                    self.base
                )
            }
            other => anyhow!("{}{path}: {other}", self.base),
        })
    }

    fn read(&self, path: &str, answer: Result<Response<Body>, ureq::Error>) -> Result<Value> {
        let mut answer = self.reached(path, answer)?;
        let status = answer.status();
        let text = answer.body_mut().read_to_string().with_context(|| format!("reading the answer of {path}"))?;
        let value: Value = serde_json::from_str(&text).with_context(|| {
            format!("{}{path} answered {status} with something that is not JSON; is it a perfhost?", self.base)
        })?;
        if !status.is_success() {
            let message = value["error"]["message"].as_str().unwrap_or(&text);
            bail!("{message}");
        }
        Ok(value)
    }
}

/// Text as part of a query string.
pub fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded() {
        assert_eq!(encoded("a/b c:é"), "a%2Fb%20c%3A%C3%A9");
    }
}
