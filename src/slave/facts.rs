//! What the slave is: told to the master at every attach.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::order::boot_id;
use crate::model::Machine;
use crate::model::Platform;
use crate::wire::SlaveFacts;

/// The most of one file of `info/`, and of all of them.
const FILE: usize = 16 << 10;
const ALL: usize = 256 << 10;
/// The most of the distribution's name, in characters.
const NAME: usize = 100;

/// Reads the facts anew: `info/` may have been edited.
pub(super) fn facts(basedir: &Path) -> SlaveFacts {
    SlaveFacts {
        info: info(&basedir.join("info")),
        basedir: basedir.display().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        platform: platform(),
        boot_id: boot_id(),
        machine: machine(basedir),
        capabilities: BTreeMap::new(),
        spool: String::new(),
    }
}

fn info(dir: &Path) -> BTreeMap<String, String> {
    let mut info = BTreeMap::new();
    let mut left = ALL;
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if !entry.path().is_file() {
            continue;
        }
        let Ok(mut content) = fs::read(entry.path()) else {
            continue;
        };
        content.truncate(FILE.min(left));
        left -= content.len();
        info.insert(name, String::from_utf8_lossy(&content).into_owned());
    }
    info
}

fn machine(basedir: &Path) -> Machine {
    let cores = std::thread::available_parallelism().ok();
    let disk = rustix::fs::statvfs(basedir).ok();
    Machine {
        cores: cores.and_then(|it| u32::try_from(it.get()).ok()),
        memory: text("/proc/meminfo").as_deref().and_then(memory),
        disk_free: disk.map(|it| it.f_bavail.saturating_mul(it.f_frsize)),
        distribution: text("/etc/os-release").as_deref().and_then(distribution),
    }
}

fn text(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// Bytes, of what `/proc/meminfo` says.
fn memory(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|it| it.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The name for people in `os-release`, where values may be quoted as a shell has it.
fn distribution(text: &str) -> Option<String> {
    let value = text
        .lines()
        .find_map(|it| it.strip_prefix("PRETTY_NAME="))?;
    let value = value.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.chars().take(NAME).collect())
}

fn platform() -> Platform {
    let uname = rustix::system::uname();
    let text = |it: &std::ffi::CStr| it.to_string_lossy().into_owned();
    let os = match text(uname.sysname()).as_str() {
        "Linux" => "linux".to_owned(),
        "Darwin" => "mac".to_owned(),
        other => other.to_lowercase(),
    };
    Platform {
        os,
        arch: text(uname.machine()),
        bits: usize::BITS,
        version: text(uname.release()),
        hostname: text(uname.nodename()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_told_by_name_and_as_it_is() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir_all(base.path().join("info/sub")).unwrap();
        fs::write(base.path().join("info/admin"), "Me <me@example.org>\n").unwrap();
        fs::write(base.path().join("info/long"), "x".repeat(2 * FILE)).unwrap();
        let facts = facts(base.path());
        assert_eq!(facts.info["admin"], "Me <me@example.org>\n");
        assert_eq!(facts.info["long"].len(), FILE);
        assert_eq!(facts.info.len(), 2);
        assert_eq!(facts.platform.os, "linux");
        assert!(!facts.boot_id.is_empty());
        let machine = facts.machine;
        assert!(machine.cores.is_some_and(|it| it > 0), "{machine:?}");
        assert!(machine.memory.is_some_and(|it| it > 1 << 20), "{machine:?}");
        assert!(machine.disk_free.is_some(), "{machine:?}");
    }

    #[test]
    fn what_the_system_says_of_itself_is_understood_or_left_out() {
        assert_eq!(
            memory("MemFree: 1 kB\nMemTotal:       16265428 kB\n"),
            Some(16_265_428 << 10)
        );
        assert_eq!(memory("MemTotal: many kB\n"), None);
        assert_eq!(memory(&format!("MemTotal: {} kB\n", u64::MAX)), None);
        let told = |text: &str| distribution(text);
        assert_eq!(
            told("NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\n"),
            Some("Debian GNU/Linux 13 (trixie)".into())
        );
        assert_eq!(told("PRETTY_NAME=Arch\n"), Some("Arch".into()));
        assert_eq!(told("PRETTY_NAME=\"\"\nNAME=x\n"), None);
    }
}
