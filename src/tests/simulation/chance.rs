//! Chance that can be repeated.

use std::time::Duration;

/// Numbers that follow from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    /// One for each thing that happens by chance, so that one more of them
    /// changes nothing about the others.
    pub(super) fn new(seed: u64, what: &str) -> Self {
        let mut chance = Self(seed);
        for byte in what.bytes() {
            chance.0 ^= u64::from(byte);
            chance.next();
        }
        chance
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0, less than `below`.
    pub(super) fn below(&mut self, below: u64) -> u64 {
        self.next() % below
    }

    pub(super) fn place(&mut self, below: usize) -> usize {
        usize::try_from(self.below(below as u64)).expect("less than a size")
    }

    /// Once in `times`.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(super) fn millis(&mut self, from: u64, below: u64) -> Duration {
        Duration::from_millis(from + self.below(below - from))
    }

    /// Mostly short, seldom long: any number of digits is as likely as any other.
    pub(super) fn span(&mut self, digits: u32) -> Duration {
        let digits = u32::try_from(self.below(u64::from(digits))).expect("few");
        self.millis(0, 10_u64.pow(digits + 1))
    }
}
