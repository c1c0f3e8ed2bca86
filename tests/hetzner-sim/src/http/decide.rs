//! What becomes of a request: who asks, may they, does it exist, is it right,
//! and what goes wrong.

use serde_json::Value;

use super::request::operation;
use super::route::Target;
use crate::clock::rfc3339_millis;
use crate::config::{Access, TokenSpec};
use crate::faults::{Ending, Plan, SeenCall};
use crate::journal::{Entry, Late, created_id};
use crate::render;
use crate::settings::{PermissionCheck, ReadonlyCode};
use crate::shared::State;
use crate::world::budget::Standing;
use crate::world::error::ApiError;
use crate::world::operation::{Operation, Reply};

/// A request as it was sent.
pub(crate) struct Call {
    pub method: String,
    pub path: String,
    pub query: String,
    pub pairs: Vec<(String, String)>,
    pub secret: Option<String>,
    pub body: Vec<u8>,
}

/// What is sent back.
pub(crate) enum Content {
    Closed,
    Empty(u16),
    Json(u16, String),
    UnknownPath,
}

/// The answer, with what goes into its headers.
pub(crate) struct Verdict {
    pub content: Content,
    pub correlation_id: String,
    pub standing: Option<Standing>,
}

/// What came of a request before faults have their say about the answer.
#[derive(Default)]
struct Course {
    token: Option<TokenSpec>,
    standing: Option<Standing>,
    reply: Option<Reply>,
    writes: bool,
    late: Option<Late>,
}

enum Stop {
    UnknownPath,
    Refused(ApiError),
    Ended(Ending),
}

impl From<ApiError> for Stop {
    fn from(refusal: ApiError) -> Self {
        Self::Refused(refusal)
    }
}

impl Call {
    /// The path below `/v1`, if it is there.
    fn resource(&self) -> Option<&str> {
        self.path.strip_prefix("/v1")
    }

    fn shown_path(&self) -> &str {
        self.resource().unwrap_or(&self.path)
    }

    fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    fn name(&self) -> Option<String> {
        Some(self.json()?.get("name")?.as_str()?.to_owned())
    }

    fn token<'a>(&self, state: &'a State) -> Option<&'a TokenSpec> {
        let secret = self.secret.as_deref()?;
        state.tokens.iter().find(|token| token.secret == secret)
    }

    /// What goes wrong with it.
    pub fn plan(&self, state: &mut State) -> Plan {
        let token = self.token(state).map(|token| token.name.clone());
        let name = self.name();
        state.faults.plan(SeenCall {
            method: &self.method,
            path: self.shown_path(),
            token: token.as_deref(),
            name: name.as_deref(),
        })
    }
}

/// Does what is asked and writes it down.
pub(crate) fn decide(state: &mut State, call: &Call, plan: &Plan) -> Verdict {
    let correlation_id = state.correlation_id();
    let seq = state.journal.next_seq();
    let mut course = Course { token: call.token(state).cloned(), ..Course::default() };
    let outcome = follow(state, call, plan, seq, &mut course);
    let (content, status, code) = match outcome {
        Ok(()) => success(state, plan, course.reply.as_ref()),
        Err(Stop::UnknownPath) => (Content::UnknownPath, Some(404), Some("not_found".to_owned())),
        Err(Stop::Refused(refusal)) => refused(plan, &refusal),
        Err(Stop::Ended(ending)) => ended(plan, ending, (500, None)),
    };
    state.journal.add(Entry {
        seq,
        at: rfc3339_millis(state.world.now()),
        method: call.method.clone(),
        path: call.shown_path().to_owned(),
        query: call.query.clone(),
        status,
        code,
        correlation_id: correlation_id.clone(),
        token: course.token.as_ref().map(|token| token.name.clone()),
        project: course.token.as_ref().map(|token| token.project.clone()),
        name: call.name(),
        effect: course.writes && course.reply.is_some(),
        created_id: course.reply.as_ref().and_then(created_id),
        late: course.late,
        faults: plan.names.clone(),
        body: call.json().map(without_user_data),
    });
    Verdict { content, correlation_id, standing: course.standing }
}

fn follow(
    state: &mut State,
    call: &Call,
    plan: &Plan,
    seq: u64,
    course: &mut Course,
) -> Result<(), Stop> {
    if let Some(ending) = &plan.instead {
        return Err(Stop::Ended(ending.clone()));
    }
    // [observed] an unknown path is 404 before the token is read.
    let target = call.resource().and_then(Target::of).ok_or(Stop::UnknownPath)?;
    let Some(token) = course.token.clone() else {
        return Err(unknown_token(state, call, course).into());
    };
    let (is_paid, standing) = state.world.spend(&token);
    course.standing = Some(standing);
    if !is_paid {
        return Err(over_rate().into());
    }
    if target == Target::Datacenters {
        // [documented] since 2026-10-01
        return Err(ApiError::new(
            "deprecated_api_endpoint",
            "this endpoint was removed, see the changelog",
        )
        .into());
    }
    // [observed] without a valid token this is a 401; with one it is a 405.
    // [documented]
    if !target.allows(&call.method) {
        return Err(ApiError::new("method_not_allowed", "method not allowed").into());
    }
    let parsed = operation(target, &call.method, &call.pairs, &call.body);
    if token.access == Access::ReadOnly && call.method != "GET" {
        return Err(refuse_write(state, &token, target, parsed).into());
    }
    let operation = parsed?;
    course.writes = operation.writes();
    let project = state.world.project(&token.project);
    if let Some(after) = plan.later {
        state.world.land_later(project, operation, seq, after);
        course.late = Some(Late::Pending);
        let refusal = ApiError::new("timeout", "the request took too long");
        return Err(Stop::Ended(Ending::Refused(refusal)));
    }
    let reply = state.world.perform(project, &operation, &plan.twist)?;
    course.reply = Some(reply);
    Ok(())
}

// [observed] both messages
fn unknown_token(state: &mut State, call: &Call, course: &mut Course) -> ApiError {
    let (is_paid, standing) = state.world.spend_unknown();
    course.standing = Some(standing);
    if !is_paid {
        return over_rate();
    }
    let message =
        if call.secret.is_some() { "the token provided is invalid" } else { "token is required" };
    ApiError::new("unauthorized", message)
}

fn over_rate() -> ApiError {
    ApiError::new("rate_limit_exceeded", "limit of requests reached")
}

/// What a token that may only read is told about a write.
fn refuse_write(
    state: &mut State,
    token: &TokenSpec,
    target: Target,
    parsed: Result<Operation, ApiError>,
) -> ApiError {
    let readonly = &state.world.settings().readonly;
    let code = match readonly.code {
        ReadonlyCode::TokenReadonly => "token_readonly",
        ReadonlyCode::Forbidden => "forbidden",
    };
    let refusal = ApiError::new(code, "token is only allowed to perform GET requests")
        .with_status(readonly.status);
    let project = state.world.project(&token.project);
    let earlier = match state.world.settings().permission_check {
        PermissionCheck::First => None,
        PermissionCheck::AfterExistence => {
            target.subject().and_then(|(kind, id)| state.world.require(project, kind, id).err())
        }
        // Tried on a copy, so that nothing comes of it.
        PermissionCheck::AfterValidation => parsed
            .and_then(|operation| {
                let mut copy = state.world.clone();
                copy.perform(project, &operation, &crate::world::Twist::default())
            })
            .err(),
    };
    earlier.unwrap_or(refusal)
}

type Outcome = (Content, Option<u16>, Option<String>);

fn success(state: &State, plan: &Plan, reply: Option<&Reply>) -> Outcome {
    let Some(reply) = reply else {
        return refused(plan, &ApiError::new("server_error", "no reply"));
    };
    let (status, body) = render::answer(&state.world, reply);
    let body = body.map(|mut body| {
        plan.rewrite(&mut body);
        body
    });
    match (&plan.after, body) {
        (Some(ending), body) => ended(plan, ending.clone(), (status, body)),
        (None, Some(body)) => (Content::Json(status, body.to_string()), Some(status), None),
        (None, None) => (Content::Empty(status), Some(status), None),
    }
}

/// A refusal of the world. A fault that ends the call with effect ends this
/// one, too: the caller cannot tell.
fn refused(plan: &Plan, refusal: &ApiError) -> Outcome {
    match &plan.after {
        Some(ending) => ended(plan, ending.clone(), (refusal.status, Some(refusal.body()))),
        None => (
            Content::Json(refusal.status, refusal.body().to_string()),
            Some(refusal.status),
            Some(refusal.code.clone()),
        ),
    }
}

fn ended(plan: &Plan, ending: Ending, right: (u16, Option<Value>)) -> Outcome {
    match ending {
        Ending::Closed => (Content::Closed, None, None),
        Ending::Refused(refusal) => {
            let mut body = refusal.body();
            plan.rewrite(&mut body);
            (
                Content::Json(refusal.status, body.to_string()),
                Some(refusal.status),
                Some(refusal.code),
            )
        }
        Ending::CutOff => {
            let (status, body) = right;
            let text = body.unwrap_or_default().to_string();
            let half: String = text.chars().take(text.len() / 2).collect();
            (Content::Json(status, half), Some(status), None)
        }
    }
}

fn without_user_data(mut body: Value) -> Value {
    if let Some(data) = body.get_mut("user_data") {
        *data = Value::String("(left out)".to_owned());
    }
    body
}
