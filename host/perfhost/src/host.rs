//! The composition root: wires the crates into one running host. `run(listener, config, shutdown)` returns when it has
//! drained.
//!
//! Two kinds of threads: the gateway's workers serve requests; one control thread (this one) ticks, decides, watches and
//! reloads, and hands what blocks to its pool.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use parking_lot::Mutex;
use perfhost_cache::{Cache, Flights};
use perfhost_gateway::{AccessPolicy, Admission, Limits, Services, Shutdown, Stage};
use perfhost_strategy::Shared;
use perfhost_strategy::observation::Hardware;
use perfhost_telemetry::{ResourceSampler, Store, Telemetry};
use perfhost_upstream::{Fleet, discover, health, tls_config};
use perfhost_wasm::{Runtime, RuntimeConfig};
use tokio::time::MissedTickBehavior;
use tracing::{error, info, warn};

use crate::config::{Config, Sources};
use crate::data_dir::DataDir;
use crate::plugin_source::Intake;
use crate::plugin_source::address::stem;
use crate::service::alerts::{self, Alerts};
use crate::service::control::HostControl;
use crate::service::engine::{self, Chosen};
use crate::service::experiments::{self, Experiments};
use crate::service::history::StoredHistory;
use crate::service::now_ms;
use crate::service::observer::Observer;
use crate::service::offer::{Place, offered};
use crate::service::otlp;
use crate::service::promotion::Promotion;
use crate::service::reload::Reloader;
use crate::service::reports;
use crate::service::sampler::Sampler;
use crate::service::strategies::{self, Parameters, Strategies, Watcher};
use crate::service::tuned::{self, StartValues, Surroundings, TunedSettings};
use crate::service::tuner::{self, Tuner};

/// Time between two looks at a provider's health.
const HEALTH_INTERVAL: Duration = Duration::from_secs(5);

/// Serves on `listener` until `shutdown` says so and everything has drained. Blocks the calling thread.
///
/// `sources` is where `config` came from; reloads read it again.
///
/// # Errors
/// When a part cannot be started: the data folder is in use, the store cannot be opened, a strategy does not load, the
/// engine or its model is missing.
pub fn run(listener: TcpListener, config: Config, sources: Sources, shutdown: Shutdown) -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the control runtime")?;
    runtime.block_on(serve(listener, Arc::new(config), sources, shutdown))
}

async fn serve(listener: TcpListener, config: Arc<Config>, sources: Sources, shutdown: Shutdown) -> Result<()> {
    let started = Instant::now();
    let listen = listener.local_addr().context("reading the listener's address")?;
    let data = DataDir::lock(&config.data_dir)?;
    let store = Store::open_with(data.path(), config.retention).context("opening the store")?;
    let telemetry = if config.is_recording {
        Telemetry::new()
    } else {
        warn!("requests are not recorded: no history of them, no tuning, no experiments, no alerts about them");
        Telemetry::without_requests()
    };
    let settings = Arc::new(Shared::new(Arc::new(config.settings.clone())));
    let tls = tls_config().context("loading the root certificates")?;

    // Strategies first: a plugin that does not load should be known before anything else is started.
    let wasm = Runtime::new(RuntimeConfig {
        cache_dir: Some(data.folder("compiled")?),
        limits: config.sandbox.limits.clone(),
    })?;
    let history = Arc::new(StoredHistory::new(store.clone()));
    let plugins = config.plugins.clone();
    let parts = strategies::Parts {
        runtime: wasm,
        history,
        intake: Arc::new(Intake::new(config.clone(), &sources)),
        store: store.clone(),
        telemetry: telemetry.clone(),
        folder: data.folder("plugins")?,
        parameters: parameters_of(config.clone()),
        workers: config.workers,
        is_fresh: config.is_fresh,
    };
    // Fetching a plugin blocks.
    let loading = tokio::task::spawn_blocking(move || Strategies::start(parts, &plugins));
    let strategies = Arc::new(loading.await.context("loading the strategies panicked")??);

    let fleet = Fleet::new();
    add_providers(&fleet, &config, &sources).await;
    let engine = engine::choose(&config, &data, &fleet, &sources)?;

    // What an earlier run had found, before the engine starts with it.
    let mut resource_sampler = ResourceSampler::new();
    let hardware = resource_sampler.hardware();
    let machine = tuned::in_words(&resource_sampler.processor(), &hardware);
    let tuned = Arc::new(TunedSettings::open(store.clone()));
    let begun = begin(&tuned, &config, &machine, &hardware, &fleet, engine.as_ref(), strategies.promotion());
    settings.store(Arc::new(begun.settings));
    let engine =
        engine.map(|chosen| chosen.start(&settings.load(), &config.settings, &fleet)).transpose()?.map(Arc::new);
    if fleet.providers().is_empty() {
        warn!(
            "no provider answers on its default port and no engine is set up; run `perfhost setup` to fetch an engine and a small \
               model, or name a provider with --upstream URL"
        );
    }

    let admission = Admission::new(&settings.load());
    let hardware = Arc::new(Mutex::new(hardware));
    let resources = Arc::new(Mutex::new(None));
    let cache = Cache::new(settings.load().cache_capacity_bytes);
    let observer = Observer {
        telemetry: telemetry.clone(),
        fleet: fleet.clone(),
        settings: settings.clone(),
        hardware: hardware.clone(),
    };
    let tuner = Arc::new(Tuner::new(tuner::Parts {
        observer,
        strategies: strategies.clone(),
        settings: settings.clone(),
        fleet: fleet.clone(),
        store: store.clone(),
        engine: engine.clone(),
        tuned,
        found: begun.tuned,
        machine,
        config: config.clone(),
    })?);
    let in_force = Arc::new(Mutex::new(config.clone()));
    let parts = alerts::Parts {
        telemetry: telemetry.clone(),
        fleet: fleet.clone(),
        store: store.clone(),
        tuner: tuner.clone(),
        host: listen.to_string(),
    };
    let alerts = Arc::new(Alerts::open(parts, &config.alerts)?);
    let control = Arc::new(HostControl {
        alerts: alerts.clone(),
        telemetry: telemetry.clone(),
        strategies: strategies.clone(),
        tuner: tuner.clone(),
        config: in_force.clone(),
        settings: settings.clone(),
        fleet: fleet.clone(),
        admission: admission.clone(),
        cache: cache.clone(),
        engine: engine.clone(),
        resources: resources.clone(),
        listen,
        started,
    });
    let live = Arc::new(Shared::new(Arc::new(None)));
    // The fleet, the knobs and the arms' strategies have to know each other before an experiment goes on.
    tuner.tick();
    let experiments = Arc::new(Experiments::open(experiments::Parts {
        strategies: strategies.clone(),
        tuner: tuner.clone(),
        settings: settings.clone(),
        store: store.clone(),
        telemetry: telemetry.clone(),
        fleet: fleet.clone(),
        live: live.clone(),
        config: in_force.clone(),
    })?);
    experiments.begin_configured();
    let services = Arc::new(Services {
        fleet: fleet.clone(),
        cache,
        flights: Flights::new(),
        telemetry: telemetry.clone(),
        store: store.clone(),
        settings: settings.clone(),
        generation: strategies.in_service(),
        admission: admission.clone(),
        experiment: live,
        control,
        experiments: experiments.clone(),
        access: AccessPolicy {
            admin_token: config.admin_token.clone(),
            api_key: config.api_key.clone(),
            hosts: config.hosts.clone(),
        },
        tls,
        started_at: SystemTime::now(),
        limits: Limits {
            plugin_bytes: usize::try_from(config.sandbox.limits.max_file_bytes).unwrap_or(usize::MAX),
            ..Limits::default()
        },
        targets: config.targets.clone(),
    });

    let health_watch = tokio::spawn(health::watch(
        fleet.clone(),
        services.tls.clone(),
        HEALTH_INTERVAL,
        shutdown_signal(shutdown.clone()),
    ));
    let pushes = config
        .otlp
        .clone()
        .map(|otlp| tokio::spawn(otlp::push(otlp, telemetry.clone(), listen.to_string(), shutdown.clone())));
    let reports =
        tokio::spawn(reports::run(services.clone(), data.path().join("reports"), config.reports, shutdown.clone()));
    let sampler = Sampler {
        telemetry,
        store: store.clone(),
        admission,
        fleet: fleet.clone(),
        strategies: strategies.clone(),
        engine: engine.clone(),
        hardware,
        resources,
        reader: resource_sampler,
        seconds: 0,
    };
    let watcher = Watcher::new(strategies.clone(), in_force.clone());
    let reloader = Reloader::new(sources, in_force, tuner.clone(), strategies.clone(), fleet.clone(), alerts.clone());
    let seconds = tokio::spawn(every_second(sampler, tuner.clone(), shutdown.clone()));
    // Without recorded requests the loop would turn knobs blindly: it rests.
    let decisions = config.is_recording.then(|| tokio::spawn(decide(tuner, shutdown.clone())));
    let looks = tokio::spawn(experiment(experiments.clone(), shutdown.clone()));
    let reloads = tokio::spawn(reloader.run(shutdown.clone()));
    let watch = tokio::spawn(watcher.run(shutdown.clone()));
    let alerting = tokio::spawn(alerts.clone().run(shutdown.clone()));

    warn_of_idle_rules(&config, &strategies);
    let identity = strategies.in_service().load().strategy.identity().clone();
    info!(%listen, strategy = identity.name, version = identity.version, started_in_ms = started.elapsed().as_millis() as u64, "serving");
    let workers = config.workers;
    let gateway = tokio::task::spawn_blocking(move || perfhost_gateway::run(listener, services, workers, shutdown));
    let served = gateway.await.context("the gateway panicked")?;

    for task in [seconds, looks, reloads, watch, reports, alerting].into_iter().chain(decisions).chain(pushes) {
        // They stop with the same signal; a panic in one was logged by its thread and must not hide the rest.
        let _ended = task.await;
    }
    health_watch.abort();
    experiments.pause();
    alerts.end();
    strategies.end();
    if let Some(engine) = engine {
        engine.stop().await;
    }
    store.flush();
    info!("stopped");
    served.context("serving")
}

/// The parameters of each strategy under a configuration: `--param` goes to the one named first.
pub fn parameters_of(config: Arc<Config>) -> Arc<Parameters> {
    Arc::new(move |name: &str| {
        let first = config.plugins.first().map(|plugin| stem(plugin)).unwrap_or_default();
        config.parameters_for(name, first == name)
    })
}

/// The settings to begin with, on this machine, with these providers, the engine that is about to start, and what an
/// experiment had promoted.
fn begin(
    tuned: &TunedSettings,
    config: &Config,
    machine: &str,
    hardware: &Hardware,
    fleet: &Fleet,
    engine: Option<&Chosen>,
    promotion: Option<&Promotion>,
) -> StartValues {
    let mut surroundings = Surroundings::of_fleet(machine, fleet, None);
    let mut places = Place::of(fleet);
    if let Some(engine) = engine {
        surroundings.providers.insert(engine.provider().to_owned(), engine.serves());
        places.push(Place { provider: engine.provider().to_owned(), is_managed: true });
    }
    let offered = offered(config, hardware.logical_cores, &places);
    let mut begun = tuned.start_values(config, &surroundings, &offered);
    if let Some(promotion) = promotion {
        begun.settings = promotion.with_knobs(begun.settings, config, &surroundings, &offered);
    }
    begun
}

/// Rules that nobody reads are a mistake that nothing else would show.
pub(crate) fn warn_of_idle_rules(config: &Config, strategies: &Strategies) {
    let strategy = strategies.in_service().load().strategy.identity().name.clone();
    if config.has_rules && strategy != "rules" {
        warn!(
            strategy,
            "rules are configured and another strategy is in service; put `rules` in service to have them followed"
        );
    }
}

async fn add_providers(fleet: &Arc<Fleet>, config: &Config, sources: &Sources) {
    for upstream in &config.upstreams {
        fleet.add(upstream.clone());
    }
    if config.discovery {
        for found in discover::discover(&|name| sources.variable(name)).await {
            let is_named = fleet.providers().iter().any(|provider| provider.name() == found.name);
            let is_this_host = found.endpoint.is_loopback() && found.endpoint.port == config.listen.port();
            if !is_named && !is_this_host {
                info!(provider = found.name, kind = found.kind.name(), endpoint = %found.endpoint, "provider found");
                fleet.add(found);
            }
        }
    }
}

async fn every_second(mut sampler: Sampler, tuner: Arc<Tuner>, mut shutdown: Shutdown) {
    let mut clock = tokio::time::interval(Duration::from_secs(1));
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = clock.tick() => {}
            () = shutdown.reached(Stage::Draining) => break,
        }
        // A graphics driver that is in trouble can take seconds to answer; the fleet's health is looked at meanwhile.
        let sampling = tokio::task::spawn_blocking(move || {
            sampler.tick(now_ms());
            sampler
        });
        match sampling.await {
            Ok(back) => sampler = back,
            Err(error) => {
                error!(%error, "sampling has ended: gauges and history stand still");
                return;
            }
        }
        let tuner = tuner.clone();
        // Swaps and retries compile; they must not hold up the clock.
        let _ended = tokio::task::spawn_blocking(move || tuner.tick()).await;
    }
    sampler.tick(now_ms());
}

async fn decide(tuner: Arc<Tuner>, mut shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(tuner.interval()) => {}
            () = shutdown.reached(Stage::Draining) => return,
        }
        let tuner = tuner.clone();
        let _ended = tokio::task::spawn_blocking(move || tuner.cycle()).await;
    }
}

/// Between two looks at a running experiment. Blocks of a switchback begin and end no more exactly than this.
const LOOK_EVERY: Duration = Duration::from_millis(250);

async fn experiment(experiments: Arc<Experiments>, mut shutdown: Shutdown) {
    let mut clock = tokio::time::interval(LOOK_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = clock.tick() => {}
            () = shutdown.reached(Stage::Draining) => return,
        }
        let experiments = experiments.clone();
        let _ended = tokio::task::spawn_blocking(move || experiments.tick()).await;
    }
}

async fn shutdown_signal(mut shutdown: Shutdown) {
    shutdown.reached(Stage::Draining).await;
}
