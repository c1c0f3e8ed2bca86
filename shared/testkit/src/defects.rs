//! Defects that can be planted for tests of the tests: each takes one safeguard of the engine
//! away, in a simulated port or in the policy, without touching the engine's code. A drill that
//! stays green with one of them proves nothing.

/// A safeguard that is missing. Each says which port lacks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Defect {
    /// Store: a commit goes through whatever has changed since the load.
    NoFence,
    /// Store: a create's claim is not written down.
    NoClaim,
    /// Provider: a server with our deployment's and node's labels is shown with the open
    /// attempt's nonce.
    NoNonceCheck,
    /// Provider: a server under the name is shown as the open attempt's, whoever made it.
    AdoptByNameOnly,
    /// Provider: a create whose outcome is unknown is sent again under another name.
    BlindPostRetry,
    /// Provider: a server that answers 404 is gone, whether or not the token sees the marker.
    BareNotFoundIsGone,
    /// Store: the sweep finds nothing.
    NoSweep,
    /// Store: a commit that lost the fence is told as done.
    ObservationDropped,
    /// Policy: nothing is waited for after an unknown outcome of a create.
    SettleTimeZero,
    /// Runner: a task is told as stopped while it lives on.
    SecondRunBeforeStop,
    /// Provider: servers are made without labels.
    NoLabels,
    /// Store: a commit clears news that it has not loaded.
    NewsIgnored,
    /// Store: a server that comes back for an ended job is forgotten.
    LateServerForgotten,
    /// Provider: a server whose deletion was accepted counts as gone.
    GoneUnconfirmed,
    /// Store: crashes are not counted.
    CrashesUncounted,
    /// Store: what a connection's jobs share is overwritten, whatever has changed.
    PaceUnfenced,
    /// Store: events are not written with the changes that cause them.
    EventsUnkept,
    /// Container task: a key version is told as proved that nobody has logged in with.
    KeyUnproved,
}

impl Defect {
    pub const ALL: &[Defect] = &[
        Self::NoFence,
        Self::NoClaim,
        Self::NoNonceCheck,
        Self::AdoptByNameOnly,
        Self::BlindPostRetry,
        Self::BareNotFoundIsGone,
        Self::NoSweep,
        Self::ObservationDropped,
        Self::SettleTimeZero,
        Self::SecondRunBeforeStop,
        Self::NoLabels,
        Self::NewsIgnored,
        Self::LateServerForgotten,
        Self::GoneUnconfirmed,
        Self::CrashesUncounted,
        Self::PaceUnfenced,
        Self::EventsUnkept,
        Self::KeyUnproved,
    ];

    /// Its name, for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoFence => "no fence",
            Self::NoClaim => "no claim",
            Self::NoNonceCheck => "no nonce check",
            Self::AdoptByNameOnly => "adopt by name only",
            Self::BlindPostRetry => "blind POST retry",
            Self::BareNotFoundIsGone => "bare 404 as gone",
            Self::NoSweep => "no sweep",
            Self::ObservationDropped => "observation dropped when the fence is lost",
            Self::SettleTimeZero => "settle time zero",
            Self::SecondRunBeforeStop => "second run before the first is stopped",
            Self::NoLabels => "no labels on a create",
            Self::NewsIgnored => "news ignored by a commit",
            Self::LateServerForgotten => "late server forgotten",
            Self::GoneUnconfirmed => "accepted deletion as gone",
            Self::CrashesUncounted => "crashes not counted",
            Self::PaceUnfenced => "shared budget without a fence",
            Self::EventsUnkept => "events not kept until they are sent",
            Self::KeyUnproved => "a key version told as proved without a login",
        }
    }
}
