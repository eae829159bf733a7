//! A provider that answers at once: one task a connection, one write an answer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const BODY: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":"The three largest cities in France are Paris, Marseille and Lyon."},"finish_reason":"stop"}],"usage":{"prompt_tokens":24,"completion_tokens":16,"total_tokens":40}}"#;
const EVENT: &str = r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"bench","choices":[{"index":0,"delta":{"content":" Paris"},"finish_reason":null}]}"#;

/// Serves on all ports until the process ends, or one of them fails.
pub(crate) async fn serve(ports: &[u16], models: u32, events: u32, pause: Duration) -> Result<()> {
    let mut listeners = JoinSet::new();
    for port in ports {
        let listener = TcpListener::bind(("127.0.0.1", *port)).await?;
        listeners.spawn(listen(listener, plain(&list(*port, models)).into(), events, pause));
    }
    listeners.join_next().await.unwrap_or(Ok(Ok(())))?
}

async fn listen(listener: TcpListener, models: Arc<[u8]>, events: u32, pause: Duration) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let models = models.clone();
        // A connection that breaks ends its task; that is the other side's business.
        tokio::spawn(async move { answer(stream, &models, events, pause).await });
    }
}

/// The models of a port. A single one has the name that [`crate::load`] asks for.
fn list(port: u16, models: u32) -> String {
    let name = |number: u32| if models == 1 { "bench".to_owned() } else { format!("bench-{port}-{number}") };
    let each = (0..models).map(|number| {
        format!(r#"{{"id":"{}","object":"model","created":1700000000,"owned_by":"bench"}}"#, name(number))
    });
    format!(r#"{{"object":"list","data":[{}]}}"#, each.collect::<Vec<_>>().join(","))
}

async fn answer(mut stream: TcpStream, models: &[u8], events: u32, pause: Duration) -> Result<()> {
    let whole = plain(BODY);
    let mut buffer = Vec::with_capacity(16 << 10);
    loop {
        let (head, length) = loop {
            if let Some(found) = request_length(&buffer) {
                break found;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        while buffer.len() < head + length {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        if buffer.starts_with(b"GET") {
            stream.write_all(models).await?;
        } else if memmem::find(&buffer[head..head + length], b"\"stream\":true").is_some() {
            write_stream(&mut stream, events, pause).await?;
        } else {
            stream.write_all(&whole).await?;
        }
        buffer.drain(..head + length);
    }
}

fn plain(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

async fn write_stream(stream: &mut TcpStream, events: u32, pause: Duration) -> Result<()> {
    let mut out = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..events {
        if !pause.is_zero() {
            stream.write_all(&out).await?;
            out.clear();
            tokio::time::sleep(pause).await;
        }
        out.extend_from_slice(format!("{:x}\r\n{EVENT}\n\n\r\n", EVENT.len() + 2).as_bytes());
    }
    out.extend_from_slice(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
    Ok(stream.write_all(&out).await?)
}

/// Length of a request's head and of its body, once the head is whole.
fn request_length(buffer: &[u8]) -> Option<(usize, usize)> {
    let head = memmem::find(buffer, b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).ok()?;
    let length = text.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Some((head, length.unwrap_or(0)))
}
