//! Which strategy is better? Arms compared on live traffic, with verdicts that hold however often one looks.
//!
//! Pure, like all of this crate: the host tells what happened, asks who serves, and acts on what changes.
//!
//! ```text
//!  hot path   allocation.assign(unit) ──► arm ──► … request … ──► Event::Assigned, Event::Finished
//!  service    experiment.apply(batch) · experiment.tick(now) ──► changes: publish allocation, promote, revert
//! ```
//!
//! Life of an experiment: terms are checked ([`spec`]); the regime follows from the knobs that arms touch ([`regime`], [`settling`]);
//! units are drawn ([`assignment`]) with shares that grow ([`ramp`]), or arms take turns ([`rounds`]); outcomes are decided
//! by their deadline ([`outcome`]) and counted in order of assignment ([`settlement`]); evidence gathers ([`measure`],
//! [`comparison`], [`statistics`]) until it ends ([`verdict`]); a winner is proved again ([`confirmation`]).
//!
//! # Example
//!
//! ```
//! use perfhost_strategy::experiment::regime::{self, Pace};
//! use perfhost_strategy::experiment::spec::Objective;
//! use perfhost_strategy::experiment::{
//!     Arm, Assigned, Batch, Change, Ending, Event, Experiment, Metric, Outcome, Ramp, Spec, Verdict,
//! };
//!
//! let arm = |name: &str| Arm { name: name.to_owned(), identity: String::new(), turns: vec!["retries".to_owned()] };
//! let arms = vec![arm("balanced"), arm("aggressive")];
//! let choice = regime::choose(&arms, &Pace { settling_ms: 0, response_p95_ms: 900, requests_per_second: 100.0 });
//! let objective = Objective { metric: Metric::Goodput, minimum_effect: 0.01 };
//! let spec = Spec { ramp: Ramp { shares: vec![], ..Ramp::default() }, ..Spec::new("ab", 7, arms, choice, objective) };
//! let mut experiment = Experiment::start(spec, 0)?;
//!
//! // A hundred requests a second. The challenger answers all of them in time, the incumbent four out of five.
//! for second in 0..60 {
//!     let mut events = Vec::new();
//!     for id in second * 100..(second + 1) * 100 {
//!         let assignment = experiment.allocation().assign(id);
//!         let is_good = assignment.arm == 1 || id % 5 > 0;
//!         let (arm, epoch, block) = (assignment.arm, assignment.epoch, assignment.block);
//!         let at_ms = second * 1_000;
//!         events.push(Event::Assigned(Assigned { id, unit: id, arm, epoch, block, at_ms, covariates: [0.0; 4] }));
//!         let ttft_ms = Some(if is_good { 300.0 } else { 5_000.0 });
//!         let outcome = Outcome {
//!             ending: Ending::Answered, response_ms: 6_000.0, ttft_ms, output_tokens: 100, cost: 0.0, quality: None,
//!         };
//!         events.push(Event::Finished { id, at_ms, outcome });
//!     }
//!     experiment.apply(&Batch { source: 1, sequence: second, events });
//!     if experiment.tick((second + 1) * 1_000).contains(&Change::Promoted(1)) {
//!         break;
//!     }
//! }
//! assert!(matches!(experiment.verdict(), Some(Verdict::Promote { arm: 1, .. })));
//! # Ok::<(), perfhost_strategy::experiment::SpecError>(())
//! ```

pub mod arm;
pub mod assignment;
pub mod comparison;
pub mod confirmation;
pub mod event;
pub mod measure;
pub mod metric;
pub mod outcome;
pub mod ramp;
pub mod regime;
pub mod rounds;
pub mod run;
pub mod settlement;
pub mod settling;
pub mod spec;
pub mod stage;
pub mod statistics;
pub mod status;
pub mod tally;
pub mod verdict;

pub use arm::{Arm, CONTROL};
pub use assignment::{Allocation, Assignment, Unit};
pub use confirmation::Confirmed;
pub use event::{Assigned, Batch, Event};
pub use metric::{Metric, Mix};
pub use outcome::{Ending, Outcome, Slo};
pub use ramp::Ramp;
pub use regime::{Choice, Regime};
pub use run::{Applied, Change, Experiment, Phase};
pub use spec::{Confirmation, Guardrail, Objective, Spec, SpecError};
pub use status::Status;
pub use verdict::Verdict;
