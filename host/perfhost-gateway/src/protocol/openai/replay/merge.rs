//! Joins the deltas of a stream into what they are parts of.

use serde_json::{Map, Value};

/// Fields that arrive whole: a server that repeats one means the same value.
const WHOLE_FIELDS: [&str; 5] = ["role", "type", "id", "name", "index"];

/// Adds `delta`, found under `name`, to what came before: text is joined, lists grow, their elements are matched by
/// their `index` where they have one, objects are merged field by field, and of anything else the last one stays.
pub(super) fn merge(name: &str, into: &mut Value, delta: Value) {
    match (into, delta) {
        (_, Value::Null) => {}
        (Value::String(text), Value::String(more)) => {
            if !(WHOLE_FIELDS.contains(&name) && *text == more) {
                text.push_str(&more);
            }
        }
        (Value::Array(list), Value::Array(more)) => more.into_iter().for_each(|element| add(list, element)),
        (Value::Object(object), Value::Object(more)) => merge_fields(object, more),
        // An object's and a list's own beginning go through the same rules, for deltas may share an index at once.
        (into @ Value::Null, Value::Array(more)) => {
            let mut list = Vec::with_capacity(more.len());
            more.into_iter().for_each(|element| add(&mut list, element));
            *into = Value::Array(list);
        }
        (into, delta) => *into = delta,
    }
}

/// [`merge`] for each field.
pub(super) fn merge_fields(into: &mut Map<String, Value>, delta: Map<String, Value>) {
    for (name, value) in delta {
        if let Some(before) = into.get_mut(&name) {
            merge(&name, before, value);
        } else {
            let mut fresh = Value::Null;
            merge(&name, &mut fresh, value);
            into.insert(name, fresh);
        }
    }
}

fn add(list: &mut Vec<Value>, element: Value) {
    let index = element.get("index").and_then(Value::as_u64);
    let same = |before: &&mut Value| index.is_some() && before.get("index").and_then(Value::as_u64) == index;
    match (list.iter_mut().find(same), element) {
        (Some(Value::Object(before)), Value::Object(more)) => merge_fields(before, more),
        (_, element) => list.push(element),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(deltas: &[Value]) -> Value {
        let mut into = Value::Null;
        for delta in deltas {
            merge("", &mut into, delta.clone());
        }
        into
    }

    #[test]
    fn text_is_joined_and_whole_fields_are_not_doubled() {
        let deltas = [
            json!({"role": "assistant", "content": "a", "n": 1}),
            json!({"role": "assistant", "content": "b", "n": 2}),
            json!({"content": null}),
        ];
        assert_eq!(merged(&deltas), json!({"role": "assistant", "content": "ab", "n": 2}));
    }

    #[test]
    fn calls_are_matched_by_index() {
        let deltas = [
            json!([{"index": 0, "id": "x", "function": {"name": "f", "arguments": ""}}]),
            json!([{"index": 1, "id": "y", "function": {"name": "g", "arguments": "{"}}, {"index": 0, "function": {"arguments": "{}"}}]),
            json!([{"index": 1, "function": {"arguments": "}"}}]),
        ];
        let expected = json!([
            {"index": 0, "id": "x", "function": {"name": "f", "arguments": "{}"}},
            {"index": 1, "id": "y", "function": {"name": "g", "arguments": "{}"}},
        ]);
        assert_eq!(merged(&deltas), expected);
    }

    #[test]
    fn lists_without_an_index_grow() {
        assert_eq!(
            merged(&[json!([{"token": "a"}]), json!([{"token": "a"}])]),
            json!([{"token": "a"}, {"token": "a"}])
        );
    }
}
