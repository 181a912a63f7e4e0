//! How many visitors there may be at once, in all and from one address. Who follows events or a
//! log sits apart, so that there is always room for pages.

use std::collections::HashMap;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::config::WebLimits;

/// Where somebody sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// A connection over which pages are asked for.
    Pages,
    /// One that stays: events, or a log that is followed.
    Live,
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    #[error("there are too many visitors; try again in a few seconds")]
    All,
    #[error("there are too many connections from your address; close some and try again")]
    Address,
}

/// The seats of a house.
#[derive(Debug, Default)]
pub(super) struct Seats {
    taken: Mutex<[Taken; 2]>,
}

#[derive(Debug, Default)]
struct Taken {
    all: u32,
    by_address: HashMap<IpAddr, u32>,
}

/// A seat that is free again when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    row: Row,
    from: Option<IpAddr>,
}

impl Seats {
    /// Takes a seat, if there is one. Who comes from nowhere in particular (through a server in
    /// front, or a socket in the file system) is counted in all only.
    pub(super) fn take(
        self: &Arc<Self>,
        row: Row,
        from: Option<IpAddr>,
        limits: &WebLimits,
    ) -> Result<Seat, Full> {
        let (most, most_per_address) = match row {
            Row::Pages => (limits.connections, limits.connections_per_address),
            Row::Live => (limits.live, limits.live_per_address),
        };
        let from = from.map(network);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = &mut taken[row as usize];
        if taken.all >= most {
            return Err(Full::All);
        }
        if let Some(from) = from {
            let here = taken.by_address.entry(from).or_default();
            if *here >= most_per_address {
                return Err(Full::Address);
            }
            *here += 1;
        }
        taken.all += 1;
        Ok(Seat {
            seats: Arc::clone(self),
            row,
            from,
        })
    }

    /// How many sit there.
    pub(super) fn taken(&self, row: Row) -> u32 {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken[row as usize].all
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let taken = self.seats.taken.lock();
        let mut taken = taken.unwrap_or_else(PoisonError::into_inner);
        let taken = &mut taken[self.row as usize];
        taken.all -= 1;
        if let Some(from) = self.from
            && let Some(here) = taken.by_address.get_mut(&from)
        {
            *here -= 1;
            if *here == 0 {
                taken.by_address.remove(&from);
            }
        }
    }
}

/// Who has one address of the new kind has a network of 64 bits.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(it) => Ipv6Addr::from_bits(it.to_bits() >> 64 << 64).into(),
        it @ IpAddr::V4(_) => it,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: WebLimits = WebLimits {
        connections: 3,
        connections_per_address: 2,
        live: 2,
        live_per_address: 2,
        hook_requests: None,
    };

    #[test]
    fn one_address_cannot_take_all_seats_and_live_ones_are_counted_apart() {
        let seats = Arc::new(Seats::default());
        let take = |row, from: &str| seats.take(row, from.parse().ok(), &LIMITS);
        let first = take(Row::Pages, "2001:db8::1").expect("a seat");
        let second = take(Row::Pages, "2001:db8::2").expect("a seat");
        assert_eq!(take(Row::Pages, "2001:db8::3").err(), Some(Full::Address));
        let third = take(Row::Pages, "192.0.2.1").expect("a seat");
        assert_eq!(take(Row::Pages, "192.0.2.2").err(), Some(Full::All));
        assert_eq!(take(Row::Pages, "unix").err(), Some(Full::All));
        let live = take(Row::Live, "2001:db8::1").expect("a seat");
        assert_eq!((seats.taken(Row::Pages), seats.taken(Row::Live)), (3, 1));
        drop((first, second, third, live));
        assert_eq!((seats.taken(Row::Pages), seats.taken(Row::Live)), (0, 0));
        let taken = seats.taken.lock().expect("nobody panicked");
        assert!(taken.iter().all(|it| it.by_address.is_empty()));
    }
}
