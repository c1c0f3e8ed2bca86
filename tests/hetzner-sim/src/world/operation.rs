//! What a caller can ask of the world, once its request was understood.

use std::collections::BTreeMap;

use super::label::Selector;

/// Labels of a thing.
pub type Labels = BTreeMap<String, String>;

/// The kinds of things the API knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Server,
    Action,
    SshKey,
    ServerType,
    Location,
    Image,
    PlacementGroup,
    Firewall,
    PrimaryIp,
}

impl Kind {
    /// The key of one thing in an answer.
    pub fn singular(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Action => "action",
            Self::SshKey => "ssh_key",
            Self::ServerType => "server_type",
            Self::Location => "location",
            Self::Image => "image",
            Self::PlacementGroup => "placement_group",
            Self::Firewall => "firewall",
            Self::PrimaryIp => "primary_ip",
        }
    }

    /// The key of a list in an answer, and the path of the collection.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Server => "servers",
            Self::Action => "actions",
            Self::SshKey => "ssh_keys",
            Self::ServerType => "server_types",
            Self::Location => "locations",
            Self::Image => "images",
            Self::PlacementGroup => "placement_groups",
            Self::Firewall => "firewalls",
            Self::PrimaryIp => "primary_ips",
        }
    }
}

/// Filters, order and page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListQuery {
    /// Exact name.
    pub name: Option<String>,
    /// Parsed label selector.
    pub selector: Option<Selector>,
    /// MD5 fingerprint of an SSH key.
    pub fingerprint: Option<String>,
    /// Address of a Primary IP.
    pub ip: Option<String>,
    /// Any of these states; empty for all.
    pub status: Vec<String>,
    /// Any of these types; empty for all.
    pub types: Vec<String>,
    /// Architecture of an image.
    pub architecture: Option<String>,
    /// Whether images that are on their way out are listed.
    pub include_deprecated: bool,
    /// Any of these ids; empty for all.
    pub ids: Vec<u64>,
    /// Field and whether it is descending.
    pub sort: Vec<(String, bool)>,
    /// From 1.
    pub page: usize,
    /// 1 to 50.
    pub per_page: usize,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self {
            name: None,
            selector: None,
            fingerprint: None,
            ip: None,
            status: Vec::new(),
            types: Vec::new(),
            architecture: None,
            include_deprecated: false,
            ids: Vec::new(),
            sort: Vec::new(),
            page: 1,
            per_page: 25,
        }
    }
}

/// One thing asked of the world on behalf of a project.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// A page of a collection.
    List(Kind, ListQuery),
    /// One thing.
    Get(Kind, u64),
    /// A page of the actions of one server, or of all.
    ServerActions(Option<u64>, ListQuery),
    /// Actions by id, without pages.
    ActionsById(Vec<u64>),
    /// The price list.
    Pricing,
    /// POST of a server.
    CreateServer(Box<ServerDraft>),
    /// POST of an SSH key.
    CreateSshKey(SshKeyDraft),
    /// POST of a placement group.
    CreatePlacementGroup(PlacementGroupDraft),
    /// POST of a firewall.
    CreateFirewall(FirewallDraft),
    /// POST of a Primary IP.
    CreatePrimaryIp(PrimaryIpDraft),
    /// PUT.
    Update(Kind, u64, Change),
    /// DELETE.
    Delete(Kind, u64),
    /// POST below a server's `actions`.
    Command(u64, Command),
    /// A server's disk overwritten with an image, by name or id. Only the second actor does it: its
    /// path is not among those served.
    Rebuild(u64, String),
}

impl Operation {
    /// Whether it asks for a change.
    pub fn writes(&self) -> bool {
        !matches!(
            self,
            Self::List(..)
                | Self::Get(..)
                | Self::ServerActions(..)
                | Self::ActionsById(_)
                | Self::Pricing
        )
    }

    /// The one thing its path names, which must exist.
    pub fn subject(&self) -> Option<(Kind, u64)> {
        match self {
            Self::Get(kind, id) | Self::Update(kind, id, _) | Self::Delete(kind, id) => {
                Some((*kind, *id))
            }
            Self::ServerActions(Some(id), _) | Self::Command(id, _) | Self::Rebuild(id, _) => {
                Some((Kind::Server, *id))
            }
            _ => None,
        }
    }
}

/// Body of `POST /servers`. Type, image, location and keys are names or ids.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct ServerDraft {
    pub name: String,
    pub server_type: String,
    pub image: String,
    pub location: Option<String>,
    pub start_after_create: bool,
    pub placement_group: Option<u64>,
    pub ssh_keys: Vec<String>,
    pub firewalls: Vec<u64>,
    pub user_data: Option<String>,
    pub labels: Labels,
    pub enable_ipv4: bool,
    pub enable_ipv6: bool,
    pub ipv4: Option<u64>,
    pub ipv6: Option<u64>,
}

impl ServerDraft {
    /// A server of the usual kind, started, with both addresses.
    pub fn plain(name: &str, server_type: &str, image: &str) -> Self {
        Self {
            name: name.to_owned(),
            server_type: server_type.to_owned(),
            image: image.to_owned(),
            location: None,
            start_after_create: true,
            placement_group: None,
            ssh_keys: Vec::new(),
            firewalls: Vec::new(),
            user_data: None,
            labels: Labels::new(),
            enable_ipv4: true,
            enable_ipv6: true,
            ipv4: None,
            ipv6: None,
        }
    }
}

/// Body of `POST /ssh_keys`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct SshKeyDraft {
    pub name: String,
    pub public_key: String,
    pub labels: Labels,
}

/// Body of `POST /placement_groups`; the type is always `spread`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct PlacementGroupDraft {
    pub name: String,
    pub labels: Labels,
}

/// Body of `POST /firewalls`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct FirewallDraft {
    pub name: String,
    pub labels: Labels,
    pub rules: Vec<Rule>,
    pub servers: Vec<u64>,
    pub selectors: Vec<(String, Selector)>,
}

/// One rule of a firewall.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Rule {
    pub description: Option<String>,
    pub direction: String,
    pub protocol: String,
    pub port: Option<String>,
    pub source_ips: Vec<String>,
    pub destination_ips: Vec<String>,
}

/// Body of `POST /primary_ips`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct PrimaryIpDraft {
    pub name: String,
    pub labels: Labels,
    pub family: Family,
    pub location: Option<String>,
    pub assignee: Option<u64>,
    pub auto_delete: bool,
}

/// Which protocol an address is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    /// As the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }
}

/// Body of a PUT; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Change {
    pub name: Option<String>,
    pub labels: Option<Labels>,
    pub auto_delete: Option<bool>,
}

/// What can be asked of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Command {
    PowerOn,
    PowerOff,
    Shutdown,
    Reboot,
    Reset,
    ChangeProtection { delete: Option<bool>, rebuild: Option<bool> },
}

impl Command {
    /// The command its action carries. [documented]
    pub fn action_name(self) -> &'static str {
        match self {
            Self::PowerOn => "start_server",
            Self::PowerOff => "stop_server",
            Self::Shutdown => "shutdown_server",
            Self::Reboot => "reboot_server",
            Self::Reset => "reset_server",
            Self::ChangeProtection { .. } => "change_protection",
        }
    }
}

/// What came of an operation; the renderer turns it into a body.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// 200 with one thing.
    One(Kind, u64),
    /// 200 with a page.
    Page(Kind, Page),
    /// 200 with actions and no page.
    Actions(Vec<u64>),
    /// 200 with the price list.
    Pricing,
    /// 201 with a new thing and the action that makes it, if there is one.
    Created(Kind, u64, Option<u64>),
    /// 201 with a new firewall and its actions.
    FirewallCreated(u64, Vec<u64>),
    /// 201 with a new server.
    ServerCreated {
        /// The server.
        server: u64,
        /// `create_server`.
        action: u64,
        /// What follows it.
        next_actions: Vec<u64>,
        /// Given when no SSH key was.
        root_password: Option<String>,
    },
    /// 201 with an action.
    Started(u64),
    /// 200 with the action of a deletion.
    Deleting(u64),
    /// 204.
    Done,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Page {
    pub ids: Vec<u64>,
    pub page: usize,
    pub per_page: usize,
    pub total: usize,
}
