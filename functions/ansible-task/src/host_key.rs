//! Replaces the host key that user data delivered by one that was made on the node.
//!
//! ```text
//! prepare (node makes a key) → both pinned → switch (sshd uses it) → proved alone → pinned alone
//! ```
//!
//! A run may end between any two of these. The next one begins again: the node makes no second
//! key, and as long as both are pinned both are accepted.

use nodeyard_domain::{
    code::Code,
    host_key::{HostPins, is_public_key},
};
use nodeyard_engine::{Clock, store::RunStore};
use serde_json::{Map, Value};

use crate::{
    boot,
    failure::Failure,
    login::{self, Login},
    persist::persist,
    phases::{self, Progress},
    report::Report,
    site::Site,
};

/// The name the playbook reports the new key's public half under.
const REPORTED: &str = "host_key_next";

/// Tries to prove the new key: sshd closes its port for a moment when it reloads.
const PROOF_TRIES: u32 = 4;

/// True when nothing is left to do.
pub(crate) fn is_replaced(pins: &HostPins) -> bool {
    pins.replaced && pins.next.is_none()
}

/// # Errors
/// When a playbook fails, the new key cannot be proved, or the pins cannot be stored.
pub(crate) async fn replace<S: RunStore, C: Clock>(
    site: &Site<'_>,
    store: &S,
    pins: HostPins,
    progress: &mut Progress,
    report: &mut Report<'_, S, C>,
) -> Result<(), Failure> {
    let reported = phases::play(site, "host_key_prepare", progress, report).await?;
    let both = pins.clone().with_next(&next_key(&reported)?);
    save(site, store, &pins, &both).await?;
    site.pin(&both)?;
    phases::play(site, "host_key_switch", progress, report).await?;
    login::close_shared(site).await;
    prove(site, &both).await?;
    let alone = both.clone().promoted();
    save(site, store, &both, &alone).await?;
    site.pin(&alone)?;
    report.say("the node's own host key is proved and pinned alone");
    Ok(())
}

pub(crate) fn next_key(reported: &Map<String, Value>) -> Result<String, Failure> {
    let key = reported.get(REPORTED).and_then(Value::as_str).map(str::trim);
    key.filter(|key| is_public_key(key)).map(str::to_owned).ok_or_else(|| {
        Failure::new(Code::AnsiblePlayError, "host_key_prepare.yml reported no host key")
    })
}

/// A fresh connection that accepts the new key and no other.
async fn prove(site: &Site<'_>, both: &HostPins) -> Result<(), Failure> {
    let alone = both.clone().promoted().known_hosts(site.alias());
    let known_hosts = site.scratch.known_hosts_next();
    site.scratch.write(&known_hosts, alone.as_bytes())?;
    let mut stop = site.stop.clone();
    let mut tries = 1;
    loop {
        let words = match stop.or(login::try_once(site, &known_hosts)).await?? {
            Login::Done => return Ok(()),
            Login::OtherHostKey(words) => return Err(boot::other_host_key(&words)),
            Login::Away(words) | Login::Denied(words) => words,
        };
        if tries == PROOF_TRIES {
            let message = format!("the new host key could not be proved: {words}");
            return Err(Failure::new(Code::NodeUnreachable, message));
        }
        tries += 1;
        stop.or(tokio::time::sleep(site.settings.tempo.login_gap)).await?;
    }
}

/// Stores pins over those that were read, and nothing else.
async fn save<S: RunStore>(
    site: &Site<'_>,
    store: &S,
    before: &HostPins,
    pins: &HostPins,
) -> Result<(), Failure> {
    if before == pins {
        return Ok(());
    }
    let node = &site.run.node_id;
    let saved = persist(
        "storing the pins",
        site.settings.tempo.retry_pause,
        |_| true,
        async || {
            // A write whose answer was lost is found done by the next try.
            Ok::<bool, nodeyard_engine::store::StoreError>(
                store.put_pins(node, Some(before), pins).await?
                    || store.pins(node).await?.as_ref() == Some(pins),
            )
        },
    )
    .await;
    match saved {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::of_task("somebody else has changed the node's pins")),
        Err(error) => Err(Failure::of_task(format!("the pins cannot be stored: {error}"))),
    }
}
