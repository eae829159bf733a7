//! From settings to a process that answers: started, loaded, warm.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use perfhost_strategy::settings::EngineSettings;
use tokio::time::Instant;

use super::command::command_line;
use super::config::EngineConfig;
use super::error::EngineError;
use super::exchange;
use super::log::Log;
use super::process::Process;

/// Between two looks at a process that is loading.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
const LOOK_LIMIT: Duration = Duration::from_secs(2);
/// A first, tiny completion: it touches the weights and the KV cache, so that the first user does not pay for that.
const WARM_UP: &str = r#"{"prompt":"Hello","n_predict":1,"cache_prompt":false}"#;
const WARM_UP_LIMIT: Duration = Duration::from_secs(20);

/// A process that answers.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) process: Process,
    pub(super) port: u16,
    pub(super) startup: Duration,
    pub(super) ready_at: Instant,
}

/// Starts a process and waits until it is ready. `spawned` is told its process id. Dropping the future kills it.
pub(super) async fn launch(
    config: &EngineConfig,
    settings: &EngineSettings,
    log: &Arc<Log>,
    spawned: &(dyn Fn(u32) + Sync),
) -> Result<Running, EngineError> {
    let port = free_port()?;
    let started = Instant::now();
    let mut process = Process::spawn(&command_line(config, settings, port), log, &config.run_dir)?;
    spawned(process.pid());
    let limit = config.start_limit();
    tokio::select! {
        error = process.ended() => return Err(error),
        is_ready = tokio::time::timeout(limit, ready(port)) => {
            if is_ready.is_err() {
                let (log, last_lines) = (process.log_path(), process.last_lines());
                process.stop(config.stop_grace).await;
                return Err(EngineError::NotReady { after: limit, log, last_lines });
            }
        }
    }
    tokio::select! {
        error = process.ended() => return Err(error),
        warm = exchange::post(port, "/completion", WARM_UP, WARM_UP_LIMIT) => {
            // A model for embeddings only refuses; that is no fault.
            tracing::debug!(port, is_warm = warm.is_ok_and(|(status, _)| status.is_success()), "engine warmed up");
        }
    }
    Ok(Running { process, port, startup: started.elapsed(), ready_at: Instant::now() })
}

async fn ready(port: u16) {
    loop {
        if let Ok((StatusCode::OK, _)) = exchange::get(port, "/health", LOOK_LIMIT).await {
            return;
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// A port that is free now. Should another program take it before the engine does, the engine ends at once and is
/// started again on another one.
fn free_port() -> Result<u16, EngineError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(EngineError::Port)?;
    Ok(listener.local_addr().map_err(EngineError::Port)?.port())
}
