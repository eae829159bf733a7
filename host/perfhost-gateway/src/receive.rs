//! Taking in a request's body, whole and within bounds.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::failure::Failure;

/// The body, if it is at most `limit_bytes` long and arrives within `within`.
///
/// Whole, because what is asked stands in it, and because another attempt must be able to send it again. A body that
/// comes in one piece is not copied.
pub(crate) async fn receive(mut body: Incoming, limit_bytes: usize, within: Duration) -> Result<Bytes, Failure> {
    let too_large = Failure::BodyTooLarge { limit_bytes };
    if body.size_hint().lower() > limit_bytes as u64 {
        return Err(too_large);
    }
    let rest = async {
        let mut whole = BytesMut::new();
        let mut first = None;
        while let Some(frame) = body.frame().await {
            let Ok(chunk) = frame.map_err(Failure::BodyBroken)?.into_data() else { continue };
            if whole.len() + chunk.len() > limit_bytes {
                return Err(too_large);
            }
            if whole.is_empty() && first.is_none() {
                if body.is_end_stream() {
                    return Ok(chunk);
                }
                first = Some(chunk);
                continue;
            }
            if let Some(first) = first.take() {
                whole.reserve(first.len() + chunk.len() + body.size_hint().lower() as usize);
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(first.unwrap_or_else(|| whole.freeze()))
    };
    tokio::time::timeout(within, rest).await.unwrap_or(Err(Failure::BodyTimeout(within)))
}
