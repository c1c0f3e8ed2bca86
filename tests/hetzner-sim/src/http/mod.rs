//! HTTP: connections, the pipeline of one request, and reading what it asks.

pub(crate) mod answer;
mod body;
mod decide;
mod fields;
mod firewall_body;
mod query;
mod request;
mod route;
pub(crate) mod serve;
