//! The API in memory, one file per endpoint.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod audit;
mod audit_changes;
mod audit_refusals;
mod catalog;
mod gateway;
mod health;
mod hostile;
mod jobs_cancel;
mod jobs_get;
mod jobs_history;
mod jobs_list;
mod jwt;
mod nodes_configure;
mod nodes_create;
mod nodes_delete;
mod nodes_get;
mod nodes_look;
mod nodes_patch;
mod openapi;
mod orphans;
mod problems;
mod providers_check;
mod providers_delete;
mod providers_get;
mod providers_keys;
mod providers_put;
mod providers_rotate;
mod support;
mod tokens;
