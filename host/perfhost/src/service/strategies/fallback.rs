//! The fallback that takes over from a strategy that fails again and again, and that one's way back.
//!
//! When either happens is the supervisor's to say (`perfhost_strategy::supervisor`), on the tuner's behalf.

use perfhost_strategy::generation::Arrival;
use tracing::{info, warn};

use super::desk::Retired;
use super::{Strategies, SwapError};
use crate::built_in;
use crate::plugin_source::BUILT_IN_SOURCE;

/// Takes over from [`built_in::DEFAULT`] when that is the one that fails.
const SECOND_FALLBACK: &str = "conservative";

impl Strategies {
    /// The strategy that failed again and again, if one is waiting for another chance.
    pub fn retired(&self) -> Option<Retired> {
        self.desk.lock().retired.clone()
    }

    /// Whether one is; `None` while the desk is in use, which may be for as long as a strategy's calls take.
    pub fn is_one_retired(&self) -> Option<bool> {
        self.desk.try_lock().map(|desk| desk.retired.is_some())
    }

    /// Takes the strategy out of service until `retry_at_ms`; the fallback takes over.
    pub fn retire(&self, cause: &str, retry_at_ms: u64) -> Result<(), SwapError> {
        let failing = self.serving();
        let is_default = failing.source.starts_with(BUILT_IN_SOURCE) && failing.name == built_in::DEFAULT;
        let fallback = if is_default { SECOND_FALLBACK } else { built_in::DEFAULT };
        let held = self.load(&self.intake().read(fallback, None)?)?;
        let mut desk = self.desk.lock();
        if self.serving().number != failing.number {
            // It was swapped out while the fallback was loaded.
            return Ok(());
        }
        let held_before = desk.serving.clone();
        warn!(
            strategy = failing.name,
            version = failing.version,
            cause,
            fallback,
            retry_at_ms,
            "the strategy failed again and again; the fallback takes over"
        );
        let before = desk.retired.replace(Retired {
            held: held_before,
            cause: cause.to_owned(),
            retry_at_ms,
            place: failing.place,
        });
        let swapped =
            self.put_in_service(held, &mut desk, Arrival::Fallback, Some(failing.place), Some(cause.to_owned()));
        if swapped.is_err() {
            desk.retired = before;
        }
        swapped
    }

    /// Gives a retired strategy another chance. On failure it stays retired: see [`Self::put_off`].
    pub fn retry(&self) -> Result<(), SwapError> {
        let serving = self.serving().number;
        let Some(Retired { held, .. }) = self.retired() else { return Ok(()) };
        // Its terms, and what is trusted, may be others than when it was loaded.
        let held = if self.loader.is_up_to_date(&held) { held } else { self.of_digest(held.digest())?.unwrap_or(held) };
        let mut desk = self.desk.lock();
        if self.serving().number != serving {
            // Another was put in service meanwhile.
            return Ok(());
        }
        // Taken first, so that the fallback is at hand again once it has left.
        let Some(retired) = desk.retired.take() else { return Ok(()) };
        info!(strategy = held.strategy.identity().name, "the strategy gets another chance");
        let swapped = self.put_in_service(held, &mut desk, Arrival::Retry, Some(retired.place), None);
        if swapped.is_err() {
            desk.retired = Some(retired);
        }
        swapped
    }

    /// The retired strategy's next chance comes later.
    pub fn put_off(&self, retry_at_ms: u64) {
        if let Some(retired) = &mut self.desk.lock().retired {
            retired.retry_at_ms = retry_at_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use perfhost_gateway::StrategySource;
    use perfhost_telemetry::{Store, Telemetry};
    use perfhost_wasm::{Limits, NoHistory, Runtime, RuntimeConfig};

    use super::super::{Parameters, Parts};
    use super::*;
    use crate::config::raw::Raw;
    use crate::config::{Config, Sources};
    use crate::plugin_source::Intake;

    /// Two built-in strategies; the first is in service.
    fn started(folder: &std::path::Path) -> Strategies {
        let environment = vec![("HOME".to_owned(), folder.display().to_string())];
        let sources = Sources { environment, ..Sources::default() };
        let config = Config::check(Raw { data_dir: Some(folder.join("data")), ..Raw::default() }, &sources).unwrap();
        let parts = Parts {
            runtime: Runtime::new(RuntimeConfig { cache_dir: None, limits: Limits::default() }).unwrap(),
            history: Arc::new(NoHistory),
            intake: Arc::new(Intake::new(Arc::new(config), &sources)),
            store: Store::open(folder).unwrap(),
            telemetry: Telemetry::new(),
            folder: folder.join("plugins"),
            parameters: parameters(&[]),
            workers: 1,
            is_fresh: true,
        };
        Strategies::start(parts, &[built_in::DEFAULT.to_owned()]).unwrap()
    }

    /// Those of the default strategy; others have none.
    fn parameters(given: &[(&str, &str)]) -> Arc<Parameters> {
        let given: Vec<_> = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Arc::new(move |name: &str| if name == built_in::DEFAULT { given.clone() } else { Vec::new() })
    }

    #[test]
    fn a_retired_strategy_outlives_retries_that_fail() {
        let folder = tempfile::tempdir().unwrap();
        let strategies = started(folder.path());
        strategies.retire("it failed", 1_000).unwrap();
        assert_eq!(strategies.serving().name, SECOND_FALLBACK);

        strategies.set_parameters(parameters(&[("unheard_of", "1")])).unwrap();
        assert!(strategies.retry().is_err(), "it refuses its parameters");
        strategies.put_off(2_000);
        assert_eq!(strategies.retired().map(|retired| retired.retry_at_ms), Some(2_000));
        assert_eq!(strategies.serving().name, SECOND_FALLBACK);

        strategies.set_parameters(parameters(&[])).unwrap();
        strategies.retry().unwrap();
        assert_eq!((strategies.serving().name.as_str(), strategies.retired().is_none()), (built_in::DEFAULT, true));
    }

    #[test]
    fn the_files_of_an_experiments_arms_are_needed() {
        let folder = tempfile::tempdir().unwrap();
        let strategies = started(folder.path());
        let source = StrategySource::Named { name: "aggressive".to_owned(), digest: None };
        let arm = strategies.enlist(&source).unwrap();
        assert!(strategies.desk.lock().needed().iter().any(|digest| digest == arm.digest()));
        strategies.dismiss();
        assert!(!strategies.desk.lock().needed().iter().any(|digest| digest == arm.digest()));
    }
}
