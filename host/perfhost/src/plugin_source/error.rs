//! Why a plugin was not fetched or not trusted. Each says what, where, and what to do about it.

use std::io;

use thiserror::Error;

use super::bound::Bound;
use super::digest::Digest;
use super::kind::Kind;
use super::signature::SignatureError;

/// Why there is no plugin to load.
#[derive(Debug, Error)]
pub enum SourceError {
    /// Neither a file nor a built-in strategy has that name.
    #[error("{name:?} is neither a file nor a built-in strategy ({known}); an address begins with https:// or oci://")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The built-in ones.
        known: String,
    },
    /// An address that does not read.
    #[error("{name}: {why}")]
    Address {
        /// What was asked for.
        name: String,
        /// What is wrong with it and what is allowed.
        why: String,
    },
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// An address without a digest: nothing would say whether the bytes are the ones meant.
    #[error("{url}: an address needs the digest of the plugin: {url}#sha256=HEX, as its publisher states it")]
    NoDigest {
        /// The address.
        url: String,
    },
    /// The bytes are not the ones that were asked for.
    #[error("{what} has the digest {found} instead of {expected}; it was changed, or the digest is of another version")]
    DigestMismatch {
        /// What was read or fetched.
        what: String,
        /// What was asked for.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// More bytes than a plugin may have.
    #[error("{what} has {size} bytes or more, the limit is {limit}")]
    TooLarge {
        /// What was read or fetched.
        what: String,
        /// Bytes found before it was given up.
        size: u64,
        /// How many are allowed, and which setting says so.
        limit: Bound,
    },
    /// Plain http to a host that is not on this machine.
    #[error(
        "{url}: plain http is spoken to this machine only; use https, or add {host:?} to trust.plain_http in the configuration"
    )]
    PlainHttp {
        /// The address.
        url: String,
        /// The host, as the setting names it.
        host: String,
    },
    /// A redirect that is not followed.
    #[error("{url}: a redirect to {target:?} is not followed: {why}")]
    Redirect {
        /// The address that redirects.
        url: String,
        /// Where to.
        target: String,
        /// Why not.
        why: &'static str,
    },
    /// No answer, or one that broke off.
    #[error("{url} cannot be fetched: {why}")]
    Network {
        /// The address.
        url: String,
        /// What happened.
        why: String,
    },
    /// The server has no such thing.
    #[error("{what} does not exist: {url} answered 404")]
    NotFound {
        /// What was asked for.
        what: String,
        /// The address.
        url: String,
    },
    /// The registry wants other credentials.
    #[error("{registry} answered {status} for {repository}: {hint}")]
    Denied {
        /// The registry.
        registry: String,
        /// The repository.
        repository: String,
        /// The HTTP status.
        status: u16,
        /// What to do.
        hint: String,
    },
    /// The server answered with another error.
    #[error("{url} answered {status}{detail}")]
    Status {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Its own words, with a colon before them, if it had any.
        detail: String,
    },
    /// What the registry holds there is no Wasm artifact.
    #[error("{reference} is no Wasm artifact: {why}")]
    NotWasm {
        /// The artifact.
        reference: String,
        /// What was found and what is expected.
        why: String,
    },
    /// A signature is required and there is none.
    #[error(
        "{what} is not signed, and trust.require_signature asks for signatures of plugins from {kind}: {looked_for}"
    )]
    Unsigned {
        /// The plugin.
        what: String,
        /// Where it came from.
        kind: Kind,
        /// Where a signature was looked for, or how to send one.
        looked_for: String,
    },
    /// A signature is required and none that is there is good.
    #[error("{what} has no good signature: {why}")]
    BadSignature {
        /// The plugin.
        what: String,
        /// Why.
        why: SignatureError,
    },
    /// It was let in earlier, by less than is asked for today.
    #[error(
        "{what} is kept from when it was let in without a signature by a key that is named today, and trust.require_signature asks for one of plugins from {kind}: load it again from where it came from"
    )]
    NotTrustedNow {
        /// The plugin.
        what: String,
        /// Where it came from.
        kind: Kind,
    },
    /// The API may not load from there.
    #[error("the API may not load strategies from {kind}: {setting}")]
    NotAllowed {
        /// Where it would have come from.
        kind: Kind,
        /// The setting that would allow it.
        setting: String,
    },
}

impl SourceError {
    /// Whether it is refused for what it is, and not because of what was asked for or how it is reached.
    pub fn is_about_the_plugin(&self) -> bool {
        matches!(
            self,
            Self::Read { .. }
                | Self::DigestMismatch { .. }
                | Self::TooLarge { .. }
                | Self::NotWasm { .. }
                | Self::Unsigned { .. }
                | Self::BadSignature { .. }
                | Self::NotTrustedNow { .. }
        )
    }

    /// A stable word for each kind of failure, for API answers and tests.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown",
            Self::Address { .. } => "bad-address",
            Self::Read { .. } => "unreadable",
            Self::NoDigest { .. } => "no-digest",
            Self::DigestMismatch { .. } => "digest-mismatch",
            Self::TooLarge { .. } => "too-large",
            Self::PlainHttp { .. } => "plain-http",
            Self::Redirect { .. } => "redirect",
            Self::Network { .. } => "unreachable",
            Self::NotFound { .. } => "not-found",
            Self::Denied { .. } => "denied",
            Self::Status { .. } => "status",
            Self::NotWasm { .. } => "not-wasm-artifact",
            Self::Unsigned { .. } => "unsigned",
            Self::BadSignature { .. } => "bad-signature",
            Self::NotTrustedNow { .. } => "not-trusted-now",
            Self::NotAllowed { .. } => "not-allowed",
        }
    }
}
