//! Faults: what is to go wrong, with which call.

mod plan;
mod rewrite;

pub use plan::{Ending, Plan};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What is to go wrong, with which call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// Calls it is for; absent: all.
    #[serde(default, rename = "match")]
    pub calls: CallMatch,
    /// The first call that fits to be hit, from 1.
    #[serde(default = "one")]
    pub nth: u32,
    /// How many calls are hit from there on; `null`: all.
    #[serde(default = "once")]
    pub times: Option<u32>,
    /// What goes wrong.
    pub fault: Fault,
}

fn one() -> u32 {
    1
}

#[allow(clippy::unnecessary_wraps)] // the type of the field
fn once() -> Option<u32> {
    Some(1)
}

impl FaultSpec {
    /// Hits the next call of `method` to exactly `path`, once.
    pub fn next(method: &str, path: &str, fault: Fault) -> Self {
        Self {
            calls: CallMatch {
                method: Some(method.to_owned()),
                path: Some(path.to_owned()),
                ..CallMatch::default()
            },
            nth: 1,
            times: Some(1),
            fault,
        }
    }
}

/// Which calls; every field that is there must fit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallMatch {
    /// Such as `POST`.
    pub method: Option<String>,
    /// The whole path without `/v1`; `*` stands for one segment.
    pub path: Option<String>,
    /// How the path without `/v1` begins.
    pub path_prefix: Option<String>,
    /// Name of the token.
    pub token: Option<String>,
    /// `name` in the body.
    pub name: Option<String>,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The connection is closed before anything happened.
    Drop,
    /// It happened, then the connection is closed without an answer.
    AnswerLost,
    /// 502.
    BadGateway {
        /// Whether it happened all the same.
        #[serde(default)]
        effect: bool,
    },
    /// 504.
    Timeout {
        /// Whether it happened all the same.
        #[serde(default)]
        effect: bool,
    },
    /// 504, and it happens later.
    LandsLate {
        /// How much later.
        after_secs: f64,
    },
    /// The answer takes its time.
    Slow {
        /// How long.
        secs: f64,
        /// Whether the wait comes before the effect.
        #[serde(default)]
        before: bool,
    },
    /// 429.
    RateLimited,
    /// Any error.
    Error {
        /// HTTP status; absent: the usual one of the code.
        status: Option<u16>,
        /// Code in the envelope.
        code: String,
        /// Message in the envelope.
        #[serde(default)]
        message: String,
        /// Details in the envelope.
        #[serde(default)]
        details: Value,
        /// Whether it happened all the same.
        #[serde(default)]
        effect: bool,
    },
    /// It happened; the answer has the right status and an unreadable body.
    Unreadable,
    /// The action that is begun ends in an error.
    ActionFails {
        /// Code of the action's error.
        #[serde(default = "action_failed")]
        code: String,
        /// Its message.
        #[serde(default)]
        message: String,
    },
    /// The server that is made never leaves `initializing`.
    ServerStuck,
    /// Enumerated values in the answer are ones nobody knows.
    UnknownEnum {
        /// JSON pointers, `*` for every element; absent: all such values.
        #[serde(default)]
        pointers: Vec<String>,
        /// The value.
        #[serde(default = "unheard_of")]
        value: String,
    },
    /// Fields are missing in the answer.
    RemoveFields {
        /// JSON pointers, `*` for every element.
        pointers: Vec<String>,
    },
    /// Fields of the answer have other values.
    SetFields {
        /// Values by JSON pointer, `*` for every element.
        fields: Map<String, Value>,
    },
}

fn action_failed() -> String {
    "action_failed".to_owned()
}

fn unheard_of() -> String {
    "unheard_of".to_owned()
}

impl Fault {
    /// As it is written in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::AnswerLost => "answer_lost",
            Self::BadGateway { .. } => "bad_gateway",
            Self::Timeout { .. } => "timeout",
            Self::LandsLate { .. } => "lands_late",
            Self::Slow { .. } => "slow",
            Self::RateLimited => "rate_limited",
            Self::Error { .. } => "error",
            Self::Unreadable => "unreadable",
            Self::ActionFails { .. } => "action_fails",
            Self::ServerStuck => "server_stuck",
            Self::UnknownEnum { .. } => "unknown_enum",
            Self::RemoveFields { .. } => "remove_fields",
            Self::SetFields { .. } => "set_fields",
        }
    }
}

/// A call as faults see it.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct SeenCall<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub token: Option<&'a str>,
    pub name: Option<&'a str>,
}

/// A fault in waiting.
#[derive(Debug, Clone, Serialize)]
pub struct ArmedFault {
    /// Names it for removal.
    pub id: u64,
    /// Calls that fitted so far.
    pub seen: u32,
    /// Calls that were hit so far.
    pub hit: u32,
    /// What it is.
    #[serde(flatten)]
    pub spec: FaultSpec,
}

/// All faults in waiting.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    armed: Vec<ArmedFault>,
    last_id: u64,
}

impl Faults {
    /// Arms one; returns its id.
    pub fn arm(&mut self, spec: FaultSpec) -> u64 {
        self.last_id += 1;
        self.armed.push(ArmedFault { id: self.last_id, seen: 0, hit: 0, spec });
        self.last_id
    }

    /// All that were armed and not removed, spent ones too.
    pub fn armed(&self) -> &[ArmedFault] {
        &self.armed
    }

    /// Removes one, or all; returns how many.
    pub fn disarm(&mut self, id: Option<u64>) -> usize {
        let before = self.armed.len();
        self.armed.retain(|fault| id.is_some_and(|id| id != fault.id));
        before - self.armed.len()
    }

    /// What goes wrong with a call. Counts it.
    pub fn plan(&mut self, call: SeenCall<'_>) -> Plan {
        let mut plan = Plan::default();
        for armed in &mut self.armed {
            if !armed.spec.calls.fits(call) {
                continue;
            }
            armed.seen += 1;
            let is_due = armed.seen >= armed.spec.nth
                && armed.spec.times.is_none_or(|times| armed.hit < times);
            if is_due {
                armed.hit += 1;
                plan.add(&armed.spec.fault);
            }
        }
        plan
    }
}

impl CallMatch {
    fn fits(&self, call: SeenCall<'_>) -> bool {
        let is = |wanted: &Option<String>, value: Option<&str>| {
            wanted.is_none() || wanted.as_deref() == value
        };
        is(&self.method, Some(call.method))
            && is(&self.token, call.token)
            && is(&self.name, call.name)
            && self.path.as_deref().is_none_or(|pattern| same_path(pattern, call.path))
            && self.path_prefix.as_deref().is_none_or(|prefix| call.path.starts_with(prefix))
    }
}

fn same_path(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted == "*" || wanted == given => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::{Fault, FaultSpec, Faults, SeenCall, same_path};

    fn call<'a>(method: &'a str, path: &'a str) -> SeenCall<'a> {
        SeenCall { method, path, token: Some("main"), name: Some("web") }
    }

    #[test]
    fn the_second_and_third_call_that_fit_are_hit() {
        let mut faults = Faults::default();
        faults.arm(FaultSpec {
            nth: 2,
            times: Some(2),
            ..FaultSpec::next("POST", "/servers", Fault::Drop)
        });
        let hits: Vec<bool> = (0..5)
            .map(|_| {
                assert!(faults.plan(call("GET", "/servers")).names.is_empty());
                !faults.plan(call("POST", "/servers")).names.is_empty()
            })
            .collect();
        assert_eq!(hits, [false, true, true, false, false]);
    }

    #[test]
    fn paths_fit_by_segment() {
        assert!(same_path("/servers/*/actions/poweron", "/servers/7/actions/poweron"));
        assert!(!same_path("/servers", "/servers/7"));
        assert!(!same_path("/servers/*", "/servers"));
    }

    #[test]
    fn misspelt_faults_are_refused() {
        for spec in [
            json!({"fault": {"kind": "bad_gatewy"}}),
            json!({"fault": {"kind": "drop"}, "nht": 2}),
            json!({"fault": {"kind": "bad_gateway", "efect": true}}),
            json!({"fault": {"kind": "drop"}, "match": {"url": "/"}}),
        ] {
            assert!(serde_json::from_value::<FaultSpec>(spec.clone()).is_err(), "{spec}");
        }
        let spec: FaultSpec =
            serde_json::from_value(json!({"fault": {"kind": "slow", "secs": 2}})).unwrap();
        assert_eq!(spec.times, Some(1));
    }
}
