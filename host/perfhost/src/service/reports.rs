//! Scheduled reports: one on each day and week (from Monday, UTC) that is over, written to `reports/` of the data folder as
//! Markdown and HTML. Owns when they are due and how many are kept; what they say is the gateway's.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use perfhost_analysis::report::Report;
use perfhost_gateway::{Period, Services, Shutdown, Stage, report_on};
use perfhost_telemetry::StoreError;
use tracing::{info, warn};

use super::now_ms;

/// Time between two looks whether one is due.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Reports of each kind that are kept, the newest.
pub const KEPT: usize = 60;

const DAY_MS: u64 = 86_400_000;

/// Which reports are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// One a day.
    pub daily: bool,
    /// One a week.
    pub weekly: bool,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { daily: true, weekly: true }
    }
}

/// A report that should be there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Due {
    period: Period,
    end_ms: u64,
    /// File name without ending; sorts by date.
    name: String,
}

/// Writes reports as they become due, until the host stops.
pub async fn run(services: Arc<Services>, folder: PathBuf, schedule: Schedule, mut shutdown: Shutdown) {
    loop {
        let (services, folder) = (services.clone(), folder.clone());
        let written = tokio::task::spawn_blocking(move || {
            write_due(&folder, schedule, now_ms(), |due| report_on(&services, due.period, due.end_ms))
        });
        match written.await {
            Ok(Ok(names)) => names.iter().for_each(|name| info!(report = name, "report written")),
            Ok(Err(error)) => warn!(%error, "a report could not be written"),
            Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = shutdown.reached(Stage::Draining) => return,
        }
    }
}

/// Writes what is due and not there, deletes what is old, and returns the names. A period of which nothing was recorded
/// gets no report.
fn write_due(
    folder: &Path,
    schedule: Schedule,
    now_ms: u64,
    make: impl Fn(&Due) -> Result<Option<Report>, StoreError>,
) -> io::Result<Vec<String>> {
    let mut written = Vec::new();
    for due in due(schedule, now_ms) {
        let page = folder.join(format!("{}.html", due.name));
        if page.exists() {
            continue;
        }
        if let Some(report) = make(&due).map_err(io::Error::other)? {
            std::fs::create_dir_all(folder)?;
            std::fs::write(folder.join(format!("{}.md", due.name)), report.markdown())?;
            // The page is looked for: it comes last, and whole.
            let unfinished = folder.join(format!("{}.part", due.name));
            std::fs::write(&unfinished, report.html())?;
            std::fs::rename(&unfinished, &page)?;
            written.push(due.name);
        }
    }
    if !written.is_empty() {
        forget_old(folder)?;
    }
    Ok(written)
}

fn due(schedule: Schedule, now_ms: u64) -> Vec<Due> {
    let today = now_ms / DAY_MS;
    // 1970 began on a Thursday.
    let monday = today - (today + 3) % 7;
    let of = |period, end: u64, kind: &str, length: u64| {
        let first = perfhost_gateway::moment::written((end - length) * DAY_MS);
        Due { period, end_ms: end * DAY_MS, name: format!("{kind}-{}", first.split(' ').next().unwrap_or_default()) }
    };
    let daily = (schedule.daily && today >= 1).then(|| of(Period::Day, today, "daily", 1));
    let weekly = (schedule.weekly && monday >= 7).then(|| of(Period::Week, monday, "weekly", 7));
    daily.into_iter().chain(weekly).collect()
}

fn forget_old(folder: &Path) -> io::Result<()> {
    let names = std::fs::read_dir(folder)?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.collect();
    names.sort_unstable_by(|a, b| b.cmp(a));
    for (kind, ending) in [("daily-", ".html"), ("daily-", ".md"), ("weekly-", ".html"), ("weekly-", ".md")] {
        let of_kind = names.iter().filter(|name| name.starts_with(kind) && name.ends_with(ending));
        for old in of_kind.skip(KEPT) {
            std::fs::remove_file(folder.join(old))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Tuesday, 2026-01-06, 05:00.
    const TUESDAY_MS: u64 = 20_459 * DAY_MS + 5 * 3_600_000;

    fn names(folder: &Path, at_ms: u64) -> Vec<String> {
        write_due(folder, Schedule::default(), at_ms, |_| Ok(Some(Report::default()))).unwrap()
    }

    #[test]
    fn what_is_over_is_reported_on_once() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(names(folder.path(), TUESDAY_MS), ["daily-2026-01-05", "weekly-2025-12-29"]);
        assert!(names(folder.path(), TUESDAY_MS + 3_600_000).is_empty());
        assert_eq!(names(folder.path(), TUESDAY_MS + DAY_MS), ["daily-2026-01-06"]);
        let is_there = |name: &str| folder.path().join(name).is_file();
        assert!(
            is_there("daily-2026-01-05.md") && is_there("daily-2026-01-05.html") && !is_there("daily-2026-01-05.part")
        );
    }

    #[test]
    fn reports_end_where_their_period_does_and_only_where_something_was_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let asked = RefCell::new(Vec::new());
        let nothing = write_due(folder.path(), Schedule { daily: false, weekly: true }, TUESDAY_MS, |due| {
            asked.borrow_mut().push((due.period, due.end_ms));
            Ok(None)
        });
        assert!(nothing.unwrap().is_empty());
        assert_eq!(*asked.borrow(), [(Period::Week, 20_458 * DAY_MS)]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn old_reports_go() {
        let folder = tempfile::tempdir().unwrap();
        for day in 0..KEPT as u64 + 10 {
            names(folder.path(), TUESDAY_MS + day * DAY_MS);
        }
        let days = std::fs::read_dir(folder.path()).unwrap().flatten().filter(|entry| {
            let name = entry.file_name().into_string().unwrap();
            name.starts_with("daily-") && name.ends_with(".html")
        });
        assert_eq!(days.count(), KEPT);
        assert!(!folder.path().join("daily-2026-01-05.html").exists());
    }
}
