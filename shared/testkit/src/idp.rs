//! An issuer of JWTs on loopback: what it publishes can be changed, and what it was asked is counted.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use ssh_key::private::Ed25519Keypair;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::held;

/// A signing key and its published half.
pub struct Signer {
    kid: &'static str,
    key: EncodingKey,
    pub jwk: Value,
}

impl Signer {
    /// The key that follows from `seed`.
    ///
    /// # Panics
    /// Never with this fixed beginning.
    pub fn new(kid: &'static str, seed: u8) -> Self {
        let pair = Ed25519Keypair::from_seed(&[seed; 32]);
        // The fixed beginning of an Ed25519 key in PKCS #8 (RFC 8410, section 7).
        let mut der = vec![48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];
        der.extend_from_slice(&[seed; 32]);
        let x = URL_SAFE_NO_PAD.encode(pair.public.0);
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x, "use": "sig"});
        Self { kid, key: EncodingKey::from_ed_der(&der), jwk }
    }

    /// # Panics
    /// When the claims are no JSON object.
    pub fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.to_owned()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, claims, &self.key).expect("claims")
    }
}

/// The issuer.
pub struct Idp {
    address: SocketAddr,
    keys: Arc<Mutex<Option<Value>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Idp {
    /// Listens and publishes these keys, until the test's runtime ends.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(keys: &[&Signer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let keys = Arc::new(Mutex::new(Some(published(keys))));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (served, log) = (Arc::clone(&keys), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap_or(0);
                let text = String::from_utf8_lossy(&request[..read]).into_owned();
                let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
                held(&log).push(path.clone());
                let answer = answer(address, &path, held(&served).clone());
                // A caller that has gone needs no answer.
                drop(stream.write_all(answer.as_bytes()).await);
            }
        });
        Self { address, keys, asked }
    }

    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Publishes other keys, or goes down.
    pub fn publish(&self, keys: Option<&[&Signer]>) {
        *held(&self.keys) = keys.map(published);
    }

    /// Claims of `ada` for `nodeyard` that expire in so many seconds.
    pub fn claims(&self, expires_in: i64) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let exp = now.cast_signed() + expires_in;
        json!({"iss": self.issuer(), "aud": "nodeyard", "sub": "ada", "exp": exp})
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        held(&self.asked).iter().filter(|asked| *asked == path).count()
    }
}

fn published(keys: &[&Signer]) -> Value {
    json!({"keys": keys.iter().map(|signer| signer.jwk.clone()).collect::<Vec<_>>()})
}

fn answer(address: SocketAddr, path: &str, keys: Option<Value>) -> String {
    let body = match (path, keys) {
        ("/keys", Some(keys)) => keys,
        ("/.well-known/openid-configuration", Some(_)) => json!({
            "issuer": format!("http://{address}"),
            "jwks_uri": format!("http://{address}/keys"),
        }),
        _ => return "HTTP/1.1 503 Down\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".into(),
    };
    let body = body.to_string();
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}
