//! `cargo xtask verify-evidence`: a bundle in, a verdict out.

use std::{fs, io::Read as _, path::Path};

use nodeyard_domain::evidence::{
    PublicKey,
    verify::{Verdict, verify as judge},
};
use serde_json::Value;

use crate::cli::VerifyEvidenceOptions;
use crate::error::{Result, XtaskError};

/// More than any bundle has: an answer of the API has at most 6 MB.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Prints the verdict.
///
/// # Errors
/// A file cannot be read, or the bundle is broken: exit code 1.
pub fn verify(options: &VerifyEvidenceOptions) -> Result<()> {
    let text = read(&options.file)?;
    let key = options.public_key.as_deref().map(key_in).transpose()?;
    // What is no JSON is no bundle.
    let bundle: Value = serde_json::from_str(&text).unwrap_or_default();
    let verdict = judge(&bundle, key.as_ref());
    println!("{verdict}");
    if let Some(summary) = summary(&bundle).filter(|_| verdict.is_consistent()) {
        println!("{summary}");
    }
    match verdict {
        Verdict::Broken { .. } => Err(XtaskError::Said(1)),
        Verdict::Authenticated | Verdict::NotAuthenticated { .. } => Ok(()),
    }
}

fn key_in(path: &Path) -> Result<PublicKey> {
    let refused =
        |error: &dyn std::fmt::Display| XtaskError::Check(format!("{}: {error}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| refused(&error))?;
    PublicKey::parse(&text).map_err(|error| refused(&error))
}

fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(MAX_BYTES).read_to_string(&mut text)
    } else {
        fs::File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text))
    };
    read.map_err(|error| XtaskError::Check(format!("{}: {error}", path.display())))?;
    Ok(text)
}

/// The job, its digest, and each claim on a line of its own.
fn summary(bundle: &Value) -> Option<String> {
    let text = |value: &Value, name: &str| value.get(name)?.as_str().map(str::to_owned);
    let entries = bundle.get("entries")?.as_array()?.len();
    let mut lines = vec![
        format!("{}: {entries} entries", text(bundle, "job")?),
        format!("digest {}", text(bundle, "digest")?),
    ];
    for claim in bundle.get("claims")?.as_array()? {
        let code = text(claim, "code").map(|code| format!(" ({code})")).unwrap_or_default();
        let (step, verdict) = (text(claim, "step")?, text(claim, "verdict")?);
        lines.push(format!("  {step}: {verdict}{code}: {}", text(claim, "expectation")?));
    }
    Some(lines.join("\n"))
}
