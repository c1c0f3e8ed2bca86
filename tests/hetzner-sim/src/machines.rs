//! Carries the world's orders to the backing, and the ends back.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::backing::{Backing, BackingError, Power};
use crate::shared::Shared;
use crate::world::MachineOrder;

type Letter = (u64, MachineOrder);

/// Where orders go in.
pub(crate) struct Orders(mpsc::UnboundedSender<Letter>);

impl Orders {
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Letter>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    pub fn send(&self, action: u64, order: MachineOrder) {
        // The driver ends only when the simulator does.
        let _ = self.0.send((action, order));
    }
}

/// Carries orders out: those of one machine in turn, others side by side.
pub(crate) async fn drive(
    shared: Weak<Shared>,
    backing: Arc<dyn Backing>,
    mut orders: mpsc::UnboundedReceiver<Letter>,
) {
    let mut last_of_machine: HashMap<u64, Running> = HashMap::new();
    while let Some((action, order)) = orders.recv().await {
        last_of_machine.retain(|_, running| !running.0.is_finished());
        let earlier = last_of_machine.remove(&order.server());
        let server = order.server();
        let (shared, backing) = (shared.clone(), Arc::clone(&backing));
        let task = tokio::spawn(async move {
            if let Some(mut earlier) = earlier {
                let _ = (&mut earlier.0).await;
            }
            let result = carry_out(backing.as_ref(), order).await;
            if let Err(reason) = &result {
                tracing::warn!(server, action, %reason, "a machine did not follow its server");
            }
            if let Some(shared) = shared.upgrade() {
                shared.enter(|state| {
                    state.world.machine_done(action, result.map_err(|reason| reason.to_string()));
                });
            }
        });
        last_of_machine.insert(server, Running(task));
    }
}

/// A task that ends with its owner, so that none outlives the simulator.
struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn carry_out(backing: &dyn Backing, order: MachineOrder) -> Result<(), BackingError> {
    match order {
        MachineOrder::Create { spec, leave_off } => {
            let id = spec.id;
            backing.create(spec).await?;
            if leave_off {
                backing.power(id, Power::Off).await?;
            }
            Ok(())
        }
        MachineOrder::Power { server, power } => backing.power(server, power).await,
        MachineOrder::Rebuild { server } => backing.rebuild(server).await,
        MachineOrder::Destroy { server } => backing.destroy(server).await,
    }
}
