//! The contract, made from the code: OpenAPI 3.1, served at `/openapi.json` and checked in.

use utoipa::{
    OpenApi,
    openapi::{
        Components, Content, OpenApi as Contract, Ref, RefOr, ResponseBuilder,
        path::{Operation, PathItem},
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use crate::problem::{FaultView, Place, ProblemView};

const SCHEME: &str = "token";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Nodeyard",
        description = "Acquires servers from a cloud provider and turns them into verified nodes. \
            Work is accepted with 202 and a job; poll the job, or hold the answer with `Prefer: wait`. \
            Every error is `application/problem+json` with a stable `code`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(ProblemView, FaultView, Place)),
    tags(
        (name = "providers", description = "Connections: one set of credentials for a provider each."),
        (name = "nodes", description = "Machines acquired from a connection."),
        (name = "jobs", description = "Accepted work and how it goes."),
        (name = "orphans", description = "Things at the provider that no record accounts for."),
        (name = "tokens", description = "Bearer API tokens, for admins."),
        (name = "audit", description = "Who did what, and what was refused; for admins."),
        (name = "health", description = "Liveness."),
    ),
)]
pub struct Base;

/// Adds what every operation has: the token, and problems as its errors.
pub fn complete(mut contract: Contract) -> Contract {
    let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    contract.components.get_or_insert_with(Components::new).add_security_scheme(SCHEME, token);
    for operation in contract.paths.paths.values_mut().flat_map(operations) {
        let problem = ResponseBuilder::new()
            .description("A problem (RFC 9457)")
            .content(
                "application/problem+json",
                Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem")))),
            )
            .build();
        operation.responses.responses.insert("default".to_owned(), RefOr::T(problem));
        operation
            .security
            .get_or_insert_with(|| vec![SecurityRequirement::new(SCHEME, Vec::<String>::new())]);
    }
    contract
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch]
        .into_iter()
        .flatten()
}
