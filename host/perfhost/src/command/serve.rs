//! `perfhost` and `perfhost serve`: reads the configuration, binds, runs, and drains on SIGTERM, SIGINT and Ctrl-C.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result};
use perfhost_gateway::{ShutdownTrigger, shutdown_channel};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, level_filters::LevelFilter};
use tracing_subscriber::fmt;

use crate::cli::{LogLevel, ServeFlags};
use crate::{config, host};

/// Longest time for answers under way to end after the first signal. A second signal ends them at once.
const DRAIN: Duration = Duration::from_secs(30);

/// Serves until told to stop.
pub fn run(flags: &ServeFlags) -> Result<()> {
    start_logging(flags);
    let sources = flags.sources(std::env::vars().collect());
    let config = config::load(&sources)?;
    let listener = TcpListener::bind(config.listen)
        .with_context(|| format!("listening on {}; name another address with --listen", config.listen))?;
    let (trigger, shutdown) = shutdown_channel();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || watch_signals(trigger))?;
    host::run(listener, config, sources, shutdown)
}

fn start_logging(flags: &ServeFlags) {
    let level = match flags.log {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let builder = fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    // Nobody else starts logging in this process; if somebody did, theirs is used.
    let _started = if flags.log_json { builder.json().try_init() } else { builder.with_ansi(is_terminal).try_init() };
}

fn watch_signals(trigger: ShutdownTrigger) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            std::future::pending::<()>().await;
            return;
        };
        let mut one = async || tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} };
        one().await;
        info!("stopping: answers under way run to their end; a second signal cuts them off");
        trigger.drain();
        tokio::select! { () = one() => {}, () = tokio::time::sleep(DRAIN) => {} }
        trigger.stop();
        // The process ends when `host::run` returns.
        std::future::pending::<()>().await;
    });
}
