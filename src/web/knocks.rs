//! How often somebody may knock at a hook: so many times a minute from one address, and as many
//! at once. Who forges signatures or sends large bodies is not read that often.

use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use crate::logins::Patience;
use crate::logins::Rate;

use super::seats;

const MINUTE: Duration = Duration::from_mins(1);

/// Who has knocked lately, at the hooks of all ports.
#[derive(Debug, Default)]
pub(super) struct Knocks {
    counted: Mutex<Option<Counted>>,
}

#[derive(Debug)]
struct Counted {
    /// A reload may change it; then all is forgotten.
    a_minute: u32,
    by: Patience<(IpAddr, String)>,
}

impl Knocks {
    /// Counts a knock at a hook, or says how long it is until the next may come. Hooks that
    /// there are not count as one: their names are the visitor's.
    pub(super) fn take(
        &self,
        from: IpAddr,
        hook: Option<&str>,
        a_minute: u32,
        now: Instant,
    ) -> Result<(), Duration> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = match &mut *counted {
            Some(it) if it.a_minute == a_minute => it,
            other => other.insert(Counted {
                a_minute,
                by: Patience::new(Rate {
                    times: a_minute,
                    each: MINUTE / a_minute.max(1),
                }),
            }),
        };
        let who = (seats::network(from), hook.unwrap_or_default().to_owned());
        match counted.by.wait(&who, now) {
            Some(wait) => Err(wait),
            None => {
                counted.by.wrong(who, now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_knocks_a_minute_at_each_hook() {
        let knocks = Knocks::default();
        let start = Instant::now();
        let knock = |from: &str, hook, after| {
            let from = from.parse().expect("an address");
            knocks.take(from, hook, 3, start + Duration::from_secs(after))
        };
        for _ in 0..3 {
            assert_eq!(knock("192.0.2.1", Some("github"), 0), Ok(()));
        }
        let refused = knock("192.0.2.1", Some("github"), 0);
        assert_eq!(refused, Err(Duration::from_secs(20)));
        assert_eq!(knock("192.0.2.1", Some("base"), 0), Ok(()), "another hook");
        assert_eq!(knock("192.0.2.2", Some("github"), 0), Ok(()), "another one");
        assert_eq!(knock("192.0.2.1", Some("github"), 20), Ok(()));
        assert!(knock("192.0.2.1", Some("github"), 20).is_err());

        for at in 0..3 {
            let from = format!("2001:db8::{at}");
            assert_eq!(knock(&from, None, 0), Ok(()), "one network");
        }
        assert!(knock("2001:db8::9", None, 0).is_err());
    }

    #[test]
    fn a_reload_that_allows_more_begins_anew() {
        let knocks = Knocks::default();
        let (from, now) = (IpAddr::from([192, 0, 2, 1]), Instant::now());
        assert_eq!(knocks.take(from, None, 1, now), Ok(()));
        assert!(knocks.take(from, None, 1, now).is_err());
        assert_eq!(knocks.take(from, None, 2, now), Ok(()));
    }
}
