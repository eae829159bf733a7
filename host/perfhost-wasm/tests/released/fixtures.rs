//! The compiled fixtures in `tests/fixtures`: finding, unpacking and loading them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lzma_rust2::LzmaReader;
use perfhost_strategy::Strategy;
use perfhost_wasm::{History, Limits, PluginSource, Runtime, RuntimeConfig};

/// Ending of a packed component.
const PACKED: &str = ".wasm.lzma";
/// Memory for unpacking, in KiB: the dictionary that `build.sh` packs with, and some more.
const UNPACKING_KIB: u32 = 96 << 10;

pub(crate) fn folder(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(version)
}

/// Names of the components kept for a version of the contract.
pub(crate) fn names(version: &str) -> Vec<String> {
    let files = std::fs::read_dir(folder(version)).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> =
        files.filter_map(|file| Some(file.to_str()?.strip_suffix(PACKED)?.to_owned())).collect();
    names.sort();
    names
}

pub(crate) fn unpacked(version: &str, name: &str) -> Vec<u8> {
    let path = folder(version).join(format!("{name}{PACKED}"));
    let packed = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    LzmaReader::new_mem_limit(packed, UNPACKING_KIB, None).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn cache_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/released")
}

/// A sandbox that keeps compiled code between runs of these tests: Python and JavaScript take many seconds to compile.
pub(crate) fn runtime() -> Arc<Runtime> {
    Runtime::new(RuntimeConfig { cache_dir: Some(cache_folder()), limits: Limits::default() }).unwrap()
}

pub(crate) fn load(runtime: &Arc<Runtime>, bytes: &[u8], history: Arc<dyn History>) -> Arc<dyn Strategy> {
    let source = PluginSource { name: "fixture.wasm".to_owned(), bytes: bytes.to_vec() };
    // Tests run at the same time: one compiles, the others find it done.
    let lock = File::create(cache_folder().join(format!("{}.lock", bytes.len()))).unwrap();
    lock.lock().unwrap();
    runtime.load(&source, history).unwrap_or_else(|error| panic!("{error}"))
}
