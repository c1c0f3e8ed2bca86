//! Placement groups: servers that share no host.

use super::create::is_over;
use super::error::ApiError;
use super::operation::{Kind, Labels, PlacementGroupDraft, Reply};
use super::{ProjectId, World};
use crate::clock::EpochMillis;

/// One placement group, always of type `spread`.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct PlacementGroup {
    pub id: u64,
    pub project: ProjectId,
    pub name: String,
    pub labels: Labels,
    pub created: EpochMillis,
}

impl World {
    pub(super) fn create_placement_group(
        &mut self,
        project: ProjectId,
        draft: &PlacementGroupDraft,
    ) -> Result<Reply, ApiError> {
        if self.name_is_taken(project, Kind::PlacementGroup, 0, &draft.name) {
            return Err(ApiError::not_unique("name", "name is already used"));
        }
        let groups = self.placement_groups.values();
        let held = groups.filter(|group| group.project == project).count();
        if is_over(self.settings.limits.placement_groups, held, 1) {
            return Err(ApiError::over_limit("placement_group_limit"));
        }
        let id = self.new_id();
        self.placement_groups.insert(
            id,
            PlacementGroup {
                id,
                project,
                name: draft.name.clone(),
                labels: draft.labels.clone(),
                created: self.now,
            },
        );
        // [documented] the action of this answer is optional
        Ok(Reply::Created(Kind::PlacementGroup, id, None))
    }

    /// The placement group with this id.
    pub fn placement_group(&self, id: u64) -> Option<&PlacementGroup> {
        self.placement_groups.get(&id)
    }
}
