//! Who has dialled in and not logged in yet: how many there are, from where,
//! and how often the logins of an address have failed. It knows neither
//! sockets nor passwords, and a lent clock.

use std::collections::HashMap;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::LinePlan;

/// Within so much time `max_failed_logins` may fail.
const PERIOD: Duration = Duration::from_mins(1);
/// A login takes no longer, mostly: who finds the door full comes again then.
const MOMENT: Duration = Duration::from_secs(2);
/// Addresses that are remembered for their failures; those of the longest ago make room.
const REMEMBERED: usize = 4096;

/// The book of strangers.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    addresses: HashMap<IpAddr, Address>,
    here: u32,
}

#[derive(Debug)]
struct Address {
    /// Callers of it who have not logged in yet.
    here: u32,
    /// Failures that are not forgiven yet; one is every `PERIOD / max_failed_logins`.
    failures: f64,
    /// When they were counted.
    counted: Instant,
    /// Whether the log has a word about its being refused.
    is_told: bool,
}

/// Why a caller is not even asked who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// For the caller.
    pub(super) why: String,
    /// Until it may call again.
    pub(super) wait: Duration,
    /// Whether it is the first of its address since one was let in.
    pub(super) is_news: bool,
}

impl Strangers {
    /// Lets a caller in, to be asked who it is; [`leave`](Self::leave) must follow.
    pub(super) fn come(
        &mut self,
        from: IpAddr,
        limits: &LinePlan,
        now: Instant,
    ) -> Result<(), Refusal> {
        let is_full = self.here >= limits.max_strangers;
        let address = self.address(from, limits, now);
        let most = f64::from(limits.max_failed_logins);
        // Those who are here may fail too; but where nobody has failed, many may come at once.
        let at_stake = match address.failures > 0.0 {
            true => address.failures + f64::from(address.here),
            false => 0.0,
        };
        let (why, wait) = if at_stake > most - 1.0 {
            // Until there is room for one more.
            let wait = PERIOD.mul_f64((at_stake - most + 1.0) / most);
            let why = "too many logins from this address have failed";
            (why.to_owned(), wait)
        } else if address.here >= limits.max_strangers_per_address {
            let here = address.here;
            (
                format!("{here} callers from this address have not logged in yet"),
                MOMENT,
            )
        } else if is_full {
            ("too many callers have not logged in yet".to_owned(), MOMENT)
        } else {
            address.here += 1;
            address.is_told = false;
            self.here += 1;
            return Ok(());
        };
        let is_news = !address.is_told;
        address.is_told = true;
        self.tidy(from);
        // Whole seconds are told, and one that is too early is refused again.
        let wait = Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        Err(Refusal { why, wait, is_news })
    }

    /// A caller has logged in, or gone.
    pub(super) fn leave(&mut self, from: IpAddr) {
        self.here = self.here.saturating_sub(1);
        if let Some(address) = self.addresses.get_mut(&network(from)) {
            address.here = address.here.saturating_sub(1);
        }
        self.tidy(from);
    }

    /// A login has failed, or somebody who had logged in talked nonsense.
    pub(super) fn failed(&mut self, from: IpAddr, limits: &LinePlan, now: Instant) {
        let most = f64::from(limits.max_failed_logins);
        let address = self.address(from, limits, now);
        address.failures = (address.failures + 1.0).min(most);
    }

    /// What is known of an address, with what is forgiven by now taken off.
    fn address(&mut self, from: IpAddr, limits: &LinePlan, now: Instant) -> &mut Address {
        let from = network(from);
        if !self.addresses.contains_key(&from) && self.addresses.len() >= REMEMBERED {
            self.make_room();
        }
        let address = self.addresses.entry(from).or_insert(Address {
            here: 0,
            failures: 0.0,
            counted: now,
            is_told: false,
        });
        let periods = now.duration_since(address.counted).div_duration_f64(PERIOD);
        let forgiven = periods * f64::from(limits.max_failed_logins);
        address.failures = (address.failures - forgiven).max(0.0);
        address.counted = now;
        address
    }

    /// Forgets an address of which there is nothing to know.
    fn tidy(&mut self, from: IpAddr) {
        let from = network(from);
        let is_blank = |it: &Address| it.here == 0 && it.failures <= 0.0;
        if self.addresses.get(&from).is_some_and(is_blank) {
            self.addresses.remove(&from);
        }
    }

    /// Forgets the address that was heard of the longest ago and has nobody here.
    fn make_room(&mut self) {
        let gone = self.addresses.iter().filter(|(_, it)| it.here == 0);
        let oldest = gone.min_by_key(|(_, it)| it.counted).map(|(from, _)| *from);
        if let Some(oldest) = oldest {
            self.addresses.remove(&oldest);
        }
    }
}

/// Who has one IPv6 address has 64 bits of them.
fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        v4 @ IpAddr::V4(_) => v4,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> LinePlan {
        LinePlan {
            max_strangers: 5,
            max_strangers_per_address: 3,
            max_failed_logins: 4,
            ..LinePlan::default()
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// What the book says of a caller at `secs`.
    struct Book(Strangers, Instant);

    impl Book {
        fn new() -> Self {
            Self(Strangers::default(), Instant::now())
        }

        fn at(&self, secs: u64) -> Instant {
            self.1 + Duration::from_secs(secs)
        }

        fn come(&mut self, from: &str, secs: u64) -> Result<(), (String, u64)> {
            let at = self.at(secs);
            let came = self.0.come(ip(from), &limits(), at);
            came.map_err(|it| (it.why, it.wait.as_secs()))
        }

        fn fail(&mut self, from: &str, secs: u64) {
            let at = self.at(secs);
            self.0.failed(ip(from), &limits(), at);
        }
    }

    #[test]
    fn an_address_has_so_many_strangers_and_all_together_so_many() {
        let mut book = Book::new();
        for _ in 0..3 {
            book.come("10.0.0.1", 0).expect("room");
        }
        let crowded = "3 callers from this address have not logged in yet".to_owned();
        assert_eq!(book.come("10.0.0.1", 0), Err((crowded, 2)));
        book.come("10.0.0.2", 0).expect("room");
        book.come("10.0.0.3", 0).expect("room");
        let full = "too many callers have not logged in yet".to_owned();
        assert_eq!(book.come("10.0.0.4", 0), Err((full, 2)));
        book.0.leave(ip("10.0.0.1"));
        book.come("10.0.0.4", 0).expect("room");
    }

    #[test]
    fn an_address_that_fails_too_often_waits_and_no_other_does() {
        let mut book = Book::new();
        for _ in 0..4 {
            book.come("10.0.0.1", 0).expect("room");
            book.0.leave(ip("10.0.0.1"));
            book.fail("10.0.0.1", 0);
        }
        let refused = |wait| {
            let why = "too many logins from this address have failed".to_owned();
            Err((why, wait))
        };
        assert_eq!(book.come("10.0.0.1", 0), refused(15));
        assert_eq!(
            book.come("10.0.0.1", 10),
            refused(5),
            "to ask costs nothing"
        );
        book.come("10.0.0.2", 0).expect("another address");
        book.come("10.0.0.1", 15).expect("one is forgiven");
        book.0.leave(ip("10.0.0.1"));
        book.fail("10.0.0.1", 15);
        assert_eq!(book.come("10.0.0.1", 15), refused(15));
        book.come("10.0.0.1", 75).expect("all are forgiven");
    }

    #[test]
    fn guesses_at_once_are_counted_like_guesses_one_after_the_other() {
        let mut book = Book::new();
        for _ in 0..2 {
            book.fail("10.0.0.1", 0);
        }
        book.come("10.0.0.1", 0).expect("the third");
        book.come("10.0.0.1", 0).expect("the fourth");
        let refused = book.come("10.0.0.1", 0).expect_err("a fifth");
        assert!(refused.0.contains("have failed"), "{refused:?}");
        book.0.leave(ip("10.0.0.1"));
        book.come("10.0.0.1", 0).expect("one of them was right");
    }

    #[test]
    fn only_the_first_refusal_of_an_address_is_news() {
        let mut book = Book::new();
        for _ in 0..4 {
            book.fail("10.0.0.1", 0);
        }
        let mut news = |secs| {
            let at = book.at(secs);
            let came = book.0.come(ip("10.0.0.1"), &limits(), at);
            came.map_err(|it| it.is_news)
        };
        assert_eq!(news(0), Err(true));
        assert_eq!(news(1), Err(false));
        assert_eq!(news(15), Ok(()));
    }

    #[test]
    fn neighbours_in_an_ipv6_network_are_one_and_mapped_addresses_are_what_they_map() {
        let mut book = Book::new();
        for host in 1..=3 {
            book.come(&format!("fd00::{host}"), 0).expect("room");
        }
        assert!(book.come("fd00::9", 0).is_err());
        book.come("fd00:0:0:1::9", 0).expect("another network");
        let mut book = Book::new();
        for _ in 0..3 {
            book.come("::ffff:10.0.0.1", 0).expect("room");
        }
        assert!(book.come("10.0.0.1", 0).is_err());
    }

    #[test]
    fn the_book_stays_short_whoever_comes() {
        let mut book = Book::new();
        book.come("10.0.0.1", 0).expect("room");
        for number in 0..3 * REMEMBERED {
            let from = IpAddr::V4(std::net::Ipv4Addr::from_bits(
                0x0b00_0000 + u32::try_from(number).expect("few"),
            ));
            let at = book.at(0);
            book.0.failed(from, &limits(), at);
        }
        assert!(book.0.addresses.len() <= REMEMBERED);
        assert_eq!(book.0.here, 1);
        book.0.leave(ip("10.0.0.1"));
        let mut book = Book::new();
        for number in 0..100 {
            let from = format!("10.0.1.{number}");
            book.come(&from, 0).expect("room");
            book.0.leave(ip(&from));
        }
        assert!(book.0.addresses.is_empty(), "who logs in is not remembered");
    }
}
