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

/// For the connection and for the head of an answer. A reload may take a
/// while, since it reads and checks every file.
const PATIENCE: Duration = Duration::from_secs(60);
/// Answers that are read whole: no document of ours comes near it.
const LARGEST_ANSWER: usize = 64 << 20;

/// Talks to one master.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    address: Address,
    patience: Duration,
    /// Shown with every request.
    secret: Option<String>,
}

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
            secret: None,
        }
    }

    /// Shows this secret with every request.
    pub(crate) fn with_secret(self, secret: Option<String>) -> Self {
        Self { secret, ..self }
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
        let answer = self.send(Method::POST, path, Some(form(fields))).await?;
        self.document(answer).await
    }

    /// Sends an order without arguments; the answer is text.
    pub(crate) async fn order(&self, path: &str) -> Result<String, ClientError> {
        let answer = self.send(Method::POST, path, Some(String::new())).await?;
        let text = self.whole(answer).await?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Sends a form; the answer is text.
    pub(crate) async fn tell(
        &self,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<String, ClientError> {
        let answer = self.send(Method::POST, path, Some(form(fields))).await?;
        let text = self.whole(answer).await?;
        Ok(String::from_utf8_lossy(&text).into_owned())
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
        form: Option<String>,
    ) -> Result<Response<Incoming>, ClientError> {
        let exchange = async {
            match &self.address {
                Address::Socket(socket) => {
                    let stream = open_socket(socket).await;
                    self.exchange(stream, method, path, form).await
                }
                Address::Tcp { host, port, .. } => {
                    let host = host.trim_start_matches('[').trim_end_matches(']');
                    let stream = TcpStream::connect((host, *port)).await;
                    self.exchange(stream, method, path, form).await
                }
            }
        };
        let answer = self.in_time(exchange).await??;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let text = self.whole(answer).await?;
        Err(refusal(status, &String::from_utf8_lossy(&text)))
    }

    async fn exchange<S>(
        &self,
        stream: io::Result<S>,
        method: Method,
        path: &str,
        form: Option<String>,
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
        if form.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        if let Some(secret) = &self.secret {
            request = request.header(header::AUTHORIZATION, format!("Bearer {secret}"));
        }
        let request = request
            .body(Full::new(Bytes::from(form.unwrap_or_default())))
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
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::net::UnixListener;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::client::Forced;

    /// Serves one request with `answer`, and returns what was asked.
    async fn serve_once(
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        answer: &'static str,
    ) -> String {
        let mut asked = Vec::new();
        let mut piece = [0; 1024];
        loop {
            let count = stream.read(&mut piece).await.unwrap();
            asked.extend_from_slice(&piece[..count]);
            let text = String::from_utf8_lossy(&asked);
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                break;
            }
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(asked).unwrap()
    }

    async fn master(answer: &'static str) -> (Client, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            serve_once(stream, answer).await
        });
        let address = Address::parse(&format!("http://127.0.0.1:{port}/bot")).unwrap();
        (Client::new(address), served)
    }

    #[tokio::test]
    async fn a_form_is_sent_and_its_answer_read() {
        let (client, served) =
            master("HTTP/1.1 200 OK\r\ncontent-length: 27\r\n\r\n{\"buildset\":4,\"request\":11}")
                .await;

        let fields = [("comments", "for Ines & me"), ("branch", "")];
        let forced: Forced = client.post("/builders/hello/force", &fields).await.unwrap();
        assert_eq!(
            forced,
            Forced {
                buildset: 4,
                request: 11
            }
        );

        let asked = served.await.unwrap();
        assert!(
            asked.starts_with("POST /bot/builders/hello/force HTTP/1.1\r\n"),
            "{asked}"
        );
        assert!(
            asked.contains("\r\naccept: application/json, text/plain\r\n"),
            "{asked}"
        );
        assert!(
            asked.ends_with("\r\n\r\ncomments=for%20Ines%20%26%20me&branch="),
            "{asked}"
        );
    }

    #[tokio::test]
    async fn the_socket_of_a_deep_directory_is_reached() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        // Binding has the same limit, so bind nearby and move the socket there.
        let near = dir.path().join("s");
        let listener = UnixListener::bind(&near).unwrap();
        let socket = deep.join("autobot.sock");
        std::fs::rename(near, &socket).unwrap();
        let served = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            serve_once(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nall kept",
            )
            .await
        });

        let client = Client::new(Address::Socket(socket));
        assert_eq!(client.order("/api/reload").await.unwrap(), "all kept");
        assert!(served.await.unwrap().starts_with("POST /api/reload "));
    }

    #[tokio::test]
    async fn a_log_comes_in_pieces_until_its_end() {
        let (client, _served) = master(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n4\r\n two\r\n0\r\n\r\n",
        )
        .await;
        let mut log = client.download("/log").await.unwrap();
        let mut text = Vec::new();
        while let Some(piece) = log.next().await.unwrap() {
            text.extend_from_slice(&piece);
        }
        assert_eq!(text, b"one two");
    }

    #[tokio::test]
    async fn a_log_that_breaks_off_is_an_error() {
        let (client, _served) =
            master("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n").await;
        let mut log = client.download("/log").await.unwrap();
        let error = loop {
            match log.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the log ended as if it were whole"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, ClientError::Broken { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_refusal_is_in_the_words_of_the_master() {
        for (answer, expected) in [
            (
                "HTTP/1.1 404 Not Found\r\ncontent-length: 26\r\n\r\nthere is no builder `helo`",
                "there is no builder `helo`",
            ),
            (
                "HTTP/1.1 400 Bad Request\r\ncontent-length: 22\r\n\r\n{\"error\":\"bad branch\"}",
                "bad branch",
            ),
            (
                "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 6\r\n\r\n<html>",
                "the master answered 502 Bad Gateway",
            ),
        ] {
            let (client, _served) = master(answer).await;
            let error = client.get::<Forced>("/").await.unwrap_err();
            assert!(matches!(error, ClientError::Refused { .. }), "{error:?}");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_no_document_is_an_error() {
        let (client, _served) = master("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhm").await;
        let error = client.get::<Forced>("/").await.unwrap_err();
        assert!(matches!(error, ClientError::Garbled { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_master_that_is_not_there_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("autobot.sock");
        let error = Client::new(Address::Socket(socket.clone()))
            .get::<Forced>("/")
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("failed to reach the master at `{}`", socket.display())
        );
    }

    #[tokio::test]
    async fn a_master_that_keeps_quiet_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = Client {
            address: Address::parse(&format!("127.0.0.1:{port}")).unwrap(),
            patience: Duration::from_millis(20),
            secret: None,
        };
        let error = client.get::<Forced>("/").await.unwrap_err();
        assert!(matches!(error, ClientError::Silent { .. }), "{error:?}");
    }
}
