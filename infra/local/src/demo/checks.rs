//! What is checked on a node from outside, as its user would.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use super::Stage;
use super::node::DemoNode;
use crate::error::{IoContext, Result, XtaskError};
use crate::lab;

/// Checks the page and the door; without machines, says that neither was.
///
/// # Errors
/// A check did not hold.
pub async fn check(stage: &Stage, node: &DemoNode) -> Result<()> {
    let netns = stage.state.backing.as_ref().and_then(|backing| backing.netns.as_deref());
    let Some(netns) = netns.filter(|_| stage.is_real()) else {
        let not_done = "no machine: page and SSH not checked";
        stage.report.line(format!("{}: {not_done}", node.name));
        return Ok(());
    };
    if stage.profile == "web" {
        page(netns, node).await?;
        stage.report.line(format!("{}: serves its page", node.name));
    }
    password(netns, node).await?;
    stage.report.line(format!("{}: SSH refuses passwords", node.name));
    Ok(())
}

/// The health page uses PHP, MariaDB and Redis, and names the node.
async fn page(netns: &Path, node: &DemoNode) -> Result<()> {
    let address = SocketAddr::new(node.address, 80);
    let (status, body) = lab::fetch(netns, address, "/nodeyard-health").await?;
    let page: Value = serde_json::from_str(&body).unwrap_or_default();
    let word = |name: &str| page.get(name).and_then(Value::as_str);
    if status == 200 && word("status") == Some("ok") && word("node") == Some(node.id.as_str()) {
        return Ok(());
    }
    Err(XtaskError::Check(format!("{}: its page answers {status}\n{body}", node.name)))
}

/// The server itself lists the ways in when it refuses one; keys must be the only one.
async fn password(netns: &Path, node: &DemoNode) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("nodeyard-demo-{}", node.id));
    std::fs::create_dir_all(&folder).at(&folder)?;
    let known_hosts = folder.join("known_hosts");
    let said = match std::fs::write(&known_hosts, &node.known_hosts).at(&known_hosts) {
        Ok(()) => knock(netns, node, &known_hosts).await,
        Err(error) => Err(error),
    };
    // Two files of no value in the temporary folder.
    let _ = std::fs::remove_dir_all(&folder);
    let said = said?;
    if said.contains("Permission denied (publickey).") {
        return Ok(());
    }
    Err(XtaskError::Check(format!("{}: SSH should accept keys alone; it said\n{said}", node.name)))
}

/// Tries to log in without a key and gives back what ssh said.
async fn knock(netns: &Path, node: &DemoNode, known_hosts: &Path) -> Result<String> {
    let pinned = node.known_hosts.split_whitespace().next().unwrap_or_default();
    let output = Command::new("nsenter")
        .arg(format!("--net={}", netns.display()))
        .args(["ssh", "-F", "/dev/null", "-p", &node.port.to_string()])
        .args(["-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=10"])
        .args(["-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1"])
        .args(["-o", "PreferredAuthentications=password,keyboard-interactive"])
        .args(["-o", &format!("UserKnownHostsFile={}", known_hosts.display())])
        .args(["-o", &format!("HostKeyAlias={pinned}")])
        .arg(format!("{}@{}", node.user, node.address))
        .arg("true")
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env("SSH_ASKPASS", "/bin/false")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .during("ssh")?;
    if output.status.success() {
        return Err(XtaskError::Check(format!("{}: SSH let us in without a key", node.name)));
    }
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}
