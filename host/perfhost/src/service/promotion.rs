//! What experiments have put in service, so that a restart under the same configuration begins with it.
//!
//! A promotion is kept with the configuration under which it was made. It holds until the configuration names other
//! plugins, or the one that it puts in service is another file; or until somebody puts another strategy in service by
//! hand. A knob that the user has set is begun with as the experiment left it for as long as it is set to the same. (One
//! that the user has not set is `tuned`'s business.) Owns the record and these rules; who acts on them is `strategies`' and
//! the start's business.

use perfhost_strategy::knob::OfferedKnob;
use perfhost_strategy::{KnobId, Scope, Settings, Value};
use perfhost_telemetry::Store;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::tuned::Surroundings;
use crate::config::Config;

/// Key in the store.
const KEY: &str = "promotion";

/// What won, and under which configuration. As many knobs as there are on offer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promotion {
    /// The experiment that decided it.
    pub experiment: u64,
    /// The plugins that the configuration named.
    pub plugins: Vec<String>,
    /// SHA-256 of the one that the configuration puts in service.
    pub configured: String,
    /// The winner, as `name@version`.
    pub strategy: String,
    /// SHA-256 of its plugin.
    pub digest: String,
    /// The machine and what served on it, for the knobs.
    pub on: String,
    /// Knobs that made arms that stayed.
    pub knobs: Vec<PromotedKnob>,
}

/// One knob that an experiment has set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromotedKnob {
    /// Its name.
    pub name: String,
    /// Where it is set.
    pub scope: Scope,
    /// To what.
    pub value: Value,
    /// What the configuration said.
    pub configured: Value,
}

impl Promotion {
    /// The last one, if nothing has made it void. One that cannot be read is none, with a warning.
    pub fn read(store: &Store) -> Option<Self> {
        let read = store.state(KEY).map_err(|error| error.to_string()).and_then(|found| {
            found.map_or(Ok(None), |bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()))
        });
        read.unwrap_or_else(|error| {
            warn!(error, "what an experiment has promoted cannot be read; the configured strategy serves");
            None
        })
    }

    /// Keeps it in the place of the one before, whose knobs stay where this one has none.
    pub fn keep(mut self, store: &Store) {
        let before = Self::read(store).filter(|before| before.fits(&self.plugins, &self.configured).is_ok());
        for knob in before.filter(|before| before.on == self.on).into_iter().flat_map(|before| before.knobs) {
            if !self.knobs.iter().any(|own| (&own.name, &own.scope) == (&knob.name, &knob.scope)) {
                self.knobs.push(knob);
            }
        }
        write(store, &Some(self));
    }

    /// Somebody has put another strategy in service: the next start begins with what the configuration names.
    pub fn forget(store: &Store) {
        if Self::read(store).is_some() {
            write(store, &None);
        }
    }

    /// Whether a start under this configuration begins with it; if not, why.
    pub fn fits(&self, plugins: &[String], configured: &str) -> Result<(), String> {
        if self.plugins != plugins {
            return Err(format!("the configuration named {:?} then and names {plugins:?} now", self.plugins));
        }
        if self.configured != configured {
            return Err("the configured plugin is another file than then".to_owned());
        }
        Ok(())
    }

    /// `settings` with the knobs that the user has set to the same as then, where the machine and what serves are the same.
    pub fn with_knobs(
        &self,
        settings: Settings,
        config: &Config,
        surroundings: &Surroundings,
        offered: &[OfferedKnob],
    ) -> Settings {
        if self.on != surroundings.in_words() {
            return settings;
        }
        self.knobs.iter().fold(settings, |settings, knob| {
            let Some(id) = KnobId::by_name(&knob.name) else { return settings };
            let is_set = config.settings.changed().any(|(set, _, _)| set == id);
            let is_same = config.settings.value(id, &knob.scope) == knob.configured;
            let offer = offered.iter().find(|offer| offer.knob.id == id && offer.at == knob.scope);
            let value = offer.and_then(|offer| offer.bounds_here.clamp(&knob.value));
            let Some(value) = value.filter(|_| is_set && is_same) else { return settings };
            info!(knob = knob.name, scope = %knob.scope, %value, configured = %knob.configured,
                from = format!("experiment {}", self.experiment), "start value");
            settings.with(id, &knob.scope, value)
        })
    }
}

fn write(store: &Store, promotion: &Option<Promotion>) {
    match serde_json::to_vec(promotion) {
        Ok(bytes) => store.put_state(KEY, &bytes),
        Err(error) => warn!(%error, "what the experiment has promoted could not be kept"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knob(name: &str, value: i64) -> PromotedKnob {
        let (value, configured) = (Value::Integer(value), Value::Integer(1));
        PromotedKnob { name: name.to_owned(), scope: Scope::global(), value, configured }
    }

    fn promotion(experiment: u64, knobs: Vec<PromotedKnob>) -> Promotion {
        Promotion {
            experiment,
            plugins: vec!["balanced".to_owned()],
            configured: "c".to_owned(),
            strategy: "aggressive@0.1.0".to_owned(),
            digest: "d".to_owned(),
            on: "here".to_owned(),
            knobs,
        }
    }

    #[test]
    fn it_holds_while_the_configured_plugin_is_the_same_and_says_why_not() {
        let promotion = promotion(1, Vec::new());
        let named = |name: &str| vec![name.to_owned()];
        assert_eq!(promotion.fits(&named("balanced"), "c"), Ok(()));
        assert!(promotion.fits(&named("conservative"), "c").is_err_and(|why| why.contains("conservative")));
        assert!(promotion.fits(&named("balanced"), "e").is_err_and(|why| why.contains("another file")));
    }

    #[test]
    fn knobs_of_earlier_ones_stay_and_what_is_forgotten_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        promotion(1, vec![knob("retries", 3), knob("queue_length", 9)]).keep(&store);
        promotion(2, vec![knob("retries", 2)]).keep(&store);
        let kept = Promotion::read(&store).unwrap();
        assert_eq!((kept.experiment, &kept.knobs), (2, &vec![knob("retries", 2), knob("queue_length", 9)]));
        Promotion::forget(&store);
        assert_eq!(Promotion::read(&store), None);
        promotion(3, Vec::new()).keep(&store);
        assert_eq!(Promotion::read(&store).unwrap().knobs, Vec::new());
    }
}
