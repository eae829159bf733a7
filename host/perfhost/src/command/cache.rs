//! `perfhost cache`: what the answer cache holds, and what it saved since a moment; `--clear` empties it.

use anyhow::Result;
use serde_json::Value;

use super::client::{Client, encoded};
use super::print::{self, bytes, duration, moment, table};
use crate::cli::ClientFlags;

/// Asks and prints; what was saved counts from `since`.
pub fn run(is_clearing: bool, since: &str, flags: &ClientFlags) -> Result<()> {
    let client = Client::new(flags);
    if is_clearing {
        return print::print(&client.delete("/api/cache")?, flags.output, |done| {
            let size = done["cleared"]["bytes"].as_f64().unwrap_or_default();
            format!("{} answers dropped ({})", done["cleared"]["entries"], bytes(size))
        });
    }
    print::print(&client.get(&format!("/api/cache?from={}", encoded(since)))?, flags.output, layout)
}

fn layout(answer: &Value) -> String {
    let (cache, range) = (&answer["cache"], &answer["range"]);
    let size = |name: &str| bytes(cache[name].as_f64().unwrap_or_default());
    let mut lines = format!(
        "{} answers, {} of {}; {} equal requests share an answer now\n",
        cache["entries"],
        size("bytes"),
        size("capacity_bytes"),
        answer["flights"]
    );
    lines += &format!(
        "since the start {} kept, {} made room, {} expired\n",
        cache["inserts"], cache["evictions"], cache["expirations"]
    );
    let rate = range["hit_rate"].as_f64().map_or("no lookup".to_owned(), |rate| format!("{:.1} %", rate * 100.0));
    lines += &format!(
        "\nsince {}: {} hits, {} shared, {} misses ({rate})\n",
        moment(answer["from_ms"].as_u64().unwrap_or_default()),
        range["hits"],
        range["shared"],
        range["misses"]
    );
    let saved = |figures: &Value| duration(figures["time_saved_ms"].as_u64().unwrap_or_default());
    lines += &format!(
        "saved: {} prompt tokens, {} output tokens, {}\n",
        range["prompt_tokens_saved"],
        range["output_tokens_saved"],
        saved(range)
    );
    let rows: Vec<Vec<String>> = answer["models"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|model| {
            let text = |name: &str| model[name].to_string();
            let mut row = vec![model["model"].as_str().unwrap_or("-").to_owned()];
            row.extend(["lookups", "hits", "shared", "prompt_tokens_saved", "output_tokens_saved"].map(text));
            row.push(saved(model));
            row
        })
        .collect();
    let header = ["MODEL", "LOOKUPS", "HITS", "SHARED", "PROMPT TOKENS", "OUTPUT TOKENS", "TIME"];
    if rows.is_empty() { lines } else { lines + "\n" + &table(&header, &rows) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_saved_is_that_of_the_range_and_of_each_model() {
        let figures = json!({
            "model": "local/m", "lookups": 10, "hits": 4, "shared": 1, "misses": 5, "hit_rate": 0.5,
            "prompt_tokens_saved": 50, "output_tokens_saved": 70, "time_saved_ms": 61_000,
        });
        let answer = json!({
            "cache": { "entries": 3, "bytes": 2048, "capacity_bytes": 4096, "inserts": 900, "evictions": 5, "expirations": 6 },
            "flights": 0, "from_ms": 1_709_209_815_250_u64, "range": figures, "models": [figures],
        });
        let shown = layout(&answer);
        for part in
            ["since 2024-02-29 12:30:15Z: 4 hits, 1 shared, 5 misses (50.0 %)", "70 output tokens, 1 m 1 s", "local/m"]
        {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let quiet = layout(&json!({ "cache": {}, "range": { "hit_rate": null }, "models": [] }));
        assert!(quiet.contains("no lookup") && !quiet.contains("MODEL"), "{quiet}");
    }
}
