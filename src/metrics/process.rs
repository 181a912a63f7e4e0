//! What this process takes, as the kernel tells it.

use std::fs;

/// What this process takes; what the kernel does not tell is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Process {
    pub(crate) resident_bytes: u64,
    pub(crate) open_files: u64,
    pub(crate) max_files: u64,
    pub(crate) threads: u64,
    pub(crate) cpu_seconds: f64,
}

impl Process {
    /// Asks the kernel; a few small files that are no files.
    pub(crate) fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Self {
            resident_bytes: number(&status, "VmRSS:") * 1024,
            open_files: fs::read_dir("/proc/self/fd").map_or(0, |it| it.count() as u64),
            max_files: number(&limits, "Max open files"),
            threads: number(&status, "Threads:"),
            cpu_seconds: ticks(&stat).unwrap_or(0.0),
        }
    }
}

/// The first number behind a word at the beginning of a line.
fn number(text: &str, word: &str) -> u64 {
    let line = text.lines().find_map(|it| it.strip_prefix(word));
    let first = line.and_then(|it| it.split_whitespace().next());
    first.and_then(|it| it.parse().ok()).unwrap_or(0)
}

/// User and system time of all threads. Linux tells it in hundredths on every machine.
fn ticks(stat: &str) -> Option<f64> {
    // The name of the program may hold anything, but no `)` comes after it.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_what_this_process_takes() {
        let now = Process::now();
        assert!(now.resident_bytes > 1 << 20, "{now:?}");
        assert!(now.open_files >= 3 && now.threads >= 1, "{now:?}");
        assert!(now.max_files > now.open_files, "{now:?}");
        assert_eq!(
            ticks("7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0"),
            Some(3.0)
        );
    }
}
