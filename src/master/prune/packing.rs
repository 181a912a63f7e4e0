//! Puts the small logs of older builds together: files by the hundred thousand are what a
//! small disk runs out of first.

use std::fs;
use std::io;
use std::path::Path;

use tracing::{debug, warn};

use crate::logs::pack::{self, Packed, SMALL};
use crate::logs::times;
use crate::model::BuilderName;
use crate::store::{OldBuild, Result};

use super::round::Round;

/// The logs of so many builds stay files: the newest are looked at, cut and followed.
const LOOSE: usize = 16;
/// Builds in one pack, if their logs are not too much for it.
const TOGETHER: usize = 32;
/// What a page has to unpack for one log, at most, before the last build of a pack.
const MOST: usize = 256 * 1024;

/// What goes into one pack.
struct Gathered {
    first: i64,
    last: i64,
    logs: Vec<Packed>,
}

impl Round {
    /// Packs logs of a builder until few enough are files, or `most` packs were made. How many
    /// more builds have to end until there is something to do again.
    pub(super) async fn pack(&self, builder: &BuilderName, most: usize) -> Result<usize> {
        for _ in 0..most {
            let name = builder.clone();
            let loose = self
                .store
                .read(move |verbs| verbs.unpacked(&name, LOOSE + TOGETHER))
                .await?;
            let Some(enough) = loose.len().checked_sub(LOOSE).filter(|it| *it >= TOGETHER) else {
                return Ok(LOOSE + TOGETHER - loose.len());
            };
            let dir = self.dir.join("builds");
            let longest = self
                .plan
                .master
                .logs
                .max_size
                .map_or(SMALL, |it| it.min(SMALL));
            let gathering = tokio::task::spawn_blocking(move || {
                let gathered = gather(&dir, &loose[..enough], longest)?;
                let pack = (!gathered.logs.is_empty()).then(|| pack::pack(&gathered.logs));
                Ok::<_, io::Error>((gathered, pack))
            });
            let Ok(gathered) = gathering.await else {
                warn!(%builder, "packing logs broke off");
                return Ok(TOGETHER);
            };
            let (gathered, pack) = match gathered {
                Ok(it) => it,
                Err(error) => {
                    warn!(%builder, reason = %error, "failed to read small logs; they stay files");
                    return Ok(TOGETHER);
                }
            };
            let (name, first, last) = (builder.clone(), gathered.first, gathered.last);
            self.store
                .write(move |verbs| verbs.pack_logs(&name, first, last, pack.as_deref()))
                .await?;
            debug!(%builder, first, last, logs = gathered.logs.len(), "packed small logs");
            let files = gathered.logs.into_iter().map(|it| it.file);
            self.remove_logs(files.collect()).await;
        }
        Ok(0)
    }
}

/// What is in a file, if it is there and not too long.
fn read_small(path: &Path, longest: u64) -> io::Result<Option<Vec<u8>>> {
    let is_small = fs::metadata(path).is_ok_and(|it| it.is_file() && it.len() <= longest);
    is_small.then(|| fs::read(path)).transpose()
}

/// Reads the small logs of the oldest builds.
fn gather(dir: &Path, builds: &[OldBuild], longest: u64) -> io::Result<Gathered> {
    let (mut logs, mut bytes) = (Vec::new(), 0);
    let mut last = builds[0].number;
    for build in builds {
        if bytes > MOST {
            break;
        }
        for file in &build.files {
            let path = dir.join(file);
            let Some(content) = read_small(&path, longest)? else {
                continue;
            };
            let times = times::path_of(&path);
            let times = match times.exists() {
                true => match read_small(&times, SMALL)? {
                    // Of a log that came over many minutes: both stay files.
                    None => continue,
                    times => times,
                },
                false => None,
            };
            bytes += content.len();
            logs.push(Packed {
                file: file.clone(),
                bytes: content,
                times,
            });
        }
        last = build.number;
    }
    Ok(Gathered {
        first: builds[0].number,
        last,
        logs,
    })
}
