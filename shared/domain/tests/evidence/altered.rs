//! Whatever is altered in a bundle is found.

use nodeyard_domain::{
    evidence::{
        PublicKey, Signature,
        bundle::{Bundle, Stored},
        canonical::hash,
        verify::{Place, Verdict, verify},
    },
    id::JobId,
};
use serde_json::{Value, json};

use crate::bench::{Signer, ready};

fn json_of(bundle: &Bundle) -> Value {
    serde_json::to_value(bundle).unwrap()
}

fn place(bundle: &Value, key: Option<&PublicKey>) -> Option<Place> {
    match verify(bundle, key) {
        Verdict::Broken { place, .. } => Some(place),
        _ => None,
    }
}

#[test]
fn a_whole_bundle_is_authenticated_by_a_key_from_elsewhere_only() {
    let mut life = ready(1);
    let unsigned = json_of(&life.bundle());
    let signed = json_of(&life.signed());
    let key = Signer::known().public_key();
    assert_eq!(verify(&signed, Some(&key)), Verdict::Authenticated);
    let told = |bundle, key| verify(bundle, key).to_string();
    for (bundle, key, why) in [
        (&signed, None, "no public key was given to check the signature with"),
        (&unsigned, None, "the bundle is unsigned"),
        (&unsigned, Some(&key), "the bundle is unsigned"),
    ] {
        let told = told(bundle, key);
        assert_eq!(told, format!("consistent, not authenticated: {why}"));
    }
    let another = Signer::another().public_key();
    assert_eq!(place(&signed, Some(&another)), Some(Place::Signature));
    assert_eq!(life.bundle().runs.len(), 1, "the run's own chain is in it");
}

/// Every leaf of a document, by its pointer.
fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves(value, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{at}/{index}"), found);
            }
        }
        _ => found.push(at.to_owned()),
    }
}

/// Says where the signature is from; nobody has signed that.
const UNSIGNED_WORDS: &[&str] = &["/signature/key_id", "/signature/at"];

#[test]
fn no_leaf_can_be_changed_or_taken_away() {
    let whole = json_of(&ready(1).signed());
    let key = Signer::known().public_key();
    let mut pointers = Vec::new();
    leaves(&whole, "", &mut pointers);
    assert!(pointers.len() > 150, "{}", pointers.len());
    for pointer in pointers.iter().filter(|it| !UNSIGNED_WORDS.contains(&it.as_str())) {
        let mut changed = whole.clone();
        let leaf = changed.pointer_mut(pointer).unwrap();
        *leaf = match leaf.take() {
            Value::String(text) if text.ends_with('1') => {
                format!("{}2", &text[..text.len() - 1]).into()
            }
            Value::String(text) => match text.pop_last() {
                Some(rest) => format!("{rest}1").into(),
                None => "1".into(),
            },
            Value::Number(number) => (number.as_u64().unwrap() + 1).into(),
            Value::Bool(truth) => (!truth).into(),
            other => panic!("{other} in a bundle"),
        };
        assert!(place(&changed, Some(&key)).is_some(), "{pointer} may be changed");

        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let mut shorter = whole.clone();
        match shorter.pointer_mut(parent).unwrap() {
            Value::Object(members) => drop(members.remove(name)),
            Value::Array(items) => drop(items.remove(name.parse().unwrap())),
            _ => panic!("a leaf's parent"),
        }
        assert!(place(&shorter, Some(&key)).is_some(), "{pointer} may be left out");
    }
}

trait PopLast {
    fn pop_last(&self) -> Option<&str>;
}

impl PopLast for String {
    fn pop_last(&self) -> Option<&str> {
        self.char_indices().next_back().map(|(at, _)| &self[..at])
    }
}

#[test]
fn each_kind_of_fact_breaks_the_chain() {
    let whole = json_of(&ready(1).signed());
    let kinds = |list: &Value| -> Vec<(usize, String)> {
        let entries = list.as_array().unwrap().iter().enumerate();
        entries.map(|(at, entry)| (at, entry["fact"].as_str().unwrap().to_owned())).collect()
    };
    let mut seen: Vec<String> = Vec::new();
    for list in ["/entries", "/runs/0/entries"] {
        for (at, kind) in kinds(whole.pointer(list).unwrap()) {
            let mut changed = whole.clone();
            let entry = changed.pointer_mut(&format!("{list}/{at}")).unwrap();
            entry["note"] = json!("added");
            assert_eq!(place(&changed, None), Some(Place::Chain), "{kind}");
            let mut gone = whole.clone();
            gone.pointer_mut(list).unwrap().as_array_mut().unwrap().remove(at);
            assert!(place(&gone, None).is_some(), "{kind}");
            seen.push(kind);
        }
    }
    for kind in [
        "began",
        "called",
        "decided",
        "probed",
        "run_taken",
        "claimed",
        "run_began",
        "task_ended",
        "playbook_ended",
        "run_ended",
    ] {
        assert!(seen.iter().any(|it| it == kind), "no {kind} in the bundle");
    }
}

/// Makes the chain fit again after a change, as a forger would.
fn forged(mut stored: Stored, job: &JobId, change: impl FnOnce(&mut Vec<Value>)) -> Value {
    let mut before = nodeyard_domain::evidence::Chain::of_job(job).head().hash.clone();
    change(&mut stored.entries);
    for (index, entry) in stored.entries.iter_mut().enumerate() {
        entry["number"] = json!(index + 1);
        entry["before"] = json!(before.as_str());
        before = hash(entry).unwrap();
    }
    json_of(&Bundle::new(job, stored).unwrap())
}

#[test]
fn a_chain_that_was_made_to_fit_again_has_no_signature() {
    let mut life = ready(1);
    let signed = life.signed();
    let key = Signer::known().public_key();
    let same = forged(life.stored.clone(), &life.job.id, |_| {});
    assert_eq!(verify(&same, Some(&key)), Verdict::Authenticated, "nothing was changed");
    let last = signed.entries.len() - 1;
    for change in [
        |entries: &mut Vec<Value>| drop(entries.pop()),
        |entries: &mut Vec<Value>| entries.swap(2, 3),
        |entries: &mut Vec<Value>| drop(entries.remove(1)),
        |entries: &mut Vec<Value>| entries[1]["status"] = json!(404),
    ] {
        let forged = forged(life.stored.clone(), &life.job.id, change);
        assert_eq!(place(&forged, None), Some(Place::Signature));
        assert_eq!(place(&forged, Some(&key)), Some(Place::Signature));
    }
    let another_end = forged(life.stored.clone(), &life.job.id, |entries| {
        entries[last]["claims"][0]["verdict"] = json!("failed");
    });
    assert_eq!(place(&another_end, Some(&key)), Some(Place::Signature));
    assert_ne!(another_end["digest"], json!(signed.digest), "and it has another digest");

    // Signed anew with another key, it is found as soon as the right one is given.
    let mut stored = life.stored.clone();
    stored.entries.pop();
    stored.signature = None;
    let head = Bundle::new(&life.job.id, stored.clone()).unwrap().head.hash;
    stored.signature = Some(Signer::another().sign(&head));
    let resigned = json_of(&Bundle::new(&life.job.id, stored).unwrap());
    assert!(verify(&resigned, None).to_string().starts_with("consistent, not authenticated"));
    assert_eq!(place(&resigned, Some(&key)), Some(Place::Signature));
}

#[test]
fn claims_are_those_of_the_chain_and_of_the_closed_list() {
    let whole = json_of(&ready(1).bundle());
    let changed = |change: fn(&mut Value)| {
        let mut bundle = whole.clone();
        change(&mut bundle);
        place(&bundle, None)
    };
    assert_eq!(changed(|_| {}), None);
    let digest = Some(Place::Digest);
    assert_eq!(changed(|it| it["claims"][0]["verdict"] = json!("failed")), digest);
    assert_eq!(changed(|it| it["claims"][0]["step"] = json!("poll")), digest);
    assert_eq!(changed(|it| it["claims"][0]["took"] = json!(1)), digest);
    assert_eq!(changed(|it| it["claims"] = json!([])), digest);
    assert_eq!(changed(|it| it["digest"] = it["head"]["hash"].clone()), digest);
    assert_eq!(changed(|it| it["format"] = json!(2)), Some(Place::Form));
    assert_eq!(changed(|it| it["more"] = json!(2)), Some(Place::Form));
    assert_eq!(changed(|it| it["job"] = json!(JobId::from_bits(5))), Some(Place::Chain));
    assert_eq!(changed(|it| it["runs"] = json!([])), Some(Place::Chain));
    assert_eq!(changed(|it| it["unsigned"] = json!(false)), Some(Place::Signature));
    assert_eq!(place(&json!("text"), None), Some(Place::Form));
    assert_eq!(place(&json!({}), None), Some(Place::Form));
}

#[test]
fn a_chain_is_nobody_elses() {
    let (one, mut other) = (ready(1), ready(2));
    other.stored.entries = one.stored.entries.clone();
    assert_eq!(place(&json_of(&other.bundle()), None), Some(Place::Chain));
    let mut mixed = ready(1);
    mixed.stored.runs = ready(2).stored.runs;
    assert_eq!(place(&json_of(&mixed.bundle()), None), Some(Place::Chain));
}

#[test]
fn keys_are_read_from_pem_and_base64() {
    let signature: Signature = Signer::known().sign(&ready(1).bundle().head.hash);
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n",
        &signature.public_key[..64],
        &signature.public_key[64..]
    );
    assert_eq!(PublicKey::parse(&pem), PublicKey::parse(&signature.public_key));
    for wrong in ["", "no key", "AAAA", &signature.signature] {
        assert!(PublicKey::parse(wrong).is_err(), "{wrong}");
    }
}
