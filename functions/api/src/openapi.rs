//! The contract, made from the code: OpenAPI 3.1, served at `/openapi.json` and checked in.
//!
//! The handlers say what they take and what they answer when all goes well; the parts of this
//! module add what is the same for many of them.

mod examples;
mod headers;
mod links;
mod parameters;
mod refusals;

use std::sync::OnceLock;

use axum::{Json, extract::State};
use utoipa::{
    OpenApi,
    openapi::{
        Components, OpenApi as Contract, RefOr, Required,
        path::{Operation, PathItem},
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::{Ports, Shared},
    contract,
    problem::{FaultView, ProblemView},
};

const SCHEME: &str = "token";
/// Operations whose body may be left out.
const OPTIONAL_BODIES: &[&str] = &["check_provider", "smoke_node"];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Nodeyard",
        description = "Acquires servers from a cloud provider and turns them into verified nodes. \
            Work is accepted with 202 and a job; poll the job, or hold the answer with `Prefer: wait`. \
            Every error is `application/problem+json` with a stable `code`; each operation lists \
            the codes it has. A route that is not here answers `not_found` (404), and a method that \
            a route does not have `method_not_allowed` (405).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(ProblemView, FaultView)),
    tags(
        (name = "providers", description = "Connections: one set of credentials for a provider each."),
        (name = "nodes", description = "Machines acquired from a connection."),
        (name = "jobs", description = "Accepted work and how it goes."),
        (name = "orphans", description = "Things at the provider that no record accounts for."),
        (name = "tokens", description = "Bearer API tokens, for admins."),
        (name = "audit", description = "Who did what, and what was refused; for admins."),
        (name = "health", description = "Liveness, and this document."),
    ),
)]
pub struct Base;

pub fn routes<P: Ports>() -> OpenApiRouter<Shared<P>> {
    OpenApiRouter::new().routes(routes!(openapi_document))
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "health", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
async fn openapi_document<P: Ports>(State(_app): State<Shared<P>>) -> Json<&'static Contract> {
    // The same for all ports: they are no part of it.
    static DOCUMENT: OnceLock<Contract> = OnceLock::new();
    Json(DOCUMENT.get_or_init(contract::<P>))
}

/// Adds what the handlers do not say themselves: the token, limits of parameters, problems,
/// headers, links and examples.
pub fn complete(mut contract: Contract) -> Contract {
    for (path, item) in &mut contract.paths.paths {
        for operation in operations(item) {
            operation.security.get_or_insert_with(|| {
                vec![SecurityRequirement::new(SCHEME, Vec::<String>::new())]
            });
            if OPTIONAL_BODIES.contains(&name(operation))
                && let Some(RefOr::T(body)) = &mut operation.request_body
            {
                body.required = Some(Required::False);
            }
            parameters::limit(path, operation);
            refusals::add(operation);
            headers::complete(operation);
            links::add(operation);
            examples::add(operation);
        }
    }
    let components = contract.components.get_or_insert_with(Components::new);
    components.add_security_scheme(SCHEME, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    components.examples.extend(examples::problems());
    contract
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch]
        .into_iter()
        .flatten()
}

/// The handler's name.
fn name(operation: &Operation) -> &str {
    operation.operation_id.as_deref().unwrap_or_default()
}
