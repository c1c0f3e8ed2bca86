//! Reads what the readiness probes found from what their playbook reported.

use nodeyard_domain::{
    code::Code,
    readiness::{Finding, ReadinessCode},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{failure::Failure, log::cut};

/// The name the playbook reports its findings under.
const REPORTED: &str = "readiness";
const MAX_FINDINGS: usize = 32;
const MAX_DETAIL_BYTES: usize = 500;

/// A finding as a template writes it: truth values may be texts.
#[derive(Deserialize)]
struct Raw {
    code: ReadinessCode,
    ok: Value,
    #[serde(default)]
    warning: Value,
    #[serde(default)]
    detail: Value,
}

/// The findings, as many as can be read.
///
/// # Errors
/// When there are none, or one cannot be read: a probe that is not understood has not passed.
pub(crate) fn findings(custom: &Map<String, Value>) -> Result<Vec<Finding>, Failure> {
    let refused =
        |what: &str| Failure::new(Code::AnsiblePlayError, format!("readiness.yml {what}"));
    let list = custom.get(REPORTED).and_then(Value::as_array);
    let list =
        list.filter(|list| !list.is_empty()).ok_or_else(|| refused("reported no findings"))?;
    list.iter()
        .take(MAX_FINDINGS)
        .map(|item| {
            let raw = Raw::deserialize(item).map_err(|error| {
                refused(&format!("reported a finding that cannot be read: {error}"))
            })?;
            let detail = match &raw.detail {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            };
            Ok(Finding {
                code: raw.code,
                ok: is_true(&raw.ok),
                warning: is_true(&raw.warning),
                detail: cut(&detail, MAX_DETAIL_BYTES).to_owned(),
            })
        })
        .collect()
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(truth) => *truth,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Vec<Finding>, Failure> {
        findings(value.as_object().unwrap())
    }

    #[test]
    fn findings_are_read_as_templates_write_them() {
        let found = read(json!({ "readiness": [
            { "code": "disk_low", "ok": "True", "warning": "False", "detail": 17 },
            { "code": "reboot_required", "ok": false, "warning": true, "detail": "kernel" },
        ]}))
        .unwrap();
        assert!(found[0].ok && !found[0].warning && found[0].detail == "17");
        assert!(!found[1].ok && found[1].warning);
    }

    #[test]
    fn what_is_not_understood_has_not_passed() {
        for wrong in [
            json!({}),
            json!({ "readiness": [] }),
            json!({ "readiness": "ok" }),
            json!({ "readiness": [{ "code": "mood", "ok": true }] }),
            json!({ "readiness": [{ "code": "disk_low" }] }),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
        let odd = read(json!({ "readiness": [{ "code": "disk_low", "ok": 1 }] })).unwrap();
        assert!(!odd[0].ok);
    }
}
