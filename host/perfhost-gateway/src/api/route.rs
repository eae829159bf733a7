//! Every path of the host's own API, with what each takes, and how a request finds its own. The one [`table`] is what requests
//! are checked against and what the OpenAPI document is made from, so that neither can differ from the other.

mod table;

use http::{Method, Request};
use hyper::body::Incoming;

use super::query::{self, Query};
use super::reply::Trouble;
pub(crate) use table::{PAGES, ROUTES};

/// What answers a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Health,
    Prometheus,
    OpenApi,
    Status,
    Resources,
    Current,
    Historical,
    Histogram,
    Aggregated,
    Performance,
    ModelMetrics,
    Overview,
    DashboardPerformance,
    DashboardResources,
    Profile,
    Bottlenecks,
    Capacity,
    CompareModels,
    CompareOptimizations,
    Analyse,
    DailyReport,
    WeeklyReport,
    Tune,
    Strategies,
    LoadStrategy,
    StrategyHistory,
    Rollback,
    Knobs,
    Decisions,
    DecisionSummary,
    DecisionSpan,
    DecisionCycles,
    Experiments,
    StartExperiment,
    Experiment,
    StopExperiment,
    ExperimentReport,
    Feedback,
    ActiveAlerts,
    AlertRules,
    AlertHistory,
    AlertStatistics,
    Acknowledge,
    Silence,
    EndSilence,
    TestChannel,
    CacheStats,
    ClearCache,
}

/// One method of one path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) endpoint: Endpoint,
    pub(crate) method: &'static str,
    /// With `{id}` for a part that names something.
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) parameters: &'static [Parameter],
    /// Types of the body, where one is taken.
    pub(crate) body: &'static [&'static str],
    pub(crate) answers: Answers,
    /// Errors besides those that every path has.
    pub(crate) errors: &'static [u16],
}

/// What a path answers with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answers {
    /// A JSON object with these fields, and maybe others.
    Object(&'static [&'static str]),
    /// Text of this type.
    Text(&'static str),
    /// A report: JSON with these fields, Markdown or HTML, as `format` says.
    Report(&'static [&'static str]),
}

/// A parameter of the query string.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) is_required: bool,
    pub(crate) meaning: &'static str,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Text,
    Number(u64, u64),
    Moment,
    Duration,
    OneOf(&'static [&'static str]),
    Metric,
}

impl Parameter {
    /// Is `word` one of the words that it may be?
    pub(crate) fn takes(&self, word: &str) -> bool {
        matches!(self.kind, Kind::OneOf(words) if words.contains(&word))
    }
}

/// The route of a request, with what stands for the `{…}` in its path, decoded.
///
/// Errors: no such path, or not with that method.
pub(crate) fn find(method: &Method, path: &str) -> Result<(&'static Route, String), Trouble> {
    let mut allowed = Vec::new();
    for route in ROUTES {
        let Some(named) = matched(route.path, path) else { continue };
        // `/health` is asked with HEAD by some probes.
        if method == route.method || (route.endpoint == Endpoint::Health && *method == Method::HEAD) {
            return Ok((route, query::decoded(named).into_owned()));
        }
        allowed.push(route.method);
    }
    match allowed.is_empty() {
        true => Err(Trouble::not_found(path, &served())),
        false => Err(Trouble::method(method, allowed.join(", "))),
    }
}

/// What stands for the `{…}` of a template, if the path fits it.
fn matched<'a>(template: &str, path: &'a str) -> Option<&'a str> {
    let Some((before, rest)) = template.split_once('{') else { return (template == path).then_some("") };
    let (_, after) = rest.split_once('}')?;
    let named = path.strip_prefix(before)?.strip_suffix(after)?;
    // Models are called `provider/model`.
    (!named.is_empty() && (before.ends_with("/models/") || !named.contains('/'))).then_some(named)
}

/// All paths, for those who ask for something else.
fn served() -> String {
    let mut paths: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
    paths.extend(PAGES.iter().map(|(path, _, _)| *path));
    paths.dedup();
    paths.join(", ")
}

impl Route {
    /// Checks the names of the query string's parameters.
    pub(crate) fn check(&self, request: &Request<Incoming>) -> Result<Query, Trouble> {
        let query = Query::of(request.uri());
        let names: Vec<&str> = self.parameters.iter().map(|parameter| parameter.name).collect();
        query.only(&names)?;
        Ok(query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_match_what_they_stand_for() {
        assert_eq!(matched("/api/knobs", "/api/knobs"), Some(""));
        assert_eq!(matched("/api/knobs", "/api/knob"), None);
        assert_eq!(matched("/api/metrics/models/{id}", "/api/metrics/models/ollama/llama3"), Some("ollama/llama3"));
        assert_eq!(matched("/api/metrics/models/{id}", "/api/metrics/models/"), None);
        assert_eq!(matched("/api/optimization/{what}/tune", "/api/optimization/cache/tune"), Some("cache"));
        assert_eq!(matched("/api/optimization/{what}/tune", "/api/optimization/a/b/tune"), None);
        assert_eq!(matched("/api/experiments/{id}", "/api/experiments/3/other"), None);
    }

    #[test]
    fn a_method_that_is_not_taken_is_told_which_are() {
        let trouble = find(&Method::PUT, "/api/cache").map(|_| ()).unwrap_err();
        assert!(format!("{trouble:?}").contains("GET, DELETE"));
        assert!(find(&Method::HEAD, "/health").is_ok() && find(&Method::HEAD, "/api/knobs").is_err());
    }

    #[test]
    fn every_route_is_there_once() {
        for (at, route) in ROUTES.iter().enumerate() {
            let is_same = |other: &&Route| other.path == route.path && other.method == route.method;
            assert!(!ROUTES[..at].iter().any(|other| is_same(&other)), "{} {}", route.method, route.path);
        }
    }
}
