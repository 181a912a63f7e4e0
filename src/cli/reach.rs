//! The master that a command is about: over the socket in its directory, or over the network
//! with whatever lets the command in.

use std::env;
use std::path::Path;
use std::path::PathBuf;

use clap::Args;

use super::args::DirsArgs;
use super::args::MasterArgs;
use super::daemon;
use super::exit::Failure;
use super::password;
use super::place::Base;
use crate::client::Address;
use crate::client::Client;
use crate::client::Proof;
use crate::config;
use crate::tls::Trust;

/// What `autobot tls init` calls the authority, beside the certificate.
const AUTHORITY: &str = "ca.pem";

/// Directories, or a master that is not on this machine.
#[derive(Debug, Args)]
pub(super) struct ReachArgs {
    #[command(flatten)]
    pub(super) dirs: DirsArgs,
    #[command(flatten)]
    pub(super) far: FarArgs,
}

/// A master that is not on this machine.
#[derive(Debug, Default, Args)]
pub(super) struct FarArgs {
    /// The address of a master's pages, to talk to it over the network with the token that stands
    /// in AUTOBOT_TOKEN [default: AUTOBOT_URL, where no directory is named]
    #[arg(
        long,
        visible_alias = "master",
        value_name = "URL",
        conflicts_with = "dirs"
    )]
    url: Option<String>,
    /// Whom to believe at an `https://` address: the certificate of an authority in PEM [default:
    /// whom the system trusts]
    #[arg(long, env = "AUTOBOT_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl FarArgs {
    /// Whether one is named on the command line.
    pub(super) const fn is_named(&self) -> bool {
        self.url.is_some()
    }

    /// The master that is meant, if these directories are not.
    pub(super) fn master(&self, dirs: &DirsArgs) -> Option<MasterArgs> {
        let dir = env::var_os("AUTOBOT_DIR").filter(|it| !it.is_empty());
        let args = MasterArgs {
            dir: dirs.dirs.first().cloned().or(dir.map(PathBuf::from)),
            master: self.url.clone(),
            ca: self.ca.clone(),
        };
        address(&args).is_some().then_some(args)
    }
}

/// The master that a command is about: `--master`, `--dir`, `$AUTOBOT_DIR`,
/// the current directory, its `master/`.
pub(super) fn client(args: &MasterArgs) -> Result<Client, Failure> {
    if let Some(address) = address(args) {
        return over_network(&address, args);
    }
    let dir = args.dir.as_deref().unwrap_or(Path::new("."));
    let base = Base::master_of(dir)?;
    if daemon::running(&base.dir)?.is_none() {
        return Err(Failure::new(format!("{base} is not running"))
            .hint(format!("autobot start {}", base.dir.display())));
    }
    Ok(base.client())
}

/// The same, for who logs in with a name and a password instead of a token.
pub(super) fn client_as(args: &MasterArgs, login: Option<(&str, &str)>) -> Result<Client, Failure> {
    let client = client(args)?;
    let Some((user, said)) = login else {
        return Ok(client);
    };
    let proof = Proof::Password {
        user: user.to_owned(),
        password: password::said(said)?,
    };
    Ok(client.with_proof(Some(proof)))
}

/// The address that a command goes to, if it goes over the network. A directory that is named is
/// nearer than an address that is always there.
pub(super) fn address(args: &MasterArgs) -> Option<String> {
    let usual = || named("AUTOBOT_URL").filter(|_| args.dir.is_none());
    args.master.clone().or_else(usual)
}

/// The master at an address, which is shown the token in AUTOBOT_TOKEN.
pub(super) fn over_network(address: &str, args: &MasterArgs) -> Result<Client, Failure> {
    let address = Address::parse(address);
    let address = address.map_err(|error| Failure::usage(error.to_string()))?;
    let trust = match &address {
        Address::Tcp {
            tls: true, host, ..
        } => Some(trust(host, args)?),
        Address::Tcp { .. } | Address::Socket(_) => None,
    };
    let proof = token()?.map(Proof::Token);
    Ok(Client::new(address).with_proof(proof).with_trust(trust))
}

/// The master at the address that these mean, and how it is called.
pub(super) fn far(args: &MasterArgs) -> Result<(Client, String), Failure> {
    let address = address(args).unwrap_or_default();
    let client = over_network(&address, args)?;
    let name = format!("the master at `{}`", client.address());
    Ok((client, name))
}

/// The token in AUTOBOT_TOKEN.
fn token() -> Result<Option<String>, Failure> {
    let token = named("AUTOBOT_TOKEN").map(|it| it.trim().to_owned());
    match token {
        Some(it) if it.contains(char::is_control) => {
            Err(Failure::usage("the token in AUTOBOT_TOKEN is one line"))
        }
        token => Ok(token),
    }
}

/// Whom to believe: the authority that is named, that of the master in the directory that is
/// named, or whom the system trusts.
fn trust(host: &str, args: &MasterArgs) -> Result<Trust, Failure> {
    let of_dir = || args.dir.as_deref().and_then(authority_of);
    let authority = args.ca.clone().or_else(of_dir);
    Trust::for_pages(authority.as_deref(), host).map_err(|error| {
        let failure = Failure::from(error);
        match args.ca {
            Some(_) => failure.hint("`--ca` takes the `ca.pem` that `autobot tls init` made"),
            None => failure,
        }
    })
}

/// The authority that stands beside the certificate of a master on this machine.
fn authority_of(dir: &Path) -> Option<PathBuf> {
    let base = Base::master_of(dir).ok()?;
    // What is wrong with the files is not what this command is about.
    let plan = config::load_offline(&base.dir).ok()?;
    let shown = plan.web.server.tls.as_ref()?;
    let authority = shown.certificate.with_file_name(AUTHORITY);
    authority.is_file().then_some(authority)
}

/// A variable that says something.
pub(super) fn named(name: &str) -> Option<String> {
    env::var(name).ok().filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn args(master: &str) -> MasterArgs {
        MasterArgs {
            dir: None,
            master: Some(master.to_owned()),
            ca: None,
        }
    }

    #[test]
    fn an_address_that_is_none_is_wrong_use() {
        let failure = client(&args("ftp://x")).unwrap_err();
        assert_eq!(
            failure,
            Failure::usage("`ftp://x` is not an address such as `http://ci.example.org:8010`")
        );
    }

    #[test]
    fn an_authority_that_is_none_is_told_with_what_would_be_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        fs::write(&file, "no certificate").unwrap();
        let args = MasterArgs {
            ca: Some(file.clone()),
            ..args("https://ci.test")
        };
        let told = client(&args).unwrap_err().text();
        assert_eq!(
            told,
            format!(
                "the authority's certificate `{}` cannot be used\n\
                 cause: it holds no certificate; a PEM file has `-----BEGIN CERTIFICATE-----` in it\n\
                 hint: `--ca` takes the `ca.pem` that `autobot tls init` made",
                file.display()
            )
        );
    }

    #[test]
    fn the_authority_of_a_master_here_stands_beside_its_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let ini = "[:master:]\nhtmlport = 8010\n[slave:a]\npassword = b\nfactories = c\n\
                   [c]\ntype = shell\ncommands = true\n[:web:]\npublic_http_port = https:8443\n\
                   tls_certificate = tls/server.pem\ntls_key = tls/server.key\n";
        fs::write(dir.path().join("master.ini"), ini).unwrap();
        assert_eq!(authority_of(dir.path()), None);
        fs::create_dir(dir.path().join("tls")).unwrap();
        fs::write(dir.path().join("tls/ca.pem"), "").unwrap();
        assert_eq!(
            authority_of(dir.path()),
            Some(dir.path().join("tls/ca.pem"))
        );
    }
}
