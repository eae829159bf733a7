//! The table itself: a row for each method of each path.

use super::{Answers, Endpoint, Kind, Parameter, Route};

const fn parameter(name: &'static str, kind: Kind, meaning: &'static str) -> Parameter {
    Parameter { name, kind, is_required: false, meaning }
}

const FROM: Parameter = parameter("from", Kind::Moment, "Beginning of the range.");
const TO: Parameter = parameter("to", Kind::Moment, "End of the range; now by default.");
const SCOPE: Parameter =
    parameter("scope", Kind::Text, "A provider, `provider/model`, or `strategy:name`; the whole host by default.");
const RANGE: &[Parameter] = &[FROM, TO];
const RANGE_AND_SCOPE: &[Parameter] = &[FROM, TO, SCOPE];
const REPORT: &[Parameter] = &[
    parameter("end", Kind::Moment, "End of the day or week that is reported on; now by default."),
    parameter("format", Kind::OneOf(&["json", "markdown", "html"]), "JSON by default."),
];
const JSON_BODY: &[&str] = &["application/json"];

const fn get(
    endpoint: Endpoint,
    path: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
    fields: &'static [&'static str],
) -> Route {
    Route {
        endpoint,
        method: "GET",
        path,
        summary,
        parameters,
        body: &[],
        answers: Answers::Object(fields),
        errors: &[],
    }
}

/// The table.
pub(crate) const ROUTES: &[Route] = &[
    get(Endpoint::Health, "/health", "The process answers. Needs no token.", &[], &["status", "uptime_s"]),
    Route {
        answers: Answers::Text("text/plain"),
        ..get(Endpoint::Prometheus, "/metrics", "Everything measured, as Prometheus reads it.", &[], &[])
    },
    get(Endpoint::OpenApi, "/api/openapi.json", "This document.", &[], &["openapi", "info", "paths"]),
    get(Endpoint::Status, "/api/system/status", "How the host stands, in short.", &[], &["uptime_s", "requests"]),
    get(Endpoint::Resources, "/api/system/resources", "What machine, host and engines use now.", &[], &[]),
    get(
        Endpoint::Current,
        "/api/metrics/current",
        "Every metric over the last seconds.",
        &[parameter("window", Kind::OneOf(&["10s", "60s"]), "60s by default.")],
        &["at_ms", "window", "metrics", "strategies"],
    ),
    get(
        Endpoint::Historical,
        "/api/metrics/historical",
        "One metric in steps of time; of counters (`requests_timeout`, `cache_time_saved_us`, …) the number in each.",
        &[
            Parameter { is_required: true, ..parameter("metric", Kind::Metric, "Which metric.") },
            SCOPE,
            FROM,
            TO,
            parameter(
                "step",
                Kind::Duration,
                "Distance of the points, 10s at least; step_ms says the one that was used, which may be longer.",
            ),
        ],
        &["metric", "unit", "scope", "from_ms", "to_ms", "step_ms", "points"],
    ),
    get(
        Endpoint::Histogram,
        "/api/metrics/histogram",
        "How many response times (or others in ms) lie between 0, 500, 1000, 2000, 5000, 10000 ms; the last hour by default.",
        &[parameter("metric", Kind::Metric, "response_time by default."), SCOPE, FROM, TO],
        &["metric", "unit", "scope", "from_ms", "to_ms", "buckets"],
    ),
    get(
        Endpoint::Aggregated,
        "/api/metrics/aggregated",
        "Every metric over a range, percentiles right across it; requests by what they came to, and the cache; the last hour by default.",
        RANGE_AND_SCOPE,
        &["scope", "from_ms", "to_ms", "metrics", "outcomes", "cache"],
    ),
    get(
        Endpoint::Performance,
        "/api/metrics/performance",
        "Response time with histogram and phases, throughput, errors; the last hour by default.",
        RANGE_AND_SCOPE,
        &["scope", "from_ms", "to_ms", "response_time", "phases", "histogram"],
    ),
    Route {
        errors: &[404],
        ..get(
            Endpoint::ModelMetrics,
            "/api/metrics/models/{id}",
            "One model at each provider: its name, or `provider/model`.",
            RANGE,
            &["model", "from_ms", "to_ms", "providers"],
        )
    },
    get(
        Endpoint::Overview,
        "/api/monitoring/dashboard/overview",
        "Health with its reasons, key figures against their targets, grade, and the trend against the hour before.",
        &[],
        &["health", "kpis", "grade", "grades", "cards", "providers", "strategy"],
    ),
    get(
        Endpoint::DashboardPerformance,
        "/api/monitoring/dashboard/performance",
        "Performance over time, for charts; the last hour by default.",
        RANGE_AND_SCOPE,
        &["scope", "from_ms", "to_ms", "step_ms", "series", "histogram"],
    ),
    get(
        Endpoint::DashboardResources,
        "/api/monitoring/dashboard/resources",
        "Resources over time, for charts; the last hour by default.",
        RANGE,
        &["from_ms", "to_ms", "step_ms", "series", "now"],
    ),
    get(
        Endpoint::Profile,
        "/api/analysis/profile",
        "Single requests by phase, newest first: the slowest of each second.",
        &[
            parameter("limit", Kind::Number(1, 1_000), "50 by default."),
            parameter("model", Kind::Text, "Only this model."),
            parameter("provider", Kind::Text, "Only this provider."),
            parameter(
                "outcome",
                Kind::OneOf(&[
                    "success",
                    "rejected",
                    "client_error",
                    "upstream_error",
                    "timeout",
                    "cancelled",
                    "unavailable",
                ]),
                "Only requests that came to this.",
            ),
        ],
        &["requests"],
    ),
    get(
        Endpoint::Bottlenecks,
        "/api/analysis/bottlenecks",
        "Which phase takes the time of requests, and why; the last hour by default.",
        RANGE_AND_SCOPE,
        &["scope", "from_ms", "to_ms", "requests", "phases", "bottlenecks"],
    ),
    get(
        Endpoint::Capacity,
        "/api/analysis/capacity",
        "What is used of what there is, when limits will be reached, load in 30 and 90 days; the last week by default.",
        RANGE,
        &["from_ms", "to_ms", "load", "limits", "projection"],
    ),
    get(
        Endpoint::CompareModels,
        "/api/analysis/compare/models",
        "Models side by side; the last day by default.",
        RANGE,
        &["from_ms", "to_ms", "models", "best"],
    ),
    get(
        Endpoint::CompareOptimizations,
        "/api/analysis/compare/optimizations",
        "Strategies side by side, with what became of their decisions; the last day by default.",
        RANGE,
        &["from_ms", "to_ms", "strategies", "decisions"],
    ),
    Route {
        errors: &[404],
        ..get(
            Endpoint::Analyse,
            "/api/analysis/performance/{aspect}",
            "Baseline, trend, spikes, drift and forecast of one aspect; the last day by default.",
            RANGE_AND_SCOPE,
            &["aspect", "from_ms", "to_ms", "findings"],
        )
    },
    Route {
        answers: Answers::Report(&["title", "sections", "recommendations"]),
        ..get(Endpoint::DailyReport, "/api/analysis/reports/daily", "A report on one day.", REPORT, &[])
    },
    Route {
        answers: Answers::Report(&["title", "sections", "recommendations"]),
        ..get(Endpoint::WeeklyReport, "/api/analysis/reports/weekly", "A report on seven days.", REPORT, &[])
    },
    Route {
        method: "POST",
        body: JSON_BODY,
        errors: &[404, 408, 409, 413, 415],
        ..get(
            Endpoint::Tune,
            "/api/optimization/{what}/tune",
            "What to change about cache, resources or models, with the evidence. Changes nothing unless `apply` is true, and then through the guard.",
            RANGE,
            &["what", "recommendations", "is_applied"],
        )
    },
    get(Endpoint::Strategies, "/api/strategies", "Strategies in service and at hand.", &[], &[]),
    Route {
        method: "POST",
        body: &["application/json", "application/wasm"],
        errors: &[404, 408, 409, 413, 415, 422],
        ..get(
            Endpoint::LoadStrategy,
            "/api/strategies",
            "Loads a strategy and puts it in service.",
            &[
                parameter("name", Kind::Text, "Name of an uploaded plugin file."),
                parameter("digest", Kind::Text, "SHA-256 that an uploaded plugin file must have."),
                parameter("in_service", Kind::OneOf(&["true", "false"]), "false: only keep it at hand."),
            ],
            &[],
        )
    },
    get(
        Endpoint::StrategyHistory,
        "/api/strategies/history",
        "Which strategies were in service, newest first.",
        &[
            parameter("limit", Kind::Number(1, 1_000), "50 by default."),
            parameter("before", Kind::Number(0, u64::MAX), "Only generations with a smaller number."),
        ],
        &["generations"],
    ),
    Route {
        method: "POST",
        body: JSON_BODY,
        errors: &[404, 408, 409, 413, 415, 422],
        ..get(Endpoint::Rollback, "/api/strategies/rollback", "Goes back to an earlier strategy.", &[], &[])
    },
    get(Endpoint::Knobs, "/api/knobs", "Every knob with its value and bounds.", &[], &["knobs"]),
    get(
        Endpoint::Decisions,
        "/api/decisions",
        "What strategies asked for, verdicts and effects, newest first.",
        &[
            parameter("limit", Kind::Number(1, 1_000), "50 by default."),
            parameter("before", Kind::Number(0, u64::MAX), "Only decisions with a smaller number."),
            parameter("strategy", Kind::Text, "Only of this strategy: a name, or `name@version`."),
            parameter("knob", Kind::Text, "Only of this knob."),
        ],
        &["decisions", "next_before"],
    ),
    get(
        Endpoint::DecisionSummary,
        "/api/decisions/summary",
        "Decision cycles in short, newest first: times, requests with cache hits and misses since the cycle before, verdicts on its proposals, success.",
        &[
            parameter("limit", Kind::Number(1, 1_000), "50 by default."),
            parameter("before", Kind::Number(0, u64::MAX), "Only cycles with a smaller number."),
            parameter("strategy", Kind::Text, "Only of this strategy: `name` or `name@version`."),
        ],
        &["cycles", "next_before"],
    ),
    get(
        Endpoint::DecisionSpan,
        "/api/decisions/span",
        "Which decision cycles a range or number means.",
        &[FROM, TO, parameter("last", Kind::Number(1, u64::MAX), "The newest so many.")],
        &["span"],
    ),
    get(
        Endpoint::DecisionCycles,
        "/api/decisions/cycles",
        "Whole decision cycles, oldest first.",
        &[
            parameter("from_id", Kind::Number(0, u64::MAX), "From this one on."),
            parameter("limit", Kind::Number(1, 20), "20 by default."),
        ],
        &["cycles"],
    ),
    get(
        Endpoint::Experiments,
        "/api/experiments",
        "Experiments, newest first, and what was learned from them.",
        &[parameter("limit", Kind::Number(1, 200), "20 by default.")],
        &["experiments", "learned"],
    ),
    Route {
        method: "POST",
        body: JSON_BODY,
        errors: &[404, 408, 409, 413, 415, 422],
        ..get(
            Endpoint::StartExperiment,
            "/api/experiments",
            "Starts an experiment between strategies on live traffic.",
            &[],
            &["id"],
        )
    },
    Route {
        errors: &[404],
        answers: Answers::Report(&["id", "notes", "points"]),
        ..get(
            Endpoint::ExperimentReport,
            "/api/experiments/{id}/report",
            "All there is to say about an experiment.",
            &[parameter("format", Kind::OneOf(&["json", "markdown", "html", "text"]), "JSON by default.")],
            &[],
        )
    },
    Route {
        method: "POST",
        body: JSON_BODY,
        errors: &[404, 408, 409, 413, 415, 422],
        ..get(
            Endpoint::StopExperiment,
            "/api/experiments/{id}/stop",
            "Ends an experiment without a winner.",
            &[],
            &["id"],
        )
    },
    Route {
        errors: &[404],
        ..get(
            Endpoint::Experiment,
            "/api/experiments/{id}",
            "How an experiment stands: effect with its interval, samples, what happens next.",
            &[],
            &["id", "ending", "in_service"],
        )
    },
    Route {
        method: "POST",
        body: JSON_BODY,
        errors: &[404, 408, 409, 413, 415, 422],
        ..get(
            Endpoint::Feedback,
            "/api/feedback",
            "A score, 0 to 1, for the answer to one request.",
            &[],
            &["is_counted"],
        )
    },
    get(
        Endpoint::ActiveAlerts,
        "/api/alerts/active",
        "What fires or is about to, what is silenced, and the channels.",
        &[],
        &["alerts", "silences", "channels"],
    ),
    get(Endpoint::AlertRules, "/api/alerts/rules", "The alert rules in force.", &[], &["rules"]),
    get(
        Endpoint::AlertHistory,
        "/api/alerts/history",
        "Alerts that fired, newest first.",
        &[
            parameter("limit", Kind::Number(1, 1_000), "50 by default."),
            parameter("before", Kind::Number(0, u64::MAX), "Only alerts with a smaller number."),
            parameter("rule", Kind::Text, "Only of this rule."),
        ],
        &["alerts", "next_before"],
    ),
    get(
        Endpoint::AlertStatistics,
        "/api/alerts/statistics",
        "How often each rule fired and for how long.",
        &[parameter("since", Kind::Moment, "Beginning of the range; everything by default.")],
        &["rules"],
    ),
    Route {
        method: "POST",
        body: JSON_BODY,
        errors: &[404, 408, 413, 415, 422],
        ..get(
            Endpoint::Acknowledge,
            "/api/alerts/{id}/acknowledge",
            "Somebody has seen it: no reminders and no escalation any more.",
            &[],
            &["alert"],
        )
    },
    Route {
        method: "POST",
        body: JSON_BODY,
        errors: &[404, 408, 409, 413, 415, 422],
        ..get(
            Endpoint::Silence,
            "/api/alerts/{id}/silence",
            "Nobody is told of this alert, or of a rule by its name, for a time.",
            &[],
            &["silence"],
        )
    },
    Route {
        method: "DELETE",
        errors: &[404],
        ..get(Endpoint::EndSilence, "/api/alerts/silences/{id}", "Ends a silence.", &[], &["ended"])
    },
    Route {
        method: "POST",
        errors: &[404, 413, 415],
        ..get(
            Endpoint::TestChannel,
            "/api/alerts/channels/{name}/test",
            "Tells one channel of an alert that is none.",
            &[],
            &["posted_to"],
        )
    },
    get(
        Endpoint::CacheStats,
        "/api/cache",
        "What the answer cache holds and did since the start, and over a range, also by model; the last day by default.",
        RANGE_AND_SCOPE,
        &["cache", "flights", "scope", "from_ms", "to_ms", "range", "models"],
    ),
    Route {
        method: "DELETE",
        ..get(Endpoint::ClearCache, "/api/cache", "Empties the answer cache.", &[], &["cleared"])
    },
];

/// Paths that answer with something else than one JSON object: path, type of the answer, what it is.
pub(crate) const PAGES: &[(&str, &str, &str)] = &[
    ("/api/metrics/stream", "text/event-stream", "How the host stands, once a second, as server-sent events."),
    (
        "/ws/metrics",
        "application/json",
        "The same as WebSocket messages; asked for without an upgrade, an error says so.",
    ),
    ("/dashboard", "text/html", "The dashboard, a page for people."),
];
