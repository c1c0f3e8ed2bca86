//! First boots as they are: what lies over the image of some machines, and how it is known afterwards
//! that it was met.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::error::{IoContext, Result};

/// A first boot.
#[derive(Debug)]
pub struct FirstBoot {
    /// How the names of its machines begin.
    pub prefix: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// Tells on the node that the fault was there, and that it is over.
    pub probe: &'static str,
}

const UNIT: (&str, &str) =
    ("etc/systemd/system/first-boot.service", include_str!("../../first-boots/first-boot.service"));
const AT_ONCE: &str = include_str!("../../first-boots/at-once.conf");

/// dpkg's lock is held when the packages are to be installed, for 90 s.
const LOCK: FirstBoot = FirstBoot {
    prefix: "boot-lock",
    files: &[
        UNIT,
        ("usr/local/lib/first-boot.py", include_str!("../../first-boots/lock.py")),
    ],
    probe: "
        holds 'the lock was held' test -s /var/lib/first-boot
        first_package() { date -d \"$(awk '/ startup /{print $1, $2; exit}' /var/log/dpkg.log)\" +%s; }
        holds 'packages waited for the lock' test \"$(first_package)\" -ge \"$(cut -d. -f1 /var/lib/first-boot)\"
        ",
};

/// The mirror refuses, and comes back.
const MIRROR: FirstBoot = FirstBoot {
    prefix: "boot-mirror",
    files: &[UNIT, ("usr/local/lib/first-boot.py", include_str!("../../first-boots/mirror.py"))],
    probe: "
        holds 'the mirror was asked in vain' test \"$(cat /var/lib/first-boot)\" -gt 0
        holds 'the mirror is back' not nft list table inet first_boot
        ",
};

/// cloud-init ends with a warning, a reboot is due, and apt's timers start with the boot.
pub const ODD: FirstBoot = FirstBoot {
    prefix: "boot-odd",
    files: &[
        ("etc/cloud/cloud.cfg.d/95-odd.cfg", "odd: [\n"),
        (
            "etc/tmpfiles.d/first-boot.conf",
            "f /run/reboot-required 0644 root root - *** System restart required ***\n\
             f /run/reboot-required.pkgs 0644 root root - linux-image-cloud-amd64\n",
        ),
        ("etc/systemd/system/apt-daily.timer.d/at-once.conf", AT_ONCE),
        ("etc/systemd/system/apt-daily-upgrade.timer.d/at-once.conf", AT_ONCE),
    ],
    probe: "
        warned() { cloud-init status > /dev/null; [ $? = 2 ]; }
        holds 'cloud-init ended with a warning' warned
        holds 'a reboot is due' test -e /run/reboot-required
        holds 'and was not made' sh -c 'journalctl --list-boots --quiet | wc -l | grep -qx 1'
        for timer in apt-daily apt-daily-upgrade; do
            holds \"$timer ran with the boot\" test -n \"$(systemctl show -P LastTriggerUSec $timer.timer)\"
        done
        ",
};

/// All of them. Each is met with sshd's penalties as the distribution ships them.
pub const FIRST_BOOTS: &[&FirstBoot] = &[&LOCK, &MIRROR, &ODD];

/// What holds on all of them: nobody of ours was shut out on the way.
pub const NOBODY_SHUT_OUT: &str = "
    no_penalty() { ! journalctl -u ssh --no-pager | grep -i 'penalty'; }
    holds 'sshd: penalised nobody on the way' no_penalty
    holds 'fail2ban: banned nobody on the way' sh -c 'fail2ban-client status sshd | grep -q \"Total banned:[[:space:]]*0$\"'
    ";

/// Writes the layers into a folder; gives the prefix and the layer of each.
///
/// # Errors
/// The disk refuses.
pub fn lay(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).at(folder)?;
    }
    let mut layers = Vec::new();
    for boot in FIRST_BOOTS {
        let layer = folder.join(boot.prefix);
        for (path, text) in boot.files {
            write(&layer, path, text)?;
            if *path == UNIT.0 {
                let wanted = "etc/systemd/system/sysinit.target.wants";
                make_open(&layer, Path::new(wanted))?;
                let link = layer.join(wanted).join("first-boot.service");
                symlink("../first-boot.service", &link).at(&link)?;
            }
        }
        layers.push((boot.prefix.to_owned(), layer));
    }
    Ok(layers)
}

fn write(layer: &Path, path: &str, text: &str) -> Result<()> {
    make_open(layer, Path::new(path).parent().unwrap_or(Path::new("")))?;
    let file = layer.join(path);
    std::fs::write(&file, text).at(&file)?;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).at(&file)
}

/// Makes a folder of a layer, open to all as the image's own: it hides the one of the same name.
fn make_open(layer: &Path, below: &Path) -> Result<()> {
    let mut path = layer.to_owned();
    for step in std::iter::once(Path::new("").as_os_str()).chain(below.iter()) {
        path.push(step);
        std::fs::create_dir_all(&path).at(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).at(&path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{FIRST_BOOTS, lay};

    #[test]
    fn a_layer_has_its_files_and_its_unit_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let layers = lay(&folder.path().join("layers")).unwrap();
        assert_eq!(layers.len(), FIRST_BOOTS.len());
        let (prefix, lock) = &layers[0];
        assert_eq!(prefix, "boot-lock");
        let wanted = lock.join("etc/systemd/system/sysinit.target.wants/first-boot.service");
        assert!(std::fs::read_to_string(wanted).unwrap().contains("ExecStart="));
        // Names must not begin like one another: a machine has one layer.
        for (one, _) in &layers {
            assert_eq!(layers.iter().filter(|(other, _)| other.starts_with(one)).count(), 1);
        }
    }
}
