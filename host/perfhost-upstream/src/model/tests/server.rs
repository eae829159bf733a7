//! An HTTP server on loopback that answers as a test scripts it: parts, cuts, refusals.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    /// The first byte of a range request.
    pub(super) from: Option<usize>,
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// Close the connection after this many bytes of the body.
    pub(super) cut_after: Option<usize>,
}

impl Answer {
    pub(super) fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(super) fn whole(body: &[u8]) -> Self {
        Self { status: 200, body: body.to_vec(), ..Self::default() }
    }

    /// The part from the byte asked for, as a server with range support sends it.
    pub(super) fn part(body: &[u8], asked: &Asked) -> Self {
        let Some(from) = asked.from else { return Self::whole(body) };
        let range = format!("bytes {from}-{}/{}", body.len() - 1, body.len());
        Self { status: 206, headers: vec![("content-range", range)], body: body[from..].to_vec(), ..Self::default() }
    }

    pub(super) fn cut(mut self, after: usize) -> Self {
        self.cut_after = Some(after);
        self
    }
}

/// A running server; its thread ends with the test process.
pub(super) struct Server {
    pub(super) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub(super) fn start(answer: impl Fn(&Asked) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                if let Some(request) = read(&stream) {
                    log.lock().unwrap().push(request.clone());
                    write(stream, &request, &answer(&request));
                }
            }
        });
        Self { url, asked }
    }

    /// Every GET so far: path and first byte.
    pub(super) fn gets(&self) -> Vec<(String, Option<usize>)> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| asked.method == "GET").map(|asked| (asked.path.clone(), asked.from)).collect()
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let mut asked = Asked { method: words.next()?.to_owned(), path: words.next()?.to_owned(), from: None };
    for line in lines {
        let line = line.ok()?.to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            asked.from = range.trim_end_matches('-').parse().ok();
        }
    }
    Some(asked)
}

/// One answer a connection: the next request finds no stale connection.
fn write(mut stream: TcpStream, asked: &Asked, answer: &Answer) {
    let mut head =
        format!("HTTP/1.1 {} x\r\nconnection: close\r\ncontent-length: {}\r\n", answer.status, answer.body.len());
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let _ = stream.write_all(head.as_bytes());
    if asked.method != "HEAD" {
        let _ = stream.write_all(&answer.body[..answer.cut_after.unwrap_or(answer.body.len())]);
    }
}
