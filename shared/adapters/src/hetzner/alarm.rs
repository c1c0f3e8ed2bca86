//! The drift alarm's ear: each answer of a call that succeeded is held against the strict model of
//! its kind, and the first difference is kept until somebody asks for it. It never fails a call.

use std::sync::{Mutex, PoisonError};

use super::drift::{Shape, difference};

#[derive(Debug, Default)]
pub(super) struct Alarm(Mutex<Option<String>>);

impl Alarm {
    /// `template` is the path as the reference names it.
    pub fn hear(&self, method: &str, template: &str, body: &[u8]) {
        let Some(shape) = shape(method, template) else { return };
        let Some(difference) = difference(shape, body) else { return };
        tracing::warn!(method, path = template, difference, "an answer has changed its form");
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.get_or_insert_with(|| format!("{method} {template}: {difference}"));
    }

    /// What was heard since the last time it was asked.
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The strict model of an answer, for the calls that are made.
fn shape(method: &str, template: &str) -> Option<Shape> {
    Some(match (method, template) {
        ("GET", "/servers") => Shape::Servers,
        ("GET", "/servers/{id}") => Shape::Server,
        ("POST", "/servers") => Shape::CreateServer,
        ("GET", "/actions") => Shape::Actions,
        ("GET", "/ssh_keys") => Shape::SshKeys,
        ("GET" | "PUT", "/ssh_keys/{id}") => Shape::SshKey,
        ("POST", "/ssh_keys") => Shape::CreateSshKey,
        ("GET", "/server_types") => Shape::ServerTypes,
        ("GET", "/locations") => Shape::Locations,
        ("GET", "/images") => Shape::Images,
        ("GET", "/pricing") => Shape::Pricing,
        ("GET", "/primary_ips/{id}") => Shape::PrimaryIp,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_kept_until_it_is_taken() {
        let alarm = Alarm::default();
        alarm.hear("GET", "/ssh_keys/{id}", br#"{"ssh_key": {"id": "seven"}}"#);
        alarm.hear("GET", "/locations", b"{}");
        let heard = alarm.take().unwrap();
        assert!(heard.starts_with("GET /ssh_keys/{id}: at ssh_key"), "{heard}");
        assert!(!heard.contains("seven"), "texts of the answer are left out");
        assert_eq!(alarm.take(), None);
        alarm.hear("DELETE", "/servers/{id}", b"no JSON");
        assert_eq!(alarm.take(), None, "nothing is expected of this one");
    }
}
