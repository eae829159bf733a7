//! One running process of an engine: started in a process group of its own, always waited for, killed when dropped.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinHandle;

use super::command::CommandLine;
use super::error::EngineError;
use super::log::{Log, Tail, pump};
use super::pidfile::PidFile;

/// How long the last output of a process that ended is waited for.
const LAST_OUTPUT: Duration = Duration::from_millis(500);

/// Rounds that an engine's thread spins at a barrier before it sleeps, where llama.cpp was built with GNU OpenMP. The
/// default spins for milliseconds: on cores that anything else wants too, a second engine during a replacement say,
/// threads then burn the time that the thread they wait for needs. Measured with two threads on two cores, generation
/// with two other busy programs fell from 44 to under 7 tokens/s by default and to 20 with this; alone it costs 0.5 %.
const SPIN: (&str, &str) = ("GOMP_SPINCOUNT", "1000");

/// A running process.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    pid: u32,
    /// Held open: its end tells the launcher that perfhost is gone.
    _stdin: Option<ChildStdin>,
    pumps: Vec<JoinHandle<()>>,
    tail: Arc<Tail>,
    log: Arc<Log>,
    _pid_file: PidFile,
}

impl Process {
    pub(super) fn spawn(line: &CommandLine, log: &Arc<Log>, run_dir: &std::path::Path) -> Result<Self, EngineError> {
        let refused = |source| EngineError::Spawn { program: line.program.clone(), source };
        let mut command = Command::new(&line.program);
        command.args(&line.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env(SPIN.0, SPIN.1);
        // A group of its own: ^C at the terminal reaches perfhost only, which then drains and stops its engines.
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(refused)?;
        let pid = child.id().ok_or_else(|| refused(std::io::Error::other("it has no process id")))?;
        let pid_file = PidFile::write(run_dir, pid, line);
        let tail = Arc::new(Tail::default());
        let mut pumps = Vec::new();
        if let Some(stream) = child.stdout.take() {
            pumps.push(tokio::spawn(pump(stream, log.clone(), tail.clone())));
        }
        if let Some(stream) = child.stderr.take() {
            pumps.push(tokio::spawn(pump(stream, log.clone(), tail.clone())));
        }
        Ok(Self { _stdin: child.stdin.take(), child, pid, pumps, tail, log: log.clone(), _pid_file: pid_file })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for the end and says how it came. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> EngineError {
        let how = describe(self.child.wait().await);
        for pump in self.pumps.drain(..) {
            let _ = tokio::time::timeout(LAST_OUTPUT, pump).await;
        }
        EngineError::Ended { how, log: self.log_path(), last_lines: self.tail.lines() }
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.log.path().to_owned()
    }

    pub(super) fn last_lines(&self) -> String {
        self.tail.lines()
    }

    /// Asks it to end, kills it after `grace`, and waits until it is gone.
    pub(super) async fn stop(mut self, grace: Duration) {
        self.signal(Signal::TERM);
        if tokio::time::timeout(grace, self.child.wait()).await.is_err() {
            tracing::warn!(pid = self.pid, "engine did not end when asked; killing it");
            self.signal(Signal::KILL);
            let _ = self.child.wait().await;
        }
    }

    /// Signals the group, if the process was not waited for yet: after that its number may be another's.
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.child.id().and_then(|pid| Pid::from_raw(pid as i32)) {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

fn describe(status: std::io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => format!("an unknown status ({error})"),
    }
}
