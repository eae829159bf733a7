//! Projects as they are written; that they build, test and run is shown by tests/authoring.

use super::*;

fn made(language: Language) -> (tempfile::TempDir, Project) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let name: StrategyName = "night-shift".parse().expect("a name");
    let project = make(language, &name, &folder.path().join("project")).expect("a project");
    (folder, project)
}

#[test]
fn every_template_is_filled_in_and_carries_the_contract() {
    for language in Language::value_variants() {
        let (_folder, project) = made(*language);
        let text = |path: &Path| fs::read_to_string(project.folder.join(path)).expect("a file that was listed");
        // A name without a value is an error of `make`; what is left to see is that names are filled in at all.
        assert!(project.files.iter().any(|file| text(file).contains("\"night-shift\"")), "{language:?}");
        assert!(text(Path::new("wit/strategy.wit")).contains("package perfhost:strategy@0.1.0;"));
        assert!(text(Path::new(".gitignore")).lines().count() > 0);
        assert!(text(Path::new("README.md")).starts_with("# night-shift\n"));
    }
}

#[test]
fn every_file_of_a_template_reaches_the_project() {
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    for (language, folder) in [
        (Language::Rust, "rust"),
        (Language::Python, "python"),
        (Language::Javascript, "javascript"),
        (Language::C, "c"),
    ] {
        let (_folder, project) = made(language);
        let mut folders = vec![templates.join(folder)];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(next).expect("a folder").map(|entry| entry.expect("an entry").path()) {
                if entry.is_dir() {
                    folders.push(entry);
                    continue;
                }
                let path = entry.strip_prefix(templates.join(folder)).expect("a path below it");
                let path = if path == Path::new("gitignore") { Path::new(".gitignore") } else { path };
                assert!(project.files.iter().any(|file| file == path), "{language:?} lacks {}", path.display());
            }
        }
    }
}

#[test]
fn the_commands_are_those_of_the_readme() {
    let (_folder, project) = made(Language::Rust);
    assert_eq!(
        project.commands,
        [
            "cargo test",
            "cargo build --release --target wasm32-unknown-unknown",
            "perfhost plugin inspect target/wasm32-unknown-unknown/release/night_shift.wasm",
        ]
    );
}

#[test]
fn nothing_is_ever_overwritten() {
    let (folder, project) = made(Language::Python);
    let name: StrategyName = "night-shift".parse().expect("a name");
    let policy = project.folder.join("policy.py");
    fs::write(&policy, "my work").expect("a change");
    assert!(matches!(make(Language::Python, &name, &project.folder), Err(ScaffoldError::Occupied(_))));
    assert!(
        matches!(make(Language::Python, &name, &policy), Err(ScaffoldError::Occupied(_))),
        "a file is in its place"
    );
    assert_eq!(fs::read_to_string(&policy).expect("the file"), "my work");

    let empty = folder.path().join("empty");
    fs::create_dir(&empty).expect("an empty folder");
    assert!(make(Language::C, &name, &empty).is_ok(), "an empty folder is as good as none");
}
