//! Query strings of lists.

use crate::world::error::ApiError;
use crate::world::label::Selector;
use crate::world::operation::{Kind, ListQuery};

/// Pairs of a query string, in order, repeated ones kept.
pub type Pairs = [(String, String)];

/// Reads the query of a list.
///
/// # Errors
/// `invalid_input` about the parameter. [assumed] for all but the selector;
/// parameters that are not known are ignored. [assumed]
pub fn list_query(kind: Kind, pairs: &Pairs) -> Result<ListQuery, ApiError> {
    let mut query = ListQuery::default();
    for (key, value) in pairs {
        match key.as_str() {
            "name" => query.name = Some(value.clone()),
            "label_selector" => query.selector = Some(Selector::parse(value)?),
            "fingerprint" if kind == Kind::SshKey => query.fingerprint = Some(value.clone()),
            "ip" if kind == Kind::PrimaryIp => query.ip = Some(value.clone()),
            "status" => query.status.push(one_of(key, value, states(kind))?),
            "type" if kind == Kind::Image => {
                let types = &["system", "app", "snapshot", "backup"];
                query.types.push(one_of(key, value, types)?);
            }
            "type" if kind == Kind::PlacementGroup => {
                query.types.push(one_of(key, value, &["spread"])?);
            }
            "architecture" if kind == Kind::Image => {
                query.architecture = Some(one_of(key, value, &["x86", "arm"])?);
            }
            "include_deprecated" => {
                query.include_deprecated = one_of(key, value, &["true", "false"])? == "true";
            }
            "id" if kind == Kind::Action => query.ids.push(number(key, value)?),
            "sort" => query.sort.push(sort_key(kind, value)?),
            "page" => query.page = at_least_one(key, value)?,
            // [documented] 25 if absent, 50 at most; [assumed] more is cut.
            "per_page" => query.per_page = at_least_one(key, value)?.min(50),
            _ => {}
        }
    }
    Ok(query)
}

/// Ids of `GET /actions`.
///
/// # Errors
/// `invalid_input` without any: listing all is no more. [documented] that it
/// is gone; the code is [assumed].
pub fn action_ids(pairs: &Pairs) -> Result<Vec<u64>, ApiError> {
    let ids: Result<Vec<u64>, ApiError> = pairs
        .iter()
        .filter(|(key, _)| key == "id")
        .map(|(key, value)| number(key, value))
        .collect();
    match ids? {
        ids if ids.is_empty() => Err(ApiError::invalid("id", "at least one id is required")),
        ids => Ok(ids),
    }
}

fn states(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Action => &["running", "success", "error"],
        Kind::Image => &["available", "creating", "unavailable"],
        _ => &[
            "running",
            "initializing",
            "starting",
            "stopping",
            "off",
            "deleting",
            "migrating",
            "rebuilding",
            "unknown",
        ],
    }
}

fn sort_fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Server | Kind::Image | Kind::PlacementGroup | Kind::Firewall => {
            &["id", "name", "created"]
        }
        Kind::SshKey | Kind::Location | Kind::ServerType => &["id", "name"],
        Kind::PrimaryIp => &["id", "created"],
        Kind::Action => &["id", "command", "status", "started", "finished"],
    }
}

fn sort_key(kind: Kind, value: &str) -> Result<(String, bool), ApiError> {
    let (field, direction) = value.split_once(':').unwrap_or((value, "asc"));
    let field = one_of("sort", field, sort_fields(kind))?;
    let direction = one_of("sort", direction, &["asc", "desc"])?;
    Ok((field, direction == "desc"))
}

fn one_of(key: &str, value: &str, allowed: &[&str]) -> Result<String, ApiError> {
    if allowed.contains(&value) {
        Ok(value.to_owned())
    } else {
        Err(ApiError::invalid(key, format!("'{value}' is not allowed")))
    }
}

fn number(key: &str, value: &str) -> Result<u64, ApiError> {
    value.parse().map_err(|_| ApiError::invalid(key, format!("'{value}' is not a number")))
}

fn at_least_one(key: &str, value: &str) -> Result<usize, ApiError> {
    match value.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(ApiError::invalid(key, format!("'{value}' is not allowed"))),
    }
}
