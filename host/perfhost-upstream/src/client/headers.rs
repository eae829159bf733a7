//! Which headers end at this hop, and which ones carry a provider's key.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

use crate::provider::{Provider, ProviderKind};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// The version of Anthropic's API that is asked for when the client does not say.
const ANTHROPIC_DEFAULT_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    PROXY_CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Removes the headers that are meant for one connection only (RFC 9110, 7.6.1), those named in `connection` too.
/// [`crate::Client::send`] does this to requests and answers.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        strip_named(headers);
    }
    // A length beside an encoding is wrong or of another message (RFC 9112, 6.3); the encoding has been followed.
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    for name in &HOP_BY_HOP {
        // Most are absent; a look-up costs less than the removal's bookkeeping.
        if headers.contains_key(name) {
            headers.remove(name);
        }
    }
}

fn strip_named(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        // The two usual words name no header that could be here.
        .filter(|name| !name.eq_ignore_ascii_case("keep-alive") && !name.eq_ignore_ascii_case("close"))
        .filter_map(|name| name.parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
}

/// Replaces what the client sent to authorize itself by the provider's key, if it has one.
pub(crate) fn authorize(headers: &mut HeaderMap, provider: &Provider) {
    let is_anthropic = provider.kind() == ProviderKind::Anthropic;
    if let Some(key) = provider.key() {
        if is_anthropic {
            headers.remove(AUTHORIZATION);
            headers.insert(X_API_KEY, key.clone());
        } else {
            headers.remove(X_API_KEY);
            headers.insert(AUTHORIZATION, key.clone());
        }
    }
    if is_anthropic {
        headers.entry(ANTHROPIC_VERSION).or_insert(ANTHROPIC_DEFAULT_VERSION);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;
    use crate::endpoint::Endpoint;
    use crate::key::ApiKey;
    use crate::provider::ProviderConfig;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn provider(kind: ProviderKind, key: Option<&str>) -> Provider {
        let endpoint = Endpoint::loopback(1).expect("endpoint");
        let key = key.and_then(ApiKey::new);
        let config = ProviderConfig { name: "p".to_owned(), kind, endpoint, key, is_managed: false };
        Provider::new(config, Weak::new())
    }

    #[test]
    fn what_ends_at_this_hop_is_removed_and_the_rest_stays() {
        let mut sent = headers(&[
            ("connection", "keep-alive, X-Private"),
            ("keep-alive", "timeout=5"),
            ("x-private", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("proxy-authorization", "Basic x"),
            ("content-type", "application/json"),
            ("x-unknown", "2"),
        ]);
        strip_hop_by_hop(&mut sent);
        assert_eq!(sent, headers(&[("content-type", "application/json"), ("x-unknown", "2")]));
    }

    #[test]
    fn a_key_replaces_the_clients_and_without_one_the_clients_passes() {
        let from_client = [("authorization", "Bearer client"), ("x-api-key", "client")];
        let mut with_key = headers(&from_client);
        authorize(&mut with_key, &provider(ProviderKind::OpenAi, Some("own")));
        assert_eq!(with_key, headers(&[("authorization", "Bearer own")]));

        let mut without_key = headers(&from_client);
        authorize(&mut without_key, &provider(ProviderKind::Vllm, None));
        assert_eq!(without_key, headers(&from_client));
    }

    #[test]
    fn anthropic_takes_its_own_header_and_keeps_the_clients_version() {
        let anthropic = provider(ProviderKind::Anthropic, Some("own"));
        let mut sent = headers(&[("authorization", "Bearer client"), ("anthropic-version", "2030-01-01")]);
        authorize(&mut sent, &anthropic);
        assert_eq!(sent, headers(&[("x-api-key", "own"), ("anthropic-version", "2030-01-01")]));

        let mut bare = HeaderMap::new();
        authorize(&mut bare, &anthropic);
        assert_eq!(bare.get("anthropic-version"), Some(&ANTHROPIC_DEFAULT_VERSION));
    }
}
