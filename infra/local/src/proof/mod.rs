//! `cargo xtask smokes`, `readiness` and `acceptance`: nodes that were acquired on a local stack of
//! their own, proven by their work, broken and repaired, and held to the acceptance criteria.

mod acceptance;
mod breakage;
mod readiness;
mod root_shell;
mod smokes;
pub mod times;

use std::path::PathBuf;

use serde_json::Value;

use crate::bench::{Bench, with_stack};
use crate::bundle::Verifier;
use crate::cli::{BackingKind, ProofOptions, StackOptions};
use crate::error::{IoContext as _, Result, XtaskError};
use crate::profiles::node::{Login, ProfileNode};
use crate::report::Report;
use crate::workspace::Workspace;

use times::Times;

/// What every proof needs.
pub struct Site<'a> {
    pub bench: &'a Bench,
    pub login: Login,
    /// Where the faults lie.
    pub faults: PathBuf,
    pub verifier: Verifier,
}

impl Site<'_> {
    /// Tells where the time until the node was ready went. Answers with the evidence of that.
    async fn tell_times(&mut self, profile: &str, node: &ProfileNode) -> Result<Value> {
        let bundle = self.verifier.authentic(self.bench, &node.job).await?;
        let times = Times::of(self.bench, &node.job, &bundle).await?;
        self.bench.report.line(format!("{profile}: {}", times.line()));
        Ok(bundle)
    }

    async fn acquire(&self, name: &str, profile: &str) -> Result<ProfileNode> {
        let node = ProfileNode::acquire(self.bench, &self.login, name, profile).await?;
        self.bench.report.line(format!("{name}: ready after {:.0} s", node.ready_secs));
        Ok(node)
    }
}

/// Runs the smokes on a fresh node; the long form on a second one as well, whose digest has to be
/// the same, and with every fault there is.
///
/// # Errors
/// They fail, or a fault is not recognised.
pub async fn smokes(workspace: &Workspace, options: &ProofOptions, report: Report) -> Result<()> {
    on_site(workspace, options, report, "smokes", async |site| {
        let node = site.acquire("smokes-1", "web").await?;
        let first = smokes::passed(site, &node).await?;
        let mut line = format!(
            "smokes: {} suites, {} steps passed, evidence {}",
            smokes::suites(),
            first.steps,
            first.digest
        );
        if !options.short {
            let recognised = smokes::faults_recognised(site, &node).await?;
            site.bench.report.line(format!("{recognised} faults recognised"));
            let other = site.acquire("smokes-2", "web").await?;
            let second = smokes::passed(site, &other).await?;
            if second.digest != first.digest {
                let why = format!("{} on one node, {} on another", first.digest, second.digest);
                return Err(XtaskError::Check(why));
            }
            line.push_str(&format!("; the same on a second node; {recognised} faults recognised"));
            other.release(site.bench).await?;
        }
        node.release(site.bench).await?;
        Ok(line)
    })
    .await
}

/// Breaks a node in every way and repairs it.
///
/// # Errors
/// A code does not come, or does not clear.
pub async fn readiness(
    workspace: &Workspace,
    options: &ProofOptions,
    report: Report,
) -> Result<()> {
    on_site(workspace, options, report, "readiness", async |site| {
        let node = site.acquire("readiness", "base").await?;
        site.tell_times("base", &node).await?;
        let seen = readiness::broken_and_repaired(site, &node).await?;
        Ok(format!("readiness: {} codes seen on a node: {}", seen.len(), seen.join(", ")))
    })
    .await
}

/// Holds a node to the acceptance criteria.
///
/// # Errors
/// One of them is not met.
pub async fn acceptance(
    workspace: &Workspace,
    options: &ProofOptions,
    report: Report,
) -> Result<()> {
    let root = workspace.root().to_owned();
    on_site(workspace, options, report, "acceptance", async |site| {
        acceptance::held(site, &root, options.short).await
    })
    .await
}

async fn on_site(
    workspace: &Workspace,
    options: &ProofOptions,
    report: Report,
    what: &str,
    proof: impl AsyncFnOnce(&mut Site<'_>) -> Result<String>,
) -> Result<()> {
    let stack = StackOptions::of(options.stack.clone(), BackingKind::Auto);
    let faults = workspace.path("tests/smokes");
    let drill = async |bench: &Bench| {
        let backing = bench.state.backing.as_ref().filter(|backing| backing.real);
        let Some(netns) = backing.and_then(|backing| backing.netns.clone()) else {
            return Ok(format!("{what}: left out: there are no real machines here"));
        };
        let folder = bench.folder.join("login");
        std::fs::create_dir_all(&folder).at(&folder)?;
        let login = Login::make(netns, &folder)?;
        let faults = faults.clone();
        proof(&mut Site { bench, login, faults, verifier: Verifier::default() }).await
    };
    println!("{}", with_stack(workspace, &stack, report, drill).await?);
    Ok(())
}
