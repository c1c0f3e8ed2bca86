//! The user data of a server: what callers give stays inside its place.

use nodeyard_domain::{host_key::HostKey, user_data::cloud_config};
use serde_json::{Value, json};

use super::hold;
use crate::target::Target;

pub(super) struct UserData;

impl Target for UserData {
    fn name(&self) -> &'static str {
        "user-data"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let nasty = "ssh-ed25519 AAA x\"\n runcmd: [reboot]\n# {{ x }} ## template: jinja";
        let input = json!({"host": "web-1", "keys": ["ssh-ed25519 AAAA me", nasty],
            "private": "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "public": "ssh-ed25519 A"});
        vec![input.to_string().into_bytes()]
    }

    fn run(&mut self, input: &[u8]) -> Result<String, String> {
        let given: Value = serde_json::from_slice(input).unwrap_or_default();
        let text = |name: &str| given[name].as_str().unwrap_or("x").to_owned();
        let keys: Vec<String> = given["keys"]
            .as_array()
            .map(|keys| keys.iter().filter_map(|key| Some(key.as_str()?.to_owned())).collect())
            .unwrap_or_default();
        let host_key = HostKey { private: text("private"), public: text("public") };
        let written = cloud_config(&text("host"), &keys, &host_key);
        let (head, body) = written.split_once('\n').unwrap_or_default();
        hold(head == "#cloud-config", || format!("it begins with {head:?}"))?;
        let read: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        let expected = (json!(text("host")), json!(keys), json!(host_key.private));
        let user = &read["users"][0];
        let found = (
            read["hostname"].clone(),
            user["ssh_authorized_keys"].clone(),
            read["ssh_keys"]["ed25519_private"].clone(),
        );
        hold(found == expected, || format!("{expected:?} became {found:?}"))?;
        let names: Vec<&String> = read.as_object().into_iter().flat_map(|it| it.keys()).collect();
        hold(names.len() == 9, || format!("it says more than we said: {names:?}"))?;
        // Nothing in it is a line that cloud-init reads before the document.
        hold(!body.lines().any(|line| line.starts_with('#')), || "a line of its own".to_owned())?;
        Ok(format!("{} keys", keys.len().min(3)))
    }
}
