//! A job's evidence as a bundle: one document, to be verified and attached to tickets.

use axum::{
    Json,
    extract::{Path, State},
};
use nodeyard_domain::evidence::{
    Signature,
    bundle::{Bundle, Stored},
    claim::Claim,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    app::{Ports, Shared},
    auth::Reader,
    code::ApiCode,
    problem::Problem,
};

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Evidence)]
pub struct EvidenceView {
    /// The form of the bundle.
    #[schema(example = 1)]
    format: u32,
    #[schema(example = "job-0123456789abcdef0123456789abcdef")]
    job: String,
    /// SHA-256 over the canonical text of the claims: the same for two jobs of one scenario.
    digest: String,
    /// What is claimed: step, expectation, verdict, digest of the playbooks.
    #[schema(value_type = Vec<Object>)]
    claims: Vec<Claim>,
    head: HeadView,
    /// Nobody has signed the head yet: the job has not ended, or has just done so.
    unsigned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<SignatureView>,
    /// Each holds the hash of the one before.
    #[schema(value_type = Vec<Object>)]
    entries: Vec<Value>,
    /// The chains of its runs.
    runs: Vec<RunView>,
}

/// The end of a chain: how many entries it has, and the hash of the last.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EvidenceHead)]
pub struct HeadView {
    count: u32,
    hash: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EvidenceSignature)]
pub struct SignatureView {
    /// Of the head's hash, taken as the digest.
    #[schema(example = "ECDSA_SHA_256")]
    algorithm: String,
    key_id: String,
    /// SubjectPublicKeyInfo in DER, as base64. To authenticate a bundle, take the key from elsewhere.
    public_key: String,
    /// ASN.1 DER, as base64.
    signature: String,
    #[schema(format = DateTime)]
    at: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EvidenceOfRun)]
pub struct RunView {
    run: u32,
    head: HeadView,
    #[schema(value_type = Vec<Object>)]
    entries: Vec<Value>,
}

impl From<nodeyard_domain::evidence::Head> for HeadView {
    fn from(head: nodeyard_domain::evidence::Head) -> Self {
        Self { count: head.count, hash: head.hash.into() }
    }
}

impl From<Signature> for SignatureView {
    fn from(signature: Signature) -> Self {
        let Signature { algorithm, key_id, public_key, signature, at } = signature;
        Self { algorithm, key_id, public_key, signature, at: at.to_string() }
    }
}

impl From<Bundle> for EvidenceView {
    fn from(bundle: Bundle) -> Self {
        let run = |chain: nodeyard_domain::evidence::bundle::RunChain| RunView {
            run: chain.run,
            head: chain.head.into(),
            entries: chain.entries,
        };
        Self {
            format: bundle.format,
            job: bundle.job.to_string(),
            digest: bundle.digest.into(),
            claims: bundle.claims,
            head: bundle.head.into(),
            unsigned: bundle.unsigned,
            signature: bundle.signature.map(SignatureView::from),
            entries: bundle.entries,
            runs: bundle.runs.into_iter().map(run).collect(),
        }
    }
}

/// The job's evidence, whole: what it did and saw, hash-chained and, once it has ended, signed.
#[utoipa::path(
    get, path = "/jobs/{id}/evidence", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, description = "A bundle, as `verify-evidence` takes it", body = EvidenceView))
)]
pub async fn job_evidence<P: Ports>(
    State(app): State<Shared<P>>,
    Reader(caller): Reader,
    Path(id): Path<String>,
) -> Result<Json<EvidenceView>, Problem> {
    use nodeyard_engine::store::ApiStore as _;

    let job = app.visible_work(&caller, &id).await?;
    let stored: Stored = app.store.evidence(job.id()).await?;
    let bundle = Bundle::new(job.id(), stored).map_err(|error| {
        tracing::error!(job = %job.id(), %error, "the evidence cannot be put together");
        Problem::new(ApiCode::InternalError, "The evidence on record cannot be read.")
    })?;
    Ok(Json(EvidenceView::from(bundle)))
}
