//! Problem answers (RFC 9457). A handler gives a [`Problem`]; the outermost layer turns it into
//! bytes, because only there the request's id is known.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use nodeyard_domain::observation::{FailureClass, ProviderFailure};
use nodeyard_engine::{
    secrets::SecretsError,
    store::{PageError, StoreError},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::code::ApiCode;

/// Where a fault is: in the body, by JSON pointer, or in a named query parameter or header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A JSON pointer (RFC 6901) into the body.
    Pointer(String),
    Parameter(String),
    Header(String),
}

/// One fault of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub place: Place,
    pub code: ApiCode,
    /// Never repeats a value the caller sent: it may be a secret.
    pub detail: String,
}

/// A refusal, as a handler gives it.
#[derive(Debug, Clone)]
pub struct Problem {
    pub code: ApiCode,
    pub detail: String,
    pub guidance: Option<String>,
    pub faults: Vec<Fault>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The caller may not see what it asked for, and is told that it is not there. Only the audit
    /// trail knows.
    pub unseen: bool,
}

/// Seconds after which a request that met an outage is worth another try.
const RETRY_AFTER_OUTAGE: HeaderValue = HeaderValue::from_static("5");

impl Problem {
    pub fn new(code: ApiCode, detail: impl Into<String>) -> Self {
        let headers = match code.status() {
            StatusCode::UNAUTHORIZED => {
                vec![(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))]
            }
            StatusCode::SERVICE_UNAVAILABLE => vec![(header::RETRY_AFTER, RETRY_AFTER_OUTAGE)],
            _ => Vec::new(),
        };
        let (detail, guidance, faults) = (detail.into(), None, Vec::new());
        Self { code, detail, guidance, faults, headers, unseen: false }
    }

    /// A problem with one fault in the body.
    pub fn at(pointer: &str, code: ApiCode, detail: &str) -> Self {
        let fault = Fault { place: Place::Pointer(pointer.into()), code, detail: detail.into() };
        Self { faults: vec![fault], ..Self::new(code, detail) }
    }

    #[must_use]
    pub fn guided(mut self, guidance: impl Into<String>) -> Self {
        self.guidance = Some(guidance.into());
        self
    }

    #[must_use]
    pub fn unseen(mut self) -> Self {
        self.unseen = true;
        self
    }

    pub fn not_found(what: &str) -> Self {
        Self::new(ApiCode::NotFound, format!("There is no such {what}."))
    }

    /// What the provider's refusal of a call that was made for this request means to the caller.
    pub fn of_provider(failure: &ProviderFailure) -> Self {
        match failure.class {
            FailureClass::Unauthorized => {
                Self::new(ApiCode::ProviderTokenRejected, "The provider does not accept the token.")
                    .guided(
                        "Make a read-write API token in the provider's console and store that one.",
                    )
            }
            FailureClass::RateLimited => {
                Self::new(ApiCode::ProviderUnavailable, "The project's rate limit is used up.")
                    .guided("Look for other programs that use the same project, then try again.")
            }
            _ => Self::new(
                ApiCode::ProviderUnavailable,
                format!("The provider answered {}.", failure.code),
            )
            .guided("Check the provider's status page, then try again."),
        }
    }

    pub(crate) fn into_bytes(self, request_id: &str) -> Response {
        let (status, own) = (self.code.status(), self.headers.clone());
        let mut response = (status, axum::Json(self.view(request_id))).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(own);
        response
    }

    pub(crate) fn view(self, request_id: &str) -> ProblemView {
        ProblemView {
            r#type: format!("urn:nodeyard:problem:{}", self.code.as_str()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: self.detail,
            code: self.code.as_str(),
            request_id: request_id.to_owned(),
            guidance: self.guidance,
            errors: self.faults.into_iter().map(FaultView::from).collect(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        match error {
            StoreError::Unavailable(_) => {
                Self::new(ApiCode::StoreUnavailable, "Nothing was accepted; try again.")
            }
            StoreError::TooLarge { .. } => {
                Self::new(ApiCode::BodyTooLarge, "The record would be too large to keep.")
            }
            StoreError::Unreadable { .. } => {
                Self::new(ApiCode::InternalError, "A stored record cannot be read.")
            }
        }
    }
}

impl From<PageError> for Problem {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Cursor => {
                let detail = "Start again without a cursor, or follow the `next` link.";
                let place = Place::Parameter("cursor".into());
                let fault =
                    Fault { place, code: ApiCode::InvalidCursor, detail: "cannot be read".into() };
                Self { faults: vec![fault], ..Self::new(ApiCode::InvalidCursor, detail) }
            }
            PageError::Store(error) => error.into(),
        }
    }
}

impl From<SecretsError> for Problem {
    fn from(error: SecretsError) -> Self {
        tracing::error!(%error, "the secret store failed");
        match error {
            SecretsError::Missing(_) => {
                Self::new(ApiCode::InternalError, "A secret that should exist is missing.")
            }
            SecretsError::Unavailable(_) => {
                Self::new(ApiCode::StoreUnavailable, "The secret store did not answer; try again.")
            }
        }
    }
}

/// Gathers all faults of a body, so that the caller learns of them together.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub fn add(&mut self, pointer: impl Into<String>, code: ApiCode, detail: impl Into<String>) {
        self.0.push(Fault { place: Place::Pointer(pointer.into()), code, detail: detail.into() });
    }

    /// Nothing, or one problem: under the faults' own code if they share one.
    pub fn into_result(self) -> Result<(), Problem> {
        let Some(first) = self.0.first() else { return Ok(()) };
        let shared = self.0.iter().all(|fault| fault.code == first.code);
        let code = if shared { first.code } else { ApiCode::InvalidBody };
        let detail = match self.0.as_slice() {
            [only] => only.detail.clone(),
            more => format!("{} faults, see errors.", more.len()),
        };
        Err(Problem { faults: self.0, ..Problem::new(code, detail) })
    }
}

/// The body of a problem answer (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemView {
    /// `urn:nodeyard:problem:` and the code.
    r#type: String,
    /// What the code stands for; the same each time.
    #[schema(value_type = String)]
    title: &'static str,
    status: u16,
    /// About this occurrence.
    detail: String,
    /// Stable; match on this.
    #[schema(value_type = String, example = "invalid_body")]
    code: &'static str,
    /// Name it when you ask for help; also in the `x-request-id` header.
    request_id: String,
    /// What you can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    guidance: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FaultView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Fault)]
pub(crate) struct FaultView {
    /// Where in the body it is: a JSON pointer (RFC 6901). One of the three is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    /// The query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    #[schema(value_type = String)]
    code: &'static str,
    detail: String,
}

impl From<Fault> for FaultView {
    fn from(fault: Fault) -> Self {
        let (code, detail) = (fault.code.as_str(), fault.detail);
        let nowhere = Self { pointer: None, parameter: None, header: None, code, detail };
        match fault.place {
            Place::Pointer(at) => Self { pointer: Some(at), ..nowhere },
            Place::Parameter(name) => Self { parameter: Some(name), ..nowhere },
            Place::Header(name) => Self { header: Some(name), ..nowhere },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_fails_tells_the_caller_whether_to_come_again() {
        let shown = |error: StoreError| {
            let problem = Problem::from(error);
            let text = format!("{problem:?}");
            assert!(!text.contains("inner"), "what the store says is for the log: {text}");
            (problem.code, problem.headers.len())
        };
        let unavailable = StoreError::Unavailable("inner".into());
        assert_eq!(shown(unavailable), (ApiCode::StoreUnavailable, 1));
        let large = StoreError::TooLarge { key: "inner".into(), bytes: 1 << 20 };
        assert_eq!(shown(large), (ApiCode::BodyTooLarge, 0));
        let unreadable = StoreError::Unreadable { key: "inner".into(), reason: "inner".into() };
        assert_eq!(shown(unreadable), (ApiCode::InternalError, 0));
    }
}
