//! `perfhost plugin check`: every loading stage, what the plugin imports and how large it is, and whether the strategy
//! keeps to the contract. For authors, and for the tests of authors.
//!
//! The judgement is `perfhost_strategy::conformance`'s; this file brings together what is judged and says what came of it.

mod layout;
mod recorded;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use perfhost_strategy::conformance::{self, Finding, Options, Report, Severity};
use perfhost_strategy::{KnobId, Strategy};
use perfhost_wasm::{Answer, Inspection, LimitInForce, Limits, LoadError, NoHistory, PluginSource};
use serde::Serialize;

use crate::cli::CheckFlags;
use crate::command::plugin_file::read;
use crate::command::print;
use crate::command::sandbox::Sandbox;

/// Share of a limit from which a size is worth a warning: the next version may be larger.
const NEAR_ITS_LIMIT: f64 = 0.9;

/// What a check found.
#[derive(Serialize)]
struct Checked {
    /// `clean`, `warnings` or `errors`.
    verdict: &'static str,
    /// Findings by severity.
    errors: usize,
    warnings: usize,
    notes: usize,
    /// All of them, the worst first.
    findings: Vec<Finding>,
    /// Bytes of what has a limit.
    sizes: Vec<Size>,
    /// What it was held to: every limit, with its default.
    limits: Vec<LimitInForce>,
    /// Every loading stage, imports and description.
    inspection: Inspection,
    /// What the conformance run did and measured; absent when the plugin does not load.
    conformance: Option<conformance::Figures>,
    /// What its inputs followed from.
    seed: u64,
}

/// One size beside its limit.
#[derive(Serialize)]
struct Size {
    what: &'static str,
    bytes: u64,
    /// Absent where there is none.
    limit: Option<u64>,
}

pub(super) fn check(flags: &CheckFlags) -> Result<()> {
    let source = read(&flags.plugin, None)?;
    let recorded = flags.recorded.as_deref().map(recorded::cases).transpose()?.unwrap_or_default();
    let limits = Limits::default();
    let sandbox = Sandbox::new(limits.clone())?;
    let inspection = sandbox.runtime.inspect(&source);
    let mut findings = stage_findings(&inspection);
    let mut figures = None;
    if inspection.error.is_none() {
        let report = conform(&sandbox, &source, flags, recorded)?;
        findings.extend(report.findings);
        figures = Some(report.figures);
    }
    let sizes = sizes(&inspection, figures.as_ref(), &limits);
    findings.extend(sizes.iter().filter_map(size_finding));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
    let checked = Checked {
        verdict: if errors > 0 {
            "errors"
        } else if warnings > 0 {
            "warnings"
        } else {
            "clean"
        },
        errors,
        warnings,
        notes,
        findings,
        sizes,
        limits: limits.in_force(),
        inspection,
        conformance: figures,
        seed: flags.seed,
    };
    print::print(&checked, flags.output, layout::layout)?;
    if errors > 0 {
        bail!("{} has errors; each finding above says what to do", flags.plugin);
    }
    if flags.strict && warnings > 0 {
        bail!("{} has warnings, and --strict was given; each finding above says what to do", flags.plugin);
    }
    Ok(())
}

fn conform(
    sandbox: &Sandbox,
    source: &PluginSource,
    flags: &CheckFlags,
    recorded: Vec<conformance::Case>,
) -> Result<Report, LoadError> {
    let budget = KnobId::PlanBudget.knob().default.as_number().unwrap_or(0.0);
    let started = Instant::now();
    let options = Options {
        seed: flags.seed,
        cases: flags.cases,
        parameters: flags.param.clone(),
        recorded,
        plan_budget: Duration::from_micros(budget as u64),
        clock: &|| started.elapsed(),
    };
    let mut load = || -> Result<Arc<dyn Strategy>, LoadError> { sandbox.runtime.load(source, Arc::new(NoHistory)) };
    conformance::check(&mut load, &options)
}

/// The stage at which loading ended, if it did.
fn stage_findings(inspection: &Inspection) -> Vec<Finding> {
    let Some(error) = &inspection.error else { return Vec::new() };
    vec![Finding {
        severity: Severity::Error,
        code: error.failure.code().to_owned(),
        place: format!("loading, stage {}", error.stage),
        what: error.failure.to_string(),
        fix: error.failure.fix(),
        times: 1,
    }]
}

fn sizes(inspection: &Inspection, figures: Option<&conformance::Figures>, limits: &Limits) -> Vec<Size> {
    let mut sizes = vec![Size { what: "file", bytes: inspection.file_bytes, limit: Some(limits.max_file_bytes) }];
    if let Some(bytes) = inspection.compiled_bytes {
        sizes.push(Size { what: "compiled code", bytes, limit: Some(limits.cache_bytes) });
    }
    if let Some(figures) = figures {
        sizes.push(Size {
            what: "memory of the control instance",
            bytes: figures.control_bytes,
            limit: Some(limits.memory_bytes),
        });
        if figures.planning_bytes > 0 {
            sizes.push(Size {
                what: "memory of a planning instance",
                bytes: figures.planning_bytes,
                limit: Some(limits.memory_bytes),
            });
        }
        sizes.push(Size {
            what: "saved state",
            bytes: figures.state_bytes,
            limit: Some(limits.max_state_bytes as u64),
        });
    }
    sizes
}

fn size_finding(size: &Size) -> Option<Finding> {
    let limit =
        size.limit.filter(|limit| size.bytes as f64 > *limit as f64 * NEAR_ITS_LIMIT && size.bytes <= *limit)?;
    Some(Finding {
        severity: Severity::Warning,
        code: "near-limit".to_owned(),
        place: size.what.to_owned(),
        what: format!("{} bytes, of {limit} allowed", size.bytes),
        fix: "make it smaller, before a little more input or the next version goes over the limit".to_owned(),
        times: 1,
    })
}

/// How an import is answered, in words.
fn answer_words(answer: Answer) -> &'static str {
    match answer {
        Answer::Contract => "granted",
        Answer::WasiWithoutGrants => "answered with nothing granted",
        Answer::NotGranted => "not granted",
    }
}
