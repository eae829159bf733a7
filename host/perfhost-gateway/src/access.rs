//! Who may call what: the key for `/v1`, the token for `/api`, and what a browser may not be tricked into.
//!
//! Where no token is set the listener is on loopback, and two attacks remain, both through the user's browser: a page
//! that posts to `/api` (stopped by the content type and the origin), and a name of the attacker's that resolves to
//! 127.0.0.1 (stopped by the host name).

use std::borrow::Cow;
use std::net::IpAddr;

use http::{HeaderMap, Method, header};
use thiserror::Error;

/// The secrets and names that requests are checked against. Its `Debug` form shows no secret.
#[derive(Clone, Default)]
pub struct AccessPolicy {
    /// What `/api` and `/metrics` require as `Authorization: Bearer …`; `None` for nothing.
    pub admin_token: Option<String>,
    /// What `/v1` requires as `Authorization: Bearer …`; `None` for nothing.
    pub api_key: Option<String>,
    /// Host names, besides those of loopback, under which clients without a token may call.
    pub hosts: Vec<String>,
}

/// Headers besides `authorization` by which providers tell who asks. They pass to a provider that has no key of its own.
const CREDENTIALS: [&str; 6] =
    ["api-key", "cookie", "openai-organization", "openai-project", "x-api-key", "x-goog-api-key"];

/// Why a request was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Denied {
    /// No or a wrong key.
    #[error("this needs the header \"Authorization: Bearer <{0}>\" with the right value")]
    WrongToken(&'static str),
    /// The name in `Host` is not one of ours.
    #[error("the Host header names neither this machine's loopback nor a configured host")]
    UnknownHost,
    /// A page of another origin sent this.
    #[error("requests from pages of another origin are not accepted")]
    ForeignOrigin,
    /// The body's type is one that any web page may send.
    #[error("a request that changes something needs content-type application/json or application/wasm")]
    ContentType,
}

impl AccessPolicy {
    /// Checks a request to `/v1`.
    pub fn check_models(&self, headers: &HeaderMap) -> Result<(), Denied> {
        match &self.api_key {
            Some(key) => return has_bearer(headers, key).then_some(()).ok_or(Denied::WrongToken("api key")),
            None => self.check_host(headers)?,
        }
        // Any page may send a plain POST here, and spend what a provider's key pays for, though it cannot read the answer.
        match headers.get(header::ORIGIN) {
            Some(origin) if !self.is_known_origin(origin.as_bytes(), headers) => Err(Denied::ForeignOrigin),
            _ => Ok(()),
        }
    }

    /// This host itself, a page of this machine or of a configured host, or a program that is no web page.
    fn is_known_origin(&self, origin: &[u8], headers: &HeaderMap) -> bool {
        let Ok(text) = std::str::from_utf8(origin) else { return false };
        match text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) {
            Some(host) => is_same_origin(origin, headers) || self.is_known_name(without_port(host)),
            // A sandboxed frame of any page says "null".
            None => text.contains("://"),
        }
    }

    /// Checks a request to `/api` or `/metrics`.
    pub fn check_admin(&self, method: &Method, headers: &HeaderMap) -> Result<(), Denied> {
        match &self.admin_token {
            Some(token) if !has_bearer(headers, token) => return Err(Denied::WrongToken("admin token")),
            Some(_) => {}
            None => self.check_host(headers)?,
        }
        if method.is_safe() {
            return Ok(());
        }
        if headers.get(header::ORIGIN).is_some_and(|origin| !is_same_origin(origin.as_bytes(), headers)) {
            return Err(Denied::ForeignOrigin);
        }
        // Pages cannot send DELETE across origins without asking first, and nothing here answers such a question.
        match *method == Method::DELETE || has_safe_type(headers) {
            true => Ok(()),
            false => Err(Denied::ContentType),
        }
    }

    /// Checks a request that becomes a connection of its own. Browsers let every page open one and send no token with it,
    /// so pages of another origin are turned away even where nothing is changed.
    pub fn check_upgrade(&self, method: &Method, headers: &HeaderMap) -> Result<(), Denied> {
        self.check_admin(method, headers)?;
        match headers.get(header::ORIGIN) {
            Some(origin) if !is_same_origin(origin.as_bytes(), headers) => Err(Denied::ForeignOrigin),
            _ => Ok(()),
        }
    }

    /// Checks a request for a page without figures, which comes before anybody could give a token.
    pub fn check_page(&self, headers: &HeaderMap) -> Result<(), Denied> {
        match self.admin_token {
            Some(_) => Ok(()),
            None => self.check_host(headers),
        }
    }

    fn check_host(&self, headers: &HeaderMap) -> Result<(), Denied> {
        // Programs may leave the header out; browsers never do.
        let Some(host) = headers.get(header::HOST) else { return Ok(()) };
        let name = without_port(host.to_str().map_err(|_| Denied::UnknownHost)?);
        self.is_known_name(name).then_some(()).ok_or(Denied::UnknownHost)
    }

    fn is_known_name(&self, name: &str) -> bool {
        is_loopback(name) || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

impl std::fmt::Debug for AccessPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessPolicy")
            .field("admin_token", &self.admin_token.as_ref().map(|_| "***"))
            .field("api_key", &self.api_key.as_ref().map(|_| "***"))
            .field("hosts", &self.hosts)
            .finish()
    }
}

/// What separates one client's cached answers from another's: the credentials it sent, and what stands behind the `?`.
pub(crate) fn tenant<'a>(headers: &'a HeaderMap, query: Option<&str>) -> Cow<'a, [u8]> {
    let authorization = headers.get(header::AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
    let others = headers.iter().filter(|(name, _)| CREDENTIALS.contains(&name.as_str()));
    let others = others.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    let mut others = others.chain(query.map(|query| (&b"?"[..], query.as_bytes()))).peekable();
    if others.peek().is_none() {
        return Cow::Borrowed(authorization);
    }
    // Each with its length, so that no two lists look alike; a plain authorization cannot hold a zero.
    let mut all = b"\0".to_vec();
    for (name, value) in std::iter::once((&b"authorization"[..], authorization)).chain(others) {
        for part in [name, value] {
            all.extend_from_slice(&(part.len() as u64).to_le_bytes());
            all.extend_from_slice(part);
        }
    }
    Cow::Owned(all)
}

fn has_bearer(headers: &HeaderMap, expected: &str) -> bool {
    let found = headers.get(header::AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
    match found.split_at_checked(7) {
        Some((scheme, token)) => scheme.eq_ignore_ascii_case(b"bearer ") && is_equal(token, expected.as_bytes()),
        None => false,
    }
}

/// Compares in a time that depends on the lengths only.
fn is_equal(found: &[u8], expected: &[u8]) -> bool {
    let difference = found.iter().zip(expected).fold(0, |difference, (a, b)| difference | (a ^ b));
    std::hint::black_box(difference) == 0 && found.len() == expected.len()
}

fn is_same_origin(origin: &[u8], headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).map_or(&b""[..], |host| host.as_bytes());
    let of_origin = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    of_origin.is_some_and(|of_origin| !host.is_empty() && of_origin.eq_ignore_ascii_case(host))
}

fn has_safe_type(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    ["application/json", "application/wasm"].iter().any(|safe| essence.eq_ignore_ascii_case(safe))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_loopback(name: &str) -> bool {
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn without_a_key_only_loopback_and_configured_names_are_served() {
        let policy = AccessPolicy { hosts: vec!["box.lan".to_owned()], ..AccessPolicy::default() };
        for host in ["localhost", "LOCALHOST:8900", "127.0.0.1:8900", "127.9.9.9", "[::1]:8900", "[::1]", "box.lan:1"] {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            assert_eq!(policy.check_models(&headers), Ok(()), "{host}");
        }
        for host in ["evil.example:8900", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1"] {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            assert_eq!(policy.check_models(&headers), Err(Denied::UnknownHost), "{host}");
        }
        assert_eq!(policy.check_models(&HeaderMap::new()), Ok(()));
    }

    #[test]
    fn pages_of_other_sites_do_not_spend_a_providers_key() {
        let policy = AccessPolicy { hosts: vec!["box.lan".to_owned()], ..AccessPolicy::default() };
        let check =
            |origin: &'static str| policy.check_models(&headers(&[("host", "localhost:8900"), ("origin", origin)]));
        for ours in
            ["http://localhost:3000", "http://127.0.0.1", "https://box.lan", "vscode-webview://x", "app://obsidian.md"]
        {
            assert_eq!(check(ours), Ok(()), "{ours}");
        }
        for foreign in ["https://evil.example", "http://localhost.evil.example", "null", ""] {
            assert_eq!(check(foreign), Err(Denied::ForeignOrigin), "{foreign}");
        }
    }

    #[test]
    fn every_credential_and_the_query_tell_tenants_apart() {
        let of = |list: &[(&'static str, &'static str)], query| tenant(&headers(list), query).into_owned();
        assert_eq!(of(&[("authorization", "Bearer a"), ("accept", "*/*")], None), b"Bearer a");
        let different = [
            of(&[], None),
            of(&[("authorization", "Bearer a")], None),
            of(&[("api-key", "a")], None),
            of(&[("x-api-key", "a")], None),
            of(&[("api-key", "a"), ("x-api-key", "a")], None),
            of(&[("openai-organization", "a")], None),
            of(&[], Some("api-version=1")),
            of(&[], Some("api-version=2")),
        ];
        for (at, one) in different.iter().enumerate() {
            assert!(!different[at + 1..].contains(one), "{one:?}");
        }
    }

    #[test]
    fn a_key_is_required_whole() {
        let policy = AccessPolicy { api_key: Some("secret".to_owned()), ..AccessPolicy::default() };
        let check = |value: &'static str| policy.check_models(&headers(&[("authorization", value)]));
        assert_eq!(check("Bearer secret"), Ok(()));
        assert_eq!(check("bearer secret"), Ok(()));
        for wrong in ["Bearer secre", "Bearer secrets", "Bearer ", "secret", "Basic secret", ""] {
            assert_eq!(check(wrong), Err(Denied::WrongToken("api key")), "{wrong}");
        }
        assert!(!format!("{policy:?}").contains("secret"));
    }

    #[test]
    fn changes_are_not_taken_from_other_peoples_pages() {
        let policy = AccessPolicy::default();
        let check = |list: &[(&'static str, &'static str)]| policy.check_admin(&Method::POST, &headers(list));
        let json = ("content-type", "application/json; charset=utf-8");
        assert_eq!(check(&[json]), Ok(()));
        assert_eq!(check(&[("content-type", "text/plain")]), Err(Denied::ContentType));
        assert_eq!(check(&[]), Err(Denied::ContentType));
        assert_eq!(check(&[json, ("origin", "https://evil.example")]), Err(Denied::ForeignOrigin));
        assert_eq!(check(&[json, ("origin", "null")]), Err(Denied::ForeignOrigin));
        let ours = ("host", "localhost:8900");
        assert_eq!(check(&[json, ours, ("origin", "http://localhost:8900")]), Ok(()));
        assert_eq!(check(&[json, ours, ("origin", "http://localhost:3000")]), Err(Denied::ForeignOrigin));
        let foreign = headers(&[("origin", "https://evil.example"), ours]);
        assert_eq!(policy.check_admin(&Method::GET, &foreign), Ok(()));
        assert_eq!(policy.check_upgrade(&Method::GET, &foreign), Err(Denied::ForeignOrigin));
        assert_eq!(policy.check_upgrade(&Method::GET, &headers(&[ours, ("origin", "http://localhost:8900")])), Ok(()));
        assert_eq!(policy.check_upgrade(&Method::GET, &headers(&[ours])), Ok(()));
    }
}
