//! The inventory and the variables that the playbooks get.

use std::net::IpAddr;

use nodeyard_domain::{
    run::{Purpose, Run},
    user_data::ADMIN_USER,
};
use serde_json::{Map, Value, json};

use crate::failure::Failure;

const SSH_PORT: u16 = 22;

/// Ansible reads an object with this one member as a text that is no template
/// (ansible-core, `AnsibleJSONDecoder`).
const NO_TEMPLATE: &str = "__ansible_unsafe";

/// The one host: named by the node's id, reached by its address.
///
/// # Errors
/// When the address is none.
pub(crate) fn inventory(run: &Run, ssh_options: &[String]) -> Result<Value, Failure> {
    let address: IpAddr = run.address.parse().map_err(|_| {
        Failure::of_task(format!("the node has no address that can be reached: {}", run.address))
    })?;
    let host = json!({
        "ansible_host": address.to_string(),
        "ansible_port": SSH_PORT,
        "ansible_user": ADMIN_USER,
        "ansible_ssh_common_args": ssh_options.join(" "),
    });
    let mut hosts = Map::new();
    hosts.insert(run.node_id.to_string(), host);
    Ok(json!({ "all": { "hosts": hosts } }))
}

/// The playbooks' variables. Whatever a caller gave reaches them as plain text: Ansible would run a
/// template in it here, beside our credentials, and not on the node.
///
/// # Errors
/// When the caller's variables use names that are Ansible's own.
pub(crate) fn vars(
    run: &Run,
    managed_key: &str,
    control_cidrs: &[String],
) -> Result<Value, Failure> {
    let profile_vars = plain(&Value::Object(run.vars.clone()))?;
    let mut keys = vec![managed_key];
    for key in run.authorized_keys.iter().map(String::as_str) {
        if !keys.iter().any(|known| same_key(known, key)) {
            keys.push(key);
        }
    }
    let mut sources: Vec<&String> = run.allow_ssh_from.iter().collect();
    if !sources.is_empty() {
        // Otherwise the firewall would keep out the next run.
        sources.extend(control_cidrs.iter().filter(|cidr| !run.allow_ssh_from.contains(cidr)));
    }
    Ok(json!({
        "profile": run.profile.as_str(),
        "profile_vars": profile_vars,
        "smoke_id": run.job_id.hex().get(..8).unwrap_or_default(),
        "smoke_keep": run.purpose == Purpose::Smoke { keep: true },
        "allow_ssh_from": plain(&json!(sources))?,
        "ssh_admin_user": ADMIN_USER,
        "ssh_authorized_keys": plain(&json!(keys))?,
        "ssh_port": SSH_PORT,
    }))
}

/// Whether two lines of `authorized_keys` are one key, whatever their comments.
fn same_key(one: &str, other: &str) -> bool {
    one.split_whitespace().take(2).eq(other.split_whitespace().take(2))
}

fn plain(value: &Value) -> Result<Value, Failure> {
    Ok(match value {
        Value::String(text) => json!({ NO_TEMPLATE: text }),
        Value::Array(items) => Value::Array(items.iter().map(plain).collect::<Result<_, _>>()?),
        Value::Object(members) => {
            let mut object = Map::new();
            for (name, value) in members {
                if name.starts_with("__ansible") {
                    let message = format!("vars may not hold the name {name}: it is Ansible's own");
                    return Err(Failure::new(
                        nodeyard_domain::code::Code::AnsiblePlayError,
                        message,
                    ));
                }
                object.insert(name.clone(), plain(value)?);
            }
            Value::Object(object)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}

#[cfg(test)]
mod tests {
    use nodeyard_domain::{
        id::{JobId, NodeId},
        spec::Profile,
    };

    use super::*;

    fn run() -> Run {
        Run {
            purpose: Default::default(),
            expected_tasks: None,
            traceparent: None,
            job_id: JobId::from_bits(1),
            number: 1,
            node_id: NodeId::from_bits(2),
            connection: "main".parse().unwrap(),
            server_id: 3,
            address: "198.18.0.10".into(),
            profile: Profile::web(),
            vars: Map::new(),
            authorized_keys: Vec::new(),
            allow_ssh_from: Vec::new(),
            key_versions: vec![1],
            key_stem: None,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            deadline_at: jiff::Timestamp::UNIX_EPOCH,
            task: None,
            stop_requested: false,
            result: None,
        }
    }

    #[test]
    fn the_host_is_named_by_the_node_and_logged_in_to_as_the_admin_user() {
        let run = run();
        let inventory = inventory(&run, &["-o".into(), "HostKeyAlias=x".into()]).unwrap();
        let host = &inventory["all"]["hosts"][run.node_id.as_str()];
        assert_eq!(host["ansible_host"], "198.18.0.10");
        assert_eq!(host["ansible_port"], 22);
        assert_eq!(host["ansible_user"], "nodeyard");
        assert_eq!(host["ansible_ssh_common_args"], "-o HostKeyAlias=x");
    }

    #[test]
    fn an_address_that_is_none_reaches_no_template() {
        let run = Run { address: "{{ lookup('pipe', 'id') }}".into(), ..run() };
        assert!(inventory(&run, &[]).is_err());
    }

    #[test]
    fn no_text_of_a_caller_is_a_template() {
        let mut run = run();
        let template = "{{ lookup('pipe', 'id') }}";
        run.vars = json!({ "a": template, "b": [{ "c": template }], "n": 1, "t": true, "z": null })
            .as_object()
            .unwrap()
            .clone();
        run.authorized_keys = vec![format!("ssh-ed25519 AAAA {template}")];
        run.allow_ssh_from = vec![template.into()];
        let vars = vars(&run, "ssh-ed25519 MMMM nodeyard", &[]).unwrap();
        let plain = json!({ "__ansible_unsafe": template });
        assert_eq!(
            vars["profile_vars"],
            json!({ "a": plain, "b": [{ "c": plain }], "n": 1, "t": true, "z": null })
        );
        assert_eq!(vars["allow_ssh_from"], json!([plain]));
        assert_eq!(
            vars["ssh_authorized_keys"][1]["__ansible_unsafe"],
            format!("ssh-ed25519 AAAA {template}")
        );
        assert_eq!((&vars["profile"], &vars["ssh_port"]), (&json!("web"), &json!(22)));
    }

    #[test]
    fn names_that_ansible_decodes_are_refused() {
        for name in ["__ansible_vault", "__ansible_unsafe", "__ansible_type"] {
            let mut run = run();
            run.vars.insert("deep".into(), json!([{ name: "x" }]));
            assert!(vars(&run, "k", &[]).is_err_and(|failure| failure.message.contains(name)));
        }
    }

    #[test]
    fn the_managed_key_is_first_and_once() {
        let mut run = run();
        run.authorized_keys = vec!["ssh-ed25519 MMMM other comment".into(), "ssh-rsa UUUU".into()];
        let vars = vars(&run, "ssh-ed25519 MMMM nodeyard", &[]).unwrap();
        let keys: Vec<&str> = vars["ssh_authorized_keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["__ansible_unsafe"].as_str().unwrap())
            .collect();
        assert_eq!(keys, ["ssh-ed25519 MMMM nodeyard", "ssh-rsa UUUU"]);
    }

    #[test]
    fn our_own_addresses_are_let_in_only_where_others_are_kept_out() {
        let control = ["203.0.113.4/32".to_owned()];
        let mut run = run();
        assert_eq!(vars(&run, "k", &control).unwrap()["allow_ssh_from"], json!([]));
        run.allow_ssh_from = vec!["192.0.2.0/24".into()];
        let expected = json!([
            { "__ansible_unsafe": "192.0.2.0/24" }, { "__ansible_unsafe": "203.0.113.4/32" }
        ]);
        assert_eq!(vars(&run, "k", &control).unwrap()["allow_ssh_from"], expected);
    }
}
