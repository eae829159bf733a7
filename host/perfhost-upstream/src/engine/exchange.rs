//! One request to an engine on this machine, on a connection of its own.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const MAX_ANSWER_BYTES: usize = 1 << 20;

/// An answer, or in a few words why there is none.
pub(super) type Answer = Result<(StatusCode, Bytes), String>;

pub(super) async fn get(port: u16, path: &str, limit: Duration) -> Answer {
    within(limit, exchange(port, Request::get(path), Bytes::new())).await
}

pub(super) async fn post(port: u16, path: &str, body: &'static str, limit: Duration) -> Answer {
    let request = Request::post(path).header("content-type", "application/json");
    within(limit, exchange(port, request, Bytes::from_static(body.as_bytes()))).await
}

async fn within(limit: Duration, answer: impl Future<Output = Answer>) -> Answer {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(format!("no answer within {limit:?}")))
}

async fn exchange(port: u16, request: http::request::Builder, body: Bytes) -> Answer {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let request = request
        .header("host", format!("127.0.0.1:{port}"))
        .header("connection", "close")
        .body(Full::new(body))
        .map_err(|error| error.to_string())?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
    };
    // The connection is driven here rather than in a task of its own, so that giving up closes it.
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // The whole answer may be in the sender's hands when the connection ends.
        _ = &mut connection => answer.await,
    }
}
