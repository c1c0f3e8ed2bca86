//! Where a run is performed: its record, its folder, and how its children are started.

use std::{ffi::OsString, path::PathBuf};

use nodeyard_domain::{host_key::HostPins, run::Run};

use crate::{failure::Failure, login, scratch::Scratch, stop::Stop, task::Settings};

pub(crate) struct Site<'a> {
    pub(crate) run: &'a Run,
    pub(crate) settings: &'a Settings,
    pub(crate) scratch: &'a Scratch,
    pub(crate) stop: Stop,
}

impl Site<'_> {
    /// The node's name for Ansible and for ssh: never its address, which others may get later.
    pub(crate) fn alias(&self) -> &str {
        self.run.node_id.as_str()
    }

    pub(crate) fn search_path(&self) -> &OsString {
        &self.settings.search_path
    }

    /// The playbook's file; playbooks are named without `.yml`. A profile is never named like one of
    /// the playbooks that every run has.
    pub(crate) fn playbook(&self, name: &str) -> PathBuf {
        let mut folder = self.settings.playbooks.clone();
        if name == self.run.profile.as_str() {
            folder.push("profiles");
        }
        folder.join(format!("{name}.yml"))
    }

    /// The ssh settings of every connection of the run.
    pub(crate) fn ssh_options(&self) -> Vec<String> {
        login::options(self.alias(), &self.scratch.known_hosts(), &self.scratch.agent_socket())
    }

    /// Lets the node show these keys and no other.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn pin(&self, pins: &HostPins) -> Result<(), Failure> {
        let lines = pins.known_hosts(self.alias());
        self.scratch.write(&self.scratch.known_hosts(), lines.as_bytes())
    }
}
