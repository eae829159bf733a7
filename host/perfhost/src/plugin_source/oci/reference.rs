//! An artifact's name in a registry: `host[:port]/repository[:tag][@sha256:HEX]`.

use std::fmt;

use super::super::digest::Digest;

/// The longest tag that the distribution specification allows.
const TAG_CHARACTERS: usize = 128;

/// A name that was read. It has a tag, a digest, or both; the digest decides where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Host, with its port where it is not the usual one.
    pub registry: String,
    /// Path inside the registry.
    pub repository: String,
    /// What the publisher calls it; may mean something else tomorrow.
    pub tag: Option<String>,
    /// The manifest's digest: always the same bytes.
    pub digest: Option<Digest>,
}

impl Reference {
    /// Reads what stands behind `oci://`. The error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                (rest, Some(digest.parse().map_err(|error: super::super::digest::DigestError| error.to_string())?))
            }
            None => (text, None),
        };
        let (registry, path) = rest.split_once('/').ok_or("expected is oci://REGISTRY/REPOSITORY:TAG")?;
        if registry.is_empty() || !registry.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
        {
            return Err(format!("{registry:?} is no host, with or without a port"));
        }
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        if !repository.split('/').all(is_component) {
            return Err(format!("{repository:?} is no repository: lower-case letters, digits, '.', '_', '-' and '/'"));
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(format!(
                "{tag:?} is no tag: up to {TAG_CHARACTERS} letters, digits, '_', '.' and '-', the first not '.' or '-'"
            ));
        }
        if tag.is_none() && digest.is_none() {
            return Err("it needs a tag or a digest: oci://REGISTRY/REPOSITORY:TAG or …@sha256:HEX".to_owned());
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }

    /// The same artifact, always: by its manifest's digest alone.
    pub fn pinned(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }
}

/// As configuration takes it.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

fn is_component(component: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    let is_outer = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = component.as_bytes();
    is_outer(bytes.first()) && is_outer(bytes.last()) && bytes.iter().copied().all(is_inner)
}

fn is_tag(tag: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (1..=TAG_CHARACTERS).contains(&tag.len()) && tag.bytes().all(is_inner) && !tag.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        let digest = Digest::of(b"manifest");
        for name in [
            "localhost:5000/strategies/fast:1.0.0",
            "ghcr.io/someone/fast:v1",
            "[::1]:5000/fast:latest",
            &format!("ghcr.io/someone/fast@{digest}"),
            &format!("ghcr.io/someone/fast:v1@{digest}"),
        ] {
            let reference = Reference::parse(name).expect(name);
            assert_eq!(reference.to_string(), format!("oci://{name}"));
        }
        let reference = Reference::parse("host/fast:v1").expect("a name");
        assert_eq!(reference.pinned(digest).to_string(), format!("oci://host/fast@{digest}"));
    }

    #[test]
    fn what_is_no_name_is_refused_with_its_reason() {
        for (name, words) in [
            ("host", "REGISTRY/REPOSITORY:TAG"),
            ("host/fast", "needs a tag or a digest"),
            ("/fast:1", "no host"),
            ("me@host/fast:1", "no digest"),
            ("host/Fast:1", "no repository"),
            ("host/../fast:1", "no repository"),
            ("host//fast:1", "no repository"),
            ("host/fast:.1", "no tag"),
            ("host/fast:a b", "no tag"),
            ("host/fast:", "no tag"),
            ("host/fast@sha256:12", "64 hexadecimal digits"),
        ] {
            let error = Reference::parse(name).expect_err(name);
            assert!(error.contains(words), "{name}: {error}");
        }
    }
}
