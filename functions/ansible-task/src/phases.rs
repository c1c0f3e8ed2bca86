//! What a run does, in order. Each playbook is a process of its own, so that each has a recap of
//! its own.
//!
//! | phase | done again after a crash |
//! | --- | --- |
//! | keys into the agent, files into the scratch folder | yes, from nothing |
//! | first login | yes |
//! | `boot` | yes |
//! | `host_key_prepare`, `host_key_switch`, proof | until the node's own key is pinned alone |
//! | the profile, of the folder `profiles` | yes, it changes nothing twice |
//! | proof of the newest key, where the node may have had another | yes |
//! | `readiness` | yes |
//! | `smokes`, for a smoke on a node that is ready | yes, from nothing |
//!
//! A check and a smoke leave out everything between the first login and `readiness`.

use nodeyard_domain::{
    host_key::HostPins,
    readiness::{Finding, is_ready},
    run::{Purpose, Recap, Run, SmokeStep},
};
use nodeyard_engine::{Clock, secrets::Secrets, store::RunStore};
use serde_json::{Map, Value};

use crate::{
    agent::SshAgent, boot, digest, failure::Failure, host_key, inventory, login, managed_keys,
    persist::persist, playbook, readiness, report::Report, site::Site, smokes, stop, verdict,
};

const READINESS: &str = "readiness";

/// How far a run came, whether it succeeds or not.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) recap: Recap,
    pub(crate) findings: Vec<Finding>,
    pub(crate) smokes: Vec<SmokeStep>,
    /// The version of the managed key that was proved to be the one the node lets in.
    pub(crate) key_version: Option<u32>,
}

/// # Errors
/// With why the run did not succeed.
pub(crate) async fn perform<S: RunStore, K: Secrets, C: Clock>(
    site: &Site<'_>,
    (store, secrets, clock): (&S, &K, &C),
    progress: &mut Progress,
    report: &mut Report<'_, S, C>,
) -> Result<(), Failure> {
    begin(site, report)?;
    let pins = pins(site, store).await?;
    site.pin(&pins)?;
    let life = stop::time_left(clock.now(), site.run.deadline_at).as_secs();
    let agent = SshAgent::start(site, life).await?;
    let done = with_agent(site, (store, secrets, &agent), pins, progress, report).await;
    login::close_shared(site).await;
    agent.end(site).await;
    done
}

fn begin<S: RunStore, C: Clock>(
    site: &Site<'_>,
    report: &mut Report<'_, S, C>,
) -> Result<(), Failure> {
    let playbooks = &site.settings.playbooks;
    let digest = digest::of_folder(playbooks).map_err(|error| {
        Failure::of_task(format!("the playbooks cannot be read ({}): {error}", playbooks.display()))
    })?;
    report.begin_evidence(digest.parse().ok());
    let Run { number, server_id, profile, .. } = site.run;
    let entry = report.entry(format!("run {number} began"));
    report.note(
        entry
            .with("playbooks_digest", digest)
            .with("version", env!("CARGO_PKG_VERSION"))
            .with("profile", profile.as_str())
            .with("server_id", *server_id),
    );
    Ok(())
}

async fn pins<S: RunStore>(site: &Site<'_>, store: &S) -> Result<HostPins, Failure> {
    let node = &site.run.node_id;
    let pause = site.settings.tempo.retry_pause;
    let read = persist("reading the pins", pause, |_| true, async || store.pins(node).await).await;
    let pins =
        read.map_err(|error| Failure::of_task(format!("the pins cannot be read: {error}")))?;
    pins.filter(|pins| pins.server_id == site.run.server_id).ok_or_else(|| {
        Failure::of_task(format!("no host key is pinned for server {}", site.run.server_id))
    })
}

async fn with_agent<S: RunStore, K: Secrets, C: Clock>(
    site: &Site<'_>,
    (store, secrets, agent): (&S, &K, &SshAgent),
    pins: HostPins,
    progress: &mut Progress,
    report: &mut Report<'_, S, C>,
) -> Result<(), Failure> {
    let managed_key = managed_keys::load(site, secrets, agent, report).await?;
    let inventory = inventory::inventory(site.run, &site.ssh_options())?;
    let vars = inventory::vars(site.run, &managed_key, &site.settings.control_cidrs)?;
    site.scratch.write(&site.scratch.inventory(), inventory.to_string().as_bytes())?;
    site.scratch.write(&site.scratch.vars(), vars.to_string().as_bytes())?;

    boot::wait_for_login(site, &pins, report).await?;
    if site.run.purpose == Purpose::Configure {
        play(site, "boot", progress, report).await?;
        if !host_key::is_replaced(&pins) {
            host_key::replace(site, store, pins, progress, report).await?;
        }
        play(site, site.run.profile.as_str(), progress, report).await?;
        progress.key_version = managed_keys::prove(site, &managed_key, report).await?;
    }
    probe(site, progress, report).await?;
    match site.run.purpose {
        Purpose::Smoke { .. } if is_ready(&progress.findings) => {
            smokes::perform(site, progress, report).await
        }
        _ => Ok(()),
    }
}

async fn probe<S: RunStore, C: Clock>(
    site: &Site<'_>,
    progress: &mut Progress,
    report: &mut Report<'_, S, C>,
) -> Result<(), Failure> {
    let reported = play(site, READINESS, progress, report).await?;
    progress.findings = readiness::findings(&reported)?;
    for finding in progress.findings.iter().filter(|finding| !finding.ok) {
        let entry = report.entry(format!("readiness: {:?}: {}", finding.code, finding.detail));
        report.note(entry.with("status", if finding.warning { "warning" } else { "failed" }));
    }
    Ok(())
}

/// Runs a playbook, adds its recap to the run's and gives what it reported.
///
/// # Errors
/// Unless it did all it had to do.
pub(crate) async fn play<S: RunStore, C: Clock>(
    site: &Site<'_>,
    name: &str,
    progress: &mut Progress,
    report: &mut Report<'_, S, C>,
) -> Result<Map<String, Value>, Failure> {
    let ended = playbook::run(site, name, report).await?;
    let (sum, own) = (&mut progress.recap, ended.tally.recap());
    *sum = sum.plus(if name == READINESS {
        // Probes only look: they are not what was done to the node.
        Recap { failed: own.failed, unreachable: own.unreachable, ..Recap::default() }
    } else {
        own
    });
    verdict::judge(name, ended.exit, &ended.tally)?;
    Ok(ended.tally.custom)
}
