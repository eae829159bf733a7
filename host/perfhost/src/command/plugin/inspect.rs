//! `perfhost plugin inspect`: what a plugin file is, stage by stage, without serving.

use anyhow::Result;
use perfhost_wasm::{Inspection, Runtime, RuntimeConfig};

use super::given::given;
use crate::cli::Output;
use crate::command::print::{self, bytes, number, table};

pub(super) fn inspect(plugin: &str, output: Output) -> Result<()> {
    let runtime = Runtime::new(RuntimeConfig::default())?;
    let inspection = runtime.inspect(&given(plugin)?);
    print::print(&inspection, output, layout)?;
    anyhow::ensure!(inspection.error.is_none(), "{plugin} cannot be put in service; see the failed stage above");
    Ok(())
}

fn layout(inspection: &Inspection) -> String {
    let mut text = String::new();
    if let Some(known) = &inspection.description {
        text += &format!("{} {}: {}\ngoal: {}\n", known.name, known.version, known.summary, known.goal);
        text += &format!("reads: {}\nturns: {}\n", known.reads.join(", "), known.turns.join(", "));
        let parameters: Vec<Vec<String>> = known
            .parameters
            .iter()
            .map(|one| vec![one.name.clone(), one.default.clone(), one.unit.clone(), one.meaning.clone()])
            .collect();
        if !parameters.is_empty() {
            text += &format!("\n{}", table(&["PARAMETER", "DEFAULT", "UNIT", "MEANING"], &parameters));
        }
    }
    let form = if inspection.is_core_module { "core module, made a component" } else { "component" };
    text += &format!(
        "\n{}: {form}, {}, sha256 {}\n",
        inspection.plugin,
        bytes(inspection.file_bytes as f64),
        inspection.digest
    );
    if !inspection.imports.is_empty() {
        let names: Vec<&str> = inspection.imports.iter().map(|import| import.name.as_str()).collect();
        text += &format!("imports: {}\n", names.join(", "));
    }
    let stages: Vec<Vec<String>> = inspection
        .stages
        .iter()
        .map(|stage| {
            let verdict = if stage.is_passed { "pass" } else { "FAILED" };
            vec![
                stage.stage.name().to_owned(),
                verdict.to_owned(),
                number(stage.duration_us as f64 / 1_000.0),
                stage.detail.clone(),
            ]
        })
        .collect();
    text += &format!("\n{}", table(&["STAGE", "VERDICT", "MS", "DETAIL"], &stages));
    if let Some(error) = &inspection.error {
        text += &format!("\n{error}\n");
    }
    text
}
