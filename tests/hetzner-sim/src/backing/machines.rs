//! The backing with real machines.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use super::engine::Engine;
use super::ground::Ground;
use super::machine::Machine;
use super::{Backing, BackingError, BackingFuture, BackingInfo, MachineSpec, Power};
use crate::lab;

/// The image that there is a root file system for.
const IMAGE: &str = "debian-13";

/// Address of the machine made on trial, outside of what servers are given.
const TRIAL: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 254);

/// One machine, and the order of what is done to it.
type Slot = Arc<tokio::sync::Mutex<Machine>>;

/// All machines of a run.
pub(crate) struct Machines {
    ground: Arc<Ground>,
    engine: Engine,
    note: String,
    slots: Mutex<HashMap<u64, Slot>>,
}

impl Machines {
    /// No machines yet. `note` says why this backing was chosen.
    pub(crate) fn new(ground: Ground, engine: Engine, note: String) -> Self {
        let ground = Arc::new(ground);
        Self { ground, engine, note, slots: Mutex::default() }
    }

    /// Boots a machine and removes it, to see whether this host can: no look at
    /// its parts tells as much.
    ///
    /// # Errors
    /// It does not boot.
    pub(crate) async fn try_one(&self) -> Result<(), BackingError> {
        let trial = MachineSpec {
            id: 0,
            name: "trial".to_owned(),
            ipv4: TRIAL,
            image: IMAGE.to_owned(),
            disk_gb: 1,
            location: String::new(),
            user_data: None,
            authorized_keys: Vec::new(),
        };
        self.create(trial).await?;
        self.destroy(0).await
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, id: u64) -> Option<Slot> {
        self.slots().get(&id).cloned()
    }

    async fn lay_down_and_start(&self, spec: MachineSpec) -> Result<(), BackingError> {
        if spec.image != IMAGE {
            return Err(BackingError::UnknownImage(spec.image));
        }
        let id = spec.id;
        let machine = Machine::new(Arc::clone(&self.ground), self.engine, spec);
        let slot = Arc::new(tokio::sync::Mutex::new(machine));
        // Held before others can see it: who destroys it now waits.
        let mut machine = Arc::clone(&slot).lock_owned().await;
        self.slots().insert(id, slot);
        let begun = machine.lay_down().await;
        let started = match begun {
            Ok(()) => machine.start().await,
            Err(error) => Err(error),
        };
        if started.is_err() {
            machine.remove().await?;
            self.slots().remove(&id);
        }
        started
    }
}

impl Backing for Machines {
    fn info(&self) -> BackingInfo {
        let netns = lab::path_of(&self.ground.stack.lab_name());
        BackingInfo {
            backing: self.engine.name(),
            netns: Some(netns.display().to_string()),
            real: true,
            note: self.note.clone(),
        }
    }

    fn create(&self, spec: MachineSpec) -> BackingFuture<'_> {
        Box::pin(self.lay_down_and_start(spec))
    }

    fn power(&self, id: u64, power: Power) -> BackingFuture<'_> {
        Box::pin(async move {
            let slot = self.slot(id).ok_or(BackingError::UnknownMachine(id))?;
            let mut machine = slot.lock().await;
            match power {
                Power::On if machine.is_on() => Ok(()),
                Power::On | Power::Reset => machine.start().await,
                Power::Off => machine.stop().await,
            }
        })
    }

    fn rebuild(&self, id: u64) -> BackingFuture<'_> {
        Box::pin(async move {
            let slot = self.slot(id).ok_or(BackingError::UnknownMachine(id))?;
            let mut machine = slot.lock().await;
            machine.remove().await?;
            machine.lay_down().await?;
            machine.start().await
        })
    }

    fn destroy(&self, id: u64) -> BackingFuture<'_> {
        Box::pin(async move {
            let Some(slot) = self.slot(id) else {
                return Ok(());
            };
            slot.lock().await.remove().await?;
            self.slots().remove(&id);
            Ok(())
        })
    }

    fn shut_down(&self) -> BackingFuture<'_> {
        Box::pin(async move {
            let slots: Vec<Slot> = self.slots().drain().map(|(_, slot)| slot).collect();
            let mut removals = JoinSet::new();
            for slot in slots {
                removals.spawn(async move { slot.lock().await.remove().await });
            }
            let mut outcome = Ok(());
            for removal in removals.join_all().await {
                outcome = outcome.and(removal);
            }
            outcome?;
            self.ground.take_up().await
        })
    }
}
