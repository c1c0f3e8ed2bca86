//! API tokens: few, in one partition, read consistently so that a deleted one is good for nothing.

use nodeyard_domain::{
    id::TokenId,
    token::{Scope, Token},
};
use nodeyard_engine::store::{AuditEntry, StoreError};
use serde::{Deserialize, Serialize};

use super::{
    DynamoStore, audit,
    change::{Condition, Write},
    keys::{Item, Key, TOKENS},
    list::read_partition,
    row::{item, read},
    table::Transacted,
    text::Text,
};

type Result<T> = std::result::Result<T, StoreError>;

#[derive(Serialize, Deserialize)]
struct TokenRow {
    token: Text<Token>,
}

pub(super) fn read_token(item: Item) -> Result<Token> {
    read::<TokenRow>(item).map(|row| row.token.0)
}

impl DynamoStore {
    pub(super) async fn all_tokens(&self) -> Result<Vec<Token>> {
        let items = read_partition(&self.table, TOKENS).await?;
        items.into_iter().map(read_token).collect()
    }

    /// An admin token leaves a mark that stays when the token goes: the bootstrap secret is not
    /// good for a second first one.
    pub(super) async fn store_token(
        &self,
        token: &Token,
        only_first_admin: bool,
        entry: &AuditEntry,
    ) -> Result<bool> {
        let key = Key::token(&token.secret_hash);
        let row = TokenRow { token: Text(token.clone()) };
        let mut writes = vec![Write::put(key.clone(), item(&key, &row)?), audit::append(entry)?];
        let mark = Key::first_admin();
        let is_admin = token.allows(Scope::Admin);
        let marking = match (is_admin, only_first_admin) {
            (true, first) => {
                let write = Write::put(mark.clone(), mark.attributes());
                Some(if first { write.require(Condition::New) } else { write })
            }
            (false, true) => Some(Write::check(mark).require(Condition::New)),
            (false, false) => None,
        };
        writes.extend(marking);
        Ok(self.table.transact(writes).await? == Transacted::Done)
    }

    pub(super) async fn remove_token(&self, id: &TokenId, entry: &AuditEntry) -> Result<bool> {
        let Some(token) = self.all_tokens().await?.into_iter().find(|token| token.id == *id) else {
            return Ok(false);
        };
        let write = Write::delete(Key::token(&token.secret_hash)).require(Condition::Exists);
        let done = self.table.transact(vec![write, audit::append(entry)?]).await?;
        Ok(done == Transacted::Done)
    }
}
