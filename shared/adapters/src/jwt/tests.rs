//! Tokens signed here, held against an issuer on loopback.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header, encode};
use nodeyard_testkit::idp::{Idp, Signer};
use serde_json::{Value, json};

use super::*;

fn verifier(idp: &Idp) -> Verifier {
    let config = json!({
        "issuer": idp.issuer(), "audience": "nodeyard",
        "claims": {"actor": "sub", "scopes": "groups", "admin": ["ops"]},
    });
    Verifier::new(JwtConfig::parse(&config.to_string()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_token_of_the_issuer_is_taken_and_the_keys_are_read_once() {
    let ours = Signer::new("k1", 1);
    let idp = Idp::start(&[&ours]).await;
    let verifier = verifier(&idp);
    for _ in 0..5 {
        let claims = verifier.verify(&ours.sign(&idp.claims(60))).await.unwrap();
        assert_eq!(claims["sub"], "ada");
    }
    assert_eq!((idp.asked("/keys"), idp.asked("/.well-known/openid-configuration")), (1, 1));
}

#[tokio::test]
async fn whatever_is_not_right_is_refused() {
    let (ours, theirs) = (Signer::new("k1", 1), Signer::new("k1", 2));
    let idp = Idp::start(&[&ours]).await;
    let verifier = verifier(&idp);
    let with = |name: &str, value: Value| {
        let mut claims = idp.claims(60);
        claims[name] = value;
        ours.sign(&claims)
    };
    let mut without_exp = idp.claims(60);
    without_exp.as_object_mut().unwrap().remove("exp");
    let good = ours.sign(&idp.claims(60));
    let (body, signature) = good.rsplit_once('.').unwrap();
    let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"k1"}"#), "e30");
    let shared = {
        let header = Header { kid: Some("k1".into()), ..Header::new(Algorithm::HS256) };
        // The public key as a shared secret: the oldest trick.
        let secret = EncodingKey::from_secret(ours.jwk["x"].as_str().unwrap().as_bytes());
        encode(&header, &idp.claims(60), &secret).unwrap()
    };
    for (what, token) in [
        ("another's signature", theirs.sign(&idp.claims(60))),
        ("another issuer", with("iss", json!("https://elsewhere.example"))),
        ("another audience", with("aud", json!("something-else"))),
        ("not yet", with("nbf", json!(4_000_000_000_i64))),
        ("no end", ours.sign(&without_exp)),
        ("no signature", format!("{body}.")),
        ("a changed signature", format!("{body}.A{}", &signature[1..])),
        ("none", unsigned),
        ("a shared secret", shared),
        ("no token", "a.b.c".to_owned()),
        ("nothing", "..".to_owned()),
    ] {
        assert_eq!(verifier.verify(&token).await, Err(JwtError::Refused), "{what}");
    }
    let old = ours.sign(&idp.claims(-120));
    assert_eq!(verifier.verify(&old).await, Err(JwtError::Expired));
    let just = ours.sign(&idp.claims(-5));
    assert!(verifier.verify(&just).await.is_ok(), "clocks differ a little");
    assert_eq!(idp.asked("/keys"), 1, "a key of its own kid was known all the time");
}

#[tokio::test]
async fn unknown_key_ids_do_not_make_us_ask_again_and_again() {
    let (ours, newer) = (Signer::new("k1", 1), Signer::new("k2", 2));
    let idp = Idp::start(&[&ours]).await;
    let verifier = verifier(&idp);
    verifier.verify(&ours.sign(&idp.claims(60))).await.unwrap();
    for _ in 0..50 {
        let made_up = newer.sign(&idp.claims(60));
        assert_eq!(verifier.verify(&made_up).await, Err(JwtError::Refused));
    }
    assert_eq!(idp.asked("/keys"), 1);
    // After a while one of them is a reason to ask, and the issuer's new key is taken.
    idp.publish(Some(&[&ours, &newer]));
    verifier.age(ASK_EVERY + Duration::from_secs(1));
    assert!(verifier.verify(&newer.sign(&idp.claims(60))).await.is_ok());
    assert_eq!(idp.asked("/keys"), 2);
}

#[tokio::test]
async fn an_issuer_that_is_down_locks_nobody_out_for_a_day() {
    let ours = Signer::new("k1", 1);
    let idp = Idp::start(&[&ours]).await;
    let verifier = verifier(&idp);
    let token = ours.sign(&idp.claims(60));
    idp.publish(None);
    assert!(matches!(verifier.verify(&token).await, Err(JwtError::NoKeys(_))));
    idp.publish(Some(&[&ours]));
    verifier.verify(&token).await.unwrap();
    idp.publish(None);
    verifier.age(KEYS_LAST + Duration::from_secs(1));
    assert!(verifier.verify(&token).await.is_ok());
    verifier.age(KEYS_LAST_AT_MOST);
    assert!(matches!(verifier.verify(&token).await, Err(JwtError::NoKeys(_))));
    // A key that is withdrawn is good for nothing once the keys were read again.
    idp.publish(Some(&[]));
    verifier.age(ASK_EVERY + Duration::from_secs(1));
    assert_eq!(verifier.verify(&token).await, Err(JwtError::Refused));
}

#[test]
fn a_configuration_is_held_to_https_and_an_audience() {
    let parse = |issuer: &str, audience: &str, extra: &str| {
        let claims = r#""claims": {"actor": "sub", "scopes": "groups"}"#;
        JwtConfig::parse(&format!(
            r#"{{"issuer": "{issuer}", "audience": "{audience}", {claims}{extra}}}"#
        ))
    };
    assert!(parse("https://id.example", "nodeyard", "").is_ok());
    assert!(parse("http://127.0.0.1:8080", "nodeyard", "").is_ok());
    for (issuer, audience, extra) in [
        ("http://id.example", "nodeyard", ""),
        ("id.example", "nodeyard", ""),
        ("https://id.example", "", ""),
        ("https://id.example", "nodeyard", r#", "jwks_uri": "http://id.example/keys""#),
        ("https://id.example", "nodeyard", r#", "unknown": 1"#),
    ] {
        assert!(parse(issuer, audience, extra).is_err(), "{issuer} {audience} {extra}");
    }
}
