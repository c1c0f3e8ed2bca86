//! Callers with a JWT of the configured issuer: which claims make them whom.

use std::sync::Arc;

use jiff::Timestamp;
use nodeyard_adapters::jwt::{ClaimMap, JwtError, Verifier};
use nodeyard_domain::{
    connection::ConnectionName,
    id::TokenId,
    token::{Scope, Token},
};
use serde_json::{Map, Value};

use crate::{auth::invalid_token, code::ApiCode, problem::Problem};

/// The longest name of an actor.
const MAX_ACTOR_CHARS: usize = 128;
/// What an actor's name begins with, so that nobody is taken for an API token of that name.
const PREFIX: &str = "jwt:";

/// The issuer whose tokens are taken, if the deployment names one.
#[derive(Debug, Clone)]
pub struct Issuer(Arc<Verifier>);

impl Issuer {
    pub fn new(verifier: Verifier) -> Self {
        Self(Arc::new(verifier))
    }

    /// The form of a JWT, which no API token has.
    pub(crate) fn is_meant(secret: &str) -> bool {
        secret.split('.').count() == 3
    }

    /// The caller as a token that is stored nowhere.
    ///
    /// # Errors
    /// `invalid_token`, `token_expired`, or `issuer_unavailable`.
    pub(crate) async fn token(&self, secret: &str) -> Result<Token, Problem> {
        let claims = self.0.verify(secret).await.map_err(|error| match error {
            JwtError::Refused => invalid_token(),
            JwtError::Expired => Problem::new(ApiCode::TokenExpired, "The token has expired."),
            JwtError::NoKeys(why) => {
                tracing::error!(why, "the issuer's keys are not to be had");
                Problem::new(ApiCode::IssuerUnavailable, "The token cannot be verified now.")
            }
        })?;
        caller(self.0.claim_map(), &claims).ok_or_else(invalid_token)
    }
}

/// `None` when a claim that is needed is absent or of another form: nobody gets more for a claim
/// that cannot be read.
fn caller(map: &ClaimMap, claims: &Map<String, Value>) -> Option<Token> {
    let actor = claims.get(&map.actor)?.as_str()?;
    let is_plain = !actor.is_empty()
        && actor.chars().count() <= MAX_ACTOR_CHARS
        && !actor.chars().any(char::is_control);
    if !is_plain {
        return None;
    }
    let given = texts(claims.get(&map.scopes));
    let has = |values: &[String]| values.iter().any(|value| given.contains(&value.as_str()));
    let scopes =
        [(Scope::Read, &map.read), (Scope::Operate, &map.operate), (Scope::Admin, &map.admin)];
    let scopes = scopes.into_iter().filter(|(_, values)| has(values)).map(|(scope, _)| scope);
    let connections = match &map.connections {
        None => None,
        Some(claim) => {
            let names = texts(claims.get(claim)).into_iter().map(str::parse::<ConnectionName>);
            Some(names.collect::<Result<Vec<_>, _>>().ok()?)
        }
    };
    let expires_at = claims.get("exp").and_then(Value::as_f64);
    Some(Token {
        id: TokenId::derived(&format!("{}\n{actor}", claims.get("iss")?.as_str()?)),
        name: format!("{PREFIX}{actor}"),
        scopes: scopes.collect(),
        connections,
        secret_hash: String::new(),
        created_at: Timestamp::UNIX_EPOCH,
        expires_at: expires_at.and_then(|secs| Timestamp::from_second(secs as i64).ok()),
    })
}

/// One text, a list of texts, or texts with blanks in between.
fn texts(claim: Option<&Value>) -> Vec<&str> {
    match claim {
        Some(Value::String(text)) => text.split_ascii_whitespace().collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map() -> ClaimMap {
        ClaimMap {
            actor: "email".into(),
            scopes: "groups".into(),
            read: vec!["staff".into()],
            operate: vec!["ops".into(), "ci".into()],
            admin: vec!["root".into()],
            connections: None,
        }
    }

    fn of(map: &ClaimMap, claims: Value) -> Option<Token> {
        caller(map, claims.as_object().unwrap())
    }

    #[test]
    fn scopes_are_what_the_map_says_and_nothing_else() {
        for (groups, scopes) in [
            (json!(["staff"]), vec![Scope::Read]),
            (json!("ops staff"), vec![Scope::Read, Scope::Operate]),
            (json!(["ci", "root", 7]), vec![Scope::Operate, Scope::Admin]),
            (json!(["admin", "Root"]), vec![]),
            (json!({"root": true}), vec![]),
            (Value::Null, vec![]),
        ] {
            let claims = json!({"iss": "https://id", "email": "a@b", "groups": groups, "exp": 100});
            let token = of(&map(), claims).unwrap();
            assert_eq!((token.name.as_str(), token.scopes), ("jwt:a@b", scopes), "{groups}");
            assert_eq!(token.connections, None);
        }
    }

    #[test]
    fn a_claim_of_connections_restricts_also_when_it_is_absent() {
        let map = ClaimMap { connections: Some("projects".into()), ..map() };
        let seen = |projects: Value| {
            let claims = json!({"iss": "i", "email": "a", "projects": projects});
            of(&map, claims).map(|token| token.connections.unwrap().len())
        };
        assert_eq!(seen(json!(["main", "other"])), Some(2));
        assert_eq!(seen(Value::Null), Some(0), "none, not all");
        assert_eq!(seen(json!(["NO NAME"])), None);
    }

    #[test]
    fn an_actor_has_a_name_that_can_be_shown() {
        for actor in [json!(""), json!("a\nb"), json!(7), json!("x".repeat(129)), Value::Null] {
            assert_eq!(of(&map(), json!({"iss": "i", "email": actor})), None);
        }
        let id = |iss: &str| of(&map(), json!({"iss": iss, "email": "a"})).unwrap().id;
        assert_ne!(id("one"), id("two"));
    }

    #[test]
    fn the_form_tells_a_jwt_from_an_api_token() {
        assert!(Issuer::is_meant("a.b.c"));
        assert!(!Issuer::is_meant("ny_0123") && !Issuer::is_meant("a.b"));
    }
}
