//! The audit trail: who did what, on what, when, from where, and what came of it.
//!
//! An entry is written once and never changed. It holds names, ids, codes and addresses, never a
//! body, a token or anything else that a caller wrote freely.
//!
//! Entries are read by later releases, and by earlier ones after a step back: what one does not
//! know is kept as `unknown` and does not make the trail unreadable.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    connection::ConnectionName,
    id::{JobId, NodeId, TokenId},
    orphan::OrphanId,
};

/// The actor of what the deployment's own secret did. No token has this name.
pub const BOOTSTRAP: &str = "bootstrap";
/// The actor of what nobody asked for: the sweep and the checks.
pub const SYSTEM: &str = "system";
/// The actor of what a caller without a known token asked for.
pub const ANONYMOUS: &str = "anonymous";
/// Names that a token cannot have: it would be taken for somebody else.
pub const RESERVED_ACTORS: &[&str] = &[ANONYMOUS, BOOTSTRAP, SYSTEM];

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$about])* #[serde(rename = $text)] $variant,)+
            /// A word of another release. Never written.
            #[default]
            #[serde(other, rename = "unknown")]
            Unknown,
        }

        impl $name {
            /// All that are written.
            pub const ALL: &[$name] = &[$($name::$variant,)+];

            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)+ $name::Unknown => "unknown" }
            }

            /// The one of this name.
            pub fn from_text(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What was done or refused. The list is closed and append-only: callers filter by it.
    Action {
        NodeCreate = "node.create",
        /// Asked for by a caller, or opened by the sweep for what was left behind.
        NodeRelease = "node.release",
        NodeConfigure = "node.configure",
        /// Asked for by a caller, or opened by the schedule for a node that looks otherwise than its
        /// record.
        NodeCheck = "node.check",
        NodeSmoke = "node.smoke",
        NodeLabels = "node.labels",
        JobCancel = "job.cancel",
        /// A first token for a connection. A refusal that came before the connection was looked at
        /// says this as well.
        ProviderConnect = "provider.connect",
        /// Another token for a connection that exists.
        ProviderRotate = "provider.rotate",
        /// Another version of a connection's managed SSH key.
        ProviderRotateKey = "provider.rotate_key",
        /// Versions of a managed key that no node needed any more, by a check.
        ProviderDestroyKey = "provider.destroy_key",
        /// Asked for by a caller; by the schedule, when it has changed the connection.
        ProviderCheck = "provider.check",
        ProviderDisconnect = "provider.disconnect",
        TokenCreate = "token.create",
        TokenDelete = "token.delete",
        OrphanRemove = "orphan.remove",
        OrphanConfirm = "orphan.confirm",
        /// The deployment's own secret made the first admin token, or was refused.
        BootstrapUse = "bootstrap.use",
        /// A look, which is in the trail only when it was refused; so are the others below.
        NodeRead = "node.read",
        JobRead = "job.read",
        ProviderRead = "provider.read",
        TokenRead = "token.read",
        OrphanRead = "orphan.read",
        AuditRead = "audit.read",
        /// Refusals that were too many to write down, as a number.
        AuditLeftOut = "audit.left_out",
    }
}

words! {
    /// What kind of thing an entry is about.
    ResourceKind {
        Node = "node",
        Job = "job",
        Connection = "connection",
        Token = "token",
        Orphan = "orphan",
        Audit = "audit",
    }
}

/// What an entry is about. Without an id it is the kind as a whole, or a thing that is not there
/// yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    #[serde(default)]
    pub kind: ResourceKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl Resource {
    pub fn all(kind: ResourceKind) -> Self {
        Self { kind, id: None }
    }

    /// A thing by a text that came from outside: it is kept only if it is well-formed as the id of
    /// such a thing, so that nothing that was put in its place by mistake, a token for one, is.
    pub fn named(kind: ResourceKind, text: &str) -> Self {
        let well_formed = match kind {
            ResourceKind::Node => text.parse::<NodeId>().is_ok(),
            ResourceKind::Job => text.parse::<JobId>().is_ok(),
            ResourceKind::Connection => text.parse::<ConnectionName>().is_ok(),
            ResourceKind::Token => text.parse::<TokenId>().is_ok(),
            ResourceKind::Orphan => OrphanId::from_text(text).is_some(),
            ResourceKind::Audit | ResourceKind::Unknown => false,
        };
        Self { kind, id: well_formed.then(|| text.to_owned()) }
    }

    fn of(kind: ResourceKind, id: &impl ToString) -> Self {
        Self { kind, id: Some(id.to_string()) }
    }
}

impl From<&NodeId> for Resource {
    fn from(id: &NodeId) -> Self {
        Self::of(ResourceKind::Node, id)
    }
}

impl From<&JobId> for Resource {
    fn from(id: &JobId) -> Self {
        Self::of(ResourceKind::Job, id)
    }
}

impl From<&ConnectionName> for Resource {
    fn from(name: &ConnectionName) -> Self {
        Self::of(ResourceKind::Connection, name)
    }
}

impl From<&TokenId> for Resource {
    fn from(id: &TokenId) -> Self {
        Self::of(ResourceKind::Token, id)
    }
}

impl From<&OrphanId> for Resource {
    fn from(id: &OrphanId) -> Self {
        Self::of(ResourceKind::Orphan, &id.as_str())
    }
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Outcome {
    /// Work was accepted; its job tells what became of it. Entries of old say nothing else.
    #[default]
    Accepted,
    Done,
    /// With the code of the problem that was answered.
    Refused {
        #[serde(default)]
        code: String,
    },
    /// So many refusals have no entry of their own.
    LeftOut {
        #[serde(default)]
        count: u32,
    },
    /// A word of another release. Never written.
    #[serde(other)]
    Unknown,
}

/// One thing that was done or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    pub at: Timestamp,
    /// A token's name, or one of [`RESERVED_ACTORS`].
    pub actor: String,
    /// Tokens may share a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<TokenId>,
    #[serde(default)]
    pub action: Action,
    #[serde(default)]
    pub resource: Resource,
    /// The request's id; for the sweep, the id of the job it opened.
    #[serde(default)]
    pub request_id: String,
    /// The caller's address as the gateway saw it. Absent where no gateway was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_address: Option<String>,
    #[serde(default)]
    pub outcome: Outcome,
}

impl AuditEntry {
    /// What the deployment does by itself.
    pub fn of_system(at: Timestamp, action: Action, resource: Resource, outcome: Outcome) -> Self {
        Self {
            at,
            actor: SYSTEM.to_owned(),
            token_id: None,
            action,
            resource,
            request_id: String::new(),
            source_address: None,
            outcome,
        }
    }
}

/// Which entries to list: everything that is set has to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    pub actor: Option<String>,
    pub action: Option<Action>,
    pub kind: Option<ResourceKind>,
    pub id: Option<String>,
}

impl AuditFilter {
    pub fn matches(&self, entry: &AuditEntry) -> bool {
        self.actor.as_ref().is_none_or(|actor| *actor == entry.actor)
            && self.action.is_none_or(|action| action == entry.action)
            && self.kind.is_none_or(|kind| kind == entry.resource.kind)
            && self.id.as_ref().is_none_or(|id| entry.resource.id.as_ref() == Some(id))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry() -> AuditEntry {
        AuditEntry {
            at: "2026-11-23T10:00:00.123456789Z".parse().unwrap(),
            actor: "ci".into(),
            token_id: Some(TokenId::from_bits(1)),
            action: Action::ProviderRotate,
            resource: Resource::named(ResourceKind::Connection, "main"),
            request_id: "JKJaXmPLvHcESHA=".into(),
            source_address: Some("192.0.2.10".into()),
            outcome: Outcome::Refused { code: "different_project".into() },
        }
    }

    #[test]
    fn the_lists_are_closed_and_their_words_never_change() {
        let lines = |words: Vec<&str>| words.join(" ");
        assert_eq!(
            lines(Action::ALL.iter().map(|action| action.as_str()).collect()),
            "node.create node.release node.configure node.check node.smoke node.labels job.cancel provider.connect \
             provider.rotate provider.rotate_key provider.destroy_key provider.check \
             provider.disconnect token.create \
             token.delete orphan.remove orphan.confirm bootstrap.use node.read job.read \
             provider.read token.read orphan.read audit.read audit.left_out"
        );
        assert_eq!(
            lines(ResourceKind::ALL.iter().map(|kind| kind.as_str()).collect()),
            "node job connection token orphan audit"
        );
        for action in Action::ALL {
            assert_eq!(json!(action), action.as_str());
            assert_eq!(Action::from_text(action.as_str()), Some(*action));
        }
        assert_eq!(Action::from_text("unknown"), None, "nothing is filtered by it");
    }

    #[test]
    fn an_entry_comes_back_as_it_was_written() {
        let written = serde_json::to_string(&entry()).unwrap();
        assert_eq!(serde_json::from_str::<AuditEntry>(&written).unwrap(), entry());
        let left_out = AuditEntry { outcome: Outcome::LeftOut { count: 7 }, ..entry() };
        let written = serde_json::to_string(&left_out).unwrap();
        assert_eq!(serde_json::from_str::<AuditEntry>(&written).unwrap(), left_out);
    }

    #[test]
    fn entries_of_other_releases_can_be_read() {
        let before = json!({"at": "2026-01-01T00:00:00Z", "actor": "ci", "action": "POST /nodes",
            "subject": "node-1", "request_id": "r"});
        let read: AuditEntry = serde_json::from_value(before).unwrap();
        assert_eq!((read.actor.as_str(), read.action), ("ci", Action::Unknown));
        assert_eq!((read.resource, read.outcome), (Resource::default(), Outcome::Accepted));
        let after = json!({"at": "2026-01-01T00:00:00Z", "actor": "ci", "action": "node.paint",
            "resource": {"kind": "brush", "id": "b", "hue": 1}, "outcome": {"result": "mixed"},
            "weather": {}});
        let read: AuditEntry = serde_json::from_value(after).unwrap();
        assert_eq!((read.action, read.resource.kind), (Action::Unknown, ResourceKind::Unknown));
        assert_eq!(read.outcome, Outcome::Unknown);
    }

    #[test]
    fn only_what_is_an_id_is_kept_of_a_path() {
        let (node, orphan) = (NodeId::from_bits(7), "server-9@main");
        let kept = |kind, text: &str| Resource::named(kind, text).id.is_some();
        assert!(kept(ResourceKind::Node, node.as_str()) && kept(ResourceKind::Orphan, orphan));
        let secret = format!("ny_{:064x}", 1);
        for kind in ResourceKind::ALL {
            for text in ["", "..", "<script>", "a\nb", secret.as_str(), &"A".repeat(64)] {
                assert!(!kept(*kind, text), "{kind} {text:?}");
            }
        }
        assert!(!kept(ResourceKind::Job, node.as_str()));
    }

    #[test]
    fn a_filter_holds_only_what_is_set() {
        let filter = AuditFilter::default;
        let all = filter();
        assert!(all.matches(&entry()));
        let actor = |name: &str| AuditFilter { actor: Some(name.into()), ..filter() };
        assert!(actor("ci").matches(&entry()) && !actor("c").matches(&entry()));
        let action = |action| AuditFilter { action: Some(action), ..filter() };
        assert!(action(Action::ProviderRotate).matches(&entry()));
        assert!(!action(Action::ProviderConnect).matches(&entry()));
        let of = |kind, id: Option<&str>| AuditFilter {
            kind: Some(kind),
            id: id.map(Into::into),
            ..filter()
        };
        assert!(of(ResourceKind::Connection, None).matches(&entry()));
        assert!(of(ResourceKind::Connection, Some("main")).matches(&entry()));
        assert!(!of(ResourceKind::Connection, Some("other")).matches(&entry()));
        assert!(!of(ResourceKind::Node, Some("main")).matches(&entry()));
    }
}
