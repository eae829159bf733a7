//! Measuring a simulated host: what its strategy sees of it (`windows`), and what is kept of a run ([`record`]).

mod histogram;
pub(crate) mod record;
pub(crate) mod windows;

pub(crate) use record::Recorder;
pub(crate) use windows::Windows;
