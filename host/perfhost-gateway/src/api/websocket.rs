//! `GET /ws/metrics`: the live feed over a WebSocket, one JSON object a text message, as in `/api/metrics/stream`.
//!
//! What clients send is read only to answer pings and to see them close. A client that takes nothing for
//! [`MOST_STALL`] is cut off; at shutdown each gets a close frame (1001, going away).

use std::rc::Rc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::query::Query;
use super::reply::Trouble;
use crate::answer::Answer;
use crate::feed::{Reader, Told};
use crate::worker::Worker;

/// Longest time for one message to leave.
const MOST_STALL: Duration = Duration::from_secs(30);

/// Time for a client to answer a close frame.
pub(crate) const CLOSING: Duration = Duration::from_secs(1);

/// Largest message taken from a client: room for a ping and for a close with its reason.
const MOST_RECEIVED: usize = 4 << 10;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

pub(crate) fn open(worker: &Rc<Worker>, request: &mut Request<Incoming>) -> Result<Response<Answer>, Trouble> {
    worker.services().access.check_upgrade(request.method(), request.headers())?;
    Trouble::unless_get(request.method())?;
    Query::of(request.uri()).only(&[])?;
    let key = handshake(request.headers())?;
    let reader = super::reader(worker)?;
    let stopping = worker.draining();
    let upgrade = hyper::upgrade::on(request);
    worker.spawn(async move {
        let closing = async {
            stopping.await;
            tokio::time::sleep(CLOSING).await;
        };
        // One who does not take its messages must not hold up the shutdown.
        tokio::select! {
            () = converse(upgrade, reader) => {}
            () = closing => {}
        }
    });
    let mut response = Response::new(Answer::whole(bytes::Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    Ok(response)
}

/// The answer to the client's key, if the request is a WebSocket handshake (RFC 6455, section 4.2.1).
fn handshake(headers: &HeaderMap) -> Result<HeaderValue, Trouble> {
    let has = |name: header::HeaderName, word: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word)))
    };
    if !has(header::CONNECTION, "upgrade") || !has(header::UPGRADE, "websocket") {
        let message =
            "this path takes WebSocket connections only; /api/metrics/stream tells the same as server-sent events";
        return Err(Trouble::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", message));
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err(Trouble::invalid("sec-websocket-version must be 13"));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    let key = key.ok_or_else(|| Trouble::invalid("the header sec-websocket-key is missing"))?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|_| Trouble::internal("the key has no answer"))
}

async fn converse(upgrade: OnUpgrade, reader: Reader) {
    let upgraded = match upgrade.await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(error) => {
            tracing::debug!(%error, "a WebSocket did not come about");
            return;
        }
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(MOST_RECEIVED)
        .write_buffer_size(0)
        .max_message_size(Some(MOST_RECEIVED))
        .max_frame_size(Some(MOST_RECEIVED));
    let mut socket = WebSocketStream::from_raw_socket(upgraded, Role::Server, Some(config)).await;
    if let Err(error) = tell(&mut socket, reader).await {
        tracing::debug!(%error, "a WebSocket ended");
    }
}

/// Tells everything that comes, until one side has enough.
async fn tell(socket: &mut Socket, mut reader: Reader) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    loop {
        tokio::select! {
            told = reader.next() => {
                let sent = socket.send(Message::text(told.text().as_ref()));
                match tokio::time::timeout(MOST_STALL, sent).await {
                    Ok(sent) => sent?,
                    Err(_) => return Ok(()),
                }
                if told == Told::End {
                    let frame = CloseFrame { code: CloseCode::Away, reason: "the host shuts down".into() };
                    socket.close(Some(frame)).await?;
                    break;
                }
            }
            received = socket.next() => match received {
                // Pings are answered, and a close is, by reading on.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            },
        }
    }
    // Until the client has closed as well; the caller bounds the wait.
    while let Some(Ok(_)) = socket.next().await {}
    Ok(())
}
