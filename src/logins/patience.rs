//! Who has been wrong too often has to wait. Whoever it is about, an address or a name, may be
//! wrong a few times at once, and then once in a while.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// How many are remembered: who guesses from more addresses is slowed by the names.
const MOST: usize = 4096;

/// How often somebody may be wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Times at once.
    pub(crate) times: u32,
    /// After this, once more.
    pub(crate) each: Duration,
}

/// Counts who was wrong.
#[derive(Debug)]
pub(crate) struct Patience<K> {
    rate: Rate,
    /// When all is forgiven.
    until: HashMap<K, Instant>,
}

impl<K: Hash + Eq> Patience<K> {
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            rate,
            until: HashMap::new(),
        }
    }

    /// How long it takes until this one may try again; `None`: now.
    pub(crate) fn wait(&self, who: &K, now: Instant) -> Option<Duration> {
        let forgiven = *self.until.get(who)?;
        let left = forgiven.checked_duration_since(now)?;
        let wait = left.checked_sub(self.rate.each * (self.rate.times - 1))?;
        (!wait.is_zero()).then_some(wait)
    }

    /// Counts that this one was wrong.
    pub(crate) fn wrong(&mut self, who: K, now: Instant) {
        if self.until.len() >= MOST && !self.until.contains_key(&who) {
            self.until.retain(|_, until| *until > now);
            // All of them at once are an attack: who was wrong longest ago is forgiven.
            if self.until.len() >= MOST {
                let mut all: Vec<Instant> = self.until.values().copied().collect();
                let (_, middle, _) = all.select_nth_unstable(MOST / 2);
                let middle = *middle;
                self.until.retain(|_, until| *until > middle);
            }
        }
        let until = self.until.entry(who).or_insert(now);
        *until = (*until).max(now) + self.rate.each;
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.until.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        times: 3,
        each: Duration::from_secs(10),
    };

    #[test]
    fn who_is_wrong_a_few_times_waits_and_is_forgiven() {
        let mut patience = Patience::new(RATE);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(patience.wait(&"ann", start), None);
            patience.wrong("ann", start);
        }
        assert_eq!(patience.wait(&"ann", start), Some(Duration::from_secs(10)));
        assert_eq!(patience.wait(&"bo", start), None);
        let later = start + Duration::from_secs(10);
        assert_eq!(patience.wait(&"ann", later), None);
        patience.wrong("ann", later);
        assert_eq!(patience.wait(&"ann", later), Some(Duration::from_secs(10)));
        let much_later = start + Duration::from_secs(1000);
        for _ in 0..3 {
            assert_eq!(patience.wait(&"ann", much_later), None);
            patience.wrong("ann", much_later);
        }
        assert!(patience.wait(&"ann", much_later).is_some());
    }

    #[test]
    fn a_flood_of_names_does_not_grow_and_the_newest_are_remembered() {
        let mut patience = Patience::new(RATE);
        let start = Instant::now();
        for number in 0..3 * MOST {
            let now = start + Duration::from_millis(number as u64 / 16);
            for _ in 0..3 {
                patience.wrong(number, now);
            }
            assert!(patience.len() <= MOST);
            assert!(patience.wait(&number, now).is_some());
        }
    }
}
