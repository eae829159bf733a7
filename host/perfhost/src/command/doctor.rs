//! `perfhost doctor`: looks at configuration, machine, engine, models and the running host, and names what to do.

use anyhow::{Result, bail};
use perfhost_telemetry::ResourceSampler;
use perfhost_upstream::{engine, model};
use serde::Serialize;

use super::client::Client;
use super::library::models_in;
use super::plot::Canvas;
use super::print::{self, bytes, wrapped};
use crate::cli::ClientFlags;
use crate::config::{self, Config, Sources};

/// Free memory below which small models do not fit either.
const LEAST_FREE_BYTES: u64 = 1 << 30;

/// What one look found.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    found: String,
    /// What to do, where something is to be done.
    fix: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Good,
    Doubtful,
    Bad,
}

impl Check {
    fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Good, found: found.into(), fix: None }
    }

    fn off(name: &'static str, verdict: Verdict, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, verdict, found: found.into(), fix: Some(fix.into()) }
    }
}

/// Looks, prints, and fails when something is bad.
pub fn run(flags: &ClientFlags) -> Result<()> {
    let sources = Sources { environment: std::env::vars().collect(), ..Sources::default() };
    let mut checks = vec![machine()];
    match config::load(&sources) {
        Ok(config) => {
            let file =
                config.file.as_ref().map_or("no file; all as usual".to_owned(), |file| file.display().to_string());
            checks.push(Check::good("configuration", file));
            checks.push(engine(&config));
            checks.push(models(&config));
            checks.push(data(&config));
        }
        Err(error) => checks.push(Check::off(
            "configuration",
            Verdict::Bad,
            error.to_string(),
            "correct the file or variable that it names",
        )),
    }
    checks.extend(host(flags));
    print::print(&checks, flags.output, |checks| layout(checks, Canvas::of_stdout().width))?;
    match checks.iter().filter(|check| check.verdict == Verdict::Bad).count() {
        0 => Ok(()),
        bad => bail!("{bad} of {} checks are bad", checks.len()),
    }
}

fn machine() -> Check {
    let hardware = ResourceSampler::new().hardware();
    let mut found = format!(
        "{} cores, {} of memory, {} free",
        hardware.physical_cores,
        bytes(hardware.memory_total_bytes as f64),
        bytes(hardware.memory_free_bytes as f64)
    );
    for gpu in &hardware.gpus {
        let (total, free) = (bytes(gpu.memory_total_bytes as f64), bytes(gpu.memory_free_bytes as f64));
        found += &format!("; {} with {total}, {free} free", gpu.name);
    }
    if hardware.memory_free_bytes < LEAST_FREE_BYTES {
        return Check::off("machine", Verdict::Doubtful, found, "free some memory before a model is loaded");
    }
    Check::good("machine", found)
}

fn engine(config: &Config) -> Check {
    let program = config.engine.program.as_deref();
    match engine::find(program, std::env::var_os("PATH").as_deref(), &config.library_dir) {
        Some(found) => Check::good("engine", found.to_string()),
        None => {
            Check::off("engine", Verdict::Doubtful, "none; only other providers can be used", "perfhost engine install")
        }
    }
}

fn models(config: &Config) -> Check {
    match model::list(&models_in(&config.library_dir)) {
        Ok(here) if here.is_empty() => {
            Check::off("models", Verdict::Doubtful, "none on this machine", "perfhost model pull gemma-3-270m")
        }
        Ok(here) => Check::good("models", here.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ")),
        Err(error) => Check::off("models", Verdict::Bad, error.to_string(), "check the library folder's permissions"),
    }
}

fn data(config: &Config) -> Check {
    let folder = config.data_dir.display();
    let entries = std::fs::read_dir(&config.data_dir).into_iter().flatten().flatten();
    let damaged = entries.filter(|entry| entry.file_name().to_string_lossy().contains(".corrupt-")).count();
    if damaged > 0 {
        let found = format!("{folder} holds {damaged} files of a damaged store that was set aside");
        return Check::off("data", Verdict::Doubtful, found, "check the disk; the files can be deleted");
    }
    Check::good("data", folder.to_string())
}

/// What a running host says; one line when there is none.
fn host(flags: &ClientFlags) -> Vec<Check> {
    let client = Client::new(flags);
    let overview = match client.get("/api/monitoring/dashboard/overview") {
        Ok(overview) => overview,
        Err(error) => {
            return vec![Check::off("host", Verdict::Doubtful, format!("{error:#}"), "start it with `perfhost`")];
        }
    };
    let health = &overview["health"];
    let reasons = health["reasons"].as_array().into_iter().flatten().filter_map(|reason| reason["reason"].as_str());
    let reasons: Vec<&str> = reasons.collect();
    let score = health["score"].as_f64().unwrap_or_default();
    let found = format!("{}, {score:.0} of 100", health["status"].as_str().unwrap_or("-"));
    let mut checks = match health["status"].as_str() {
        Some("healthy") => vec![Check::good("host", found)],
        Some("degraded") => vec![Check::off("host", Verdict::Doubtful, found, reasons.join("; "))],
        _ => vec![Check::off("host", Verdict::Bad, found, reasons.join("; "))],
    };
    if client.get("/api/system/status").is_ok_and(|status| status["is_recording"] == false) {
        let fix = "start it with telemetry.enabled = true (without --no-telemetry)";
        checks.push(Check::off("telemetry", Verdict::Doubtful, "requests are not recorded", fix));
    }
    for provider in overview["providers"].as_array().into_iter().flatten() {
        let (name, state) = (provider["name"].as_str().unwrap_or("-"), provider["health"].as_str().unwrap_or("-"));
        checks.push(match state {
            "down" => Check::off(
                "provider",
                Verdict::Doubtful,
                format!("{name} is down"),
                format!("start {name}, or remove it from the configuration"),
            ),
            _ => Check::good("provider", format!("{name} is {state}")),
        });
    }
    checks
}

fn layout(checks: &Vec<Check>, width: usize) -> String {
    let mut lines = String::new();
    for check in checks {
        let sign = match check.verdict {
            Verdict::Good => "ok  ",
            Verdict::Doubtful => "note",
            Verdict::Bad => "bad ",
        };
        let mut push = |text: String, indent| lines += &(wrapped(&text, indent, width) + "\n");
        push(format!("{sign}  {}: {}", check.name, check.found), "      ");
        if let Some(fix) = &check.fix {
            push(format!("      -> {fix}"), "         ");
        }
    }
    lines
}
