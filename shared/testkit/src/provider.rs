//! A cloud in memory: the Hetzner simulator's own world behind the provider port, without the wire.
//!
//! Names, locks, protection, quotas, stock, budgets, actions and late landings are the simulator's;
//! what an answer means is classified as the real adapter does it. The cloud keeps its own books,
//! and they are the judge of duplicates and orphans.

mod books;
mod check;
mod cloud;
mod controls;
mod inventory;
mod port;
mod session;
mod view;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use hetzner_sim::Access;
use nodeyard_domain::{
    connection::{ConnectionName, ManagedKey},
    observation::ProviderFailure,
    pace::SeenRate,
};

pub use self::books::{Books, MadeServer};
use self::cloud::Cloud;
use crate::{
    clock::SimulatedClock, defects::Defect, faults::Faults, held, secrets::MemorySecrets,
    store::MemoryStore,
};

/// The project that everything happens in unless another is named.
pub const PROJECT: &str = "main";
/// A token that reads and writes that project from the start.
pub const TOKEN: &str = "token-of-main";

/// The public half of the key that is managed from the start, as OpenSSH writes it.
pub(crate) const PUBLIC_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOrPkIC+HDkPNds5Qag2QmrYMWBRYhgAkFH/IXjpGn12 nodeyard";

/// What happens to one create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateFault {
    /// The server is made and the answer is lost.
    AnswerLost,
    /// The answer is lost and nothing was made.
    Dropped,
    /// The answer is lost, and the server is made this many seconds later.
    LandsLate(i64),
    Refused(ProviderFailure),
    /// The worker's code panics in the middle of the call.
    Panics,
    /// The server is made, and its action ends in an error.
    ActionFails,
    /// The server is made and stays `initializing`; its action never ends.
    Stuck,
    /// The server is made, and the answer cannot be read.
    Unreadable,
}

/// The cloud as one process sees it. Clones are the same process.
#[derive(Debug, Clone)]
pub struct MemoryProvider {
    /// The process' clock; the cloud goes by the time without a skew.
    clock: SimulatedClock,
    secrets: MemorySecrets,
    faults: Faults,
    defect: Option<Defect>,
    /// Our own records: only a defect looks into them.
    records: MemoryStore,
    cloud: Arc<Mutex<Cloud>>,
    seen: Arc<Mutex<BTreeMap<ConnectionName, SeenRate>>>,
}

impl MemoryProvider {
    /// An empty cloud that knows [`TOKEN`]; connections' tokens are read from `secrets`.
    pub fn new(clock: SimulatedClock, secrets: MemorySecrets) -> Self {
        Self::seeded(clock, secrets, 1)
    }

    /// The same, with ids that follow from `seed`.
    pub fn seeded(clock: SimulatedClock, secrets: MemorySecrets, seed: u64) -> Self {
        let mut cloud = Cloud::new(seed, clock.true_millis());
        cloud.add_token(TOKEN, PROJECT, Access::ReadWrite);
        Self {
            clock,
            secrets,
            faults: Faults::none(),
            defect: None,
            records: MemoryStore::default(),
            cloud: Arc::new(Mutex::new(cloud)),
            seen: Arc::default(),
        }
    }

    /// The same cloud for another process: with its own clock, its own view of the secrets and of
    /// the rate budget, and with faults and a defect.
    pub fn for_process(
        &self,
        clock: SimulatedClock,
        secrets: MemorySecrets,
        faults: Faults,
        defect: Option<(Defect, MemoryStore)>,
    ) -> Self {
        let (defect, records) = match defect {
            Some((defect, records)) => (Some(defect), records),
            None => (None, MemoryStore::default()),
        };
        let cloud = Arc::clone(&self.cloud);
        Self { clock, secrets, faults, defect, records, cloud, seen: Arc::default() }
    }

    /// Makes the managed key in [`PROJECT`], as connecting does. The same key when it is there.
    pub fn managed_key(&self) -> ManagedKey {
        self.cloud().managed_key("nodeyard-main", PUBLIC_KEY, 1)
    }

    /// The same for a version that is known.
    pub fn managed_key_again(&self, name: &str, key: &ManagedKey) -> ManagedKey {
        self.cloud().managed_key(name, &key.public_key, key.version)
    }

    /// The cloud, brought up to the time.
    fn cloud(&self) -> std::sync::MutexGuard<'_, Cloud> {
        let mut cloud = held(&self.cloud);
        cloud.advance(self.clock.true_millis());
        cloud
    }

    fn lacks(&self, safeguard: Defect) -> bool {
        self.defect == Some(safeguard)
    }
}
