//! What perfhost talks to: providers, the connections to them, their health, and how they are found.
//!
//! Owns everything between a request that is ready to be sent and the bytes of its answer. Does not read the client's
//! request, choose between providers, retry across them or time requests out: the gateway does. Map of the crate:
//!
//! - [`provider`], [`endpoint`], [`key`]: one upstream API, where it is, and what opens it
//! - `places`: who is sent to a managed engine now, and who waits
//! - [`recent`]: what is known of a provider's latency and failures
//! - [`fleet`]: all providers, and the snapshot that workers route by
//! - [`client`]: one worker's pooled HTTP/1.1 and HTTP/2 connections
//! - [`health`]: watches providers and refreshes their lists of models
//! - [`mod@discover`]: finds providers on this machine and by the usual variables
//! - [`engine`]: local model servers that perfhost installs, starts, watches and replaces
//! - [`model`]: model files: the catalogue, fetching them, what they say of themselves
//! - [`roots`]: whom blocking downloads trust
//! - [`progress`]: how far long work has come
//! - [`error`]: how any of this fails

pub mod client;
pub mod discover;
pub mod endpoint;
pub mod engine;
pub mod error;
pub mod fleet;
pub mod health;
pub mod key;
mod listing;
pub mod model;
mod places;
mod probe;
pub mod progress;
pub mod provider;
pub mod recent;
pub mod roots;

pub use client::{Client, Sent, UpstreamBody, tls_config};
pub use discover::discover;
pub use endpoint::{Endpoint, Scheme};
pub use error::{EndpointError, TlsError, UpstreamError};
pub use fleet::{Fleet, FleetView, TargetRef};
pub use key::ApiKey;
pub use provider::{Health, Provider, ProviderConfig, ProviderKind};
pub use recent::RecentStats;
/// How connections to providers are secured, made by [`tls_config`].
pub use rustls::ClientConfig as TlsConfig;
