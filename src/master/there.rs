//! What a slave needs on another host: its directory and this very program,
//! which is copied if it is missing or another one.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tracing::info;

use crate::master::launch_ssh::explained;
use crate::model::SlaveName;
use crate::model::hex;
use crate::ssh::{Connection, Cut, Host, SshError, quoted};

/// Of this very program, once it was looked at.
static OWN_SUM: Mutex<Option<String>> = Mutex::new(None);

/// What is wanted on the host.
pub(super) struct There {
    pub(super) basedir: String,
    pub(super) slave: SlaveName,
    /// On this host: `ARCH/autobot`.
    pub(super) binaries: PathBuf,
}

/// What is there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    os: String,
    arch: String,
    /// The base directory, absolute.
    pub(super) base: String,
    pub(super) has_binary: bool,
    /// Empty if nothing there can compute it.
    sum: String,
    /// Empty if the sum is known.
    version: String,
}

impl There {
    /// Connects, and sees that this very program is there.
    pub(super) fn prepare(&self, host: &Host, cut: &Cut) -> Result<(Connection, String), String> {
        let told = |error: SshError| explained(&error, &self.slave);
        let connection = host.connect(cut).map_err(told)?;
        let found = self.look(&connection).map_err(told)?;
        let binary = self.binary(&found)?;
        let sum = binary.sum()?;
        if !found.is_current(&sum) {
            let was = match found.has_binary {
                true => "is another one",
                false => "is missing",
            };
            info!(slave = %self.slave, host = host.host, "the program there {was}; it is copied");
            self.copy(&connection, &found, &binary).map_err(told)?;
            let now = self.look(&connection).map_err(told)?;
            if !now.is_current(&sum) {
                return Err(format!(
                    "the program that was copied to `{}/autobot` on `{}` is not the same there",
                    found.base, host.host
                ));
            }
        }
        Ok((connection, found.base))
    }

    /// Makes the base directory and looks what is in it.
    pub(super) fn look(&self, connection: &Connection) -> Result<Found, SshError> {
        let script = format!(
            "cd || exit 1\n\
             base={}\n\
             mkdir -p \"$base/info\" && cd \"$base\" || exit 1\n\
             echo \"autobot:os=$(uname -s)\"\n\
             echo \"autobot:arch=$(uname -m)\"\n\
             echo \"autobot:base=$(pwd -P)\"\n\
             if [ -x autobot ]; then\n\
             sum=$( (sha256sum autobot || shasum -a 256 autobot || openssl dgst -sha256 -r autobot) \
             2>/dev/null | cut -d ' ' -f 1)\n\
             echo \"autobot:sum=$sum\"\n\
             [ -n \"$sum\" ] || echo \"autobot:version=$(./autobot --version 2>/dev/null)\"\n\
             fi\n",
            quoted(&self.basedir)
        );
        let said = connection.script("looking for the slave's directory", &script)?;
        Ok(Found::read(&said))
    }

    /// The program for that host.
    fn binary(&self, found: &Found) -> Result<Binary, String> {
        let path = self.binaries.join(&found.arch).join("autobot");
        let is_name = !found.arch.is_empty() && !found.arch.contains(['/', '.']);
        if is_name && path.is_file() {
            return Ok(Binary::File(path));
        }
        if found.os == "Linux" && own_arch() == Some(found.arch.as_str()) {
            return Ok(Binary::Own);
        }
        Err(format!(
            "the host runs {} on {}, for which this program is not made; put one that is into `{}`",
            found.os,
            found.arch,
            path.display()
        ))
    }

    fn copy(
        &self,
        connection: &Connection,
        found: &Found,
        binary: &Binary,
    ) -> Result<(), SshError> {
        let new = format!(".autobot.{}", std::process::id());
        let script = format!(
            "cd {} && umask 077 && cat > {new} && chmod 755 {new} && mv -f {new} autobot",
            quoted(&found.base)
        );
        let line = format!("exec sh -c {}", quoted(&script));
        let mut file = binary.open()?;
        connection.command("copying the program", &line, &mut file)?;
        Ok(())
    }

    /// A verb of the program there, with the slave's directory and name.
    pub(super) fn verb(&self, base: &str, verb: &str) -> String {
        let program = quoted(&format!("{base}/autobot"));
        let (base, name) = (quoted(base), quoted(self.slave.as_str()));
        format!("exec {program} {verb} {base} {name}")
    }
}

impl Found {
    /// Other lines are what login scripts say.
    fn read(said: &str) -> Self {
        let mut found = Self::default();
        for line in said.lines() {
            let Some((key, value)) = line
                .strip_prefix("autobot:")
                .and_then(|it| it.split_once('='))
            else {
                continue;
            };
            let value = value.trim().to_owned();
            match key {
                "os" => found.os = value,
                "arch" => found.arch = value,
                "base" => found.base = value,
                "sum" => {
                    found.has_binary = true;
                    found.sum = value;
                }
                "version" => found.version = value,
                _ => {}
            }
        }
        found
    }

    fn is_current(&self, sum: &str) -> bool {
        match (self.has_binary, self.sum.as_str()) {
            (false, _) => false,
            (true, "") => self.version == concat!("autobot ", env!("CARGO_PKG_VERSION")),
            (true, there) => there == sum,
        }
    }
}

/// As `uname -m` says it; `None` if that is not known.
fn own_arch() -> Option<&'static str> {
    match std::env::consts::ARCH {
        arch @ ("x86_64" | "aarch64" | "riscv64" | "s390x") => Some(arch),
        _ => None,
    }
}

/// A program that can be copied.
enum Binary {
    /// This one, even if its file was replaced.
    Own,
    File(PathBuf),
}

impl Binary {
    fn open(&self) -> io::Result<File> {
        File::open(match self {
            Self::Own => Path::new("/proc/self/exe"),
            Self::File(path) => path,
        })
    }

    fn sum(&self) -> Result<String, String> {
        let read = || {
            let mut file = self.open()?;
            let mut sum = Sha256::new();
            let mut piece = vec![0; 64 << 10];
            loop {
                match file.read(&mut piece)? {
                    0 => break,
                    size => sum.update(&piece[..size]),
                }
            }
            let digest = sum.finalize();
            Ok(hex(&digest))
        };
        let failed = |error: io::Error| match self {
            Self::Own => format!("failed to read this program: {error}"),
            Self::File(path) => format!("failed to read `{}`: {error}", path.display()),
        };
        if matches!(self, Self::File(_)) {
            return read().map_err(failed);
        }
        let mut known = OWN_SUM.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            *known = Some(read().map_err(failed)?);
        }
        Ok(known.clone().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_says_is_found_among_what_its_login_says() {
        let said = "Welcome\nautobot:os=Linux\nautobot:arch=x86_64\nautobot:base=/home/me/a b\n\
                    autobot:sum=abc\nautobot:later=1\n";
        let found = Found::read(said);
        assert_eq!(
            found,
            Found {
                os: "Linux".into(),
                arch: "x86_64".into(),
                base: "/home/me/a b".into(),
                has_binary: true,
                sum: "abc".into(),
                version: String::new(),
            }
        );
        assert!(found.is_current("abc"));
        assert!(!found.is_current("def"));
        assert!(!Found::default().is_current(""));
        let by_version = |version: &str| {
            let said = format!("autobot:sum=\nautobot:version={version}");
            Found::read(&said).is_current("abc")
        };
        assert!(by_version(concat!("autobot ", env!("CARGO_PKG_VERSION"))));
        assert!(!by_version("autobot 0.0.1"));
    }

    #[test]
    fn each_architecture_has_its_program() {
        let dir = tempfile::tempdir().expect("a directory");
        let there = There {
            basedir: "b".into(),
            slave: "s".into(),
            binaries: dir.path().to_owned(),
        };
        let found = |os: &str, arch: &str| Found {
            os: os.into(),
            arch: arch.into(),
            ..Found::default()
        };
        let own = own_arch().expect("tests run on a known one");
        assert!(matches!(
            there.binary(&found("Linux", own)),
            Ok(Binary::Own)
        ));
        for (os, arch) in [("Linux", "mips"), ("Darwin", own), ("Linux", "../x")] {
            let why = there.binary(&found(os, arch)).err().expect("none");
            assert!(
                why.contains(&format!("the host runs {os} on {arch}, for")),
                "{why}"
            );
        }
        std::fs::create_dir(dir.path().join("mips")).expect("a directory");
        std::fs::write(dir.path().join("mips/autobot"), "abc").expect("a file");
        let binary = there.binary(&found("Linux", "mips")).expect("it is there");
        assert_eq!(
            binary.sum().expect("read"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
