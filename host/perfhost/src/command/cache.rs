//! `perfhost cache`: what the answer cache holds and saved; `--clear` empties it.

use anyhow::Result;
use serde_json::Value;

use super::client::Client;
use super::print::{self, bytes, duration, table};
use crate::cli::ClientFlags;

/// Asks and prints.
pub fn run(is_clearing: bool, flags: &ClientFlags) -> Result<()> {
    let client = Client::new(flags);
    if is_clearing {
        return print::print(&client.delete("/api/cache")?, flags.output, |done| {
            let size = done["cleared"]["bytes"].as_f64().unwrap_or_default();
            format!("{} answers dropped ({})", done["cleared"]["entries"], bytes(size))
        });
    }
    print::print(&client.get("/api/cache")?, flags.output, layout)
}

fn layout(answer: &Value) -> String {
    let cache = &answer["cache"];
    let size = |name: &str| bytes(cache[name].as_f64().unwrap_or_default());
    let rate =
        answer["hit_rate"].as_f64().map_or("no lookup yet".to_owned(), |rate| format!("{:.1} % hits", rate * 100.0));
    let mut lines = format!("{} answers, {} of {}; {rate}\n", cache["entries"], size("bytes"), size("capacity_bytes"));
    lines += &format!(
        "{} hits, {} misses, {} kept, {} made room, {} expired; {} equal requests share an answer now\n",
        cache["hits"], cache["misses"], cache["inserts"], cache["evictions"], cache["expirations"], answer["flights"]
    );
    lines += &format!(
        "saved: {} prompt tokens, {} output tokens, {}\n",
        cache["prompt_tokens_saved"],
        cache["output_tokens_saved"],
        duration(cache["time_saved_ms"].as_u64().unwrap_or_default())
    );
    let rows: Vec<Vec<String>> = cache["models"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|model| {
            vec![
                model["model"].as_str().unwrap_or("-").to_owned(),
                model["hits"].to_string(),
                model["prompt_tokens"].to_string(),
                model["output_tokens"].to_string(),
                duration(model["time_ms"].as_u64().unwrap_or_default()),
            ]
        })
        .collect();
    match rows.is_empty() {
        true => lines,
        false => lines + "\n" + &table(&["MODEL", "CALLS SAVED", "PROMPT TOKENS", "OUTPUT TOKENS", "TIME"], &rows),
    }
}
