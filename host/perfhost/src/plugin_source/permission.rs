//! What the API may ask for: loading through it is a grant of its own, apart from what the configuration names.

use super::address::Address;
use super::error::SourceError;
use super::intake::Intake;
use super::kind::Kind;

impl Intake {
    /// Whether the API may load the plugin of this name. What the configuration names itself, it may.
    ///
    /// # Errors
    /// [`SourceError::NotAllowed`] with the setting that would allow it; those of a name that does not read.
    pub fn check_api_name(&self, name: &str) -> Result<(), SourceError> {
        if self.config.plugins.iter().any(|configured| configured == name) {
            return Ok(());
        }
        self.check_api(Address::parse(name)?.kind())
    }

    /// Whether the API may load from there: what is brought in from elsewhere needs the grant and an admin token.
    ///
    /// # Errors
    /// [`SourceError::NotAllowed`] with the settings that would allow it.
    pub fn check_api(&self, kind: Kind) -> Result<(), SourceError> {
        if kind == Kind::BuiltIn {
            return Ok(());
        }
        let mut settings = Vec::new();
        if !self.config.trust.api_sources.contains(&kind) {
            settings.push(format!("add \"{kind}\" to trust.api_sources"));
        }
        if kind != Kind::Path && self.config.admin_token.is_none() {
            settings.push("set access.admin_token (or PERFHOST_ADMIN_TOKEN)".to_owned());
        }
        if settings.is_empty() {
            return Ok(());
        }
        let setting = format!("{} in the configuration", settings.join(" and "));
        Err(SourceError::NotAllowed { kind, setting })
    }
}
