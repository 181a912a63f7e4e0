//! What a command took of the machine that it ran on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a command and all that it had started took, as far as it was waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Processor time in the programs themselves, in milliseconds.
    pub(crate) user_ms: u64,
    /// Processor time in the system on their behalf, in milliseconds.
    pub(crate) system_ms: u64,
    /// The most memory: of its cgroup where it has one, else of its largest process. In bytes.
    pub(crate) peak_memory: u64,
    /// What it read, from files and pipes alike. `None` where the system does not count.
    pub(crate) read_bytes: Option<u64>,
    pub(crate) written_bytes: Option<u64>,
    /// Whether the system has killed some of it because memory was short.
    #[serde(default)]
    pub(crate) out_of_memory: bool,
}

impl Usage {
    /// This and another, one after the other.
    pub(crate) fn and(&self, next: &Self) -> Self {
        let sum = |one: Option<u64>, two: Option<u64>| match (one, two) {
            (None, None) => None,
            (one, two) => Some(one.unwrap_or(0).saturating_add(two.unwrap_or(0))),
        };
        Self {
            user_ms: self.user_ms.saturating_add(next.user_ms),
            system_ms: self.system_ms.saturating_add(next.system_ms),
            peak_memory: self.peak_memory.max(next.peak_memory),
            read_bytes: sum(self.read_bytes, next.read_bytes),
            written_bytes: sum(self.written_bytes, next.written_bytes),
            out_of_memory: self.out_of_memory || next.out_of_memory,
        }
    }
}

/// `1.230 s user, 0.045 s system, 12.3 MiB memory, 512 bytes read, 4.0 KiB written`.
impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, system) = (secs(self.user_ms), secs(self.system_ms));
        let memory = Bytes(self.peak_memory);
        write!(f, "{user} s user, {system} s system, {memory} memory")?;
        for (bytes, what) in [(self.read_bytes, "read"), (self.written_bytes, "written")] {
            if let Some(bytes) = bytes {
                write!(f, ", {} {what}", Bytes(bytes))?;
            }
        }
        Ok(())
    }
}

fn secs(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

/// A number of bytes, for people: `512 bytes`, `12.3 MiB`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut tenths, mut unit) = (u128::from(self.0) * 10, "");
        for larger in ["KiB", "MiB", "GiB", "TiB"] {
            if tenths < 10 * 1024 {
                break;
            }
            (tenths, unit) = (tenths / 1024, larger);
        }
        match unit {
            "" => write!(f, "{} bytes", self.0),
            _ => write!(f, "{}.{} {unit}", tenths / 10, tenths % 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_in_units_that_people_read() {
        let usage = Usage {
            user_ms: 61_230,
            system_ms: 45,
            peak_memory: 12_900_000,
            read_bytes: Some(512),
            written_bytes: None,
            out_of_memory: false,
        };
        let expected = "61.230 s user, 0.045 s system, 12.3 MiB memory, 512 bytes read";
        assert_eq!(usage.to_string(), expected);
        for (bytes, expected) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), expected);
        }
    }

    #[test]
    fn times_add_up_and_memory_does_not() {
        let one = Usage {
            user_ms: 1,
            system_ms: 2,
            peak_memory: 30,
            read_bytes: Some(4),
            written_bytes: None,
            out_of_memory: true,
        };
        let two = Usage {
            peak_memory: 20,
            out_of_memory: false,
            ..one.clone()
        };
        let both = Usage {
            user_ms: 2,
            system_ms: 4,
            peak_memory: 30,
            read_bytes: Some(8),
            written_bytes: None,
            out_of_memory: true,
        };
        assert_eq!(two.and(&one), both);
    }
}
