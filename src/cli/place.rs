//! Which directory is what: a master, a slave, or a pair of them; and where
//! the master is that a command is about.

use std::env;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;

use super::exit::Failure;
use crate::client::Address;
use crate::client::Client;
use crate::config;

/// The file that makes a directory a slave.
pub(super) const SLAVE_INI: &str = "slave.ini";
/// Where a running master is spoken to, in its base directory.
const SOCKET: &str = "autobot.sock";

/// What runs in a base directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Master,
    Slave,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Master => "master",
            Self::Slave => "slave",
        })
    }
}

/// A base directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) kind: Kind,
    pub(super) dir: PathBuf,
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} in `{}`", self.kind, self.dir.display())
    }
}

impl Base {
    /// The bases in `dir`: one, or a master and a slave, the master first.
    pub(super) fn of(dir: &Path) -> Result<Vec<Self>, Failure> {
        if let Some(base) = Self::at(dir) {
            return Ok(vec![base]);
        }
        let pair: Vec<Self> = ["master", "slave"]
            .iter()
            .filter_map(|part| Self::at(&dir.join(part)))
            .collect();
        if pair.is_empty() {
            let name = dir.display();
            let what = if dir.is_dir() {
                format!("`{name}` is not the directory of a master or a slave")
            } else {
                format!("there is no directory `{name}`")
            };
            return Err(Failure::new(what).hint(
                "a master has a master.ini, a slave a slave.ini; `create-autobot` makes both",
            ));
        }
        Ok(pair)
    }

    /// The bases in all of `dirs`; without any, in `$AUTOBOT_DIR` or the current directory.
    pub(super) fn of_all(dirs: &[PathBuf]) -> Result<Vec<Self>, Failure> {
        if dirs.is_empty() {
            return Self::of(&default_dir());
        }
        let mut bases = Vec::new();
        for dir in dirs {
            bases.extend(Self::of(dir)?);
        }
        Ok(bases)
    }

    /// The master in `dir` or in its `master/`.
    pub(super) fn master_of(dir: &Path) -> Result<Self, Failure> {
        let bases = Self::of(dir)?;
        let master = bases.into_iter().find(|base| base.kind == Kind::Master);
        master.ok_or_else(|| {
            Failure::new(format!("there is no master in `{}`", dir.display()))
                .hint("name its directory, or its address with `--master http://host:port`")
        })
    }

    fn at(dir: &Path) -> Option<Self> {
        let has = |name: &str| dir.join(name).is_file();
        let kind = if config::NAMES.into_iter().any(has) {
            Kind::Master
        } else if has(SLAVE_INI) {
            Kind::Slave
        } else {
            return None;
        };
        Some(Self {
            kind,
            dir: dir.to_owned(),
        })
    }

    /// Talks to this master if it runs.
    pub(super) fn client(&self) -> Client {
        Client::new(Address::Socket(self.dir.join(SOCKET)))
    }
}

/// `$AUTOBOT_DIR`, or the current directory.
pub(super) fn default_dir() -> PathBuf {
    env::var_os("AUTOBOT_DIR")
        .filter(|dir| !dir.is_empty())
        .map_or_else(|| PathBuf::from("."), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_directory_is_known_by_its_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let refused = Base::of(root).unwrap_err().text();
        assert!(
            refused.starts_with(&format!(
                "`{}` is not the directory of a master or a slave",
                root.display()
            )),
            "{refused}"
        );

        fs::create_dir(root.join("slave")).unwrap();
        fs::write(root.join("slave/slave.ini"), "").unwrap();
        let slave = Base {
            kind: Kind::Slave,
            dir: root.join("slave"),
        };
        assert_eq!(Base::of(root).unwrap(), std::slice::from_ref(&slave));
        assert!(Base::master_of(root).is_err());

        fs::create_dir(root.join("master")).unwrap();
        fs::write(root.join("master/master.ini"), "").unwrap();
        let master = Base {
            kind: Kind::Master,
            dir: root.join("master"),
        };
        assert_eq!(Base::of(root).unwrap(), [master.clone(), slave]);
        assert_eq!(
            Base::of(&root.join("master")).unwrap(),
            std::slice::from_ref(&master)
        );
        assert_eq!(Base::master_of(root).unwrap(), master);
    }
}
