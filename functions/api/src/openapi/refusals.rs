//! Which codes each operation can answer with. A test that gets another one fails.

use std::collections::BTreeMap;

use utoipa::openapi::{
    AllOfBuilder, Content, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Type,
    path::Operation,
};

use super::{examples, headers, name};
use crate::code::ApiCode::{self, *};

/// Of whatever takes a token.
const CALLER: &[ApiCode] = &[
    MissingToken,
    InvalidToken,
    TokenExpired,
    Forbidden,
    InternalError,
    IssuerUnavailable,
    StoreUnavailable,
];
const BODY: &[ApiCode] =
    &[InvalidJson, InvalidBody, UnknownField, BodyTooLarge, UnsupportedMediaType];
const KEY: &[ApiCode] = &[InvalidIdempotencyKey, IdempotencyKeyReused];
const LIST: &[ApiCode] = &[InvalidQuery, InvalidCursor];
/// Of a path with a name or an id in it; what is no text there is no request.
const CONNECTION: &[ApiCode] = &[InvalidRequest, ProviderNotFound];
const THING: &[ApiCode] = &[InvalidRequest, NotFound];

const REFUSALS: &[(&str, &[&[ApiCode]])] = &[
    ("list_providers", &[CALLER]),
    ("get_provider", &[CALLER, CONNECTION]),
    (
        "put_provider",
        &[
            CALLER,
            CONNECTION,
            BODY,
            &[ProjectAlreadyConnected, EditConflict, ProviderUnavailable],
            &[UnknownProvider, ProviderTokenRejected, TokenReadonly, DifferentProject],
        ],
    ),
    ("delete_provider", &[CALLER, CONNECTION, &[ConnectionInUse]]),
    ("provider_catalog", &[CALLER, CONNECTION, &[ProviderNotConnected, ProviderUnavailable]]),
    (
        "check_provider",
        &[CALLER, CONNECTION, BODY, &[ProjectAlreadyConnected, EditConflict, ProviderUnavailable]],
    ),
    (
        "rotate_key",
        &[
            CALLER,
            CONNECTION,
            KEY,
            BODY,
            &[RotationOpen, ProviderNotConnected, KeyVersionsInUse, EditConflict],
        ],
    ),
    ("list_nodes", &[CALLER, LIST]),
    (
        "create_node",
        &[
            CALLER,
            KEY,
            BODY,
            &[InvalidQuery, AcquisitionModeUnsupported, Ipv6OnlyUnsupported],
            &[ControlAddressUnknown, ConnectionRequired],
            &[ProviderNotConnected, SpendCapExceeded, PlacementUnavailable, NodeBusy],
            &[
                UnknownProfile,
                UnknownImage,
                UnknownServerType,
                UnknownLocation,
                PriceCeilingExceeded,
            ],
            &[ProviderUnavailable],
        ],
    ),
    ("get_node", &[CALLER, THING]),
    ("patch_node", &[CALLER, THING, BODY, &[EditConflict]]),
    ("release_node", &[CALLER, THING, KEY, &[NodeGone, EditConflict]]),
    ("configure_node", &[CALLER, THING, KEY, BODY, &[NodeBusy, NodeGone, NodeNotConfigurable]]),
    ("check_node", &[CALLER, THING, KEY, BODY, &[NodeBusy, NodeGone, NodeNotCheckable]]),
    ("smoke_node", &[CALLER, THING, KEY, BODY, &[NodeBusy, NodeGone, NodeNotReady]]),
    ("list_jobs", &[CALLER, LIST]),
    ("get_job", &[CALLER, THING]),
    ("job_timeline", &[CALLER, THING, LIST]),
    ("job_log", &[CALLER, THING, LIST]),
    ("job_evidence", &[CALLER, THING]),
    ("cancel_job", &[CALLER, THING, BODY, &[NotCancellable, EditConflict, VersionMismatch]]),
    ("list_orphans", &[CALLER]),
    (
        "remove_orphan",
        &[
            CALLER,
            THING,
            &[OrphanChanged, NodeBusy, ProviderRefused, ProviderTokenRejected, ProviderUnavailable],
        ],
    ),
    ("confirm_orphans", &[CALLER]),
    ("list_tokens", &[CALLER]),
    ("create_token", &[CALLER, BODY, &[BootstrapSpent]]),
    ("delete_token", &[CALLER, THING, &[LastAdminToken]]),
    ("list_audit", &[CALLER, LIST]),
];

/// Adds a response for each status among an operation's codes.
pub fn add(operation: &mut Operation) {
    for (status, codes) in by_status(name(operation)) {
        operation.responses.responses.insert(status.to_string(), RefOr::T(response(&codes)));
    }
}

fn by_status(operation: &str) -> BTreeMap<u16, Vec<ApiCode>> {
    let known = REFUSALS.iter().find(|(name, _)| *name == operation);
    let given = known.into_iter().flat_map(|(_, groups)| groups.iter().copied().flatten());
    let mut found: BTreeMap<u16, Vec<ApiCode>> = BTreeMap::new();
    for code in given {
        let codes = found.entry(code.status().as_u16()).or_default();
        if !codes.contains(code) {
            codes.push(*code);
        }
    }
    found
}

fn response(codes: &[ApiCode]) -> Response {
    let lines: Vec<String> =
        codes.iter().map(|code| format!("- `{}`: {}", code.as_str(), code.title())).collect();
    let words = codes.iter().map(|code| code.as_str());
    let code = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words));
    let schema = AllOfBuilder::new()
        .item(Ref::from_schema_name("Problem"))
        .item(ObjectBuilder::new().schema_type(Type::Object).property("code", code));
    let mut content = Content::new(Some(RefOr::<utoipa::openapi::Schema>::from(schema)));
    content.examples = codes.iter().map(|code| examples::reference(*code)).collect();
    let mut response = ResponseBuilder::new()
        .description(lines.join("\n"))
        .content("application/problem+json", content)
        .build();
    response.headers = headers::of_problem(codes);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_of_some_operation_or_of_no_route_at_all() {
        let listed: Vec<ApiCode> =
            REFUSALS.iter().flat_map(|(_, groups)| groups.concat()).collect();
        for code in ApiCode::ALL {
            assert_eq!(listed.contains(code), *code != MethodNotAllowed, "{code:?}");
        }
    }

    #[test]
    fn codes_are_told_under_their_status_and_once() {
        let found = by_status("cancel_job");
        let statuses: Vec<u16> = found.keys().copied().collect();
        assert_eq!(statuses, [400, 401, 403, 404, 409, 412, 413, 415, 500, 503]);
        assert_eq!(found[&409], [NotCancellable, EditConflict]);
        assert_eq!(found[&400], [InvalidRequest, InvalidJson, InvalidBody, UnknownField]);
    }
}
