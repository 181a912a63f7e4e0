//! How long a stream that ended is left alone: not long, and longer each time it ends at once.

use std::time::Duration;

/// Who stayed so long was well.
const LONG: Duration = Duration::from_mins(2);
const FIRST: Duration = Duration::from_millis(500);
const LAST: Duration = Duration::from_mins(1);

/// The wait before the next beginning.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) const fn new() -> Self {
        Self(FIRST)
    }

    /// The wait after a stream that lasted so long.
    pub(super) fn after(&mut self, lasted: Duration) -> Duration {
        if lasted >= LONG {
            self.0 = FIRST;
            return Duration::ZERO;
        }
        let wait = self.0;
        self.0 = (wait * 3 / 2).min(LAST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_ends_at_once_is_begun_later_each_time_up_to_a_minute() {
        let mut backoff = Backoff::new();
        let waits: Vec<u128> = (0..14)
            .map(|_| backoff.after(Duration::from_secs(119)).as_millis())
            .collect();
        assert_eq!(waits[..4], [500, 750, 1125, 1687]);
        assert_eq!(waits[13], 60_000);
        assert_eq!(backoff.after(Duration::from_secs(120)), Duration::ZERO);
        assert_eq!(backoff.after(Duration::ZERO), FIRST, "it begins afresh");
    }
}
