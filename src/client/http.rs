//! A small HTTP/1 client: one connection per request, over TCP or a unix
//! socket, with a limit on how long a master may keep quiet.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::address::Address;
use super::address::encode;
use super::proof::Proof;
use crate::tls::Refused;
use crate::tls::Trust;
use crate::tls::TrustError;

/// For the connection and for the head of an answer. A reload may take a
/// while, since it reads and checks every file.
const PATIENCE: Duration = Duration::from_secs(60);
/// Answers that are read whole: no document of ours comes near it.
const LARGEST_ANSWER: usize = 64 << 20;

const FORM: &str = "application/x-www-form-urlencoded";

/// Talks to one master.
#[derive(Clone)]
pub(crate) struct Client {
    address: Address,
    patience: Duration,
    /// Shown with every request.
    proof: Option<Proof>,
    /// Whom to believe; without it, whom the system trusts.
    trust: Option<Trust>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// What goes with a request: its type, and what it is.
type Body = (&'static str, Bytes);

/// A log as it comes.
#[derive(Debug)]
pub(crate) struct Download {
    body: Incoming,
    address: Address,
}

/// Why the master gave no good answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("failed to reach the master at `{address}`")]
    Unreachable {
        address: Address,
        #[source]
        source: io::Error,
    },
    #[error("failed to speak TLS with the master at `{address}`")]
    Tls {
        address: Address,
        #[source]
        source: Refused,
    },
    #[error("the master at `{address}` cannot be believed")]
    Trust {
        address: Address,
        #[source]
        source: TrustError,
    },
    #[error("the master at `{address}` did not answer within {} s", .after.as_secs())]
    Silent { address: Address, after: Duration },
    #[error("the connection to the master at `{address}` broke")]
    Broken {
        address: Address,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The master said no; the text is its own.
    #[error("{what}")]
    Refused { status: u16, what: String },
    #[error("the answer of the master at `{address}` cannot be read")]
    Garbled {
        address: Address,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl Client {
    pub(crate) fn new(address: Address) -> Self {
        Self {
            address,
            patience: PATIENCE,
            proof: None,
            trust: None,
        }
    }

    /// Shows this with every request.
    pub(crate) fn with_proof(self, proof: Option<Proof>) -> Self {
        Self { proof, ..self }
    }

    /// Believes these, and nobody else.
    pub(crate) fn with_trust(self, trust: Option<Trust>) -> Self {
        Self { trust, ..self }
    }

    /// Where the master is.
    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }

    /// Asks for a JSON document.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let answer = self.send(Method::GET, path, None).await?;
        self.document(answer).await
    }

    /// Sends a form and reads the JSON document that answers it.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        let answer = self
            .send(Method::POST, path, Some((FORM, form(fields).into())))
            .await?;
        self.document(answer).await
    }

    /// Sends what is no form, and reads the JSON document that answers it.
    pub(crate) async fn hand_in<T: DeserializeOwned>(
        &self,
        path: &str,
        kind: &'static str,
        bytes: Vec<u8>,
    ) -> Result<T, ClientError> {
        let body = Some((kind, bytes.into()));
        let answer = self.send(Method::POST, path, body).await?;
        self.document(answer).await
    }

    /// Sends an order without arguments; the answer is text.
    pub(crate) async fn order(&self, path: &str) -> Result<String, ClientError> {
        let answer = self
            .send(Method::POST, path, Some((FORM, Bytes::new())))
            .await?;
        let text = self.whole(answer).await?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Sends a form; the answer is text.
    pub(crate) async fn tell(
        &self,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<String, ClientError> {
        let answer = self
            .send(Method::POST, path, Some((FORM, form(fields).into())))
            .await?;
        let text = self.whole(answer).await?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// The end of a text, of so many bytes at the most.
    pub(crate) async fn tail(&self, path: &str, most: usize) -> Result<Vec<u8>, ClientError> {
        let mut text = self.download(&format!("{path}?follow=0")).await?;
        let mut tail = Vec::new();
        while let Some(piece) = self.in_time(text.next()).await?? {
            tail.extend_from_slice(&piece);
            let more = tail.len().saturating_sub(most);
            // Not at each piece: what stays is moved.
            if more > most {
                tail.drain(..more);
            }
        }
        let more = tail.len().saturating_sub(most);
        tail.drain(..more);
        Ok(tail)
    }

    /// Opens a text that may still grow.
    pub(crate) async fn download(&self, path: &str) -> Result<Download, ClientError> {
        let answer = self.send(Method::GET, path, None).await?;
        Ok(Download {
            body: answer.into_body(),
            address: self.address.clone(),
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Body>,
    ) -> Result<Response<Incoming>, ClientError> {
        let exchange = async {
            match &self.address {
                Address::Socket(socket) => {
                    let stream = open_socket(socket).await;
                    self.exchange(stream, method, path, body).await
                }
                Address::Tcp {
                    tls, host, port, ..
                } => {
                    let host = host.trim_start_matches('[').trim_end_matches(']');
                    let stream = TcpStream::connect((host, *port)).await;
                    match tls {
                        false => self.exchange(stream, method, path, body).await,
                        true => {
                            let stream = self.agree(host, stream).await?;
                            self.exchange(Ok(stream), method, path, body).await
                        }
                    }
                }
            }
        };
        let answer = self.in_time(exchange).await??;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let location = answer.headers().get(header::LOCATION);
        let location = location.and_then(|it| it.to_str().ok()).map(str::to_owned);
        let text = self.whole(answer).await?;
        let speaks_tls = location.is_some_and(|it| it.starts_with("https://"));
        if status.is_redirection() && speaks_tls && !self.address.is_tls() {
            return Err(ClientError::Refused {
                status: status.as_u16(),
                what: format!(
                    "the master at `{}` answers over TLS only; its address begins with `https://`",
                    self.address
                ),
            });
        }
        Err(refusal(status, &String::from_utf8_lossy(&text)))
    }

    /// Agrees on keys with a master that shows that it is the right one.
    async fn agree(
        &self,
        host: &str,
        stream: io::Result<TcpStream>,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, ClientError> {
        let address = || self.address.clone();
        let stream = stream.map_err(|source| ClientError::Unreachable {
            address: address(),
            source,
        })?;
        let trust = match &self.trust {
            Some(trust) => trust.clone(),
            None => Trust::for_pages(None, host).map_err(|source| ClientError::Trust {
                address: address(),
                source,
            })?,
        };
        let agreed = trust.connect(stream).await;
        agreed.map_err(|source| ClientError::Tls {
            address: address(),
            source,
        })
    }

    async fn exchange<S>(
        &self,
        stream: io::Result<S>,
        method: Method,
        path: &str,
        body: Option<Body>,
    ) -> Result<Response<Incoming>, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = stream.map_err(|source| ClientError::Unreachable {
            address: self.address.clone(),
            source,
        })?;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address.prefix()))
            .header(header::HOST, self.address.host())
            .header(header::ACCEPT, "application/json, text/plain")
            .header(
                header::USER_AGENT,
                concat!("autobot/", env!("CARGO_PKG_VERSION")),
            )
            .header(header::CONNECTION, "close");
        if let Some((kind, _)) = &body {
            request = request.header(header::CONTENT_TYPE, *kind);
        }
        if let Some(proof) = &self.proof {
            request = request.header(header::AUTHORIZATION, proof.header());
        }
        let body = body.map(|(_, bytes)| bytes).unwrap_or_default();
        let request = request
            .body(Full::new(body))
            .map_err(|error| self.broken(error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(error))?;
        // It ends with the answer's body; an error reaches the reader of the body too.
        tokio::spawn(connection);
        sender
            .send_request(request)
            .await
            .map_err(|error| self.broken(error))
    }

    async fn document<T: DeserializeOwned>(
        &self,
        answer: Response<Incoming>,
    ) -> Result<T, ClientError> {
        let text = self.whole(answer).await?;
        serde_json::from_slice(&text).map_err(|error| ClientError::Garbled {
            address: self.address.clone(),
            source: error.into(),
        })
    }

    async fn whole(&self, answer: Response<Incoming>) -> Result<Bytes, ClientError> {
        let body = http_body_util::Limited::new(answer.into_body(), LARGEST_ANSWER);
        let whole = self.in_time(body.collect()).await?;
        whole
            .map(http_body_util::Collected::to_bytes)
            .map_err(|source| ClientError::Broken {
                address: self.address.clone(),
                source,
            })
    }

    async fn in_time<T>(&self, what: impl Future<Output = T>) -> Result<T, ClientError> {
        timeout(self.patience, what)
            .await
            .map_err(|_| ClientError::Silent {
                address: self.address.clone(),
                after: self.patience,
            })
    }

    fn broken(&self, error: impl Error + Send + Sync + 'static) -> ClientError {
        ClientError::Broken {
            address: self.address.clone(),
            source: error.into(),
        }
    }
}

impl Download {
    /// The next piece, or `None` at the end. It waits as long as the log is quiet.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| ClientError::Broken {
                address: self.address.clone(),
                source: error.into(),
            })?;
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}

/// Opens a unix socket. The kernel takes addresses of at most 107 bytes, so a
/// longer path is reached through its directory.
async fn open_socket(path: &Path) -> io::Result<UnixStream> {
    if path.as_os_str().len() < 100 {
        return UnixStream::connect(path).await;
    }
    use std::os::fd::AsRawFd;
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let dir = std::fs::File::open(dir)?;
    let through: PathBuf = format!("/proc/self/fd/{}", dir.as_raw_fd()).into();
    UnixStream::connect(through.join(name)).await
}

fn form(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.join("&")
}

/// Prefers the master's own words, plain or as `{"error": …}`.
fn refusal(status: StatusCode, text: &str) -> ClientError {
    let spoken = serde_json::from_str::<BTreeMap<String, serde_json::Value>>(text)
        .ok()
        .and_then(|answer| answer.get("error")?.as_str().map(str::to_owned));
    let is_page = text.trim_start().starts_with('<');
    let what = match spoken {
        Some(spoken) => spoken,
        None if is_page || text.trim().is_empty() => format!("the master answered {status}"),
        None => text.trim_end().to_owned(),
    };
    ClientError::Refused {
        status: status.as_u16(),
        what,
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
