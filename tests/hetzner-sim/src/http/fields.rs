//! Reading a JSON body field by field, so that all faults are told at once.

use serde_json::{Map, Value};

use crate::world::error::ApiError;
use crate::world::label;
use crate::world::operation::Labels;

/// The fields of an object, and what was found wrong with them.
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    prefix: &'static str,
    faults: Vec<(String, String)>,
}

/// The body as an object.
///
/// # Errors
/// `json_error` [documented] for what is no JSON; `invalid_input` for JSON
/// that is no object. [assumed]
pub fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(ApiError::new("invalid_input", "body must be an object")),
        Err(_) => Err(ApiError::new("json_error", "invalid JSON in request body")),
    }
}

impl<'a> Fields<'a> {
    /// Reads `object`; names in faults begin with `prefix`.
    pub fn new(object: &'a Map<String, Value>, prefix: &'static str) -> Self {
        Self { object, prefix, faults: Vec::new() }
    }

    /// Notes a fault.
    pub fn fault(&mut self, field: &str, message: impl Into<String>) {
        self.faults.push((format!("{}{field}", self.prefix), message.into()));
    }

    /// `result`, if nothing was wrong.
    ///
    /// # Errors
    /// `invalid_input` with all faults.
    pub fn finish<T>(self, result: T) -> Result<T, ApiError> {
        if self.faults.is_empty() { Ok(result) } else { Err(ApiError::invalid_fields(self.faults)) }
    }

    /// Takes over the faults of another reading.
    pub fn absorb(&mut self, other: Fields<'_>) {
        self.faults.extend(other.faults);
    }

    /// The value, if it is there and not null.
    pub fn value(&self, field: &str) -> Option<&'a Value> {
        self.object.get(field).filter(|value| !value.is_null())
    }

    fn typed<T>(
        &mut self,
        field: &str,
        what: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Option<T> {
        let found = read(self.value(field)?);
        if found.is_none() {
            self.fault(field, format!("must be {what}"));
        }
        found
    }

    /// A text that may be absent.
    pub fn text(&mut self, field: &str) -> Option<String> {
        self.typed(field, "a string", |value| value.as_str().map(str::to_owned))
    }

    /// A text that may be neither absent nor empty.
    pub fn required_text(&mut self, field: &str) -> String {
        let is_absent = self.value(field).is_none();
        let text = self.text(field);
        if is_absent {
            self.fault(field, "is required");
        } else if text.as_deref() == Some("") {
            self.fault(field, "must not be empty");
        }
        text.unwrap_or_default()
    }

    /// A name or an id; ids come as text or, from the official Python client,
    /// as numbers. [observed]
    pub fn reference(&mut self, field: &str) -> Option<String> {
        self.typed(field, "a name or an id", reference)
    }

    /// Names or ids.
    pub fn references(&mut self, field: &str) -> Vec<String> {
        self.typed(field, "a list of names or ids", |value| {
            value.as_array()?.iter().map(reference).collect()
        })
        .unwrap_or_default()
    }

    /// A switch.
    pub fn switch(&mut self, field: &str, otherwise: bool) -> bool {
        self.typed(field, "a boolean", Value::as_bool).unwrap_or(otherwise)
    }

    /// A switch that may be absent.
    pub fn maybe_switch(&mut self, field: &str) -> Option<bool> {
        self.typed(field, "a boolean", Value::as_bool)
    }

    /// An id.
    pub fn id(&mut self, field: &str) -> Option<u64> {
        self.typed(field, "an id", Value::as_u64)
    }

    /// A list of any kind.
    pub fn list(&mut self, field: &str) -> &'a [Value] {
        self.typed(field, "a list", |value| value.as_array().map(Vec::as_slice)).unwrap_or_default()
    }

    /// A list of texts.
    pub fn texts(&mut self, field: &str) -> Vec<String> {
        self.typed(field, "a list of strings", |value| {
            let texts = value.as_array()?.iter();
            texts.map(|text| text.as_str().map(str::to_owned)).collect()
        })
        .unwrap_or_default()
    }

    /// An object inside this one.
    pub fn inner(&mut self, field: &str) -> Option<&'a Map<String, Value>> {
        self.typed(field, "an object", Value::as_object)
    }

    /// `labels`, checked.
    pub fn labels(&mut self) -> Option<Labels> {
        let labels: Labels = self.typed("labels", "an object of strings", |value| {
            value
                .as_object()?
                .iter()
                .map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect()
        })?;
        if let Err(refusal) = label::check(&labels) {
            self.fault("labels", first_message(&refusal));
        }
        Some(labels)
    }
}

fn reference(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => number.as_u64().map(|id| id.to_string()),
        _ => None,
    }
}

fn first_message(refusal: &ApiError) -> String {
    refusal.details["fields"][0]["messages"][0].as_str().unwrap_or("not allowed").to_owned()
}
