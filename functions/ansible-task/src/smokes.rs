//! The smokes: what their playbook reports, step by step.

use nodeyard_domain::{code::Code, run::SmokeStep, smoke};
use nodeyard_engine::{Clock, store::RunStore};
use serde_json::{Map, Value};

use crate::{
    failure::Failure,
    log::cut,
    phases::{Progress, play},
    report::Report,
    site::Site,
};

const SMOKES: &str = "smokes";
/// More steps than both suites have, with their clean-up. What a node reports goes into the run's
/// record and the job's evidence: all of it together stays below 32 KB.
const MAX_STEPS: usize = 40;
const MAX_NAME_BYTES: usize = 64;
const MAX_TEXT_BYTES: usize = 300;

/// Runs the smokes and tells of each step.
///
/// # Errors
/// `SMOKE_FAILED` unless every step of the list was come to and passed.
pub(crate) async fn perform<S: RunStore, C: Clock>(
    site: &Site<'_>,
    progress: &mut Progress,
    report: &mut Report<'_, S, C>,
) -> Result<(), Failure> {
    let reported = play(site, SMOKES, progress, report).await?;
    let mut steps = steps(&reported)?;
    for step in &mut steps {
        let clean = |text: &str, most| cut(&report.redacted(text), most).to_owned();
        step.suite = clean(&step.suite, MAX_NAME_BYTES);
        step.step = clean(&step.step, MAX_NAME_BYTES);
        step.command = clean(&step.command, MAX_TEXT_BYTES);
        step.detail = clean(&step.detail, MAX_TEXT_BYTES);
        let mut text = format!("smoke {}.{}", step.suite, step.step);
        if !step.ok {
            text.push_str(&format!(" failed: {}: {}", step.command, step.detail));
        }
        let entry = report.entry(text).with("seconds", step.millis as f64 / 1000.0);
        report.note(entry.with("status", if step.ok { "ok" } else { "failed" }));
    }
    progress.smokes = steps;
    match smoke::fault(&progress.smokes) {
        None => Ok(()),
        Some(fault) => Err(Failure::new(Code::SmokeFailed, fault)),
    }
}

/// The steps, as many as can be read.
fn steps(custom: &Map<String, Value>) -> Result<Vec<SmokeStep>, Failure> {
    let refused =
        |what: String| Failure::new(Code::AnsiblePlayError, format!("smokes.yml reported {what}"));
    let list = custom.get(SMOKES).and_then(Value::as_array).filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| refused("no steps".to_owned()))?;
    let read = |item: &Value| {
        serde_json::from_value(item.clone())
            .map_err(|error| refused(format!("a step that cannot be read: {error}")))
    };
    list.iter().take(MAX_STEPS).map(read).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_understood_has_not_passed() {
        let step = json!({"suite": "site", "step": "s", "ok": true, "millis": 3,
            "command": "curl", "detail": ""});
        let read = |value: Value| steps(value.as_object().unwrap());
        assert_eq!(read(json!({ "smokes": [step] })).unwrap()[0].millis, 3);
        for wrong in [
            json!({}),
            json!({ "smokes": [] }),
            json!({ "smokes": "ok" }),
            json!({ "smokes": [step, { "suite": "site", "step": "s" }] }),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
