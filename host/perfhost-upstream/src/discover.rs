//! Finds providers without configuration: local servers on their default ports, and whatever the usual variables name.
//!
//! On the local machine only what answers is taken. No other address is contacted but those that the user's variables
//! name, and these are taken without asking them: the health watch will tell.

mod candidate;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use tokio::task::JoinSet;

use crate::client::with_roots;
use crate::listing::Listing;
use crate::probe::Probe;
use crate::provider::{ProviderConfig, ProviderKind};
use candidate::{Candidate, candidates};

/// Time allowed for a local server to list its models.
pub const DISCOVERY_TIMEOUT: Duration = Duration::from_millis(300);

/// Finds providers. `environment` looks up a variable; empty values count as unset.
///
/// Asked side by side, each within [`DISCOVERY_TIMEOUT`]: Ollama on port 11434 (or where `OLLAMA_HOST` says), llama.cpp
/// on 8080, vLLM on 8000, LM Studio on 1234. Taken from variables: `OPENAI_API_KEY` and `OPENAI_BASE_URL`,
/// `ANTHROPIC_API_KEY` and `ANTHROPIC_BASE_URL`, `GROQ_API_KEY`. A base URL on this machine must answer like the local
/// servers, for it may well point at perfhost itself; another perfhost is not taken for a provider.
pub async fn discover(environment: &dyn Fn(&str) -> Option<String>) -> Vec<ProviderConfig> {
    let set = |name: &str| environment(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    ask(candidates(&set)).await
}

/// Keeps what need not be asked and what answers, in the order given, each under a name of its own.
async fn ask(candidates: Vec<Candidate>) -> Vec<ProviderConfig> {
    let tls = match with_roots(RootCertStore::empty()) {
        Ok(tls) => tls,
        Err(error) => {
            tracing::warn!(%error, "local providers are not looked for");
            return candidates.into_iter().filter(|found| !found.is_asked).map(|found| found.config).collect();
        }
    };
    let mut asked = JoinSet::new();
    for (order, candidate) in candidates.into_iter().enumerate() {
        let tls = tls.clone();
        asked.spawn(async move { (order, confirmed(candidate, &tls).await) });
    }
    let mut found = asked.join_all().await;
    found.sort_by_key(|(order, _)| *order);

    let (mut names, mut places) = (HashSet::new(), HashSet::new());
    let mut kept = Vec::new();
    for mut config in found.into_iter().filter_map(|(_, found)| found) {
        // This machine goes by several names.
        let host = if config.endpoint.is_loopback() { "localhost".to_owned() } else { config.endpoint.host.clone() };
        if !places.insert((host, config.endpoint.port, config.endpoint.base_path.clone())) {
            continue;
        }
        if !names.insert(config.name.clone()) {
            config.name = format!("{}-{}", config.name, config.endpoint.port);
            names.insert(config.name.clone());
        }
        tracing::info!(provider = config.name, kind = config.kind.name(), endpoint = %config.endpoint, "provider found");
        kept.push(config);
    }
    kept
}

async fn confirmed(candidate: Candidate, tls: &Arc<ClientConfig>) -> Option<ProviderConfig> {
    let mut config = candidate.config;
    if !candidate.is_asked {
        return Some(config);
    }
    let ask = Probe { name: &config.name, provider: None, endpoint: &config.endpoint, tls, limit: DISCOVERY_TIMEOUT };
    let probed = ask.get("/v1/models").await.ok()?;
    // A server that wants a key is there, and the candidate that brings one may use it.
    let is_locked = probed.status == http::StatusCode::UNAUTHORIZED && config.key.is_some();
    let is_perfhost = probed.headers.keys().any(|name| name.as_str().starts_with("x-perfhost-"));
    if is_perfhost || !(probed.status.is_success() || is_locked) {
        return None;
    }
    let listing = Listing::parse(&probed.body);
    if listing.is_none() && !is_locked {
        return None;
    }
    let known = listing.as_ref().and_then(|listing| listing.owner()).and_then(kind_of_owner);
    if candidate.is_port_shared {
        config.kind = known.unwrap_or(ProviderKind::OpenAiCompatible);
        config.name = match known {
            Some(kind) => kind.name().to_owned(),
            None => format!("local-{}", config.endpoint.port),
        };
    }
    Some(config)
}

/// What each local server writes as the owner of its models.
fn kind_of_owner(owner: &str) -> Option<ProviderKind> {
    match owner {
        "llamacpp" => Some(ProviderKind::LlamaCpp),
        "vllm" => Some(ProviderKind::Vllm),
        "library" => Some(ProviderKind::Ollama),
        "organization_owner" => Some(ProviderKind::LmStudio),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::endpoint::Endpoint;
    use crate::key::ApiKey;

    /// Answers one request on a port of its own with what is given.
    fn serve(answer: String) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("address").port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("accept");
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        });
        port
    }

    fn answer(status: &str, header: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{header}\r\n{body}", body.len())
    }

    fn candidate(name: &str, port: u16, is_port_shared: bool, key: Option<&str>) -> Candidate {
        let config = ProviderConfig {
            name: name.to_owned(),
            kind: ProviderKind::Ollama,
            endpoint: Endpoint::loopback(port).expect("endpoint"),
            key: key.and_then(ApiKey::new),
            is_managed: false,
        };
        Candidate { config, is_asked: true, is_port_shared }
    }

    async fn names(candidates: Vec<Candidate>) -> Vec<String> {
        ask(candidates).await.into_iter().map(|config| format!("{} {}", config.name, config.kind)).collect()
    }

    const LIST: &str = r#"{"data":[{"id":"m","owned_by":"llamacpp"}]}"#;

    #[tokio::test]
    async fn only_what_lists_models_is_taken_under_the_name_of_what_it_is() {
        let llama = serve(answer("200 OK", "", LIST));
        let other = serve(answer("200 OK", "", r#"{"data":[{"id":"m"}]}"#));
        let website = serve(answer("200 OK", "", "<html></html>"));
        let found = names(vec![
            candidate("ollama", serve(answer("200 OK", "", r#"{"data":null}"#)), false, None),
            candidate("x", llama, true, None),
            candidate("x", other, true, None),
            candidate("x", website, true, None),
            candidate("x", serve(answer("404 Not Found", "", "{}")), false, None),
        ]);
        let expected = vec![
            "ollama ollama".to_owned(),
            "llama-cpp llama-cpp".to_owned(),
            format!("local-{other} openai-compatible"),
        ];
        assert_eq!(found.await, expected);
    }

    #[tokio::test]
    async fn perfhost_itself_is_not_a_provider_and_a_locked_server_needs_a_key() {
        let found = names(vec![
            candidate("perfhost", serve(answer("200 OK", "x-perfhost-request-id: 1\r\n", LIST)), false, None),
            candidate("locked", serve(answer("401 Unauthorized", "", "{}")), false, None),
            candidate("opened", serve(answer("401 Unauthorized", "", "{}")), false, Some("key")),
        ]);
        assert_eq!(found.await, ["opened ollama"]);
    }

    #[tokio::test]
    async fn the_same_place_counts_once_and_names_differ() {
        let (one, two) = (serve(answer("200 OK", "", LIST)), serve(answer("200 OK", "", LIST)));
        let mut named = candidate("again", one, false, None);
        named.is_asked = false;
        let found = names(vec![candidate("x", one, true, None), candidate("x", two, true, None), named]);
        assert_eq!(found.await, ["llama-cpp llama-cpp".to_owned(), format!("llama-cpp-{two} llama-cpp")]);
    }

    #[tokio::test]
    async fn a_port_that_takes_connections_and_says_nothing_is_given_up() {
        let silent = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = silent.local_addr().expect("address").port();
        assert!(names(vec![candidate("silent", port, false, None)]).await.is_empty());
    }
}
