//! Which program is run as an engine: a native `llama-server`, or the one that `perfhost engine install` set up.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::install;

/// A program with the command line of `llama-server`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EngineProgram {
    /// llama.cpp's own server.
    LlamaServer {
        /// The program.
        path: PathBuf,
        /// Its version, where known.
        version: Option<String>,
    },
    /// The same server inside a Python package, behind a launcher with the same flags.
    Python {
        /// The interpreter of the environment that has the package.
        python: PathBuf,
        /// The launcher.
        launcher: PathBuf,
    },
}

impl fmt::Display for EngineProgram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LlamaServer { path, .. } => write!(formatter, "llama-server at {}", path.display()),
            Self::Python { python, .. } => {
                write!(formatter, "{} in the environment of {}", install::PACKAGE, python.display())
            }
        }
    }
}

/// An engine below the data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstalledEngine {
    /// The folder's name.
    pub name: String,
    /// Its version; `None` for one whose installation did not finish.
    pub version: Option<String>,
    /// Where it is.
    pub path: PathBuf,
}

/// The program to use: what is configured, else `llama-server` on the search path, else what was installed below the
/// data directory. `None` when there is none; `perfhost engine install` is the way out.
pub fn find(configured: Option<&Path>, path_variable: Option<&OsStr>, data_dir: &Path) -> Option<EngineProgram> {
    let native = |path: PathBuf| EngineProgram::LlamaServer { path, version: None };
    if let Some(path) = configured {
        return path.is_file().then(|| native(path.to_owned()));
    }
    let on_path = path_variable.and_then(|folders| {
        std::env::split_paths(folders).map(|folder| folder.join("llama-server")).find(|path| is_executable(path))
    });
    on_path.map(native).or_else(|| install::installed(data_dir))
}

/// What is installed below the data directory.
pub fn list(data_dir: &Path) -> Vec<InstalledEngine> {
    let path = install::folder(data_dir);
    if !path.is_dir() {
        return Vec::new();
    }
    vec![InstalledEngine { name: install::PACKAGE.to_owned(), version: install::installed_version(data_dir), path }]
}

fn is_executable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file()
}

/// Physical cores that this process may use: more threads than that slow llama.cpp down.
pub fn physical_cores() -> u32 {
    let logical = std::thread::available_parallelism().map_or(1, |count| count.get() as u32);
    physical_cores_in(Path::new("/sys/devices/system/cpu")).map_or(logical, |physical| physical.clamp(1, logical))
}

fn physical_cores_in(folder: &Path) -> Option<u32> {
    let mut cores = HashSet::new();
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let topology = entry.path().join("topology");
        let read = |name: &str| std::fs::read_to_string(topology.join(name)).ok();
        if let (Some(package), Some(core)) = (read("physical_package_id"), read("core_id")) {
            cores.insert((package, core));
        }
    }
    (!cores.is_empty()).then_some(cores.len() as u32)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_configured_program_wins_then_the_search_path() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("llama-server");
        std::fs::write(&program, "").unwrap();
        let on_path = || find(None, Some(folder.path().as_os_str()), folder.path());
        assert_eq!(on_path(), None, "not executable");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(on_path(), Some(EngineProgram::LlamaServer { path: program.clone(), version: None }));
        assert_eq!(find(Some(&program), None, folder.path()), on_path());
        let missing = folder.path().join("missing");
        assert_eq!(find(Some(&missing), Some(folder.path().as_os_str()), folder.path()), None);
        assert_eq!(list(folder.path()), []);
    }

    #[test]
    fn two_threads_of_one_core_count_once() {
        let folder = tempfile::tempdir().unwrap();
        for (cpu, core) in [("cpu0", "0"), ("cpu1", "0"), ("cpu2", "1")] {
            let topology = folder.path().join(cpu).join("topology");
            std::fs::create_dir_all(&topology).unwrap();
            std::fs::write(topology.join("physical_package_id"), "0\n").unwrap();
            std::fs::write(topology.join("core_id"), core).unwrap();
        }
        assert_eq!(physical_cores_in(folder.path()), Some(2));
        assert_eq!(physical_cores_in(&folder.path().join("missing")), None);
        assert!(physical_cores() >= 1);
    }
}
