//! Bodies: from JSON to what the world understands.
//!
//! Fields that are not known are ignored. [assumed]

use serde_json::{Map, Value};

use super::fields::Fields;
use crate::world::error::ApiError;
use crate::world::operation::{
    Change, Command, Family, PlacementGroupDraft, PrimaryIpDraft, ServerDraft, SshKeyDraft,
};

type Object = Map<String, Value>;

/// [documented] 32 KiB
const USER_DATA_BYTES: usize = 32 * 1024;

/// Body of `POST /servers`.
///
/// # Errors
/// `invalid_input`; `unsupported_error` for what is left out here.
pub fn server(object: &Object) -> Result<ServerDraft, ApiError> {
    let mut fields = Fields::new(object, "");
    let name = fields.required_text("name");
    if !name.is_empty() && !is_host_name(&name) {
        fields.fault("name", "must be a valid hostname as per RFC 1123");
    }
    for required in ["server_type", "image"] {
        if fields.value(required).is_none() {
            fields.fault(required, "is required");
        }
    }
    let mut draft = ServerDraft {
        server_type: fields.reference("server_type").unwrap_or_default(),
        image: fields.reference("image").unwrap_or_default(),
        location: fields.reference("location"),
        start_after_create: fields.switch("start_after_create", true),
        placement_group: fields.id("placement_group"),
        ssh_keys: fields.references("ssh_keys"),
        firewalls: firewall_ids(&mut fields),
        user_data: fields.text("user_data"),
        labels: fields.labels().unwrap_or_default(),
        ..ServerDraft::plain(&name, "", "")
    };
    if draft.user_data.as_ref().is_some_and(|data| data.len() > USER_DATA_BYTES) {
        fields.fault("user_data", "must be at most 32 KiB");
    }
    if let Some(net) = fields.inner("public_net") {
        let mut net = Fields::new(net, "public_net.");
        draft.enable_ipv4 = net.switch("enable_ipv4", true);
        draft.enable_ipv6 = net.switch("enable_ipv6", true);
        draft.ipv4 = net.id("ipv4");
        draft.ipv6 = net.id("ipv6");
        fields.absorb(net);
    }
    // [documented] without a private network one public address is needed.
    if ![draft.enable_ipv4, draft.enable_ipv6].contains(&true)
        && draft.ipv4.or(draft.ipv6).is_none()
    {
        fields.fault("public_net", "a server without networks needs a public address");
    }
    let wants_more = ["volumes", "networks"].iter().any(|field| !fields.list(field).is_empty());
    if wants_more {
        return Err(ApiError::new("unsupported_error", "volumes and networks are not simulated"));
    }
    fields.finish(draft)
}

fn firewall_ids(fields: &mut Fields<'_>) -> Vec<u64> {
    let ids: Option<Vec<u64>> =
        fields.list("firewalls").iter().map(|entry| entry["firewall"].as_u64()).collect();
    if ids.is_none() {
        fields.fault("firewalls", "must be a list of objects with `firewall`");
    }
    ids.unwrap_or_default()
}

/// Body of `POST /ssh_keys`.
///
/// # Errors
/// `invalid_input`
pub fn ssh_key(object: &Object) -> Result<SshKeyDraft, ApiError> {
    let mut fields = Fields::new(object, "");
    let draft = SshKeyDraft {
        name: fields.required_text("name"),
        public_key: fields.required_text("public_key"),
        labels: fields.labels().unwrap_or_default(),
    };
    fields.finish(draft)
}

/// Body of `POST /placement_groups`.
///
/// # Errors
/// `invalid_input`
pub fn placement_group(object: &Object) -> Result<PlacementGroupDraft, ApiError> {
    let mut fields = Fields::new(object, "");
    let draft = PlacementGroupDraft {
        name: fields.required_text("name"),
        labels: fields.labels().unwrap_or_default(),
    };
    if fields.required_text("type") != "spread" {
        fields.fault("type", "must be spread");
    }
    fields.finish(draft)
}

/// Body of `POST /primary_ips`.
///
/// # Errors
/// `invalid_input`
pub fn primary_ip(object: &Object) -> Result<PrimaryIpDraft, ApiError> {
    let mut fields = Fields::new(object, "");
    let family = match fields.required_text("type").as_str() {
        "ipv4" => Family::V4,
        "ipv6" => Family::V6,
        _ => {
            fields.fault("type", "must be ipv4 or ipv6");
            Family::V4
        }
    };
    let assignee_type = fields.required_text("assignee_type");
    if !["server", "unassigned"].contains(&assignee_type.as_str()) {
        fields.fault("assignee_type", "must be server or unassigned");
    }
    let draft = PrimaryIpDraft {
        name: fields.required_text("name"),
        labels: fields.labels().unwrap_or_default(),
        family,
        location: fields.reference("location"),
        assignee: fields.id("assignee_id"),
        auto_delete: fields.switch("auto_delete", false),
    };
    fields.finish(draft)
}

/// Body of a PUT.
///
/// # Errors
/// `invalid_input`
pub fn change(object: &Object, is_server: bool) -> Result<Change, ApiError> {
    let mut fields = Fields::new(object, "");
    let has_name = fields.value("name").is_some();
    let name = has_name.then(|| fields.required_text("name"));
    if is_server
        && let Some(name) = &name
        && !is_host_name(name)
    {
        fields.fault("name", "must be a valid hostname as per RFC 1123");
    }
    let change =
        Change { name, labels: fields.labels(), auto_delete: fields.maybe_switch("auto_delete") };
    fields.finish(change)
}

/// Body of `change_protection`.
///
/// # Errors
/// `invalid_input`
pub fn protection(object: &Object) -> Result<Command, ApiError> {
    let mut fields = Fields::new(object, "");
    let command = Command::ChangeProtection {
        delete: fields.maybe_switch("delete"),
        rebuild: fields.maybe_switch("rebuild"),
    };
    fields.finish(command)
}

/// [documented] server names are host names as per RFC 1123.
fn is_host_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            let bytes = label.as_bytes();
            (1..=63).contains(&bytes.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::is_host_name;

    #[test]
    fn host_names_are_told_from_others() {
        let longest = "a".repeat(63);
        for name in ["a", "web-1", "1st", "a.b.example", "Web", longest.as_str()] {
            assert!(is_host_name(name), "{name}");
        }
        let too_long = "a".repeat(64);
        for name in ["", "-a", "a-", "a_b", "a..b", "ä", "a b", too_long.as_str()] {
            assert!(!is_host_name(name), "{name}");
        }
    }
}
