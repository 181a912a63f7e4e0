//! From an address to a connection: the host has shown a key that is known,
//! and takes ours.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ssh2::{MethodType, Session};

use super::known_hosts::{Known, ShownKey, Verdict, hashes};
use super::proxy::{Proxy, filled};
use super::{Host, SshError};

/// What a host may take to accept a connection.
const DIAL: Duration = Duration::from_secs(20);
/// What it may take for each answer.
const ANSWER: Duration = Duration::from_secs(60);

/// How OpenSSH's form begins when its cipher is `none`.
const NO_CIPHER: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU";

/// A host that we are logged in to.
pub(crate) struct Connection {
    pub(super) session: Session,
    pub(super) socket: Arc<OwnedFd>,
    /// Ends with the connection.
    _proxy: Option<Proxy>,
}

/// Ends a connection from another thread, whatever it is waiting for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cut(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    is_cut: bool,
    socket: Option<Arc<OwnedFd>>,
}

impl Cut {
    pub(crate) fn cut(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.is_cut = true;
        if let Some(socket) = state.socket.take() {
            // What waits for it hears that nothing comes any more.
            let _ = rustix::net::shutdown(&socket, rustix::net::Shutdown::Both);
        }
    }

    fn hold(&self, socket: &Arc<OwnedFd>) -> Result<(), SshError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_cut {
            return Err(SshError::Cut);
        }
        state.socket = Some(Arc::clone(socket));
        Ok(())
    }
}

/// What libssh2 reads from; it stays ours.
struct Shared(Arc<OwnedFd>);

impl AsRawFd for Shared {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Host {
    /// Connects and logs in.
    ///
    /// # Errors
    /// Among others, a host whose key is not known or another.
    pub(crate) fn connect(&self, cut: &Cut) -> Result<Connection, SshError> {
        let (connection, known) = self.shake_hands(cut)?;
        let (shown, is_known) = self.judge(&connection, &known)?;
        if !is_known {
            return Err(SshError::UnknownHost {
                host: self.host.clone(),
                shown: Box::new(shown),
                path: self.known_hosts.clone(),
            });
        }
        self.log_in(&connection.session)?;
        Ok(connection)
    }

    /// The key that the host shows, whoever that is. Nothing is told to it.
    ///
    /// # Errors
    /// There is no host, or one whose key is known, with [`SshError::OtherKey`] if another.
    pub(crate) fn look(&self, cut: &Cut) -> Result<(ShownKey, bool), SshError> {
        let (connection, known) = self.shake_hands(cut)?;
        self.judge(&connection, &known)
    }

    /// The key that the host shows, and whether it is known.
    fn judge(&self, connection: &Connection, known: &Known) -> Result<(ShownKey, bool), SshError> {
        let (host, path) = (self.host.clone(), self.known_hosts.clone());
        let key = connection.session.host_key();
        let Some(shown) = key.and_then(|(blob, _)| ShownKey::of(blob)) else {
            return Err(SshError::NoKey(host));
        };
        match known.judge(&shown) {
            Verdict::Known => Ok((shown, true)),
            Verdict::Unknown => Ok((shown, false)),
            Verdict::Revoked { line } => Err(SshError::Revoked {
                host,
                shown: Box::new(shown),
                line,
                path,
            }),
            Verdict::Other { line, known } => Err(SshError::OtherKey {
                host,
                shown: Box::new(shown),
                known: Box::new(known),
                line,
                path,
            }),
        }
    }

    fn shake_hands(&self, cut: &Cut) -> Result<(Connection, Known), SshError> {
        let (socket, mut proxy) = match &self.proxy_command {
            None => (OwnedFd::from(self.dial()?), None),
            Some(line) => {
                let line = filled(line, &self.host, self.port, &self.user);
                let (proxy, stream) = Proxy::start(&line).map_err(SshError::Proxy)?;
                (OwnedFd::from(stream), Some(proxy))
            }
        };
        let socket = Arc::new(socket);
        cut.hold(&socket)?;
        let mut session = Session::new()?;
        session.set_timeout(u32::try_from(ANSWER.as_millis()).unwrap_or(u32::MAX));
        let text = match fs::read_to_string(&self.known_hosts) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => {
                let path = self.known_hosts.clone();
                return Err(SshError::KnownHosts { path, source });
            }
        };
        let hashes = hashes(|| session.known_hosts().ok(), &self.host, self.port);
        let known = Known::read(&text, &self.host, self.port, &hashes);
        drop(hashes);
        prefer(&session, &known)?;
        session.set_tcp_stream(Shared(Arc::clone(&socket)));
        session.handshake().map_err(|source| SshError::Handshake {
            host: self.host.clone(),
            port: self.port,
            said: proxy.as_mut().map_or(String::new(), Proxy::said),
            source,
        })?;
        let connection = Connection {
            session,
            socket,
            _proxy: proxy,
        };
        Ok((connection, known))
    }

    fn dial(&self) -> Result<TcpStream, SshError> {
        let host = self.host.clone();
        let addresses = (self.host.as_str(), self.port)
            .to_socket_addrs()
            .map_err(|source| SshError::Resolve { host, source })?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in addresses {
            match TcpStream::connect_timeout(&address, DIAL) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(SshError::Connect {
            host: self.host.clone(),
            port: self.port,
            source: last,
        })
    }

    fn log_in(&self, session: &Session) -> Result<(), SshError> {
        let (host, user) = (self.host.clone(), self.user.clone());
        let failed = |with: String| {
            let (host, user) = (host.clone(), user.clone());
            |source| SshError::Login {
                host,
                user,
                with,
                source,
            }
        };
        if let Some(key) = &self.key_file {
            if fs::read_to_string(key).is_ok_and(|it| has_passphrase(&it)) {
                return Err(SshError::Passphrase(key.clone()));
            }
            let with = format!("the key `{}`", key.display());
            return session
                .userauth_pubkey_file(&self.user, None, key, None)
                .map_err(failed(with));
        }
        let with = || failed("the ssh agent (no `key_file` is set)".to_owned());
        let mut agent = session.agent().map_err(with())?;
        agent.connect().map_err(with())?;
        agent.list_identities().map_err(with())?;
        for identity in agent.identities().map_err(with())? {
            if agent.userauth(&self.user, &identity).is_ok() {
                return Ok(());
            }
        }
        Err(SshError::NoIdentity { host, user })
    }
}

/// Whether a private key is of no use without a passphrase.
fn has_passphrase(key: &str) -> bool {
    // The older forms say so in words.
    if key.contains("ENCRYPTED") {
        return true;
    }
    // OpenSSH's own form says with which cipher, in what base64 hides.
    let mut lines = key.lines().map(str::trim);
    lines.any(|it| it == "-----BEGIN OPENSSH PRIVATE KEY-----")
        && lines.next().is_some_and(|it| !it.starts_with(NO_CIPHER))
}

/// Has the host show a key of a kind that is known, if it has several.
fn prefer(session: &Session, known: &Known) -> Result<(), SshError> {
    let all = session.supported_algs(MethodType::HostKey)?;
    let kinds: BTreeSet<&str> = known.keys.iter().map(|it| it.1.kind.as_str()).collect();
    let is_known = |algorithm: &str| match algorithm {
        "rsa-sha2-256" | "rsa-sha2-512" => kinds.contains("ssh-rsa"),
        other => kinds.contains(other),
    };
    // Signatures with SHA-1, and keys that certificates vouch for, are not taken.
    let good = all
        .into_iter()
        .filter(|it| !it.contains("-cert-") && !matches!(*it, "ssh-rsa" | "ssh-dss"));
    let (first, rest): (Vec<&str>, Vec<&str>) = good.partition(|it| is_known(it));
    let order = [first, rest].concat().join(",");
    Ok(session.method_pref(MethodType::HostKey, &order)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_a_passphrase_is_recognised_by_its_form() {
        let openssh = |body: &str| {
            format!(
                "-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n"
            )
        };
        for (key, expected) in [
            (
                openssh("b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW"),
                false,
            ),
            (
                openssh("b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABDdRV8N5d"),
                true,
            ),
            ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n".to_owned(), false),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n".to_owned(),
                true,
            ),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIF\n".to_owned(),
                true,
            ),
            (String::new(), false),
        ] {
            assert_eq!(has_passphrase(&key), expected, "{key}");
        }
    }
}
