//! SSH ports in memory: all answer but those that are said not to.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use nodeyard_engine::watch::Reach;

use crate::held;

/// Which addresses do not answer, and which were tried.
#[derive(Debug, Clone, Default)]
pub struct MemoryReach {
    silent: Arc<Mutex<BTreeSet<String>>>,
    tried: Arc<Mutex<Vec<String>>>,
}

impl MemoryReach {
    pub fn silence(&self, address: &str) {
        held(&self.silent).insert(address.to_owned());
    }

    pub fn tried(&self) -> Vec<String> {
        held(&self.tried).clone()
    }
}

impl Reach for MemoryReach {
    async fn answers(&self, address: &str) -> Option<bool> {
        held(&self.tried).push(address.to_owned());
        Some(!held(&self.silent).contains(address))
    }
}
