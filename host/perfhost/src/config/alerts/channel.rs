//! Channels, checked: what each kind needs, and nothing that it has no use for.

use perfhost_strategy::alert::Severity;

use super::raw::RawChannel;
use super::secret::{Secret, Written};
use crate::config::{ConfigError, Sources};

/// One channel.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelConfig {
    /// Its name.
    pub name: String,
    /// The least severity that it hears of.
    pub least: Severity,
    /// What it is.
    pub kind: ChannelKind,
}

/// What a channel is.
#[derive(Debug, Clone, PartialEq)]
pub enum ChannelKind {
    /// The host's own log.
    Log,
    /// JSON by POST.
    Webhook {
        /// Where.
        url: Secret,
        /// Sent along; values may be secrets.
        headers: Vec<(String, Secret)>,
    },
    /// An incoming webhook of Slack, or of what imitates it.
    Slack {
        /// Where; whoever has it can write.
        url: Secret,
    },
    /// Mail by SMTP.
    Email(EmailConfig),
    /// MQTT, and Home Assistant through it.
    Mqtt(MqttConfig),
}

/// Mail by SMTP.
#[derive(Debug, Clone, PartialEq)]
pub struct EmailConfig {
    /// Name or address of the server.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: EmailSecurity,
    /// Name and password.
    pub login: Option<(String, Secret)>,
    /// Sender.
    pub from: String,
    /// Receivers; at least one.
    pub to: Vec<String>,
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailSecurity {
    /// Encrypted after a plain greeting; refused where the server does not offer it.
    StartTls,
    /// Encrypted from the first byte.
    Tls,
    /// Not at all.
    None,
}

/// MQTT.
#[derive(Debug, Clone, PartialEq)]
pub struct MqttConfig {
    /// Name or address of the broker.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// Name and password.
    pub login: Option<(String, Secret)>,
    /// Beginning of every topic.
    pub topic: String,
    /// Prefix of Home Assistant's discovery topics; `None` for no discovery.
    pub discovery: Option<String>,
}

/// Which keys each kind takes, beside `kind` and `severity`.
const KEYS: [(&str, &[&str]); 5] = [
    ("log", &[]),
    ("webhook", &["url", "url_env", "url_file", "headers"]),
    ("slack", &["url", "url_env", "url_file"]),
    ("email", &["server", "port", "security", "user", "password", "password_env", "password_file", "from", "to"]),
    ("mqtt", &["server", "port", "user", "password", "password_env", "password_file", "topic", "discovery"]),
];

pub(super) fn check(name: &str, raw: &RawChannel, sources: &Sources) -> Result<ChannelConfig, ConfigError> {
    let place = |key: &str| format!("alerts.channels.{name}.{key}");
    let Some((_, allowed)) = KEYS.iter().find(|(kind, _)| *kind == raw.kind) else {
        let kinds = KEYS.map(|(kind, _)| kind).join(", ");
        return Err(ConfigError::value(place("kind"), format!("found {:?}, expected one of {kinds}", raw.kind)));
    };
    if let Some(key) = given(raw).into_iter().find(|key| !allowed.contains(key)) {
        let takes = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
        return Err(ConfigError::value(place(key), format!("a channel of kind {} takes {takes}", raw.kind)));
    }
    let needed = |key: &str| ConfigError::value(place(key), format!("a channel of kind {} needs it", raw.kind));
    let url = || {
        let written = Written { itself: &raw.url, variable: &raw.url_env, file: &raw.url_file };
        let url = written.read(&place("url"), sources)?.ok_or_else(|| needed("url"))?;
        match url.reveal().starts_with("http://") || url.reveal().starts_with("https://") {
            true => Ok(url),
            false => Err(ConfigError::value(place("url"), "expected a URL that begins with http:// or https://")),
        }
    };
    let login = || {
        let written = Written { itself: &raw.password, variable: &raw.password_env, file: &raw.password_file };
        match (&raw.user, written.read(&place("password"), sources)?) {
            (Some(user), Some(password)) => Ok(Some((user.clone(), password))),
            (None, None) => Ok(None),
            (Some(_), None) => Err(ConfigError::value(place("password"), "there is a user: a password is needed too")),
            (None, Some(_)) => Err(ConfigError::value(place("user"), "there is a password: a user is needed too")),
        }
    };
    let server = || raw.server.clone().filter(|server| !server.is_empty()).ok_or_else(|| needed("server"));
    let kind = match raw.kind.as_str() {
        "webhook" => {
            let headers = raw.headers.iter().map(|(name, value)| (name.clone(), Secret::new(value)));
            ChannelKind::Webhook { url: url()?, headers: headers.collect() }
        }
        "slack" => ChannelKind::Slack { url: url()? },
        "email" => {
            let (security, usual_port) = match raw.security.as_deref() {
                None | Some("starttls") => (EmailSecurity::StartTls, 587),
                Some("tls") => (EmailSecurity::Tls, 465),
                Some("none") => (EmailSecurity::None, 25),
                Some(other) => {
                    let message = format!("found {other:?}, expected starttls, tls or none");
                    return Err(ConfigError::value(place("security"), message));
                }
            };
            let from = raw.from.clone().ok_or_else(|| needed("from"))?;
            let to = raw.to.as_slice().to_vec();
            for (key, address) in to.iter().map(|address| ("to", address)).chain([("from", &from)]) {
                address.parse::<lettre::message::Mailbox>().map_err(|error| {
                    ConfigError::value(place(key), format!("{address:?} is no address of mail: {error}"))
                })?;
            }
            if to.is_empty() {
                return Err(needed("to"));
            }
            let port = raw.port.unwrap_or(usual_port);
            ChannelKind::Email(EmailConfig { server: server()?, port, security, login: login()?, from, to })
        }
        "mqtt" => {
            let topic = raw.topic.clone().unwrap_or_else(|| "perfhost".to_owned());
            let discovery = raw.discovery.clone().unwrap_or_else(|| "homeassistant".to_owned());
            for (key, topic) in [("topic", &topic), ("discovery", &discovery)] {
                if topic.contains(['#', '+', '\0']) || topic.ends_with('/') || (key == "topic" && topic.is_empty()) {
                    let message =
                        format!("found {topic:?}, expected a topic without # and +, and without / at its end");
                    return Err(ConfigError::value(place(key), message));
                }
            }
            let discovery = Some(discovery).filter(|prefix| !prefix.is_empty());
            let port = raw.port.unwrap_or(1883);
            ChannelKind::Mqtt(MqttConfig { server: server()?, port, login: login()?, topic, discovery })
        }
        _ => ChannelKind::Log,
    };
    Ok(ChannelConfig { name: name.to_owned(), least: super::severity(&place("severity"), &raw.severity)?, kind })
}

/// The keys that were written.
fn given(raw: &RawChannel) -> Vec<&'static str> {
    [
        ("url", raw.url.is_some()),
        ("url_env", raw.url_env.is_some()),
        ("url_file", raw.url_file.is_some()),
        ("headers", !raw.headers.is_empty()),
        ("server", raw.server.is_some()),
        ("port", raw.port.is_some()),
        ("security", raw.security.is_some()),
        ("user", raw.user.is_some()),
        ("password", raw.password.is_some()),
        ("password_env", raw.password_env.is_some()),
        ("password_file", raw.password_file.is_some()),
        ("from", raw.from.is_some()),
        ("to", !raw.to.as_slice().is_empty()),
        ("topic", raw.topic.is_some()),
        ("discovery", raw.discovery.is_some()),
    ]
    .into_iter()
    .filter_map(|(key, is_given)| is_given.then_some(key))
    .collect()
}
