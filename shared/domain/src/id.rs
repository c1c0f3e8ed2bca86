//! Prefixed identifiers. The random part comes in from outside; parsing checks shape only.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// An identifier whose text is not of the form `prefix-` and 32 lowercase hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {kind} id")]
pub struct InvalidId {
    kind: &'static str,
}

const HEX_DIGITS: usize = 32;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Makes an id from 128 bits, of which the caller says where they come from.
            pub fn from_bits(bits: u128) -> Self {
                Self(format!(concat!($prefix, "-{:032x}"), bits))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The id that follows from a text: the same text gives the same id.
            pub fn derived(from: &str) -> Self {
                let digest = Sha256::digest(from.as_bytes());
                let mut bytes = [0; 16];
                bytes.copy_from_slice(&digest[..16]);
                Self::from_bits(u128::from_be_bytes(bytes))
            }

            /// The 32 hex digits without the prefix.
            pub fn hex(&self) -> &str {
                &self.0[concat!($prefix, "-").len()..]
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(concat!($prefix, "-"))
                    .filter(|rest| {
                        rest.len() == HEX_DIGITS
                            && rest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
                    })
                    .map(|_| Self(text.to_owned()))
                    .ok_or(InvalidId { kind: $prefix })
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// One durable piece of work.
    JobId,
    "job"
);
id!(
    /// A machine Nodeyard acquired, from acceptance to release.
    NodeId,
    "node"
);
id!(
    /// A bearer API token; the secret itself is never part of the id.
    TokenId,
    "token"
);

id!(
    /// One change that subscribers are told of.
    EventId,
    "event"
);

/// Names one effect of one job: the job's version when the intent was written, so never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectId(pub u64);

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_refuse_other_shapes() {
        for bits in [0, 1, u128::MAX, 0x1234_5678_9abc_def0_1122_3344_5566_7788] {
            let id = JobId::from_bits(bits);
            assert_eq!(id.as_str().parse::<JobId>().as_ref(), Ok(&id));
            assert!(id.as_str().parse::<NodeId>().is_err());
        }
        for wrong in
            ["", "job-", "job-short", "job-ABCDEF00000000000000000000000000", "../etc/passwd"]
        {
            assert!(wrong.parse::<JobId>().is_err(), "{wrong}");
        }
    }
}
