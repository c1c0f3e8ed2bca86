//! API tokens.

use nodeyard_domain::{
    id::TokenId,
    token::{Scope, Token},
};

use super::{
    Store,
    fixture::{audit, now},
};

pub(super) fn token(bits: u128, scope: Scope) -> Token {
    Token {
        id: TokenId::from_bits(bits),
        name: format!("caller {bits}"),
        scopes: vec![scope],
        connections: Some(vec!["main".parse().expect("a name")]),
        secret_hash: format!("{bits:064x}"),
        created_at: now(),
        expires_at: None,
    }
}

pub(super) async fn a_token_is_found_by_its_hash_until_it_is_deleted<S: Store>(store: &S) {
    let (one, two) = (token(1, Scope::Read), token(2, Scope::Operate));
    assert!(store.put_token(&one, false, &audit("1")).await.expect("put"));
    assert!(store.put_token(&two, false, &audit("2")).await.expect("put"));
    let found = store.token_by_hash(&one.secret_hash).await.expect("token");
    assert_eq!(found, Some(one.clone()));
    assert_eq!(store.token_by_hash("").await.expect("an empty hash is nobody's"), None);
    assert_eq!(store.token_by_hash(&token(3, Scope::Read).secret_hash).await.expect("token"), None);
    assert_eq!(store.tokens().await.expect("tokens").len(), 2);
    assert!(store.delete_token(&one.id, &audit("3")).await.expect("delete"));
    assert!(!store.delete_token(&one.id, &audit("4")).await.expect("delete"), "it is gone");
    assert_eq!(store.token_by_hash(&one.secret_hash).await.expect("token"), None);
    assert_eq!(store.tokens().await.expect("tokens"), [two]);
}

pub(super) async fn there_is_one_first_admin<S: Store>(store: &S) {
    assert!(store.put_token(&token(1, Scope::Read), false, &audit("5")).await.expect("put"));
    let first = token(2, Scope::Admin);
    assert!(store.put_token(&first, true, &audit("6")).await.expect("put"), "a reader is no admin");
    assert!(!store.put_token(&token(3, Scope::Admin), true, &audit("7")).await.expect("put"));
    assert!(store.delete_token(&first.id, &audit("8")).await.expect("delete"));
    let again = store.put_token(&token(3, Scope::Admin), true, &audit("9")).await.expect("put");
    assert!(!again, "an admin token was stored once, and that is what counts");
    let found = store.token_by_hash(&token(3, Scope::Admin).secret_hash).await.expect("token");
    assert_eq!(found, None);
    assert!(store.put_token(&token(4, Scope::Admin), false, &audit("10")).await.expect("put"));
}
