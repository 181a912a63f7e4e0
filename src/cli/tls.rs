//! `autobot tls`: makes the certificates of a farm that has no others, and
//! says what goes where.

use std::fs;
use std::fs::OpenOptions;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use anstream::println;
use clap::Args;
use clap::Subcommand;

use super::exit::Done;
use super::exit::Failure;
use crate::clock;
use crate::model::Timestamp;
use crate::tls::Authority;
use crate::tls::Identity;
use crate::tls::Issued;
use crate::tls::Name;

const CA: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
const SERVER: &str = "server.pem";
const SERVER_KEY: &str = "server.key";
const ALL: [&str; 4] = [CA, CA_KEY, SERVER, SERVER_KEY];

#[derive(Debug, Args)]
pub(super) struct TlsArgs {
    #[command(subcommand)]
    verb: TlsVerb,
}

#[derive(Debug, Subcommand)]
enum TlsVerb {
    /// Make an authority and a certificate of the master, and say what to copy where
    Init(InitArgs),
    /// Make a new certificate of the master under the same authority
    Renew(RenewArgs),
}

#[derive(Debug, Args)]
struct InitArgs {
    /// A directory for the files; made if it is not there
    dir: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
struct RenewArgs {
    /// The directory where `init` put the files
    dir: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
struct ServerArgs {
    /// A host name or address by which slaves dial the master, as often as wanted
    /// [default: the names of the certificate that is there, or those of this machine]
    #[arg(long = "name", value_name = "HOST", value_parser = str::parse::<Name>)]
    names: Vec<Name>,
    /// How many days the certificate is good for
    #[arg(long, default_value_t = 3 * 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

/// Does what was asked.
pub(super) fn run(args: &TlsArgs) -> Done {
    match &args.verb {
        TlsVerb::Init(args) => init(args),
        TlsVerb::Renew(args) => renew(args),
    }
}

fn init(args: &InitArgs) -> Done {
    let dir = &args.dir;
    if let Some(there) = ALL.map(|it| dir.join(it)).iter().find(|it| it.exists()) {
        let dir = dir.display();
        return Err(
            Failure::new(format!("`{}` is there already", there.display()))
                .hint(format!(
                    "`autobot tls renew {dir}` makes a new certificate under the same authority"
                ))
                .hint("a new authority would have to be copied to every slave again"),
        );
    }
    fs::create_dir_all(dir)
        .map_err(|error| Failure::because(format!("failed to make `{}`", dir.display()), &error))?;
    let authority = Authority::make().map_err(Failure::from)?;
    let now = clock::now();
    let issued = authority.issued(now).map_err(Failure::from)?;
    let names = match args.server.names.is_empty() {
        true => own_names(),
        false => args.server.names.clone(),
    };
    let server = sign(&authority, &names, &args.server)?;
    write(dir, CA, &issued.certificate, 0o644)?;
    write(dir, CA_KEY, &issued.key, 0o600)?;
    write(dir, SERVER, &server.certificate, 0o644)?;
    write(dir, SERVER_KEY, &server.key, 0o600)?;
    say_what_goes_where(dir);
    say_certificate(&names, args.server.days, &server);
    println!("authority:   SHA-256 {}", issued.fingerprint);
    Ok(())
}

fn renew(args: &RenewArgs) -> Done {
    let dir = &args.dir;
    let file = dir.join(CA_KEY);
    let key = fs::read_to_string(&file).map_err(|error| {
        Failure::because(format!("failed to read `{}`", file.display()), &error).hint(
            "without the key of its authority no certificate can be made; `autobot tls init` \
             makes an authority",
        )
    })?;
    let authority = Authority::with_key(&file, &key).map_err(Failure::from)?;
    let names = match args.server.names.is_empty() {
        true => names_there(dir)?,
        false => args.server.names.clone(),
    };
    let server = sign(&authority, &names, &args.server)?;
    // Together they are right, and neither is without the other: a master that reads between
    // the two says so and goes on with what it had.
    replace(dir, SERVER_KEY, &server.key, 0o600)?;
    replace(dir, SERVER, &server.certificate, 0o644)?;
    say_certificate(&names, args.server.days, &server);
    println!("\n`autobot reconfig` has a running master show it; no line is cut.");
    Ok(())
}

fn sign(authority: &Authority, names: &[Name], server: &ServerArgs) -> Result<Issued, Failure> {
    let signed = authority.sign(names, clock::now(), server.days);
    signed.map_err(Failure::from)
}

/// By what this machine is reached, as far as it knows.
fn own_names() -> Vec<Name> {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy().into_owned();
    let mut names: Vec<Name> = [host.as_str(), "localhost", "127.0.0.1", "::1"]
        .iter()
        .filter_map(|it| it.parse().ok())
        .collect();
    let mut seen = Vec::new();
    names.retain(|it| {
        let is_new = !seen.contains(it);
        seen.push(it.clone());
        is_new
    });
    names
}

/// The names of the certificate that is to be replaced.
fn names_there(dir: &Path) -> Result<Vec<Name>, Failure> {
    let there = Identity::read(&dir.join(SERVER), &dir.join(SERVER_KEY)).map_err(|error| {
        Failure::from(error).hint("`--name HOST` says what the new certificate is for")
    })?;
    let names: Result<Vec<Name>, String> = there.names().iter().map(|it| it.parse()).collect();
    names.map_err(Failure::new)
}

/// Writes a file that is not there.
fn write(dir: &Path, name: &str, text: &str, mode: u32) -> Done {
    let path = dir.join(name);
    write_to(&path, text, mode).map_err(|error| {
        Failure::because(format!("failed to write `{}`", path.display()), &error)
    })?;
    println!("made {}", path.display());
    Ok(())
}

/// Puts a file in the place of another in one step.
fn replace(dir: &Path, name: &str, text: &str, mode: u32) -> Done {
    let path = dir.join(name);
    let new = dir.join(format!("{name}.new"));
    // One of a renewal that was cut off.
    drop(fs::remove_file(&new));
    write_to(&new, text, mode)
        .and_then(|()| fs::rename(&new, &path))
        .map_err(|error| {
            Failure::because(format!("failed to write `{}`", path.display()), &error)
        })?;
    println!("made {}", path.display());
    Ok(())
}

fn write_to(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn say_what_goes_where(dir: &Path) {
    let shown = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let [server, key, ca] = [SERVER, SERVER_KEY, CA].map(|it| shown.join(it));
    println!(
        "
In the master's [:master:], then `autobot reconfig`:

    tls = offered
    tls_certificate = {}
    tls_key = {}

Copy {} to each slave. In its slave.ini, then `autobot restart`:

    tls_ca = {CA}

`autobot create-slave --ca {CA}` makes a new slave so. When every slave has it, `tls = required`
refuses plain lines. {CA_KEY} goes nowhere: `autobot tls renew` alone needs it.
",
        server.display(),
        key.display(),
        ca.display(),
    );
}

fn say_certificate(names: &[Name], days: u32, server: &Issued) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let day = i64::try_from(Duration::from_hours(24).as_millis()).expect("a day is short");
    let last = Timestamp(clock::now().0 + i64::from(days) * day);
    println!("names:       {}", names.join(", "));
    println!("good until:  {}", clock::day(last));
    println!("certificate: SHA-256 {}", server.fingerprint);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: TlsArgs,
    }

    fn tls(dir: &Path, words: &[&str]) -> Result<(), String> {
        let dir = dir.to_str().unwrap();
        let line = ["tls", words[0], dir]
            .into_iter()
            .chain(words[1..].iter().copied());
        let args = Line::try_parse_from(line).map_err(|error| error.to_string())?;
        run(&args.args).map_err(|failure| failure.text().replace(dir, "DIR"))
    }

    fn names(dir: &Path) -> Vec<String> {
        let identity = Identity::read(&dir.join(SERVER), &dir.join(SERVER_KEY)).unwrap();
        identity.names()
    }

    #[test]
    fn what_is_made_is_good_and_its_keys_are_the_owners_alone() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("tls");
        tls(&dir, &["init"]).unwrap();
        assert!(names(&dir).iter().any(|it| it == "localhost"));
        let identity = Identity::read(&dir.join(SERVER), &dir.join(SERVER_KEY)).unwrap();
        assert_eq!(identity.findings(), []);
        for key in [CA_KEY, SERVER_KEY] {
            let mode = fs::metadata(dir.join(key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{key}");
        }
    }

    #[test]
    fn an_authority_is_not_overwritten() {
        let base = tempfile::tempdir().unwrap();
        tls(base.path(), &["init"]).unwrap();
        let before = fs::read(base.path().join(CA)).unwrap();
        assert_eq!(
            tls(base.path(), &["init"]).unwrap_err(),
            "`DIR/ca.pem` is there already\n\
             hint: `autobot tls renew DIR` makes a new certificate under the same authority\n\
             hint: a new authority would have to be copied to every slave again"
        );
        assert_eq!(fs::read(base.path().join(CA)).unwrap(), before);
    }

    #[test]
    fn a_renewal_keeps_the_authority_and_the_names() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path();
        tls(dir, &["init", "--name", "ci.test", "--name", "10.0.0.5"]).unwrap();
        let before = ALL.map(|it| fs::read(dir.join(it)).unwrap());
        tls(dir, &["renew"]).unwrap();
        assert_eq!(names(dir), ["ci.test", "10.0.0.5"]);
        let after = ALL.map(|it| fs::read(dir.join(it)).unwrap());
        assert_eq!(before[..2], after[..2]);
        assert!(before[2] != after[2] && before[3] != after[3]);
        tls(dir, &["renew", "--name", "new.test"]).unwrap();
        assert_eq!(names(dir), ["new.test"]);
    }

    #[test]
    fn what_cannot_be_made_is_told() {
        let base = tempfile::tempdir().unwrap();
        let told = tls(base.path(), &["renew"]).unwrap_err();
        assert!(
            told.starts_with("failed to read `DIR/ca.key`\ncause: "),
            "{told}"
        );
        let told = tls(base.path(), &["init", "--name", "a b"]).unwrap_err();
        assert!(told.contains("is neither a host name such as"), "{told}");
        assert!(tls(base.path(), &["init", "--days", "0"]).is_err());
        fs::write(base.path().join(CA_KEY), "nothing").unwrap();
        let told = tls(base.path(), &["renew"]).unwrap_err();
        assert!(
            told.starts_with("the authority's key `DIR/ca.key` cannot be used"),
            "{told}"
        );
    }
}
