//! Changing answers: fields taken out, values nobody has heard of.

use serde_json::{Map, Value};

/// One change of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rewrite {
    /// Every enumerated value becomes this one.
    AllEnums(String),
    /// These values, by pointer.
    Set(Map<String, Value>),
    /// These fields go.
    Remove(Vec<String>),
}

/// Fields whose values the contract enumerates.
const ENUMERATED: [&str; 8] = [
    "status",
    "type",
    "architecture",
    "os_flavor",
    "storage_type",
    "cpu_type",
    "assignee_type",
    "direction",
];

impl Rewrite {
    pub(super) fn apply(&self, body: &mut Value) {
        match self {
            Self::AllEnums(value) => set_enums(body, value),
            Self::Set(fields) => {
                for (pointer, value) in fields {
                    at(body, pointer, &mut |holder, key| {
                        holder.insert(key.to_owned(), value.clone());
                    });
                }
            }
            Self::Remove(pointers) => {
                for pointer in pointers {
                    at(body, pointer, &mut |holder, key| {
                        holder.remove(key);
                    });
                }
            }
        }
    }
}

fn set_enums(body: &mut Value, value: &str) {
    match body {
        Value::Object(object) => {
            for (key, inner) in object {
                if inner.is_string() && ENUMERATED.contains(&key.as_str()) {
                    *inner = Value::String(value.to_owned());
                } else {
                    set_enums(inner, value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|inner| set_enums(inner, value)),
        _ => {}
    }
}

/// Calls `change` with each object that holds the end of `pointer`.
fn at(body: &mut Value, pointer: &str, change: &mut dyn FnMut(&mut Map<String, Value>, &str)) {
    let words: Vec<&str> = pointer.trim_start_matches('/').split('/').collect();
    walk(body, &words, change);
}

fn walk(body: &mut Value, words: &[&str], change: &mut dyn FnMut(&mut Map<String, Value>, &str)) {
    match (body, words) {
        (Value::Object(object), [last]) => change(object, last),
        (Value::Object(object), [word, rest @ ..]) => {
            if let Some(inner) = object.get_mut(*word) {
                walk(inner, rest, change);
            }
        }
        (Value::Array(list), ["*", rest @ ..]) => {
            for inner in list {
                walk(inner, rest, change);
            }
        }
        (Value::Array(list), [word, rest @ ..]) => {
            let at = word.parse::<usize>().ok();
            if let Some(inner) = at.and_then(|at| list.get_mut(at)) {
                walk(inner, rest, change);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::Rewrite;

    #[test]
    fn pointers_reach_into_lists() {
        let mut body = json!({"servers": [{"image": {"os": 1}}, {"image": {"os": 2}}]});
        Rewrite::Remove(vec!["/servers/*/image/os".to_owned()]).apply(&mut body);
        assert_eq!(body, json!({"servers": [{"image": {}}, {"image": {}}]}));
        let fields: Map<String, Value> =
            [("/servers/1/image".to_owned(), Value::Null)].into_iter().collect();
        Rewrite::Set(fields).apply(&mut body);
        assert_eq!(body, json!({"servers": [{"image": {}}, {"image": null}]}));
    }

    #[test]
    fn all_enumerated_values_change_and_no_others() {
        let mut body = json!({"server": {"status": "off", "name": "off", "image": {"type": null}}});
        Rewrite::AllEnums("x".to_owned()).apply(&mut body);
        assert_eq!(
            body,
            json!({"server": {"status": "x", "name": "off", "image": {"type": null}}})
        );
    }
}
