//! The highest lease that was seen of each build: what a master says under a lower one is not
//! obeyed. A build costs one short record at the end of a file, which is written anew when it has
//! grown long.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tracing::warn;

use super::order;
use crate::model::BuildId;

/// Builds without commands whose leases are still remembered.
const MOST: usize = 256;
/// So many records are in the file before it is written anew.
const LONG: usize = 4 * MOST;
/// A build and its lease.
const RECORD: usize = 16;

#[derive(Debug)]
pub(super) struct Leases {
    path: PathBuf,
    /// Open at its end; `None` if it has to be written anew.
    file: Option<File>,
    records: usize,
    highest: BTreeMap<i64, u64>,
}

impl Leases {
    /// Reads those of the spool in `dir`.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join("leases.log");
        let mut highest = earlier(dir);
        let (mut records, mut file) = (0, None);
        match fs::read(&path) {
            Ok(bytes) => {
                let (whole, rest) = bytes.as_chunks::<RECORD>();
                for record in whole {
                    let [build, lease] = parted(record);
                    let build = i64::from_be_bytes(build);
                    let known = highest.entry(build).or_insert(0);
                    *known = u64::from_be_bytes(lease).max(*known);
                }
                records = whole.len();
                // A power cut may leave half a record. Leases only grow, so the next is as good.
                if rest.is_empty() {
                    file = Some(File::options().append(true).open(&path)?);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(Self {
            path,
            file,
            records,
            highest,
        })
    }

    /// The highest lease seen for a build.
    pub(super) fn of(&self, build: BuildId) -> u64 {
        self.highest.get(&build.0).copied().unwrap_or(0)
    }

    /// Remembers a lease that is higher than all that were seen of its build.
    pub(super) fn raise(&mut self, build: BuildId, lease: u64) {
        self.highest.insert(build.0, lease);
        if let Err(error) = self.write(build.0, lease) {
            // A full disk must not cut off what runs already; the lease
            // holds as long as this process, and is written with the next.
            warn!(%build, lease, %error, "a lease is not written down");
            self.file = None;
        }
    }

    fn write(&mut self, build: i64, lease: u64) -> io::Result<()> {
        match &mut self.file {
            Some(file) if self.records < LONG => {
                file.write_all(&record(build, lease))?;
                self.records += 1;
                Ok(())
            }
            _ => self.write_anew(),
        }
    }

    fn write_anew(&mut self) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        let records = self.highest.iter();
        let bytes: Vec<u8> = records
            .flat_map(|(it, lease)| record(*it, *lease))
            .collect();
        let options = &mut order::private();
        let mut file = options.create(true).truncate(true).open(&fresh)?;
        file.write_all(&bytes)?;
        fs::rename(&fresh, &self.path)?;
        self.records = self.highest.len();
        self.file = Some(File::options().append(true).open(&self.path)?);
        Ok(())
    }

    /// Whether some may be forgotten.
    pub(super) fn are_many(&self) -> bool {
        self.highest.len() > 2 * MOST
    }

    /// Forgets those of builds that are long over: the oldest first, and none that is `here`.
    pub(super) fn forget(&mut self, is_here: impl Fn(i64) -> bool) {
        let surplus = self.highest.len().saturating_sub(MOST);
        let oldest = self.highest.keys().copied().filter(|it| !is_here(*it));
        for build in oldest.take(surplus).collect::<Vec<_>>() {
            self.highest.remove(&build);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.highest.len()
    }
}

fn record(build: i64, lease: u64) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..8].copy_from_slice(&build.to_be_bytes());
    record[8..].copy_from_slice(&lease.to_be_bytes());
    record
}

fn parted(record: &[u8; RECORD]) -> [[u8; 8]; 2] {
    let (parts, _) = record.as_chunks();
    [parts[0], parts[1]]
}

/// What programs have left that kept all of them in one document.
fn earlier(dir: &Path) -> BTreeMap<i64, u64> {
    match order::read(&dir.join("leases")) {
        Ok(leases) => leases,
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => {
            warn!(%error, "the leases of earlier builds cannot be read");
            BTreeMap::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_record_is_no_lease_and_the_next_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut leases = Leases::open(dir.path()).unwrap();
        leases.raise(BuildId(7), 3);
        let path = dir.path().join("leases.log");
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend([1, 2, 3]);
        fs::write(&path, bytes).unwrap();
        let mut leases = Leases::open(dir.path()).unwrap();
        assert_eq!(leases.of(BuildId(7)), 3);
        leases.raise(BuildId(8), 1);
        let leases = Leases::open(dir.path()).unwrap();
        assert_eq!([7, 8].map(|it| leases.of(BuildId(it))), [3, 1]);
        assert_eq!(leases.len(), 2);
    }

    #[test]
    fn what_an_earlier_program_has_seen_holds() {
        let dir = tempfile::tempdir().unwrap();
        order::write(&dir.path().join("leases"), &BTreeMap::from([(7, 3)])).unwrap();
        let mut leases = Leases::open(dir.path()).unwrap();
        assert_eq!(leases.of(BuildId(7)), 3);
        leases.raise(BuildId(7), 4);
        assert_eq!(Leases::open(dir.path()).unwrap().of(BuildId(7)), 4);
    }

    #[test]
    fn the_file_stays_short_however_many_builds_there_are() {
        let dir = tempfile::tempdir().unwrap();
        let mut leases = Leases::open(dir.path()).unwrap();
        for build in 0..20_000 {
            leases.raise(BuildId(build), 1);
            if leases.are_many() {
                leases.forget(|it| it == 5);
            }
        }
        let size = fs::metadata(dir.path().join("leases.log")).unwrap().len();
        assert!(size <= ((LONG + 1) * RECORD) as u64, "{size}");
        let again = Leases::open(dir.path()).unwrap();
        assert_eq!([5, 19_999].map(|it| again.of(BuildId(it))), [1, 1]);
    }
}
