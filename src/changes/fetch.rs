//! One document over HTTP or HTTPS: what did not change is not sent again, what moved is
//! followed, and there is an end to how long it takes and how much comes.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Empty;
use http_body_util::Limited;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::Uri;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header;
use hyper::header::HeaderMap;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

use crate::secrets::in_base64;
use crate::tls::Trust;
use crate::tls::TrustError;

/// Nothing honest leads further.
const MOST_REDIRECTS: usize = 5;

/// No feed that people read is as long.
pub(super) const LARGEST: usize = 8 << 20;

/// Fetches documents.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    /// The authority that servers' certificates are signed by; if `None`, those that the system
    /// trusts.
    pub(super) authority: Option<PathBuf>,
    /// For all of it, with what it is redirected to.
    pub(super) limit: Duration,
    pub(super) largest: usize,
}

/// What a server said of a document, to be shown to it the next time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The document is still what is known.
    Same,
    Document {
        text: String,
        known: Known,
    },
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("expected an address such as `https://example.org/feed`")]
    Address,
    #[error("failed to reach `{host}`")]
    Unreachable {
        host: String,
        #[source]
        source: io::Error,
    },
    #[error("failed to agree on TLS with `{host}`")]
    Tls {
        host: String,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("the line to `{host}` broke")]
    Broken {
        host: String,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("the server answered {0}")]
    Status(StatusCode),
    #[error("the document has more than {0} bytes")]
    TooLarge(usize),
    #[error("it did not come within {} s", .0.as_secs())]
    Slow(Duration),
    #[error("it was redirected more than {MOST_REDIRECTS} times")]
    Astray,
    #[error("it was redirected to `{0}`, which nobody could trust")]
    Downgraded(String),
}

/// An address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    is_secure: bool,
    host: String,
    port: u16,
    /// With what stands behind a `?`.
    path: String,
    /// `USER:PASSWORD` as a header has it.
    login: Option<String>,
}

impl Target {
    fn read(address: &str) -> Option<Self> {
        // What stands behind a `#` is for who reads the document.
        let address = address.split('#').next().unwrap_or_default();
        let uri: Uri = address.parse().ok()?;
        let is_secure = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let usual = if is_secure { 443 } else { 80 };
        let login = uri.authority()?.as_str().rsplit_once('@').map(|it| it.0);
        Some(Self {
            is_secure,
            host: uri.host().filter(|it| !it.is_empty())?.to_owned(),
            port: uri.port_u16().unwrap_or(usual),
            path: uri
                .path_and_query()
                .map_or("/", |it| it.as_str())
                .to_owned(),
            login: login.map(|it| format!("Basic {}", in_base64(unquoted(it).as_bytes()))),
        })
    }

    /// Where `location` leads from here. A login goes no further than its own host.
    fn redirected(&self, location: &str) -> Option<Self> {
        let scheme = if self.is_secure { "https" } else { "http" };
        let (host, port) = (&self.host, self.port);
        let dir = self.path.split('?').next().unwrap_or_default();
        let dir = dir.rsplit_once('/').map_or("", |it| it.0);
        let whole = match location {
            it if it.contains("://") => it.to_owned(),
            it if it.starts_with("//") => format!("{scheme}:{it}"),
            it if it.starts_with('/') => format!("{scheme}://{host}:{port}{it}"),
            it => format!("{scheme}://{host}:{port}{dir}/{it}"),
        };
        let mut next = Self::read(&whole)?;
        let is_same = (&next.host, next.port, next.is_secure) == (host, port, self.is_secure);
        next.login = self.login.clone().filter(|_| is_same);
        Some(next)
    }

    /// The `Host` header.
    fn name(&self) -> String {
        match (self.is_secure, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }
}

/// Whether `address` is one that can be fetched from.
pub(super) fn is_address(address: &str) -> bool {
    Target::read(address).is_some()
}

/// An address as pages may show it: without who asks, and without what stands behind the `?`,
/// where forges have their tokens.
pub(super) fn shown(address: &str) -> String {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |it| it.1);
    format!("{scheme}://{host}{path}")
}

impl Fetcher {
    /// Asks for the document, unless it is still `known`.
    pub(super) async fn fetch(&self, address: &str, known: &Known) -> Result<Answer, FetchError> {
        let fetched = tokio::time::timeout(self.limit, self.follow(address, known)).await;
        fetched.unwrap_or(Err(FetchError::Slow(self.limit)))
    }

    async fn follow(&self, address: &str, known: &Known) -> Result<Answer, FetchError> {
        let mut target = Target::read(address).ok_or(FetchError::Address)?;
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.ask(&target, known).await?;
            let status = answer.status();
            let location = said(answer.headers(), &header::LOCATION);
            match (status, location) {
                (StatusCode::OK, _) => return self.document(&target, answer).await,
                (StatusCode::NOT_MODIFIED, _) => return Ok(Answer::Same),
                (_, Some(location)) if status.is_redirection() => {
                    let next = target.redirected(&location);
                    let next = next.ok_or(FetchError::Status(status))?;
                    if target.is_secure && !next.is_secure {
                        return Err(FetchError::Downgraded(shown(&location)));
                    }
                    target = next;
                }
                _ => return Err(FetchError::Status(status)),
            }
        }
        Err(FetchError::Astray)
    }

    async fn ask(&self, target: &Target, known: &Known) -> Result<Response<Incoming>, FetchError> {
        let bare = target.host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((bare, target.port)).await;
        let stream = stream.map_err(|source| FetchError::Unreachable {
            host: target.name(),
            source,
        })?;
        if !target.is_secure {
            return exchange(stream, target, known).await;
        }
        let trust = Trust::new(self.authority.as_deref(), &target.host)?;
        let stream = trust.connect_to_server(stream).await;
        let stream = stream.map_err(|source| FetchError::Tls {
            host: target.name(),
            source,
        })?;
        exchange(stream, target, known).await
    }

    async fn document(
        &self,
        target: &Target,
        answer: Response<Incoming>,
    ) -> Result<Answer, FetchError> {
        let known = Known {
            etag: said(answer.headers(), &header::ETAG),
            last_modified: said(answer.headers(), &header::LAST_MODIFIED),
        };
        let body = Limited::new(answer.into_body(), self.largest)
            .collect()
            .await;
        let body =
            body.map_err(
                |source| match source.is::<http_body_util::LengthLimitError>() {
                    true => FetchError::TooLarge(self.largest),
                    false => broken(target, source),
                },
            )?;
        let text = text(&body.to_bytes());
        Ok(Answer::Document { text, known })
    }
}

async fn exchange<S>(
    stream: S,
    target: &Target,
    known: &Known,
) -> Result<Response<Incoming>, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut request = Request::get(&target.path)
        .header(header::HOST, target.name())
        .header(
            header::ACCEPT,
            "application/atom+xml, application/rss+xml, application/xml, text/xml, */*;q=0.5",
        )
        .header(
            header::USER_AGENT,
            concat!("autobot/", env!("CARGO_PKG_VERSION")),
        )
        .header(header::CONNECTION, "close");
    for (name, value) in [
        (header::IF_NONE_MATCH, &known.etag),
        (header::IF_MODIFIED_SINCE, &known.last_modified),
        (header::AUTHORIZATION, &target.login),
    ] {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    let request = request.body(Empty::<Bytes>::new());
    let request = request.map_err(|error| broken(target, error.into()))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(target, error.into()))?;
    // It ends with the body of the answer, or with who reads it.
    tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    answer.map_err(|error| broken(target, error.into()))
}

fn broken(target: &Target, source: Box<dyn Error + Send + Sync>) -> FetchError {
    FetchError::Broken {
        host: target.name(),
        source,
    }
}

/// A header, if it can be said again.
fn said(headers: &HeaderMap, name: &header::HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    (value.len() <= 1000).then(|| value.to_owned())
}

/// UTF-8 if it can be, else Latin-1, in which every byte is a letter.
pub(super) fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_start_matches('\u{feff}').to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// A part of an address as people write it.
pub(super) fn unquoted(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3);
        match hex.and_then(|it| u8::from_str_radix(it, 16).ok()) {
            Some(code) if byte == b'%' => {
                out.push(code);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A value as a part of an address.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let target = Target::read("https://ann:s%40e@h:8443/a/b?c=d#e").expect("an address");
        assert_eq!((target.is_secure, target.port), (true, 8443));
        assert_eq!(
            (target.host.as_str(), target.path.as_str()),
            ("h", "/a/b?c=d")
        );
        assert_eq!(target.login.as_deref(), Some("Basic YW5uOnNAZQ=="));
        assert_eq!(target.name(), "h:8443");
        let target = Target::read("http://[::1]").expect("an address");
        assert_eq!((target.port, target.path.as_str()), (80, "/"));
        assert_eq!((target.name().as_str(), target.login), ("[::1]", None));
        for wrong in [
            "",
            "ftp://h/x",
            "h/x",
            "http:///x",
            "https://h/a b",
            "file:///x",
        ] {
            assert!(!is_address(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_login_follows_a_redirect_on_its_own_host_only() {
        let target = Target::read("https://a:b@h/x/y?z").expect("an address");
        let led = |location: &str| {
            let next = target.redirected(location).expect(location);
            (next.name() + &next.path, next.login.is_some())
        };
        assert_eq!(led("/w"), ("h/w".to_owned(), true));
        assert_eq!(led("w?v"), ("h/x/w?v".to_owned(), true));
        assert_eq!(led("//other/w"), ("other/w".to_owned(), false));
        assert_eq!(led("http://h/w"), ("h/w".to_owned(), false));
    }

    #[test]
    fn an_address_is_shown_without_what_is_secret() {
        let shown_as = |it| shown(it);
        assert_eq!(shown_as("https://a:b@h/x?feed_token=t"), "https://h/x");
        assert_eq!(shown_as("https://h?t"), "https://h");
        assert_eq!(shown_as("/a@b"), "/a@b");
    }

    #[test]
    fn what_is_no_utf_8_is_latin_1() {
        assert_eq!(text(b"\xef\xbb\xbf\xc3\xbc"), "ü");
        assert_eq!(
            text(b"<?xml encoding='ISO-8859-1'?>\xfc"),
            "<?xml encoding='ISO-8859-1'?>ü"
        );
    }
}
