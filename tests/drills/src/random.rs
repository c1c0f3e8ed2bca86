//! The one source of chance in a drill: a seed gives the same world every time.

use hetzner_sim::random::Random as Generator;

#[derive(Debug, Clone)]
pub struct Random(Generator);

impl Random {
    pub fn new(seed: u64) -> Self {
        // Neighbouring seeds would draw the same numbers one step apart.
        Self(Generator::new(Generator::new(seed).bits()))
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.below(bound as u64)).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below(usize::try_from(high - low + 1).unwrap_or(1)) as i64
    }

    /// True in `per_mille` of 1000 cases.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.0.below(1000) < u64::from(per_mille)
    }

    /// A seed for something that draws by itself.
    pub fn seed(&mut self) -> u64 {
        self.0.bits()
    }

    /// One of these.
    ///
    /// # Panics
    /// When there is none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_seed_repeats_itself_and_its_neighbour_differs() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            [(); 5].map(|()| random.seed())
        };
        assert_eq!(draw(7), draw(7));
        assert!(draw(7).iter().all(|drawn| !draw(8).contains(drawn)));
    }

    #[test]
    fn draws_keep_to_their_bounds_and_reach_them() {
        let mut random = Random::new(3);
        let drawn: Vec<i64> = (0..200).map(|_| random.between(-2, 2)).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&-2), Some(&2)));
        assert!(!random.chance(0) && random.chance(1000));
        assert_eq!(random.below(0), 0);
    }
}
