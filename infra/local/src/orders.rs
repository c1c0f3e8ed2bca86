//! What the stand-in for Ansible is to do besides its part, where a server has no machine.
//!
//! It travels in the comment of a key: the API takes no variables that a profile does not have.

use serde_json::{Value, json};

/// A key that nobody has the private half of.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJeMB9QlPK1a5QyCkW2Jb1hVnN4tQG3o1bJm0pXo0Q0n";

/// The `authorized_keys` of a request that gives these orders; none for an empty object.
pub fn as_keys(orders: &Value) -> Value {
    match orders.as_object() {
        Some(orders) if !orders.is_empty() => json!([format!("{KEY} simulated {}", json!(orders))]),
        _ => json!([]),
    }
}
