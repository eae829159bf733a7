//! Compiled code on disk, so that a strategy starts in under a millisecond after the first time.
//!
//! Loading compiled code is running it outside the sandbox's checks, so a file is only loaded when this user wrote it
//! with this folder's key: see [`folder`] for who may own what, and [`Cache::load`] for the authentication code. A file
//! that fails any check is removed, logged and made anew.
//!
//! An entry is the compiled code as wasmtime made it, followed by a trailer: the plugin's SHA-256, the authentication
//! code, and [`MAGIC`]. The code comes first so that it is mapped from the file instead of being copied, and so that
//! instances take their initial memory from it page by page. Entries are only ever written whole under a name of their
//! own or removed, never changed in place, so what is mapped stays as it was checked.

mod content;
mod folder;

use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::{self, Read};
use std::path::Path;

use thiserror::Error;
use wasmtime::Engine;
use wasmtime::component::Component;

use folder::Folder;

/// Last bytes of an entry; the number rises when the form of an entry changes.
const MAGIC: &[u8; 8] = b"phcode02";
const HASH_BYTES: usize = 32;
/// Everything after the compiled code.
const TRAILER_BYTES: usize = HASH_BYTES + HASH_BYTES + MAGIC.len();

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
    key: [u8; HASH_BYTES],
    /// Part of each entry's name: code made by another compiler or for another processor is never looked at.
    compatibility: String,
    capacity_bytes: u64,
}

/// What the cache knows of a plugin.
pub(crate) struct Cached {
    pub(crate) component: Component,
    /// The plugin's SHA-256, which is slower to work out than to look up.
    pub(crate) digest: [u8; HASH_BYTES],
    pub(crate) compiled_bytes: u64,
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

    /// The name under which a plugin is kept; for [`Cache::load`] and [`Cache::store`].
    pub(crate) fn entry_name(&self, plugin: &[u8]) -> String {
        let mut hasher = blake3::Hasher::new();
        content::add_bytes(&mut hasher, plugin);
        format!("{}-{}.{}", hasher.finalize().to_hex(), self.compatibility, folder::EXTENSION)
    }

    /// The compiled component under this name, if it is there and can be trusted.
    pub(crate) fn load(&self, engine: &Engine, name: &str) -> Option<Cached> {
        let (mut file, size) = match self.folder.open_file(name) {
            Ok(found) => found?,
            Err(error) => {
                self.discard(name, &error);
                return None;
            }
        };
        let digest = match self.authenticate(name, &mut file, size) {
            Ok(digest) => digest,
            Err(error) => {
                self.discard(name, &error);
                return None;
            }
        };
        // SAFETY: `deserialize_file` trusts its input to be code that wasmtime made. The authentication code over name
        // and content shows that a holder of this folder's key wrote it, that is this program run by this user, from
        // what `Component::serialize` gave; the name binds it to this plugin and to this compiler's compatibility hash.
        // The file that was checked is the one that is mapped, and nobody else can write it.
        #[allow(unsafe_code, reason = "the only way to load compiled code; guarded by the authentication code above")]
        let component = unsafe { Component::deserialize_file(engine, self.folder.path_of(&file, name)) };
        match component {
            Ok(component) => {
                folder::touch(&file);
                Some(Cached { component, digest, compiled_bytes: size - TRAILER_BYTES as u64 })
            }
            Err(error) => {
                tracing::warn!(entry = name, "compiled code was not taken: {error:#}");
                self.folder.remove(name);
                None
            }
        }
    }

    /// Keeps the compiled component of the plugin with this SHA-256. Failure costs time at the next start, nothing else.
    pub(crate) fn store(&self, name: &str, digest: &[u8; HASH_BYTES], compiled: &[u8]) {
        let mut hasher = self.hasher(name);
        hasher.update(compiled).update(digest);
        let code = hasher.finalize();
        let parts: [&[u8]; 4] = [compiled, digest, code.as_bytes(), MAGIC];
        if let Err(error) = self.folder.write(name, &parts) {
            tracing::warn!(entry = name, "compiled code was not kept: {error}");
        }
        self.folder.shrink(self.capacity_bytes);
    }

    /// Reads an entry to its end and checks that it was written here under this name. The answer is the plugin's SHA-256.
    fn authenticate(&self, name: &str, file: &mut File, size: u64) -> Result<[u8; HASH_BYTES], CacheError> {
        let io = |error| CacheError::Io { what: name.to_owned(), error };
        let refused = || CacheError::Refused { what: name.to_owned(), reason: "it is damaged or was not written here" };
        let compiled_bytes = size.checked_sub(TRAILER_BYTES as u64).ok_or_else(refused)?;
        let mut hasher = self.hasher(name);
        content::add_file(&mut hasher, file, compiled_bytes).map_err(io)?;
        let mut trailer = [0; TRAILER_BYTES];
        file.read_exact(&mut trailer).map_err(io)?;
        let (digest, rest) = trailer.split_at(HASH_BYTES);
        let (code, magic) = rest.split_at(HASH_BYTES);
        hasher.update(digest);
        // Comparing two hashes takes the same time wherever they differ.
        let is_authentic = blake3::Hash::from_slice(code).is_ok_and(|code| code == hasher.finalize());
        if magic != MAGIC || !is_authentic {
            return Err(refused());
        }
        digest.try_into().map_err(|_| refused())
    }

    /// Keyed with folder and name. The content is hashed from its first byte on, because BLAKE3 is at its fastest where
    /// pieces begin at a multiple of their size.
    fn hasher(&self, name: &str) -> blake3::Hasher {
        blake3::Hasher::new_keyed(blake3::keyed_hash(&self.key, name.as_bytes()).as_bytes())
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
