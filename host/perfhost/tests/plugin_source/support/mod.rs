//! What every test needs: a server, a registry, keys to sign with, and an intake under a configuration.

mod intake;
mod registry;
mod server;
mod signer;

pub(crate) use intake::Setup;
pub(crate) use registry::{CONFIG_TYPE, FakeRegistry, Guard, LAYER_TYPE, MANIFEST_TYPE};
pub(crate) use server::{Answer, Asked, Server};
pub(crate) use signer::Signer;

/// Stands for a plugin: what is fetched is not loaded here.
pub(crate) const PLUGIN: &[u8] = b"\0asm the bytes of a plugin";
