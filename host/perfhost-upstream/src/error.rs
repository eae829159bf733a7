//! How talking to a provider fails. Each error names the provider and the phase.

use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A request to a provider failed.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The provider's host name has no address.
    #[error("provider {provider}: connect: cannot resolve {host}: {source}")]
    Resolve {
        /// Provider's name.
        provider: Arc<str>,
        /// Host that was looked up.
        host: String,
        /// Resolver's answer.
        source: io::Error,
    },
    /// No connection could be opened.
    #[error("provider {provider}: connect: {endpoint}: {source}")]
    Connect {
        /// Provider's name.
        provider: Arc<str>,
        /// Where it was expected, as a URL.
        endpoint: String,
        /// System's answer.
        source: io::Error,
    },
    /// The engine ended while the request waited for a place there.
    #[error("provider {provider}: connect: the engine has ended")]
    Ended {
        /// Provider's name.
        provider: Arc<str>,
    },
    /// The TLS handshake failed: certificate, name or protocol.
    #[error("provider {provider}: connect: tls with {endpoint}: {source}")]
    Tls {
        /// Provider's name.
        provider: Arc<str>,
        /// Where it was expected, as a URL.
        endpoint: String,
        /// Cause as the TLS library words it.
        source: io::Error,
    },
    /// The HTTP connection could not be set up.
    #[error("provider {provider}: connect: http handshake: {source}")]
    Handshake {
        /// Provider's name.
        provider: Arc<str>,
        /// Cause as the HTTP library words it.
        source: hyper::Error,
    },
    /// The request's target is not a path that can be sent.
    #[error("provider {provider}: send: request target {target} is not valid: {source}")]
    Target {
        /// Provider's name.
        provider: Arc<str>,
        /// Path and query.
        target: String,
        /// Why it is refused.
        source: http::Error,
    },
    /// The request could not be written.
    #[error("provider {provider}: send: {source}")]
    Send {
        /// Provider's name.
        provider: Arc<str>,
        /// Cause as the HTTP library words it.
        source: hyper::Error,
    },
    /// The connection was closed, or what came was not HTTP, before a response head was complete.
    #[error("provider {provider}: first byte: closed before answering: {source}")]
    FirstByte {
        /// Provider's name.
        provider: Arc<str>,
        /// Cause as the HTTP library words it.
        source: hyper::Error,
    },
    /// The answer broke off in its body.
    #[error("provider {provider}: stream: answer broke off: {source}")]
    Body {
        /// Provider's name.
        provider: Arc<str>,
        /// Cause as the HTTP library words it.
        source: hyper::Error,
    },
    /// A phase took longer than it may.
    #[error("provider {provider}: {phase}: nothing within {after:?}")]
    Timeout {
        /// Provider's name.
        provider: Arc<str>,
        /// `connect` (set here), or a later phase (set by callers that keep time).
        phase: &'static str,
        /// Time allowed.
        after: Duration,
    },
}

impl UpstreamError {
    /// Nothing of an answer has come, so another attempt does not repeat one.
    pub fn is_before_first_byte(&self) -> bool {
        match self {
            Self::Body { .. } => false,
            Self::Timeout { phase, .. } => matches!(*phase, "connect" | "send" | "first_byte"),
            _ => true,
        }
    }

    /// No connection came about: the provider is not there.
    pub fn is_connect(&self) -> bool {
        matches!(
            self,
            Self::Resolve { .. }
                | Self::Connect { .. }
                | Self::Ended { .. }
                | Self::Tls { .. }
                | Self::Handshake { .. }
        ) || matches!(self, Self::Timeout { phase: "connect", .. })
    }

    /// Name of the provider that failed.
    pub fn provider(&self) -> &str {
        match self {
            Self::Resolve { provider, .. }
            | Self::Connect { provider, .. }
            | Self::Ended { provider }
            | Self::Tls { provider, .. }
            | Self::Handshake { provider, .. }
            | Self::Target { provider, .. }
            | Self::Send { provider, .. }
            | Self::FirstByte { provider, .. }
            | Self::Body { provider, .. }
            | Self::Timeout { provider, .. } => provider,
        }
    }
}

/// A URL cannot be a provider's endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Neither `http` nor `https`.
    #[error("endpoint {url}: scheme {scheme} is not http or https")]
    Scheme {
        /// URL as given.
        url: String,
        /// Scheme found.
        scheme: String,
    },
    /// It carries something that an endpoint has no use for.
    #[error("endpoint {url}: {part} is not allowed")]
    Part {
        /// URL as given.
        url: String,
        /// `user name`, `query` or `fragment`.
        part: &'static str,
    },
    /// It is not a URL.
    #[error("endpoint {url}: {cause}")]
    Invalid {
        /// URL as given.
        url: String,
        /// What is wrong.
        cause: String,
    },
}

/// TLS cannot be set up on this machine.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The cryptography provider refuses the protocol versions.
    #[error("tls: {0}")]
    Versions(#[from] rustls::Error),
}
