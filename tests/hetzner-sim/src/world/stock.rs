//! What is left of each type in each location.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::catalogue::{Location, ServerType};
use super::error::ApiError;

/// How an offer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Supply {
    /// As many as one likes.
    Plenty,
    /// So many more, then out.
    Left(u32),
    /// None, and the catalogue says so.
    Out,
    /// Listed as available, yet refused: the account is throttled or the
    /// list is behind. [observed]
    OutUnseen,
    /// Available, but no host keeps the group's members apart.
    PlacementError,
}

/// All offers that are not plenty.
#[derive(Debug, Clone, Default)]
pub struct Stock(BTreeMap<(u64, u64), Supply>);

impl Stock {
    /// How the offer stands.
    pub fn supply(&self, server_type: u64, location: u64) -> Supply {
        self.0.get(&(server_type, location)).copied().unwrap_or(Supply::Plenty)
    }

    /// Sets it.
    pub fn set(&mut self, server_type: u64, location: u64, supply: Supply) {
        self.0.insert((server_type, location), supply);
    }

    /// What the catalogue says of it. [documented] `available` tells of stock
    pub fn is_listed(&self, server_type: &ServerType, location: &Location) -> bool {
        server_type.deprecation.is_none()
            && !matches!(self.supply(server_type.id, location.id), Supply::Out | Supply::Left(0))
    }

    /// Whether one can be had now.
    ///
    /// # Errors
    /// `resource_unavailable` or `placement_error`.
    pub fn check(&self, server_type: &ServerType, location: &Location) -> Result<(), ApiError> {
        match self.supply(server_type.id, location.id) {
            Supply::Plenty | Supply::Left(1..) => Ok(()),
            // [documented] codes; [observed] 412 for the first.
            Supply::Out | Supply::OutUnseen | Supply::Left(0) => Err(ApiError::new(
                "resource_unavailable",
                format!("no {} available in {} right now", server_type.name, location.name),
            )),
            Supply::PlacementError => {
                Err(ApiError::new("placement_error", "error during placement: no host fits"))
            }
        }
    }

    /// Counts one down.
    pub fn use_one(&mut self, server_type: u64, location: u64) {
        if let Some(Supply::Left(left)) = self.0.get_mut(&(server_type, location)) {
            *left = left.saturating_sub(1);
        }
    }

    /// All that was set.
    pub fn entries(&self) -> impl Iterator<Item = (u64, u64, Supply)> + '_ {
        self.0.iter().map(|((server_type, location), supply)| (*server_type, *location, *supply))
    }
}
