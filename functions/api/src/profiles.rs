//! The profiles a node can be asked to have, and what may be said of each: its variables are held
//! against the schema that lies beside its playbook, before anything is made.

use std::{fmt, sync::Arc};

use jsonschema::{PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
use nodeyard_domain::spec::{InvalidProfile, Profile};
use serde_json::{Map, Value};

use crate::{
    body::{escape, repeatable},
    code::ApiCode,
    problem::Faults,
};

/// Names of the profiles with the texts of their schemas, as the build found them.
pub const EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/profiles.rs"));

/// The known profiles.
#[derive(Clone)]
pub struct Profiles(Arc<[Known]>);

struct Known {
    name: Profile,
    schema: Value,
    validator: Validator,
}

/// Why profiles cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum ProfilesError {
    #[error("playbooks/profiles/{0}.yml: {1}")]
    Name(String, InvalidProfile),
    #[error("playbooks/profiles/{0}.vars.json is no JSON: {1}")]
    Json(String, serde_json::Error),
    #[error("playbooks/profiles/{0}.vars.json is no JSON Schema: {1}")]
    Schema(String, String),
    #[error(
        "playbooks/profiles/{0}.vars.json takes anything: it needs \"type\": \"object\" and \
         \"additionalProperties\": false"
    )]
    Open(String),
}

impl Profiles {
    /// The ones that this program was built with.
    ///
    /// # Errors
    /// One of them has an unfit name or schema.
    pub fn embedded() -> Result<Self, ProfilesError> {
        Self::new(EMBEDDED)
    }

    /// Profiles by name, each with the text of its schema.
    ///
    /// # Errors
    /// An unfit name or schema.
    pub fn new(profiles: &[(&str, &str)]) -> Result<Self, ProfilesError> {
        profiles
            .iter()
            .map(|(name, schema)| Known::read(name, schema))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The profile of this name, if there is one.
    pub(crate) fn find(&self, name: &str) -> Option<&Profile> {
        self.known(name).map(|known| &known.name)
    }

    /// All names, with commas between them.
    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|known| known.name.as_str()).collect();
        names.join(", ")
    }

    /// Adds a fault for each of `vars` that the profile does not take; values are not repeated.
    pub(crate) fn check(&self, profile: &Profile, vars: &Map<String, Value>, faults: &mut Faults) {
        let Some(known) = self.known(profile.as_str()) else { return };
        let vars = Value::Object(vars.clone());
        for error in known.validator.iter_errors(&vars) {
            known.tell(&error, faults);
        }
    }

    fn known(&self, name: &str) -> Option<&Known> {
        self.0.iter().find(|known| known.name.as_str() == name)
    }
}

impl fmt::Debug for Profiles {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Profiles({})", self.names())
    }
}

impl Known {
    fn read(name: &str, text: &str) -> Result<Self, ProfilesError> {
        let called = || name.to_owned();
        let schema: Value =
            serde_json::from_str(text).map_err(|error| ProfilesError::Json(called(), error))?;
        let closes = |keyword: &str| schema.get(keyword) == Some(&Value::Bool(false));
        let closed = closes("additionalProperties") || closes("unevaluatedProperties");
        if !closed || schema.get("type").and_then(Value::as_str) != Some("object") {
            return Err(ProfilesError::Open(called()));
        }
        // Patterns that take linear time, whatever a caller sends; references within the file only.
        let options = jsonschema::draft202012::options()
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex())
            .offline();
        let validator = options
            .build(&schema)
            .map_err(|error| ProfilesError::Schema(called(), error.to_string()))?;
        let name = name.parse().map_err(|error| ProfilesError::Name(called(), error))?;
        Ok(Self { name, schema, validator })
    }

    fn tell(&self, error: &ValidationError<'_>, faults: &mut Faults) {
        let at = pointer(error.instance_path().as_str());
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                for name in unexpected {
                    let place = format!("{at}/{}", escape(repeatable(name)));
                    let detail = format!("profile {} has no such variable", self.name.as_str());
                    faults.add(place, ApiCode::UnknownField, detail);
                }
            }
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                faults.add(
                    format!("{at}/{}", escape(name)),
                    ApiCode::InvalidBody,
                    "the variable is required",
                );
            }
            _ => {
                // What its author wrote of it helps more than the rule that it breaks.
                let described =
                    error.schema_path().as_str().rsplit_once('/').and_then(|(of, _)| {
                        self.schema.pointer(of)?.get("description")?.as_str().map(str::to_owned)
                    });
                let detail = match described {
                    Some(text) => format!("has to be {text}"),
                    None => error.masked().to_string(),
                };
                faults.add(at, ApiCode::InvalidBody, detail);
            }
        }
    }
}

/// Where in the body a place in `vars` is.
fn pointer(within: &str) -> String {
    let steps = within.split('/').skip(1).map(repeatable);
    std::iter::once("/vars").chain(steps).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    const OPEN: &str = r#"{"type": "object"}"#;

    fn refusal(name: &str, schema: &str) -> ProfilesError {
        Profiles::new(&[(name, schema)]).unwrap_err()
    }

    #[test]
    fn every_playbook_of_the_folder_is_a_profile() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../playbooks/profiles");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().unwrap() == "yml" {
                names.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
            }
        }
        names.sort();
        assert!(names.len() >= 2);
        assert_eq!(Profiles::embedded().unwrap().names(), names.join(", "));
    }

    #[test]
    fn an_unfit_profile_is_refused_with_its_file() {
        assert!(matches!(refusal("shop", "{"), ProfilesError::Json(..)));
        assert!(matches!(refusal("shop", OPEN), ProfilesError::Open(_)));
        let closed = r#"{"type": "object", "additionalProperties": false}"#;
        assert!(matches!(refusal("../shop", closed), ProfilesError::Name(..)));
        for part in [
            json!({"a": {"type": "number of things"}}),
            json!({"a": {"pattern": "("}}),
            // A pattern that looks back could take time beyond measure.
            json!({"a": {"pattern": "(a)\\1"}}),
            json!({"a": {"$ref": "https://example.com/other.json"}}),
        ] {
            let schema =
                json!({"type": "object", "additionalProperties": false, "properties": part});
            let refused = refusal("shop", &schema.to_string());
            assert!(matches!(refused, ProfilesError::Schema(..)), "{refused}");
            assert!(refused.to_string().contains("profiles/shop.vars.json"));
        }
    }
}
