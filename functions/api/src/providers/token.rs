//! What a live check of a token means for a connection. Nothing is stored here.

use nodeyard_adapters::hetzner::key::new_key_pair;
use nodeyard_domain::{
    connection::{Connection, ConnectionName, ManagedKey, Permission, keys::FIRST_KEY_VERSION},
    observation::ProviderFailure,
};
use nodeyard_engine::{
    check::examine,
    provider::{ProviderCheck, Survey, TokenReport},
    store::ApiStore,
};
use secrecy::SecretString;

use crate::{
    app::{App, Ports},
    code::ApiCode,
    problem::Problem,
};

/// A token that was judged, and the key pair that was made in the course of it.
pub struct Judged {
    pub report: TokenReport,
    /// All servers in the project, whosever they are.
    pub servers: Option<u64>,
    /// The private half of a key that is new at the provider and nowhere else yet.
    pub private_key: Option<SecretString>,
}

impl<P: Ports> App<P> {
    /// What live calls show of a token of a connection that has its marker.
    pub(super) async fn examine(
        &self,
        connection: &Connection,
        key: &ManagedKey,
        token: &SecretString,
    ) -> Result<Result<TokenReport, ProviderFailure>, Problem> {
        let (store, deployment) = (&self.store, &self.settings.deployment);
        Ok(examine(store, &self.provider, deployment, token, connection, key).await?)
    }

    /// Judges a token that is to take the place of another: it must be of the same project, and
    /// have shown that it may write.
    ///
    /// # Errors
    /// `provider_token_rejected`, `different_project`, `token_readonly`, `provider_unavailable`.
    pub(super) async fn judge_known(
        &self,
        connection: &Connection,
        key: &ManagedKey,
        token: &SecretString,
    ) -> Result<Judged, Problem> {
        let report = self.examine(connection, key, token).await?;
        let report = report.map_err(|failure| Problem::of_provider(&failure))?;
        if !report.sees_marker {
            let detail = "The token does not see the SSH key of this connection.";
            return Err(Problem::at("/token", ApiCode::DifferentProject, detail).guided(
                "Take a token of the same project, or connect the other project under another name.",
            ));
        }
        match report.permission {
            Permission::ReadWrite => {
                let servers = self.survey(token).await?.servers;
                Ok(Judged { report, servers, private_key: None })
            }
            // The stored one may be able to write; a worse one must not take its place.
            Permission::ReadOnly => {
                let detail = "The token can only read; the old one stays.";
                Err(Problem::at("/token", ApiCode::TokenReadonly, detail)
                    .guided("Make a read-write API token in the provider's console."))
            }
            Permission::Unknown => {
                let detail = "The token was not seen to write; the old one stays.";
                Err(Problem::new(ApiCode::ProviderUnavailable, detail)
                    .guided("Check the provider's status page, then send the token again."))
            }
        }
    }

    async fn survey(&self, token: &SecretString) -> Result<Survey, Problem> {
        let survey = self.provider.survey(token, &self.settings.deployment).await;
        survey.map_err(|failure| Problem::of_provider(&failure))
    }

    /// Judges a token of a connection without a marker: its project must be nobody else's. The
    /// managed key is made at the provider when the token can write.
    ///
    /// # Errors
    /// `provider_token_rejected`, `project_already_connected`, `provider_unavailable`.
    pub(super) async fn judge_new(
        &self,
        name: &ConnectionName,
        token: &SecretString,
    ) -> Result<Judged, Problem> {
        for other in self.store.connections().await? {
            let Some(key) = other.key.as_ref().filter(|_| other.name != *name) else { continue };
            let key_name = ManagedKey::name(&self.settings.deployment, &other.name, key.version);
            // A write to the other's key with what it already has: harmless, and the proof.
            let report = self
                .provider
                .check_token(token, &key_name, &key.public_key, Some(key))
                .await
                .map_err(|failure| Problem::of_provider(&failure))?;
            if report.sees_marker || report.key.is_some() {
                let detail = "The token's project belongs to another connection.";
                return Err(Problem::new(ApiCode::ProjectAlreadyConnected, detail)
                    .guided("Use one project for one connection."));
            }
        }
        let survey = self.survey(token).await?;
        if let Some(other) = survey.other_deployment {
            let detail = format!("The project has servers of the Nodeyard deployment {other:?}.");
            return Err(Problem::new(ApiCode::ProjectAlreadyConnected, detail)
                .guided("Use one project for one deployment."));
        }
        let key_name = ManagedKey::name(&self.settings.deployment, name, FIRST_KEY_VERSION);
        let (private, public) = new_key_pair(&key_name).map_err(|error| {
            tracing::error!(%error, "no key pair");
            Problem::new(ApiCode::InternalError, "No SSH key could be made; try again.")
        })?;
        let mut report = self
            .provider
            .check_token(token, &key_name, &public, None)
            .await
            .map_err(|failure| Problem::of_provider(&failure))?;
        // Without a write that succeeded the key is not there for sure.
        report.key = report.key.take_if(|_| report.permission == Permission::ReadWrite);
        if let Some(key) = &mut report.key {
            key.version = FIRST_KEY_VERSION;
        }
        let private_key = report.key.is_some().then_some(private);
        Ok(Judged { report, servers: survey.servers, private_key })
    }
}
