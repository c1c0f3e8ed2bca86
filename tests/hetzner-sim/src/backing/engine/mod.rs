//! What boots a machine: systemd-nspawn or podman. They differ in a script;
//! network, root file system and removal are the same.

/// A program, and the Debian package that brings it.
pub(crate) type Tool = (&'static str, &'static str);

/// A way to boot a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// systemd-nspawn.
    Nspawn,
    /// podman with runc.
    Podman,
}

impl Engine {
    /// Name of the backing.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nspawn => "nspawn",
            Self::Podman => "podman",
        }
    }

    /// The script that boots one machine and lasts as long as it. Arguments:
    /// folder of the machine, its network namespace, its name, its host name,
    /// its control group as the kernel names it.
    pub(crate) fn script(self) -> &'static str {
        match self {
            Self::Nspawn => include_str!("nspawn.sh"),
            Self::Podman => include_str!("podman.sh"),
        }
    }

    /// Programs it needs that the others do not.
    pub(crate) fn tools(self) -> &'static [Tool] {
        match self {
            Self::Nspawn => &[("systemd-nspawn", "systemd-container")],
            Self::Podman => &[("conmon", "conmon"), ("podman", "podman"), ("runc", "runc")],
        }
    }
}
