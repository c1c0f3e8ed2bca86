//! Starting a simulator, and the handle to one that runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::actor::{AutoActor, Deed};
use crate::backing::{BackingError, BackingInfo};
use crate::config::{SimulatorConfig, TokenSpec};
use crate::faults::{ArmedFault, FaultSpec};
use crate::http::serve::serve;
use crate::journal::{Counts, Entry, Filter};
use crate::machines::{Orders, drive};
use crate::settings::{Settings, SettingsError};
use crate::shared::Shared;
use crate::world::World;
use crate::world::error::ApiError;
use crate::world::stock::Supply;

/// How often a world on the machine's clock looks for what is due. Requests
/// bring it up to date by themselves; this is for what machines wait for.
const TICK: Duration = Duration::from_millis(50);

/// The simulator, before it runs.
#[derive(Debug, Clone, Copy)]
pub struct Simulator;

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address could not be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
}

impl Simulator {
    /// Starts one; it runs until [`RunningSimulator::shut_down`], or until the
    /// handle is dropped, which leaves machines to the backing's own care.
    ///
    /// # Errors
    /// The address is taken or not ours.
    pub async fn start(config: SimulatorConfig) -> Result<RunningSimulator, StartError> {
        let address = config.listen;
        let listening = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) =
            listening.await.map_err(|source| StartError::Listen { address, source })?;
        let (orders, letters) = Orders::channel();
        let shared = Arc::new(Shared::new(config, orders));
        let (stop, stopped) = watch::channel(false);
        let driver =
            tokio::spawn(drive(Arc::downgrade(&shared), Arc::clone(&shared.backing), letters));
        let ticker = shared.clock.follows_machine().then(|| {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let mut ticks = tokio::time::interval(TICK);
                loop {
                    ticks.tick().await;
                    shared.enter(|_| ());
                }
            })
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared), stopped));
        Ok(RunningSimulator {
            shared,
            address,
            stop,
            server: Some(server),
            others: [Some(driver), ticker].into_iter().flatten().collect(),
        })
    }
}

/// A simulator that runs. Every route of `/_sim/` is a method here.
pub struct RunningSimulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    server: Option<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
}

impl RunningSimulator {
    /// Such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a client takes as the API's address: [`Self::url`] and `/v1`.
    pub fn endpoint(&self) -> String {
        format!("{}/v1", self.url())
    }

    /// What stands behind the servers.
    pub fn backing(&self) -> BackingInfo {
        self.shared.backing.info()
    }

    /// Arms a fault; returns its id.
    pub fn arm(&self, fault: FaultSpec) -> u64 {
        self.shared.enter(|state| state.faults.arm(fault))
    }

    /// The faults that were armed, and how often each has hit.
    pub fn faults(&self) -> Vec<ArmedFault> {
        self.shared.enter(|state| state.faults.armed().to_vec())
    }

    /// Removes all faults.
    pub fn disarm_all(&self) {
        self.shared.enter(|state| state.faults.disarm(None));
    }

    /// The settings now.
    pub fn settings(&self) -> Settings {
        self.shared.enter(|state| state.world.settings().clone())
    }

    /// Changes the settings that `change` names, a JSON object.
    ///
    /// # Errors
    /// A field that does not exist, or a value out of range.
    pub fn change_settings(&self, change: &Value) -> Result<Settings, SettingsError> {
        self.shared.enter(|state| {
            let settings = state.world.settings().changed(change)?;
            state.world.set_settings(settings.clone());
            Ok(settings)
        })
    }

    /// Sets the supply of a type in a location, or wherever it is sold;
    /// returns how many offers were set.
    pub fn set_stock(&self, server_type: &str, location: Option<&str>, supply: Supply) -> usize {
        self.shared.enter(|state| state.set_stock(server_type, location, supply))
    }

    /// Knows a token from now on, in place of one of the same name.
    pub fn add_token(&self, token: TokenSpec) {
        self.shared.enter(|state| state.add_token(token));
    }

    /// Forgets a token; tells whether it was known.
    pub fn revoke_token(&self, name: &str) -> bool {
        self.shared.enter(|state| state.revoke_token(name))
    }

    /// Has the second actor do something.
    ///
    /// # Errors
    /// The refusal the API would send.
    pub fn act(&self, deed: Deed) -> Result<(), ApiError> {
        self.shared.enter(|state| state.act(deed))
    }

    /// Lets a second actor stir by itself, or stops it.
    pub fn set_auto_actor(&self, actor: Option<AutoActor>) {
        self.shared.enter(|state| state.world.set_auto_actor(actor));
    }

    /// Moves the clock forward and lets happen what is due.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
        self.shared.enter(|_| ());
    }

    /// Requests so far that fit.
    pub fn journal(&self, filter: &Filter) -> Vec<Entry> {
        self.shared.enter(|state| state.journal.entries(filter).cloned().collect())
    }

    /// Sums over the requests that fit.
    pub fn counts(&self, filter: &Filter) -> Counts {
        self.shared.enter(|state| state.journal.counts(filter, &state.world))
    }

    /// Forgets the requests so far.
    pub fn clear_journal(&self) {
        self.shared.enter(|state| state.journal.clear());
    }

    /// Looks at the world.
    pub fn world<R>(&self, look: impl FnOnce(&World) -> R) -> R {
        self.shared.enter(|state| look(&state.world))
    }

    /// Stops listening, lets requests that run end, and removes all machines.
    ///
    /// # Errors
    /// What the backing could not remove.
    pub async fn shut_down(mut self) -> Result<(), BackingError> {
        let _ = self.stop.send(true);
        if let Some(server) = self.server.take() {
            let _ = server.await;
        }
        self.abort();
        self.shared.backing.shut_down().await
    }

    fn abort(&mut self) {
        for task in self.server.take().into_iter().chain(self.others.drain(..)) {
            task.abort();
        }
    }
}

impl Drop for RunningSimulator {
    fn drop(&mut self) {
        self.abort();
    }
}
