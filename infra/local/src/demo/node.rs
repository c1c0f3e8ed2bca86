//! One node of the demo, from the request to its release.

use std::net::IpAddr;

use reqwest::Method;
use serde_json::{Value, json};

use super::Stage;
use super::progress::follow;
use crate::api::text;
use crate::error::{Result, XtaskError};

/// A node that is ready.
#[derive(Debug, Clone)]
pub struct DemoNode {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The provider's id of its server.
    pub server_id: u64,
    /// Where SSH answers.
    pub address: IpAddr,
    /// Who logs in.
    pub user: String,
    /// The port of SSH.
    pub port: u64,
    /// The pinned host key, as lines of a `known_hosts` file.
    pub known_hosts: String,
}

impl DemoNode {
    /// Asks for a node and waits until it is ready.
    ///
    /// # Errors
    /// It was refused, or did not become ready.
    pub async fn acquire(stage: &Stage, number: u32) -> Result<Self> {
        let name = format!("demo-{number}");
        let body = json!({ "name": name, "profile": stage.profile });
        let accepted = stage.api.call(Method::POST, "/nodes", Some(&body)).await?;
        let id = text(&accepted, "/node/id")?;
        stage.report.line(format!("{name}: accepted as {id}"));
        follow(stage, &name, &text(&accepted, "/job/id")?).await?;

        let node = stage.api.get(&format!("/nodes/{id}")).await?;
        let status = text(&node, "/status")?;
        if status != "ready" {
            return Err(XtaskError::Check(format!("{name} is {status}, not ready\n{node:#}")));
        }
        let ready = Self::read(id, name, &node)?;
        stage.report.line(format!(
            "{}: ready, server {} at {}",
            ready.name, ready.server_id, ready.address
        ));
        Ok(ready)
    }

    fn read(id: String, name: String, node: &Value) -> Result<Self> {
        let missing = |what: &str| XtaskError::Check(format!("{name} has no {what}\n{node:#}"));
        let number = |pointer: &str| node.pointer(pointer).and_then(Value::as_u64);
        Ok(Self {
            server_id: number("/server/id").ok_or_else(|| missing("server id"))?,
            address: text(node, "/ssh/address")?.parse().map_err(|_| missing("address"))?,
            user: text(node, "/ssh/user")?,
            port: number("/ssh/port").ok_or_else(|| missing("SSH port"))?,
            known_hosts: text(node, "/ssh/known_hosts")?,
            id,
            name,
        })
    }

    /// Configures the node again: on a machine that is as it should be, nothing changes.
    ///
    /// # Errors
    /// The run failed, did nothing, or changed something.
    pub async fn configure_again(&self, stage: &Stage) -> Result<()> {
        let path = format!("/nodes/{}/configure", self.id);
        let accepted = stage.api.call(Method::POST, &path, Some(&json!({}))).await?;
        let job = follow(stage, &self.name, &text(&accepted, "/job/id")?).await?;
        let count = |name: &str| job.pointer(&format!("/result/{name}")).and_then(Value::as_u64);
        let counts = (count("ok"), count("changed"), count("failed"));
        if !stage.is_real() {
            let not_shown = "simulated run; that it changes nothing is not shown";
            stage.report.line(format!("{}: {not_shown}", self.name));
            return Ok(());
        }
        match counts {
            (Some(ok), Some(0), Some(0)) if ok > 0 => {
                let told = format!("{}: second run: {ok} tasks fine, 0 changed", self.name);
                stage.report.line(told);
                Ok(())
            }
            _ => Err(XtaskError::Check(format!(
                "{}: the second run must change nothing\n{job:#}",
                self.name
            ))),
        }
    }

    /// Gives the node back.
    ///
    /// # Errors
    /// It was not released.
    pub async fn release(&self, stage: &Stage) -> Result<()> {
        let path = format!("/nodes/{}", self.id);
        let accepted = stage.api.call(Method::DELETE, &path, None).await?;
        follow(stage, &self.name, &text(&accepted, "/job/id")?).await?;
        let status = text(&stage.api.get(&path).await?, "/status")?;
        if status == "released" {
            return Ok(());
        }
        Err(XtaskError::Check(format!("{} is {status}, not released", self.name)))
    }
}
