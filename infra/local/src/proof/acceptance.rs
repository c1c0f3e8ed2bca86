//! The acceptance criteria, each with the test that holds it and the digest of its evidence.

use std::path::Path;

use nodeyard_domain::evidence::canonical::hash_of;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Site, readiness, smokes};
use crate::api::text;
use crate::error::{Result, XtaskError};
use crate::profiles::node::ProfileNode;

/// One criterion that is met.
struct Held {
    criterion: &'static str,
    /// The test in this repository that holds it, whatever happens here.
    test: &'static str,
    /// What was seen here; the same whenever it is met in the same way.
    digest: String,
}

/// Goes through the criteria; one node serves them all.
///
/// # Errors
/// One of them is not met.
pub async fn held(site: &mut Site<'_>, root: &Path, short: bool) -> Result<String> {
    refused(site).await?;
    let node = site.acquire("acceptance", "web").await?;
    let provision = site.tell_times("web", &node).await?;
    let asynchronous = Held {
        criterion: "creation is provider-backed only and asynchronous",
        test: "nodeyard-api::api nodes_create",
        digest: text(&provision, "/digest")?,
    };
    let connected = Held {
        criterion: "/providers shows connection and health, secrets persist",
        test: "nodeyard-api::api providers_get, providers_put",
        digest: connected(site).await?,
    };
    let configured = configured(site, &node).await?;
    let pipeline = Held {
        criterion: "create, poll and fetch feed one pipeline of provisioning and readiness",
        test: "nodeyard-domain::table docs, nodeyard-engine::evidence",
        digest: one_pipeline(&provision, &configured)?,
    };
    let only = Held {
        criterion: "nothing of local, manual or self acquisition is left",
        test: "nodeyard-tests::architecture nowhere_is_a_word_of_another_way_to_get_a_node",
        digest: no_way_back(root)?,
    };
    let smoked = smokes::passed(site, &node).await?;
    let smoked = Held {
        criterion: "the smokes pass on a provider-acquired node",
        test: "cargo xtask smokes",
        digest: smoked.digest,
    };
    let seen = readiness::broken_and_repaired(site, &node).await?;
    site.bench.report.line(format!("{} readiness codes seen: {}", seen.len(), seen.join(", ")));
    if !short {
        let (fresh, again) = (site.acquire("acceptance-2", "web").await?, &smoked.digest);
        let second = smokes::passed(site, &fresh).await?;
        let bundle = site.verifier.authentic(site.bench, &fresh.job).await?;
        if second.digest != *again || text(&bundle, "/digest")? != asynchronous.digest {
            return Err(XtaskError::Check("a second node gives other digests".to_owned()));
        }
        fresh.release(site.bench).await?;
    }
    let all = [asynchronous, connected, pipeline, only, smoked];
    let mut sum = String::new();
    for (index, held) in all.iter().enumerate() {
        let Held { criterion, test, digest } = held;
        println!("{}. {criterion}\n   held by {test}\n   evidence {digest}", index + 1);
        sum.push_str(digest);
        sum.push('\n');
    }
    let sum = hash_of(sum.as_bytes());
    Ok(format!(
        "acceptance: {} criteria held, {} readiness codes seen, evidence {sum}",
        all.len(),
        seen.len()
    ))
}

/// Anything that would be a node from elsewhere is refused with one code.
async fn refused(site: &Site<'_>) -> Result<()> {
    for body in [
        json!({"name": "a", "host": "192.0.2.1"}),
        json!({"name": "a", "ssh_host": "192.0.2.1"}),
        json!({"name": "a", "is_local": true}),
    ] {
        let request = site.bench.api.authorized(Method::POST, "/nodes").json(&body);
        let (status, answer) = site.bench.api.send(request, "POST /nodes").await?;
        if status != StatusCode::BAD_REQUEST || !answer.contains("acquisition_mode_unsupported") {
            return Err(XtaskError::Check(format!("{body} was answered with {status}\n{answer}")));
        }
    }
    Ok(())
}

/// What `/providers` says of a connection, and that its secret is nowhere in it.
async fn connected(site: &Site<'_>) -> Result<String> {
    let all = site.bench.api.get("/providers").await?;
    let one = site.bench.api.get("/providers/main").await?;
    let secret = site.bench.state.provider_token.as_str();
    let told = format!("{all}{one}");
    let is_told = told.contains(secret);
    if one["status"] != "connected" || one["permission"] != "read_write" || is_told {
        return Err(XtaskError::Check(format!("not what a connection that works says\n{one:#}")));
    }
    // Persisted: a check reads it from where it is kept.
    let checked = site.bench.api.call(Method::POST, "/providers/main/check", None).await?;
    let claim = json!({"status": checked["status"], "permission": checked["permission"]});
    Ok(hash_of(claim.to_string().as_bytes()).to_string())
}

async fn configured(site: &mut Site<'_>, node: &ProfileNode) -> Result<Value> {
    let job = node.work(site.bench, "configure", &json!({})).await?;
    if job["state"] != "succeeded" {
        return Err(XtaskError::Check(format!("configuring failed\n{:#}", job["error"])));
    }
    site.verifier.authentic(site.bench, &text(&job, "/id")?).await
}

/// A provision and a configure claim the same of their runs: the same playbooks, the same probes.
fn one_pipeline(provision: &Value, configure: &Value) -> Result<String> {
    let of_run = |bundle: &Value| -> Vec<Value> {
        let claims = bundle["claims"].as_array().into_iter().flatten();
        let is_of_run = |claim: &&Value| {
            let step = claim["step"].as_str().unwrap_or_default();
            step == "run_playbooks" || step.starts_with("probe.")
        };
        claims.filter(is_of_run).cloned().collect()
    };
    let (first, second) = (of_run(provision), of_run(configure));
    if first.len() < 5 || first != second {
        return Err(XtaskError::Check(format!("two pipelines?\n{first:#?}\n{second:#?}")));
    }
    Ok(hash_of(json!(first).to_string().as_bytes()).to_string())
}

/// The served contract has no word of another way to get a node. The guard test reads everything
/// else.
fn no_way_back(root: &Path) -> Result<String> {
    let path = root.join("functions/api/openapi.json");
    let document = std::fs::read_to_string(&path)
        .map_err(|error| XtaskError::Check(format!("{}: {error}", path.display())))?;
    let document: Value =
        serde_json::from_str(&document).map_err(|error| XtaskError::Check(error.to_string()))?;
    let schema = document.pointer("/components/schemas/NewNode/properties");
    let fields: Vec<&String> =
        schema.and_then(Value::as_object).into_iter().flat_map(|all| all.keys()).collect();
    let foreign = ["host", "ssh_host", "is_local", "address", "ip", "mode", "acquisition"];
    let found = fields.iter().any(|field| foreign.contains(&field.as_str()));
    if fields.is_empty() || found {
        return Err(XtaskError::Check(format!("the contract of a new node: {fields:?}")));
    }
    Ok(hash_of(json!(fields).to_string().as_bytes()).to_string())
}
