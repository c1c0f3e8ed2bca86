//! Checks a bundle: chain, digest, signature. It trusts nothing in it but what hashes to what is
//! signed, and no key but one that was given beside it.

use std::fmt;

use serde_json::Value;

use super::{
    Chain, Head, PublicKey,
    bundle::{Bundle, FORMAT, claims, playbooks, subject, taken},
    canonical::hash,
    claim::digest,
};

/// What is wrong, by where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is no bundle, or one of another form.
    Form,
    Chain,
    Digest,
    Signature,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "form",
            Self::Chain => "chain",
            Self::Digest => "digest",
            Self::Signature => "signature",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything fits, and the given key has signed it.
    Authenticated,
    /// Everything fits; who made it is not known, and why not.
    NotAuthenticated {
        why: &'static str,
    },
    Broken {
        place: Place,
        what: String,
    },
}

impl Verdict {
    pub fn is_consistent(&self) -> bool {
        !matches!(self, Self::Broken { .. })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authenticated => f.write_str("consistent and authenticated"),
            Self::NotAuthenticated { why } => {
                write!(f, "consistent, not authenticated: {why}")
            }
            Self::Broken { place, what } => write!(f, "broken: {place}: {what}"),
        }
    }
}

/// Why a bundle is broken.
struct Fault(Place, String);

type Checked = Result<(), Fault>;

fn fault(place: Place, what: impl Into<String>) -> Fault {
    Fault(place, what.into())
}

/// Checks a bundle, given as JSON, against a key that is known from elsewhere.
pub fn verify(bundle: &Value, key: Option<&PublicKey>) -> Verdict {
    let checked = read(bundle).and_then(|bundle| check(&bundle).map(|()| bundle));
    match checked.and_then(|bundle| authenticate(&bundle, key)) {
        Ok(None) => Verdict::Authenticated,
        Ok(Some(why)) => Verdict::NotAuthenticated { why },
        Err(Fault(place, what)) => Verdict::Broken { place, what },
    }
}

fn read(value: &Value) -> Result<Bundle, Fault> {
    let format = value.get("format").and_then(Value::as_u64);
    if format != Some(u64::from(FORMAT)) {
        return Err(fault(Place::Form, format!("only format {FORMAT} is known")));
    }
    let claims = value.get("claims").cloned().unwrap_or_default();
    if serde_json::from_value::<Vec<super::claim::Claim>>(claims).is_err() {
        return Err(fault(Place::Digest, "a claim is not in the list of claims"));
    }
    serde_json::from_value(value.clone())
        .map_err(|error| fault(Place::Form, format!("it cannot be read: {error}")))
}

fn check(bundle: &Bundle) -> Checked {
    let Bundle { job, entries, head, .. } = bundle;
    check_chain("the job's chain", entries, Chain::of_job(job), head)?;
    if !entries.is_empty() && subject(entries).as_ref() != Some(job) {
        return Err(fault(Place::Chain, "its first entry does not name the job"));
    }
    check_runs(bundle)?;
    check_digest(bundle)
}

fn check_chain(whose: &str, entries: &[Value], origin: Chain, head: &Head) -> Checked {
    let broken = |number: usize, what: &str| {
        Err(fault(Place::Chain, format!("{whose}, entry {number}: {what}")))
    };
    let mut before = origin.head().hash.clone();
    for (index, entry) in entries.iter().enumerate() {
        let number = index + 1;
        if entry.get("number").and_then(Value::as_u64) != Some(number as u64) {
            return broken(number, "it has another number");
        }
        if entry.get("before").and_then(Value::as_str) != Some(before.as_str()) {
            return broken(number, "it does not hold the hash of the entry before");
        }
        before = match hash(entry) {
            Ok(hash) => hash,
            Err(error) => return broken(number, &error.to_string()),
        };
    }
    if head.hash != before || head.count as usize != entries.len() {
        let what = format!("{whose}: its last entry is not the one that the head names");
        return Err(fault(Place::Chain, what));
    }
    Ok(())
}

fn check_runs(bundle: &Bundle) -> Checked {
    let unreadable = |error: super::bundle::Unreadable| fault(Place::Chain, error.to_string());
    let taken = taken(&bundle.entries).map_err(unreadable)?;
    let listed: Vec<(u32, Head)> =
        bundle.runs.iter().map(|chain| (chain.run, chain.head.clone())).collect();
    if taken != listed {
        let what = "the runs are not those that the job's chain has taken up";
        return Err(fault(Place::Chain, what));
    }
    for chain in &bundle.runs {
        let whose = format!("the chain of run {}", chain.run);
        let origin = Chain::of_run(&bundle.job, chain.run);
        check_chain(&whose, &chain.entries, origin, &chain.head)?;
    }
    for (run, [told, began]) in playbooks(&bundle.entries, &bundle.runs).map_err(unreadable)? {
        if told != began {
            let what = format!("run {run} began with other playbooks than its result tells of");
            return Err(fault(Place::Chain, what));
        }
    }
    Ok(())
}

fn check_digest(bundle: &Bundle) -> Checked {
    let claimed =
        claims(&bundle.entries).map_err(|error| fault(Place::Digest, error.to_string()))?;
    if claimed != bundle.claims {
        return Err(fault(Place::Digest, "the claims are not those of the chain"));
    }
    match digest(&claimed) {
        Ok(digest) if digest == bundle.digest => Ok(()),
        _ => Err(fault(Place::Digest, "it is not the digest of the claims")),
    }
}

/// Why the bundle is not authenticated; `None` when it is.
fn authenticate(bundle: &Bundle, key: Option<&PublicKey>) -> Result<Option<&'static str>, Fault> {
    let wrong = |what: &str| Err(fault(Place::Signature, what));
    if bundle.unsigned == bundle.signature.is_some() {
        return wrong("it is called unsigned and has a signature, or the other way round");
    }
    let Some(signature) = &bundle.signature else {
        return Ok(Some("the bundle is unsigned"));
    };
    let Ok(own) = PublicKey::parse(&signature.public_key) else {
        return wrong("the public key that it names cannot be read");
    };
    if !signature.is_by(&own, &bundle.head.hash) {
        return wrong("it is not a signature of the head by the key that it names");
    }
    match key {
        None => Ok(Some("no public key was given to check the signature with")),
        Some(key) if signature.is_by(key, &bundle.head.hash) => Ok(None),
        Some(_) => wrong("the head was not signed with the given key"),
    }
}
