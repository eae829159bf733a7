//! What a request asks and which requests are equal, from one borrowed pass over the top level of its body.
//!
//! Nothing below the top level is built in memory, and the body is not changed. The host refuses only what it cannot
//! act on: a body that is no JSON object, a missing model, a `stream` that is no boolean, a field given twice. Every other
//! mistake is left to the provider, whose message is the better one.

mod fields;
mod significant;

use perfhost_cache::{Key, KeyBuilder};
use perfhost_strategy::plan::Operation;

use fields::Field;
use significant::Significant;

/// Fields that change how an answer is sent and not what it says. All others are part of the key, unknown ones too.
const FORM_FIELDS: [&str; 2] = ["stream", "stream_options"];

/// Fields that tell sessions apart, the best first.
const SESSION_FIELDS: [&str; 3] = ["session_id", "prompt_cache_key", "user"];

/// What llama.cpp reads as "choose a seed at random", beside -1.
const RANDOM_SEED: i64 = 0xFFFF_FFFF;

/// What the host needs to know of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// What is asked.
    pub operation: Operation,
    /// Model as the client names it.
    pub model: String,
    /// The client wants a stream.
    pub is_streaming: bool,
    /// The same request again would be expected to give the same answer: an embedding, or one answer (`n` and `best_of`
    /// absent or 1) with temperature 0 or a fixed seed and no search of the web.
    pub is_deterministic: bool,
    /// Most tokens to generate; 0 when the client set no limit.
    pub max_tokens: u32,
    /// Size of the body, in bytes.
    pub prompt_bytes: u32,
    /// The client wants a usage chunk at the end of a stream.
    pub wants_usage: bool,
    /// Equal for requests that may share an answer: same tenant, operation and top-level fields, in any order and with
    /// any white space, `stream` and `stream_options` aside.
    pub key: Key,
    /// Hash of tenant and session (`session_id`, `prompt_cache_key` or `user`, the first that is there); 0 for none.
    pub session: u64,
    /// Hash of tenant and `user`; 0 for none.
    pub user: u64,
    /// Higher goes first: 1 for `"service_tier":"priority"`, -1 for `"flex"`, 0 otherwise.
    pub priority: i32,
}

/// What is wrong with a request's body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// JSON is UTF-8.
    #[error("the request body is not UTF-8: byte {at} does not belong there")]
    NotUtf8 {
        /// Position of the first wrong byte.
        at: usize,
    },
    /// The body does not read as JSON.
    #[error("the request body is not JSON: {reason}")]
    NotJson {
        /// What is wrong, with line and column.
        reason: String,
    },
    /// The body is JSON, but not an object.
    #[error("the request body has to be a JSON object, such as {{\"model\": \"...\"}}; found {found}")]
    NotAnObject {
        /// What it is.
        found: &'static str,
    },
    /// A field that has to be there is not.
    #[error("the request body has no `{field}`; GET /v1/models lists the models to choose from")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A field has the wrong type.
    #[error("`{field}` has to be {expected}; found {found}")]
    WrongType {
        /// Its name.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A field is given twice. Host and provider might each believe another one.
    #[error("`{field}` is given twice in the request body; leave one")]
    Repeated {
        /// Its name.
        field: String,
    },
}

impl ProtocolError {
    /// The field at fault, for the error's `param`.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Missing { field } | Self::WrongType { field, .. } => Some(field),
            Self::Repeated { field } => Some(field),
            Self::NotUtf8 { .. } | Self::NotJson { .. } | Self::NotAnObject { .. } => None,
        }
    }
}

/// Reads what a request asks. `tenant` keeps the keys of different tenants apart.
///
/// # Errors
/// When the body is no JSON object, names no model, gives a field twice, or its `stream` is no boolean.
pub fn identify(operation: Operation, body: &[u8], tenant: &[u8]) -> Result<Asked, ProtocolError> {
    let mut fields = fields::read(body)?;
    fields.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = fields.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(ProtocolError::Repeated { field: pair[0].name.to_string() });
    }
    let find = |name: &str| {
        let at = fields.binary_search_by(|field| field.name.as_ref().cmp(name)).ok()?;
        Some(&fields[at]).filter(|field| !field.is_null())
    };
    let model = find("model").ok_or(ProtocolError::Missing { field: "model" })?;
    let wrong =
        |field, expected, found: &Field<'_>| ProtocolError::WrongType { field, expected, found: found.type_name() };
    let name = model.text().ok_or_else(|| wrong("model", "a string", model))?;
    if name.is_empty() {
        return Err(ProtocolError::Missing { field: "model" });
    }
    let is_streaming = match find("stream") {
        Some(stream) => stream.boolean().ok_or_else(|| wrong("stream", "true or false", stream))?,
        None => false,
    };
    let is_embedding = operation == Operation::Embedding;
    let limit = find("max_completion_tokens").or_else(|| find("max_tokens")).and_then(Field::integer);
    let session = SESSION_FIELDS.iter().find_map(|name| find(name)).and_then(Field::text);
    let user = find("user").and_then(Field::text);
    let priority = match find("service_tier").and_then(Field::text).as_deref() {
        Some("priority") => 1,
        Some("flex") => -1,
        _ => 0,
    };
    Ok(Asked {
        operation,
        is_streaming: is_streaming && !is_embedding,
        is_deterministic: is_embedding || is_deterministic(find),
        max_tokens: limit.map_or(0, |limit| u32::try_from(limit.max(0)).unwrap_or(u32::MAX)),
        prompt_bytes: u32::try_from(body.len()).unwrap_or(u32::MAX),
        wants_usage: is_streaming && !is_embedding && find("stream_options").is_some_and(Field::includes_usage),
        key: key(operation, tenant, &fields),
        session: session.map_or(0, |session| session_hash(tenant, &session)),
        user: user.map_or(0, |user| session_hash(tenant, &user)),
        priority,
        model: name.into_owned(),
    })
}

fn is_deterministic<'a, 'b: 'a>(find: impl Fn(&str) -> Option<&'a Field<'b>>) -> bool {
    let is_one = |name: &str| find(name).is_none_or(|field| field.integer() == Some(1));
    let is_greedy = find("temperature").and_then(Field::number) == Some(0.0);
    let has_seed = find("seed").and_then(Field::integer).is_some_and(|seed| seed != -1 && seed != RANDOM_SEED);
    (is_greedy || has_seed) && is_one("n") && is_one("best_of") && find("web_search_options").is_none()
}

/// `fields` sorted by name.
fn key(operation: Operation, tenant: &[u8], fields: &[Field<'_>]) -> Key {
    let mut key = KeyBuilder::new("openai");
    key.field("tenant", tenant);
    key.field("operation", &[operation as u8]);
    for field in fields.iter().filter(|field| !FORM_FIELDS.contains(&field.name.as_ref())) {
        key.pieces(&field.name, Significant::of(field.raw));
    }
    key.finish()
}

fn session_hash(tenant: &[u8], session: &str) -> u64 {
    let mut key = KeyBuilder::new("session");
    key.field("tenant", tenant).field("session", session.as_bytes());
    key.finish().short()
}

#[cfg(test)]
mod tests;
