//! `cargo xtask demo`: from nothing to nodes that are proved ready, and back
//! to nothing. Every claim of its last line is checked, or said not to be.

mod checks;
mod journal;
mod node;
mod progress;
mod story;
mod verdict;

use std::time::Instant;

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::api::Api;
use crate::cli::DemoOptions;
use crate::error::{Result, XtaskError};
use crate::report::Report;
use crate::signal::unless_interrupted;
use crate::simulator::Simulator;
use crate::stack;
use crate::state::StackState;
use crate::workspace::Workspace;

use node::DemoNode;
use verdict::Verdict;

/// Runs the demo and tears down whatever came of it.
///
/// # Errors
/// Anything that its last line would claim did not happen.
pub async fn demo(workspace: &Workspace, options: &DemoOptions, report: Report) -> Result<()> {
    let outcome = unless_interrupted(play(workspace, options, report)).await;
    let is_left = match &outcome {
        Ok(_) => options.keep,
        Err(error) => matches!(error, XtaskError::AlreadyUp { .. }),
    };
    if !is_left {
        let ended = stack::end(workspace, &options.stack.stack, report).await;
        // What went wrong first is what matters.
        if outcome.is_ok() {
            ended?;
        }
    }
    let verdict = outcome?;
    println!("{verdict}");
    Ok(())
}

async fn play(workspace: &Workspace, options: &DemoOptions, report: Report) -> Result<Verdict> {
    let state = stack::bring_up(workspace, &options.stack, report).await?;
    let stage = Stage {
        api: Api::of(&state)?,
        simulator: Simulator::of(&state)?,
        state,
        report,
        profile: options.profile.clone(),
    };
    let verdict = stage.play(options).await?;
    if options.keep {
        stage.hand_over(workspace)?;
    }
    Ok(verdict)
}

/// What every scene of the demo needs.
#[derive(Debug, Clone)]
struct Stage {
    api: Api,
    simulator: Simulator,
    state: StackState,
    report: Report,
    profile: String,
}

impl Stage {
    async fn play(&self, options: &DemoOptions) -> Result<Verdict> {
        self.connect().await?;
        let before = journal::job_calls(self).await?;
        let asked = Instant::now();
        let nodes = self.for_each(0..options.nodes, |stage, number| async move {
            DemoNode::acquire(&stage, number + 1).await
        });
        let nodes = nodes.await?;
        let ready_secs = asked.elapsed().as_secs_f64();
        let until_ready = journal::job_calls(self).await? - before;
        for node in &nodes {
            checks::check(self, node).await?;
        }
        let configured = self.for_each(nodes.clone(), |stage, node| async move {
            node.configure_again(&stage).await
        });
        configured.await?;
        if !options.keep {
            let released = self
                .for_each(nodes.clone(), |stage, node| async move { node.release(&stage).await });
            released.await?;
        }
        let servers_left = self.simulator.server_count().await?;
        journal::check(self, nodes.len(), until_ready).await?;
        if !options.keep && servers_left > 0 {
            return Err(XtaskError::Check(format!("{servers_left} servers left")));
        }
        Ok(Verdict {
            nodes: nodes.len(),
            ready_secs,
            has_page: self.profile == "web",
            is_real: self.is_real(),
            kept: options.keep,
            servers_left,
        })
    }

    async fn connect(&self) -> Result<()> {
        let body = json!({ "provider": "hetzner", "token": self.state.provider_token });
        let connected = self.api.call(Method::PUT, "/providers/main", Some(&body)).await?;
        let status = crate::api::text(&connected, "/status")?;
        self.report.line(format!("provider main: {status}"));
        if status == "connected" {
            return Ok(());
        }
        Err(XtaskError::Check(format!("the provider is {status}\n{connected:#}")))
    }

    /// Does the same for all at once; the first failure ends the rest.
    async fn for_each<I, T, F>(
        &self,
        items: I,
        work: impl Fn(Stage, I::Item) -> F,
    ) -> Result<Vec<T>>
    where
        I: IntoIterator,
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let mut running = JoinSet::new();
        for item in items {
            running.spawn(work(self.clone(), item));
        }
        let mut done = Vec::new();
        while let Some(ended) = running.join_next().await {
            done.push(ended.map_err(|error| XtaskError::Check(error.to_string()))??);
        }
        Ok(done)
    }

    fn is_real(&self) -> bool {
        self.state.backing.as_ref().is_some_and(|backing| backing.real)
    }

    /// Leaves the stack to whoever reads this.
    fn hand_over(&self, workspace: &Workspace) -> Result<()> {
        let mut state = self.state.clone();
        state.owner = None;
        state.save(workspace)?;
        crate::up::tell(&state);
        println!("`cargo xtask down --stack {}` ends it.", state.stack);
        Ok(())
    }
}
