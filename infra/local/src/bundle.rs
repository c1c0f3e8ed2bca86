//! A job's evidence, waited for until it is signed, and verified.

use std::time::{Duration, Instant};

use nodeyard_domain::evidence::{
    PublicKey,
    verify::{Verdict, verify},
};
use serde_json::Value;

use crate::api::text;
use crate::bench::Bench;
use crate::error::{Result, XtaskError};

const PATIENCE: Duration = Duration::from_secs(150);
const LOOK: Duration = Duration::from_millis(500);

/// The deployment's one key, as the first bundle names it.
#[derive(Debug, Default)]
pub struct Verifier {
    key: Option<PublicKey>,
}

impl Verifier {
    /// The job's bundle, authentic by the key of the bundles before it.
    ///
    /// # Errors
    /// It is not signed in time, or does not verify.
    pub async fn authentic(&mut self, bench: &Bench, job: &str) -> Result<Value> {
        let start = Instant::now();
        let bundle = loop {
            let bundle = bench.api.get(&format!("/jobs/{job}/evidence")).await?;
            if bundle["unsigned"] != true {
                break bundle;
            }
            if start.elapsed() > PATIENCE {
                let (what, secs) = (format!("the signature of {job}"), PATIENCE.as_secs());
                return Err(XtaskError::TimedOut { what, secs, hint: String::new() });
            }
            tokio::time::sleep(LOOK).await;
        };
        let given = text(&bundle, "/signature/public_key")?;
        let given =
            PublicKey::parse(&given).map_err(|error| XtaskError::Check(error.to_string()))?;
        let verdict = verify(&bundle, Some(self.key.get_or_insert(given)));
        if verdict != Verdict::Authenticated {
            return Err(XtaskError::Check(format!("the evidence of {job} is {verdict}")));
        }
        Ok(bundle)
    }
}
