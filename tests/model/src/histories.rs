//! Records of jobs and nodes in every interesting state, as a release wrote them. Later releases
//! read them and bring the jobs to their end.

pub mod finish;
pub mod folder;
pub mod script;
pub mod states;

use nodeyard_domain::{job::Job, node::Node};
use serde::{Deserialize, Serialize};

/// One moment of one job, with its node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    pub job: Job,
    pub node: Node,
}
