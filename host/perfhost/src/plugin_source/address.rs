//! What a plugin's name means: a file, an address, a registry, or a strategy inside the binary.

use std::path::{Path, PathBuf};

use super::BUILT_IN_SOURCE;
use super::digest::Digest;
use super::error::SourceError;
use super::kind::Kind;
use super::oci::Reference;
use crate::built_in;

/// How an address in a registry begins.
const OCI: &str = "oci://";
/// How the digest of a URL is written, after the `#`.
const FRAGMENT: &str = "sha256=";

/// A name, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A strategy inside the binary.
    BuiltIn(String),
    /// A file that exists.
    Path(PathBuf),
    /// An http or https address.
    Url {
        /// Without its fragment.
        url: String,
        /// What the bytes must be.
        digest: Option<Digest>,
    },
    /// An artifact in a registry.
    Oci(Reference),
}

impl Address {
    /// Reads a name. A file that exists comes before a built-in strategy of that name, so that `aggressive.wasm` in this
    /// folder means the file.
    ///
    /// # Errors
    /// [`SourceError::Unknown`], and [`SourceError::Address`] for an address that does not read.
    pub fn parse(name: &str) -> Result<Self, SourceError> {
        if let Some(rest) = name.strip_prefix(OCI) {
            return Reference::parse(rest)
                .map(Self::Oci)
                .map_err(|why| SourceError::Address { name: name.to_owned(), why });
        }
        if name.starts_with("https://") || name.starts_with("http://") {
            return url(name);
        }
        if Path::new(name).is_file() {
            return Ok(Self::Path(name.into()));
        }
        if built_in::find(name).is_some() {
            return Ok(Self::BuiltIn(built_in::stem(name)));
        }
        Err(SourceError::Unknown { name: name.to_owned(), known: built_in::names() })
    }

    /// What a strategy from there is said to come from.
    pub fn source_name(&self) -> String {
        match self {
            Self::BuiltIn(strategy) => format!("{BUILT_IN_SOURCE} {strategy}"),
            Self::Path(path) => path.display().to_string(),
            Self::Url { url, .. } => shown(url),
            Self::Oci(reference) => reference.to_string(),
        }
    }

    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::BuiltIn(_) => Kind::BuiltIn,
            Self::Path(_) => Kind::Path,
            Self::Url { .. } => Kind::Url,
            Self::Oci(_) => Kind::Oci,
        }
    }
}

fn url(name: &str) -> Result<Address, SourceError> {
    let wrong = |why: String| SourceError::Address { name: shown(name), why };
    let (url, fragment) = name.split_once('#').map_or((name, None), |(url, fragment)| (url, Some(fragment)));
    let authority = url.split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
    if authority.is_empty() {
        return Err(wrong("it names no host".to_owned()));
    }
    if authority.contains('@') {
        return Err(wrong("a user name or password does not belong in an address".to_owned()));
    }
    let digest = match fragment {
        None => None,
        Some(fragment) => {
            let digits = fragment
                .strip_prefix(FRAGMENT)
                .ok_or_else(|| wrong(format!("after the # {FRAGMENT}HEX is expected, not {fragment:?}")))?;
            Some(digits.parse().map_err(|error: super::digest::DigestError| wrong(error.to_string()))?)
        }
    };
    Ok(Address::Url { url: url.to_owned(), digest })
}

/// An address as logs and answers may show it: without a user name, and without its query, which may hold a secret.
pub fn shown(address: &str) -> String {
    let whole = &address[..address.find(['?', '#']).unwrap_or(address.len())];
    let Some((scheme, rest)) = whole.split_once("://").filter(|(scheme, _)| scheme.starts_with("http")) else {
        return whole.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

/// The name of the strategy that a plugin's name or address stands for: no folder, tag, digest or ending.
pub fn stem(plugin: &str) -> String {
    match plugin.strip_prefix(OCI).map(Reference::parse) {
        Some(Ok(reference)) => built_in::stem(&reference.repository),
        _ => built_in::stem(&shown(plugin)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str) -> Address {
        Address::parse(name).expect(name)
    }

    fn refused(name: &str) -> String {
        Address::parse(name).expect_err(name).to_string()
    }

    #[test]
    fn files_come_before_the_built_in() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("aggressive.wasm");
        std::fs::write(&file, b"").expect("a file");
        assert_eq!(parse(&file.display().to_string()), Address::Path(file));
        assert_eq!(parse("aggressive.wasm"), Address::BuiltIn("aggressive".to_owned()));
        let unknown = refused("agressive");
        assert!(unknown.contains("agressive") && unknown.contains("conservative"), "{unknown}");
    }

    #[test]
    fn a_url_carries_its_digest_behind_the_hash_sign() {
        let digest = Digest::of(b"x");
        let url = "https://host/x.wasm?version=1".to_owned();
        assert_eq!(parse(&format!("{url}#sha256={}", digest.hex())), Address::Url { url, digest: Some(digest) });
        assert!(refused("https://host/x.wasm#sha256=12").contains("64 hexadecimal digits"));
        assert!(refused("https://host/x.wasm#md5=12").contains("sha256=HEX is expected"));
        assert!(refused("https:///x.wasm").contains("no host"));
        let hidden = refused("https://me:secret@host/x.wasm?token=secret");
        assert!(!hidden.contains("secret"), "{hidden}");
    }

    #[test]
    fn a_strategys_name_is_found_in_every_address() {
        let digest = Digest::of(b"x");
        for plugin in [
            "aggressive",
            "folder/aggressive.wasm",
            &format!("https://host/a/aggressive.wasm?x=1/2#sha256={}", digest.hex()),
            "oci://localhost:5000/team/aggressive:1.0",
            &format!("oci://host/aggressive@{digest}"),
        ] {
            assert_eq!(stem(plugin), "aggressive", "{plugin}");
        }
    }
}
