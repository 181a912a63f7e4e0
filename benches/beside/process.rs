//! What the kernel says of processes: memory, processor, how often they wake.

use std::fs;
use std::path::PathBuf;

/// A running process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// The process whose command line has all the words.
    pub(crate) fn with(words: &[&str]) -> Option<Self> {
        fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let has_all = words.iter().all(|it| line.contains(it));
            (has_all && pid != std::process::id()).then_some(Self(pid))
        })
    }

    fn file(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }

    /// Megabytes of a line of its status, such as `VmRSS:`.
    pub(crate) fn memory(self, line: &str) -> f64 {
        let status = fs::read_to_string(self.file("status")).unwrap_or_default();
        let found = status.lines().find_map(|it| it.strip_prefix(line));
        let kb = found.and_then(|it| it.trim().strip_suffix(" kB"));
        let kb = kb.and_then(|it| it.parse::<f64>().ok());
        kb.unwrap_or(f64::NAN) / 1024.0
    }

    /// Seconds that the processor worked for it, in its own words and in the kernel's, counted in
    /// hundredths.
    pub(crate) fn processor(self) -> f64 {
        let stat = fs::read_to_string(self.file("stat")).unwrap_or_default();
        // Behind the name, which may hold anything, and the state, which is a letter.
        let (_, rest) = stat.rsplit_once(") ").unwrap_or_default();
        let figures = rest.split(' ').skip(1).map(|it| it.parse::<f64>());
        figures.skip(10).take(2).flatten().sum::<f64>() / 100.0
    }

    /// How often its threads have gone to sleep: so often they were woken.
    pub(crate) fn wake_ups(self) -> f64 {
        let mut all = 0.0;
        for task in self.tasks() {
            let text = fs::read_to_string(task.join("status")).unwrap_or_default();
            let line = text
                .lines()
                .find_map(|it| it.strip_prefix("voluntary_ctxt_switches:"));
            all += line
                .and_then(|it| it.trim().parse::<f64>().ok())
                .unwrap_or(0.0);
        }
        all
    }

    fn tasks(self) -> Vec<PathBuf> {
        let tasks = fs::read_dir(self.file("task"));
        let tasks = tasks.into_iter().flatten().flatten();
        tasks.map(|it| it.path()).collect()
    }
}
