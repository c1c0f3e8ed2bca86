//! What all faults that hit one call come to.

use std::time::Duration;

use serde_json::{Map, Value};

use super::Fault;
use super::rewrite::Rewrite;
use crate::settings::span;
use crate::world::Twist;
use crate::world::action::Failure;
use crate::world::error::ApiError;

/// How a call ends instead of with its answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// The connection is closed.
    Closed,
    /// With an error.
    Refused(ApiError),
    /// With a body that is cut off.
    CutOff,
}

/// What goes wrong with one call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Kinds of the faults, for the journal.
    pub names: Vec<&'static str>,
    /// A wait before anything happens.
    pub delay_before: Duration,
    /// A wait before the answer.
    pub delay_after: Duration,
    /// It does not happen, and ends so.
    pub instead: Option<Ending>,
    /// It happens so much later, and the answer is a 504.
    pub later: Option<Duration>,
    /// It happens, and ends so.
    pub after: Option<Ending>,
    /// How what happens is bent.
    pub twist: Twist,
    rewrites: Vec<Rewrite>,
}

impl Plan {
    /// Takes one more fault in. Of two that end the call the first one wins.
    pub fn add(&mut self, fault: &Fault) {
        self.names.push(fault.kind());
        match fault {
            Fault::Drop => self.end(false, Ending::Closed),
            Fault::AnswerLost => self.end(true, Ending::Closed),
            Fault::BadGateway { effect } => self.end(*effect, refused("bad_gateway")),
            Fault::Timeout { effect } => self.end(*effect, refused("timeout")),
            Fault::LandsLate { after_secs } => {
                self.later.get_or_insert(span(*after_secs));
            }
            Fault::Slow { secs, before: true } => self.delay_before += span(*secs),
            Fault::Slow { secs, .. } => self.delay_after += span(*secs),
            Fault::RateLimited => self.end(false, refused("rate_limit_exceeded")),
            Fault::Error { status, code, message, details, effect } => {
                let mut refusal = ApiError::new(code, message.as_str());
                refusal.details = details.clone();
                if let Some(status) = status {
                    refusal = refusal.with_status(*status);
                }
                self.end(*effect, Ending::Refused(refusal));
            }
            Fault::Unreadable => self.end(true, Ending::CutOff),
            Fault::ActionFails { code, message } => {
                self.twist
                    .failure
                    .get_or_insert(Failure { code: code.clone(), message: message.clone() });
            }
            Fault::ServerStuck => self.twist.stuck = true,
            Fault::UnknownEnum { pointers, value } if pointers.is_empty() => {
                self.rewrites.push(Rewrite::AllEnums(value.clone()));
            }
            Fault::UnknownEnum { pointers, value } => {
                let value = Value::String(value.clone());
                let fields: Map<String, Value> =
                    pointers.iter().map(|pointer| (pointer.clone(), value.clone())).collect();
                self.rewrites.push(Rewrite::Set(fields));
            }
            Fault::RemoveFields { pointers } => {
                self.rewrites.push(Rewrite::Remove(pointers.clone()));
            }
            Fault::SetFields { fields } => self.rewrites.push(Rewrite::Set(fields.clone())),
        }
    }

    fn end(&mut self, with_effect: bool, ending: Ending) {
        let place = if with_effect { &mut self.after } else { &mut self.instead };
        place.get_or_insert(ending);
    }

    /// Changes the body of an answer.
    pub fn rewrite(&self, body: &mut Value) {
        for rewrite in &self.rewrites {
            rewrite.apply(body);
        }
    }
}

fn refused(code: &str) -> Ending {
    let message = match code {
        "rate_limit_exceeded" => "limit of requests reached",
        "bad_gateway" => "bad gateway",
        _ => "the request took too long",
    };
    Ending::Refused(ApiError::new(code, message))
}
