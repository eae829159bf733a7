//! The pull side of the OCI distribution protocol: GET of a manifest or a blob, and the token that a registry may ask for
//! first.
//!
//! Sources: the OCI distribution specification (pull), and docker's token authentication for the challenge.

use http_auth::{ChallengeParser, ChallengeRef};
use serde::Deserialize;
use ureq::http::HeaderMap;
use ureq::http::header::WWW_AUTHENTICATE;

use super::super::bound::Bound;
use super::super::error::SourceError;
use super::super::fetch::{Fetched, Transport};
use super::login::Login;
use super::reference::Reference;

/// Docker Hub is not where its name says.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");
/// Bytes of a token's answer.
const TOKEN: Bound = Bound::fixed(256 << 10);
/// Characters of a registry's own words that are shown.
const MOST_DETAIL: usize = 200;

/// One repository of one registry.
pub(super) struct Registry<'a> {
    transport: &'a Transport,
    /// As people write it.
    name: String,
    repository: String,
    /// Where the API of the repository is: `https://host/v2/repository`.
    base: String,
    login: Option<Login>,
    authorization: Option<String>,
}

/// What a token server answers; which of the two names it uses is its choice.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// An error in a registry's own words.
#[derive(Deserialize)]
struct Errors {
    errors: Vec<OneError>,
}

#[derive(Deserialize)]
struct OneError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl<'a> Registry<'a> {
    pub(super) fn new(transport: &'a Transport, reference: &Reference, login: Option<Login>) -> Self {
        let host = if reference.registry == DOCKER_HUB.0 { DOCKER_HUB.1 } else { &reference.registry };
        let base = format!("{}://{host}/v2/{}", transport.scheme(host), reference.repository);
        Self {
            transport,
            name: reference.registry.clone(),
            repository: reference.repository.clone(),
            base,
            login,
            authorization: None,
        }
    }

    /// Gets `manifests/…` or `blobs/…`; `what` is what people call it.
    pub(super) fn get(&mut self, path: &str, what: &str, accept: &str, limit: Bound) -> Result<Vec<u8>, SourceError> {
        let url = format!("{}/{path}", self.base);
        let mut got = self.transport.get(&url, accept, self.authorization.as_deref(), limit)?;
        if got.status.as_u16() == 401 && self.authorization.is_none() {
            self.authorization = Some(self.answer_challenge(&got.headers)?);
            got = self.transport.get(&url, accept, self.authorization.as_deref(), limit)?;
        }
        match got.status.as_u16() {
            200 => Ok(got.body),
            404 => Err(SourceError::NotFound { what: what.to_owned(), url }),
            status @ (401 | 403) => Err(self.denied(status)),
            status => Err(SourceError::Status { url, status, detail: words(&got) }),
        }
    }

    /// What to send for the challenge in a 401: a token fetched with or without a login, or the login itself.
    fn answer_challenge(&self, headers: &HeaderMap) -> Result<String, SourceError> {
        for header in headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()) {
            for challenge in ChallengeParser::new(header).map_while(Result::ok) {
                if challenge.scheme.eq_ignore_ascii_case("bearer") {
                    return self.token(&challenge);
                }
                if challenge.scheme.eq_ignore_ascii_case("basic")
                    && let Some(login) = &self.login
                {
                    return Ok(login.basic());
                }
            }
        }
        Err(self.denied(401))
    }

    fn token(&self, challenge: &ChallengeRef<'_>) -> Result<String, SourceError> {
        let parameter = |name: &str| {
            let found = challenge.params.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        let realm = parameter("realm").ok_or_else(|| self.denied(401))?;
        let scope = parameter("scope").unwrap_or_else(|| format!("repository:{}:pull", self.repository));
        let mut url = format!("{realm}{}scope={}", if realm.contains('?') { '&' } else { '?' }, encoded(&scope));
        if let Some(service) = parameter("service") {
            url += &format!("&service={}", encoded(&service));
        }
        let login = self.login.as_ref().map(Login::basic);
        let got = self.transport.get(&url, "application/json", login.as_deref(), TOKEN)?;
        if !got.status.is_success() {
            return Err(self.denied(got.status.as_u16()));
        }
        let token: Option<Token> = serde_json::from_slice(&got.body).ok();
        let token = token.and_then(|token| token.token.or(token.access_token)).filter(|token| !token.is_empty());
        token.map(|token| format!("Bearer {token}")).ok_or_else(|| SourceError::Status {
            url: realm,
            status: got.status.as_u16(),
            detail: ": no token in it".to_owned(),
        })
    }

    fn denied(&self, status: u16) -> SourceError {
        let registry = &self.name;
        let hint = match &self.login {
            Some(login) => format!("the credentials of {:?} are not accepted, or may not read it", login.username),
            None => format!(
                "it may not exist, or needs credentials: add [[registry]] host = {registry:?} to the configuration, or an \
                 auth entry to docker's config.json"
            ),
        };
        SourceError::Denied { registry: registry.clone(), repository: self.repository.clone(), status, hint }
    }
}

/// The registry's own words for an error, with a colon before them.
fn words(got: &Fetched) -> String {
    let errors: Option<Errors> = serde_json::from_slice(&got.body).ok();
    let Some(first) = errors.and_then(|errors| errors.errors.into_iter().next()) else { return String::new() };
    format!(": {} {}", first.code, first.message).chars().filter(|c| !c.is_control()).take(MOST_DETAIL).collect()
}

/// Text as a query's value.
fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte);
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
