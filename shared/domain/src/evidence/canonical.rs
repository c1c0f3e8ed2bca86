//! The one text of a JSON value: what hashes are made of.
//!
//! It is RFC 8785 (JSON Canonicalization Scheme) narrowed to what cannot be read in two ways:
//! objects, arrays, strings, truth values, and whole numbers that every reader of JSON keeps exactly
//! (at most 2^53 - 1). No `null` and no fractions. No space between tokens; members sorted by their
//! names' UTF-16 code units; in strings only what JSON demands is escaped.

use serde_json::{Map, Number, Value};
use sha2::{Digest as _, Sha256};

use super::Hash;

/// The largest whole number that a double holds exactly, with every smaller one.
const MAX_WHOLE: u64 = (1 << 53) - 1;

/// A value that has no canonical text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCanonical {
    #[error("it holds null")]
    Null,
    #[error("it holds the number {0}, which is not whole or too large")]
    Number(String),
}

/// # Errors
/// When the value holds `null`, a fraction or a number above 2^53 - 1.
pub fn canonical(value: &Value) -> Result<String, NotCanonical> {
    let mut text = String::new();
    write(value, &mut text)?;
    Ok(text)
}

/// SHA-256 over the canonical text.
///
/// # Errors
/// As [`canonical`].
pub fn hash(value: &Value) -> Result<Hash, NotCanonical> {
    canonical(value).map(|text| hash_of(text.as_bytes()))
}

/// SHA-256 over bytes.
pub fn hash_of(bytes: &[u8]) -> Hash {
    Hash::from_bytes(Sha256::digest(bytes).into())
}

fn write(value: &Value, text: &mut String) -> Result<(), NotCanonical> {
    match value {
        Value::Null => return Err(NotCanonical::Null),
        Value::Bool(truth) => text.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&whole(number)?),
        // Its escapes are those of RFC 8785: the short ones, and \u00xx in lower case.
        Value::String(_) => text.push_str(&value.to_string()),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(item, text)?;
            }
            text.push(']');
        }
        Value::Object(members) => write_members(members, text)?,
    }
    Ok(())
}

fn write_members(members: &Map<String, Value>, text: &mut String) -> Result<(), NotCanonical> {
    let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
    sorted.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
    text.push('{');
    for (index, (name, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&Value::from(name.as_str()).to_string());
        text.push(':');
        write(value, text)?;
    }
    text.push('}');
    Ok(())
}

fn whole(number: &Number) -> Result<String, NotCanonical> {
    let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    match size {
        Some(size) if size <= MAX_WHOLE => Ok(number.to_string()),
        _ => Err(NotCanonical::Number(number.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_sorted_and_nothing_is_between_tokens() {
        let value = json!({ "b": [1, -2, true, false], "a": { "z": "", "y": {} }, "": [] });
        let text = canonical(&value).unwrap();
        assert_eq!(text, r#"{"":[],"a":{"y":{},"z":""},"b":[1,-2,true,false]}"#);
        assert_eq!(canonical(&serde_json::from_str(&text).unwrap()).unwrap(), text);
    }

    /// The example of RFC 8785, section 3.2.3: by UTF-16 code units, not by characters.
    #[test]
    fn names_are_sorted_by_code_units() {
        let names = ["\u{20ac}", "\r", "\u{fb33}", "1", "\u{1f600}", "\u{80}", "\u{f6}"];
        let value: Map<String, Value> =
            names.iter().map(|name| ((*name).to_owned(), json!(1))).collect();
        let text = canonical(&Value::Object(value)).unwrap();
        let expected = "{\"\\r\":1,\"1\":1,\"\u{80}\":1,\"\u{f6}\":1,\"\u{20ac}\":1,\"\u{1f600}\":1,\"\u{fb33}\":1}";
        assert_eq!(text, expected);
    }

    #[test]
    fn strings_are_escaped_as_little_as_can_be() {
        let text = canonical(&json!("\u{8}\t\n\u{c}\r\"\\/\u{1f}\u{7f}\u{2028}é")).unwrap();
        assert_eq!(text, "\"\\b\\t\\n\\f\\r\\\"\\\\/\\u001f\u{7f}\u{2028}é\"");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        assert_eq!(canonical(&json!([null])), Err(NotCanonical::Null));
        for number in [json!(1.5), json!(1.0), json!(1u64 << 53), json!(i64::MIN), json!(1e300)] {
            assert!(matches!(canonical(&number), Err(NotCanonical::Number(_))), "{number}");
        }
        assert_eq!(canonical(&json!((1u64 << 53) - 1)).unwrap(), "9007199254740991");
        assert_eq!(canonical(&json!(-((1i64 << 53) - 1))).unwrap(), "-9007199254740991");
    }
}
