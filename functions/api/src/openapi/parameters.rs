//! What parameters look like and how long they may be.

use serde_json::{Value, json};
use utoipa::openapi::{
    ObjectBuilder, RefOr, Schema, Type,
    extensions::Extensions,
    path::{Operation, Parameter},
};

const HEX: &str = "0123456789abcdef0123456789abcdef";

/// Says what a well-formed value is, of the parameters that look the same on many routes.
pub fn limit(path: &str, operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        if let Some(form) = form(path, &parameter.name) {
            form.put_on(parameter);
        }
    }
}

struct Form {
    schema: ObjectBuilder,
    description: &'static str,
    example: Value,
}

impl Form {
    fn put_on(self, parameter: &mut Parameter) {
        parameter.schema = Some(RefOr::T(Schema::from(self.schema)));
        parameter.description.get_or_insert_with(|| self.description.to_owned());
        // The crate has no field for it, and writes what it is given here beside the others.
        parameter.extensions = Some(Extensions::from_iter([("example", self.example)]));
    }
}

fn text(pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
}

fn id(prefix: &str, description: &'static str) -> Option<Form> {
    let schema = text(&format!("^{prefix}-[0-9a-f]{{32}}$"));
    Some(Form { schema, description, example: json!(format!("{prefix}-{HEX}")) })
}

fn form(path: &str, parameter: &str) -> Option<Form> {
    let whose = path.split('/').nth(1).unwrap_or_default();
    let (schema, description, example) = match (whose, parameter) {
        ("nodes", "id") | ("jobs", "node") => return id("node", "A node's id."),
        ("jobs", "id") => return id("job", "A job's id."),
        ("tokens", "id") => return id("token", "A token's id."),
        ("orphans", "id") => (
            text("^(server|primary_ip|placement_group|ssh_key)-[1-9][0-9]{0,18}@[a-z0-9-]{1,40}$"),
            "An orphan's id: kind, the provider's id, connection.",
            json!("server-4300000001@main"),
        ),
        (_, "name" | "connection") => (
            text("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$").min_length(Some(1)).max_length(Some(40)),
            "A connection's name.",
            json!("main"),
        ),
        (_, "Idempotency-Key") => (
            // Bare, or a string of RFC 9651.
            text(r#"^("([ !#-\[\]-~]|\\["\\])+"|[!#-~]([ !#-~]*[!#-~])?)$"#).max_length(Some(255)),
            "1 to 255 characters, bare or quoted. The same key and body give the same job for as \
             long as the job is kept.",
            json!("order-4711"),
        ),
        (_, "traceparent") => (
            text("^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"),
            "W3C Trace Context; kept on the job.",
            json!(format!("00-{HEX}-0123456789abcdef-01")),
        ),
        (_, "If-Match" | "If-None-Match") => (
            text(r#"^(\*|(W/)?"[0-9]{1,19}"(, *(W/)?"[0-9]{1,19}")*)$"#),
            "An `ETag`.",
            json!("\"7\""),
        ),
        (_, "Prefer") => (text("^wait=[0-9]{1,3}$"), "A preference.", json!("wait=2")),
        _ => return None,
    };
    Some(Form { schema, description, example })
}
