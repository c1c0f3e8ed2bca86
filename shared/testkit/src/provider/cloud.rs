//! The cloud itself: the simulator's world, its tokens, and what goes wrong with a call.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use hetzner_sim::{
    Access, TokenSpec,
    settings::{ReadonlyCode, Settings, Times},
    world::{
        Output, Twist, World,
        action::Failure,
        budget::Standing,
        error::ApiError,
        operation::{Kind, Operation, Reply, SshKeyDraft},
    },
};
use nodeyard_domain::{connection::ManagedKey, observation::ProviderFailure};
use nodeyard_engine::provider::CreateServer;

use super::{
    CreateFault, PROJECT,
    books::Ledger,
    view::{bad_gateway, lost, refusal, unreadable},
};
use crate::faults::{Fault, Faults};

/// A stock image takes about 10 s to create and 3 s more until the server runs (measured by the
/// provider's users); a deletion is quicker.
const TIMES: Times = Times {
    create_secs: 10.0,
    start_secs: 3.0,
    stop_secs: 1.0,
    shutdown_secs: 2.0,
    reboot_secs: 2.0,
    rebuild_secs: 2.0,
    delete_secs: 4.0,
};
/// The longest by which a create lands late by chance, in seconds: less than is waited for it.
const LATEST_SECS: u64 = 100;

type Result<T> = std::result::Result<T, ProviderFailure>;
/// Reads what is needed off an answer.
pub(super) type View<T> = fn(&World, &Reply) -> T;

/// A call as it is sent.
pub(super) struct Sent<'a> {
    pub token: &'a str,
    /// The project that the token was of when it was first used: it is of one for good, whatever
    /// stands for its replacement.
    pub project: Option<&'a str>,
    pub operation: &'a Operation,
    /// The body as the port was given it, of a create.
    pub body: Option<&'a CreateServer>,
    /// How many calls the caller needs, for the pause after a 429.
    pub calls: i64,
}

/// What goes wrong with a call.
#[derive(Default)]
struct Trouble {
    /// Answered so, without effect.
    instead: Option<ProviderFailure>,
    /// Answered so, with whatever effect.
    after: Option<ProviderFailure>,
    lands_after_secs: Option<u64>,
    twist: Twist,
    panics: bool,
}

#[derive(Debug)]
pub(super) struct Cloud {
    pub world: World,
    tokens: BTreeMap<String, TokenSpec>,
    revoked: BTreeMap<String, TokenSpec>,
    pub ledger: Ledger,
    pub planted: VecDeque<CreateFault>,
    pub is_down: bool,
    pub is_in_maintenance: bool,
    pub throttle_next: u32,
    late_calls: u64,
}

impl Cloud {
    pub fn new(seed: u64, now_millis: i64) -> Self {
        let settings = Settings { times: TIMES, ..Settings::default() };
        Self {
            world: World::new(seed, settings, false, now_millis),
            tokens: BTreeMap::new(),
            revoked: BTreeMap::new(),
            ledger: Ledger::default(),
            planted: VecDeque::new(),
            is_down: false,
            is_in_maintenance: false,
            throttle_next: 0,
            late_calls: 0,
        }
    }

    pub fn add_token(&mut self, secret: &str, project: &str, access: Access) {
        let token = TokenSpec {
            name: secret.to_owned(),
            secret: secret.to_owned(),
            access,
            project: project.to_owned(),
        };
        self.revoked.remove(secret);
        self.tokens.insert(secret.to_owned(), token);
    }

    pub fn change_token(&mut self, secret: &str, change: impl FnOnce(&mut TokenSpec)) {
        let token = self.tokens.get_mut(secret).or_else(|| self.revoked.get_mut(secret));
        if let Some(token) = token {
            change(token);
        }
    }

    pub fn revoke_token(&mut self, secret: &str, revoked: bool) {
        let (from, to) = if revoked {
            (&mut self.tokens, &mut self.revoked)
        } else {
            (&mut self.revoked, &mut self.tokens)
        };
        if let Some(token) = from.remove(secret) {
            to.insert(secret.to_owned(), token);
        }
    }

    /// Lets everything happen that is due, one event at a time, so that the books miss nothing.
    pub fn advance(&mut self, to_millis: i64) {
        while let Some(due) = self.world.next_due().filter(|due| *due <= to_millis) {
            self.world.advance(due);
            let outputs = self.world.take_outputs();
            let by_actor = outputs.iter().any(|output| matches!(output, Output::Actor { .. }));
            self.ledger.compare(&self.world, !by_actor);
        }
        self.world.advance(to_millis);
    }

    /// Something that is done to the world past the port and its books of calls.
    pub fn change<T>(&mut self, change: impl FnOnce(&mut World) -> T) -> T {
        let changed = change(&mut self.world);
        self.ledger.compare(&self.world, false);
        changed
    }

    pub fn managed_key(&mut self, name: &str, public_key: &str, version: u32) -> ManagedKey {
        let fingerprint =
            hetzner_sim::world::ssh_key::fingerprint(public_key).expect("a public key");
        let known = self.world.ssh_keys().find(|key| key.fingerprint == fingerprint);
        let known = known.map(|key| key.id);
        let provider_id = known.unwrap_or_else(|| {
            let project = self.world.project(PROJECT);
            let draft = SshKeyDraft {
                name: name.to_owned(),
                public_key: public_key.to_owned(),
                labels: BTreeMap::new(),
            };
            let operation = Operation::CreateSshKey(draft);
            match self.world.perform(project, &operation, &Twist::default()) {
                Ok(Reply::Created(_, id, _)) => id,
                other => panic!("the managed key is not made: {other:?}"),
            }
        });
        ManagedKey { version, provider_id, fingerprint, public_key: public_key.to_owned() }
    }

    pub fn project_of(&self, token: &str) -> Option<String> {
        Some(self.tokens.get(token)?.project.clone())
    }

    /// One call: what is answered, and what the answer's headers say of the budget.
    pub fn call<T>(
        &mut self,
        sent: &Sent<'_>,
        faults: &Faults,
        view: View<T>,
    ) -> (Result<T>, Option<Standing>) {
        self.ledger.note_call(route(sent.operation));
        if let Some(body) = sent.body {
            self.ledger.note_create(&self.world, body);
        }
        let trouble = self.trouble(sent, faults);
        assert!(!trouble.panics, "a planted panic");
        if let Some(failure) = trouble.instead {
            return (Err(failure), None);
        }
        let (reply, standing) = self.answer(sent, &trouble);
        match (trouble.after, reply) {
            (Some(failure), _) => (Err(failure), None),
            (None, Ok(reply)) => (Ok(view(&self.world, &reply)), Some(standing)),
            (None, Err(error)) => (Err(refusal(&error, sent.calls)), Some(standing)),
        }
    }

    fn answer(
        &mut self,
        sent: &Sent<'_>,
        trouble: &Trouble,
    ) -> (std::result::Result<Reply, ApiError>, Standing) {
        let over_rate = || ApiError::new("rate_limit_exceeded", "limit of requests reached");
        let Some(token) = self.tokens.get(sent.token) else {
            let (is_paid, standing) = self.world.spend_unknown();
            let refusal = ApiError::new("unauthorized", "the token provided is invalid");
            return (Err(if is_paid { refusal } else { over_rate() }), standing);
        };
        let (is_paid, standing) = self.world.spend(token);
        if !is_paid {
            self.ledger.note_throttled();
            return (Err(over_rate()), standing);
        }
        if token.access == Access::ReadOnly && sent.operation.writes() {
            return (Err(self.refuse_write()), standing);
        }
        let project = self.world.project(sent.project.unwrap_or(&token.project));
        if let Some(secs) = trouble.lands_after_secs {
            self.late_calls += 1;
            let after = Duration::from_secs(secs);
            self.world.land_later(project, sent.operation.clone(), self.late_calls, after);
            return (Err(ApiError::new("timeout", "the request took too long")), standing);
        }
        let reply = self.world.perform(project, sent.operation, &trouble.twist);
        if sent.operation.writes() {
            self.ledger.compare(&self.world, true);
        }
        (reply, standing)
    }

    fn refuse_write(&self) -> ApiError {
        let readonly = &self.world.settings().readonly;
        let code = match readonly.code {
            ReadonlyCode::TokenReadonly => "token_readonly",
            ReadonlyCode::Forbidden => "forbidden",
        };
        ApiError::new(code, "token is only allowed to perform GET requests")
            .with_status(readonly.status)
    }

    fn trouble(&mut self, sent: &Sent<'_>, faults: &Faults) -> Trouble {
        let mut trouble = Trouble::default();
        if self.is_down {
            trouble.instead = Some(lost());
            return trouble;
        }
        let api_says = |code: &str| Some(refusal(&ApiError::new(code, "planted"), sent.calls));
        if self.is_in_maintenance || faults.hits(Fault::Maintenance) {
            trouble.instead = api_says("maintenance");
        } else if self.throttle_next > 0 || faults.hits(Fault::Throttled) {
            self.throttle_next = self.throttle_next.saturating_sub(1);
            trouble.instead = api_says("rate_limit_exceeded");
        } else if faults.hits(Fault::ServerError) {
            trouble.instead = api_says("server_error");
        } else if faults.hits(Fault::CallDropped) {
            trouble.instead = Some(lost());
        } else {
            match sent.operation {
                Operation::CreateServer(_) => self.trouble_of_create(faults, &mut trouble),
                Operation::Delete(Kind::Server, _) => trouble_of_delete(faults, &mut trouble),
                _ if faults.hits(Fault::CallAnswerLost) => trouble.after = Some(lost()),
                _ if faults.hits(Fault::CallUnreadable) => trouble.after = Some(unreadable()),
                _ => {}
            }
        }
        trouble
    }

    fn trouble_of_create(&mut self, faults: &Faults, trouble: &mut Trouble) {
        let planted = self.planted.pop_front().or_else(|| chance(faults));
        match planted {
            None => {}
            Some(CreateFault::AnswerLost) => trouble.after = Some(lost()),
            Some(CreateFault::Dropped) => trouble.instead = Some(lost()),
            Some(CreateFault::LandsLate(secs)) => {
                trouble.lands_after_secs = Some(u64::try_from(secs).unwrap_or(0));
                trouble.after = Some(lost());
            }
            Some(CreateFault::Refused(failure)) => trouble.instead = Some(failure),
            Some(CreateFault::Panics) => trouble.panics = true,
            Some(CreateFault::ActionFails) => trouble.twist.failure = Some(action_failure()),
            Some(CreateFault::Stuck) => trouble.twist.stuck = true,
            Some(CreateFault::Unreadable) => trouble.after = Some(unreadable()),
        }
        if trouble.after.is_none() && faults.hits(Fault::CreateBadGateway) {
            trouble.after = Some(bad_gateway());
        }
    }
}

/// What goes wrong with a create by chance.
fn chance(faults: &Faults) -> Option<CreateFault> {
    let hits = |fault| faults.hits(fault);
    if hits(Fault::CreateDropped) {
        Some(CreateFault::Dropped)
    } else if hits(Fault::CreateLandsLate) {
        Some(CreateFault::LandsLate(1 + faults.below(LATEST_SECS) as i64))
    } else if hits(Fault::CreateAnswerLost) {
        Some(CreateFault::AnswerLost)
    } else if hits(Fault::CreateUnreadable) {
        Some(CreateFault::Unreadable)
    } else if hits(Fault::CreateActionFails) {
        Some(CreateFault::ActionFails)
    } else if hits(Fault::CreateStuck) {
        Some(CreateFault::Stuck)
    } else {
        None
    }
}

fn trouble_of_delete(faults: &Faults, trouble: &mut Trouble) {
    if faults.hits(Fault::DeleteActionFails) {
        trouble.twist.failure = Some(action_failure());
    }
    if faults.hits(Fault::DeleteAnswerLost) {
        trouble.after = Some(lost());
    }
}

fn action_failure() -> Failure {
    Failure::action_failed("planted")
}

fn route(operation: &Operation) -> &'static str {
    match operation {
        Operation::List(Kind::Server, query) if query.selector.is_some() => {
            "GET /servers?label_selector"
        }
        Operation::List(Kind::Server, _) => "GET /servers?name",
        Operation::List(Kind::SshKey, _) => "GET /ssh_keys",
        Operation::List(Kind::PlacementGroup, _) => "GET /placement_groups",
        Operation::List(Kind::PrimaryIp, _) => "GET /primary_ips",
        Operation::List(..) | Operation::Pricing => "GET the catalogue",
        Operation::Get(Kind::Server, _) => "GET /servers/{id}",
        Operation::Get(Kind::SshKey, _) => "GET /ssh_keys/{id}",
        Operation::Get(Kind::PrimaryIp, _) => "GET /primary_ips/{id}",
        Operation::Get(..) => "GET another thing",
        Operation::ServerActions(..) | Operation::ActionsById(_) => "GET /actions",
        Operation::CreateServer(_) => "POST /servers",
        Operation::CreateSshKey(_) => "POST /ssh_keys",
        Operation::CreatePlacementGroup(_) => "POST /placement_groups",
        Operation::CreateFirewall(_) | Operation::CreatePrimaryIp(_) => "POST another thing",
        Operation::Update(Kind::SshKey, _, _) => "PUT /ssh_keys/{id}",
        Operation::Update(..) => "PUT another thing",
        Operation::Delete(Kind::Server, _) => "DELETE /servers/{id}",
        Operation::Delete(Kind::PrimaryIp, _) => "DELETE /primary_ips/{id}",
        Operation::Delete(Kind::PlacementGroup, _) => "DELETE /placement_groups/{id}",
        Operation::Delete(..) => "DELETE another thing",
        Operation::Command(..) | Operation::Rebuild(..) => "POST /servers/{id}/actions",
    }
}
