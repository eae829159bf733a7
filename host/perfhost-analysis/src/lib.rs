//! What measurements mean: baselines, trends, anomalies, bottlenecks, growth, forecasts, targets and health.
//!
//! Pure: numbers in, findings out; no I/O, no clock, no randomness. Every finding has a minimum of evidence below which
//! nothing is said, and carries that evidence. Formulas and their sources are in the modules and in `docs/monitoring.md`.
//!
//! - [`series`]: what is analysed: points in time, with how many measurements stand behind each
//! - [`robust`]: medians and deviations that single outliers do not move
//! - [`baseline`], [`trend`], [`anomaly`], [`drift`], [`forecast`]: one series at a time
//! - [`growth`]: memory that only ever grows
//! - [`bottleneck`]: which phase of a request takes its time, and why
//! - [`kpi`], [`health`]: targets, grades, and one number for all
//! - [`report`]: all of it for people, as Markdown and HTML

pub mod anomaly;
pub mod baseline;
pub mod bottleneck;
pub mod drift;
pub mod forecast;
pub mod growth;
pub mod health;
pub mod kpi;
pub mod report;
pub mod robust;
pub mod series;
pub mod trend;

pub use series::{Point, Series};
