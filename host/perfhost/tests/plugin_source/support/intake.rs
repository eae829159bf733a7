//! An intake under a configuration that a test writes, with a library folder of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use perfhost::config::{self, Sources};
use perfhost::plugin_source::digest::Digest;
use perfhost::plugin_source::error::SourceError;
use perfhost::plugin_source::{Intake, Plugin};

/// Folders that live as long as the test, and what is written in the configuration.
pub(crate) struct Setup {
    folder: tempfile::TempDir,
    configuration: String,
}

impl Setup {
    pub(crate) fn new(configuration: &str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), configuration: configuration.to_owned() }
    }

    /// The same folders under another configuration.
    pub(crate) fn configured(mut self, configuration: &str) -> Self {
        configuration.clone_into(&mut self.configuration);
        self
    }

    /// A path in the folder of this test, which is also that of the configuration file.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and returns its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).unwrap();
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    /// Made anew each time, as after a restart.
    pub(crate) fn intake(&self) -> Intake {
        self.file("perfhost.toml", format!("library_dir = {:?}\n{}", self.path("library"), self.configuration));
        let home = self.folder.path().display().to_string();
        let sources = Sources {
            file: Some(self.path("perfhost.toml")),
            environment: vec![("HOME".to_owned(), home), ("REGISTRY_PASSWORD".to_owned(), "secret".to_owned())],
            ..Sources::default()
        };
        Intake::new(Arc::new(config::load(&sources).unwrap()), &sources)
    }

    pub(crate) fn read(&self, name: &str) -> Result<Plugin, SourceError> {
        self.intake().read(name, None)
    }

    /// The code and the words of the refusal of `name`.
    pub(crate) fn refused(&self, name: &str) -> (&'static str, String) {
        let error = self.read(name).err().unwrap_or_else(|| panic!("{name} was let in"));
        (error.code(), error.to_string())
    }

    pub(crate) fn read_as(&self, name: &str, digest: Digest) -> Result<Plugin, SourceError> {
        self.intake().read(name, Some(digest))
    }
}
