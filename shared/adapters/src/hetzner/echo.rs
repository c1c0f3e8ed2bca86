//! Takes out of an answer what was sent to get it: an error may repeat the request, and its words
//! end up in job records, timelines and answers.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

const REMOVED: &str = "[removed]";
/// What a private key says of itself; user data holds one.
const KEY: &str = "PRIVATE KEY";

/// The body of an error without the token and without private keys. A body that is not JSON is
/// never quoted, and stays as it is.
pub(super) fn without_echo(body: Vec<u8>, token: &SecretString) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Value>(&body) else { return body };
    let changed = clean(&mut value, token.expose_secret());
    if changed { value.to_string().into_bytes() } else { body }
}

fn clean(value: &mut Value, token: &str) -> bool {
    match value {
        Value::String(text) if text.contains(KEY) => {
            *text = REMOVED.to_owned();
            true
        }
        Value::String(text) if text.contains(token) => {
            *text = text.replace(token, REMOVED);
            true
        }
        Value::Array(values) => {
            values.iter_mut().fold(false, |changed, value| clean(value, token) | changed)
        }
        Value::Object(fields) => {
            fields.values_mut().fold(false, |changed, value| clean(value, token) | changed)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cleaned(body: &Value, token: &str) -> Value {
        let token = SecretString::from(token.to_owned());
        serde_json::from_slice(&without_echo(body.to_string().into_bytes(), &token)).unwrap()
    }

    #[test]
    fn what_was_sent_is_taken_out_wherever_it_stands() {
        let token = r#"to"k\en/"#;
        let body = json!({ "error": {
            "code": token, "message": format!("not with {token}, {token}"),
            "details": { "fields": [{ "name": "user_data", "messages": [
                "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNza",
            ] }] },
        } });
        let expected = json!({ "error": {
            "code": REMOVED, "message": format!("not with {REMOVED}, {REMOVED}"),
            "details": { "fields": [{ "name": "user_data", "messages": [REMOVED] }] },
        } });
        assert_eq!(cleaned(&body, token), expected);
    }

    #[test]
    fn everything_else_stays_byte_for_byte() {
        let token = SecretString::from("token".to_owned());
        for body in ["{ \"error\":  {\"code\": \"locked\"} }", "<html>token</html>", ""] {
            assert_eq!(without_echo(body.into(), &token), body.as_bytes());
        }
    }
}
