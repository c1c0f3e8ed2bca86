//! The metadata service: what a machine learns about itself at its first boot.
//!
//! Paths and fields as cloud-init's Hetzner data source reads them
//! (documented there and at Hetzner); a machine is known by the address it
//! asks from (observed), so nothing it sends is trusted.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Extension, Router};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::{GATEWAY, PREFIX_BITS};
use crate::backing::MachineSpec;

/// What each address may be told.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    machines: Arc<RwLock<HashMap<Ipv4Addr, MachineSpec>>>,
}

impl Metadata {
    /// From now on the machine's address is told this.
    pub fn insert(&self, spec: MachineSpec) {
        let mut machines = self.machines.write().unwrap_or_else(PoisonError::into_inner);
        machines.insert(spec.ipv4, spec);
    }

    /// From now on the address is told nothing, unless another machine than
    /// `id` has it by now.
    pub fn remove(&self, address: Ipv4Addr, id: u64) {
        let mut machines = self.machines.write().unwrap_or_else(PoisonError::into_inner);
        if machines.get(&address).is_some_and(|spec| spec.id == id) {
            machines.remove(&address);
        }
    }

    fn of(&self, caller: SocketAddr) -> Option<MachineSpec> {
        let IpAddr::V4(address) = caller.ip() else {
            return None;
        };
        let machines = self.machines.read().unwrap_or_else(PoisonError::into_inner);
        machines.get(&address).cloned()
    }
}

/// Answers machines until dropped.
pub(crate) async fn serve(listener: TcpListener, metadata: Metadata) {
    let app = router(metadata);
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, caller)) => {
                    open.spawn(converse(stream, caller, app.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a machine's connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = open.join_next() => {}
        }
    }
}

/// Answers the requests of one connection.
async fn converse(stream: TcpStream, caller: SocketAddr, app: Router) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(caller);
        app.clone().oneshot(request)
    });
    let connection = hyper::server::conn::http1::Builder::new();
    if let Err(error) = connection.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, %caller, "a machine hung up");
    }
}

fn router(metadata: Metadata) -> Router {
    Router::new()
        .route("/hetzner/v1/metadata", get(whole))
        .route("/hetzner/v1/metadata/{key}", get(one))
        .route("/hetzner/v1/userdata", get(user_data))
        .with_state(metadata)
}

type Answer = Result<String, StatusCode>;
type Caller = Extension<SocketAddr>;

async fn whole(State(metadata): State<Metadata>, Extension(caller): Caller) -> Answer {
    let spec = metadata.of(caller).ok_or(StatusCode::NOT_FOUND)?;
    Ok(document(&spec).to_string())
}

async fn one(
    State(metadata): State<Metadata>,
    Extension(caller): Caller,
    Path(key): Path<String>,
) -> Answer {
    let spec = metadata.of(caller).ok_or(StatusCode::NOT_FOUND)?;
    match document(&spec).get(&key) {
        Some(serde_json::Value::String(text)) => Ok(text.clone()),
        Some(value) => Ok(value.to_string()),
        None => Err(StatusCode::NOT_FOUND),
    }
}

async fn user_data(State(metadata): State<Metadata>, Extension(caller): Caller) -> Answer {
    let spec = metadata.of(caller).ok_or(StatusCode::NOT_FOUND)?;
    Ok(spec.user_data.unwrap_or_default())
}

/// The whole document. Hetzner answers YAML; this is JSON, which YAML holds.
/// The data source compares `instance-id` with the machine's serial number as
/// a number (documented in its source).
fn document(spec: &MachineSpec) -> serde_json::Value {
    let address = spec.ipv4;
    serde_json::json!({
        "availability-zone": zone(&spec.location),
        "hostname": spec.name,
        "instance-id": spec.id,
        "local-ipv4": "",
        "public-ipv4": address,
        "region": region(&spec.location),
        "public-keys": spec.authorized_keys,
        "vendor_data": "",
        "network-config": { "version": 1, "config": [{
            "type": "physical",
            "name": "eth0",
            "subnets": [{
                "type": "static",
                "ipv4": true,
                "address": format!("{address}/{PREFIX_BITS}"),
                "gateway": GATEWAY,
            }],
        }]},
    })
}

/// Assumed: the zone is named after the location and its data centre, and one
/// stands for all since data centres left the API.
fn zone(location: &str) -> String {
    format!("{location}-dc1")
}

/// Network zone of a location (documented in `GET /locations`).
fn region(location: &str) -> &'static str {
    match location {
        "ash" => "us-east",
        "hil" => "us-west",
        "sin" => "ap-southeast",
        _ => "eu-central",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn spec(id: u64, last: u8) -> MachineSpec {
        MachineSpec {
            id,
            name: format!("web-{id}"),
            ipv4: Ipv4Addr::new(198, 18, 0, last),
            image: "debian-13".to_owned(),
            disk_gb: 40,
            location: "hel1".to_owned(),
            user_data: Some("#cloud-config\n".to_owned()),
            authorized_keys: vec!["ssh-ed25519 AAAA k".to_owned()],
        }
    }

    fn from(last: u8) -> Caller {
        Extension(SocketAddr::from(([198, 18, 0, last], 40_000)))
    }

    #[tokio::test]
    async fn each_machine_is_told_of_itself_only() {
        let metadata = Metadata::default();
        let state = || State(metadata.clone());
        metadata.insert(spec(5_000_000_001, 10));
        metadata.insert(spec(5_000_000_002, 11));
        let key = || Path("instance-id".to_owned());
        assert_eq!(one(state(), from(10), key()).await.unwrap(), "5000000001");
        assert_eq!(one(state(), from(11), key()).await.unwrap(), "5000000002");
        assert_eq!(user_data(state(), from(11)).await.unwrap(), "#cloud-config\n");
        assert_eq!(whole(state(), from(12)).await.unwrap_err(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn an_address_given_on_is_not_forgotten_with_its_last_holder() {
        let metadata = Metadata::default();
        metadata.insert(spec(1, 10));
        metadata.insert(spec(2, 10));
        metadata.remove(Ipv4Addr::new(198, 18, 0, 10), 1);
        let told = one(State(metadata.clone()), from(10), Path("hostname".to_owned())).await;
        assert_eq!(told.unwrap(), "web-2");
        metadata.remove(Ipv4Addr::new(198, 18, 0, 10), 2);
        assert!(user_data(State(metadata), from(10)).await.is_err());
    }

    #[test]
    fn the_document_has_what_the_data_source_reads() {
        let document = document(&spec(7, 10));
        for key in ["instance-id", "hostname", "network-config", "public-keys"] {
            assert!(!document[key].is_null(), "{key}");
        }
        assert_eq!(document["region"], "eu-central");
    }
}
