//! What the port tells of the cloud's things, as the real adapter reads them off the wire.

use std::{collections::BTreeMap, net::Ipv6Addr};

use hetzner_sim::world::{
    World,
    action::{Action, Outcome},
    catalogue,
    error::ApiError,
    operation::{Kind, Reply},
    server::{Server as Machine, Status},
};
use nodeyard_domain::{
    node::Server,
    observation::{FailureClass, ProviderFailure, ServerStatus},
};
use nodeyard_engine::provider::{ActionState, FoundServer};

/// How a type that is not sold in a location is refused.
const UNSUPPORTED_LOCATION: &str = "unsupported location for server type";

/// What a refusal means. `calls` is how many calls the caller needs.
pub(super) fn refusal(error: &ApiError, calls: i64) -> ProviderFailure {
    let mut fields = names(error, "fields");
    if error.message.contains(UNSUPPORTED_LOCATION) {
        fields.push("location".to_owned());
    }
    let class = FailureClass::of(error.status, &error.code, &fields);
    let mut message = error.message.clone();
    let limits = names(error, "limits");
    if !limits.is_empty() {
        message.push_str(&format!(" (limits: {})", limits.join(", ")));
    }
    let mut failure = ProviderFailure::new(class, &error.code, message);
    if class == FailureClass::RateLimited {
        // The budget refills by one a second.
        failure.pause_secs = Some(calls.max(1) + 1);
    }
    failure
}

fn names(error: &ApiError, list: &str) -> Vec<String> {
    let entries = error.details.get(list).and_then(|list| list.as_array());
    let named = entries.into_iter().flatten().filter_map(|entry| entry.get("name")?.as_str());
    named.map(str::to_owned).collect()
}

/// No answer: whether it took effect is unknown.
pub(super) fn lost() -> ProviderFailure {
    ProviderFailure::new(FailureClass::Unknown, "timeout", "no answer in time")
}

/// An answer that cannot be read: it tells neither success nor failure.
pub(super) fn unreadable() -> ProviderFailure {
    ProviderFailure::new(FailureClass::Unknown, "unreadable", "status 200 with a body cut off")
}

/// Something in between has answered.
pub(super) fn bad_gateway() -> ProviderFailure {
    let message = "status 502 without the API's error body";
    ProviderFailure::new(FailureClass::Unknown, "unreadable", message)
}

fn host_address(network: &str) -> String {
    match network.split_once('/').map(|(network, _)| network.parse::<Ipv6Addr>()) {
        Some(Ok(network)) => Ipv6Addr::from_bits(network.to_bits() | 1).to_string(),
        _ => network.to_owned(),
    }
}

pub(super) fn server(world: &World, machine: &Machine) -> Server {
    let address = |ip: Option<u64>| Some(world.primary_ip(ip?)?.address.clone());
    let size = catalogue::server_type_by_id(machine.server_type);
    let place = catalogue::location_by_id(machine.location);
    Server {
        id: machine.id,
        name: machine.name.clone(),
        attempt: 0,
        ipv4: address(machine.ipv4),
        ipv6: address(machine.ipv6).map(|network| host_address(&network)),
        primary_ips: [machine.ipv4, machine.ipv6].into_iter().flatten().collect(),
        server_type: size.map(|size| size.name.to_owned()),
        location: place.map(|place| place.name.to_owned()),
    }
}

fn found(world: &World, machine: &Machine) -> FoundServer {
    let status = match machine.status {
        Status::Running => ServerStatus::Running,
        Status::Deleting => ServerStatus::Deleting,
        other => ServerStatus::Other(other.name().to_owned()),
    };
    FoundServer { server: server(world, machine), status, labels: machine.labels.clone() }
}

/// The one server of an answer.
pub(super) fn one_server(world: &World, reply: &Reply) -> Option<FoundServer> {
    let Reply::One(Kind::Server, id) = reply else { return None };
    Some(found(world, world.server(*id)?))
}

/// A page of servers, and how many there are in all.
pub(super) fn servers(world: &World, reply: &Reply) -> (Vec<FoundServer>, usize) {
    let Reply::Page(Kind::Server, page) = reply else { return (Vec::new(), 0) };
    let machines = page.ids.iter().filter_map(|id| world.server(*id));
    (machines.map(|machine| found(world, machine)).collect(), page.total)
}

/// A new server and the action that makes it.
pub(super) fn created(world: &World, reply: &Reply) -> Option<(Server, u64)> {
    let Reply::ServerCreated { server: id, action, .. } = reply else { return None };
    Some((server(world, world.server(*id)?), *action))
}

pub(super) fn actions(world: &World, reply: &Reply) -> BTreeMap<u64, ActionState> {
    let Reply::Actions(ids) = reply else { return BTreeMap::new() };
    let known = ids.iter().filter_map(|id| world.action(*id));
    known.map(|action| (action.id, state(action))).collect()
}

fn state(action: &Action) -> ActionState {
    match &action.outcome {
        Outcome::Running => ActionState::Running,
        Outcome::Success => {
            let millis = action.finished.map(|finished| finished - action.started);
            let took_secs = millis.and_then(|millis| u32::try_from(millis / 1000).ok());
            ActionState::Succeeded { took_secs }
        }
        Outcome::Error(failure) => {
            ActionState::Failed { code: failure.code.clone(), message: failure.message.clone() }
        }
    }
}

/// The server that the Primary IP of an answer is assigned to.
pub(super) fn holder(world: &World, reply: &Reply) -> Option<u64> {
    let Reply::One(Kind::PrimaryIp, id) = reply else { return None };
    world.primary_ip(*id)?.assignee
}

/// A thing with a name and labels.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub id: u64,
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

/// The SSH keys of an answer: one, or a page.
pub(super) fn keys(world: &World, reply: &Reply) -> Vec<Named> {
    let of = |ids: &[u64]| {
        let keys = ids.iter().filter_map(|id| world.ssh_key(*id));
        keys.map(|key| Named { id: key.id, name: key.name.clone(), labels: key.labels.clone() })
            .collect()
    };
    match reply {
        Reply::One(Kind::SshKey, id) | Reply::Created(Kind::SshKey, id, _) => of(&[*id]),
        Reply::Page(Kind::SshKey, page) => of(&page.ids),
        _ => Vec::new(),
    }
}

/// The placement groups of an answer: one, or a page.
pub(super) fn groups(world: &World, reply: &Reply) -> Vec<Named> {
    let of = |ids: &[u64]| {
        let groups = ids.iter().filter_map(|id| world.placement_group(*id));
        groups
            .map(|group| Named {
                id: group.id,
                name: group.name.clone(),
                labels: group.labels.clone(),
            })
            .collect()
    };
    match reply {
        Reply::Created(Kind::PlacementGroup, id, _) => of(&[*id]),
        Reply::Page(Kind::PlacementGroup, page) => of(&page.ids),
        _ => Vec::new(),
    }
}

/// For answers of which only the success counts.
pub(super) fn nothing(_: &World, _: &Reply) {}
