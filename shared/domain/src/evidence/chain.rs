//! The chain: entries, each with the hash of the one before.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Fact,
    canonical::{canonical, hash_of},
};
use crate::id::JobId;

/// The most bytes of entries in one stored piece, before it is compressed.
pub const MAX_PIECE_BYTES: usize = 48 * 1024;
/// The most bytes that a chain's entries have as canonical texts, but for facts that always have
/// room: see [`Fact::room`].
const MAX_CHAIN_BYTES: u32 = 512 * 1024;
/// Of those, kept for decisions that lead to another step.
const KEPT_BYTES: u32 = 128 * 1024;

/// A SHA-256 hash, as 64 lowercase hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not 64 lowercase hex digits")]
pub struct InvalidHash;

impl Hash {
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(hex::encode(bytes))
    }

    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        // The form was checked when it was made.
        let decoded = hex::decode_to_slice(&self.0, &mut bytes);
        debug_assert!(decoded.is_ok());
        bytes
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Hash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let is_hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let fits = text.len() == 64 && text.bytes().all(is_hex);
        fits.then(|| Self(text.to_owned())).ok_or(InvalidHash)
    }
}

impl TryFrom<String> for Hash {
    type Error = InvalidHash;

    fn try_from(text: String) -> Result<Self, InvalidHash> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> String {
        hash.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How long a chain is, and the hash of its last entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub count: u32,
    pub hash: Hash,
}

/// One fact on record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the chain, from 1.
    pub number: u32,
    pub at: Timestamp,
    /// The hash of the entry before; of the origin for the first.
    pub before: Hash,
    #[serde(flatten)]
    pub fact: Fact,
}

/// The end of a chain: all that is needed to go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    #[serde(flatten)]
    head: Head,
    /// Of all entries so far.
    bytes: u32,
    /// Entries that there was no room for and that no entry has told of yet.
    #[serde(default, skip_serializing_if = "is_zero")]
    left_out: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// How much room a fact has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Ordinary,
    Kept,
    Always,
}

impl Chain {
    /// A job's chain before its first entry.
    pub fn of_job(job: &JobId) -> Self {
        Self::from_origin(&format!("nodeyard evidence\njob\n{job}"))
    }

    /// A run's chain before its first entry.
    pub fn of_run(job: &JobId, run: u32) -> Self {
        Self::from_origin(&format!("nodeyard evidence\nrun\n{job}\n{run}"))
    }

    fn from_origin(origin: &str) -> Self {
        let head = Head { count: 0, hash: hash_of(origin.as_bytes()) };
        Self { head, bytes: 0, left_out: 0 }
    }

    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Entries that there was no room for and that no entry has told of yet.
    pub fn left_out(&self) -> u32 {
        self.left_out
    }

    /// Appends a fact. `None` when there is no room for it: it is counted then.
    pub fn append(&mut self, at: Timestamp, fact: Fact) -> Option<Entry> {
        let limit = match fact.room() {
            Room::Ordinary => MAX_CHAIN_BYTES - KEPT_BYTES,
            Room::Kept => MAX_CHAIN_BYTES,
            Room::Always => u32::MAX,
        };
        let Head { count, hash } = &self.head;
        let entry = Entry { number: count + 1, at, before: hash.clone(), fact };
        // No fact holds what has no canonical text, but for ids that no provider gives.
        let text = serde_json::to_value(&entry).ok().and_then(|value| canonical(&value).ok());
        let bytes = text.as_ref().and_then(|text| u32::try_from(text.len()).ok());
        let grown = bytes.and_then(|bytes| self.bytes.checked_add(bytes));
        match (text, grown) {
            (Some(text), Some(grown)) if grown <= limit => {
                self.head = Head { count: entry.number, hash: hash_of(text.as_bytes()) };
                self.bytes = grown;
                Some(entry)
            }
            _ => {
                self.left_out = self.left_out.saturating_add(1);
                None
            }
        }
    }

    /// Says how many entries were left out, if any were.
    pub fn append_left_out(&mut self, at: Timestamp) -> Option<Entry> {
        let entries = std::mem::take(&mut self.left_out);
        (entries > 0).then(|| self.append(at, Fact::LeftOut { entries }))?
    }
}

/// Entries as texts to be stored, each a JSON array of at most [`MAX_PIECE_BYTES`] unless one entry
/// alone has more.
pub fn pieces(entries: &[Entry]) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for entry in entries {
        let value = serde_json::to_value(entry).unwrap_or(Value::Null);
        let Ok(text) = canonical(&value) else { continue };
        match pieces.last_mut() {
            Some(open) if open.len() + text.len() + 2 <= MAX_PIECE_BYTES => {
                open.push(',');
                open.push_str(&text);
            }
            _ => pieces.push(format!("[{text}")),
        }
    }
    pieces.iter_mut().for_each(|piece| piece.push(']'));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_second(secs).unwrap()
    }

    fn task(bytes: usize) -> Fact {
        Fact::LeftOut { entries: u32::try_from(bytes).unwrap() }
    }

    #[test]
    fn each_entry_holds_the_hash_of_the_one_before() {
        let job = JobId::from_bits(1);
        let origin = Chain::of_job(&job);
        let mut chain = origin.clone();
        let first = chain.append(at(1), task(1)).unwrap();
        assert_eq!((first.number, &first.before), (1, &origin.head().hash));
        let text = canonical(&serde_json::to_value(&first).unwrap()).unwrap();
        assert_eq!(chain.head().hash, hash_of(text.as_bytes()));
        let second = chain.append(at(2), task(2)).unwrap();
        assert_eq!(second.before, hash_of(text.as_bytes()));
        assert_eq!(chain.head().count, 2);
        for other in [Chain::of_job(&JobId::from_bits(2)), Chain::of_run(&job, 1)] {
            assert_ne!(other.head().hash, origin.head().hash, "no chain passes for another's");
        }
        let stored: Chain = serde_json::from_str(&serde_json::to_string(&chain).unwrap()).unwrap();
        assert_eq!(stored, chain);
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_and_said() {
        let fact = || Fact::TaskEnded {
            playbook: "base".into(),
            task: "t".repeat(10_000),
            role: None,
            item: None,
            status: "ok".into(),
            millis: 1,
            message: None,
        };
        let mut chain = Chain::of_run(&JobId::from_bits(1), 1);
        let mut kept = 0;
        for _ in 0..100 {
            kept += u32::from(chain.append(at(1), fact()).is_some());
        }
        assert!((30..45).contains(&kept), "{kept}");
        assert_eq!((chain.head().count, chain.left_out()), (kept, 100 - kept));
        let said = chain.append_left_out(at(2)).unwrap();
        assert_eq!(said.fact, Fact::LeftOut { entries: 100 - kept });
        assert_eq!(chain.append_left_out(at(3)), None, "it is said once");
        let end = Fact::RunEnded { code: None, message: None };
        assert!(chain.append(at(4), end).is_some(), "the end always has room");
    }

    #[test]
    fn pieces_hold_every_entry_in_order_and_are_bounded() {
        let mut chain = Chain::of_job(&JobId::from_bits(1));
        let entries: Vec<Entry> =
            (0..1000).filter_map(|number| chain.append(at(number), task(7))).collect();
        let pieces = pieces(&entries);
        assert!(pieces.len() > 1 && pieces.iter().all(|piece| piece.len() <= MAX_PIECE_BYTES));
        let read: Vec<Entry> = pieces
            .iter()
            .flat_map(|piece| serde_json::from_str::<Vec<Entry>>(piece).unwrap())
            .collect();
        assert_eq!(read, entries);
    }

    #[test]
    fn hashes_have_one_form() {
        let hash = hash_of(b"x");
        assert_eq!(Hash::from_bytes(hash.to_bytes()), hash);
        for wrong in ["", "00", &hash.as_str().to_uppercase(), &format!("{hash}0")] {
            assert_eq!(wrong.parse::<Hash>(), Err(InvalidHash), "{wrong}");
        }
    }
}
