//! `perfhost resources`: processor, memory, disk and network, of the machine, the host and its engines, and
//! graphics processors.

use anyhow::Result;
use serde_json::Value;

use super::client::Client;
use super::print::{self, bytes, number, table};
use crate::cli::ClientFlags;

/// Asks and prints.
pub fn run(flags: &ClientFlags) -> Result<()> {
    let resources = Client::new(flags).get("/api/system/resources")?;
    print::print(&resources, flags.output, layout)
}

fn layout(resources: &Value) -> String {
    let mut rows = Vec::new();
    flatten("", resources, &mut rows);
    table(&["RESOURCE", "VALUE"], &rows)
}

/// One row a figure, named by its path; figures in bytes are shown in the unit that fits.
fn flatten(path: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, inner)| flatten(&join(name), inner, rows)),
        Value::Array(list) => {
            for (at, inner) in list.iter().enumerate() {
                // Two graphics processors of one machine often have one name.
                let name = match (inner["vendor"].as_str(), inner["index"].as_u64()) {
                    (Some(vendor), Some(index)) => format!("{vendor}-{index}"),
                    _ => inner["name"].as_str().map_or_else(|| at.to_string(), str::to_owned),
                };
                flatten(&join(&name), inner, rows);
            }
        }
        Value::Number(figure) => {
            let figure = figure.as_f64().unwrap_or(0.0);
            let shown = if path.ends_with("_bytes") { bytes(figure) } else { number(figure) };
            rows.push(vec![path.to_owned(), shown]);
        }
        Value::String(text) => rows.push(vec![path.to_owned(), text.clone()]),
        Value::Bool(flag) => rows.push(vec![path.to_owned(), flag.to_string()]),
        Value::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_graphics_processor_has_rows_of_its_own_and_none_has_none() {
        let gpu = |index: u32| {
            json!({ "vendor": "nvidia", "index": index, "name": "NVIDIA L4", "usage": 0.5, "memory_used_bytes": 3_u64 << 30,
                "power_watts": null })
        };
        let shown = layout(&json!({ "gpus": [gpu(0), gpu(1)] }));
        for expected in ["gpus.nvidia-0.name", "gpus.nvidia-1.usage", "3.0 GiB"] {
            assert!(shown.contains(expected), "{expected} is not in\n{shown}");
        }
        assert!(!shown.contains("power"));
        assert!(!layout(&json!({ "host": { "cpu_share": 0.5 }, "gpus": [] })).contains("gpu"));
    }
}
