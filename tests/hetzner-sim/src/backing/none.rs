//! No machines at all: the API behaves, nothing boots, nothing can be reached.

use std::future::ready;

use super::{Backing, BackingFuture, BackingInfo, MachineSpec, Power};

/// The backing for tests that need no machine, and for hosts that can run none.
#[derive(Debug, Clone)]
pub struct NoMachines {
    note: String,
}

impl NoMachines {
    /// `note` says why there are no machines, for a person to read.
    pub fn new(note: impl Into<String>) -> Self {
        Self { note: note.into() }
    }
}

impl Default for NoMachines {
    fn default() -> Self {
        Self::new("no machines: servers exist in the API only and cannot be reached")
    }
}

impl Backing for NoMachines {
    fn info(&self) -> BackingInfo {
        BackingInfo { backing: "none", netns: None, real: false, note: self.note.clone() }
    }

    fn create(&self, _spec: MachineSpec) -> BackingFuture<'_> {
        Box::pin(ready(Ok(())))
    }

    fn power(&self, _id: u64, _power: Power) -> BackingFuture<'_> {
        Box::pin(ready(Ok(())))
    }

    fn rebuild(&self, _id: u64) -> BackingFuture<'_> {
        Box::pin(ready(Ok(())))
    }

    fn destroy(&self, _id: u64) -> BackingFuture<'_> {
        Box::pin(ready(Ok(())))
    }

    fn shut_down(&self) -> BackingFuture<'_> {
        Box::pin(ready(Ok(())))
    }
}
