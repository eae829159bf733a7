//! `perfhost engine install`: a Python environment with llama.cpp's server inside, below the data directory.
//!
//! It is used where no `llama-server` is at hand: one command, no compiler, the same on every Linux and macOS. The
//! environment cannot be renamed once made (its paths are inside it), so a marker written last says that it is whole.

use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::EngineError;
use super::program::EngineProgram;
use crate::progress::{Progress, Stage};

/// The package that holds the server.
pub const PACKAGE: &str = "xllamacpp";
/// Its version: pinned, for settings and metrics are tested against this one.
pub const PACKAGE_VERSION: &str = "2026.10.11549";

const LAUNCHER: &str = include_str!("launcher.py");
const LAUNCHER_FILE: &str = "llama_server.py";
const MARKER_FILE: &str = "ready";
/// Lines of a failed command's output that are shown.
const SHOWN_LINES: usize = 12;

/// Where the environment is.
pub(super) fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("engines").join(PACKAGE)
}

/// The version that is installed and whole.
pub(super) fn installed_version(data_dir: &Path) -> Option<String> {
    let marker = std::fs::read_to_string(folder(data_dir).join(MARKER_FILE)).ok()?;
    Some(marker.trim().to_owned())
}

/// The installed program, if it is whole. Its launcher is brought up to date with this perfhost.
pub(super) fn installed(data_dir: &Path) -> Option<EngineProgram> {
    installed_version(data_dir)?;
    let program = program(data_dir);
    let EngineProgram::Python { python, launcher } = &program else { return None };
    if std::fs::read_to_string(launcher).ok().as_deref() != Some(LAUNCHER) {
        write_launcher(launcher).ok()?;
    }
    python.is_file().then_some(program)
}

fn program(data_dir: &Path) -> EngineProgram {
    let folder = folder(data_dir);
    EngineProgram::Python { python: folder.join("bin").join("python"), launcher: folder.join(LAUNCHER_FILE) }
}

fn write_launcher(path: &Path) -> Result<(), EngineError> {
    let fresh = path.with_extension("fresh");
    std::fs::write(&fresh, LAUNCHER).map_err(EngineError::file("write", &fresh))?;
    std::fs::rename(&fresh, path).map_err(EngineError::file("rename", &fresh))
}

/// Sets up the engine with the `python3` of the search path. What is there and whole is kept. Blocks for as long as the
/// download takes, typically under a minute.
pub fn install(data_dir: &Path, progress: &mut dyn FnMut(Progress)) -> Result<EngineProgram, EngineError> {
    install_with(Path::new("python3"), data_dir, progress)
}

/// As [`install`], with a given Python, 3.10 or later.
pub fn install_with(
    python: &Path,
    data_dir: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<EngineProgram, EngineError> {
    let folder = folder(data_dir);
    std::fs::create_dir_all(&folder).map_err(EngineError::file("create", &folder))?;
    let _lock = lock(&folder.with_extension("lock"), progress)?;
    if installed_version(data_dir).as_deref() == Some(PACKAGE_VERSION)
        && let Some(program) = installed(data_dir)
    {
        return Ok(program);
    }
    let marker = folder.join(MARKER_FILE);
    match std::fs::remove_file(&marker) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(EngineError::file("remove", &marker)(error));
        }
        _ => {}
    }
    let program = program(data_dir);
    let EngineProgram::Python { python: own_python, launcher } = &program else { return Ok(program) };

    progress(Progress::of(Stage::Installing, "Python environment"));
    let mut venv = Command::new(python);
    venv.args(["-m", "venv", "--clear"]).arg(&folder);
    run("making a Python environment", venv, &mut |_| {}).map_err(|error| match error {
        EngineError::Install { step, why } => EngineError::Install {
            step,
            why: format!(
                "{why}\nit needs Python 3.10 or later with its venv module (Debian: apt install python3-venv)"
            ),
        },
        other => other,
    })?;

    let requirement = format!("{PACKAGE}=={PACKAGE_VERSION}");
    progress(Progress::of(Stage::Installing, &requirement));
    let mut pip = Command::new(own_python);
    pip.args(["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--only-binary=:all:"]);
    pip.arg(&requirement);
    run("installing the engine's package", pip, &mut |line| {
        if line.starts_with("Downloading") || line.starts_with("Installing") {
            progress(Progress::of(Stage::Installing, line));
        }
    })?;

    write_launcher(launcher)?;
    progress(Progress::of(Stage::Testing, &requirement));
    let mut trial = Command::new(own_python);
    trial.arg("-I").arg(launcher).arg("--version");
    let mut version = String::new();
    run("trying the engine", trial, &mut |line| version = line.to_owned())?;
    if version != PACKAGE_VERSION {
        let why = format!("it says version {version:?} instead of {PACKAGE_VERSION}");
        return Err(EngineError::Install { step: "trying the engine", why });
    }
    std::fs::write(&marker, PACKAGE_VERSION).map_err(EngineError::file("write", &marker))?;
    Ok(program)
}

fn lock(path: &Path, progress: &mut dyn FnMut(Progress)) -> Result<File, EngineError> {
    let file = File::create(path).map_err(EngineError::file("create", path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress(Progress::of(Stage::Waiting, "another installation"));
            file.lock().map_err(EngineError::file("lock", path))?;
        }
        Err(TryLockError::Error(error)) => return Err(EngineError::file("lock", path)(error)),
    }
    Ok(file)
}

/// Runs a command, hands on each line that it prints, and shows the last of them when it fails.
fn run(step: &'static str, mut command: Command, on_line: &mut dyn FnMut(&str)) -> Result<(), EngineError> {
    let failed = |why: String| EngineError::Install { step, why };
    // One pipe for both streams keeps their lines in order and cannot fill up unread.
    let (reader, writer) = std::io::pipe().map_err(|error| failed(error.to_string()))?;
    let errors = writer.try_clone().map_err(|error| failed(error.to_string()))?;
    command.stdin(Stdio::null()).stdout(writer).stderr(errors);
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|error| failed(format!("cannot run {name}: {error}")))?;
    // The command holds the writing ends; the pipe ends only once they are closed.
    drop(command);
    let mut last = Vec::new();
    for line in BufReader::new(reader.take(64 << 20)).lines().map_while(Result::ok) {
        on_line(line.trim());
        if last.len() == SHOWN_LINES {
            last.remove(0);
        }
        last.push(line);
    }
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(format!("{name} ended with {status}:\n{}", last.join("\n")))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_shows_what_it_printed() {
        let folder = tempfile::tempdir().unwrap();
        let python = folder.path().join("python");
        std::fs::write(&python, "#!/bin/sh\necho no module named venv >&2\nexit 3\n").unwrap();
        std::fs::set_permissions(&python, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let error = install_with(&python, folder.path(), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("no module named venv") && error.contains("python3-venv"), "{error}");
        assert!(installed(folder.path()).is_none());
        let error = install_with(Path::new("/no/python"), folder.path(), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("/no/python"), "{error}");
    }

    #[test]
    fn only_a_marked_environment_counts_and_its_launcher_is_kept_up_to_date() {
        let data = tempfile::tempdir().unwrap();
        let environment = folder(data.path());
        std::fs::create_dir_all(environment.join("bin")).unwrap();
        std::fs::write(environment.join("bin/python"), "").unwrap();
        std::fs::write(environment.join(LAUNCHER_FILE), "old").unwrap();
        assert_eq!(installed(data.path()), None);
        std::fs::write(environment.join(MARKER_FILE), PACKAGE_VERSION).unwrap();
        assert_eq!(installed(data.path()), Some(program(data.path())));
        assert_eq!(std::fs::read_to_string(environment.join(LAUNCHER_FILE)).unwrap(), LAUNCHER);
        let again = install_with(Path::new("/no/python"), data.path(), &mut |_| {}).unwrap();
        assert_eq!(again, program(data.path()), "what is whole is kept");
    }
}
