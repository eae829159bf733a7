//! One request on a connection of its own, for probing: what matters is whether the provider can be reached anew.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use http::header::HOST;
use http::{HeaderMap, Request, StatusCode};
use rustls::ClientConfig;

use crate::client::{Http1, Outgoing, authorize, dial};
use crate::endpoint::Endpoint;
use crate::error::UpstreamError;
use crate::provider::Provider;

/// Bytes of an answer that are read at most; the longest lists of models are far below.
const ANSWER_BYTES: usize = 4 << 20;

/// An answer as a whole.
#[derive(Debug)]
pub(crate) struct Probed {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// What is asked, and of whom.
#[derive(Clone, Copy)]
pub(crate) struct Probe<'a> {
    /// Name for errors.
    pub(crate) name: &'a str,
    /// Whose key to use.
    pub(crate) provider: Option<&'a Provider>,
    pub(crate) endpoint: &'a Endpoint,
    /// Offers HTTP/1.1 only.
    pub(crate) tls: &'a Arc<ClientConfig>,
    /// For all of it.
    pub(crate) limit: Duration,
}

impl Probe<'_> {
    /// Gets `path`, which is below the endpoint's base path.
    pub(crate) async fn get(self, path: &str) -> Result<Probed, UpstreamError> {
        match tokio::time::timeout(self.limit, self.get_untimed(path)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                Err(UpstreamError::Timeout { provider: self.name.into(), phase: "first_byte", after: self.limit })
            }
        }
    }

    async fn get_untimed(self, path: &str) -> Result<Probed, UpstreamError> {
        let stream = dial(self.name, self.endpoint, self.tls).await?;
        let failed = |source| UpstreamError::FirstByte { provider: self.name.into(), source };
        let mut connection = Http1::handshake(stream).await.map_err(failed)?;
        let (head, mut incoming) = {
            let (head, _) = connection.exchange(self.request(path)?).await.map_err(failed)?;
            head.into_parts()
        };
        let mut body = Vec::new();
        while let Some(frame) = poll_fn(|cx| connection.poll_frame(&mut incoming, cx)).await {
            let frame = frame.map_err(|source| UpstreamError::Body { provider: self.name.into(), source })?;
            if let Ok(data) = frame.into_data() {
                if body.len() + data.len() > ANSWER_BYTES {
                    break;
                }
                body.extend_from_slice(&data);
            }
        }
        Ok(Probed { status: head.status, headers: head.headers, body })
    }

    fn request(self, path: &str) -> Result<Request<Outgoing>, UpstreamError> {
        let target = format!("{}{path}", self.endpoint.base_path);
        let mut request = Request::get(&target).body(Outgoing::default()).map_err(|source| UpstreamError::Target {
            provider: self.name.into(),
            target,
            source,
        })?;
        request.headers_mut().insert(HOST, self.endpoint.host_header.clone());
        if let Some(provider) = self.provider {
            authorize(request.headers_mut(), provider);
        }
        Ok(request)
    }
}
