//! Where plugins come from and whether they are let in: files, addresses, registries and uploads become bytes that are
//! what was asked for, signed where configuration wants that, under the terms that their strategy has.
//!
//! It does not load them (perfhost-wasm does) nor put them in service ([`crate::service::strategies`] does). Fetching
//! blocks, for as long as the network takes; call it away from request threads.
//!
//! - `intake`: the way in, by one configuration; `permission`: what the API may ask for; `judging`: what a signature means
//! - [`address`]: what a name means; [`kind`]: the kinds of places
//! - [`digest`], [`signature`]: what vouches for bytes; [`provenance`]: what came of it
//! - `fetch`, `bound`: one bounded GET; [`oci`]: registries; `store`: what was fetched, on disk
//! - [`error`]: how any of this fails

pub mod address;
mod bound;
pub mod digest;
pub mod error;
mod fetch;
mod intake;
mod judging;
pub mod kind;
pub mod oci;
mod permission;
pub mod provenance;
pub mod signature;
mod store;

use std::path::PathBuf;

use perfhost_wasm::PluginSource;

use digest::Digest;
pub use intake::Intake;
pub(crate) use intake::beside;
use provenance::Provenance;

/// How the source of a built-in strategy begins.
pub const BUILT_IN_SOURCE: &str = "built-in";

/// A plugin that was let in.
#[derive(Debug)]
pub struct Plugin {
    /// Its bytes and what to call it.
    pub source: PluginSource,
    /// The file that it was read from, as an absolute path, if it was.
    pub path: Option<PathBuf>,
    /// Where it came from and what vouches for it.
    pub provenance: Provenance,
}

/// A plugin that came with a request.
#[derive(Debug)]
pub struct Upload<'a> {
    /// What to call it.
    pub name: &'a str,
    /// The file.
    pub bytes: Vec<u8>,
    /// What its digest must be.
    pub digest: Option<Digest>,
    /// Its signature in base64, as `cosign sign-blob` writes it.
    pub signature: Option<String>,
}
