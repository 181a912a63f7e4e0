//! Opens what lies below a directory, and nothing else: no way up, no hidden
//! names, no link that leads out, and nothing that is neither file nor directory.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::CWD;
use rustix::fs::Dir;
use rustix::fs::FileType;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::ResolveFlags;
use rustix::fs::fstat;
use rustix::fs::openat;
use rustix::fs::openat2;
use rustix::io::Errno;

use super::super::links;

/// What an address leads to.
#[derive(Debug)]
pub(super) enum Found {
    File(File),
    Directory(OwnedFd),
}

/// How often a path is looked up before no link of it is followed.
const TRIES: usize = 100;

/// Names in a directory that are told; of more, those that come first.
const MOST: usize = 1000;

/// The names of a path such as `/a/b%20c/`, and whether it ends in a slash. `None` if it names
/// what is never shown.
pub(in crate::web) fn parts(path: &str) -> Option<(Vec<String>, bool)> {
    let path = path.strip_prefix('/')?;
    let (path, is_directory) = match path.strip_suffix('/') {
        Some(path) => (path, true),
        None => (path, false),
    };
    let parts: Option<Vec<_>> = path.split('/').map(links::unquote).collect();
    let parts = parts.filter(|it| it.iter().all(|it| is_shown(it)))?;
    Some((parts, is_directory))
}

/// Whether a name may be part of an address. Hidden files are none of a visitor's business,
/// but for the directory that RFC 8615 asks for.
pub(in crate::web) fn is_shown(name: &str) -> bool {
    let is_hidden = name.starts_with('.') && name != ".well-known";
    !name.is_empty() && !is_hidden && !name.contains(['/', '\0'])
}

/// Opens it; `None` if there is nothing that may be shown.
pub(super) fn open(root: &Path, parts: &[String]) -> io::Result<Option<Found>> {
    // A pipe is opened without waiting for its other end, and then not shown.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = openat(CWD, root, flags | OFlags::DIRECTORY, Mode::empty()).and_then(|root| {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let path = match parts {
            [] => ".".to_owned(),
            parts => parts.join("/"),
        };
        for _ in 0..TRIES {
            match openat2(&root, &path, flags, Mode::empty(), resolve) {
                // Something was renamed somewhere while a link led up: the kernel is not sure
                // that it stayed inside, and asks to look again.
                Err(Errno::AGAIN) => {}
                // An old kernel, or a container that does not let it.
                Err(Errno::NOSYS | Errno::PERM) => break,
                opened => return opened,
            }
        }
        walk(root, parts, flags)
    });
    let opened = match opened {
        Ok(opened) => opened,
        Err(
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::XDEV
            | Errno::LOOP
            | Errno::ACCESS
            | Errno::NAMETOOLONG
            | Errno::NXIO,
        ) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(match FileType::from_raw_mode(fstat(&opened)?.st_mode) {
        FileType::RegularFile => Some(Found::File(opened.into())),
        FileType::Directory => Some(Found::Directory(opened)),
        _ => None,
    })
}

/// Goes down name by name, and follows no link.
fn walk(root: OwnedFd, parts: &[String], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let mut here = root;
    for part in parts {
        here = openat(&here, part, flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(here)
}

/// The names in a directory, sorted.
pub(super) fn names(directory: &OwnedFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_str().ok().map(str::to_owned);
        names.extend(name.filter(|it| is_shown(it)));
    }
    names.sort();
    names.truncate(MOST);
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_address_leads_up_or_to_hidden_files() {
        for path in [
            "/..",
            "/../x",
            "/a/../../x",
            "/%2e%2e/x",
            "/%2E./x",
            "/a%2F..%2Fx",
            "/.htpasswd",
            "/a/.git/config",
            "//etc/passwd",
            "/a//b",
            "/a%00b",
            "/%ff",
            "/.",
            "/",
            "x",
        ] {
            assert_eq!(parts(path), None, "{path}");
        }
        let some = |all: &[&str], end| Some((all.iter().map(|it| (*it).to_owned()).collect(), end));
        assert_eq!(parts("/a/b%20%3C"), some(&["a", "b <"], false));
        assert_eq!(parts("/a../...b/"), None);
        assert_eq!(parts("/a../b..c/"), some(&["a..", "b..c"], true));
        assert_eq!(parts("/.well-known/x"), some(&[".well-known", "x"], false));
    }

    fn said(root: &Path, path: &str) -> Option<String> {
        let (parts, _) = parts(path).expect("a path");
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let walked = openat(CWD, root, flags, Mode::empty())
            .and_then(|root| walk(root, &parts, flags | OFlags::NONBLOCK));
        let mut text = String::new();
        match open(root, &parts).expect("readable")? {
            Found::Directory(_) => text.push_str("directory"),
            Found::File(mut file) => {
                file.read_to_string(&mut text).expect("text");
                // Where links are followed they lead to the same.
                if let Ok(walked) = walked {
                    let mut same = String::new();
                    File::from(walked).read_to_string(&mut same).expect("text");
                    assert_eq!(same, text);
                }
            }
        }
        Some(text)
    }

    #[test]
    fn links_are_followed_as_long_as_they_stay_inside() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join("public");
        fs::create_dir_all(root.join("a/b")).expect("directories");
        fs::write(root.join("a/b/x.txt"), "inside").expect("written");
        fs::write(dir.path().join("secret"), "outside").expect("written");
        for (to, from) in [
            ("b", "a/latest"),
            ("../secret", "up"),
            ("a/../../secret", "around"),
            ("/etc/passwd", "absolute"),
            ("/proc/self/cwd", "magic"),
            ("..", "parent"),
            ("loop", "loop"),
        ] {
            symlink(to, root.join(from)).expect("a link");
        }
        assert_eq!(said(&root, "/a/b/x.txt").as_deref(), Some("inside"));
        assert_eq!(said(&root, "/a/latest/x.txt").as_deref(), Some("inside"));
        assert_eq!(said(&root, "/a/").as_deref(), Some("directory"));
        for path in [
            "/up",
            "/around",
            "/absolute",
            "/magic",
            "/parent/secret",
            "/loop",
            "/a/b/x.txt/y",
            "/none",
        ] {
            assert_eq!(said(&root, path), None, "{path}");
        }
        let long = format!("/{}", "x".repeat(300));
        assert_eq!(said(&root, &long), None);
        assert_eq!(said(&dir.path().join("missing"), "/x"), None);
    }

    #[test]
    fn what_is_renamed_meanwhile_hides_nothing_and_breaks_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join("public");
        fs::create_dir_all(root.join("a")).expect("directories");
        fs::write(root.join("x"), "inside").expect("written");
        fs::write(dir.path().join("secret"), "outside").expect("written");
        symlink("../x", root.join("a/in")).expect("a link");
        symlink("../../secret", root.join("a/out")).expect("a link");
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        fs::write(&one, "").expect("written");
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    fs::rename(&one, &other).expect("renamed");
                    fs::rename(&other, &one).expect("renamed");
                }
            });
            let walks = (0..5000).map(|_| (said(&root, "/a/in"), said(&root, "/a/out")));
            let wrong = walks
                .filter(|it| *it != (Some("inside".to_owned()), None))
                .count();
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(wrong, 0);
        });
    }

    #[test]
    fn where_the_kernel_cannot_keep_links_inside_none_is_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("x"), "x").expect("written");
        symlink("x", dir.path().join("link")).expect("a link");
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let walked = |name: &str| {
            let root = openat(CWD, dir.path(), flags, Mode::empty()).expect("a directory");
            walk(root, &[name.to_owned()], flags).map(drop)
        };
        assert_eq!(walked("x"), Ok(()));
        assert_eq!(walked("link"), Err(Errno::LOOP));
    }

    #[test]
    fn a_pipe_is_not_waited_for_and_not_shown() {
        let dir = tempfile::tempdir().expect("a directory");
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(CWD, dir.path().join("pipe"), FileType::Fifo, mode, 0).expect("a pipe");
        assert_eq!(said(dir.path(), "/pipe"), None);
        fs::write(dir.path().join(".hidden"), "").expect("written");
        fs::write(dir.path().join("b"), "").expect("written");
        fs::write(dir.path().join("a"), "").expect("written");
        let root: OwnedFd = File::open(dir.path()).expect("a directory").into();
        assert_eq!(names(&root).expect("readable"), ["a", "b", "pipe"]);
    }
}
