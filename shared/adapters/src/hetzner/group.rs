//! Spread placement groups: made on demand, told apart from others' by our deployment's label.

use nodeyard_domain::{
    observation::{FailureClass, ProviderFailure},
    ownership::LABEL_DEPLOYMENT,
};
use nodeyard_engine::secrets::Secrets;

use super::{
    failure::unreadable,
    projection::{GroupView, loose_id, view},
    request,
    session::{Session, list},
    transport::Call,
};

type Result<T> = std::result::Result<T, ProviderFailure>;

/// Calls that making a group takes at most.
pub(super) const CALLS: usize = 2;

pub(super) async fn create<S: Secrets>(
    session: &mut Session<'_, S>,
    name: &str,
    deployment: &str,
) -> Result<u64> {
    let call = Call::post("/placement_groups", request::create_group(name, deployment)?);
    match session.write(&call).await {
        Ok(answer) => loose_id(answer.json()?.pointer("/placement_group/id"))
            .ok_or_else(|| unreadable("a placement group was accepted without an id")),
        Err(failure) if failure.class == FailureClass::NameTaken => {
            // Made before, and the answer got lost; or somebody else's.
            find(session, name, deployment).await?.ok_or(failure)
        }
        Err(failure) => Err(failure),
    }
}

async fn find<S: Secrets>(
    session: &mut Session<'_, S>,
    name: &str,
    deployment: &str,
) -> Result<Option<u64>> {
    let call = Call::get("/placement_groups").query("name", name);
    for entry in list(session, &call, "placement_groups").await? {
        let group: GroupView = view(entry, "a placement group")?;
        let labels = group.labels.unwrap_or_default();
        let is_ours = labels.get(LABEL_DEPLOYMENT).is_some_and(|label| label == deployment);
        if group.name == name && is_ours {
            return Ok(Some(group.id));
        }
    }
    Ok(None)
}
