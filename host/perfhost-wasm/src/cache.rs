//! Compiled code on disk, so that a strategy starts in under a millisecond after the first time.
//!
//! Loading compiled code is running it outside the sandbox's checks, so a file is only loaded when this user wrote it
//! with this folder's key: see [`folder`] for who may own what, and [`Cache::load`] for the authentication code. A file
//! that fails any check is removed, logged and made anew.

mod folder;

use std::hash::{Hash, Hasher};
use std::io;
use std::path::Path;

use thiserror::Error;
use wasmtime::Engine;
use wasmtime::component::Component;

use folder::Folder;

/// First bytes of an entry; the number rises when the form of an entry changes.
const MAGIC: &[u8; 8] = b"phcode01";
const CODE_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + CODE_BYTES;

/// Why the cache, or one entry of it, is not used.
#[derive(Debug, Error)]
pub(crate) enum CacheError {
    #[error("{what}: {error}")]
    Io { what: String, error: io::Error },
    #[error("{what} is refused: {reason}")]
    Refused { what: String, reason: &'static str },
}

/// The cache. Entries are found by the content of the plugin and the properties of the compiler.
pub(crate) struct Cache {
    folder: Folder,
    key: [u8; 32],
    /// Part of each entry's name: code made by another compiler or for another processor is never looked at.
    compatibility: String,
    capacity_bytes: u64,
}

impl Cache {
    /// Opens the folder, makes it and its key when missing.
    pub(crate) fn open(path: &Path, engine: &Engine, capacity_bytes: u64) -> Result<Self, CacheError> {
        let folder = Folder::open(path)?;
        let key = folder.key()?;
        let mut hasher = Blake(blake3::Hasher::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        let compatibility = hasher.0.finalize().to_hex()[..16].to_owned();
        Ok(Self { folder, key, compatibility, capacity_bytes })
    }

    /// The compiled component for a plugin with this digest, if it is there and can be trusted.
    pub(crate) fn load(&self, engine: &Engine, digest: &str) -> Option<(Component, u64)> {
        let name = self.entry_name(digest);
        let bytes = match self.folder.read(&name) {
            Ok(bytes) => bytes?,
            Err(error) => {
                self.discard(&name, &error);
                return None;
            }
        };
        let code = bytes.get(MAGIC.len()..HEADER_BYTES);
        let is_authentic = bytes.starts_with(MAGIC)
            && code.is_some_and(|code| {
                blake3::Hash::from_slice(code).is_ok_and(|code| {
                    // Compares in constant time.
                    code == self.code(&name, &bytes[HEADER_BYTES..])
                })
            });
        if !is_authentic {
            self.discard(
                &name,
                &CacheError::Refused { what: name.clone(), reason: "it is damaged or was not written here" },
            );
            return None;
        }
        let compiled = &bytes[HEADER_BYTES..];
        // SAFETY: `deserialize` trusts its input to be code that wasmtime made. The authentication code over name and
        // content shows that a holder of this folder's key wrote it, that is this program run by this user, from what
        // `Component::serialize` gave; the name binds it to this plugin and to this compiler's compatibility hash.
        #[allow(unsafe_code, reason = "the only way to load compiled code; guarded by the authentication code above")]
        let component = unsafe { Component::deserialize(engine, compiled) };
        match component {
            Ok(component) => {
                self.folder.touch(&name);
                Some((component, compiled.len() as u64))
            }
            Err(error) => {
                tracing::warn!(entry = name, "compiled code was not taken: {error:#}");
                self.folder.remove(&name);
                None
            }
        }
    }

    /// Keeps a compiled component. Failure costs time at the next start, nothing else.
    pub(crate) fn store(&self, digest: &str, compiled: &[u8]) {
        let name = self.entry_name(digest);
        let code = self.code(&name, compiled);
        let parts: [&[u8]; 3] = [MAGIC, code.as_bytes(), compiled];
        if let Err(error) = self.folder.write(&name, &parts) {
            tracing::warn!(entry = name, "compiled code was not kept: {error}");
        }
        self.folder.shrink(self.capacity_bytes);
    }

    fn entry_name(&self, digest: &str) -> String {
        format!("{digest}-{}.{}", self.compatibility, folder::EXTENSION)
    }

    fn code(&self, name: &str, compiled: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(compiled);
        hasher.finalize()
    }

    fn discard(&self, name: &str, error: &CacheError) {
        tracing::warn!(entry = name, "compiled code was refused and is made anew: {error}");
        self.folder.remove(name);
    }
}

/// BLAKE3 as a [`Hasher`]: the standard library's own hasher may change between releases.
struct Blake(blake3::Hasher);

impl Hasher for Blake {
    fn finish(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0.finalize().as_bytes()[..8]);
        u64::from_le_bytes(first)
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}
