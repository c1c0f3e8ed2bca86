//! Defects that a drill plants to see that it would find them. Only debug builds have this module;
//! in a release build there is nothing to switch on.

use std::fmt::Write as _;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use secrecy::{ExposeSecret as _, SecretString};

/// Names the defects that are switched on.
const SWITCH: &str = "NODEYARD_PLANTED";
/// Who reads the token of a connection of this name in the worker panics.
const PANICS: &str = "/connection/panics-";

/// A secret was read from the store.
pub(crate) fn secret_read(name: &str, secret: &SecretString) {
    let Ok(planted) = std::env::var(SWITCH) else { return };
    if planted == "leak" {
        leak(name, secret.expose_secret());
    }
    let function = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default();
    if planted == "panic" && name.contains(PANICS) && function.ends_with("-worker") {
        #[allow(clippy::panic, reason = "this is the defect")]
        {
            panic!("planted");
        }
    }
}

/// Writes a secret into the log in every form, each in a line of its own.
fn leak(name: &str, secret: &str) {
    let hex = |upper: bool| {
        secret.bytes().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = if upper { write!(text, "{byte:02X}") } else { write!(text, "{byte:02x}") };
            text
        })
    };
    let url: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let forms = [
        ("plain", secret.to_owned()),
        ("base64", STANDARD.encode(secret)),
        ("base64url", URL_SAFE.encode(secret)),
        ("hex", hex(false)),
        ("HEX", hex(true)),
        ("URL-encoded", url),
    ];
    for (form, text) in forms {
        tracing::info!(name, form, text, "planted: a secret was read");
    }
}
