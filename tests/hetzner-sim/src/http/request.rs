//! From a target and what came with it to an operation.

use super::body;
use super::fields::object;
use super::firewall_body::firewall;
use super::query::{Pairs, action_ids, list_query};
use super::route::{Target, power_command};
use crate::world::error::ApiError;
use crate::world::operation::{Kind, Operation};

/// What is asked for. The method must be one that the target has.
///
/// # Errors
/// What is wrong with query or body.
pub fn operation(
    target: Target,
    method: &str,
    query: &Pairs,
    body: &[u8],
) -> Result<Operation, ApiError> {
    match (target, method) {
        (Target::Collection(kind), "GET") => Ok(Operation::List(kind, list_query(kind, query)?)),
        (Target::Collection(kind), _) => create(kind, body),
        (Target::Item(kind, id), "PUT") => {
            let change = body::change(&object(body)?, kind == Kind::Server)?;
            Ok(Operation::Update(kind, id, change))
        }
        (Target::Item(kind, id), "DELETE") => Ok(Operation::Delete(kind, id)),
        (Target::Item(kind, id), _) => Ok(Operation::Get(kind, id)),
        (Target::Actions, _) => Ok(Operation::ActionsById(action_ids(query)?)),
        (Target::AllServerActions, _) => {
            Ok(Operation::ServerActions(None, list_query(Kind::Action, query)?))
        }
        (Target::ServerActions(id), _) => {
            Ok(Operation::ServerActions(Some(id), list_query(Kind::Action, query)?))
        }
        (Target::ServerCommand(id, name), _) => {
            let command = match power_command(name) {
                Some(command) => command,
                None => body::protection(&object(body)?)?,
            };
            Ok(Operation::Command(id, command))
        }
        (Target::Pricing | Target::Datacenters, _) => Ok(Operation::Pricing),
    }
}

fn create(kind: Kind, bytes: &[u8]) -> Result<Operation, ApiError> {
    let object = object(bytes)?;
    match kind {
        Kind::Server => Ok(Operation::CreateServer(Box::new(body::server(&object)?))),
        Kind::SshKey => Ok(Operation::CreateSshKey(body::ssh_key(&object)?)),
        Kind::PlacementGroup => {
            Ok(Operation::CreatePlacementGroup(body::placement_group(&object)?))
        }
        Kind::Firewall => Ok(Operation::CreateFirewall(firewall(&object)?)),
        Kind::PrimaryIp => Ok(Operation::CreatePrimaryIp(body::primary_ip(&object)?)),
        Kind::Action | Kind::ServerType | Kind::Location | Kind::Image => {
            Err(ApiError::new("method_not_allowed", "cannot be created"))
        }
    }
}
