//! Turns a fresh Debian tree into an image that boots as a machine of the lab.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::backing::BackingError;
use crate::backing::command::io;
use crate::lab::{APT_PORT, GATEWAY};

const CLOUD_CONFIG: &str = include_str!("90-hetzner-sim.cfg");
const DMI_MODULE: &str = include_str!("hetzner_sim_dmi.py");
/// The data source, and the line that its imports end before.
const DATA_SOURCE: &str = "usr/lib/python3/dist-packages/cloudinit/sources/DataSourceHetzner.py";
const DATA_SOURCE_ANCHOR: &str = "\nLOG = ";
const DATA_SOURCE_HOOK: &str = "\nimport hetzner_sim_dmi\n\nhetzner_sim_dmi.install()\nLOG = ";
/// No name server is in reach. Asking one that refuses at once beats waiting
/// for one that is not there: every sudo looks up the host's own name.
const RESOLV_CONF: &str = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";
/// Units that make no sense in a container, or that would go to the network by
/// themselves at a time of their own. apt's timers stay as the distribution has
/// them: they are what a first boot has to be shared with.
const MASKED: [&str; 11] = [
    "console-getty.service",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "getty@tty1.service",
    "networking.service",
    "systemd-firstboot.service",
    "systemd-networkd-wait-online.service",
    "systemd-udev-trigger.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udevd.service",
];

/// Prepares the tree at `root`, whose packages come from `sources`.
///
/// # Errors
/// A file that cannot be written, or a data source that looks unlike the one
/// this was written for.
pub(super) fn apply(root: &Path, sources: &[String]) -> Result<(), BackingError> {
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, text).map_err(io(format!("writing {}", path.display())))
    };
    write("etc/machine-id", "")?;
    write("etc/resolv.conf", RESOLV_CONF)?;
    write("etc/apt/sources.list", &format!("{}\n", sources.join("\n")))?;
    write("etc/apt/apt.conf.d/99mmdebstrap", &apt_config())?;
    write("etc/cloud/cloud.cfg.d/90-hetzner-sim.cfg", CLOUD_CONFIG)?;
    write("usr/lib/python3/dist-packages/hetzner_sim_dmi.py", DMI_MODULE)?;
    hook_data_source(root)?;
    for unit in MASKED {
        let path = root.join("etc/systemd/system").join(unit);
        let _ = std::fs::remove_file(&path);
        symlink("/dev/null", &path).map_err(io(format!("masking {unit}")))?;
    }
    remove_host_keys(&root.join("etc/ssh"))
}

/// Changes whenever [`apply`] would do something else.
pub(super) fn fingerprint() -> String {
    [CLOUD_CONFIG, DMI_MODULE, DATA_SOURCE_HOOK, RESOLV_CONF, &apt_config(), &MASKED.join(",")]
        .concat()
}

fn apt_config() -> String {
    format!("Acquire::http::Proxy \"http://{GATEWAY}:{APT_PORT}\";\nAcquire::Languages \"none\";\n")
}

fn hook_data_source(root: &Path) -> Result<(), BackingError> {
    let path = root.join(DATA_SOURCE);
    let context = format!("preparing {}", path.display());
    let text = std::fs::read_to_string(&path).map_err(io(context.clone()))?;
    if !text.contains(DATA_SOURCE_ANCHOR) {
        let odd = std::io::Error::other("this version of cloud-init is not known here");
        return Err(io(context)(odd));
    }
    let text = text.replacen(DATA_SOURCE_ANCHOR, DATA_SOURCE_HOOK, 1);
    std::fs::write(&path, text).map_err(io(context))
}

/// Each machine makes or is given keys of its own.
fn remove_host_keys(folder: &Path) -> Result<(), BackingError> {
    let context = format!("removing host keys in {}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(io(context.clone()))? {
        let entry = entry.map_err(io(context.clone()))?;
        if entry.file_name().to_string_lossy().starts_with("ssh_host_") {
            std::fs::remove_file(entry.path()).map_err(io(context.clone()))?;
        }
    }
    Ok(())
}
