//! Providers that the user names: where they are, what they speak, and the key for them.

use perfhost_upstream::{ApiKey, Endpoint, ProviderConfig, ProviderKind};

use super::load::{ConfigError, Sources};
use super::raw::RawUpstream;

pub(super) fn check(written: Vec<RawUpstream>, sources: &Sources) -> Result<Vec<ProviderConfig>, ConfigError> {
    let mut list: Vec<ProviderConfig> = Vec::new();
    for (at, one) in written.into_iter().enumerate() {
        let place = format!("upstream[{at}]");
        let endpoint =
            Endpoint::parse(&one.url).map_err(|error| ConfigError::value(format!("{place}.url"), error.to_string()))?;
        let kind = match &one.kind {
            Some(word) => word.parse().map_err(|error: String| ConfigError::value(format!("{place}.kind"), error))?,
            None => ProviderKind::guess(&endpoint),
        };
        let key = match (&one.key_env, &one.key_file) {
            (Some(variable), _) => Some(sources.variable(variable).ok_or_else(|| {
                ConfigError::value(format!("{place}.key_env"), format!("the variable {variable} is not set"))
            })?),
            (None, Some(path)) => Some(std::fs::read_to_string(path).map_err(|error| {
                ConfigError::value(format!("{place}.key_file"), format!("{}: {error}", path.display()))
            })?),
            (None, None) => kind.key_variable().and_then(|variable| sources.variable(variable)),
        };
        let name = one.name.unwrap_or_else(|| unique_name(&list, kind));
        if name.is_empty() || name.contains('/') {
            return Err(ConfigError::value(
                format!("{place}.name"),
                format!("{name:?} where a name without / is expected"),
            ));
        }
        if list.iter().any(|other| other.name == name) {
            return Err(ConfigError::value(format!("{place}.name"), format!("{name:?} is taken by another upstream")));
        }
        list.push(ProviderConfig {
            name,
            kind,
            endpoint,
            key: key.and_then(|key| ApiKey::new(&key)),
            is_managed: false,
        });
    }
    Ok(list)
}

fn unique_name(taken: &[ProviderConfig], kind: ProviderKind) -> String {
    let base = kind.name();
    let mut name = base.to_owned();
    let mut number = 2;
    while taken.iter().any(|other| other.name == name) {
        name = format!("{base}-{number}");
        number += 1;
    }
    name
}
