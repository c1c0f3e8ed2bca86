//! JWTs of one configured issuer: their signature by the issuer's published keys, and their times,
//! issuer and audience. What a claim means is the API's business.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    errors::ErrorKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet},
};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Keys are asked for again after this long.
const KEYS_LAST: Duration = Duration::from_secs(600);
/// Keys that cannot be asked for again are good for this long: an issuer that is down locks nobody
/// out at once.
const KEYS_LAST_AT_MOST: Duration = Duration::from_secs(24 * 3600);
/// A token with a key id that is not known is a reason to ask, this often at most: anybody can
/// make one up.
const ASK_EVERY: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(3);
const MAX_BODY_BYTES: usize = 256 * 1024;
/// How far the issuer's clock may be off, in seconds.
const LEEWAY_SECS: u64 = 30;

/// Which values of which claims mean what. Nothing is taken for granted: a token without them may
/// do nothing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimMap {
    /// The claim whose text is the actor, such as `sub` or `email`.
    pub actor: String,
    /// The claim that holds one text, a list of texts, or texts with blanks in between.
    pub scopes: String,
    /// Its values that give the scope `read`, and so on.
    #[serde(default)]
    pub read: Vec<String>,
    #[serde(default)]
    pub operate: Vec<String>,
    #[serde(default)]
    pub admin: Vec<String>,
    /// The claim that lists the connections the caller may touch. Without it: all of them.
    #[serde(default)]
    pub connections: Option<String>,
}

/// The issuer whose tokens are taken, as `NODEYARD_JWT` names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtConfig {
    /// Exactly as it stands in `iss`; https.
    pub issuer: String,
    /// What has to be in `aud`.
    pub audience: String,
    /// Where the keys are; found by OpenID discovery, if absent.
    #[serde(default)]
    pub jwks_uri: Option<String>,
    pub claims: ClaimMap,
}

impl JwtConfig {
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        for address in [Some(&config.issuer), config.jwks_uri.as_ref()].into_iter().flatten() {
            safe_url(address)?;
        }
        if config.audience.is_empty() {
            return Err("`audience` is empty: a token for somebody else would do".to_owned());
        }
        Ok(config)
    }
}

/// Only https, but for a loopback address.
fn safe_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{text}: {error}"))?;
    let is_loopback = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback => Ok(url),
        _ => Err(format!("{text} is no https address")),
    }
}

/// Why a token is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    #[error("the token is not one of the issuer's")]
    Refused,
    #[error("the token has expired")]
    Expired,
    #[error("the issuer's keys are not to be had: {0}")]
    NoKeys(String),
}

struct Keys {
    set: JwkSet,
    read_at: Instant,
    asked_at: Instant,
}

/// Verifies tokens. The keys are kept in the process.
pub struct Verifier {
    config: JwtConfig,
    client: Client,
    keys: Mutex<Option<Keys>>,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("config", &self.config).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Verifier {
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn new(config: JwtConfig) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .connect_timeout(TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { config, client, keys: Mutex::new(None) })
    }

    pub fn claim_map(&self) -> &ClaimMap {
        &self.config.claims
    }

    /// The claims of a token of the issuer that is for us and has not expired.
    ///
    /// # Errors
    /// [`JwtError`].
    pub async fn verify(&self, token: &str) -> Result<Map<String, Value>, JwtError> {
        let header = decode_header(token).map_err(|_| JwtError::Refused)?;
        let kid = header.kid.ok_or(JwtError::Refused)?;
        let key = self.key(&kid).await?.ok_or(JwtError::Refused)?;
        // The key says how it signs; a token that says otherwise is not one of its.
        let allowed = algorithms(&key);
        if !allowed.contains(&header.alg) {
            return Err(JwtError::Refused);
        }
        let mut rules = Validation::new(header.alg);
        rules.algorithms = allowed;
        rules.leeway = LEEWAY_SECS;
        rules.validate_nbf = true;
        rules.set_issuer(&[&self.config.issuer]);
        rules.set_audience(&[&self.config.audience]);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        let key = DecodingKey::from_jwk(&key).map_err(|_| JwtError::Refused)?;
        match decode::<Map<String, Value>>(token, &key, &rules) {
            Ok(data) => Ok(data.claims),
            Err(error) if *error.kind() == ErrorKind::ExpiredSignature => Err(JwtError::Expired),
            Err(_) => Err(JwtError::Refused),
        }
    }

    async fn key(&self, kid: &str) -> Result<Option<Jwk>, JwtError> {
        let now = Instant::now();
        let (known, must_ask) = {
            let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            let known = keys.as_ref().and_then(|keys| keys.set.find(kid).cloned());
            let must_ask = keys.as_ref().is_none_or(|keys| {
                let is_old = now.duration_since(keys.read_at) > KEYS_LAST;
                let may_ask = now.duration_since(keys.asked_at) > ASK_EVERY;
                may_ask && (is_old || known.is_none())
            });
            (known, must_ask)
        };
        if !must_ask {
            return Ok(known);
        }
        let asked = self.read_keys().await;
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        match (asked, keys.as_mut()) {
            (Ok(set), _) => {
                let found = set.find(kid).cloned();
                *keys = Some(Keys { set, read_at: now, asked_at: now });
                Ok(found)
            }
            (Err(why), Some(old)) if now.duration_since(old.read_at) < KEYS_LAST_AT_MOST => {
                tracing::warn!(why, "the issuer's keys were not read again; the old ones are used");
                old.asked_at = now;
                Ok(known)
            }
            (Err(why), _) => Err(JwtError::NoKeys(why)),
        }
    }

    /// Makes the keys older, as waiting would.
    #[cfg(test)]
    fn age(&self, by: Duration) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = keys.as_mut() {
            let earlier = |at: Instant| at.checked_sub(by).unwrap_or(at);
            (keys.read_at, keys.asked_at) = (earlier(keys.read_at), earlier(keys.asked_at));
        }
    }

    async fn read_keys(&self) -> Result<JwkSet, String> {
        let uri = match &self.config.jwks_uri {
            Some(uri) => uri.clone(),
            None => {
                let issuer = self.config.issuer.trim_end_matches('/');
                let found: Discovery =
                    self.get(&format!("{issuer}/.well-known/openid-configuration")).await?;
                if found.issuer != self.config.issuer {
                    return Err("its discovery document names another issuer".to_owned());
                }
                found.jwks_uri
            }
        };
        safe_url(&uri)?;
        self.get(&uri).await
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, uri: &str) -> Result<T, String> {
        let answer = self.client.get(uri).send().await.map_err(|error| error.to_string())?;
        let mut answer = answer.error_for_status().map_err(|error| error.to_string())?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(format!("{uri} answers with more than {MAX_BODY_BYTES} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(|error| format!("{uri}: {error}"))
    }
}

/// How a key may sign. Never with a shared secret: the key is public.
fn algorithms(key: &Jwk) -> Vec<Algorithm> {
    match &key.algorithm {
        AlgorithmParameters::RSA(_) => vec![
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => Vec::new(),
        },
        AlgorithmParameters::OctetKeyPair(_) => vec![Algorithm::EdDSA],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
