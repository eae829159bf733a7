//! One GET over HTTP, bounded in bytes, time and redirects. What it may be sent over plain http, and where a redirect may
//! lead, is decided here; what the bytes must be is not.

use std::io::Read;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use perfhost_upstream::roots::download_tls;
use ureq::http::header::{AUTHORIZATION, LOCATION};
use ureq::http::{HeaderMap, StatusCode, Uri};

use super::address::shown;
use super::bound::Bound;
use super::error::SourceError;

/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest silence of a server.
const SILENCE: Duration = Duration::from_secs(30);
/// Longest time for one fetch in all.
const WHOLE: Duration = Duration::from_secs(300);
/// Redirects that one fetch follows.
const MOST_REDIRECTS: u32 = 5;
/// Bytes of an error's own words that are read.
const ERROR_BODY: Bound = Bound::fixed(64 << 10);

/// Fetches over HTTP.
pub(super) struct Transport {
    /// Made when it is first needed: reading the machine's root certificates takes some milliseconds.
    agent: OnceLock<ureq::Agent>,
    /// Hosts, with their port where it is not the usual one, that plain http may be spoken to.
    plain_http: Vec<String>,
}

/// An answer, whole.
pub(super) struct Fetched {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Transport {
    pub(super) fn new(plain_http: &[String]) -> Self {
        Self { agent: OnceLock::new(), plain_http: plain_http.to_vec() }
    }

    /// The scheme in which a registry at `host` is spoken to.
    pub(super) fn scheme(&self, host: &str) -> &'static str {
        if is_loopback(host) || self.plain_http.iter().any(|known| known == host) { "http" } else { "https" }
    }

    /// Gets `url`; an answer longer than `limit` is given up. Redirects are followed, to https where it began with
    /// https; `authorization` goes to the first host only.
    pub(super) fn get(
        &self,
        url: &str,
        accept: &str,
        authorization: Option<&str>,
        limit: Bound,
    ) -> Result<Fetched, SourceError> {
        let mut target = parse(url)?;
        let mut authorization = authorization;
        for _ in 0..=MOST_REDIRECTS {
            self.check_scheme(&target)?;
            let response = self.send(&target, accept, authorization)?;
            if !is_redirect(response.status()) {
                return read(response, &target, limit);
            }
            let next = redirect_target(&target, response.headers())?;
            if next.authority() != target.authority() || next.scheme() != target.scheme() {
                authorization = None;
            }
            target = next;
        }
        let why = "there were too many before it";
        Err(SourceError::Redirect { url: shown(url), target: written(&target), why })
    }

    fn send(
        &self,
        target: &Uri,
        accept: &str,
        authorization: Option<&str>,
    ) -> Result<ureq::http::Response<ureq::Body>, SourceError> {
        let mut request = self.agent.get_or_init(agent).get(target).header("accept", accept);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let host = target.host().unwrap_or_default();
        let sent = match is_loopback(host) {
            // No proxy knows the way to this machine's own loopback.
            true => request.config().proxy(None).build().call(),
            false => request.call(),
        };
        sent.map_err(|error| network(target, &error))
    }

    fn check_scheme(&self, target: &Uri) -> Result<(), SourceError> {
        let host = target.authority().map(|authority| authority.as_str()).unwrap_or_default();
        if target.scheme_str() == Some("http") && self.scheme(host) != "http" {
            return Err(SourceError::PlainHttp { url: written(target), host: host.to_owned() });
        }
        Ok(())
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .tls_config(download_tls())
        .user_agent(concat!("perfhost/", env!("CARGO_PKG_VERSION")))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .timeout_global(Some(WHOLE));
    config.build().new_agent()
}

fn read(response: ureq::http::Response<ureq::Body>, target: &Uri, limit: Bound) -> Result<Fetched, SourceError> {
    let (parts, body) = response.into_parts();
    let limit = if parts.status.is_success() { limit } else { ERROR_BODY };
    let too_large = |size| SourceError::TooLarge { what: written(target), size, limit };
    if let Some(announced) =
        body.content_length().filter(|announced| parts.status.is_success() && *announced > limit.bytes)
    {
        return Err(too_large(announced));
    }
    let mut bytes = Vec::new();
    let read = body.into_reader().take(limit.bytes + 1).read_to_end(&mut bytes);
    read.map_err(|error| network(target, &ureq::Error::Io(error)))?;
    if bytes.len() as u64 > limit.bytes {
        if parts.status.is_success() {
            return Err(too_large(bytes.len() as u64));
        }
        bytes.clear();
    }
    Ok(Fetched { status: parts.status, headers: parts.headers, body: bytes })
}

fn parse(url: &str) -> Result<Uri, SourceError> {
    let wrong = |why: String| SourceError::Address { name: shown(url), why };
    let parsed: Uri = url.parse().map_err(|error: ureq::http::uri::InvalidUri| wrong(error.to_string()))?;
    match (parsed.scheme_str(), parsed.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(parsed),
        _ => Err(wrong("an address begins with https:// and a host".to_owned())),
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn redirect_target(from: &Uri, headers: &HeaderMap) -> Result<Uri, SourceError> {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let refused = |why| SourceError::Redirect { url: written(from), target: shown(location), why };
    let whole = match (location.starts_with("//"), location.starts_with('/')) {
        (true, _) => format!("{}:{location}", from.scheme_str().unwrap_or_default()),
        (_, true) => {
            let authority = from.authority().map(|authority| authority.as_str()).unwrap_or_default();
            format!("{}://{authority}{location}", from.scheme_str().unwrap_or_default())
        }
        _ => location.to_owned(),
    };
    let target = parse(&whole).map_err(|_| refused("it is not a whole http or https address"))?;
    if from.scheme_str() == Some("https") && target.scheme_str() != Some("https") {
        return Err(refused("it leads from https to plain http"));
    }
    Ok(target)
}

/// The address without its query.
fn written(target: &Uri) -> String {
    shown(&target.to_string())
}

fn network(target: &Uri, error: &ureq::Error) -> SourceError {
    SourceError::Network { url: written(target), why: error.to_string() }
}

/// Whether `host`, with or without a port, is this machine and not to be reached through a network.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_and_for_hosts_that_are_named() {
        let transport = Transport::new(&["registry.lan:5000".to_owned()]);
        for host in ["localhost", "localhost:5000", "127.0.0.1:1", "[::1]:5000", "[::1]", "registry.lan:5000"] {
            assert_eq!(transport.scheme(host), "http", "{host}");
        }
        for host in ["registry.lan", "registry.lan:5001", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1:80"] {
            assert_eq!(transport.scheme(host), "https", "{host}");
        }
        let refused = transport
            .get("http://10.0.0.1/x.wasm?token=secret", "*/*", None, Bound::fixed(10))
            .err()
            .map(|e| e.to_string());
        let refused = refused.expect("not sent");
        assert!(refused.contains("trust.plain_http") && refused.contains("\"10.0.0.1\""), "{refused}");
        assert!(!refused.contains("secret"), "{refused}");
    }

    #[test]
    fn redirects_are_read_against_the_address_they_come_from() {
        let redirect = |from: &str, location: &str| {
            let headers = HeaderMap::from_iter([(LOCATION, location.parse().expect("a value"))]);
            let from: Uri = from.parse().expect("an address");
            redirect_target(&from, &headers).map(|target| target.to_string()).map_err(|error| error.code())
        };
        let from = "https://host:1/a/b";
        assert_eq!(redirect(from, "/c?d=1").as_deref(), Ok("https://host:1/c?d=1"));
        assert_eq!(redirect(from, "//other/c").as_deref(), Ok("https://other/c"));
        for refused in ["", "c", "file:///etc/passwd", "ftp://host/c", "http://host:1/c", "http://127.0.0.1/c"] {
            assert_eq!(redirect(from, refused), Err("redirect"), "{refused}");
        }
        assert_eq!(redirect("http://host/a", "https://host/c").as_deref(), Ok("https://host/c"));
        assert_eq!(redirect("http://host/a", "http://other/c").as_deref(), Ok("http://other/c"));
    }
}
