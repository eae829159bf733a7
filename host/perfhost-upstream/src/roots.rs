//! Which certificate authorities blocking downloads trust: those of the operating system, and Mozilla's list where that
//! has none. Connections to providers have their own, in [`crate::client`].

use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// The TLS settings of a blocking download. Reads the machine's root certificates, or those that `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` name; takes some milliseconds.
pub fn download_tls() -> TlsConfig {
    let found: Vec<_> = rustls_native_certs::load_native_certs()
        .certs
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    let roots = if found.is_empty() { RootCerts::WebPki } else { RootCerts::new_with_certs(&found) };
    TlsConfig::builder().root_certs(roots).build()
}
