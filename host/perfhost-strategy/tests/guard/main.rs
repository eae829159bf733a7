//! The guard through its public surface: judging, measuring, a start-up that climbs, and properties of any history.

mod climb;
mod fixture;
mod judging;
mod properties;
mod reviewing;
mod turns;
