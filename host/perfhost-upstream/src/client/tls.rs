//! TLS for https endpoints: the machine's own root certificates, HTTP/2 offered before HTTP/1.1.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use crate::error::TlsError;

/// Builds the configuration that all clients share. Reads the machine's root certificates, or those that
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` name; takes some milliseconds. Without any, https endpoints fail with a
/// certificate error and plain ones work.
///
/// # Errors
/// [`TlsError`] when the cryptography provider is not usable.
pub fn tls_config() -> Result<Arc<ClientConfig>, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "root certificates could not be read");
    }
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::warn!("no root certificates found; https providers will be refused");
    }
    with_roots(roots)
}

/// The same with given roots.
///
/// # Errors
/// [`TlsError`] when the cryptography provider is not usable.
pub(crate) fn with_roots(roots: RootCertStore) -> Result<Arc<ClientConfig>, TlsError> {
    // Named, not taken from the process: which one is the default there depends on what else is linked in.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A copy that offers HTTP/1.1 only, for connections that carry a single request.
pub(crate) fn without_http2(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}
