//! `cargo xtask profiles`: each profile on real machines, through the whole stack, on first boots as
//! they are. A node is held to the effects that it shows, to a second run that changes nothing, and
//! to the same effects after it.

mod by_hand;
mod first_boot;
mod interrupted;
pub mod node;

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bench::{Bench, with_stack};
use crate::bundle::Verifier;
use crate::cli::{BackingKind, ProfilesOptions, StackOptions};
use crate::error::{IoContext, Result, XtaskError};
use crate::proof::times::Times;
use crate::python::{STACK, Venv};
use crate::report::Report;
use crate::workspace::Workspace;

use by_hand::ByHand;
use first_boot::{FIRST_BOOTS, NOBODY_SHUT_OUT};
use node::{Login, ProfileNode};

/// What Nodeyard itself may add to the time until a node is ready, in seconds.
const MOST_OWN_SECS: f64 = 5.0;
/// What the own profile is told.
const GREETING: &str = "Good morning";

/// Sets nodes up and holds them to what their profiles promise.
///
/// # Errors
/// One of them does not keep it.
pub async fn profiles(
    workspace: &Workspace,
    options: &ProfilesOptions,
    report: Report,
) -> Result<()> {
    let folder = workspace.stack(&options.stack);
    let mut stack = StackOptions::of(options.stack.clone(), BackingKind::Auto);
    stack.layers = first_boot::lay(&folder.join("layers"))?;
    let venv = Venv::ensure(workspace, STACK, report).await?;
    let drill = async |bench: &Bench| {
        if !bench.state.backing.as_ref().is_some_and(|backing| backing.real) {
            return Ok("profiles: left out: there are no real machines here".to_owned());
        }
        let site = Site::new(workspace, bench, &venv)?;
        site.play(options.short).await
    };
    let line = with_stack(workspace, &stack, report, drill).await?;
    println!("{line}");
    Ok(())
}

/// What every scene needs.
#[derive(Debug, Clone)]
struct Site {
    bench: Bench,
    login: Login,
    by_hand: ByHand,
    /// Where the probes and the own profile lie.
    sources: PathBuf,
}

impl Site {
    fn new(workspace: &Workspace, bench: &Bench, venv: &Venv) -> Result<Self> {
        let folder = bench.folder.join("by-hand");
        std::fs::create_dir_all(&folder).at(&folder)?;
        let netns = bench.state.backing.as_ref().and_then(|backing| backing.netns.clone());
        let netns = netns.ok_or_else(|| XtaskError::Check("machines without a lab".to_owned()))?;
        let sources = workspace.path("tests/profiles");
        let login = Login::make(netns, &folder)?;
        let playbooks = by_hand::with_own_profile(workspace, &sources, &folder, "shop")?;
        let by_hand = ByHand { login: login.clone(), playbooks, programs: venv.programs(), folder };
        Ok(Self { bench: bench.clone(), login, by_hand, sources })
    }

    async fn play(&self, short: bool) -> Result<String> {
        // First alone, so that the times mean something.
        let mut times = Vec::new();
        if !short {
            for profile in ["base", "web"] {
                let (node, _) =
                    self.keeps_its_promise(&format!("alone-{profile}"), profile, None).await?;
                let bundle = Verifier::default().authentic(&self.bench, &node.job).await?;
                let spent = Times::of(&self.bench, &node.job, &bundle).await?;
                if spent.own > MOST_OWN_SECS {
                    return Err(XtaskError::Check(format!("{profile}: {}", spent.line())));
                }
                times.push(format!("{profile} {}", spent.line()));
                node.release(&self.bench).await?;
            }
        }
        let mut scenes: JoinSet<Result<u32>> = JoinSet::new();
        let plain = self.clone();
        scenes.spawn(async move {
            let (node, held) = plain.keeps_its_promise("plain-web", "web", None).await?;
            node.release(&plain.bench).await?;
            Ok(held)
        });
        for boot in FIRST_BOOTS {
            let site = self.clone();
            let profile = if short { "base" } else { "web" };
            scenes.spawn(async move {
                let (node, mut held) =
                    site.keeps_its_promise(boot.prefix, profile, Some(boot.probe)).await?;
                if boot.prefix == FIRST_BOOTS[0].prefix {
                    held += site.own_profile(&node, profile).await?;
                }
                node.release(&site.bench).await?;
                Ok(held)
            });
        }
        if !short {
            let site = self.clone();
            scenes.spawn(async move { interrupted::after_each_role(&site).await });
        }
        let (mut held, mut nodes) = (0, 0);
        while let Some(ended) = scenes.join_next().await {
            held += ended.map_err(|error| XtaskError::Check(error.to_string()))??;
            nodes += 1;
        }
        times.push(format!("{nodes} nodes, {held} probes held, second runs changed nothing"));
        Ok(format!("profiles: {}", times.join("; ")))
    }

    /// A node of a profile: its effects, a second run that changes nothing, its effects again.
    /// Answers with how many probes held.
    async fn keeps_its_promise(
        &self,
        name: &str,
        profile: &str,
        of_boot: Option<&str>,
    ) -> Result<(ProfileNode, u32)> {
        let report = self.bench.report;
        let node = ProfileNode::acquire(&self.bench, &self.login, name, profile).await?;
        report.line(format!("{name}: ready after {:.0} s", node.ready_secs));
        let mut held = 0;
        if let Some(probe) = of_boot {
            // Before anything else is tried on it.
            held += self
                .probe(&node.login_lines(), name, &[probe.to_owned(), NOBODY_SHUT_OUT.to_owned()])
                .await?;
        }
        let probes = self.probes(profile)?;
        held += self.probe(&node.login_lines(), name, &probes).await?;
        let since = Instant::now();
        node.configure_again(&self.bench).await?;
        report.took(since, format!("{name}: a second run changes nothing"));
        held += self.probe(&node.login_lines(), name, &probes).await?;
        report.line(format!("{name}: {held} probes held"));
        Ok((node, held))
    }

    /// The profile that somebody added, by hand on a node of another one, and readiness with what it
    /// expects.
    async fn own_profile(&self, node: &ProfileNode, profile: &str) -> Result<u32> {
        let (lines, vars) = (node.login_lines(), json!({ "greeting": GREETING }));
        let counts = self.by_hand.play(&lines, "shop", &vars, &["profiles/shop.yml"]).await?;
        counts.succeeded("shop")?;
        let again = self.by_hand.play(&lines, "shop", &vars, &["profiles/shop.yml"]).await?;
        again.changed_nothing("shop")?;
        let ready = self.by_hand.play(&lines, "shop", &vars, &["readiness.yml"]).await?;
        ready.succeeded("readiness of shop")?;
        let failing: Vec<&Value> = ready
            .findings()
            .iter()
            .filter(|finding| finding["ok"] != true && finding["warning"] != true)
            .collect();
        if ready.findings().is_empty() || !failing.is_empty() {
            return Err(XtaskError::Check(format!("shop is not ready: {failing:?}")));
        }
        let own = self.sources.join("shop.probe.sh");
        let own = std::fs::read_to_string(&own).at(&own)?;
        let held = self.probe(&lines, "shop", &[own]).await?;
        self.bench
            .report
            .line(format!("an own profile over {profile}: set up, ready, {held} probes held"));
        Ok(held)
    }

    /// The probes of a profile, those of `base` first.
    fn probes(&self, profile: &str) -> Result<Vec<String>> {
        let names = if profile == "base" { vec!["base"] } else { vec!["base", profile] };
        let read = |name: &str| {
            let file = self.sources.join(format!("{name}.probe.sh"));
            std::fs::read_to_string(&file).at(&file)
        };
        names.into_iter().map(read).collect()
    }

    /// Runs probes on a node as root; how many held.
    async fn probe(&self, lines: &node::Lines, name: &str, probes: &[String]) -> Result<u32> {
        let file = self.sources.join("check.sh");
        let mut script = std::fs::read_to_string(&file).at(&file)?;
        for probe in probes {
            script.push_str(probe);
        }
        script.push_str("\nexit $failed\n");
        let said = self.login.run(lines, "sudo bash -s", Some(&script)).await?;
        let not_held: Vec<&str> = said.lines().filter(|line| !line.starts_with("ok ")).collect();
        let held = said.lines().count() - not_held.len();
        if held == 0 || !not_held.is_empty() {
            let told = not_held.join("\n");
            return Err(XtaskError::Check(format!(
                "{name}: {held} probes held, and these did not\n{told}"
            )));
        }
        Ok(u32::try_from(held).unwrap_or(u32::MAX))
    }
}
