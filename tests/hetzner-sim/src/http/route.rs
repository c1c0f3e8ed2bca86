//! Paths: what each names, and which methods it has.

use crate::world::operation::{Command, Kind};

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A collection.
    Collection(Kind),
    /// One thing of a collection.
    Item(Kind, u64),
    /// Actions by id.
    Actions,
    /// The actions of all servers.
    AllServerActions,
    /// The actions of one server.
    ServerActions(u64),
    /// A command to a server.
    ServerCommand(u64, &'static str),
    /// The price list.
    Pricing,
    /// `/datacenters`, which is no more.
    Datacenters,
}

const COLLECTIONS: [Kind; 8] = [
    Kind::Server,
    Kind::SshKey,
    Kind::ServerType,
    Kind::Location,
    Kind::Image,
    Kind::PlacementGroup,
    Kind::Firewall,
    Kind::PrimaryIp,
];

const COMMANDS: [&str; 6] =
    ["poweron", "poweroff", "shutdown", "reboot", "reset", "change_protection"];

impl Target {
    /// What `path`, without `/v1`, names. An id that is no number names
    /// nothing. [assumed]
    pub fn of(path: &str) -> Option<Self> {
        let words: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let id = |text: &str| text.parse::<u64>().ok().filter(|id| *id > 0);
        match words.as_slice() {
            ["datacenters"] | ["datacenters", _] => Some(Self::Datacenters),
            ["pricing"] => Some(Self::Pricing),
            ["actions"] => Some(Self::Actions),
            ["actions", action] | ["servers", "actions", action] => {
                Some(Self::Item(Kind::Action, id(action)?))
            }
            ["servers", "actions"] => Some(Self::AllServerActions),
            ["servers", server, "actions"] => Some(Self::ServerActions(id(server)?)),
            ["servers", server, "actions", command] => {
                let command = COMMANDS.iter().find(|known| *known == command)?;
                Some(Self::ServerCommand(id(server)?, command))
            }
            [collection] => Some(Self::Collection(kind(collection)?)),
            [collection, item] => Some(Self::Item(kind(collection)?, id(item)?)),
            _ => None,
        }
    }

    /// Whether it has this method. [documented]
    pub fn allows(self, method: &str) -> bool {
        let is_fixed = |kind| matches!(kind, Kind::ServerType | Kind::Location | Kind::Action);
        match self {
            Self::Collection(kind) => match method {
                "GET" => true,
                "POST" => !is_fixed(kind) && kind != Kind::Image,
                _ => false,
            },
            Self::Item(kind, _) => match method {
                "GET" => true,
                "PUT" | "DELETE" => !is_fixed(kind),
                _ => false,
            },
            Self::ServerCommand(..) => method == "POST",
            Self::Actions
            | Self::AllServerActions
            | Self::ServerActions(_)
            | Self::Pricing
            | Self::Datacenters => method == "GET",
        }
    }

    /// The one thing that must exist.
    pub fn subject(self) -> Option<(Kind, u64)> {
        match self {
            Self::Item(kind, id) => Some((kind, id)),
            Self::ServerActions(id) | Self::ServerCommand(id, _) => Some((Kind::Server, id)),
            _ => None,
        }
    }
}

/// The command of a path; protection needs the body as well.
pub fn power_command(name: &str) -> Option<Command> {
    match name {
        "poweron" => Some(Command::PowerOn),
        "poweroff" => Some(Command::PowerOff),
        "shutdown" => Some(Command::Shutdown),
        "reboot" => Some(Command::Reboot),
        "reset" => Some(Command::Reset),
        _ => None,
    }
}

fn kind(collection: &str) -> Option<Kind> {
    COLLECTIONS.iter().copied().find(|kind| kind.plural() == collection)
}

#[cfg(test)]
mod tests {
    use super::Target;
    use crate::world::operation::Kind;

    #[test]
    fn paths_name_what_they_should() {
        for (path, target) in [
            ("/servers", Some(Target::Collection(Kind::Server))),
            ("/servers/5000000000", Some(Target::Item(Kind::Server, 5_000_000_000))),
            ("/servers/actions", Some(Target::AllServerActions)),
            ("/servers/actions/7", Some(Target::Item(Kind::Action, 7))),
            ("/servers/7/actions", Some(Target::ServerActions(7))),
            ("/servers/7/actions/reset", Some(Target::ServerCommand(7, "reset"))),
            ("/datacenters/3", Some(Target::Datacenters)),
            ("/servers/7/actions/dance", None),
            ("/servers/", None),
            ("/servers/0", None),
            ("/servers/x", None),
            ("/volumes", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(Target::of(path), target, "{path}");
        }
    }

    #[test]
    fn what_the_provider_owns_is_read_only() {
        assert!(!Target::Collection(Kind::Location).allows("POST"));
        assert!(!Target::Item(Kind::ServerType, 1).allows("DELETE"));
        assert!(Target::Item(Kind::SshKey, 1).allows("PUT"));
        assert!(!Target::Item(Kind::SshKey, 1).allows("PATCH"));
    }
}
