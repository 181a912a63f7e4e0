//! A certificate with its key: what the master shows to who dials in.

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::CertificateError;
use rustls::Error;
use rustls::InconsistentKeys;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::client::verify_server_name;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use rustls::server::ParsedCertificate;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::pem;
use super::pem::PemError;
use super::provider;
use crate::clock;
use crate::model::Timestamp;

/// A certificate that ends sooner than this is worth a word.
const SOON: Duration = Duration::from_hours(30 * 24);

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error("the certificate `{}` cannot be used", .0.display())]
    Certificate(PathBuf, #[source] PemError),
    #[error("the key `{}` cannot be used", .0.display())]
    Key(PathBuf, #[source] PemError),
    #[error("the key `{}` does not belong to the certificate `{}`", .key.display(), .certificate.display())]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("`{}` and `{}` are not for TLS", .certificate.display(), .key.display())]
    Unusable {
        certificate: PathBuf,
        key: PathBuf,
        source: Error,
    },
}

impl IdentityError {
    /// Whether it is the key's fault.
    pub(crate) const fn is_of_key(&self) -> bool {
        matches!(self, Self::Key(..) | Self::Mismatch { .. })
    }
}

/// A certificate with its key, read from files.
#[derive(Clone)]
pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    config: Arc<ServerConfig>,
}

/// Who is shown a certificate.
#[derive(Clone, Copy)]
enum Callers {
    Slaves,
    Visitors,
}

/// What is wrong with a certificate that can be read: who dials in would not believe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Expired(Timestamp),
    NotYet(Timestamp),
    Soon(Timestamp),
    /// It is an authority's, which signs others and is no server itself.
    Authority,
    /// It is for other things than being dialled.
    Purpose,
    /// There is no host name and no address in it.
    Nameless,
    Other(String),
}

impl Finding {
    /// What it is, after the certificate's name.
    pub(crate) fn what(&self) -> String {
        match self {
            Self::Expired(at) => format!("expired on {}", clock::day(*at)),
            Self::NotYet(at) => format!("is not valid before {}", clock::iso(*at)),
            Self::Soon(at) => format!("expires on {}", clock::day(*at)),
            Self::Authority => {
                "is the certificate of an authority (`CA:TRUE`), and not of a server".into()
            }
            Self::Purpose => "is not made for servers".into(),
            Self::Nameless => "names neither a host nor an address".into(),
            Self::Other(why) => format!("is not believed: {why}"),
        }
    }

    /// What to do about it.
    pub(crate) const fn help(&self) -> &'static str {
        match self {
            Self::Expired(_) | Self::Soon(_) => {
                "`autobot tls renew DIR` makes a new one under the same authority"
            }
            Self::NotYet(_) => "look at the clock of this machine",
            Self::Authority => {
                "`openssl req -x509` makes such ones; have the authority sign a server's \
                 certificate, or let `autobot tls init DIR` make both"
            }
            Self::Purpose | Self::Nameless | Self::Other(_) => {
                "`autobot tls init DIR --name HOST` makes one that slaves believe"
            }
        }
    }
}

impl Identity {
    /// Reads a certificate, with those that signed it behind it, and its key, for slaves.
    pub(crate) fn read(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        Self::read_for(Callers::Slaves, certificate, key)
    }

    /// The same for browsers and other programs that ask for pages.
    pub(crate) fn read_for_pages(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        Self::read_for(Callers::Visitors, certificate, key)
    }

    fn read_for(callers: Callers, certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let chain = pem::certificates(certificate)
            .map_err(|error| IdentityError::Certificate(certificate.to_owned(), error))?;
        let secret = pem::key(key).map_err(|error| IdentityError::Key(key.to_owned(), error))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring speaks TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(chain.clone(), secret)
            .map_err(|error| {
                let (certificate, key) = (certificate.to_owned(), key.to_owned());
                match error {
                    Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                        IdentityError::Mismatch { certificate, key }
                    }
                    source => IdentityError::Unusable {
                        certificate,
                        key,
                        source,
                    },
                }
            })?;
        match callers {
            // A slave dials once and stays: tickets for a quick return would only be kept.
            Callers::Slaves => config.send_tls13_tickets = 0,
            Callers::Visitors => config.alpn_protocols = vec![b"http/1.1".to_vec()],
        }
        let config = Arc::new(config);
        Ok(Self { chain, config })
    }

    /// Takes callers over TLS.
    pub(crate) fn acceptor(&self) -> Acceptor {
        Acceptor(TlsAcceptor::from(Arc::clone(&self.config)))
    }

    /// The names in the certificate.
    pub(crate) fn names(&self) -> Vec<String> {
        names(&self.chain[0])
    }

    /// By which people tell it from others.
    pub(crate) fn fingerprint(&self) -> String {
        pem::fingerprint(&self.chain[0])
    }

    /// Looks at the certificate as who dials in will.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let Ok(certificate) = ParsedCertificate::try_from(&self.chain[0]) else {
            return vec![Finding::Other("it cannot be read".into())];
        };
        let now = clock::now();
        let mut findings = match believed(&certificate, now, Duration::ZERO) {
            Some(finding) => vec![finding],
            None => match believed(&certificate, now, SOON) {
                Some(Finding::Expired(at)) => vec![Finding::Soon(at)],
                _ => Vec::new(),
            },
        };
        if self.names().is_empty() {
            findings.push(Finding::Nameless);
        }
        findings
    }
}

/// What a verifier that trusts nobody has against a certificate, beyond that.
fn believed(
    certificate: &ParsedCertificate<'_>,
    now: Timestamp,
    ahead: Duration,
) -> Option<Finding> {
    let at = Duration::from_millis(u64::try_from(now.0).unwrap_or(0)) + ahead;
    let nobody = RootCertStore::empty();
    let algorithms = provider().signature_verification_algorithms.all;
    let at = UnixTime::since_unix_epoch(at);
    let verified =
        verify_server_cert_signed_by_trust_anchor(certificate, &nobody, &[], at, algorithms);
    let Err(Error::InvalidCertificate(error)) = verified else {
        return None;
    };
    match &error {
        // Everything else was looked at before the question who signed it.
        CertificateError::UnknownIssuer => None,
        CertificateError::ExpiredContext { not_after, .. } => {
            Some(Finding::Expired(timestamp(*not_after)))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            Some(Finding::NotYet(timestamp(*not_before)))
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Some(Finding::Purpose)
        }
        other if is_authority(other) => Some(Finding::Authority),
        other => Some(Finding::Other(other.to_string())),
    }
}

/// The names of a certificate, as the verifier lists them for one that is not among them.
fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let nobody = ServerName::try_from("nobody.invalid").expect("a name");
    let Ok(certificate) = ParsedCertificate::try_from(certificate) else {
        return Vec::new();
    };
    match verify_server_name(&certificate, &nobody) {
        Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            presented,
            ..
        })) => presented.iter().map(|it| plain_name(it)).collect(),
        _ => Vec::new(),
    }
}

/// A presented name as people write it: `DnsName("ci.test")` is `ci.test`.
pub(super) fn plain_name(presented: &str) -> String {
    let inside = presented
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or(presented).trim_matches('"').to_owned()
}

/// Whether the verifier says that a server shows an authority's certificate.
pub(super) fn is_authority(error: &CertificateError) -> bool {
    matches!(error, CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity")
}

pub(super) fn timestamp(at: UnixTime) -> Timestamp {
    Timestamp(
        i64::try_from(at.as_secs())
            .unwrap_or(i64::MAX)
            .saturating_mul(1000),
    )
}

/// Takes callers over TLS with the certificate that it was made from.
#[derive(Clone)]
pub(crate) struct Acceptor(TlsAcceptor);

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

impl Acceptor {
    /// Agrees on keys with a caller.
    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.0.accept(stream).await
    }
}

/// Why a handshake failed, in the words of who was called.
pub(crate) fn refusal(error: &io::Error) -> String {
    let tls = error.get_ref().and_then(|it| it.downcast_ref::<Error>());
    match tls {
        Some(Error::AlertReceived(alert)) => {
            format!("the caller does not believe this master's certificate, and says `{alert:?}`")
        }
        Some(other) => format!("TLS could not be agreed on: {other}"),
        None => format!("the line broke while TLS was agreed on: {error}"),
    }
}

/// What a caller with TLS is told where there is none: the fatal alert `access_denied`.
pub(crate) const fn no_tls_here() -> [u8; 7] {
    [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 49]
}
