//! Secrets: written, replaced, deleted, and cached only as long as one may rely on it.

use jiff::Timestamp;
use nodeyard_adapters::secrets::SecretsManager;
use nodeyard_domain::{
    connection::{
        Connection, ConnectionName, ConnectionStatus, Permission, ProviderKind, StoredToken,
    },
    evidence::{PublicKey, canonical::hash_of},
};
use nodeyard_engine::secrets::{Secrets, SecretsError};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::{
    answers::Answers,
    emulator::{Emulator, Program, on_both},
};

on_both!(
    a_token_is_stored_replaced_and_deleted,
    a_version_of_a_key_is_written_once_and_destroyed,
    a_head_is_signed_as_the_digest_that_it_is,
);

const TOKEN: &str = "canary-6f1d2c";

fn name() -> ConnectionName {
    "main".parse().unwrap()
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

/// The record of a connection whose token is this one.
fn naming(token: Option<StoredToken>) -> Connection {
    Connection {
        name: name(),
        version: 1,
        provider: ProviderKind::Hetzner,
        status: ConnectionStatus::Connected,
        reason: None,
        permission: Permission::ReadWrite,
        token,
        key: None,
        key_stem: None,
        retired: Vec::new(),
        rotation: None,
        max_nodes: None,
        max_monthly: None,
        rate_budget: None,
        checked_at: Timestamp::UNIX_EPOCH,
        failed_checks: 0,
        servers_seen: None,
        drift: None,
        created_at: Timestamp::UNIX_EPOCH,
    }
}

async fn a_token_is_stored_replaced_and_deleted(on: Program) {
    let Some(emulator) = Emulator::start(on).await else { return };
    let secrets = SecretsManager::new(&emulator.config(), "nodeyard/test");
    let another_process = SecretsManager::new(&emulator.config(), "nodeyard/test");
    let missing = secrets.provider_token(&naming(None), false).await;
    assert!(matches!(missing, Err(SecretsError::Missing(which)) if which.ends_with("/main")));

    let one = secrets.put_provider_token(&name(), None, &secret("one")).await.unwrap();
    assert!(one.secret.starts_with("main-") && one.secret.len() == "main-".len() + 8, "{one:?}");
    let on_one = naming(Some(one.clone()));
    let read = another_process.provider_token(&on_one, false).await.unwrap();
    assert_eq!(read.expose_secret(), "one");
    let two = secrets.put_provider_token(&name(), Some(&one), &secret("two")).await.unwrap();
    assert_eq!(two.secret, one.secret, "a version of the same secret");
    for process in [&secrets, &another_process] {
        let pinned = process.provider_token(&on_one, false).await.unwrap();
        assert_eq!(pinned.expose_secret(), "one", "a record means the token it names");
        let next = process.provider_token(&naming(Some(two.clone())), false).await.unwrap();
        assert_eq!(next.expose_secret(), "two", "and there is nothing to wait for");
        let fresh = process.provider_token(&on_one, true).await.unwrap();
        assert_eq!(fresh.expose_secret(), "two", "unless the newest one is asked for");
    }

    secrets.delete_provider_token(&on_one).await.unwrap();
    secrets.delete_provider_token(&on_one).await.unwrap();
    let gone = SecretsManager::new(&emulator.config(), "nodeyard/test");
    let gone = gone.provider_token(&on_one, false).await;
    assert!(matches!(gone, Err(SecretsError::Missing(_))));
    let three = secrets.put_provider_token(&name(), Some(&two), &secret("three")).await.unwrap();
    assert_ne!(three.secret, one.secret, "a secret that was deleted is not written to");
    let again = secrets.provider_token(&naming(Some(three)), true).await.unwrap();
    assert_eq!(again.expose_secret(), "three");

    let old = naming(None);
    let new = Connection { key_stem: Some(one.secret), ..naming(None) };
    for (on, text) in [(&old, "of old"), (&new, "private")] {
        assert!(secrets.put_ssh_key(&on.key_secret(2), &secret(text)).await.unwrap());
        let is_new = secrets.put_ssh_key(&on.key_secret(2), &secret("another")).await.unwrap();
        assert!(!is_new, "what is stored is never replaced");
    }
    for (on, text) in [(&old, "of old"), (&new, "private")] {
        let key = another_process.ssh_key(&on.key_secret(2)).await.unwrap();
        assert_eq!(key.expose_secret(), text, "each name is a secret of its own");
        assert!(secrets.ssh_key(&on.key_secret(1)).await.is_err(), "and so is each version");
    }
}

#[tokio::test]
async fn a_secret_that_is_marked_for_deletion_is_left_and_another_made() {
    let answers = Answers::start(vec![
        (400, json!({"__type": "InvalidRequestException", "message": "scheduled for deletion"})),
        (200, json!({"VersionId": "v"})),
    ])
    .await;
    let secrets = SecretsManager::new(&answers.config(), "nodeyard/test");
    let known = StoredToken { secret: "main-1".into(), version: "u".into() };
    let stored = secrets.put_provider_token(&name(), Some(&known), &secret(TOKEN)).await.unwrap();
    let operations: Vec<String> = answers.requests().into_iter().map(|(name, _)| name).collect();
    assert_eq!(operations, ["PutSecretValue", "CreateSecret"]);
    assert!(stored.version == "v" && stored.secret != known.secret, "{stored:?}");
}

#[tokio::test]
async fn no_error_repeats_a_secret() {
    let told = json!({"__type": "InternalServiceError", "message": format!("echo {TOKEN}")});
    let answers = Answers::start(vec![(500, told.clone()), (500, told)]).await;
    let secrets = SecretsManager::new(&answers.config(), "nodeyard/test");
    let error = secrets.put_provider_token(&name(), None, &secret(TOKEN)).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(TOKEN), "{error:?}");
    let error = secrets.provider_token(&naming(None), true).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(TOKEN), "{error:?}");
}

async fn a_version_of_a_key_is_written_once_and_destroyed(on: Program) {
    let Some(emulator) = Emulator::start(on).await else { return };
    let secrets = SecretsManager::new(&emulator.config(), "nodeyard/test");
    let on = Connection { key_stem: Some("main-0c0ffee0".into()), ..naming(None) };
    let (second, third) = (on.key_secret(2), on.key_secret(3));
    let made = secrets.make_ssh_key(&second, "nodeyard-test-main-2").await.unwrap().unwrap();
    assert!(made.starts_with("ssh-ed25519 ") && made.ends_with(" nodeyard-test-main-2"), "{made}");
    let private = secrets.ssh_key(&second).await.unwrap();
    let again = secrets.make_ssh_key(&second, "another").await.unwrap();
    assert_eq!(again, None, "what is stored is never replaced");
    let fresh = SecretsManager::new(&emulator.config(), "nodeyard/test");
    let kept = fresh.ssh_key(&second).await.unwrap();
    assert_eq!(kept.expose_secret(), private.expose_secret());
    assert!(secrets.make_ssh_key(&third, "c").await.unwrap().is_some());
    for _ in 0..2 {
        secrets.destroy_ssh_key(&second).await.unwrap();
    }
    assert!(matches!(secrets.ssh_key(&second).await, Err(SecretsError::Missing(_))));
    assert!(secrets.ssh_key(&third).await.is_ok());
}

async fn a_head_is_signed_as_the_digest_that_it_is(on: Program) {
    let Some(emulator) = Emulator::start(on).await else { return };
    let config = emulator.config();
    let keys = aws_sdk_kms::Client::new(&config);
    let made = keys
        .create_key()
        .key_spec(aws_sdk_kms::types::KeySpec::EccNistP256)
        .key_usage(aws_sdk_kms::types::KeyUsageType::SignVerify)
        .send()
        .await
        .unwrap();
    let key = made.key_metadata.unwrap().arn.unwrap();
    let secrets = SecretsManager::new(&config, "nodeyard/test").signing_with(&config, &key);
    let head = hash_of(b"an entry");
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let signature = secrets.sign_evidence(&head, at).await.unwrap();
    let public = PublicKey::parse(&signature.public_key).unwrap();
    // moto hashes a digest once more: "DIGEST is not yet implemented" (moto 5.2, kms/models.py).
    let signed = match on {
        Program::Ministack => head.clone(),
        Program::Moto => hash_of(&head.to_bytes()),
    };
    assert!(signature.is_by(&public, &signed), "{signature:?}");
    assert!(!signature.is_by(&public, &hash_of(b"another entry")));
    assert!(!signature.key_id.is_empty());
    let without = SecretsManager::new(&config, "nodeyard/test");
    assert!(matches!(without.sign_evidence(&head, at).await, Err(SecretsError::Missing(_))));
}
