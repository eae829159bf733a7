//! Observations from a host's decision log, for the conformance run.

use std::path::Path;

use anyhow::{Context, Result};
use perfhost_strategy::conformance::Case;
use perfhost_strategy::journal::Call;
use perfhost_telemetry::{CycleQuery, ReadOnlyStore};

/// Newest cycles whose observations are shown.
const MOST_RECORDED: u64 = 500;

/// Cycles read at once.
const PAGE: u64 = 50;

/// The newest observations in the log of a data folder, each with the knobs that were on offer then.
pub(super) fn cases(folder: &Path) -> Result<Vec<Case>> {
    let store =
        ReadOnlyStore::open(folder).with_context(|| format!("no decision log can be read in {}", folder.display()))?;
    let query = CycleQuery { last: Some(MOST_RECORDED), ..CycleQuery::default() };
    let span = store.span(&query)?.with_context(|| format!("the log in {} has no cycles", folder.display()))?;
    let mut cases = Vec::new();
    let mut knobs = None;
    let mut next = span.start;
    loop {
        let page = store.cycles(next, span.last, PAGE)?;
        let Some(newest) = page.last().map(|logged| logged.record.id) else { return Ok(cases) };
        for logged in page {
            let record = logged.record;
            for call in &record.told.calls {
                if let Call::Configured { knobs: offered, .. } = call {
                    knobs = Some(offered.iter().filter_map(|offer| offer.offered()).collect::<Vec<_>>());
                }
            }
            if record.id >= span.first {
                cases.push(Case::recorded(record.id, record.observation, knobs.clone()));
            }
        }
        next = newest + 1;
    }
}
