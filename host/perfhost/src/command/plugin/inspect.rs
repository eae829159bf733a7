//! `perfhost plugin inspect`: what a plugin file is, stage by stage, without serving.

use anyhow::Result;
use perfhost_wasm::{Inspection, Runtime, RuntimeConfig};
use serde::Serialize;

use crate::cli::Output;
use crate::command::print::{self, bytes, number, table};
use crate::plugin_source::Intake;
use crate::plugin_source::provenance::Provenance;

/// What is learnt of a plugin, and where it came from.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    inspection: Inspection,
    provenance: Provenance,
}

pub(super) fn inspect(plugin: &str, output: Output) -> Result<()> {
    let intake = Intake::of_command(None)?;
    let fetched = intake.read(plugin, None)?;
    let runtime = Runtime::new(RuntimeConfig { cache_dir: None, limits: intake.limits() })?;
    let inspection = runtime.inspect_under(&fetched.source, &|name| intake.terms(name));
    let report = Report { inspection, provenance: fetched.provenance };
    print::print(&report, output, layout)?;
    anyhow::ensure!(report.inspection.error.is_none(), "{plugin} cannot be put in service; see the failed stage above");
    Ok(())
}

fn layout(report: &Report) -> String {
    let inspection = &report.inspection;
    let mut text = String::new();
    if let Some(known) = &inspection.description {
        text += &format!("{} {}: {}\ngoal: {}\n", known.name, known.version, known.summary, known.goal);
        text += &format!("reads: {}\nturns: {}\n", known.reads.join(", "), known.turns.join(", "));
        let parameters: Vec<Vec<String>> = known
            .parameters
            .iter()
            .map(|one| vec![one.name.clone(), short(&one.default), one.unit.clone(), one.meaning.clone()])
            .collect();
        if !parameters.is_empty() {
            text += &format!("\n{}", table(&["PARAMETER", "DEFAULT", "UNIT", "MEANING"], &parameters));
        }
        for one in known.parameters.iter().filter(|one| is_long(&one.default)) {
            text += &format!("\ndefault of {}:\n", one.name);
            text.extend(one.default.lines().map(|line| format!("    {line}\n")));
        }
    }
    let form = if inspection.is_core_module { "core module, made a component" } else { "component" };
    text += &format!(
        "\n{}: {form}, {}, sha256 {}\n",
        inspection.plugin,
        bytes(inspection.file_bytes as f64),
        inspection.digest
    );
    text += &format!("from: {}, signature {}\n", report.provenance.kind, report.provenance.signature.words());
    if let Some(pinned) = &report.provenance.pinned {
        text += &format!("always the same bytes: {pinned}\n");
    }
    if let Some(allowance) = &inspection.allowance {
        let limits: Vec<String> = allowance.limits.iter().map(|(name, value)| format!("{name} {value}")).collect();
        text += &format!("granted: {}\nlimits: {}\n", allowance.grants, limits.join(", "));
    }
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

/// A default of several lines would tear the table; it follows behind.
fn is_long(default: &str) -> bool {
    default.contains('\n')
}

fn short(default: &str) -> String {
    if is_long(default) { "see below".to_owned() } else { default.to_owned() }
}
