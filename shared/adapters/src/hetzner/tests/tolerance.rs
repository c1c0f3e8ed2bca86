//! What an answer may lack or say anew, held against the strict models, which are the alarm.

use ::ssh_key::{HashAlg, PrivateKey, PublicKey};
use hcloud::models::CreateServerResponse;

use super::{
    drift::{Shape, difference},
    *,
};

/// Every place in a value, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(list) => {
            list.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    for (key, value) in inner {
        let place = format!("{at}/{key}");
        found.push(place.clone());
        places(value, &place, found);
    }
}

/// A whole create answer, as the strict models write it.
fn whole() -> Value {
    let mut body = serde_json::to_value(CreateServerResponse::default()).unwrap();
    body["server"]["id"] = 5_000_000_001_u64.into();
    body["server"]["public_net"] = json!({
        "firewalls": [], "floating_ips": [],
        "ipv4": {"id": 11, "ip": "198.51.100.7", "blocked": false, "dns_ptr": "x"},
        "ipv6": {"id": 12, "ip": "2001:db8::/64", "blocked": false, "dns_ptr": []},
    });
    body["action"]["id"] = 7.into();
    body
}

fn without(body: &Value, place: &str) -> Value {
    let mut body = body.clone();
    let (parent, key) = place.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap().as_object_mut().map(|map| map.remove(key));
    body
}

fn with(body: &Value, place: &str, value: Value) -> Value {
    let mut body = body.clone();
    *body.pointer_mut(place).unwrap() = value;
    body
}

#[test]
fn whatever_a_201_lacks_or_says_anew_its_id_is_kept() {
    let body = whole();
    assert_eq!(difference(Shape::CreateServer, body.to_string().as_bytes()), None);
    let mut all = Vec::new();
    places(&body, "", &mut all);
    let mut alarms = 0;
    let mut changed = 0;
    for place in all.iter().filter(|place| !matches!(place.as_str(), "/server" | "/server/id")) {
        for other in [
            without(&body, place),
            with(&body, place, Value::Null),
            with(&body, place, "a_new_word".into()),
            with(&body, place, json!({"new": []})),
            with(&body, place, json!(-1.5)),
        ] {
            let text = other.to_string();
            alarms += u32::from(difference(Shape::CreateServer, text.as_bytes()).is_some());
            changed += 1;
            let answer = transport::Answer {
                status: 201,
                correlation_id: None,
                rate: None,
                body: text.into_bytes(),
            };
            let created = server::created(&answer, &create_body()).unwrap();
            assert_eq!(created.server.id, 5_000_000_001, "{place}");
        }
    }
    // The alarm is worth something: most of these would have lost the id.
    assert!(changed > 300 && alarms * 2 > changed, "{alarms} of {changed}");
}

#[test]
fn ids_are_read_in_every_shape_an_id_can_have() {
    for (value, id) in [
        (json!(5_000_000_001_u64), Some(5_000_000_001)),
        (json!(42.0), Some(42)),
        (json!("42"), Some(42)),
        (json!(42.5), None),
        (json!(-1), None),
        (json!("x"), None),
        (json!(null), None),
    ] {
        assert_eq!(projection::loose_id(Some(&value)), id, "{value}");
    }
}

#[test]
fn the_alarm_says_where_and_never_what() {
    let body = with(&whole(), "/action/status", "a_new_word".into());
    let text = difference(Shape::CreateServer, body.to_string().as_bytes()).unwrap();
    assert!(text.starts_with("at action.status: unknown variant"), "{text}");
    let body = with(&whole(), "/server/id", "hunter2 \"quoted\"".into());
    let text = difference(Shape::CreateServer, body.to_string().as_bytes()).unwrap();
    assert!(text.starts_with("at server.id: invalid type: string \"…\""), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("quoted"), "{text}");
    let text = difference(Shape::Servers, b"{}").unwrap();
    assert!(text.contains("missing field `meta`") || text.contains("missing field `servers`"));
}

#[test]
fn fingerprints_are_those_of_ssh_keygen() {
    assert_eq!(key::fingerprint(PUBLIC_KEY).as_deref(), Some(FINGERPRINT));
    assert_eq!(key::fingerprint(&format!("  {PUBLIC_KEY}\n")).as_deref(), Some(FINGERPRINT));
    assert_eq!(key::fingerprint("ssh-ed25519 AAAA"), None);
    assert_eq!(key::fingerprint(""), None);
}

#[test]
fn a_new_pair_belongs_together_and_is_new_each_time() {
    use secrecy::ExposeSecret as _;
    let (private, public) = key::new_key_pair("nodeyard main v1").unwrap();
    let read = PrivateKey::from_openssh(private.expose_secret()).unwrap();
    assert_eq!(read.public_key().to_openssh().unwrap(), public);
    assert!(public.starts_with("ssh-ed25519 ") && public.ends_with(" nodeyard main v1"));
    assert!(key::fingerprint(&public).is_some());
    let (_, other) = key::new_key_pair("nodeyard main v1").unwrap();
    let digest = |line: &str| PublicKey::from_openssh(line).unwrap().fingerprint(HashAlg::Sha256);
    assert_ne!(digest(&other), digest(&public));
}
