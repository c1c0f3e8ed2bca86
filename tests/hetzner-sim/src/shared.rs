//! The one place where world, faults, journal and clock meet.

use std::sync::{Arc, Mutex, PoisonError};

use crate::backing::Backing;
use crate::clock::Clock;
use crate::config::{SimulatorConfig, TokenSpec};
use crate::faults::Faults;
use crate::journal::Journal;
use crate::machines::Orders;
use crate::random::Random;
use crate::world::{Output, World};

/// Everything that changes.
pub(crate) struct State {
    pub world: World,
    pub tokens: Vec<TokenSpec>,
    pub faults: Faults,
    pub journal: Journal,
    /// Of its own, so that ids do not depend on how often was asked.
    correlation: Random,
}

/// What all requests share.
pub(crate) struct Shared {
    state: Mutex<State>,
    pub clock: Clock,
    pub backing: Arc<dyn Backing>,
    orders: Orders,
    pub seed: u64,
}

impl Shared {
    pub fn new(config: SimulatorConfig, orders: Orders) -> Self {
        let has_machines = config.backing.info().real;
        let mut world = World::new(config.seed, config.settings, has_machines, config.clock.now());
        for token in &config.tokens {
            world.project(&token.project);
        }
        Self {
            state: Mutex::new(State {
                world,
                tokens: config.tokens,
                faults: Faults::default(),
                journal: Journal::default(),
                correlation: Random::new(config.seed ^ 0x636f_7272),
            }),
            clock: config.clock,
            backing: config.backing,
            orders,
            seed: config.seed,
        }
    }

    /// Brings the world up to the present, does `work` on it, and passes on
    /// what the world wants done. Nothing may be awaited inside.
    pub fn enter<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.world.advance(self.clock.now());
        let result = work(&mut state);
        for output in state.world.take_outputs() {
            match output {
                Output::Machine { action, order } => self.orders.send(action, order),
                Output::Landed { call, reply } => state.journal.landed(call, reply.as_ref()),
                Output::Actor { at, deed, done } => state.journal.add_deed(at, deed, done, true),
            }
        }
        result
    }
}

impl State {
    pub fn correlation_id(&mut self) -> String {
        self.correlation.text(b"0123456789abcdef", 16)
    }

    /// Knows a token from now on, in place of one of the same name.
    pub fn add_token(&mut self, token: TokenSpec) {
        self.world.project(&token.project);
        self.tokens.retain(|known| known.name != token.name);
        self.tokens.push(token);
    }

    /// Forgets a token; tells whether it was known.
    pub fn revoke_token(&mut self, name: &str) -> bool {
        let before = self.tokens.len();
        self.tokens.retain(|token| token.name != name);
        self.tokens.len() < before
    }
}
