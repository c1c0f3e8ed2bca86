//! CloudFormation templates, with their short tags.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// A template of the repository as JSON; a short tag becomes a member: `!Ref x` is `{"Ref": "x"}`.
///
/// # Panics
/// The file is not there, or holds a form of YAML that a template has no use for.
pub fn read(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    parse(&std::fs::read_to_string(path).unwrap())
}

/// The same of a text.
///
/// # Panics
/// It is no YAML, or holds a form that a template has no use for.
pub fn parse(text: &str) -> Value {
    json_of(&Yaml::load_from_str(text).unwrap()[0])
}

fn json_of(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(truth)) => json!(truth),
        Yaml::Value(Scalar::Integer(number)) => json!(number),
        Yaml::Value(Scalar::FloatingPoint(number)) => json!(number.into_inner()),
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Sequence(items) => items.iter().map(json_of).collect(),
        Yaml::Mapping(members) => {
            let text = |key: &Yaml<'_>| match json_of(key) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            members.iter().map(|(key, value)| (text(key), json_of(value))).collect()
        }
        Yaml::Tagged(tag, inner) => {
            Value::Object(Map::from_iter([(tag.suffix.clone(), json_of(inner))]))
        }
        other => panic!("{other:?} in the template"),
    }
}
