//! The user data a server boots with: the admin user, its keys, and the first host key.

use serde_json::{Value, json};

use crate::host_key::HostKey;

/// The user Ansible and people log in as. Root never does.
pub const ADMIN_USER: &str = "nodeyard";

/// The provider's limit on user data, in bytes.
pub const MAX_USER_DATA_BYTES: usize = 32 * 1024;

/// Writes the `#cloud-config` document. It is deterministic: a create is repeated byte for byte.
pub fn cloud_config(host_name: &str, authorized_keys: &[String], host_key: &HostKey) -> String {
    let document: Value = json!({
        "hostname": host_name,
        "manage_etc_hosts": true,
        "locale": false,
        "disable_root": true,
        "ssh_pwauth": false,
        "ssh_deletekeys": true,
        // With `ssh_keys` given nothing is generated; the list may not be empty.
        "ssh_genkeytypes": ["ed25519"],
        "ssh_keys": {
            "ed25519_private": host_key.private,
            "ed25519_public": host_key.public,
        },
        "users": [{
            "name": ADMIN_USER,
            "shell": "/bin/bash",
            "lock_passwd": true,
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "ssh_authorized_keys": authorized_keys,
        }],
    });
    // JSON is YAML: nothing a user gives can break out of its string.
    format!("#cloud-config\n{document:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_gives_stays_inside_its_string() {
        let host_key = HostKey { private: "PRIVATE\nKEY\n".into(), public: "ssh-ed25519 A".into() };
        let nasty = "ssh-ed25519 AAA x\"\n runcmd: [reboot]".to_owned();
        let text = cloud_config("web", std::slice::from_ref(&nasty), &host_key);
        let (head, body) = text.split_once('\n').unwrap();
        assert_eq!(head, "#cloud-config");
        let parsed: Value = serde_json::from_str(body).unwrap();
        assert_eq!(parsed["users"][0]["ssh_authorized_keys"][0], nasty);
        assert_eq!(parsed["ssh_keys"]["ed25519_private"], "PRIVATE\nKEY\n");
        assert!(parsed.get("runcmd").is_none());
    }
}
