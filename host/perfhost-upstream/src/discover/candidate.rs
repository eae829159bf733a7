//! Where providers may be, from default ports and variables. Pure: asks nobody.

use crate::endpoint::Endpoint;
use crate::key::ApiKey;
use crate::provider::{ProviderConfig, ProviderKind};

/// A provider that may be there.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) config: ProviderConfig,
    /// It is taken only if it answers.
    pub(super) is_asked: bool,
    /// Other software uses the port as well, so its answer decides what it is.
    pub(super) is_port_shared: bool,
}

const OLLAMA_PORT: u16 = 11434;

/// Default ports besides Ollama's, and whether they are popular with other software.
const LOCAL: [(ProviderKind, u16, bool); 3] =
    [(ProviderKind::LlamaCpp, 8080, true), (ProviderKind::Vllm, 8000, true), (ProviderKind::LmStudio, 1234, false)];

/// Local servers first, then what variables name.
pub(super) fn candidates(set: &dyn Fn(&str) -> Option<String>) -> Vec<Candidate> {
    let mut found = vec![ollama(set)];
    found.extend(LOCAL.iter().map(|(kind, port, is_port_shared)| {
        let endpoint = Endpoint::loopback(*port);
        candidate(*kind, endpoint, None).map(|found| Candidate { is_port_shared: *is_port_shared, ..found })
    }));

    let openai_url = set("OPENAI_BASE_URL");
    let openai_kind = match &openai_url {
        Some(url) if !url.contains("api.openai.com") => ProviderKind::OpenAiCompatible,
        _ => ProviderKind::OpenAi,
    };
    let openai = named(set, "OPENAI_BASE_URL", openai_url, "OPENAI_API_KEY", "https://api.openai.com", openai_kind);
    found.push(openai.map(|mut found| {
        found.config.name = ProviderKind::OpenAi.name().to_owned();
        found
    }));
    let anthropic_url = set("ANTHROPIC_BASE_URL").filter(|_| set("ANTHROPIC_API_KEY").is_some());
    let anthropic = "https://api.anthropic.com";
    let kind = ProviderKind::Anthropic;
    found.push(named(set, "ANTHROPIC_BASE_URL", anthropic_url, "ANTHROPIC_API_KEY", anthropic, kind));
    found.push(named(set, "", None, "GROQ_API_KEY", "https://api.groq.com/openai", ProviderKind::Groq));
    found.into_iter().flatten().collect()
}

fn ollama(set: &dyn Fn(&str) -> Option<String>) -> Option<Candidate> {
    let endpoint = match set("OLLAMA_HOST") {
        Some(host) => Endpoint::parse(&ollama_url(&host)),
        None => Endpoint::loopback(OLLAMA_PORT),
    };
    candidate(ProviderKind::Ollama, endpoint.inspect_err(|error| refuse("OLLAMA_HOST", error)), None)
}

/// `OLLAMA_HOST` in all forms that Ollama itself takes: with or without scheme and port, and the addresses that a server
/// binds to but a client cannot use.
fn ollama_url(host: &str) -> String {
    let (scheme, rest) = host.split_once("://").unwrap_or(("", host));
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let default_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => OLLAMA_PORT,
    };
    // The last colon belongs to a bare IPv6 address if there is another before it and no bracket after.
    let is_bare_v6 = authority.matches(':').count() > 1 && !authority.starts_with('[');
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if !is_bare_v6 && !port.contains(']') => (name, port.to_owned()),
        _ => (authority, default_port.to_string()),
    };
    let name = match name.trim_start_matches('[').trim_end_matches(']') {
        "" | "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" => "[::1]".to_owned(),
        v6 if v6.contains(':') => format!("[{v6}]"),
        name => name.to_owned(),
    };
    let scheme = if scheme.is_empty() { "http" } else { scheme };
    format!("{scheme}://{name}:{port}{path}")
}

/// A provider that a base URL or a key names.
fn named(
    set: &dyn Fn(&str) -> Option<String>,
    url_variable: &str,
    url: Option<String>,
    key_variable: &str,
    default_url: &str,
    kind: ProviderKind,
) -> Option<Candidate> {
    let key = set(key_variable).and_then(|key| ApiKey::new(&key));
    if key.is_none() && url.is_none() {
        return None;
    }
    // A URL that cannot be read must not fall back to the default: the key is not meant for it.
    let endpoint = Endpoint::parse(url.as_deref().unwrap_or(default_url));
    candidate(kind, endpoint.inspect_err(|error| refuse(url_variable, error)), key)
}

fn candidate(
    kind: ProviderKind,
    endpoint: Result<Endpoint, crate::error::EndpointError>,
    key: Option<ApiKey>,
) -> Option<Candidate> {
    let endpoint = endpoint.ok()?;
    // Asking an https endpoint takes certificates and longer than discovery has.
    let is_asked = endpoint.is_loopback() && endpoint.server_name.is_none();
    let config = ProviderConfig { name: kind.name().to_owned(), kind, endpoint, key, is_managed: false };
    Some(Candidate { config, is_asked, is_port_shared: false })
}

fn refuse(variable: &str, error: &crate::error::EndpointError) {
    tracing::warn!(variable, %error, "variable is not used");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Vec<String> {
        let set = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let shown = |found: Candidate| {
            let asked = if found.is_asked { "asked" } else { "taken" };
            let key = if found.config.key.is_some() { " key" } else { "" };
            format!("{} {} {} {asked}{key}", found.config.name, found.config.kind, found.config.endpoint)
        };
        candidates(&set).into_iter().map(shown).collect()
    }

    const LOCAL_ONES: [&str; 4] = [
        "ollama ollama http://127.0.0.1:11434 asked",
        "llama-cpp llama-cpp http://127.0.0.1:8080 asked",
        "vllm vllm http://127.0.0.1:8000 asked",
        "lm-studio lm-studio http://127.0.0.1:1234 asked",
    ];

    #[test]
    fn without_variables_only_this_machine_is_asked() {
        assert_eq!(found(&[]), LOCAL_ONES);
    }

    #[test]
    fn keys_bring_their_services() {
        let found = found(&[("OPENAI_API_KEY", "a"), ("ANTHROPIC_API_KEY", "b"), ("GROQ_API_KEY", "c")]);
        assert_eq!(
            found[4..],
            [
                "openai openai https://api.openai.com taken key",
                "anthropic anthropic https://api.anthropic.com taken key",
                "groq groq https://api.groq.com/openai taken key",
            ]
        );
    }

    #[test]
    fn a_base_url_takes_the_key_with_it_and_one_on_this_machine_must_answer() {
        let at = |url| found(&[("OPENAI_API_KEY", "a"), ("OPENAI_BASE_URL", url)])[4..].join("; ");
        assert_eq!(at("https://gateway.example/v1"), "openai openai-compatible https://gateway.example taken key");
        assert_eq!(at("http://localhost:9000/v1"), "openai openai-compatible http://localhost:9000 asked key");
        assert_eq!(at("ftp://nowhere"), "");
        assert_eq!(
            found(&[("OPENAI_BASE_URL", "http://10.0.0.5:8000/v1")])[4..].join("; "),
            "openai openai-compatible http://10.0.0.5:8000 taken"
        );
    }

    #[test]
    fn ollama_host_in_every_form() {
        let cases = [
            ("127.0.0.1", "http://127.0.0.1:11434 asked"),
            ("127.0.0.1:1", "http://127.0.0.1:1 asked"),
            (":9999", "http://127.0.0.1:9999 asked"),
            ("0.0.0.0", "http://127.0.0.1:11434 asked"),
            ("0.0.0.0:9999", "http://127.0.0.1:9999 asked"),
            ("http://gpu.lan", "http://gpu.lan taken"),
            ("https://gpu.lan", "https://gpu.lan taken"),
            ("http://gpu.lan:11434/", "http://gpu.lan:11434 taken"),
            ("https://gpu.lan/ollama", "https://gpu.lan/ollama taken"),
            ("gpu.lan", "http://gpu.lan:11434 taken"),
            ("[::]:8080", "http://[::1]:8080 asked"),
            ("[::1]", "http://[::1]:11434 asked"),
            ("::1", "http://[::1]:11434 asked"),
        ];
        for (host, expected) in cases {
            assert_eq!(found(&[("OLLAMA_HOST", host)])[0], format!("ollama ollama {expected}"), "{host}");
        }
        assert_eq!(found(&[("OLLAMA_HOST", "host:port")])[0], LOCAL_ONES[1], "a bad one is left out");
    }
}
