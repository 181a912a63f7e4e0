//! Whom the dialling side believes, and in words what is wrong with whom it
//! does not.

use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::AlertDescription;
use rustls::CertificateError;
use rustls::ClientConfig;
use rustls::Error;
use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::identity::is_authority;
use super::identity::plain_name;
use super::identity::timestamp;
use super::pem;
use super::pem::PemError;
use super::provider;
use crate::clock;

/// Why there is nobody to believe.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    #[error("the authority's certificate `{}` cannot be used", .0.display())]
    File(PathBuf, #[source] PemError),
    #[error("no certificate in `{}` can be an authority's", .0.display())]
    NoAuthority(PathBuf),
    #[error(
        "this system trusts no authority that is known; install `ca-certificates`, or name one"
    )]
    NoSystem,
    #[error("`{0}` is neither a host name nor an address")]
    Name(String),
}

/// Whom to believe, and under which name.
#[derive(Clone)]
pub(crate) struct Trust {
    connector: TlsConnector,
    name: ServerName<'static>,
    /// The file of the authority, for people.
    authority: Option<PathBuf>,
    caller: Caller,
}

/// Who dials: each is told in its own words what to do.
#[derive(Clone, Copy)]
enum Caller {
    Slave,
    CommandLine,
}

impl Trust {
    /// Believes a server that shows `name`, signed by an authority of the file, or by one
    /// that the system trusts.
    pub(crate) fn new(authority: Option<&Path>, name: &str) -> Result<Self, TrustError> {
        Self::of(Caller::Slave, authority, name)
    }

    /// The same for who asks for pages from the command line.
    pub(crate) fn for_pages(authority: Option<&Path>, name: &str) -> Result<Self, TrustError> {
        Self::of(Caller::CommandLine, authority, name)
    }

    fn of(caller: Caller, authority: Option<&Path>, name: &str) -> Result<Self, TrustError> {
        let roots = match authority {
            Some(path) => roots_of(path)?,
            None => system_roots()?,
        };
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let name =
            ServerName::try_from(bare.to_owned()).map_err(|_| TrustError::Name(name.to_owned()))?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring speaks TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name,
            authority: authority.map(Path::to_owned),
            caller,
        })
    }

    /// Agrees on keys with who was dialled, once it has shown that it is the right one.
    pub(crate) async fn connect<S>(&self, stream: S) -> Result<TlsStream<S>, Refused>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connected = self.connector.connect(self.name.clone(), stream).await;
        connected.map_err(|error| self.refused(error))
    }

    /// As [`Trust::connect`], with a server that is no master: the error is of TLS, in its words.
    pub(crate) async fn connect_to_server<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.connector.connect(self.name.clone(), stream).await
    }

    fn refused(&self, error: io::Error) -> Refused {
        let tls = error.get_ref().and_then(|it| it.downcast_ref::<Error>());
        let why = match tls {
            Some(Error::InvalidCertificate(why)) => return self.disbelief(why),
            Some(Error::AlertReceived(AlertDescription::AccessDenied)) => {
                "the master takes no TLS: `tls` is off in its [:master:]".to_owned()
            }
            Some(Error::InvalidMessage(_)) => {
                "what answers there does not speak TLS; is the port right?".to_owned()
            }
            Some(other) => format!("TLS could not be agreed on: {other}"),
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                "the master closed the line before TLS was agreed on; its log says why".to_owned()
            }
            None => return Refused::Line(error),
        };
        Refused::Tls(why)
    }

    fn disbelief(&self, why: &CertificateError) -> Refused {
        let name = self.name.to_str();
        Refused::Tls(match why {
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names: Vec<_> = presented
                    .iter()
                    .map(|it| format!("`{}`", plain_name(it)))
                    .collect();
                let names = match names.is_empty() {
                    true => "nothing".to_owned(),
                    false => names.join(", "),
                };
                let or = match self.caller {
                    Caller::Slave => "another name, set `tls_name`, or",
                    Caller::CommandLine => "one of its names, or",
                };
                format!(
                    "the master's certificate is for {names} and not for `{name}`; dial it by \
                     {or} make the certificate anew with this name"
                )
            }
            CertificateError::ExpiredContext { not_after, .. } => format!(
                "the master's certificate expired on {}; `autobot tls renew` makes a new one there",
                clock::day(timestamp(*not_after))
            ),
            CertificateError::NotValidYetContext { not_before, .. } => format!(
                "the master's certificate is not valid before {}; is the clock of this machine right?",
                clock::iso(timestamp(*not_before))
            ),
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                match &self.authority {
                    Some(file) => format!(
                        "the master's certificate is not signed by the authority in `{}`; is this \
                         the `ca.pem` of this master?",
                        file.display()
                    ),
                    None => {
                        let key = match self.caller {
                            Caller::Slave => "`tls_ca = FILE` names",
                            Caller::CommandLine => "`--ca FILE`, or AUTOBOT_CA, names",
                        };
                        format!(
                            "the master's certificate is not signed by anybody that this system \
                             trusts; {key} the master's own authority"
                        )
                    }
                }
            }
            other if is_authority(other) => {
                "the master shows the certificate of an authority (`CA:TRUE`) as its own; it needs \
                 one for a server, such as `autobot tls init` makes"
                    .to_owned()
            }
            other => format!("the master's certificate is not believed: {other}"),
        })
    }
}

/// Why a line with TLS did not come about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the line broke while TLS was agreed on")]
    Line(#[source] io::Error),
    /// Somebody has to change something before it goes better.
    #[error("{0}")]
    Tls(String),
}

fn roots_of(path: &Path) -> Result<RootCertStore, TrustError> {
    let found =
        pem::certificates(path).map_err(|error| TrustError::File(path.to_owned(), error))?;
    store_of(found).ok_or_else(|| TrustError::NoAuthority(path.to_owned()))
}

fn system_roots() -> Result<RootCertStore, TrustError> {
    store_of(rustls_native_certs::load_native_certs().certs).ok_or(TrustError::NoSystem)
}

fn store_of(certificates: Vec<CertificateDer<'static>>) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    (added > 0).then_some(roots)
}
