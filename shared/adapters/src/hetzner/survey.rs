//! What a project holds that is not ours, before it is connected.

use nodeyard_domain::{observation::ProviderFailure, ownership::LABEL_DEPLOYMENT};
use nodeyard_engine::provider::Survey;
use serde_json::Value;

use super::{session::Line, transport::Call};

/// Calls that a survey makes.
pub(super) const CALLS: i64 = 2;

pub(super) async fn survey(
    line: &mut Line<'_>,
    deployment: &str,
) -> Result<Survey, ProviderFailure> {
    let all: Value = line.send(&Call::get("/servers").page(1, 1)).await?.json()?;
    let others = Call::get("/servers")
        .query("label_selector", format!("{LABEL_DEPLOYMENT},{LABEL_DEPLOYMENT}!={deployment}"))
        .page(1, 1);
    let others: Value = line.send(&others).await?.json()?;
    let labels = others.pointer("/servers/0/labels");
    let other = labels.and_then(|labels| labels.get(LABEL_DEPLOYMENT)?.as_str());
    Ok(Survey {
        servers: all.pointer("/meta/pagination/total_entries").and_then(Value::as_u64),
        other_deployment: other.filter(|name| *name != deployment).map(str::to_owned),
    })
}
