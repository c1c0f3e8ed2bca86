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

fn kind(name: &str) -> Value {
    match name {
        "timeout" | "bad_gateway" => json!({ "kind": name, "effect": true }),
        name => json!({ "kind": name }),
    }
}

/// The next create takes so long that its worker can be killed meanwhile.
pub fn slow_create(secs: u32) -> Value {
    fault(1, "POST", "/servers", json!({ "kind": "slow", "secs": secs }))
}

/// What goes wrong with the `nth` create from now; nothing, in about half of them.
pub fn of_create(dice: &mut Dice, nth: u32, waits_out: bool) -> Option<Value> {
    let what = match dice.below(if waits_out { 20 } else { 14 }) {
        0..=6 => kind(dice.pick(CREATED)?),
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

/// What goes wrong with one of the next calls of another kind; with what to call it.
pub fn of_any_call(dice: &mut Dice) -> (String, Value) {
    const CALLS: &[(&str, &str, &[&str])] = &[
        ("GET", "/actions", &["drop", "bad_gateway", "timeout", "unreadable", "rate_limited"]),
        ("GET", "/servers", &["drop", "timeout", "unreadable", "rate_limited"]),
        ("GET", "/servers/*", &["drop", "bad_gateway"]),
        ("DELETE", "/servers/*", &["answer_lost", "timeout", "bad_gateway", "locked"]),
        ("DELETE", "/servers/*", &["server_error", "answer_lost"]),
        ("GET", "/ssh_keys", &["drop", "timeout"]),
        ("POST", "/servers", CREATED),
    ];
    let (method, path, kinds) = dice.pick(CALLS).copied().unwrap_or(("GET", "/actions", &["drop"]));
    let name = dice.pick(kinds).copied().unwrap_or("drop");
    let what = match name {
        "locked" | "server_error" => json!({ "kind": "error", "code": name }),
        name => kind(name),
    };
    (format!("{name} on {method} {path}"), fault(1, method, path, what))
}
