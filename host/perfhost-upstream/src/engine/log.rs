//! An engine's output: into a log of bounded size, its end kept for error messages.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt};

/// A log of this size becomes `<name>.log.1`, replacing the one before.
const MAX_LOG_BYTES: u64 = 10 << 20;
/// What is kept of the end.
const TAIL_BYTES: usize = 4_096;
/// Lines of it that an error shows.
const TAIL_LINES: usize = 12;

/// Where a provider's engine writes its log.
pub fn log_path(log_dir: &Path, provider: &str) -> PathBuf {
    let safe: String =
        provider.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    log_dir.join(format!("{safe}.log"))
}

/// One engine's log file. Its processes share it, so that the log of a replacement reads in order.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: Mutex<Option<(File, u64)>>,
}

impl Log {
    pub(super) fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, file: Mutex::new(None) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes to the page cache only, which does not hold the runtime up. A log that cannot be written is done without:
    /// the engine matters more.
    pub(super) fn write(&self, bytes: &[u8]) {
        let mut slot = self.file.lock();
        if slot.as_ref().is_some_and(|(_, length)| *length >= MAX_LOG_BYTES) {
            *slot = None;
            let _ = std::fs::rename(&self.path, self.path.with_extension("log.1"));
        }
        if slot.is_none() {
            if let Some(folder) = self.path.parent() {
                let _ = std::fs::create_dir_all(folder);
            }
            *slot = OpenOptions::new().create(true).append(true).open(&self.path).ok().map(|file| {
                let length = file.metadata().map_or(0, |metadata| metadata.len());
                (file, length)
            });
        }
        if let Some((file, length)) = slot.as_mut() {
            let _ = file.write_all(bytes);
            *length += bytes.len() as u64;
        }
    }
}

/// The end of one process's output.
#[derive(Debug, Default)]
pub(super) struct Tail(Mutex<Vec<u8>>);

impl Tail {
    fn push(&self, bytes: &[u8]) {
        let mut kept = self.0.lock();
        kept.extend_from_slice(bytes);
        let excess = kept.len().saturating_sub(TAIL_BYTES);
        kept.drain(..excess);
    }

    pub(super) fn lines(&self) -> String {
        let kept = self.0.lock();
        let text = String::from_utf8_lossy(&kept);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

/// Carries one stream of output to its end.
pub(super) async fn pump(mut stream: impl AsyncRead + Unpin, log: Arc<Log>, tail: Arc<Tail>) {
    let mut buffer = vec![0; 8_192];
    while let Ok(count) = stream.read(&mut buffer).await {
        if count == 0 {
            return;
        }
        log.write(&buffer[..count]);
        tail.push(&buffer[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = log_path(&folder.path().join("logs"), "local/../x");
        assert_eq!(path.file_name().unwrap(), "local----x.log");
        let log = Log::new(path.clone());
        let mebibyte = vec![b'x'; 1 << 20];
        for _ in 0..21 {
            log.write(&mebibyte);
        }
        let size = |path: &Path| std::fs::metadata(path).unwrap().len();
        assert_eq!((size(&path), size(&path.with_extension("log.1"))), (1 << 20, MAX_LOG_BYTES));
        assert_eq!(std::fs::read_dir(folder.path().join("logs")).unwrap().count(), 2);
    }

    #[test]
    fn only_the_end_is_kept_for_errors() {
        let tail = Tail::default();
        for line in 0..1_000 {
            tail.push(format!("line {line}\n").as_bytes());
        }
        let lines = tail.lines();
        assert_eq!(lines.lines().count(), TAIL_LINES);
        assert!(lines.ends_with("line 999"));
    }
}
