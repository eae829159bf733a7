//! `GET /api/openapi.json`: an OpenAPI 3.1 document, made from the table of routes and from what `/v1` serves.

use serde_json::{Map, Value, json};

use super::recorded;
use super::reply::Reply;
use super::route::{Answers, Kind, PAGES, Parameter, ROUTES, Route};

/// Paths of the models' API with method and summary. Their bodies are the provider's business and passed as they are.
const MODELS: &[(&str, &str, &str)] = &[
    ("/v1/chat/completions", "post", "OpenAI chat completions, streamed or not."),
    ("/v1/completions", "post", "OpenAI completions, streamed or not."),
    ("/v1/embeddings", "post", "OpenAI embeddings."),
    ("/v1/models", "get", "Models of all providers."),
    ("/v1/models/{id}", "get", "One model."),
];

pub(crate) fn document() -> Reply {
    Reply::json(&described())
}

fn described() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        entry(&mut paths, route.path)[route.method.to_ascii_lowercase()] = operation(route);
    }
    for (path, kind, summary) in PAGES {
        entry(&mut paths, path)["get"] = page(kind, summary);
    }
    for (path, method, summary) in MODELS {
        entry(&mut paths, path)[*method] = model_operation(path, method, summary);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "perfhost",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The API of a running perfhost. Errors are `{\"error\":{\"code\",\"message\"}}`. Where an admin token is set, /api and \
                            /metrics need it; where an API key is set, /v1 needs it.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": { "Error": {
                "type": "object", "required": ["error"],
                "properties": { "error": {
                    "type": "object", "required": ["code", "message"],
                    "properties": { "code": { "type": "string" }, "message": { "type": "string" } },
                } },
            } },
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        "security": [{}, { "token": [] }],
    })
}

fn entry<'a>(paths: &'a mut Map<String, Value>, path: &str) -> &'a mut Value {
    paths.entry(path).or_insert_with(|| json!({}))
}

fn operation(route: &Route) -> Value {
    let mut responses = Map::from_iter([("200".to_owned(), success(route))]);
    for status in [400, 401, 403].iter().chain(route.errors) {
        responses.insert(status.to_string(), failure());
    }
    let mut parameters: Vec<Value> = route.parameters.iter().map(parameter).collect();
    parameters.extend(named_part(route.path));
    let mut operation = json!({
        "summary": route.summary,
        "operationId": format!("{:?}", route.endpoint),
        "parameters": parameters,
        "responses": responses,
    });
    if !route.body.is_empty() {
        let content: Map<String, Value> =
            route.body.iter().map(|kind| ((*kind).to_owned(), body(route, kind))).collect();
        operation["requestBody"] = json!({ "required": false, "content": content });
    }
    operation
}

fn page(kind: &str, summary: &str) -> Value {
    json!({ "summary": summary, "responses": {
        "200": { "description": "As it is asked for.", "content": { kind: { "schema": { "type": "string" } } } },
        "default": failure(),
    } })
}

fn model_operation(path: &str, method: &str, summary: &str) -> Value {
    let mut operation = json!({
        "summary": summary,
        "parameters": named_part(path).into_iter().collect::<Vec<_>>(),
        "responses": {
            "200": { "description": "As the provider answers.", "content": { "application/json": {}, "text/event-stream": {} } },
            "default": { "description": "An error in OpenAI's form.", "content": { "application/json": {} } },
        },
    });
    if method == "post" {
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": {
            "type": "object", "required": ["model"], "properties": { "model": { "type": "string" } },
        } } } });
    }
    operation
}

/// The parameter of a path's `{…}`.
fn named_part(path: &str) -> Option<Value> {
    let (_, rest) = path.split_once('{')?;
    let (name, _) = rest.split_once('}')?;
    let schema = match name {
        "aspect" => json!({ "type": "string", "enum": super::findings::ASPECTS }),
        "what" => json!({ "type": "string", "enum": super::tuning::WHAT }),
        "id" if path.starts_with("/api/experiments")
            || path.ends_with("/acknowledge")
            || path.contains("/silences/") =>
        {
            json!({ "type": "integer", "minimum": 1 })
        }
        _ => json!({ "type": "string", "minLength": 1 }),
    };
    Some(json!({ "name": name, "in": "path", "required": true, "schema": schema }))
}

fn parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Number(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Moment => json!({ "type": "string", "pattern": MOMENT }),
        Kind::Duration => json!({ "type": "string", "pattern": DURATION }),
        Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
        Kind::Metric => {
            json!({ "type": "string", "enum": recorded::names().collect::<Vec<_>>() })
        }
    };
    json!({
        "name": parameter.name, "in": "query", "required": parameter.is_required, "description": parameter.meaning,
        "schema": schema,
    })
}

/// What every moment may be; RFC 3339 too, which the pattern leaves to days that every month has.
const MOMENT: &str = "^(now|-[0-9]{1,6}(ms|s|m|h|d)|[0-9]{1,15}|20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)$";

const DURATION: &str = "^[0-9]{1,6}(ms|s|m|h|d)$";

fn success(route: &Route) -> Value {
    let object = |fields: &[&str]| json!({ "schema": { "type": "object", "required": fields } });
    let text = json!({ "schema": { "type": "string" } });
    let content = match route.answers {
        Answers::Object(fields) => json!({ "application/json": object(fields) }),
        Answers::Text(kind) => json!({ kind: text }),
        Answers::Report(fields) => {
            let mut kinds = json!({ "application/json": object(fields), "text/markdown": text, "text/html": text });
            if route.parameters.iter().any(|parameter| parameter.takes("text")) {
                kinds["text/plain"] = text;
            }
            kinds
        }
    };
    json!({ "description": route.summary, "content": content })
}

fn failure() -> Value {
    json!({
        "description": "An error.",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
    })
}

fn body(route: &Route, kind: &str) -> Value {
    match (route.path, kind) {
        (_, "application/wasm") => json!({ "schema": { "type": "string", "contentEncoding": "binary" } }),
        ("/api/optimization/{what}/tune", _) => json!({ "schema": {
            "type": "object", "additionalProperties": false,
            "properties": { "apply": { "type": "boolean" }, "provider": { "type": ["string", "null"] } },
        } }),
        ("/api/strategies/rollback", _) => json!({ "schema": {
            "type": "object", "additionalProperties": false,
            "properties": { "to": { "type": ["integer", "null"], "minimum": 0, "maximum": u64::MAX } },
        } }),
        _ => json!({ "schema": {
            "type": "object", "additionalProperties": false, "required": ["name"],
            "properties": { "name": { "type": "string" }, "digest": { "type": ["string", "null"] } },
        } }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = described();
        let paths = document["paths"].as_object().unwrap();
        for route in ROUTES {
            let operation = &paths[route.path][route.method.to_ascii_lowercase()];
            assert_eq!(operation["summary"], route.summary, "{} {}", route.method, route.path);
            assert!(operation["responses"]["200"].is_object(), "{}", route.path);
        }
        let described: usize = paths.values().map(|methods| methods.as_object().unwrap().len()).sum();
        assert_eq!(described, ROUTES.len() + PAGES.len() + MODELS.len());
        for (path, methods) in paths {
            let is_routed =
                ROUTES.iter().any(|route| route.path == path) || PAGES.iter().any(|(page, ..)| page == path);
            assert!(
                is_routed || MODELS.iter().any(|(model, method, _)| model == path && methods[*method].is_object()),
                "{path}"
            );
        }
    }
}
