//! A request as it goes to one endpoint: target, headers and body, in the form that each protocol wants.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT, HOST};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, Method, Request, Version};

use super::{Outgoing, authorize, strip_hop_by_hop};
use crate::endpoint::Endpoint;
use crate::error::UpstreamError;
use crate::provider::Provider;

/// A request ready for its endpoint. Cloned when it may have to be sent again.
#[derive(Clone)]
pub(super) struct Outbound {
    method: Method,
    target: PathAndQuery,
    headers: HeaderMap,
    body: Bytes,
}

impl Outbound {
    pub(super) fn new(
        provider: &Arc<Provider>,
        endpoint: &Endpoint,
        request: Request<Bytes>,
    ) -> Result<Self, UpstreamError> {
        let (head, body) = request.into_parts();
        let target = target(provider, endpoint, head.uri)?;
        let mut headers = head.headers;
        strip_hop_by_hop(&mut headers);
        authorize(&mut headers, provider);
        // The whole body is here already, so there is nothing to wait for.
        headers.remove(EXPECT);
        headers.remove(HOST);
        // The HTTP library writes the length; a client's own is kept only where it is right.
        let is_right = |length: &http::HeaderValue| {
            length.to_str().ok().and_then(|length| length.parse().ok()) == Some(body.len())
        };
        if headers.get(CONTENT_LENGTH).is_some_and(|length| !is_right(length)) {
            headers.remove(CONTENT_LENGTH);
        }
        Ok(Self { method: head.method, target, headers, body })
    }

    /// For HTTP/1.1: path and query, with a `host` header.
    pub(super) fn into_origin_form(self, endpoint: &Endpoint) -> Request<Outgoing> {
        let mut request = Request::new(Outgoing::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = Uri::from(self.target);
        *request.headers_mut() = self.headers;
        request.headers_mut().insert(HOST, endpoint.host_header.clone());
        request
    }

    /// For HTTP/2: the whole URL, from which the pseudo-headers are made.
    pub(super) fn into_absolute_form(self, endpoint: &Endpoint) -> Request<Outgoing> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = endpoint.scheme.name().parse().ok();
        parts.authority = Some(endpoint.authority.clone());
        parts.path_and_query = Some(self.target);
        let mut request = Request::new(Outgoing::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.headers;
        request
    }
}

fn target(provider: &Arc<Provider>, endpoint: &Endpoint, uri: Uri) -> Result<PathAndQuery, UpstreamError> {
    let given = uri.into_parts().path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
    if endpoint.base_path.is_empty() {
        return Ok(given);
    }
    let target = format!("{}{given}", endpoint.base_path);
    PathAndQuery::try_from(target.as_str()).map_err(|error| UpstreamError::Target {
        provider: provider.shared_name(),
        source: error.into(),
        target,
    })
}
