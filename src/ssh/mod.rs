//! Other hosts over ssh: a connection whose host key is known, commands on it,
//! and one that stays as a stream. libssh2 blocks, so every connection has a
//! thread of its own, which the caller lends; [`Cut`] ends it from outside.
//! It does not know what is run there.

mod bridge;
mod connect;
mod known_hosts;
mod proxy;
mod run;

use std::io;
use std::path::PathBuf;

pub(crate) use connect::{Connection, Cut};
pub(crate) use known_hosts::ShownKey;
pub(crate) use run::quoted;

/// Where to log in, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    /// The agent's keys, if unset.
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) known_hosts: PathBuf,
    /// A shell line whose standard input and output are the connection.
    pub(crate) proxy_command: Option<String>,
}

/// Why there is no connection, or no longer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SshError {
    #[error("failed to find the address of host `{host}`")]
    Resolve { host: String, source: io::Error },
    #[error("failed to connect to `{host}` port {port}")]
    Connect {
        host: String,
        port: u16,
        source: io::Error,
    },
    #[error("failed to start the proxy_command")]
    Proxy(#[source] io::Error),
    #[error("failed to speak ssh with `{host}` port {port}{said}")]
    Handshake {
        host: String,
        port: u16,
        /// By the proxy command.
        said: String,
        source: ssh2::Error,
    },
    #[error("failed to read `{}`", path.display())]
    KnownHosts { path: PathBuf, source: io::Error },
    #[error("the key of host `{host}` is not known: it shows {shown}, and `{}` has none of it", path.display())]
    UnknownHost {
        host: String,
        shown: Box<ShownKey>,
        path: PathBuf,
    },
    #[error("the key of host `{host}` is another: it shows {shown}, but line {line} of `{}` has {known}", path.display())]
    OtherKey {
        host: String,
        shown: Box<ShownKey>,
        known: Box<ShownKey>,
        line: usize,
        path: PathBuf,
    },
    #[error("the key of host `{host}`, {shown}, is revoked by line {line} of `{}`", path.display())]
    Revoked {
        host: String,
        shown: Box<ShownKey>,
        line: usize,
        path: PathBuf,
    },
    #[error("host `{0}` shows no key")]
    NoKey(String),
    #[error("failed to log in to `{host}` as `{user}` with {with}")]
    Login {
        host: String,
        user: String,
        with: String,
        source: ssh2::Error,
    },
    #[error(
        "the key `{}` has a passphrase, which nobody can type here; give it to the ssh agent of the \
         master's user (`ssh-add`) and leave out `key_file`, or make a key without one",
        .0.display()
    )]
    Passphrase(PathBuf),
    #[error("the ssh agent has no key that `{host}` takes for `{user}`")]
    NoIdentity { host: String, user: String },
    #[error("the line failed")]
    Ssh(#[from] ssh2::Error),
    #[error("the line failed")]
    Io(#[from] io::Error),
    #[error("{what} ended with exit status {code}{said}")]
    Failed {
        what: &'static str,
        code: i32,
        /// `: …`, or nothing.
        said: String,
    },
    #[error("the connection was given up")]
    Cut,
}
