//! The first managed key of a connection. Two requests may make one at the same time: each stores
//! its private half under a name of its own, which is on record before, and only one of them comes
//! to be named by a record that has a key.

use nodeyard_domain::connection::{Connection, keys::FIRST_KEY_VERSION};
use nodeyard_engine::{secrets::Secrets, store::JobStore};
use secrecy::SecretString;

use crate::{
    app::{App, Ports},
    code::ApiCode,
    problem::Problem,
};

pub(super) fn changed_meanwhile() -> Problem {
    let detail = "The connection was changed meanwhile: send the request again.";
    Problem::new(ApiCode::EditConflict, detail)
}

impl<P: Ports> App<P> {
    /// Takes a connection that is on record without a key: gives it the name that our private half
    /// will have. Whoever read the record before can no longer commit a key to it, so what they may
    /// have stored goes. Gives the record as it is now.
    ///
    /// # Errors
    /// `edit_conflict` when the record is not the one that was read.
    pub(super) async fn take_keyless(&self, before: &Connection) -> Result<Connection, Problem> {
        let stem = format!("{}-{:08x}", before.name, self.random()? & u128::from(u32::MAX));
        let taken = Connection { key_stem: Some(stem), ..before.clone() };
        if !self.store.swap_connection(&taken, &[]).await? {
            return Err(changed_meanwhile());
        }
        self.destroy_unnamed(before).await;
        Ok(Connection { version: before.version + 1, ..taken })
    }

    /// Stores the private half of the key that the connection is about to be stored with.
    pub(super) async fn keep_first_key(
        &self,
        connection: &Connection,
        private: &SecretString,
    ) -> Result<(), Problem> {
        let name = connection.key_secret(FIRST_KEY_VERSION);
        if self.secrets.put_ssh_key(&name, private).await? {
            Ok(())
        } else {
            // Nobody has the name but us: what is there stays, whatever it is.
            Err(changed_meanwhile())
        }
    }

    /// Destroys a private half of ours after the record went to another request. It stays if the
    /// record has its name all the same: then our write was done, and only its answer was lost.
    pub(super) async fn drop_first_key(&self, lost: &Connection) {
        match self.store.connection(&lost.name).await {
            Ok(Some(on)) if on.key_stem == lost.key_stem => {}
            Ok(_) => self.destroy_unnamed(lost).await,
            Err(error) => {
                tracing::warn!(%error, connection = %lost.name, "an unused key may be left");
            }
        }
    }

    /// What no record names opens nothing and is never read: a failure is only logged.
    async fn destroy_unnamed(&self, of: &Connection) {
        let name = of.key_secret(FIRST_KEY_VERSION);
        if let Err(error) = self.secrets.destroy_ssh_key(&name).await {
            tracing::warn!(%error, connection = %of.name, "an unused key is left");
        }
    }
}
