//! Where a provider is: a URL taken apart once, with all that is needed per request made ready.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;
use http::uri::{Authority, Uri};
use rustls::pki_types::ServerName;

use crate::error::EndpointError;
use crate::places::Places;

/// `http` or `https`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// As in a URL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// One place where requests can be sent. A clone is the same place: it keeps the id.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Differs for every endpoint ever made in this process; connection pools go by it.
    pub id: u64,
    /// Plain or TLS.
    pub scheme: Scheme,
    /// Name or address; IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Stands before every path, without a `/v1` at its end: `""`, or like `/openai`.
    pub base_path: String,
    pub(crate) authority: Authority,
    pub(crate) host_header: HeaderValue,
    /// Set when the host is an address, so that nothing need be looked up.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) server_name: Option<ServerName<'static>>,
    /// Set where a request waits for its turn: at a managed engine.
    pub(crate) places: Option<Arc<Places>>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Endpoint {
    /// Reads a URL. A missing scheme means `http`; a `/v1` at the end is dropped, for requests bring their own.
    ///
    /// # Errors
    /// [`EndpointError`] for what is not a plain http or https URL.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        let given = url.trim();
        let invalid = |cause: String| EndpointError::Invalid { url: given.to_owned(), cause };
        if given.contains('#') {
            return Err(EndpointError::Part { url: given.to_owned(), part: "fragment" });
        }
        let whole = if given.contains("://") { given.to_owned() } else { format!("http://{given}") };
        let uri: Uri = whole.parse().map_err(|error: http::uri::InvalidUri| invalid(error.to_string()))?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            other => {
                let scheme = other.unwrap_or_default().to_owned();
                return Err(EndpointError::Scheme { url: given.to_owned(), scheme });
            }
        };
        if uri.query().is_some() {
            return Err(EndpointError::Part { url: given.to_owned(), part: "query" });
        }
        let authority = uri.authority().ok_or_else(|| invalid("host is missing".to_owned()))?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::Part { url: "(hidden)".to_owned(), part: "user name" });
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(invalid("host is missing".to_owned()));
        }
        let port = match (authority.port_u16(), authority.as_str().rsplit_once(':')) {
            (Some(port), _) => port,
            (None, Some((_, port))) if !port.contains(']') => return Err(invalid(format!("port {port} is not valid"))),
            (None, _) => scheme.default_port(),
        };
        let path = uri.path().trim_end_matches('/');
        let base_path = path.strip_suffix("/v1").unwrap_or(path).to_owned();
        Self::assemble(scheme, host, port, base_path).map_err(invalid)
    }

    /// Plain HTTP on this machine.
    ///
    /// # Errors
    /// None in practice; the type is that of [`Endpoint::parse`].
    pub fn loopback(port: u16) -> Result<Self, EndpointError> {
        Self::parse(&format!("http://127.0.0.1:{port}"))
    }

    /// That of a managed engine with so many slots: no more requests are sent there at once than it can work on, and
    /// half as many more; the others wait until a place is free or another endpoint takes this one's place.
    pub fn with_slots(self, slots: u32) -> Self {
        Self { places: Some(Places::for_slots(slots)), ..self }
    }

    /// On this machine and not to be reached through a network.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.address.is_some_and(|address| address.ip().is_loopback())
    }

    fn assemble(scheme: Scheme, host: String, port: u16, base_path: String) -> Result<Self, String> {
        let address: Option<IpAddr> = host.parse().ok();
        let bare = match address {
            Some(IpAddr::V6(_)) => format!("[{host}]"),
            _ => host.clone(),
        };
        let written = if port == scheme.default_port() { bare } else { format!("{bare}:{port}") };
        let server_name = match scheme {
            Scheme::Http => None,
            Scheme::Https => Some(ServerName::try_from(host.clone()).map_err(|error| error.to_string())?),
        };
        Ok(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            scheme,
            port,
            base_path,
            authority: written.parse().map_err(|error: http::uri::InvalidUri| error.to_string())?,
            host_header: HeaderValue::try_from(written).map_err(|error| error.to_string())?,
            address: address.map(|ip| SocketAddr::new(ip, port)),
            server_name,
            host,
            places: None,
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}{}", self.scheme.name(), self.authority, self.base_path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_as_users_write_them() {
        let cases = [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", 8080),
            ("127.0.0.1:11434", "http://127.0.0.1:11434", 11434),
            ("localhost", "http://localhost", 80),
            ("https://api.openai.com/v1", "https://api.openai.com", 443),
            ("https://api.groq.com/openai/v1/", "https://api.groq.com/openai", 443),
            ("http://[::1]:8000/", "http://[::1]:8000", 8000),
            ("https://host:443/a/b", "https://host/a/b", 443),
        ];
        for (given, shown, port) in cases {
            let endpoint = Endpoint::parse(given).expect(given);
            assert_eq!((endpoint.to_string().as_str(), endpoint.port), (shown, port), "{given}");
        }
        assert_eq!(Endpoint::parse("http://[::1]:8000").expect("v6").host, "::1");
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_its_reason() {
        let cases = [
            ("ftp://host", "scheme ftp"),
            ("http://host?x=1", "query"),
            ("http://host#x", "fragment"),
            ("http://me:secret@host", "user name"),
            ("", "endpoint"),
            ("http://host:99999", "port"),
        ];
        for (given, part) in cases {
            let message = Endpoint::parse(given).expect_err(given).to_string();
            assert!(message.contains(part) && !message.contains("secret"), "{given}: {message}");
        }
    }

    #[test]
    fn ids_differ_and_loopback_is_known() {
        let (one, two) = (Endpoint::loopback(1).expect("one"), Endpoint::loopback(1).expect("two"));
        assert_ne!(one.id, two.id);
        assert!(one.is_loopback() && !Endpoint::parse("http://10.0.0.1").expect("three").is_loopback());
    }
}
