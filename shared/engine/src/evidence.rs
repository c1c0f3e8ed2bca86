//! Signing: the head of a job's chain once the job has ended, by whoever ended it; what is left, by
//! the sweep.

use jiff::{SignedDuration, Timestamp};
use nodeyard_domain::{
    evidence::{Head, Owner},
    id::JobId,
};
use tracing::{info, warn};

use crate::{
    secrets::Secrets,
    store::{JobStore, StoreError},
};

/// The most signatures one sweep makes up for.
pub const MAX_SIGNATURES: usize = 100;
/// A job that has just ended gets this long, in seconds, before the sweep takes its signature for
/// lost.
pub const GRACE_SECS: i64 = crate::sweep::GRACE_SECS;

/// A job that has ended and whose evidence nobody has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    pub job: JobId,
    pub head: Head,
}

/// Has the evidence of a job signed that has just ended. What fails is left to the sweep.
pub(crate) async fn sign_ended(store: &impl JobStore, secrets: &impl Secrets, job: Owner<'_>) {
    let Some(head) = job.to_sign() else { return };
    let unsigned = Unsigned { job: job.job.clone(), head: head.clone() };
    sign(store, secrets, &unsigned, job.updated_at).await;
}

/// Has signed what was left unsigned, [`MAX_SIGNATURES`] at most, and answers how many.
///
/// # Errors
/// When the store cannot list what is unsigned. What cannot be signed is left to the next sweep.
pub async fn sign_left(
    store: &impl JobStore,
    secrets: &impl Secrets,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let left = now - SignedDuration::from_secs(GRACE_SECS);
    let mut signed = 0;
    for unsigned in store.unsigned(left, MAX_SIGNATURES).await? {
        if !sign(store, secrets, &unsigned, now).await {
            // What keeps this one from being signed keeps the others.
            break;
        }
        signed += 1;
    }
    if signed > 0 {
        info!(signed, "evidence signed that was left");
    }
    Ok(signed)
}

async fn sign(
    store: &impl JobStore,
    secrets: &impl Secrets,
    unsigned: &Unsigned,
    now: Timestamp,
) -> bool {
    let Unsigned { job, head } = unsigned;
    match secrets.sign_evidence(&head.hash, now).await {
        Ok(signature) => match store.put_signature(job, &signature).await {
            Ok(_) => return true,
            Err(error) => {
                warn!(job_id = %job, %error, "signature not stored; the sweep repairs it")
            }
        },
        Err(error) => warn!(job_id = %job, %error, "evidence not signed; the sweep repairs it"),
    }
    false
}
