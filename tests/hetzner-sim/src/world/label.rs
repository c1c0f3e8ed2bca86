//! Labels: which are allowed, and which a selector picks.

use super::error::ApiError;
use super::operation::Labels;

/// A parsed selector: all its requirements must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    Has(String),
    Lacks(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl Selector {
    /// Reads `k=v`, `k==v`, `k!=v`, `k in (a,b)`, `k notin (a,b)`, `k`, `!k`,
    /// joined by commas. [documented]
    ///
    /// # Errors
    /// `invalid_input` about `label_selector`.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let refuse = || ApiError::invalid("label_selector", format!("invalid selector '{text}'"));
        let mut requirements = Vec::new();
        for part in split_outside_brackets(text) {
            let part = part.trim();
            if part.is_empty() {
                return if text.trim().is_empty() { Ok(Self(requirements)) } else { Err(refuse()) };
            }
            requirements.push(requirement(part).ok_or_else(refuse)?);
        }
        Ok(Self(requirements))
    }

    /// Whether all requirements hold.
    pub fn picks(&self, labels: &Labels) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::Has(key) => labels.contains_key(key),
            Requirement::Lacks(key) => !labels.contains_key(key),
            Requirement::In(key, values) => {
                labels.get(key).is_some_and(|value| values.contains(value))
            }
            // [assumed] a thing without the key is picked too.
            Requirement::NotIn(key, values) => {
                !labels.get(key).is_some_and(|value| values.contains(value))
            }
        })
    }
}

fn split_outside_brackets(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut from) = (0_u32, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

fn requirement(part: &str) -> Option<Requirement> {
    if let Some((key, value)) = part.split_once("!=") {
        return Some(Requirement::NotIn(key_of(key)?, vec![value_of(value)?]));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Some(Requirement::In(key_of(key)?, vec![value_of(value)?]));
    }
    if let Some(key) = part.strip_prefix('!') {
        return Some(Requirement::Lacks(key_of(key)?));
    }
    let Some((head, list)) = part.split_once('(') else {
        return Some(Requirement::Has(key_of(part)?));
    };
    let values: Option<Vec<String>> = list.strip_suffix(')')?.split(',').map(value_of).collect();
    let mut words = head.split_whitespace();
    let (key, operator) = (key_of(words.next()?)?, words.next()?);
    match (operator, words.next()) {
        ("in", None) => Some(Requirement::In(key, values?)),
        ("notin", None) => Some(Requirement::NotIn(key, values?)),
        _ => None,
    }
}

fn key_of(text: &str) -> Option<String> {
    let text = text.trim();
    check_key(text).is_ok().then(|| text.to_owned())
}

fn value_of(text: &str) -> Option<String> {
    let text = text.trim();
    is_name(text, true).then(|| text.to_owned())
}

/// Refuses labels outside the documented character set. [documented]
///
/// # Errors
/// `invalid_input` about `labels`.
pub fn check(labels: &Labels) -> Result<(), ApiError> {
    for (key, value) in labels {
        check_key(key).map_err(|why| ApiError::invalid("labels", format!("key '{key}': {why}")))?;
        // [documented] the prefix is reserved; that using it is refused is
        // [assumed].
        if key.starts_with("hetzner.cloud/") {
            return Err(ApiError::invalid(
                "labels",
                format!("key '{key}': the prefix hetzner.cloud/ is reserved"),
            ));
        }
        if !is_name(value, true) {
            return Err(ApiError::invalid(
                "labels",
                format!("value '{value}' of key '{key}' is not allowed"),
            ));
        }
    }
    Ok(())
}

fn check_key(key: &str) -> Result<(), &'static str> {
    let name = match key.split_once('/') {
        None => key,
        Some((prefix, name)) => {
            let is_domain = prefix.len() <= 253
                && prefix.split('.').all(|label| is_name(label, false) && !label.contains('_'));
            if !is_domain {
                return Err("the prefix is not a DNS name");
            }
            name
        }
    };
    if is_name(name, false) { Ok(()) } else { Err("the name is not allowed") }
}

/// Up to 63 letters, digits, `-`, `_` and `.`, a letter or digit at each end.
fn is_name(text: &str, may_be_empty: bool) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return may_be_empty;
    };
    bytes.len() <= 63
        && first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Labels, Selector, check};

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn each_form_of_selector_picks_and_leaves() {
        let web = labels(&[("env", "prod"), ("example.com/role", "web"), ("flag", "")]);
        for picking in [
            "",
            "env=prod",
            "env==prod",
            "env!=test",
            "other!=x",
            "env in (test, prod)",
            "env notin (test)",
            "flag",
            "flag=",
            "!other",
            "env=prod,example.com/role=web",
        ] {
            assert!(Selector::parse(picking).unwrap().picks(&web), "{picking}");
        }
        for leaving in [
            "env=test",
            "env!=prod",
            "env in (a,b)",
            "env notin (prod,b)",
            "other",
            "!env",
            "env=prod,other",
        ] {
            assert!(!Selector::parse(leaving).unwrap().picks(&web), "{leaving}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in ["=", "a in b", "a in (b", "a within (b)", "a=b,", ",", "a=b c", "-a"] {
            assert!(Selector::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn labels_keep_to_their_character_set() {
        let longest = "k".repeat(63);
        assert!(check(&labels(&[(&longest, "v"), ("a.b/c_d", ""), ("just-a-key", "x.y")])).is_ok());
        let too_long = "k".repeat(64);
        for (key, value) in [
            (too_long.as_str(), ""),
            ("", "v"),
            ("-a", "v"),
            ("a/b/c", "v"),
            ("a b", "v"),
            ("k", "v v"),
            ("k", "-v"),
            ("k", too_long.as_str()),
            ("hetzner.cloud/x", "v"),
            ("ä", "v"),
        ] {
            assert!(check(&labels(&[(key, value)])).is_err(), "{key}={value}");
        }
    }
}
