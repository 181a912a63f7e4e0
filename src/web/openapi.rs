//! `GET /api`: the calls as OpenAPI 3.1 has them, drawn from the table of [`super::calls`].

use axum::Json;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::calls::CALLS;
use super::calls::Call;

pub(super) async fn document() -> Json<Value> {
    Json(description())
}

/// All calls, for programs.
pub(super) fn description() -> Value {
    let mut paths = Map::new();
    for call in CALLS {
        let path = paths
            .entry(call.path)
            .or_insert_with(|| Value::Object(Map::new()));
        path[call.method.to_ascii_lowercase()] = operation(call);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "autobot",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Times are ISO 8601 with an offset. Names in paths are percent-encoded. \
                            A list with more behind it links it in `Link`, with rel=\"next\".",
        },
        // Relative to this document, so that it holds behind a proxy under any prefix.
        "servers": [{ "url": "./" }],
        "paths": paths,
        "components": { "schemas": { "Error": {
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": { "type": "string", "description": "what is wrong" },
                "next": { "type": "string", "description": "what can be done about it" },
                "fields": {
                    "type": "object",
                    "additionalProperties": { "type": "string" },
                    "description": "what is wrong with fields of the form",
                },
            },
        } } },
    })
}

/// A name for the call: `post_builders_builder_force`.
fn name(call: &Call) -> String {
    let parts = call.path.split(['/', '{', '}', '_']);
    let parts = parts.filter(|it| !it.is_empty());
    let parts: Vec<_> = parts.collect();
    format!("{}_{}", call.method.to_ascii_lowercase(), parts.join("_"))
}

fn operation(call: &Call) -> Value {
    let parts = call.path.split('/');
    let named = parts.filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = named
        .map(|it| json!({ "name": it, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    let mut operation = json!({
        "operationId": name(call),
        "summary": call.answer,
        "responses": {
            "200": { "description": call.answer, "content": content(call) },
            "default": {
                "description": "what is wrong",
                "content": { "application/json": {
                    "schema": { "$ref": "#/components/schemas/Error" },
                } },
            },
        },
    });
    if call.method == "POST" {
        let mut properties = Map::new();
        let mut patterns = Map::new();
        for (name, says) in call.fields {
            let schema = json!({ "type": "string", "description": says });
            match name.contains('*') {
                true => patterns.insert(pattern(name), schema),
                false => properties.insert((*name).to_owned(), schema),
            };
        }
        operation["requestBody"] = json!({ "content": { "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "properties": properties,
                "patternProperties": patterns,
                "additionalProperties": false,
            },
        } } });
    } else {
        parameters.extend(call.fields.iter().map(|(name, says)| {
            json!({ "name": name, "in": "query", "description": says, "schema": { "type": "string" } })
        }));
    }
    operation["parameters"] = Value::Array(parameters);
    let (address, form) = call.example;
    if !address.is_empty() {
        operation["x-example"] = json!({ "address": address, "form": form });
    }
    if let Some(right) = call.right {
        operation["x-right"] = right.as_str().into();
    }
    operation
}

fn content(call: &Call) -> Value {
    match call.path {
        "/api/reload" => json!({ "text/plain": {} }),
        _ => json!({ "application/json": {} }),
    }
}

/// The names that a field may have, as a regular expression.
fn pattern(name: &str) -> String {
    format!("^{}$", name.replace('.', "\\.").replace('*', ".+"))
}
