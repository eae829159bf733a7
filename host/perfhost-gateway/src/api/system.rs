//! `/health`, `/api/system/status` and `/api/system/resources`.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::blocking;
use super::reply::{Reply, Trouble};
use crate::services::Services;

/// For probes: the process answers. Says nothing about providers, so that a probe never restarts a sound host.
pub(crate) fn health(services: &Services) -> Reply {
    Reply::json(&json!({ "status": "ok", "uptime_s": uptime_s(services) }))
}

/// What the process around the gateway says of itself, with what the gateway knows.
pub(crate) async fn status(services: &Arc<Services>) -> Result<Reply, Trouble> {
    let services = services.clone();
    Ok(Reply::json(&blocking(move || state(&services)).await?))
}

/// The same, for those who may block.
pub(crate) fn state(services: &Services) -> Value {
    let mut status = match services.control.status() {
        Value::Object(fields) => fields,
        other => Map::from_iter([("host".to_owned(), other)]),
    };
    let settings = services.settings.load();
    let generation = services.generation.load();
    status.insert("uptime_s".to_owned(), json!(uptime_s(services)));
    status.insert(
        "requests".to_owned(),
        json!({
            "in_flight": services.admission.in_flight(),
            "queued": services.admission.queued(),
            "concurrency_limit": settings.concurrency_limit,
            "queue_length": settings.queue_length,
        }),
    );
    status.insert("planning".to_owned(), json!(generation.planning.read()));
    status.insert("settings_version".to_owned(), json!(settings.version));
    Value::Object(status)
}

pub(crate) async fn resources(services: &Arc<Services>) -> Result<Reply, Trouble> {
    let control = services.control.clone();
    Ok(Reply::json(&blocking(move || control.resources()).await?))
}

fn uptime_s(services: &Services) -> u64 {
    services.started_at.elapsed().map_or(0, |elapsed| elapsed.as_secs())
}
