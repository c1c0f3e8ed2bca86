//! What goes wrong with calls: faults for the simulator, as its guide writes them.

use serde_json::{Value, json};

use crate::random::Dice;
use crate::simulator::PROVIDER_TOKEN;

/// How much later a create that lands late does, in seconds; shorter than the time after which a
/// name that is absent counts as gone.
pub const LATE_SECS: i64 = 25;

/// What may go wrong with a create. The answer is lost, and the server is there.
const CREATED: &[&str] = &["answer_lost", "timeout", "bad_gateway", "unreadable"];

/// Hits the `nth` call from now that fits, once.
fn fault(nth: u32, method: &str, path: &str, fault: Value) -> Value {
    let calls = json!({ "method": method, "path": path, "token": PROVIDER_TOKEN });
    json!({ "match": calls, "nth": nth, "fault": fault })
}

/// The next create takes so long that its worker can be killed meanwhile.
pub fn slow_create(secs: u32) -> Value {
    fault(1, "POST", "/servers", json!({ "kind": "slow", "secs": secs }))
}

/// What goes wrong with the `nth` create from now; nothing, in about half of them.
pub fn of_create(dice: &mut Dice, nth: u32, waits_out: bool) -> Option<Value> {
    let what = match dice.below(if waits_out { 20 } else { 14 }) {
        0..=6 => named(dice.pick(CREATED)?),
        7 => json!({ "kind": "action_fails", "message": "planted" }),
        8 => json!({ "kind": "error", "code": "resource_unavailable" }),
        9..=13 => return None,
        14 | 15 => json!({ "kind": "lands_late", "after_secs": LATE_SECS }),
        16 => json!({ "kind": "drop" }),
        17 => json!({ "kind": "timeout" }),
        _ => json!({ "kind": "error", "code": "unavailable" }),
    };
    Some(fault(nth, "POST", "/servers", what))
}

/// What goes wrong with the `nth` deletion from now; nothing, in half of them.
pub fn of_delete(dice: &mut Dice, nth: u32) -> Option<Value> {
    const KINDS: &[&str] = &["answer_lost", "timeout", "bad_gateway", "drop", "locked"];
    let name = if dice.chance(50) { dice.pick(KINDS)? } else { return None };
    Some(fault(nth, "DELETE", "/servers/*", named(name)))
}

/// What goes wrong with one of the next calls of any kind. A 429 has to be waited out: what is kept
/// of the budget for creates and deletions has to come back first, at one call a second.
pub fn of_any_call(dice: &mut Dice, waits_out: bool) -> Value {
    const LOST: &[&str] = &["drop", "bad_gateway", "timeout", "unreadable"];
    const CALLS: &[(&str, &str, &[&str])] = &[
        ("GET", "/actions", LOST),
        ("GET", "/servers", LOST),
        ("GET", "/servers", LOST),
        ("GET", "/servers/*", LOST),
        ("GET", "/ssh_keys/*", LOST),
        ("GET", "/primary_ips/*", LOST),
        ("DELETE", "/servers/*", &["answer_lost", "timeout", "locked", "server_error"]),
        ("POST", "/servers", CREATED),
    ];
    let (method, path, names) = dice.pick(CALLS).copied().unwrap_or(("GET", "/actions", LOST));
    let name = if waits_out && dice.chance(10) {
        "rate_limited"
    } else {
        dice.pick(names).copied().unwrap_or("drop")
    };
    fault(1, method, path, named(name))
}

/// A fault by its name; a code of the provider's is an error without an effect.
fn named(name: &str) -> Value {
    match name {
        "timeout" | "bad_gateway" => json!({ "kind": name, "effect": true }),
        "locked" | "server_error" => json!({ "kind": "error", "code": name }),
        name => json!({ "kind": name }),
    }
}

#[cfg(test)]
mod tests {
    use super::{of_any_call, of_create, of_delete};
    use crate::random::Dice;

    #[test]
    fn the_same_seed_plans_the_same() {
        let plan = |seed| {
            let mut dice = Dice::new(seed);
            let creates: Vec<_> = (1..20).map(|nth| of_create(&mut dice, nth, true)).collect();
            let rest: Vec<_> = (1..20)
                .map(|nth| (of_delete(&mut dice, nth), of_any_call(&mut dice, true)))
                .collect();
            (creates, rest)
        };
        assert_eq!(plan(3), plan(3));
        assert_ne!(plan(3), plan(4));
    }

    #[test]
    fn a_short_drill_plans_nothing_that_has_to_be_waited_out() {
        let mut dice = Dice::new(1);
        for nth in 1..500 {
            let create = of_create(&mut dice, nth, false).unwrap_or_default().to_string();
            for kind in ["\"lands_late\"", "\"drop\"", "\"unavailable\""] {
                assert!(!create.contains(kind), "{create}");
            }
            let call = of_any_call(&mut dice, false).to_string();
            assert!(!call.contains("rate_limited"), "{call}");
        }
    }
}
