//! Unpacking a directory that a slave has sent, into a fresh directory that is
//! nobody else's, and only from there to its place. Whatever the stream says,
//! nothing is written outside of that fresh directory: names have no `..`, are
//! not absolute and lead through no link; links lead to nowhere outside;
//! devices and the like cannot be said at all; how much there is has limits.

use std::ffi::OsStr;
use std::fs;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::io::{BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use crate::master::receive::SettleError;
use crate::wire::pack::{Head, Kind, MAGIC};

/// More entries than this are no build's result.
const MOST_ENTRIES: usize = 200_000;

/// How deep directories may lie in each other.
const DEEPEST: usize = 100;

/// The longest name that file systems take.
const LONGEST_NAME: usize = 255;

/// The longest target of a link.
const LONGEST_TARGET: u64 = 4096;

/// Unpacks the file `part` into the directory `stage`, which is made anew.
pub(super) fn unpack(part: &Path, stage: &Path) -> Result<(), SettleError> {
    let disk = |error| SettleError::because("it cannot be written", error);
    match fs::symlink_metadata(stage) {
        Ok(it) if it.is_dir() => fs::remove_dir_all(stage).map_err(disk)?,
        Ok(_) => fs::remove_file(stage).map_err(disk)?,
        Err(_) => {}
    }
    DirBuilder::new().mode(0o700).create(stage).map_err(disk)?;
    let file = File::open(part).map_err(disk)?;
    let left = file.metadata().map_err(disk)?.len();
    let mut unpacker = Unpacker {
        from: BufReader::new(file).take(left),
        stage,
        modes: Vec::new(),
    };
    unpacker.run()
}

struct Unpacker<'a> {
    /// Ends where the file ends.
    from: io::Take<BufReader<File>>,
    stage: &'a Path,
    /// Of the directories, given when all is in them.
    modes: Vec<(PathBuf, u32)>,
}

impl Unpacker<'_> {
    fn run(&mut self) -> Result<(), SettleError> {
        let broken = |error| SettleError::because("it is not readable", error);
        let mut magic = [0; MAGIC.len()];
        self.from.read_exact(&mut magic).map_err(broken)?;
        if magic != *MAGIC {
            return Err(SettleError::refused("it is no packed directory"));
        }
        let mut entries = 0;
        loop {
            let head = Head::read(&mut self.from).map_err(broken)?;
            if head.kind == Kind::End {
                break;
            }
            entries += 1;
            if entries > MOST_ENTRIES {
                let why = format!("it has more than {MOST_ENTRIES} entries");
                return Err(SettleError::Refused(why));
            }
            let shown = String::from_utf8_lossy(&head.name)
                .escape_debug()
                .to_string();
            let bad_name = || SettleError::Refused(format!("bad name `{shown}`"));
            let name = checked(&head.name).ok_or_else(bad_name)?;
            if head.size > self.from.limit() {
                let why = format!("`{shown}` is said to be longer than all that has come");
                return Err(SettleError::Refused(why));
            }
            let made = self.make(&head, name);
            made.map_err(|error| {
                SettleError::because(format!("`{shown}` cannot be unpacked"), error)
            })?;
        }
        if self.from.limit() > 0 {
            return Err(SettleError::refused("something follows its end"));
        }
        for (dir, mode) in self.modes.iter().rev() {
            let mode = PermissionsExt::from_mode(*mode | 0o700);
            let given = fs::set_permissions(dir, mode);
            given.map_err(|error| {
                SettleError::because(format!("`{}` cannot be unpacked", dir.display()), error)
            })?;
        }
        Ok(())
    }

    fn make(&mut self, head: &Head, name: &Path) -> io::Result<()> {
        let refused = |why: &str| Err(io::Error::other(why.to_owned()));
        // A real directory at each part: nothing is reached through a link.
        let mut place = self.stage.to_owned();
        let parents = name.parent().unwrap_or(Path::new(""));
        for part in parents.components() {
            place.push(part);
            if !fs::symlink_metadata(&place)?.is_dir() {
                return refused("its directory is none");
            }
        }
        let path = self.stage.join(name);
        match head.kind {
            Kind::Directory if head.size > 0 => return refused("a directory has no content"),
            Kind::Directory => {
                DirBuilder::new().mode(0o700).create(&path)?;
                self.modes.push((path, head.mode & 0o777));
            }
            Kind::File => {
                // Fresh, so nothing that was sent before can be a way to somewhere else.
                let mut file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(head.mode & 0o777)
                    .open(&path)?;
                let copied = io::copy(&mut (&mut self.from).take(head.size), &mut file)?;
                if copied < head.size {
                    return refused("it is cut off");
                }
            }
            Kind::Link => {
                if head.size > LONGEST_TARGET {
                    return refused("its target is too long");
                }
                let mut target = Vec::new();
                (&mut self.from).take(head.size).read_to_end(&mut target)?;
                let depth = parents.components().count();
                if !stays_inside(&target, depth) {
                    return refused("it leads out of the directory");
                }
                symlink(OsStr::from_bytes(&target), &path)?;
            }
            Kind::End => {}
        }
        Ok(())
    }
}

/// A name that stays where it is put, or nothing.
fn checked(name: &[u8]) -> Option<&Path> {
    let is_plain = |byte: &u8| !byte.is_ascii_control();
    if name.is_empty() || !name.iter().all(is_plain) {
        return None;
    }
    let path = Path::new(OsStr::from_bytes(name));
    let mut depth = 0;
    for part in path.components() {
        let Component::Normal(part) = part else {
            return None;
        };
        depth += 1;
        if part.len() > LONGEST_NAME || depth > DEEPEST {
            return None;
        }
    }
    // As it is written, and not in another way: no `//`, no `/.` and no `/` at the end.
    let again: PathBuf = path.components().collect();
    (again.as_os_str() == path.as_os_str()).then_some(path)
}

/// Whether a link, so deep in the directory, leads to something in it. All `..` stand at
/// the beginning: behind another link they would lead elsewhere than it looks.
fn stays_inside(target: &[u8], depth: usize) -> bool {
    if target.is_empty() || target.iter().any(u8::is_ascii_control) {
        return false;
    }
    let mut ups = 0;
    let mut is_down = false;
    for part in Path::new(OsStr::from_bytes(target)).components() {
        match part {
            Component::ParentDir if is_down => return false,
            Component::ParentDir => ups += 1,
            Component::Normal(_) => is_down = true,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    ups <= depth
}

/// Moves all that is in `stage` to `target`, over what is there. Directories are merged;
/// no link below `target` is followed.
pub(super) fn merge(stage: &Path, target: &Path) -> Result<(), SettleError> {
    let what = format!("`{}` cannot be written", target.display());
    let failed = |error| SettleError::because(&what, error);
    fs::create_dir_all(target).map_err(failed)?;
    let entries = fs::read_dir(stage).map_err(failed)?;
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let there = target.join(entry.file_name());
        let is_dir = entry.file_type().map_err(failed)?.is_dir();
        let was_dir = fs::symlink_metadata(&there).map(|it| it.is_dir());
        match (is_dir, was_dir) {
            (true, Ok(true)) => merge(&entry.path(), &there)?,
            (false, Ok(true)) => {
                let why = format!("`{}` is a directory already", there.display());
                return Err(SettleError::Refused(why));
            }
            (true, Ok(false)) => {
                fs::remove_file(&there).map_err(failed)?;
                fs::rename(entry.path(), &there).map_err(failed)?;
            }
            (_, Ok(false) | Err(_)) => fs::rename(entry.path(), &there).map_err(failed)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        home: tempfile::TempDir,
    }

    impl World {
        fn new() -> Self {
            let home = tempfile::tempdir().expect("a directory");
            fs::create_dir(home.path().join("place")).expect("made");
            Self { home }
        }

        fn target(&self) -> PathBuf {
            self.home.path().join("place/target")
        }

        /// Takes the bytes as if a slave had sent them; whatever they are, nothing comes
        /// outside of the target.
        fn take(&self, bytes: &[u8]) -> Result<(), String> {
            let part = self.home.path().join("place/part");
            let stage = self.home.path().join("place/stage");
            fs::write(&part, bytes).expect("written");
            let taken = unpack(&part, &stage).and_then(|()| merge(&stage, &self.target()));
            let taken = taken.map_err(|it| it.to_string());
            let _ = fs::remove_dir_all(&stage);
            fs::remove_file(&part).expect("still there");
            let names = |dir: &Path| {
                let entries = fs::read_dir(dir).expect("a directory").flatten();
                let mut names: Vec<_> = entries.map(|it| it.file_name()).collect();
                names.sort();
                names
            };
            assert_eq!(names(self.home.path()), ["place"]);
            let beside = names(&self.home.path().join("place"));
            assert!(beside.iter().all(|it| it == "target"), "{beside:?}");
            taken
        }
    }

    fn entry(kind: Kind, name: &str, content: &str) -> Vec<u8> {
        sized(kind, name, content.len() as u64, content)
    }

    fn sized(kind: Kind, name: &str, size: u64, content: &str) -> Vec<u8> {
        let head = Head {
            kind,
            mode: 0o7755,
            size,
            name: name.as_bytes().to_vec(),
        };
        let mut bytes = head.to_bytes().expect("short");
        bytes.extend(content.as_bytes());
        bytes
    }

    fn pack(entries: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(entries.concat());
        bytes.extend(Head::END.to_bytes().expect("short"));
        bytes
    }

    #[test]
    fn a_directory_comes_over_what_is_there() {
        let world = World::new();
        let target = world.target();
        fs::create_dir_all(target.join("d/kept")).expect("made");
        fs::write(target.join("d/f"), "old").expect("written");
        fs::write(target.join("e"), "a file").expect("written");
        let entries = [
            entry(Kind::Directory, "d", ""),
            entry(Kind::File, "d/f", "new"),
            entry(Kind::Link, "d/up", "../e"),
            entry(Kind::Directory, "e", ""),
            entry(Kind::File, "e/ü", ""),
        ];
        world.take(&pack(&entries)).expect("taken");
        world.take(&pack(&entries)).expect("taken again");
        assert_eq!(
            fs::read_to_string(target.join("d/f")).expect("there"),
            "new"
        );
        assert!(target.join("d/kept").is_dir() && target.join("d/up/ü").is_file());
        let mode = fs::metadata(target.join("d/f"))
            .expect("there")
            .permissions();
        assert_eq!(mode.mode() & 0o7000, 0, "nobody gets the rights of another");
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let long = "n".repeat(256);
        let deep = vec!["d"; 101].join("/");
        for name in [
            "",
            "..",
            "../x",
            "/etc/x",
            "a/../../x",
            "a/..",
            "./x",
            "a//b",
            "a/",
            "a\0b",
            "a\nb",
            "a\x1b[2Jb",
            long.as_str(),
            deep.as_str(),
        ] {
            for kind in [Kind::File, Kind::Directory, Kind::Link] {
                let entries = [entry(Kind::Directory, "a", ""), entry(kind, name, "a")];
                let why = World::new().take(&pack(&entries)).expect_err(name);
                assert!(why.starts_with("bad name"), "{name:?}: {why}");
            }
        }
    }

    #[test]
    fn links_that_lead_elsewhere_are_refused() {
        for target in [
            "..",
            "../x",
            "/etc",
            "a/../..",
            "a/..",
            "",
            "x\0",
            "../../../x",
        ] {
            let link = entry(Kind::Link, "l", target);
            let why = World::new().take(&pack(&[link])).expect_err(target);
            assert!(why.contains("leads out"), "{target:?}: {why}");
        }
        // One of them may go up as deep as it lies, and no deeper.
        let dir = entry(Kind::Directory, "d", "");
        let up = |target| pack(&[dir.clone(), entry(Kind::Link, "d/l", target)]);
        World::new().take(&up("..")).expect("inside");
        World::new().take(&up("../..")).expect_err("outside");
    }

    #[test]
    fn nothing_is_reached_through_a_link() {
        let world = World::new();
        let through = [
            entry(Kind::Directory, "d", ""),
            entry(Kind::Link, "l", "d"),
            entry(Kind::File, "l/f", "x"),
        ];
        let why = world.take(&pack(&through)).expect_err("through a link");
        assert!(why.contains("its directory is none"), "{why}");
        let over = [entry(Kind::Link, "l", "d"), entry(Kind::File, "l", "x")];
        world.take(&pack(&over)).expect_err("the same name twice");
        // A link that is there is replaced and not followed.
        fs::create_dir_all(world.target()).expect("made");
        let outside = world.home.path().join("place/target/../../place");
        symlink(&outside, world.target().join("d")).expect("a link");
        let dir = [
            entry(Kind::Directory, "d", ""),
            entry(Kind::File, "d/f", "x"),
        ];
        world.take(&pack(&dir)).expect("taken");
        assert!(!world.target().join("d").is_symlink());
    }

    #[test]
    fn what_is_said_of_sizes_is_not_believed() {
        for (bytes, expected) in [
            (
                pack(&[sized(Kind::File, "f", u64::MAX, "x")]),
                "longer than all",
            ),
            (
                pack(&[sized(Kind::File, "f", 1 << 40, "")]),
                "longer than all",
            ),
            (pack(&[sized(Kind::File, "f", 10, "x")]), "is not readable"),
            (pack(&[entry(Kind::Directory, "d", "x")]), "no content"),
            (
                pack(&[entry(Kind::File, "f", "x"), b"more".to_vec()]),
                "not readable",
            ),
            ([pack(&[]), b"x".to_vec()].concat(), "follows its end"),
            (b"not a pack at all".to_vec(), "no packed directory"),
            (Vec::new(), "not readable"),
        ] {
            let why = World::new().take(&bytes).expect_err(expected);
            assert!(why.contains(expected), "{expected}: {why}");
        }
        let device = entry(Kind::File, "f", "x");
        let mut bytes = pack(&[device]);
        bytes[MAGIC.len()] = b'c';
        World::new().take(&bytes).expect_err("no such kind");
        let many = (0..=MOST_ENTRIES).map(|it| entry(Kind::Link, &it.to_string(), "x"));
        let why = World::new().take(&pack(&many.collect::<Vec<_>>()));
        assert!(
            why.expect_err("too many")
                .contains("more than 200000 entries")
        );
    }

    #[test]
    fn a_stream_that_is_cut_or_garbled_anywhere_stays_within_its_place() {
        let entries = [
            entry(Kind::Directory, "d", ""),
            entry(Kind::File, "d/f", "text"),
            entry(Kind::Link, "d/l", "f"),
        ];
        let bytes = pack(&entries);
        for cut in 0..bytes.len() {
            World::new().take(&bytes[..cut]).expect_err("it is cut");
        }
        for place in 0..bytes.len() {
            for flip in [0x01, 0x04, 0x80] {
                let mut bytes = bytes.clone();
                bytes[place] ^= flip;
                // It may be taken or not: `take` looks where it went.
                let _ = World::new().take(&bytes);
            }
        }
    }
}
