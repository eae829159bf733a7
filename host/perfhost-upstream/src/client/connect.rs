//! Opening a connection: resolve, connect, TLS. Does not speak HTTP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::stream::Stream;
use crate::endpoint::{Endpoint, Scheme};
use crate::error::UpstreamError;

/// Time allowed for resolving, connecting and the TLS handshake together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens a stream to an endpoint, within [`CONNECT_TIMEOUT`].
pub(crate) async fn dial(
    provider: &str,
    endpoint: &Endpoint,
    tls: &Arc<ClientConfig>,
) -> Result<Stream, UpstreamError> {
    match tokio::time::timeout(CONNECT_TIMEOUT, dial_untimed(provider, endpoint, tls)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(UpstreamError::Timeout { provider: provider.into(), phase: "connect", after: CONNECT_TIMEOUT }),
    }
}

async fn dial_untimed(provider: &str, endpoint: &Endpoint, tls: &Arc<ClientConfig>) -> Result<Stream, UpstreamError> {
    let stream = match endpoint.address {
        Some(address) => TcpStream::connect(address).await,
        None => {
            let addresses =
                tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port)).await.map_err(|source| {
                    UpstreamError::Resolve { provider: provider.into(), host: endpoint.host.clone(), source }
                })?;
            connect_first(addresses).await
        }
    };
    let stream = stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream)).map_err(|source| {
        UpstreamError::Connect { provider: provider.into(), endpoint: endpoint.to_string(), source }
    })?;
    let name = match (endpoint.scheme, &endpoint.server_name) {
        (Scheme::Https, Some(name)) => name.clone(),
        _ => return Ok(Stream::Plain(stream)),
    };
    let stream = TlsConnector::from(tls.clone()).connect(name, stream).await.map_err(|source| UpstreamError::Tls {
        provider: provider.into(),
        endpoint: endpoint.to_string(),
        source,
    })?;
    Ok(Stream::Tls(Box::new(stream)))
}

/// The first of a name's addresses that accepts, in the resolver's order.
async fn connect_first(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "name has no address")))
}
