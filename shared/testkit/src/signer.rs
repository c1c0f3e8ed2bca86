//! The deployment's signing key in memory: one for all worlds of a process.

use std::sync::OnceLock;

use aws_lc_rs::{
    digest::{Digest, SHA256},
    encoding::{AsDer as _, PublicKeyX509Der},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use nodeyard_domain::evidence::{ALGORITHM, Hash, PublicKey, Signature};

struct Signer {
    pair: EcdsaKeyPair,
    /// DER, as base64.
    public: String,
}

fn signer() -> &'static Signer {
    static SIGNER: OnceLock<Signer> = OnceLock::new();
    SIGNER.get_or_init(|| {
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new());
        let document = document.expect("a key can be made");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref()).expect("our own key");
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("a point on the curve");
        let public = STANDARD.encode(der.as_ref());
        Signer { pair, public }
    })
}

/// Signs as the key service does.
pub(crate) fn sign(head: &Hash, at: Timestamp) -> Signature {
    let Signer { pair, public } = signer();
    let digest = Digest::import_less_safe(&head.to_bytes(), &SHA256).expect("32 bytes");
    let signature = pair.sign_digest(&digest).expect("a digest of its length");
    Signature {
        algorithm: ALGORITHM.to_owned(),
        key_id: "key-of-tests".to_owned(),
        public_key: public.clone(),
        signature: STANDARD.encode(signature.as_ref()),
        at,
    }
}

/// The public half, as whoever verifies knows it from elsewhere: DER, as base64.
pub fn public_key() -> (String, PublicKey) {
    let text = signer().public.clone();
    let key = PublicKey::parse(&text).expect("our own key");
    (text, key)
}
