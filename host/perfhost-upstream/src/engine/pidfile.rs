//! Notes of running engines, so that a perfhost killed with -9 leaves none behind for good: the next one stops what it
//! finds, once it is certain that the process is still the one that was noted.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use super::command::CommandLine;

#[derive(Serialize, Deserialize)]
struct Note {
    /// The perfhost that started it: its process id and when it first noted an engine. In a container, perfhost has the
    /// same process id every time.
    owner: String,
    /// The arguments, joined by spaces.
    arguments: String,
}

/// The note of one running process; removed when it is dropped.
#[derive(Debug)]
pub(super) struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Notes a process. A note that cannot be written is done without.
    pub(super) fn write(run_dir: &Path, pid: u32, line: &CommandLine) -> Self {
        let path = run_dir.join(format!("{pid}.json"));
        let note = Note { owner: owner().to_owned(), arguments: joined(&line.arguments) };
        let written = serde_json::to_vec(&note)
            .map_err(std::io::Error::from)
            .and_then(|bytes| std::fs::create_dir_all(run_dir).and_then(|()| std::fs::write(&path, bytes)));
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "cannot note a running engine");
        }
        Self { path }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Kills engines that an earlier perfhost left behind; returns their process ids.
pub(super) fn reap(run_dir: &Path) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir(run_dir) else { return Vec::new() };
    let mut killed = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let Some(pid) = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u32>().ok()) else { continue };
        let note: Option<Note> = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(note) = &note {
            if note.owner == owner() {
                continue;
            }
            if command_line_of(pid).is_some_and(|running| running.ends_with(&note.arguments))
                && let Some(group) = Pid::from_raw(pid as i32)
                && kill_process_group(group, Signal::KILL).is_ok()
            {
                tracing::warn!(pid, "stopped an engine that an earlier perfhost left behind");
                killed.push(pid);
            }
        }
        let _ = std::fs::remove_file(&path);
    }
    killed
}

fn owner() -> &'static str {
    static OWNER: OnceLock<String> = OnceLock::new();
    OWNER.get_or_init(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        format!("{}-{}", std::process::id(), now.as_nanos())
    })
}

fn joined(arguments: &[OsString]) -> String {
    arguments.iter().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The command line of a running process, joined by spaces.
fn command_line_of(pid: u32) -> Option<String> {
    if let Ok(bytes) = std::fs::read(format!("/proc/{pid}/cmdline")) {
        return Some(String::from_utf8_lossy(&bytes).trim_end_matches('\0').replace('\0', " "));
    }
    let answer = std::process::Command::new("ps").args(["-ww", "-o", "args=", "-p", &pid.to_string()]).output().ok()?;
    answer.status.success().then(|| String::from_utf8_lossy(&answer.stdout).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt, ExitStatusExt};

    use super::*;

    fn note(folder: &Path, pid: u32, owner: &str, arguments: &str) -> PathBuf {
        let path = folder.join(format!("{pid}.json"));
        let note = Note { owner: owner.to_owned(), arguments: arguments.to_owned() };
        std::fs::write(&path, serde_json::to_vec(&note).unwrap()).unwrap();
        path
    }

    #[test]
    fn only_a_process_that_is_still_the_noted_one_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        let somebody_else = "1-1";
        // Between a process's birth and its first instruction its command line is empty.
        while command_line_of(child.id()).is_none_or(|line| line != "sleep 600") {
            std::thread::yield_now();
        }

        let path = note(folder.path(), child.id(), somebody_else, "--port 1");
        assert_eq!(reap(folder.path()), Vec::<u32>::new());
        assert!(!path.exists(), "a note of a process that is another one now is dropped");

        let path = note(folder.path(), child.id(), owner(), "600");
        assert_eq!(reap(folder.path()), Vec::<u32>::new());
        assert!(path.exists(), "what this process started is left alone");

        let path = note(folder.path(), child.id(), somebody_else, "600");
        assert_eq!(reap(folder.path()), [child.id()]);
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert!(!path.exists());
    }
}
