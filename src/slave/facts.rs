//! What the slave is: told to the master at every attach.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::order::boot_id;
use crate::model::Platform;
use crate::wire::SlaveFacts;

/// The most of one file of `info/`, and of all of them.
const FILE: usize = 16 << 10;
const ALL: usize = 256 << 10;

/// Reads the facts anew: `info/` may have been edited.
pub(super) fn facts(basedir: &Path) -> SlaveFacts {
    SlaveFacts {
        info: info(&basedir.join("info")),
        basedir: basedir.display().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        platform: platform(),
        boot_id: boot_id(),
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
    }
}
