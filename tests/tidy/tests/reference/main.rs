//! `docs/reference.md` says what strategies can read and turn: every metric, knob, and field of the contract, with unit
//! and meaning. It is written from the registries and the contract itself, and this test fails when it is out of date.
//!
//! To write it anew: `PERFHOST_WRITE_REFERENCE=1 cargo nextest run -p perfhost-tidy --test reference`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check that cannot read the tree must fail")]

mod contract;

use perfhost_strategy::KnobId;
use perfhost_strategy::knob::{Bounds, Knob, Step};
use perfhost_strategy::observation::metric;
use perfhost_strategy::scope::ScopeKind;
use perfhost_tidy::{root, text_of};

const PAGE: &str = "docs/reference.md";

const HEAD: &str = "\
# Reference for authors of strategies

What a strategy reads and what it may turn. Written by `tests/tidy/tests/reference` from the registries in
`host/perfhost-strategy` and from the contract in `wit/`; do not edit it by hand. `GET /api/knobs` shows the knobs of a running
host with their present values and local bounds, `GET /api/metrics/current` its metrics.

A scope is `` (empty) for the whole host, a provider's name (`ollama`), or provider and model (`ollama/llama3.2:3b`).
";

#[test]
fn the_reference_is_what_the_registries_and_the_contract_say() {
    let page = format!("{HEAD}\n{}\n{}\n{}", metrics(), knobs(), contract::sections());
    if std::env::var_os("PERFHOST_WRITE_REFERENCE").is_some() {
        std::fs::write(root().join(PAGE), &page).unwrap();
    }
    let found = text_of(PAGE);
    let difference = page.lines().zip(found.lines()).find(|(wanted, found)| wanted != found);
    assert!(
        page == found,
        "{PAGE} is out of date, first at {difference:?}; write it anew:\n\
         PERFHOST_WRITE_REFERENCE=1 cargo nextest run -p perfhost-tidy --test reference"
    );
}

fn metrics() -> String {
    let mut text = String::from(
        "## Metrics\n\nNames as `observation.metrics`, the import `history`, the API, alerts and guardrails use them. Each comes as a \
         summary over a window: count, mean, min, max, p50, p95, p99. Of a number per second over a range of history (`/api/metrics/aggregated`, \
         `performance` and `models`, `/api/analysis/compare`) the mean is the number by the seconds of the range; the rest, and each \
         point of `/api/metrics/historical`, is of the seconds in which its scope was in use.\n\n| metric | unit | meaning |\n|---|---|---|\n",
    );
    for info in metric::ALL {
        text += &format!("| `{}` | {} | {} |\n", info.name, info.unit, info.meaning);
    }
    text
}

fn knobs() -> String {
    let mut text = String::from(
        "## Knobs\n\n*Step* is the most that one applied change may move a knob. *Reload* knobs replace the engine's process \
         (seconds, no request fails); the others take effect at once. Configuration and hardware may narrow the bounds.\n\n\
         | knob | scope | unit | allowed | default | step | reload | risk | meaning |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for id in KnobId::ALL {
        text += &knob(&id.knob());
    }
    text
}

fn knob(knob: &Knob) -> String {
    let scope = match knob.scope {
        ScopeKind::Global => "host",
        ScopeKind::Provider => "provider",
        ScopeKind::Model => "model",
    };
    let allowed = match &knob.bounds {
        Bounds::AnyFlag => "true, false".to_owned(),
        Bounds::IntegerRange(lowest, highest) => format!("{lowest} … {highest}"),
        Bounds::NumberRange(lowest, highest) => format!("{lowest} … {highest} (number)"),
        Bounds::OneOf(words) => words.join(", "),
    };
    let step = match knob.step {
        Step::Free => "any".to_owned(),
        Step::Factor(factor) => format!("× or ÷ {factor}"),
        Step::Amount(amount) => format!("± {amount}"),
    };
    let unit = if knob.unit.is_empty() { "–" } else { knob.unit };
    let reload = if knob.reload { "yes" } else { "" };
    let risk = format!("{:?}", knob.risk).to_lowercase();
    format!(
        "| `{}` | {scope} | {unit} | {allowed} | {} | {step} | {reload} | {risk} | {} |\n",
        knob.name, knob.default, knob.meaning
    )
}
