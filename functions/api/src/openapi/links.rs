//! Where an answer leads to: from accepted work to its job, and to what it is about.

use utoipa::openapi::{RefOr, link::Link, path::Operation};

use super::name;

/// Operation and status; what the link is called, the operation it leads to, that one's parameter,
/// and where in the answer its value is.
type Row = (&'static str, &'static str, [&'static str; 4]);

const JOB: [&str; 4] = ["job", "get_job", "id", "$response.body#/job/id"];
const TIMELINE: [&str; 4] = ["timeline", "job_timeline", "id", "$response.body#/job/id"];
const CANCEL: [&str; 4] = ["cancel", "cancel_job", "id", "$response.body#/job/id"];
const NODE: [&str; 4] = ["node", "get_node", "id", "$response.body#/node/id"];
const RELEASE: [&str; 4] = ["release", "release_node", "id", "$response.body#/node/id"];
const OF_ORPHAN: [&str; 4] = ["node", "get_node", "id", "$response.body#/node"];
const CONNECTION: [&str; 4] = ["connection", "get_provider", "name", "$response.body#/name"];
const CATALOG: [&str; 4] = ["catalog", "provider_catalog", "name", "$response.body#/name"];
const DELETE: [&str; 4] = ["delete", "delete_token", "id", "$response.body#/id"];

const ROWS: &[Row] = &[
    ("create_node", "202", JOB),
    ("create_node", "202", TIMELINE),
    ("create_node", "202", CANCEL),
    ("create_node", "202", NODE),
    ("create_node", "202", RELEASE),
    ("release_node", "202", JOB),
    ("release_node", "202", NODE),
    ("configure_node", "202", JOB),
    ("configure_node", "202", CANCEL),
    ("configure_node", "202", NODE),
    ("check_node", "202", JOB),
    ("check_node", "202", CANCEL),
    ("check_node", "202", NODE),
    ("smoke_node", "202", JOB),
    ("smoke_node", "202", CANCEL),
    ("smoke_node", "202", NODE),
    ("cancel_job", "202", JOB),
    ("rotate_key", "202", JOB),
    ("rotate_key", "202", CANCEL),
    ("remove_orphan", "202", OF_ORPHAN),
    ("put_provider", "201", CONNECTION),
    ("put_provider", "201", CATALOG),
    ("create_token", "201", DELETE),
];

/// Adds an operation's links to its responses.
pub fn add(operation: &mut Operation) {
    let from = name(operation).to_owned();
    for (_, status, [link, to, parameter, value]) in ROWS.iter().filter(|row| row.0 == from) {
        if let Some(RefOr::T(response)) = operation.responses.responses.get_mut(*status) {
            let made = Link::builder().operation_id(*to).parameter(*parameter, *value).build();
            response.links.insert((*link).to_owned(), RefOr::T(made));
        }
    }
}
