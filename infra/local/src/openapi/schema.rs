//! Two schemas of one place: whatever a caller may send has still to be taken, and whatever it may
//! get has to be what it was told.
//!
//! Both are one question: does the wide schema hold every value of the narrow one? For requests the
//! new one has to be the wide one, for answers the old one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// How deep schemas are followed; ours have a quarter of it. What is deeper refers to itself.
const DEPTH: usize = 24;
/// Limits from below, and from above.
const LOWER: [&str; 5] = ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"];
const UPPER: [&str; 5] = ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"];

/// Who says the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The caller.
    Asked,
    /// The API.
    Answered,
    /// The API, of what went wrong: words may be added to its enumerations.
    Refused,
}

/// What was found, with its places.
#[derive(Debug, Default)]
pub struct Findings(BTreeSet<String>);

impl Findings {
    /// Notes one.
    pub fn add(&mut self, at: &str, what: impl AsRef<str>) {
        self.0.insert(format!("{at}: {}", what.as_ref()));
    }

    /// All of them, sorted.
    pub fn into_lines(self) -> Vec<String> {
        self.0.into_iter().collect()
    }
}

/// The two documents, for their references.
#[derive(Debug, Clone, Copy)]
pub struct Documents<'a> {
    pub old: &'a Value,
    pub new: &'a Value,
}

/// A schema with its references followed and its parts put together.
#[derive(Debug, Default)]
struct Flat {
    keywords: Map<String, Value>,
    properties: BTreeMap<String, Value>,
    required: BTreeSet<String>,
    variants: Vec<Value>,
}

impl<'a> Documents<'a> {
    /// Adds what breaks callers between two schemas of one place.
    pub fn held(self, side: Side, at: &str, was: &Value, is: &Value, found: &mut Findings) {
        self.compare(side, at, was, is, DEPTH, found);
    }

    fn compare(
        self,
        side: Side,
        at: &str,
        was: &Value,
        is: &Value,
        depth: usize,
        found: &mut Findings,
    ) {
        let Some(depth) = depth.checked_sub(1) else { return };
        let (was, is) = (flat(self.old, was, depth), flat(self.new, is, depth));
        if !was.variants.is_empty() || !is.variants.is_empty() {
            self.variants(side, at, &was, &is, depth, found);
            return;
        }
        let (wide, narrow) = match side {
            Side::Asked => (&is, &was),
            Side::Answered | Side::Refused => (&was, &is),
        };
        values(side, at, wide, narrow, found);
        for name in wide.required.difference(&narrow.required) {
            let what = match side {
                Side::Asked => "is required now",
                Side::Answered | Side::Refused => "may be missing now",
            };
            found.add(&format!("{at}/{name}"), what);
        }
        for (name, before) in &was.properties {
            let at = format!("{at}/{name}");
            match is.properties.get(name) {
                None => found.add(&at, "the property is gone"),
                Some(now) => self.compare(side, &at, before, now, depth, found),
            }
        }
        for (keyword, place) in [("items", "[]"), ("additionalProperties", "/*")] {
            let member = |flat: &Flat| flat.keywords.get(keyword).cloned().unwrap_or(json!(true));
            let (before, now) = (member(&was), member(&is));
            if side == Side::Asked && now == false && before != false {
                found.add(at, "other properties are refused now");
            } else if before.is_object() || now.is_object() {
                let whole = |schema: Value| if schema.is_boolean() { json!({}) } else { schema };
                self.compare(
                    side,
                    &format!("{at}{place}"),
                    &whole(before),
                    &whole(now),
                    depth,
                    found,
                );
            }
        }
    }

    /// Each of the narrow side's variants has to be one of the wide side's.
    fn variants(
        self,
        side: Side,
        at: &str,
        was: &Flat,
        is: &Flat,
        depth: usize,
        found: &mut Findings,
    ) {
        let (was, is) = (was.alternatives(), is.alternatives());
        let fits = |before: &Value, now: &Value| {
            let mut differences = Findings::default();
            self.compare(side, "", before, now, depth, &mut differences);
            differences.0.is_empty()
        };
        let lost = match side {
            Side::Asked => was.iter().any(|before| !is.iter().any(|now| fits(before, now))),
            Side::Answered | Side::Refused => {
                is.iter().any(|now| !was.iter().any(|before| fits(before, now)))
            }
        };
        if lost {
            let what = match side {
                Side::Asked => "one of the forms it had is not taken any more",
                Side::Answered | Side::Refused => "it has a form that it had not",
            };
            found.add(at, what);
        }
    }
}

impl Flat {
    fn alternatives(&self) -> Vec<Value> {
        if self.variants.is_empty() {
            let mut whole = self.keywords.clone();
            let properties = self.properties.clone().into_iter().collect();
            whole.insert("properties".to_owned(), Value::Object(properties));
            whole.insert("required".to_owned(), json!(self.required));
            return vec![Value::Object(whole)];
        }
        self.variants.clone()
    }

    /// `None`: of any type.
    fn types(&self) -> Option<BTreeSet<&str>> {
        match self.keywords.get("type")? {
            Value::String(one) => Some([one.as_str()].into()),
            Value::Array(several) => Some(several.iter().filter_map(Value::as_str).collect()),
            _ => None,
        }
    }

    fn words(&self) -> Option<&Vec<Value>> {
        self.keywords.get("enum").and_then(Value::as_array)
    }

    fn number(&self, keyword: &str) -> Option<f64> {
        self.keywords.get(keyword).and_then(Value::as_f64)
    }
}

fn flat(document: &Value, schema: &Value, depth: usize) -> Flat {
    let mut whole = Flat::default();
    gather(document, schema, depth, &mut whole);
    whole
}

fn gather(document: &Value, schema: &Value, depth: usize, whole: &mut Flat) {
    let (Some(members), Some(depth)) = (schema.as_object(), depth.checked_sub(1)) else { return };
    for (keyword, value) in members {
        match keyword.as_str() {
            "$ref" => {
                let place = value.as_str().and_then(|text| text.strip_prefix('#'));
                if let Some(target) = place.and_then(|place| document.pointer(place)) {
                    gather(document, target, depth, whole);
                }
            }
            "allOf" => {
                for part in value.as_array().into_iter().flatten() {
                    gather(document, part, depth, whole);
                }
            }
            "oneOf" | "anyOf" => {
                whole.variants.extend(value.as_array().into_iter().flatten().cloned());
            }
            "properties" => {
                for (name, property) in value.as_object().into_iter().flatten() {
                    let known = whole.properties.remove(name);
                    let both = known.map(|known| json!({ "allOf": [known, property] }));
                    whole.properties.insert(name.clone(), both.unwrap_or_else(|| property.clone()));
                }
            }
            "required" => {
                let names = value.as_array().into_iter().flatten().filter_map(Value::as_str);
                whole.required.extend(names.map(str::to_owned));
            }
            _ => {
                whole.keywords.insert(keyword.clone(), value.clone());
            }
        }
    }
}

/// Whether the wide one holds the narrow one's values, but for their members.
fn values(side: Side, at: &str, wide: &Flat, narrow: &Flat, found: &mut Findings) {
    let change = match side {
        Side::Asked => "takes less than it did",
        Side::Answered | Side::Refused => "answers what it did not",
    };
    if let Some(allowed) = wide.types() {
        let holds = narrow.types().is_some_and(|given| {
            given
                .iter()
                .all(|it| allowed.contains(it) || (*it == "integer" && allowed.contains("number")))
        });
        if !holds {
            found.add(at, format!("by its types it {change}"));
        }
    }
    if let Some(allowed) = wide.words().filter(|_| side != Side::Refused) {
        let holds =
            narrow.words().is_some_and(|given| given.iter().all(|word| allowed.contains(word)));
        if !holds {
            found.add(at, format!("by its enumeration it {change}"));
        }
    }
    for keyword in LOWER {
        let (limit, given) = (wide.number(keyword), narrow.number(keyword));
        if limit.is_some_and(|limit| given.is_none_or(|given| given < limit)) {
            found.add(at, format!("by its {keyword} it {change}"));
        }
    }
    for keyword in UPPER {
        let (limit, given) = (wide.number(keyword), narrow.number(keyword));
        if limit.is_some_and(|limit| given.is_none_or(|given| given > limit)) {
            found.add(at, format!("by its {keyword} it {change}"));
        }
    }
    for keyword in ["pattern", "format", "const"] {
        let (allowed, given) = (wide.keywords.get(keyword), narrow.keywords.get(keyword));
        if allowed.is_some() && allowed != given {
            found.add(at, format!("by its {keyword} it {change}"));
        }
    }
}
