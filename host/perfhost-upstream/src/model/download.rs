//! Fetching one file: resumed where it stopped, retried when the connection breaks, checked before it gets its name.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::http::StatusCode;

use super::error::ModelError;
use crate::roots::download_tls;

/// Attempts in a row that bring not one new byte before it is given up.
const MAX_FRUITLESS_ATTEMPTS: u32 = 5;
/// The pause after the first fruitless attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest silence of a server.
const SILENCE: Duration = Duration::from_secs(60);
const BUFFER_BYTES: usize = 256 << 10;

/// Fetches files.
pub(super) struct Downloader {
    agent: ureq::Agent,
}

/// What is to be fetched.
pub(super) struct Wanted<'a> {
    /// Where it is.
    pub(super) url: &'a str,
    /// Where it goes, once whole and checked.
    pub(super) target: &'a Path,
    /// Its SHA-256 in hex. Without one, an earlier run's bytes cannot be trusted and are fetched again.
    pub(super) sha256: Option<&'a str>,
    /// Its size, where known.
    pub(super) size_bytes: Option<u64>,
}

/// What a server says of a file before sending it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Announced {
    /// SHA-256 in hex, from Hugging Face's `x-linked-etag`.
    pub(super) sha256: Option<String>,
    /// Bytes.
    pub(super) size_bytes: Option<u64>,
}

impl Downloader {
    /// Trusts the certificates that the operating system trusts, and Mozilla's list where that has none.
    pub(super) fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .tls_config(download_tls())
            .user_agent(concat!("perfhost/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .timeout_connect(Some(SILENCE))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .build();
        Self { agent: config.new_agent() }
    }

    /// A small text, such as an index page. `None` when there is none at that address.
    pub(super) fn text(&self, url: &str, accept: &str) -> Result<Option<String>, ModelError> {
        let failed = |error: ureq::Error| network(url, 1, &error);
        let mut response = self.agent.get(url).header("accept", accept).call().map_err(failed)?;
        match response.status() {
            StatusCode::OK => response.body_mut().read_to_string().map(Some).map_err(failed),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(ModelError::Status { url: url.to_owned(), status: status.as_u16() }),
        }
    }

    /// Asks for the headers only, without following redirects: Hugging Face names the checksum on its own answer, not
    /// on that of the store it redirects to.
    pub(super) fn announced(&self, url: &str) -> Result<Announced, ModelError> {
        let request = self.agent.head(url).config().max_redirects(0).max_redirects_will_error(false).build();
        let response = request.call().map_err(|error| network(url, 1, &error))?;
        let status = response.status();
        if status.is_client_error() {
            return Err(ModelError::Status { url: url.to_owned(), status: status.as_u16() });
        }
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let length = if status.is_success() { header("content-length") } else { None };
        Ok(Announced {
            sha256: header("x-linked-etag")
                .map(|tag| tag.trim_matches('"').to_lowercase())
                .filter(|tag| is_sha256(tag)),
            size_bytes: header("x-linked-size").or(length).and_then(|size| size.parse().ok()),
        })
    }

    /// Fetches a file. `progress` is told the bytes that are there and the bytes in all.
    pub(super) fn fetch(
        &self,
        wanted: &Wanted<'_>,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(), ModelError> {
        let mut partial = Partial::open(wanted)?;
        let had_bytes = partial.length > 0;
        self.complete(wanted, &mut partial, progress)?;
        let mut found = partial.sha256();
        if had_bytes && wanted.sha256.is_some_and(|expected| expected != found) {
            // What an earlier run left may have been damaged since: once more, from the first byte.
            partial.restart()?;
            self.complete(wanted, &mut partial, progress)?;
            found = partial.sha256();
        }
        if let Some(expected) = wanted.sha256.filter(|expected| *expected != found) {
            partial.delete();
            let what = wanted.url.to_owned();
            return Err(ModelError::Hash { what, expected: expected.to_owned(), found });
        }
        partial.finish(wanted.target)
    }

    fn complete(
        &self,
        wanted: &Wanted<'_>,
        partial: &mut Partial,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(), ModelError> {
        let mut fruitless = 0;
        let mut version = None;
        loop {
            let before = partial.length;
            let why = match self.attempt(wanted, partial, &mut version, progress)? {
                Attempt::Whole => return Ok(()),
                Attempt::Broken(why) => why,
            };
            fruitless = if partial.length > before { 0 } else { fruitless + 1 };
            if fruitless >= MAX_FRUITLESS_ATTEMPTS {
                return Err(ModelError::Network { url: wanted.url.to_owned(), attempts: fruitless, why });
            }
            tracing::debug!(url = wanted.url, at = partial.length, why, "download broke off");
            if fruitless > 0 {
                std::thread::sleep(FIRST_PAUSE * 2u32.pow(fruitless - 1));
            }
        }
    }

    fn attempt(
        &self,
        wanted: &Wanted<'_>,
        partial: &mut Partial,
        version: &mut Option<String>,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<Attempt, ModelError> {
        if partial.length > 0 && Some(partial.length) == wanted.size_bytes {
            return Ok(Attempt::Whole);
        }
        let mut request = self.agent.get(wanted.url);
        if partial.length > 0 {
            request = request.header("range", format!("bytes={}-", partial.length));
        }
        let mut response = match request.call() {
            Ok(response) => response,
            Err(error) => return Ok(Attempt::Broken(error.to_string())),
        };
        let tag = response.headers().get("etag").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let has_changed = tag.is_some() && version.is_some() && tag != *version;
        *version = tag;
        let total = match response.status() {
            StatusCode::OK => {
                // The server sends all of it, whether asked for a part or not.
                partial.restart()?;
                response.body().content_length()
            }
            StatusCode::PARTIAL_CONTENT => match content_range(&response) {
                Some((start, total)) if start == partial.length && !has_changed => Some(total),
                _ => return partial.restart().map(|()| Attempt::Broken("the file changed on the way".to_owned())),
            },
            StatusCode::RANGE_NOT_SATISFIABLE => {
                return partial.restart().map(|()| Attempt::Broken("there were more bytes than it has".to_owned()));
            }
            status if is_passing(status) => return Ok(Attempt::Broken(format!("status {status}"))),
            status => return Err(ModelError::Status { url: wanted.url.to_owned(), status: status.as_u16() }),
        };
        if let (Some(expected), Some(found)) = (wanted.size_bytes, total)
            && expected != found
        {
            return Err(ModelError::Size { what: wanted.url.to_owned(), expected, found });
        }
        let total = total.or(wanted.size_bytes);
        let mut reader = response.body_mut().as_reader();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            progress(partial.length, total);
            match reader.read(&mut buffer) {
                Ok(0) if total.is_none_or(|total| total == partial.length) => return Ok(Attempt::Whole),
                Ok(0) => return Ok(Attempt::Broken(format!("it ended at byte {}", partial.length))),
                Ok(count) => partial.append(&buffer[..count])?,
                Err(error) => return Ok(Attempt::Broken(error.to_string())),
            }
        }
    }
}

enum Attempt {
    Whole,
    Broken(String),
}

/// The bytes there so far, beside the target, and their running checksum.
struct Partial {
    path: PathBuf,
    file: File,
    length: u64,
    hasher: Sha256,
}

impl Partial {
    fn open(wanted: &Wanted<'_>) -> Result<Self, ModelError> {
        let mut path = wanted.target.as_os_str().to_owned();
        path.push(".partial");
        let path = PathBuf::from(path);
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(wanted.sha256.is_none())
            .open(&path)
            .map_err(ModelError::file("open", &path))?;
        let mut partial = Self { path, file, length: 0, hasher: Sha256::new() };
        partial.length = hash_into(&mut partial.file, &partial.path, &mut partial.hasher)?;
        if wanted.size_bytes.is_some_and(|size| partial.length > size) {
            partial.restart()?;
        }
        Ok(partial)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        self.file.write_all(bytes).map_err(ModelError::file("write", &self.path))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> Result<(), ModelError> {
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(ModelError::file("truncate", &self.path))?;
        self.hasher = Sha256::new();
        self.length = 0;
        Ok(())
    }

    fn sha256(&self) -> String {
        hex(self.hasher.clone())
    }

    fn finish(self, target: &Path) -> Result<(), ModelError> {
        put_in_place(&self.file, &self.path, target)
    }

    fn delete(self) {
        // A leftover does no harm: the next pull checks it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Makes a finished file durable and gives it its name in one step.
pub(super) fn put_in_place(file: &File, from: &Path, to: &Path) -> Result<(), ModelError> {
    file.sync_all().map_err(ModelError::file("write", from))?;
    std::fs::rename(from, to).map_err(ModelError::file("rename", from))?;
    // The new name is durable once its folder is; where a folder cannot be synced, the rename still holds.
    if let Some(folder) = to.parent().and_then(|folder| File::open(folder).ok()) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// The SHA-256 of a whole file, in hex.
pub(super) fn sha256_of(path: &Path) -> Result<String, ModelError> {
    let mut file = File::open(path).map_err(ModelError::file("open", path))?;
    let mut hasher = Sha256::new();
    hash_into(&mut file, path, &mut hasher)?;
    Ok(hex(hasher))
}

fn hash_into(file: &mut File, path: &Path, hasher: &mut Sha256) -> Result<u64, ModelError> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut length = 0;
    loop {
        let count = file.read(&mut buffer).map_err(ModelError::file("read", path))?;
        if count == 0 {
            return Ok(length);
        }
        hasher.update(&buffer[..count]);
        length += count as u64;
    }
}

/// A finished checksum in hex.
pub(super) fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a text is a SHA-256 in lower-case hex.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn network(url: &str, attempts: u32, error: &ureq::Error) -> ModelError {
    ModelError::Network { url: url.to_owned(), attempts, why: error.to_string() }
}

/// Refusals that may be over the next time.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// Where the sent part starts, and the size of the whole: `bytes 100-199/1000`.
fn content_range<B>(response: &ureq::http::Response<B>) -> Option<(u64, u64)> {
    let value = response.headers().get("content-range")?.to_str().ok()?;
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.parse().ok()?, total.parse().ok()?))
}
