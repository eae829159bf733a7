//! A provider that answers, or dies, as a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const COMPLETION: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
const MODELS: &str = r#"{"object":"list","data":[{"id":"m","object":"model","created":1,"owned_by":"test"}]}"#;

pub(crate) struct Provider(SocketAddr);

impl Provider {
    /// `is_answered` is asked of each completion, from 1 on; where it says no, the connection closes without a byte.
    pub(crate) fn start(is_answered: impl Fn(u64) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (is_answered, calls) = (Arc::new(is_answered), Arc::new(AtomicU64::new(1)));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (is_answered, calls) = (is_answered.clone(), calls.clone());
                std::thread::spawn(move || serve(stream, is_answered.as_ref(), &calls));
            }
        });
        Self(address)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0)
    }
}

/// Until the other side closes the connection, or it dies.
fn serve(mut stream: TcpStream, is_answered: &dyn Fn(u64) -> bool, calls: &AtomicU64) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let (mut is_post, mut length) = (false, 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            is_post |= line.starts_with("POST");
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        if is_post && !is_answered(calls.fetch_add(1, Ordering::SeqCst)) {
            return;
        }
        let content = if is_post { COMPLETION } else { MODELS };
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", content.len());
        if stream.write_all((head + content).as_bytes()).is_err() {
            return;
        }
    }
}
