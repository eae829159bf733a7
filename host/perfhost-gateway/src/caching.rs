//! Answers from the cache: who may read and write, what a hit looks like, and what is kept.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use perfhost_cache::entry::MAX_ENTRY_BYTES;
use perfhost_cache::{Cache, Entry, Form, Key, Origin};
use perfhost_strategy::{Plan, Settings};
use perfhost_upstream::Provider;

use crate::answer::Answer;
use crate::headers;
use crate::protocol::openai::{self, Asked};

/// What a request may do with the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CachePolicy {
    /// Be answered from it, or share the answer of an equal request.
    pub(crate) may_read: bool,
    /// Leave its answer there.
    pub(crate) may_write: bool,
}

impl CachePolicy {
    const NONE: Self = Self { may_read: false, may_write: false };

    /// The plan's wishes, as far as settings and the client allow them.
    pub(crate) fn of(headers: &HeaderMap, plan: &Plan, settings: &Settings) -> Self {
        if settings.cache_capacity_bytes == 0 {
            return Self::NONE;
        }
        let asked = headers.get(headers::CACHE).map_or(&b""[..], |value| value.as_bytes());
        let control = headers.get(header::CACHE_CONTROL).map_or(&b""[..], |value| value.as_bytes());
        let says = |directive: &[u8]| {
            control.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(directive))
        };
        if asked.eq_ignore_ascii_case(b"bypass") || says(b"no-store") {
            return Self::NONE;
        }
        let is_refresh = asked.eq_ignore_ascii_case(b"refresh") || says(b"no-cache");
        Self { may_read: plan.cache_read && !is_refresh, may_write: plan.cache_write }
    }
}

/// The form that the client wants.
pub(crate) fn wanted_form(asked: &Asked) -> Form {
    if asked.is_streaming { Form::Stream } else { Form::Body }
}

/// A kept answer in the client's form, and the entry it comes from.
pub(crate) fn lookup(cache: &Cache, asked: &Asked) -> Option<(Response<Answer>, Arc<Entry>)> {
    let entry = cache.get(&asked.key)?;
    let response = replayed(asked, &entry)?;
    Some((response, entry))
}

/// The same for a request that found nothing before.
pub(crate) fn lookup_again(cache: &Cache, asked: &Asked) -> Option<(Response<Answer>, Arc<Entry>)> {
    let entry = cache.get_again(&asked.key)?;
    let response = replayed(asked, &entry)?;
    Some((response, entry))
}

/// `entry` in the client's form; `None` when it cannot be had from it, which counts as a miss.
pub(crate) fn replayed(asked: &Asked, entry: &Entry) -> Option<Response<Answer>> {
    let wanted = wanted_form(asked);
    let pieces = openai::replay(asked.operation, entry, wanted, asked.wants_usage)
        .inspect_err(|error| tracing::debug!(%error, "a kept answer was not used"))
        .ok()?;
    let content_type = if entry.form == wanted { entry.content_type.clone() } else { default_type(wanted) };
    Some(response(content_type, Answer::pieces(pieces)))
}

/// A whole answer that the gateway sends by itself.
pub(crate) fn response(content_type: Bytes, answer: Answer) -> Response<Answer> {
    let mut response = Response::new(answer);
    if let Ok(value) = HeaderValue::from_maybe_shared(content_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

fn default_type(form: Form) -> Bytes {
    Bytes::from_static(openai::content_type(form).as_bytes())
}

/// An answer being collected for the cache, and for equal requests that wait for another form of it.
pub(crate) struct Keeping {
    cache: Arc<Cache>,
    key: Key,
    model: Arc<str>,
    /// `None` for an answer that is shared and not kept.
    ttl: Option<Duration>,
    form: Form,
    content_type: Bytes,
    chunks: Vec<Bytes>,
    bytes: usize,
}

impl Keeping {
    /// For a request that may write to the cache, share its answer, or both.
    pub(crate) fn new(
        cache: &Arc<Cache>,
        asked: &Asked,
        policy: CachePolicy,
        plan: &Plan,
        settings: &Settings,
    ) -> Self {
        let ttl = match plan.cache_ttl_ms {
            0 => settings.cache_ttl,
            milliseconds => Duration::from_millis(u64::from(milliseconds)),
        };
        Self {
            cache: cache.clone(),
            key: asked.key,
            model: asked.model.as_str().into(),
            ttl: policy.may_write.then_some(ttl),
            form: Form::Body,
            content_type: Bytes::new(),
            chunks: Vec::new(),
            bytes: 0,
        }
    }

    /// The answer has begun.
    pub(crate) fn of(mut self, form: Form, headers: &HeaderMap) -> Self {
        self.form = form;
        self.content_type = headers
            .get(header::CONTENT_TYPE)
            .map_or(default_type(form), |value| Bytes::copy_from_slice(value.as_bytes()));
        self
    }

    /// Collects the next bytes; false when the answer is too large to be kept.
    pub(crate) fn push(&mut self, chunk: &Bytes) -> bool {
        if self.ttl.is_some() {
            self.bytes += chunk.len();
            self.chunks.push(chunk.clone());
        }
        self.bytes <= MAX_ENTRY_BYTES
    }

    /// Puts the whole answer into the cache.
    pub(crate) fn keep(self, provider: &Arc<Provider>, answer: &openai::Answer, took: Duration) {
        let Some(ttl) = self.ttl else { return };
        let origin = Origin {
            provider: provider.shared_name(),
            model: self.model,
            prompt_tokens: answer.prompt_tokens,
            output_tokens: answer.output_tokens,
            took,
            stored_at_ms: now_ms(),
        };
        match Entry::new(self.form, self.content_type, &self.chunks, origin) {
            Ok(entry) => self.cache.insert(self.key, entry, ttl),
            Err(error) => tracing::debug!(%error, "an answer was not kept"),
        }
    }
}

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use perfhost_strategy::plan::{Operation, PlanRequest};
    use perfhost_strategy::{KnobId, Scope, Value};

    use super::*;

    fn plan() -> Plan {
        let request = PlanRequest {
            operation: Operation::Chat,
            model: 0,
            is_streaming: false,
            is_deterministic: true,
            prompt_bytes: 0,
            max_tokens: 0,
            priority: 0,
            deadline_ms: 0,
            key: 1,
            session: 0,
            was_seen_before: false,
        };
        Plan::default_for(&request, &[])
    }

    fn policy(headers: &[(&'static str, &'static str)], settings: &Settings) -> (bool, bool) {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let policy = CachePolicy::of(&headers, &plan(), settings);
        (policy.may_read, policy.may_write)
    }

    #[test]
    fn the_client_can_narrow_what_the_plan_allows() {
        let settings = Settings::default();
        assert_eq!(policy(&[], &settings), (true, true));
        assert_eq!(policy(&[("x-perfhost-cache", "bypass")], &settings), (false, false));
        assert_eq!(policy(&[("x-perfhost-cache", "Refresh")], &settings), (false, true));
        assert_eq!(policy(&[("cache-control", "max-age=0, No-Store")], &settings), (false, false));
        assert_eq!(policy(&[("cache-control", "no-cache")], &settings), (false, true));
        assert_eq!(policy(&[("cache-control", "max-age=60")], &settings), (true, true));
    }

    #[test]
    fn without_capacity_there_is_no_cache() {
        let settings = Settings::default().with(KnobId::CacheCapacity, &Scope::global(), Value::Integer(0));
        assert_eq!(policy(&[], &settings), (false, false));
    }
}
