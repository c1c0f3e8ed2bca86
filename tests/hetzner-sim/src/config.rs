//! How a simulator is started.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::backing::Backing;
use crate::backing::none::NoMachines;
use crate::clock::Clock;
use crate::settings::Settings;

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Everything.
    #[serde(rename = "rw")]
    ReadWrite,
    /// GET only.
    #[serde(rename = "ro")]
    ReadOnly,
}

/// One API token: a secret that opens one project.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSpec {
    /// What the journal calls it.
    pub name: String,
    /// What the client sends.
    #[serde(skip_serializing)]
    pub secret: String,
    /// What it may do.
    pub access: Access,
    /// The only project it sees.
    pub project: String,
}

impl fmt::Debug for TokenSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("TokenSpec")
            .field("name", &self.name)
            .field("access", &self.access)
            .field("project", &self.project)
            .finish_non_exhaustive()
    }
}

/// A token that is not `NAME=SECRET:rw|ro:PROJECT`.
#[derive(Debug, thiserror::Error)]
#[error("a token is NAME=SECRET:rw:PROJECT or NAME=SECRET:ro:PROJECT")]
pub struct TokenSpecError;

impl FromStr for TokenSpec {
    type Err = TokenSpecError;

    fn from_str(text: &str) -> Result<Self, TokenSpecError> {
        let (name, rest) = text.split_once('=').ok_or(TokenSpecError)?;
        let (rest, project) = rest.rsplit_once(':').ok_or(TokenSpecError)?;
        let (secret, access) = rest.rsplit_once(':').ok_or(TokenSpecError)?;
        let access = match access {
            "rw" => Access::ReadWrite,
            "ro" => Access::ReadOnly,
            _ => return Err(TokenSpecError),
        };
        if name.is_empty() || secret.is_empty() || project.is_empty() {
            return Err(TokenSpecError);
        }
        Ok(Self {
            name: name.to_owned(),
            secret: secret.to_owned(),
            access,
            project: project.to_owned(),
        })
    }
}

/// How a simulator is started.
#[derive(Clone)]
pub struct SimulatorConfig {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The tokens it knows from the start.
    pub tokens: Vec<TokenSpec>,
    /// Ids, passwords and automatic deeds follow from this.
    pub seed: u64,
    /// What can be changed later.
    pub settings: Settings,
    /// Where the time comes from.
    pub clock: Clock,
    /// What stands behind the servers.
    pub backing: Arc<dyn Backing>,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tokens: Vec::new(),
            seed: 1,
            settings: Settings::default(),
            clock: Clock::real(),
            backing: Arc::new(NoMachines::default()),
        }
    }
}

impl SimulatorConfig {
    /// Adds a token.
    #[must_use]
    pub fn token(mut self, name: &str, secret: &str, access: Access, project: &str) -> Self {
        self.tokens.push(TokenSpec {
            name: name.to_owned(),
            secret: secret.to_owned(),
            access,
            project: project.to_owned(),
        });
        self
    }

    /// Takes a clock that moves only when told.
    #[must_use]
    pub fn standing_clock(mut self) -> Self {
        self.clock = Clock::standing();
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Access, TokenSpec};

    #[test]
    fn a_token_is_read_and_its_secret_never_shown() {
        let token: TokenSpec = "main=s3:cr=et:ro:shop".parse().unwrap();
        assert_eq!(token.name, "main");
        assert_eq!(token.secret, "s3:cr=et");
        assert_eq!(token.access, Access::ReadOnly);
        assert_eq!(token.project, "shop");
        assert!(!format!("{token:?}").contains("s3"));
        assert!(!serde_json::to_string(&token).unwrap().contains("s3"));
    }

    #[test]
    fn half_a_token_is_refused() {
        for text in ["", "a", "a=b", "a=b:rw", "a=b:rx:p", "=b:rw:p", "a=:rw:p", "a=b:rw:"] {
            assert!(text.parse::<TokenSpec>().is_err(), "{text}");
        }
    }
}
