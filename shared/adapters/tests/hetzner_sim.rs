//! The Hetzner adapter against the simulator: the same calls over real HTTP, with a clock that
//! moves when told and faults on request.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{sync::Arc, time::Duration};

use hetzner_sim::{
    Access, Fault, FaultSpec, RunningSimulator, Simulator, SimulatorConfig, actor::Deed,
    journal::Filter, world::stock::Supply,
};
use jiff::Timestamp;
use nodeyard_adapters::hetzner::{
    HetznerProvider,
    drift::{Shape, difference},
    key,
};
use nodeyard_domain::{
    connection::{Connection, ConnectionStatus, ManagedKey, Permission, ProviderKind},
    observation::{FailureClass, ProviderFailure, ServerStatus},
};
use nodeyard_engine::provider::{
    ActionState, CreateServer, CreatedServer, Provider as _, ProviderCheck as _, Remains,
    TokenReport,
};
use nodeyard_testkit::secrets::MemorySecrets;
use secrecy::SecretString;
use serde_json::json;

const NAME: &str = "web-000000000001";

struct Stack {
    simulator: RunningSimulator,
    secrets: MemorySecrets,
    provider: HetznerProvider<MemorySecrets>,
    connection: Connection,
    public_key: String,
}

/// A simulator with two projects, a token of each kind, and a connection that is not set up.
async fn bare() -> Stack {
    let config = SimulatorConfig::default()
        .token("main", "main-token", Access::ReadWrite, "shop")
        .token("reader", "reader-token", Access::ReadOnly, "shop")
        .token("other", "other-token", Access::ReadWrite, "elsewhere")
        .standing_clock();
    let simulator = Simulator::start(config).await.unwrap();
    let secrets = MemorySecrets::deployed();
    secrets.put("connection/main", "main-token");
    let provider = HetznerProvider::new(&simulator.endpoint(), Arc::new(secrets.clone())).unwrap();
    let connection = Connection {
        name: "main".parse().unwrap(),
        provider: ProviderKind::Hetzner,
        status: ConnectionStatus::Connected,
        reason: None,
        permission: Permission::ReadWrite,
        key: None,
        max_nodes: None,
        max_monthly: None,
        rate_budget: None,
        checked_at: Timestamp::UNIX_EPOCH,
        created_at: Timestamp::UNIX_EPOCH,
    };
    let (_, public_key) = key::new_key_pair("nodeyard main v1").unwrap();
    Stack { simulator, secrets, provider, connection, public_key }
}

/// The same, with the connection's key made by a check of its token.
async fn connected() -> Stack {
    let mut stack = bare().await;
    let report = stack.check("main-token", None).await.unwrap();
    stack.connection.key = report.key;
    stack
}

impl Stack {
    async fn check(
        &self,
        token: &str,
        known: Option<&ManagedKey>,
    ) -> Result<TokenReport, ProviderFailure> {
        let token = SecretString::from(token);
        self.provider.check_token(&token, "nodeyard-main", &self.public_key, known).await
    }

    fn key(&self) -> &ManagedKey {
        self.connection.key.as_ref().unwrap()
    }

    fn body(&self) -> CreateServer {
        CreateServer {
            name: NAME.into(),
            server_type: "cx23".into(),
            location: "fsn1".into(),
            image: "debian-13".into(),
            ssh_keys: self.connection.key.iter().map(|key| key.provider_id).collect(),
            labels: [("nodeyard/nonce".to_owned(), "abc".to_owned())].into(),
            user_data: "#cloud-config\n{}\n".into(),
            attempt: 1,
        }
    }

    async fn create(&self) -> Result<CreatedServer, FailureClass> {
        let created = self.provider.create_server(&self.connection, &self.body()).await;
        created.map_err(|failure| failure.class)
    }

    /// Lets time pass until the action has ended.
    async fn end_of(&self, action: u64) -> ActionState {
        for _ in 0..100 {
            let mut states = self.provider.actions(&self.connection, &[action]).await.unwrap();
            match states.remove(&action).unwrap() {
                ActionState::Running => self.simulator.advance(Duration::from_secs(1)),
                ended => return ended,
            }
        }
        panic!("the action does not end");
    }

    /// Lets time pass until the server and its addresses are gone.
    async fn gone(&self, created: &CreatedServer) -> Remains {
        let server = &created.server;
        for _ in 0..100 {
            let remains =
                self.provider.remains(&self.connection, server.id, &server.primary_ips).await;
            match remains.unwrap() {
                Remains::StillThere => self.simulator.advance(Duration::from_secs(1)),
                other => return other,
            }
        }
        panic!("the server does not go");
    }

    fn arm(&self, method: &str, path: &str, fault: Fault) {
        self.simulator.arm(FaultSpec::next(method, path, fault));
    }
}

#[tokio::test]
async fn a_server_from_its_creation_to_its_end() {
    let stack = connected().await;
    let (provider, connection) = (&stack.provider, &stack.connection);
    let key_id = provider.ensure_key(connection, stack.key()).await.unwrap();
    assert_eq!(key_id, stack.key().provider_id);
    assert_eq!(provider.find_server(connection, NAME).await, Ok(None));

    let created = stack.create().await.unwrap();
    let action = created.action_id.unwrap();
    let states = provider.actions(connection, &[action, 1]).await.unwrap();
    assert_eq!(states, [(action, ActionState::Running)].into());
    assert_eq!(stack.end_of(action).await, ActionState::Succeeded);

    let found = provider.find_server(connection, NAME).await.unwrap().unwrap();
    assert_eq!(found.labels["nodeyard/nonce"], "abc");
    assert_eq!(found.server.id, created.server.id);
    assert!(found.server.ipv4.is_some() && found.server.primary_ips.len() == 2);
    assert!(found.server.ipv6.as_deref().unwrap().ends_with("::1"));
    assert_eq!(found.server.server_type.as_deref(), Some("cx23"));
    assert_eq!(found.server.location.as_deref(), Some("fsn1"));
    for _ in 0..100 {
        if provider.server(connection, found.server.id).await.unwrap().status
            == ServerStatus::Running
        {
            break;
        }
        stack.simulator.advance(Duration::from_secs(1));
    }
    let seen = provider.server(connection, found.server.id).await.unwrap();
    assert_eq!(seen.status, ServerStatus::Running);

    provider.delete_server(connection, found.server.id).await.unwrap();
    assert_eq!(stack.gone(&created).await, Remains::Nothing);
    let after = provider.delete_server(connection, found.server.id).await.unwrap_err();
    assert_eq!(after.class, FailureClass::NotFound);
    let counts = stack.simulator.counts(&Filter::default());
    assert_eq!(counts.create_posts[NAME], 1);
    assert_eq!((counts.rate_limited, counts.live_servers, counts.live_primary_ips), (0, 0, 0));
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_found_by_name_and_sent_once() {
    for fault in [
        Fault::AnswerLost,
        Fault::BadGateway { effect: true },
        Fault::Timeout { effect: true },
        Fault::Unreadable,
    ] {
        let stack = connected().await;
        stack.arm("POST", "/servers", fault);
        assert_eq!(stack.create().await, Err(FailureClass::Unknown));
        let found = stack.provider.find_server(&stack.connection, NAME).await.unwrap().unwrap();
        assert_eq!(found.labels["nodeyard/nonce"], "abc");
        let counts = stack.simulator.counts(&Filter::default());
        assert_eq!((counts.create_posts[NAME], counts.created_servers), (1, 1));
        // A second one is refused, and that is told apart.
        assert_eq!(stack.create().await, Err(FailureClass::NameTaken));
    }
}

#[tokio::test]
async fn a_create_answer_that_has_changed_still_gives_the_ids() {
    let gone = ["/server/status", "/server/public_net", "/server/image", "/action/status"];
    for fault in [
        Fault::UnknownEnum { pointers: Vec::new(), value: "a_new_word".into() },
        Fault::RemoveFields { pointers: gone.map(str::to_owned).into() },
        Fault::SetFields { fields: json!({"/server/name": 5}).as_object().unwrap().clone() },
    ] {
        let stack = connected().await;
        stack.arm("POST", "/servers", fault);
        let created = stack.create().await.unwrap();
        assert!(created.action_id.is_some());
        let found = stack.provider.find_server(&stack.connection, NAME).await.unwrap().unwrap();
        assert_eq!(found.server.id, created.server.id);
    }
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let stack = connected().await;
    let simulator = &stack.simulator;
    for supply in [Supply::Out, Supply::OutUnseen, Supply::PlacementError] {
        assert!(simulator.set_stock("cx23", Some("fsn1"), supply) > 0);
        assert_eq!(stack.create().await, Err(FailureClass::NoCapacity), "{supply:?}");
    }
    simulator.set_stock("cx23", Some("fsn1"), Supply::Plenty);
    // cx23 is sold in Europe only.
    let body = CreateServer { location: "ash".into(), ..stack.body() };
    let failure = stack.provider.create_server(&stack.connection, &body).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::NoCapacity, "{failure:?}");
    let body = CreateServer { image: "no-such-image".into(), ..stack.body() };
    let failure = stack.provider.create_server(&stack.connection, &body).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Invalid, "{failure:?}");
    simulator.change_settings(&json!({"limits": {"servers": 0}})).unwrap();
    let failure = stack.provider.create_server(&stack.connection, &stack.body()).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Quota);
    assert!(failure.message.contains("server_limit"), "{}", failure.message);
    assert!(failure.correlation_id.is_some());
}

#[tokio::test]
async fn a_server_that_is_locked_or_protected_is_not_forced() {
    let stack = connected().await;
    let created = stack.create().await.unwrap();
    let delete = || stack.provider.delete_server(&stack.connection, created.server.id);
    assert_eq!(delete().await.unwrap_err().class, FailureClass::Busy);
    stack.end_of(created.action_id.unwrap()).await;
    stack.simulator.advance(Duration::from_secs(60));
    let protect = |on| Deed::Protect { project: "shop".into(), server: NAME.into(), on };
    stack.simulator.act(protect(true)).unwrap();
    assert_eq!(delete().await.unwrap_err().class, FailureClass::Protected);
    stack.simulator.act(protect(false)).unwrap();
    delete().await.unwrap();
    assert_eq!(stack.gone(&created).await, Remains::Nothing);
}

#[tokio::test]
async fn a_budget_that_is_eaten_pauses_for_seconds() {
    let stack = connected().await;
    stack.simulator.act(Deed::EatBudget { project: "shop".into(), requests: None }).unwrap();
    let failure = stack.provider.find_server(&stack.connection, NAME).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::RateLimited);
    let pause = failure.pause_secs.unwrap();
    assert!((1..=5).contains(&pause), "{pause}");
    stack.simulator.advance(Duration::from_secs(pause.unsigned_abs()));
    assert_eq!(stack.provider.find_server(&stack.connection, NAME).await, Ok(None));
}

#[tokio::test]
async fn a_token_is_judged_by_a_write_that_succeeds() {
    let stack = bare().await;
    let report = stack.check("main-token", None).await.unwrap();
    assert_eq!(report.permission, Permission::ReadWrite);
    assert_eq!(report.rate_budget.unwrap().limit, 3600);
    let known = report.key.unwrap();
    assert_eq!(Some(&known.fingerprint), key::fingerprint(&stack.public_key).as_ref());
    let again = stack.check("main-token", Some(&known)).await.unwrap();
    assert!(again.sees_marker);
    assert_eq!((again.permission, again.key), (Permission::ReadWrite, Some(known.clone())));
    // The same key without knowing of it: found, not made twice.
    let found = stack.check("main-token", None).await.unwrap();
    assert_eq!(found.key, Some(known));
    let dead = stack.check("no-such-token", None).await.unwrap_err();
    assert_eq!(dead.class, FailureClass::Unauthorized);
}

/// Sources differ on how a read-only token is refused, and when.
#[tokio::test]
async fn a_read_only_token_is_told_however_it_is_refused() {
    for (status, code) in [(401, "token_readonly"), (403, "token_readonly"), (403, "forbidden")] {
        for order in ["first", "after_existence", "after_validation"] {
            let stack = bare().await;
            let settings =
                json!({"readonly": {"status": status, "code": code}, "permission_check": order});
            stack.simulator.change_settings(&settings).unwrap();
            let report = stack.check("reader-token", None).await.unwrap();
            assert_eq!((report.permission, report.key), (Permission::ReadOnly, None));
            let known = stack.check("main-token", None).await.unwrap().key;
            let report = stack.check("reader-token", known.as_ref()).await.unwrap();
            assert!(report.sees_marker);
            assert_eq!(report.permission, Permission::ReadOnly);
            stack.secrets.put("connection/main", "reader-token");
            assert_eq!(stack.create().await, Err(FailureClass::ReadOnly));
        }
    }
}

#[tokio::test]
async fn a_token_of_another_project_proves_nothing_gone_and_leaves_nothing_there() {
    let stack = connected().await;
    let created = stack.create().await.unwrap();
    let report = stack.check("other-token", Some(stack.key())).await.unwrap();
    assert!(!report.sees_marker);
    assert_eq!((report.permission, report.key), (Permission::Unknown, None));
    let writes =
        stack.simulator.journal(&Filter { project: Some("elsewhere".into()), ..Filter::default() });
    assert!(!writes.is_empty() && writes.iter().all(|entry| entry.method == "GET"));
    stack.secrets.put("connection/main", "other-token");
    assert_eq!(stack.gone(&created).await, Remains::MarkerMissing);
}

#[tokio::test]
async fn a_revoked_token_is_dead_for_reads_and_writes() {
    let stack = connected().await;
    stack.simulator.revoke_token("main");
    let failure = stack.provider.find_server(&stack.connection, NAME).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Unauthorized);
    assert_eq!(stack.create().await, Err(FailureClass::Unauthorized));
}

#[tokio::test]
async fn the_catalogue_tells_stock_and_prices() {
    let stack = bare().await;
    stack.simulator.set_stock("cx23", Some("nbg1"), Supply::Out);
    let token = SecretString::from("main-token");
    let catalogue = stack.provider.catalogue(&token).await.unwrap();
    let offer = |location: &str| {
        let mut offers = catalogue.offers.iter();
        offers.find(|offer| offer.server_type == "cx23" && offer.location == location).cloned()
    };
    let fsn1 = offer("fsn1").unwrap();
    assert!(fsn1.available && fsn1.monthly_net.unwrap() > 0.0);
    assert_eq!((fsn1.cores, fsn1.disk_gb, fsn1.architecture.as_str()), (2, 40, "x86"));
    assert!(!offer("nbg1").unwrap().available);
    assert_eq!(offer("ash"), None);
    assert_eq!(catalogue.currency, "EUR");
    assert!(catalogue.locations.iter().any(|name| name == "fsn1"));
    assert_eq!(catalogue.images.iter().filter(|name| *name == "debian-13").count(), 1);
    assert!(catalogue.primary_ipv4_monthly_net["fsn1"] > 0.0);
}

/// The strict models agree with what the simulator answers, and tell when it changes.
#[tokio::test]
async fn the_drift_alarm_is_silent_until_something_changes() {
    let stack = connected().await;
    let created = stack.create().await.unwrap();
    let key_id = stack.key().provider_id;
    let get = async |path: &str| {
        let url = format!("{}{path}", stack.simulator.endpoint());
        let answer = reqwest::Client::new().get(url).bearer_auth("main-token").send().await;
        answer.unwrap().bytes().await.unwrap()
    };
    for (shape, path) in [
        (Shape::Servers, "/servers".to_owned()),
        (Shape::Server, format!("/servers/{}", created.server.id)),
        (Shape::Actions, format!("/actions?id={}", created.action_id.unwrap())),
        (Shape::SshKeys, "/ssh_keys".to_owned()),
        (Shape::SshKey, format!("/ssh_keys/{key_id}")),
        (Shape::PrimaryIp, format!("/primary_ips/{}", created.server.primary_ips[0])),
        (Shape::ServerTypes, "/server_types?per_page=50".to_owned()),
        (Shape::Locations, "/locations".to_owned()),
        (Shape::Images, "/images?type=system".to_owned()),
        (Shape::Pricing, "/pricing".to_owned()),
    ] {
        assert_eq!(difference(shape, &get(&path).await), None, "{path}");
    }
    let pointers = vec!["/servers/*/image".to_owned()];
    stack.arm("GET", "/servers", Fault::RemoveFields { pointers });
    let told = difference(Shape::Servers, &get("/servers").await).unwrap();
    assert!(told.contains("servers[0]") && told.contains("image"), "{told}");
}
