//! What all jobs of a connection share: the rate budget, the poll lease, how long creations take,
//! and what the provider refused lately. One item, changed by conditional writes.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    connection::keys::{FIRST_KEY_VERSION, first_key_version, is_first_key_version},
    id::NodeId,
    placement::Rung,
};

/// Calls an hour until an answer names the limit (API reference, "Rate limiting").
pub const DEFAULT_LIMIT: u32 = 3600;
/// The most calls one poll round asks actions with; the rest waits for the next round.
pub const MAX_POLLED: usize = 100;
/// How many of the last creations of an image the median is taken of.
const REMEMBERED_CREATIONS: usize = 9;
/// The most offers whose refusal is remembered.
/// Profiles whose runs are remembered.
const REMEMBERED_PROFILES: usize = 64;
const REMEMBERED_REFUSALS: usize = 64;
/// How long a poll round keeps others from polling, in seconds, while the budget is plentiful.
const POLL_LEASE_SECS: i64 = 3;
/// A connection is believed to have its key for this long after it was seen, in seconds.
const KEY_SEEN_SECS: i64 = 600;
/// How long the first who tries a quota again keeps others from it, in seconds.
const QUOTA_PROBE_SECS: i64 = 60;
/// Reading the catalogue takes four calls; whoever does it has so long, in seconds.
const CATALOGUE_LEASE_SECS: i64 = 20;
/// Servers a spread placement group holds (observed; the reference names no number).
pub const GROUP_SIZE: u32 = 10;

/// So long a node counts that the lists, which lag behind, may not show yet, in seconds.
const RESERVED_SECS: i64 = 60;
const MAX_RESERVED: usize = 128;

/// The most calls that were counted and have not yet reached the provider, at one time.
const MAX_IN_FLIGHT: f64 = 50.0;

/// What a call is for: the less it can wait, the deeper it may reach into the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallClass {
    /// Deleting and seeing things gone: what is not deleted is billed.
    Removal,
    /// Making a server, and finding out whether one was made.
    Creation,
    /// Looking whether something is done yet.
    Poll,
}

impl CallClass {
    /// The calls this class leaves to the ones before it.
    fn reserve(self, limit: u32) -> f64 {
        match self {
            Self::Removal => 0.0,
            Self::Creation => f64::from(limit) / 60.0,
            Self::Poll => f64::from(limit) / 30.0,
        }
    }
}

/// What an answer's headers said of the budget, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenRate {
    pub limit: u32,
    pub remaining: u32,
    pub at: Timestamp,
}

/// A bucket that refills evenly: a full one within the hour.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Calls an hour.
    pub limit: u32,
    pub remaining: f64,
    pub at: Timestamp,
}

impl Budget {
    fn full(at: Timestamp) -> Self {
        Self { limit: DEFAULT_LIMIT, remaining: f64::from(DEFAULT_LIMIT), at }
    }

    fn per_sec(&self) -> f64 {
        f64::from(self.limit) / 3600.0
    }

    /// The budget as it is by now. A clock that went back refills nothing.
    pub fn by(&self, now: Timestamp) -> Self {
        let secs = (now - self.at).total(jiff::Unit::Second).unwrap_or(0.0).max(0.0);
        let remaining = (self.remaining + secs * self.per_sec()).min(f64::from(self.limit));
        Self { remaining, at: now.max(self.at), ..*self }
    }

    /// Takes `calls` out, or says in how many seconds they can be had.
    fn spend(&mut self, class: CallClass, calls: u32, now: Timestamp) -> Result<(), i64> {
        *self = self.by(now);
        let after = self.remaining - f64::from(calls);
        let missing = class.reserve(self.limit) - after;
        if missing > 0.0 {
            return Err(((missing / self.per_sec().max(1e-6)).ceil() as i64).clamp(1, 3600));
        }
        self.remaining = after;
        Ok(())
    }

    /// What the provider says goes before what we counted, but for calls that are still on their
    /// way to it. A word that is older than our last count can only lower it: calls may have been
    /// counted since.
    fn correct(&mut self, seen: SeenRate, now: Timestamp) {
        let told =
            Self { limit: seen.limit.max(1), remaining: f64::from(seen.remaining), at: seen.at };
        let told = told.by(now);
        let ours = self.by(now);
        let newer = seen.at >= self.at;
        let least = if newer { told.remaining - MAX_IN_FLIGHT } else { f64::NEG_INFINITY };
        let remaining = told.remaining.min(ours.remaining.max(least)).max(0.0);
        *self = Self { limit: told.limit, remaining, at: ours.at };
    }
}

/// A rung that was refused, for all jobs of the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRung {
    pub rung: Rung,
    /// The provider's own code.
    pub answer: String,
    pub until: Timestamp,
}

/// A quota that was met: one job tries again when it is over, the others wait for that one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaHold {
    pub message: String,
    pub until: Timestamp,
}

/// A spread placement group and the places it has left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpreadGroup {
    pub id: u64,
    pub free: u32,
}

/// Room that a node takes under the connection's caps, until the lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reserved {
    pub node: NodeId,
    /// Of the dearest rung it may land on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly_net: Option<f64>,
    pub until: Timestamp,
}

/// What all jobs of a connection share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Grows with each change; a change is conditional on it. 0: nothing is stored yet.
    pub version: u64,
    pub budget: Budget,
    /// Until when one worker polls for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll_until: Option<Timestamp>,
    /// How long the last creations took, by image, in seconds, the newest last.
    #[serde(default)]
    pub took_secs: BTreeMap<String, Vec<u32>>,
    /// How many results of tasks the last run of a profile had that succeeded.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tasks: BTreeMap<String, u32>,
    #[serde(default)]
    pub refused: Vec<RefusedRung>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaHold>,
    #[serde(default)]
    pub groups: Vec<SpreadGroup>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reserved: Vec<Reserved>,
    /// Until when one process reads the catalogue for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalogue_until: Option<Timestamp>,
    /// When the managed key was last seen with the connection's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_seen_at: Option<Timestamp>,
    /// The version of it that was seen then.
    #[serde(default = "first_key_version", skip_serializing_if = "is_first_key_version")]
    pub key_version: u32,
}

impl Pace {
    /// As it is before anything was shared.
    pub fn new(now: Timestamp) -> Self {
        Self {
            version: 0,
            budget: Budget::full(now),
            poll_until: None,
            took_secs: BTreeMap::new(),
            tasks: BTreeMap::new(),
            refused: Vec::new(),
            quota: None,
            groups: Vec::new(),
            reserved: Vec::new(),
            catalogue_until: None,
            key_seen_at: None,
            key_version: FIRST_KEY_VERSION,
        }
    }

    /// Takes calls out of the budget.
    ///
    /// # Errors
    /// The seconds until they can be had.
    pub fn spend(&mut self, class: CallClass, calls: u32, now: Timestamp) -> Result<(), i64> {
        self.budget.spend(class, calls, now)
    }

    pub fn correct(&mut self, seen: SeenRate, now: Timestamp) {
        self.budget.correct(seen, now);
    }

    /// After a 429: nothing is left, and it comes back at the budget's own speed. The header's
    /// `RateLimit-Reset` is the time of the full refill, so it is not waited for.
    pub fn exhausted(&mut self, now: Timestamp) {
        self.budget = Budget { remaining: 0.0, ..self.budget.by(now) };
    }

    /// Takes the poll lease. The scarcer the budget, the longer it lasts.
    ///
    /// # Errors
    /// The end of the lease that somebody else holds.
    pub fn take_polls(&mut self, now: Timestamp) -> Result<Timestamp, Timestamp> {
        // A lease further away than any that is given out comes from a clock that went back.
        let longest = now + SignedDuration::from_secs(POLL_LEASE_SECS * 8);
        if let Some(until) = self.poll_until.filter(|until| *until > now && *until <= longest) {
            return Err(until);
        }
        let budget = self.budget.by(now);
        let share = budget.remaining / f64::from(budget.limit.max(1));
        let stretch = match share {
            share if share >= 0.5 => 1,
            share if share >= 0.25 => 2,
            share if share >= 0.1 => 4,
            _ => 8,
        };
        let until = now + SignedDuration::from_secs(POLL_LEASE_SECS * stretch);
        self.poll_until = Some(until);
        Ok(until)
    }

    /// Remembers how long a creation took.
    pub fn learn(&mut self, image: &str, secs: u32) {
        let known = self.took_secs.entry(image.to_owned()).or_default();
        known.push(secs);
        let surplus = known.len().saturating_sub(REMEMBERED_CREATIONS);
        known.drain(..surplus);
    }

    /// The median of the last creations of an image, in seconds.
    pub fn expected_secs(&self, image: &str) -> Option<i64> {
        let mut known = self.took_secs.get(image)?.clone();
        known.sort_unstable();
        known.get(known.len() / 2).copied().map(i64::from)
    }

    /// Remembers how many results of tasks a run of a profile had. False when that is known, or
    /// too many profiles are.
    pub fn learn_tasks(&mut self, profile: &str, tasks: u32) -> bool {
        let is_full = self.tasks.len() >= REMEMBERED_PROFILES && !self.tasks.contains_key(profile);
        !is_full && self.tasks.insert(profile.to_owned(), tasks) != Some(tasks)
    }

    /// Remembers that a rung is refused, for `secs`.
    pub fn refuse(&mut self, rung: &Rung, answer: &str, secs: i64, now: Timestamp) {
        self.refused.retain(|known| known.until > now && known.rung != *rung);
        let until = now + SignedDuration::from_secs(secs);
        self.refused.push(RefusedRung { rung: rung.clone(), answer: answer.to_owned(), until });
        let surplus = self.refused.len().saturating_sub(REMEMBERED_REFUSALS);
        self.refused.drain(..surplus);
    }

    /// The refusal of a rung that still counts.
    pub fn refusal(&self, rung: &Rung, now: Timestamp) -> Option<&RefusedRung> {
        self.refused.iter().find(|known| known.rung == *rung && known.until > now)
    }

    /// A rung was granted.
    pub fn grant(&mut self, rung: &Rung) {
        self.refused.retain(|known| known.rung != *rung);
        self.quota = None;
    }

    /// A quota was met: nobody tries for `secs`.
    pub fn meet_quota(&mut self, message: &str, secs: i64, now: Timestamp) {
        let until = now + SignedDuration::from_secs(secs);
        self.quota = Some(QuotaHold { message: message.to_owned(), until });
    }

    /// Lets one job try whether the quota still holds.
    ///
    /// # Errors
    /// The hold that others have to wait for.
    pub fn try_quota(&mut self, now: Timestamp) -> Result<(), QuotaHold> {
        match &mut self.quota {
            None => Ok(()),
            Some(hold) if hold.until > now => Err(hold.clone()),
            Some(hold) => {
                hold.until = now + SignedDuration::from_secs(QUOTA_PROBE_SECS);
                Ok(())
            }
        }
    }

    /// A place in a group that has one left.
    pub fn take_place(&mut self) -> Option<u64> {
        let group = self.groups.iter_mut().find(|group| group.free > 0)?;
        group.free -= 1;
        let id = group.id;
        // A full one is nothing that anybody looks for here.
        self.groups.retain(|group| group.free > 0);
        Some(id)
    }

    /// A group that was just made, of which one place is taken.
    pub fn add_group(&mut self, id: u64) {
        self.groups.push(SpreadGroup { id, free: GROUP_SIZE - 1 });
    }

    /// A group that answered that it is full, or is gone.
    pub fn drop_group(&mut self, id: u64) {
        self.groups.retain(|group| group.id != id);
    }

    /// Takes room under the caps for a node that is about to be accepted.
    pub fn reserve(&mut self, node: &NodeId, monthly_net: Option<f64>, now: Timestamp) {
        self.reserved.retain(|known| known.until > now && known.node != *node);
        let until = now + SignedDuration::from_secs(RESERVED_SECS);
        self.reserved.push(Reserved { node: node.clone(), monthly_net, until });
        let surplus = self.reserved.len().saturating_sub(MAX_RESERVED);
        self.reserved.drain(..surplus);
    }

    pub fn reserved(&self, now: Timestamp) -> impl Iterator<Item = &Reserved> {
        self.reserved.iter().filter(move |known| known.until > now)
    }

    /// Takes the reading of the catalogue over, for everybody. False while somebody else has it.
    pub fn take_catalogue(&mut self, now: Timestamp) -> bool {
        let lasts = SignedDuration::from_secs(CATALOGUE_LEASE_SECS);
        if self.catalogue_until.is_some_and(|until| until > now && until <= now + lasts) {
            return false;
        }
        self.catalogue_until = Some(now + lasts);
        true
    }

    pub fn key_is_known(&self, now: Timestamp) -> bool {
        let lasts = SignedDuration::from_secs(KEY_SEEN_SECS);
        self.key_seen_at.is_some_and(|seen| seen <= now && now < seen + lasts)
    }
}

#[cfg(test)]
mod tests;
