//! The public addresses there are to give out.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::settings::AddressOrder;

/// The pool 198.18.0.10 to 198.18.0.250, shared by all projects.
#[derive(Debug, Clone, Default)]
pub struct AddressPool {
    taken: BTreeSet<u8>,
    last: u8,
    given_v6: u32,
}

const LOWEST: u8 = 10;
const HIGHEST: u8 = 250;

impl AddressPool {
    /// Whether one is left.
    pub fn has_v4(&self) -> bool {
        self.taken.len() < usize::from(HIGHEST - LOWEST) + 1
    }

    /// Takes one out.
    // [observed] a freed address goes to the next server at once; that it is
    // always the lowest is [assumed].
    pub fn take_v4(&mut self, order: AddressOrder) -> Option<Ipv4Addr> {
        let all = || LOWEST..=HIGHEST;
        let after_last = all().filter(|host| *host > self.last);
        let host = match order {
            AddressOrder::LowestFree => all().find(|host| !self.taken.contains(host)),
            AddressOrder::Rotating => {
                after_last.chain(all()).find(|host| !self.taken.contains(host))
            }
        }?;
        self.taken.insert(host);
        self.last = host;
        Some(Ipv4Addr::new(198, 18, 0, host))
    }

    /// Puts one back.
    pub fn give_back_v4(&mut self, address: Ipv4Addr) {
        self.taken.remove(&address.octets()[3]);
    }

    /// The next /64 of the range set aside for examples.
    pub fn take_v6(&mut self) -> String {
        self.given_v6 = self.given_v6.wrapping_add(1);
        let (high, low) = (self.given_v6 >> 16, self.given_v6 & 0xffff);
        format!("2001:db8:{high:x}:{low:x}::/64")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::AddressPool;
    use crate::settings::AddressOrder;

    #[test]
    fn a_freed_address_is_given_out_at_once_or_rests() {
        let mut pool = AddressPool::default();
        let first = pool.take_v4(AddressOrder::LowestFree).unwrap();
        assert_eq!(first.to_string(), "198.18.0.10");
        pool.give_back_v4(first);
        assert_eq!(pool.take_v4(AddressOrder::LowestFree), Some(first));
        pool.give_back_v4(first);
        assert_ne!(pool.take_v4(AddressOrder::Rotating), Some(first));
    }

    #[test]
    fn the_pool_ends() {
        let mut pool = AddressPool::default();
        for _ in 0..241 {
            assert!(pool.has_v4());
            pool.take_v4(AddressOrder::Rotating).unwrap();
        }
        assert!(!pool.has_v4());
        assert_eq!(pool.take_v4(AddressOrder::LowestFree), None);
    }
}
