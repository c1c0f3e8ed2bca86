//! What is doubled and what is left over, by what the provider's stand-in saw.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::fleet::Standing;
use crate::journal::Entry;
use crate::simulator::World;

/// The label that names a server's node.
const NODE_LABEL: &str = "nodeyard/node";

/// One server, from its creation to the request that deleted it.
#[derive(Debug, Clone)]
struct Life<'a> {
    id: u64,
    name: &'a str,
    born: Timestamp,
    died: Option<Timestamp>,
}

/// Servers made twice: two of one node alive at once or under different names, more of them than
/// attempts were made, or one that names no node. `late_secs` is how much later a create that lands
/// late does.
pub fn duplicates(
    journal: &[Entry],
    attempts: &BTreeMap<String, u32>,
    late_secs: i64,
) -> Vec<String> {
    let mut found = Vec::new();
    for (node, mut lives) in lives(journal, late_secs) {
        if node.is_empty() {
            found.extend(lives.iter().map(|life| format!("server {} names no node", life.id)));
            continue;
        }
        lives.sort_by_key(|life| life.born);
        for pair in lives.windows(2) {
            if let [earlier, later] = pair
                && earlier.died.is_none_or(|died| died > later.born)
            {
                found.push(format!(
                    "{node}: server {} was made while {} was alive",
                    later.id, earlier.id
                ));
            }
        }
        let names: BTreeSet<&str> = lives.iter().map(|life| life.name).collect();
        if names.len() > 1 {
            found.push(format!("{node}: servers under {} names: {names:?}", names.len()));
        }
        let tried = attempts.get(node).copied().unwrap_or_default() as usize;
        if lives.len() > tried {
            found.push(format!("{node}: {} servers in {tried} attempts", lives.len()));
        }
    }
    found
}

fn lives(journal: &[Entry], late_secs: i64) -> BTreeMap<&str, Vec<Life<'_>>> {
    let deaths: BTreeMap<u64, Timestamp> =
        journal.iter().filter_map(|entry| Some((entry.deleted_server()?, entry.at))).collect();
    let mut lives: BTreeMap<&str, Vec<Life<'_>>> = BTreeMap::new();
    for entry in journal.iter().filter(|entry| entry.is_create()) {
        let Some(id) = entry.created_id else { continue };
        let is_late = entry.faults.iter().any(|fault| fault == "lands_late");
        let delay = SignedDuration::from_secs(if is_late { late_secs } else { 0 });
        lives.entry(entry.label(NODE_LABEL).unwrap_or_default()).or_default().push(Life {
            id,
            name: entry.name.as_deref().unwrap_or_default(),
            born: entry.at + delay,
            died: deaths.get(&id).copied(),
        });
    }
    lives
}

/// Servers that no node at rest claims, and ready nodes whose server is not there.
pub fn unowned(world: &World, standing: &Standing) -> Vec<String> {
    let ready = || standing.nodes.iter().filter(|node| node.status == "ready");
    let owned: BTreeSet<u64> = ready().filter_map(|node| node.server_id()).collect();
    let alive: BTreeSet<u64> = world.servers.iter().map(|server| server.id).collect();
    let strays = world.servers.iter().filter(|server| !owned.contains(&server.id));
    let mut found: Vec<String> = strays
        .map(|server| format!("server {} ({}) belongs to no ready node", server.id, server.name))
        .collect();
    for node in ready().filter(|node| node.server_id().is_none_or(|id| !alive.contains(&id))) {
        found.push(format!(
            "{} is ready and its server {:?} is not there",
            node.name,
            node.server_id()
        ));
    }
    found
}

/// What there is once every node has been released.
pub fn left_over(world: &World) -> Vec<String> {
    let servers = world.servers.iter().map(|it| format!("server {} ({}) is left", it.id, it.name));
    let ips = world.primary_ips.iter().map(|ip| format!("Primary IP {} is left", ip.id));
    let groups = (world.placement_groups > 0)
        .then(|| format!("{} placement groups are left", world.placement_groups));
    servers.chain(ips).chain(groups).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::duplicates;
    use crate::journal::{Entry, entry};

    fn create(at: &str, id: u64, name: &str, node: &str) -> Entry {
        Entry {
            at: format!("2026-01-01T00:{at}Z").parse().unwrap(),
            created_id: Some(id),
            effect: true,
            body: json!({ "labels": { "nodeyard/node": node } }),
            ..entry("POST", "/servers", Some(name), 201)
        }
    }

    fn delete(at: &str, id: u64) -> Entry {
        Entry {
            at: format!("2026-01-01T00:{at}Z").parse().unwrap(),
            effect: true,
            ..entry("DELETE", &format!("/servers/{id}"), None, 200)
        }
    }

    fn found(journal: &[Entry], attempts: u32) -> usize {
        duplicates(journal, &BTreeMap::from([("n".to_owned(), attempts)]), 25).len()
    }

    #[test]
    fn a_replacement_is_no_duplicate_and_two_at_once_are() {
        let first = create("00:00", 1, "a", "n");
        assert_eq!(found(std::slice::from_ref(&first), 1), 0);
        let replaced = [first.clone(), delete("01:00", 1), create("02:00", 2, "a", "n")];
        assert_eq!(found(&replaced, 2), 0);
        assert_eq!(found(&replaced, 1), 1, "more servers than attempts");
        let both = [first.clone(), create("02:00", 2, "a", "n")];
        assert_eq!(found(&both, 2), 1);
        let renamed = [first, delete("01:00", 1), create("02:00", 2, "b", "n")];
        assert_eq!(found(&renamed, 2), 1);
        assert_eq!(found(&[create("00:00", 1, "a", "")], 1), 1, "it names no node");
    }

    #[test]
    fn a_create_that_lands_late_is_alive_from_then_on() {
        let late = Entry { faults: vec!["lands_late".to_owned()], ..create("00:00", 1, "a", "n") };
        let other = create("00:10", 2, "a", "n");
        assert_eq!(found(&[late.clone(), other.clone(), delete("00:20", 2)], 2), 0);
        assert_eq!(found(&[late, other, delete("00:30", 2)], 2), 1);
    }
}
