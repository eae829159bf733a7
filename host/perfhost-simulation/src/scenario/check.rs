//! Whether a scenario makes sense. Asked before every run, so that the simulation itself cannot fail.

use perfhost_strategy::knob::KnobId;
use perfhost_strategy::scope::ScopeKind;
use perfhost_strategy::{Scope, Settings};
use thiserror::Error;

use super::{Amount, Arrivals, Effect, EngineSpec, ProviderSpec, Scenario};

/// Longest run, in seconds: a week.
const LONGEST_S: f64 = 604_800.0;

/// Most clients, requests per second, providers, models and known requests: what a run holds in memory.
const MOST_CLIENTS: u32 = 10_000;
const MOST_PER_SECOND: f64 = 10_000.0;
const MOST_PROVIDERS: usize = 64;
const MOST_MODELS: usize = 1_000;
const MOST_DISTINCT: u32 = 1_000_000;

/// What is wrong with a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("scenario {scenario:?}: {field} is {found}, allowed is {allowed}")]
pub struct ScenarioError {
    /// The scenario's name.
    pub scenario: String,
    /// Which field.
    pub field: String,
    /// Its value.
    pub found: String,
    /// What is allowed.
    pub allowed: String,
}

impl Scenario {
    /// Whether it makes sense, and the settings that it starts with.
    pub fn check(&self) -> Result<Settings, ScenarioError> {
        let check = Check { scenario: self };
        check.number("duration_s", self.duration_s, 1.0, LONGEST_S)?;
        check.number("interval_s", self.interval_s, 1.0, 3_600.0)?;
        check.arrivals()?;
        check.requests()?;
        check.number("objective.first_token_ms", self.objective.first_token_ms, 0.0, f64::MAX)?;
        check.number("objective.token_ms", self.objective.token_ms, 0.0, f64::MAX)?;
        check.number("objective.response_ms", self.objective.response_ms, 0.0, f64::MAX)?;
        check.number("machine.cores", f64::from(self.machine.cores), 1.0, 100_000.0)?;
        check.providers()?;
        check.models()?;
        for disturbance in &self.disturbances {
            check.number("disturbances.at_s", disturbance.at_s, 0.0, LONGEST_S)?;
            check.number("disturbances.for_s", disturbance.for_s, 0.0, LONGEST_S)?;
            check.effect(&disturbance.effect)?;
        }
        check.knobs()
    }
}

struct Check<'a> {
    scenario: &'a Scenario,
}

impl Check<'_> {
    fn wrong(&self, field: &str, found: impl ToString, allowed: impl Into<String>) -> ScenarioError {
        let scenario = self.scenario.name.clone();
        ScenarioError { scenario, field: field.to_owned(), found: found.to_string(), allowed: allowed.into() }
    }

    fn number(&self, field: &str, found: f64, lowest: f64, highest: f64) -> Result<(), ScenarioError> {
        let allowed = || match highest {
            f64::MAX => format!("a number from {lowest}"),
            _ => format!("a number from {lowest} to {highest}"),
        };
        if (lowest..=highest).contains(&found) { Ok(()) } else { Err(self.wrong(field, found, allowed())) }
    }

    fn share(&self, field: &str, found: f64) -> Result<(), ScenarioError> {
        self.number(field, found, 0.0, 1.0)
    }

    fn amount(&self, field: &str, found: Amount) -> Result<(), ScenarioError> {
        let allowed = "finite numbers from 0, `from` not above `to`";
        if found.is_sound() { Ok(()) } else { Err(self.wrong(field, format!("{found:?}"), allowed)) }
    }

    fn arrivals(&self) -> Result<(), ScenarioError> {
        let rate = |field, found| self.number(field, found, 1e-6, MOST_PER_SECOND);
        match &self.scenario.arrivals {
            Arrivals::Clients { count, think_s, back_off_s } => {
                self.number("arrivals.count", f64::from(*count), 1.0, f64::from(MOST_CLIENTS))?;
                self.amount("arrivals.think_s", *think_s)?;
                // Clients that ask again at once, refused at once, would stop the clock.
                self.number("arrivals.back_off_s", *back_off_s, 0.01, LONGEST_S)
            }
            Arrivals::Poisson { per_second } => rate("arrivals.per_second", *per_second),
            Arrivals::Burst { per_second, burst_per_second, every_s, for_s } => {
                rate("arrivals.per_second", *per_second)?;
                rate("arrivals.burst_per_second", *burst_per_second)?;
                self.number("arrivals.every_s", *every_s, 1.0, LONGEST_S)?;
                self.number("arrivals.for_s", *for_s, 0.0, *every_s)
            }
            Arrivals::Diurnal { per_second, swing, period_s } => {
                rate("arrivals.per_second", *per_second)?;
                self.share("arrivals.swing", *swing)?;
                self.number("arrivals.period_s", *period_s, 1.0, LONGEST_S)
            }
            Arrivals::Trace { rows, .. } => {
                let is_ordered = rows.is_sorted_by_key(|row| row.timestamp);
                let found = if rows.is_empty() { "empty" } else { "not in the order of time" };
                let allowed = "at least one row, with rising timestamps";
                if rows.is_empty() || !is_ordered { Err(self.wrong("arrivals.rows", found, allowed)) } else { Ok(()) }
            }
        }
    }

    fn requests(&self) -> Result<(), ScenarioError> {
        let requests = &self.scenario.requests;
        self.amount("requests.prompt_tokens", requests.prompt_tokens)?;
        self.amount("requests.output_tokens", requests.output_tokens)?;
        self.share("requests.streamed", requests.streamed)?;
        self.share("requests.deterministic", requests.deterministic)?;
        if let Some(patience_s) = requests.patience_s {
            self.amount("requests.patience_s", patience_s)?;
        }
        if let Some(repeats) = requests.repeats {
            self.share("requests.repeats.share", repeats.share)?;
            let distinct = f64::from(repeats.distinct);
            self.number("requests.repeats.distinct", distinct, 1.0, f64::from(MOST_DISTINCT))?;
            self.number("requests.repeats.exponent", repeats.exponent, 0.0, 10.0)?;
        }
        for model in &requests.models {
            self.number(&format!("requests.models.{}.share", model.name), model.share, 1e-6, f64::MAX)?;
        }
        Ok(())
    }

    fn providers(&self) -> Result<(), ScenarioError> {
        let providers = &self.scenario.providers;
        self.number("the number of providers", providers.len() as f64, 1.0, MOST_PROVIDERS as f64)?;
        let managed = providers.iter().filter(|provider| provider.is_managed()).count();
        self.number("the number of managed engines", managed as f64, 0.0, 1.0)?;
        for (at, provider) in providers.iter().enumerate() {
            let (name, field) = (provider.name(), |field: &str| format!("providers.{}.{field}", provider.name()));
            let is_taken = providers[..at].iter().any(|other| other.name() == name);
            if is_taken || name.is_empty() || name.contains('/') {
                return Err(self.wrong("providers.name", format!("{name:?}"), "a name of its own without a slash"));
            }
            let models = provider.models();
            self.number(&field("models (how many)"), models.len() as f64, 1.0, MOST_MODELS as f64)?;
            match provider {
                ProviderSpec::Engine(engine) => self.engine(engine, field)?,
                ProviderSpec::Cloud(cloud) => {
                    self.amount(&field("first_token_ms"), cloud.first_token_ms)?;
                    self.amount(&field("token_ms"), cloud.token_ms)?;
                    self.share(&field("failing"), cloud.failing)?;
                }
            }
        }
        Ok(())
    }

    fn engine(&self, engine: &EngineSpec, field: impl Fn(&str) -> String) -> Result<(), ScenarioError> {
        self.number(&field("prompt_tokens_per_second"), engine.prompt_tokens_per_second, 1e-3, f64::MAX)?;
        self.number(&field("slots"), f64::from(engine.slots), 1.0, 64.0)?;
        self.number(&field("context_tokens"), f64::from(engine.context_tokens), 1.0, f64::MAX)?;
        self.number(&field("keep_alive_s"), engine.keep_alive_s, 0.0, LONGEST_S)?;
        if engine.managed {
            self.number(&field("models (how many)"), engine.models.len() as f64, 1.0, 1.0)?;
        }
        let points = &engine.generation;
        let is_rising = points.windows(2).all(|two| two[0].requests < two[1].requests);
        if points.first().is_none_or(|first| first.requests != 1) || !is_rising {
            let allowed = "points that begin with 1 request and rise";
            return Err(self.wrong(&field("generation"), format!("{points:?}"), allowed));
        }
        for point in points {
            self.number(&field("generation.tokens_per_second"), point.tokens_per_second, 1e-3, f64::MAX)?;
        }
        for model in &engine.models {
            self.number(&field("models.load_s"), model.load_s, 0.0, LONGEST_S)?;
            self.number(&field("models.speed"), model.speed, 1e-3, 1e3)?;
        }
        Ok(())
    }

    /// Every model that is asked for must be offered: a client's mistake is nothing that a strategy could mend.
    fn models(&self) -> Result<(), ScenarioError> {
        let offered: Vec<&str> = self.scenario.providers.iter().flat_map(ProviderSpec::models).collect();
        let mut asked = self.scenario.requests.models.iter();
        match asked.find(|model| !offered.contains(&model.name.as_str())) {
            None => Ok(()),
            Some(model) => Err(self.wrong("requests.models", format!("{:?}", model.name), offered.join(", "))),
        }
    }

    fn effect(&self, effect: &Effect) -> Result<(), ScenarioError> {
        let names: Vec<&str> = self.scenario.providers.iter().map(ProviderSpec::name).collect();
        if let Some(provider) = effect.provider().filter(|name| !names.contains(name)) {
            return Err(self.wrong("disturbances.effect.provider", format!("{provider:?}"), names.join(", ")));
        }
        match effect {
            Effect::Slower { factor, .. } => self.number("disturbances.effect.factor", *factor, 1.0, 1e6),
            Effect::Failing { share, .. } => self.share("disturbances.effect.share", *share),
            Effect::Down { .. } | Effect::Memory { .. } => Ok(()),
        }
    }

    fn knobs(&self) -> Result<Settings, ScenarioError> {
        let mut settings = Settings::default();
        for (place, value) in &self.scenario.knobs {
            let field = format!("knobs.{place}");
            let (name, provider) = place.split_once('@').unwrap_or((place, ""));
            let id = KnobId::by_name(name).ok_or_else(|| self.wrong(&field, name, "the name of a knob"))?;
            let names = self.scenario.providers.iter().map(ProviderSpec::name);
            let is_known = provider.is_empty() || names.clone().any(|known| known == provider);
            if !is_known || (id.knob().scope == ScopeKind::Global && !provider.is_empty()) {
                let allowed = format!("one of the providers {}", names.collect::<Vec<_>>().join(", "));
                return Err(self.wrong(&field, provider, allowed));
            }
            let knob = id.knob();
            knob.bounds.check(value).map_err(|_| self.wrong(&field, value, knob.bounds.expected()))?;
            settings = settings.with(id, &Scope::parse(provider), value.clone());
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Scenario {
        serde_json::from_str(text).unwrap()
    }

    fn error(text: &str) -> String {
        read(text).check().unwrap_err().to_string()
    }

    #[test]
    fn a_file_names_only_what_differs() {
        let scenario = read(
            r#"{"name": "mine", "arrivals": {"is": "poisson", "per_second": 2}, "knobs": {"engine_slots@local": 4}}"#,
        );
        assert_eq!(scenario.check().unwrap().engine("local").slots, 4);
        assert_eq!(scenario.providers, Scenario::default().providers);
        let misspelt = serde_json::from_str::<Scenario>(r#"{"arival": 1}"#).unwrap_err().to_string();
        assert!(misspelt.contains("unknown field `arival`"), "{misspelt}");
        let inside = serde_json::from_str::<Scenario>(r#"{"providers": [{"is": "cloud", "nmae": "x"}]}"#);
        assert!(inside.unwrap_err().to_string().contains("unknown field `nmae`"));
    }

    #[test]
    fn what_makes_no_sense_is_named_with_what_is_allowed() {
        let wrong = [
            (r#"{"duration_s": 0}"#, "duration_s is 0, allowed is a number from 1 to 604800"),
            (r#"{"arrivals": {"is": "clients", "count": 0}}"#, "arrivals.count is 0"),
            (r#"{"arrivals": {"is": "trace"}}"#, "arrivals.rows is empty"),
            (r#"{"requests": {"models": [{"name": "x", "share": 1}]}}"#, "allowed is gemma-3-270m"),
            (r#"{"knobs": {"engine_slots@local": 0}}"#, "allowed is a whole number from 1 to 64"),
            (r#"{"knobs": {"retries@local": 1}}"#, "knobs.retries@local is local"),
            (r#"{"knobs": {"slots": 1}}"#, "allowed is the name of a knob"),
            (
                r#"{"disturbances": [{"at_s": 1, "for_s": 1, "effect": {"is": "down", "provider": "x"}}]}"#,
                "allowed is local",
            ),
            (r#"{"providers": [{"is": "engine"}, {"is": "engine", "name": "b"}]}"#, "managed engines is 2"),
        ];
        for (text, expected) in wrong {
            assert!(error(text).contains(expected), "{text}: {}", error(text));
        }
    }
}
