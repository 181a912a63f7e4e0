//! What processes took that this one has waited for, themselves and all that
//! they had waited for.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// Processor time and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) user: Duration,
    pub(crate) system: Duration,
    /// The most memory that one of them had, in bytes.
    pub(crate) peak_memory: u64,
}

/// What every process took that was waited for so far.
pub(crate) fn of_children() -> Account {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return Account::default();
    };
    let peak = u64::try_from(usage.max_rss()).unwrap_or(0);
    Account {
        user: length(usage.user_time()),
        system: length(usage.system_time()),
        peak_memory: peak.saturating_mul(1024),
    }
}

fn length(time: TimeVal) -> Duration {
    let secs = u64::try_from(time.tv_sec()).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
    Duration::from_secs(secs) + Duration::from_micros(micros)
}

/// How much was read and written by those that are waited for. The system adds
/// what they did to what this process did, at the moment when it waits for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Read and written, in bytes; `None` where the system does not count.
    pub(crate) bytes: Option<(u64, u64)>,
}

impl Traffic {
    /// Does `wait` and counts what comes with whom it waits for.
    pub(crate) fn around<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        let before = own();
        let waited = wait();
        if let (Some(before), Some(after)) = (before, own()) {
            let (read, written) = self.bytes.unwrap_or_default();
            // The first look was a reading too.
            let looked = before.read.saturating_add(before.length);
            self.bytes = Some((
                read.saturating_add(after.read.saturating_sub(looked)),
                written.saturating_add(after.written.saturating_sub(before.written)),
            ));
        }
        waited
    }
}

struct Counted {
    read: u64,
    written: u64,
    /// Of the text in which it stood.
    length: u64,
}

fn own() -> Option<Counted> {
    let text = fs::read_to_string("/proc/self/io").ok()?;
    let number = |name: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok())
    };
    Some(Counted {
        read: number("rchar:")?,
        written: number("wchar:")?,
        length: text.len() as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_nobody_costs_nothing() {
        let mut traffic = Traffic::default();
        // Other tests may read meanwhile, in threads of this same process; not often.
        let quiet = (0..1000).any(|_| {
            traffic.bytes = None;
            traffic.around(|| ());
            traffic.bytes == Some((0, 0))
        });
        assert!(quiet, "{traffic:?}");
    }
}
