//! Lists: `?limit=&cursor=` in, `{items, next}` out.

use axum::extract::{FromRequestParts, Query};
use http::{Uri, request::Parts};
use nodeyard_engine::store::{Page, PageRequest};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

use crate::{
    code::ApiCode,
    problem::{Fault, Place, Problem},
};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 100;

/// Query parameters of a route. Unknown ones are refused where `T` refuses them.
#[derive(Debug)]
pub struct Params<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Query::try_from_uri(&parts.uri).map(|Query(params)| Self(params)).map_err(|rejection| {
            Problem::new(ApiCode::InvalidQuery, what_is_wrong(&rejection.body_text()))
        })
    }
}

/// What the deserializer says, without what the caller wrote.
fn what_is_wrong(told: &str) -> String {
    if told.contains(": unknown field `") {
        // The names that follow are ours; the caller's is in front of them.
        let known = told.rsplit_once("expected ").map_or("none", |(_, names)| names);
        return format!("There is no such parameter; expected {known}.");
    }
    // Only a parameter that is known comes as far as having a value.
    let name = told.split(": ").nth(1).filter(|name| {
        (1..=20).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    });
    format!("{} cannot be read.", name.unwrap_or("The query"))
}

/// The parameters of a list that has no filter.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// The most items of one page.
    #[param(minimum = 1, maximum = 100, default = 50)]
    pub limit: Option<usize>,
    /// Taken from the `next` of the page before.
    pub cursor: Option<String>,
}

impl ListQuery {
    /// # Errors
    /// `invalid_query` for a limit out of range.
    pub fn page(self) -> Result<PageRequest, Problem> {
        page_request(self.limit, self.cursor)
    }
}

/// # Errors
/// `invalid_query` for a limit out of range.
pub fn page_request(limit: Option<usize>, cursor: Option<String>) -> Result<PageRequest, Problem> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        Ok(PageRequest { cursor, limit })
    } else {
        Err(invalid_parameter("limit", &format!("has to be 1 to {MAX_LIMIT}")))
    }
}

pub fn invalid_parameter(name: &str, detail: &str) -> Problem {
    let place = Place::Parameter(name.into());
    let fault = Fault { place, code: ApiCode::InvalidQuery, detail: detail.into() };
    Problem {
        faults: vec![fault],
        ..Problem::new(ApiCode::InvalidQuery, format!("{name} {detail}."))
    }
}

/// One page, as it is answered.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListView<T> {
    pub items: Vec<T>,
    /// A relative link to the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> ListView<T> {
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }

    /// The page with a link that keeps every other parameter of the request.
    pub fn of<U>(page: Page<U>, uri: &Uri, view: impl Fn(U) -> T) -> Self {
        let next = page.next.map(|cursor| {
            let kept = uri
                .query()
                .unwrap_or_default()
                .split('&')
                .filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
            let cursor = format!("cursor={}", percent_encode(&cursor));
            let query: Vec<&str> = kept.chain([cursor.as_str()]).collect();
            format!("{}?{}", uri.path(), query.join("&"))
        });
        Self { items: page.items.into_iter().map(view).collect(), next }
    }
}

/// Cursors are opaque, so whatever they hold has to survive a query string.
fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_the_query_is_told_without_the_callers_words() {
        let told = |query: &str| {
            let uri: Uri = format!("/nodes?{query}").parse().unwrap();
            what_is_wrong(&Query::<ListQuery>::try_from_uri(&uri).unwrap_err().body_text())
        };
        let unknown = "There is no such parameter; expected `limit` or `cursor`.";
        assert_eq!(told("colour=red"), unknown);
        assert_eq!(told("%1b[2J=1"), unknown);
        assert_eq!(told("x%60,%20expected%20%3Cb%3E=1"), unknown);
        assert_eq!(told("limit=%3Cb%3E"), "limit cannot be read.");
        assert_eq!(told("limit=1&limit=2"), "The query cannot be read.");
    }
}
