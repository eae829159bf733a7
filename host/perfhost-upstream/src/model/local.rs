//! The models that are on this machine already.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::catalogue::{CatalogueModel, find};
use super::error::ModelError;
use super::gguf::ModelHeader;

/// A model file in the models folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LocalModel {
    /// The catalogue's name, or the file's name without `.gguf`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub size_bytes: u64,
    /// What it says of itself; `None` for a file that cannot be read as a model.
    pub header: Option<ModelHeader>,
}

/// What is known of one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelDetails {
    /// The catalogue's entry, for a model that has one.
    pub catalogue: Option<CatalogueModel>,
    /// The file on this machine, for a model that was pulled.
    pub local: Option<LocalModel>,
}

/// Every model file in the folder, by name. A folder that is not there holds none.
pub fn list(models_dir: &Path) -> Result<Vec<LocalModel>, ModelError> {
    let entries = match std::fs::read_dir(models_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ModelError::file("list", models_dir)(error)),
    };
    let mut models: Vec<LocalModel> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "gguf") && path.is_file())
        .map(|path| local(&path))
        .collect();
    models.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(models)
}

/// The file of a model that was pulled: by its catalogue name, its file name with or without `.gguf`, or its path.
pub fn path_of(name: &str, models_dir: &Path) -> Option<PathBuf> {
    let candidates = match find(name) {
        Some(model) => vec![models_dir.join(model.file)],
        None => vec![models_dir.join(format!("{name}.gguf")), models_dir.join(name), PathBuf::from(name)],
    };
    candidates.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "gguf") && path.is_file())
}

/// What is known of a model; `None` when it is neither here nor in the catalogue.
pub fn show(name: &str, models_dir: &Path) -> Option<ModelDetails> {
    let details =
        ModelDetails { catalogue: find(name).copied(), local: path_of(name, models_dir).map(|path| local(&path)) };
    (details.catalogue.is_some() || details.local.is_some()).then_some(details)
}

fn local(path: &Path) -> LocalModel {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let known = super::catalogue().iter().find(|model| model.file == file);
    LocalModel {
        name: known.map_or_else(|| file.trim_end_matches(".gguf").to_owned(), |model| model.name.to_owned()),
        path: path.to_owned(),
        size_bytes: path.metadata().map_or(0, |metadata| metadata.len()),
        header: ModelHeader::read(path).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_found_by_any_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let known = folder.path().join("gemma-3-270m-q4_k_m.gguf");
        let other = folder.path().join("mine.gguf");
        std::fs::write(&known, "x").unwrap();
        std::fs::write(&other, "x").unwrap();
        std::fs::write(folder.path().join("mine.gguf.partial"), "x").unwrap();
        assert_eq!(path_of("gemma-3-270m", folder.path()), Some(known));
        for name in ["mine", "mine.gguf", other.to_str().unwrap()] {
            assert_eq!(path_of(name, folder.path()), Some(other.clone()), "{name}");
        }
        assert_eq!(path_of("gemma-3-1b", folder.path()), None);
        let names: Vec<_> = list(folder.path()).unwrap().into_iter().map(|model| model.name).collect();
        assert_eq!(names, ["gemma-3-270m", "mine"]);
        assert!(show("gemma-3-1b", folder.path()).unwrap().local.is_none());
        assert_eq!(show("nothing", folder.path()), None);
        assert_eq!(list(&folder.path().join("absent")).unwrap(), []);
    }
}
