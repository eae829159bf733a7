//! `GET /api/metrics/stream`: the live feed as server-sent events.
//!
//! Events are `metrics` (once a second), `dropped` (the reader was too slow; how many it missed) and `end` (the host shuts
//! down). A client that reads slowly is not asked for more than its connection takes; what it misses is dropped.

use std::rc::Rc;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;

use super::query::Query;
use super::reply::Trouble;
use crate::answer::Answer;
use crate::feed::{Reader, Told};
use crate::worker::Worker;

/// Asks browsers to come back after this many milliseconds when the connection breaks.
const GREETING: &str = "retry: 2000\n\n";

/// What the reader is to get next.
enum Turn {
    Greet(Reader),
    Read(Reader),
    Over,
}

pub(crate) fn open(worker: &Rc<Worker>, request: &Request<Incoming>) -> Result<Response<Answer>, Trouble> {
    worker.services().access.check_admin(request.method(), request.headers())?;
    Trouble::unless_get(request.method())?;
    Query::of(request.uri()).only(&[])?;
    let reader = super::reader(worker)?;
    let events = stream::unfold(Turn::Greet(reader), |turn| async {
        match turn {
            Turn::Greet(reader) => Some((Bytes::from_static(GREETING.as_bytes()), Turn::Read(reader))),
            Turn::Read(mut reader) => {
                let told = reader.next().await;
                let turn = if told == Told::End { Turn::Over } else { Turn::Read(reader) };
                Some((format!("event: {}\ndata: {}\n\n", told.name(), told.text()).into(), turn))
            }
            Turn::Over => None,
        }
    });
    let mut response = Response::new(Answer::events(Box::pin(events)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}
