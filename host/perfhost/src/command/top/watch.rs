//! What the view shows: readings of the host's API, one a second, and the last minutes of a few figures.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::command::client::Client;

const EVERY: Duration = Duration::from_secs(1);

/// Values kept of each figure: two minutes.
const MOST_VALUES: usize = 120;

/// Readings that wait to be looked at.
const MOST_WAITING: usize = 2;

/// Questions until the targets are asked for anew.
const BETWEEN_TARGETS: u64 = 60;

/// Decisions shown at most.
const DECISIONS: usize = 100;

/// The host at one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    /// The API's answers by their subject: `status`, `metrics`, `resources`, `knobs`, `decisions`, `kpis`.
    pub(super) figures: Value,
    /// The newest values of what is drawn, oldest first; `None` where nothing was measured.
    pub(super) past: BTreeMap<&'static str, VecDeque<Option<f64>>>,
}

/// Readings as they come.
pub(super) struct Watch {
    news: Receiver<Result<Value>>,
    reading: Reading,
    trouble: Option<String>,
}

impl Reading {
    /// Asks once.
    pub(super) fn take(client: &Client) -> Result<Self> {
        let mut reading = Self::default();
        reading.note(ask(client, &mut Value::Null)?);
        Ok(reading)
    }

    /// A figure of the whole host over the last minute.
    pub(super) fn metric(&self, name: &str, figure: &str) -> Option<f64> {
        let all = self.figures["metrics"]["metrics"].as_array()?;
        let found = all.iter().find(|metric| metric["name"] == name && metric["scope"] == "")?;
        found["summary"][figure].as_f64()
    }

    fn note(&mut self, figures: Value) {
        self.figures = figures;
        for (key, metric, figure) in super::frame::DRAWN {
            let value = self.metric(metric, figure);
            let values = self.past.entry(key).or_default();
            if values.len() == MOST_VALUES {
                values.pop_front();
            }
            values.push_back(value);
        }
    }
}

impl Watch {
    /// Asks on until it is dropped.
    pub(super) fn begin(client: Client, first: Reading) -> Self {
        let (sender, news) = sync_channel(MOST_WAITING);
        thread::spawn(move || ask_on(&client, &sender));
        Self { news, reading: first, trouble: None }
    }

    /// Takes up what came since the last look; whether anything did.
    pub(super) fn look(&mut self) -> bool {
        let mut is_new = false;
        while let Ok(news) = self.news.try_recv() {
            is_new = true;
            match news {
                Ok(figures) => {
                    self.reading.note(figures);
                    self.trouble = None;
                }
                Err(error) => self.trouble = Some(format!("{error:#}")),
            }
        }
        is_new
    }

    pub(super) fn reading(&self) -> &Reading {
        &self.reading
    }

    /// Why the last reading failed, if it did.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}

/// While the view is paused, the next question waits until there is room for its answer.
fn ask_on(client: &Client, sender: &SyncSender<Result<Value>>) {
    let mut kpis = Value::Null;
    for asked in 1_u64.. {
        thread::sleep(EVERY);
        let answer = ask(client, &mut kpis);
        if answer.is_err() || asked.is_multiple_of(BETWEEN_TARGETS) {
            kpis = Value::Null;
        }
        if sender.send(answer).is_err() {
            return;
        }
    }
}

/// `kpis` are asked for where they are not at hand: they cost the host a look at two hours, and are here for their targets.
fn ask(client: &Client, kpis: &mut Value) -> Result<Value> {
    if kpis.is_null() {
        *kpis = client.get("/api/monitoring/dashboard/overview")?["kpis"].take();
    }
    Ok(json!({
        "status": client.get("/api/system/status")?,
        "metrics": client.get("/api/metrics/current?window=60s")?,
        "resources": client.get("/api/system/resources")?,
        "knobs": client.get("/api/knobs")?["knobs"],
        "decisions": client.get(&format!("/api/decisions?limit={DECISIONS}"))?["decisions"],
        "kpis": kpis,
    }))
}
