//! What is learned of a request on its way, for the entry of its refusal: the outermost layer
//! writes it and knows neither the caller nor, sometimes, what was really asked for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nodeyard_domain::{
    audit::{ANONYMOUS, Action, BOOTSTRAP},
    id::TokenId,
};

use crate::auth::Caller;

/// Clones are of the same request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Noted>>);

#[derive(Debug, Clone, Default)]
struct Noted {
    who: Who,
    action: Option<Action>,
}

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Who {
    pub(crate) actor: String,
    pub(crate) token: Option<TokenId>,
}

impl Default for Who {
    fn default() -> Self {
        Self { actor: ANONYMOUS.to_owned(), token: None }
    }
}

impl Notes {
    fn held(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The caller's token is known.
    pub(crate) fn caller(&self, caller: &Caller) {
        let token = Some(caller.token.id.clone());
        self.held().who = Who { actor: caller.actor().to_owned(), token };
    }

    /// The caller has the deployment's own secret.
    pub(crate) fn bootstrap(&self) {
        let mut noted = self.held();
        noted.who = Who { actor: BOOTSTRAP.to_owned(), token: None };
        noted.action = Some(Action::BootstrapUse);
    }

    /// The request is for something else than its route alone says.
    pub(crate) fn action(&self, action: Action) {
        self.held().action = Some(action);
    }

    pub(crate) fn who(&self) -> Who {
        self.held().who.clone()
    }

    pub(super) fn real_action(&self) -> Option<Action> {
        self.held().action
    }
}
