//! `perfhost replay`: any strategy over a recorded decision log. What would it have proposed, what would the guard have
//! said, and where does that differ from what was recorded.

mod layout;
mod source;

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use perfhost_gateway::moment;
use perfhost_strategy::Strategy;
use perfhost_strategy::decision::CycleRecord;
use perfhost_strategy::replay::{Agreement, ComparedCycle, Figures, Replay};
use perfhost_strategy::strategy::{Identity, World};
use perfhost_telemetry::CycleQuery;
use perfhost_wasm::Limits;
use serde::Serialize;

use super::print;
use super::sandbox::Sandbox;
use crate::cli::ReplayFlags;
use crate::command::plugin_file::read;
use crate::service::journal::ToldHistory;
use crate::service::now_ms;

/// Cycles with proposals that a result lists; the figures count all.
const MOST_LISTED: usize = 1_000;

/// What a replay found.
#[derive(Serialize)]
struct Replayed {
    strategy: Identity,
    source: String,
    /// First and last cycle compared.
    cycles: (u64, u64),
    /// When they were, Unix time in milliseconds.
    from_ms: u64,
    to_ms: u64,
    /// Share of identical answers, 0 to 1.
    agreement: f64,
    figures: Figures,
    /// Cycles in which one of the two proposed something or failed, oldest first.
    listed: Vec<ComparedCycle>,
    /// Such cycles that are not listed because there are too many.
    unlisted: u64,
}

/// Replays and prints.
pub fn run(flags: &ReplayFlags) -> Result<()> {
    let source = source::open(flags)?;
    let query = query(flags)?;
    let span = source
        .span(&query)?
        .with_context(|| format!("{} has no cycles in that range; did a host run there then?", source.name()))?;
    let plugin = read(&flags.strategy, None)?;
    let sandbox = Sandbox::new(Limits::default())?;
    let history = ToldHistory::new(source.history());
    let mut load = || sandbox.runtime.load(&plugin, history.clone());
    let first: Arc<dyn Strategy> = load()?;
    let identity = first.identity().clone();
    if identity.world == World::Advisor {
        bail!("{} is an advisor: it proposes nothing that could be compared", identity.name);
    }
    let parameters = Some(flags.param.clone()).filter(|given| !given.is_empty());
    let mut replay = Replay::new(&identity.digest, parameters);
    let mut result = Replayed {
        strategy: identity,
        source: source.name(),
        cycles: (span.first, span.last),
        from_ms: 0,
        to_ms: 0,
        agreement: 1.0,
        figures: Figures::default(),
        listed: Vec::new(),
        unlisted: 0,
    };
    let mut next = span.start;
    while next <= span.last {
        let page = source.cycles(next, span.last)?;
        let Some(newest) = page.last().map(|logged| logged.record.id) else { break };
        for logged in &page {
            history.tell(&logged.record.told.history);
            let compared = replay.cycle(logged, &mut load)?;
            if compared.cycle >= span.first {
                result.take(&logged.record, compared);
            }
        }
        next = newest + 1;
    }
    result.agreement = result.figures.agreement();
    print::print(&result, flags.output, layout::layout)
}

impl Replayed {
    fn take(&mut self, record: &CycleRecord, compared: ComparedCycle) {
        if self.figures.cycles == 0 {
            self.from_ms = record.at_ms;
        }
        self.to_ms = record.at_ms;
        self.figures.count(&compared);
        let answers = [&compared.recorded, &compared.replayed];
        let is_quiet = answers.iter().all(|answer| answer.proposals.is_empty() && answer.failure.is_none());
        if is_quiet && compared.agreement == Agreement::Identical {
            return;
        }
        if self.listed.len() < MOST_LISTED { self.listed.push(compared) } else { self.unlisted += 1 }
    }
}

fn query(flags: &ReplayFlags) -> Result<CycleQuery> {
    let now_ms = now_ms();
    let at = |name: &str, text: &Option<String>| -> Result<Option<u64>> {
        let read = |text: &String| {
            moment::parse(text, now_ms)
                .with_context(|| format!("--{name} {text:?} is not a moment; {}", moment::ALLOWED))
        };
        text.as_ref().map(read).transpose()
    };
    Ok(CycleQuery { from_ms: at("from", &flags.from)?, to_ms: at("to", &flags.to)?, last: flags.last })
}
