//! Every way a node can be broken that a readiness code tells of, and its repair.

/// What is done to a node, as root on it.
pub struct Breakage {
    /// The one code that a check then gives.
    pub code: &'static str,
    pub plant: &'static str,
    pub repair: &'static str,
}

/// All that can be done on the node itself. A container shares its host's clock, and cannot be
/// stopped in the middle of its boot: there the node's own programs are made to say what they
/// would say.
pub const BREAKAGES: &[Breakage] = &[
    Breakage {
        code: "service_down",
        plant: "systemctl stop fail2ban",
        repair: "systemctl start fail2ban",
    },
    Breakage {
        code: "firewall_inactive",
        plant: "nft delete table inet nodeyard",
        repair: "systemctl restart nodeyard-firewall",
    },
    Breakage {
        code: "runtime_missing",
        plant: "mv /usr/sbin/logrotate /root/logrotate.away",
        repair: "mv /root/logrotate.away /usr/sbin/logrotate",
    },
    // To 4 % of what there is, without writing it.
    Breakage {
        code: "disk_low",
        plant: "set -- $(stat -f -c '%S %b %a' /); \
                fallocate -l $(( $1 * ($3 - $2 * 4 / 100) )) /root/filler",
        repair: "rm /root/filler",
    },
    Breakage {
        code: "clock_skewed",
        plant: "printf '#!/bin/sh\\nexec /bin/date --date=\"+60 seconds\" \"$@\"\\n' \
                > /usr/local/bin/date; chmod 755 /usr/local/bin/date",
        repair: "rm /usr/local/bin/date",
    },
    Breakage {
        code: "boot_unfinished",
        plant: "mv /run/cloud-init/result.json /root/",
        repair: "mv /root/result.json /run/cloud-init/",
    },
    Breakage {
        code: "sudo_unavailable",
        plant: "mkdir /root/sudoers; mv /etc/sudoers.d/* /root/sudoers/",
        repair: "mv /root/sudoers/* /etc/sudoers.d/; rmdir /root/sudoers",
    },
    Breakage {
        code: "ssh_auth_failed",
        plant: "cp -p /home/nodeyard/.ssh/authorized_keys /root/; \
                sed -i '/ nodeyard$/d' /home/nodeyard/.ssh/authorized_keys",
        repair: "cp -p /root/authorized_keys /home/nodeyard/.ssh/authorized_keys",
    },
    Breakage {
        code: "host_key_mismatch",
        plant: "mkdir /root/keys; mv /etc/ssh/nodeyard_host_ed25519_key* /root/keys/; \
                ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/nodeyard_host_ed25519_key; \
                systemctl reload ssh",
        repair: "mv /root/keys/* /etc/ssh/; rmdir /root/keys; systemctl reload ssh",
    },
    Breakage {
        code: "ssh_unreachable",
        plant: "systemctl stop ssh",
        repair: "systemctl start ssh",
    },
];

/// Told, and no hindrance.
pub const WARNING: Breakage = Breakage {
    code: "reboot_required",
    plant: "touch /run/reboot-required",
    repair: "rm /run/reboot-required",
};
