//! What the readiness probes found on a node.

use serde::{Deserialize, Serialize};

/// The stable codes of readiness findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadinessCode {
    AcquisitionInProgress,
    ProviderServerMissing,
    ProviderServerOff,
    SshUnreachable,
    SshAuthFailed,
    HostKeyMismatch,
    SudoUnavailable,
    BootUnfinished,
    RuntimeMissing,
    ServiceDown,
    FirewallInactive,
    DiskLow,
    ClockSkewed,
    RebootRequired,
}

impl ReadinessCode {
    pub const ALL: &[ReadinessCode] = &[
        Self::AcquisitionInProgress,
        Self::ProviderServerMissing,
        Self::ProviderServerOff,
        Self::SshUnreachable,
        Self::SshAuthFailed,
        Self::HostKeyMismatch,
        Self::SudoUnavailable,
        Self::BootUnfinished,
        Self::RuntimeMissing,
        Self::ServiceDown,
        Self::FirewallInactive,
        Self::DiskLow,
        Self::ClockSkewed,
        Self::RebootRequired,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::AcquisitionInProgress => "acquisition_in_progress",
            Self::ProviderServerMissing => "provider_server_missing",
            Self::ProviderServerOff => "provider_server_off",
            Self::SshUnreachable => "ssh_unreachable",
            Self::SshAuthFailed => "ssh_auth_failed",
            Self::HostKeyMismatch => "host_key_mismatch",
            Self::SudoUnavailable => "sudo_unavailable",
            Self::BootUnfinished => "boot_unfinished",
            Self::RuntimeMissing => "runtime_missing",
            Self::ServiceDown => "service_down",
            Self::FirewallInactive => "firewall_inactive",
            Self::DiskLow => "disk_low",
            Self::ClockSkewed => "clock_skewed",
            Self::RebootRequired => "reboot_required",
        }
    }

    /// What the operator can do about a failed probe.
    pub fn guidance(self) -> &'static str {
        match self {
            Self::AcquisitionInProgress => "Wait for the node's job to end.",
            Self::ProviderServerMissing => "Release the node; its server is gone.",
            Self::ProviderServerOff => "Switch the server on at the provider.",
            Self::SshUnreachable => "Check allow_ssh_from and the server's network.",
            Self::SshAuthFailed => "Configure the node again to restore the managed key.",
            Self::HostKeyMismatch => "Treat the node as replaced: release it.",
            Self::SudoUnavailable => "Restore the admin user's sudo rule or release the node.",
            Self::BootUnfinished => "Read cloud-init's log on the node.",
            Self::RuntimeMissing => "Configure the node again with its profile.",
            Self::ServiceDown => "Read the service's journal on the node, then configure again.",
            Self::FirewallInactive => "Configure the node again to load the firewall.",
            Self::DiskLow => "Free space on the node or take a larger server type.",
            Self::ClockSkewed => "Check time synchronisation on the node.",
            Self::RebootRequired => "Reboot the node when it suits you.",
        }
    }
}

/// The verdict of one probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub code: ReadinessCode,
    pub ok: bool,
    /// A failed warning does not make the node unready.
    #[serde(default)]
    pub warning: bool,
    #[serde(default)]
    pub detail: String,
}

/// Ready means probed, and nothing but warnings failed. No probes is not ready.
pub fn is_ready(findings: &[Finding]) -> bool {
    !findings.is_empty() && findings.iter().all(|finding| finding.ok || finding.warning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_called_what_they_are_written_as() {
        for code in ReadinessCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn nothing_probed_is_not_ready_and_warnings_do_not_count() {
        let finding = |code, ok, warning| Finding { code, ok, warning, detail: String::new() };
        assert!(!is_ready(&[]));
        assert!(is_ready(&[finding(ReadinessCode::RebootRequired, false, true)]));
        assert!(!is_ready(&[
            finding(ReadinessCode::DiskLow, true, false),
            finding(ReadinessCode::ServiceDown, false, false)
        ]));
    }
}
