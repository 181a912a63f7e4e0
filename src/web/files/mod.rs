//! The files below `public_html`: what others put beside the pages. They are
//! shown as they are, but a script among them is never run.

mod beneath;
pub(super) mod range;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;

use crate::clock;
use crate::model::Timestamp;

use super::app::App;
use super::app::Policy;
use super::app::redirect;
use super::failure::Failure;
use super::links;
use super::log;
use super::unchanged::made_as_sent;
use beneath::Found;
pub(super) use beneath::{is_shown, parts};
use range::Wanted;

/// Read at once.
const BLOCK: usize = 64 * 1024;

/// What a directory shows instead of its names.
const INDEX: &str = "index.html";

/// For what was put here by others, builds among them: in a browser it belongs to no site, so
/// that nothing in it can press the buttons of the pages.
pub(super) const SANDBOX: Policy = Policy(
    "sandbox; default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     font-src 'self'; media-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
);

/// The type of a file, by its name.
fn kind(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |it| it.1);
    match ending.to_ascii_lowercase().as_str() {
        "html" | "htm" | "xhtml" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "txt" | "log" | "text" | "diff" | "patch" | "md" | "rst" | "ini" | "toml" => {
            "text/plain; charset=utf-8"
        }
        "csv" => "text/csv; charset=utf-8",
        "json" | "map" => "application/json",
        "xml" => "application/xml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "ttf" => "font/ttf",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "pdf" => "application/pdf",
        "zip" | "whl" | "jar" => "application/zip",
        "gz" | "tgz" => "application/gzip",
        "bz2" => "application/x-bzip2",
        "xz" => "application/x-xz",
        "zst" => "application/zstd",
        "tar" => "application/x-tar",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}

/// What one of them is to be answered with.
enum Answer {
    File(Opened),
    /// A directory, and its path with a slash.
    Directory(Vec<Entry>),
    /// A directory without its slash.
    SlashMissing(String),
}

struct Opened {
    file: File,
    length: u64,
    changed: Timestamp,
    /// Of this content, as far as one can tell without reading it.
    tag: String,
    kind: &'static str,
}

impl Opened {
    fn new(file: File, name: &str) -> io::Result<Self> {
        let data = file.metadata()?;
        let since = data.modified()?.duration_since(UNIX_EPOCH);
        let since = since.unwrap_or_default();
        Ok(Self {
            length: data.len(),
            changed: Timestamp(i64::try_from(since.as_millis()).unwrap_or_default()),
            tag: format!("\"{:x}-{:x}\"", data.len(), since.as_nanos()),
            kind: kind(name),
            file,
        })
    }
}

/// A line of a directory's page.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    url: String,
    is_directory: bool,
    size: Option<String>,
    kind: &'static str,
    changed: Option<String>,
}

#[derive(Serialize)]
struct DirectoryView {
    path: String,
    above: Option<String>,
    entries: Vec<Entry>,
}

/// Looks for a file at an address that is no page; `None` if there is none.
pub(super) async fn find(
    app: &App,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Option<Response>, Failure> {
    let Some((names, is_directory)) = parts(uri.path()) else {
        return Ok(None);
    };
    let mounts = &app.desk.plan().web.mounts;
    let mounted = names.first().and_then(|it| mounts.get(it));
    let (root, below) = match mounted {
        Some(directory) => (directory_of(app, directory.clone()).await?, 1),
        None => (root(app).await?, 0),
    };
    let Some(root) = root else {
        return Ok(None);
    };
    let asked = Asked {
        names: names[below..].to_vec(),
        shown: names,
        is_directory,
        lowest: 1,
        base: String::new(),
    };
    answer(app, root, asked, method, uri, headers).await
}

/// What is wanted of a directory, and under which address it is shown.
pub(super) struct Asked {
    /// Where it lies.
    pub(super) names: Vec<String>,
    pub(super) is_directory: bool,
    /// What stands in the address behind `base`, of which `lowest` parts have no list above.
    pub(super) shown: Vec<String>,
    pub(super) lowest: usize,
    pub(super) base: String,
}

impl Asked {
    /// The address of parts of `shown`.
    fn url(&self, parts: &[String]) -> String {
        match self.base.as_str() {
            "" => quoted(parts),
            base => format!("{base}/{}", quoted(parts)),
        }
    }
}

/// Answers with what lies there; `None` if there is nothing that may be shown.
pub(super) async fn answer(
    app: &App,
    root: PathBuf,
    asked: Asked,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Option<Response>, Failure> {
    let told = asked.shown.join("/");
    let looking = move || Ok((look(&root, &asked)?, asked));
    let (found, asked) = log::blocking(told.clone(), looking).await?;
    let Some(found) = found else {
        return Ok(None);
    };
    if !matches!(*method, Method::GET | Method::HEAD) {
        let allow = [(header::ALLOW, "GET, HEAD")];
        return Ok(Some(
            (StatusCode::METHOD_NOT_ALLOWED, allow).into_response(),
        ));
    }
    Ok(Some(match found {
        Answer::File(opened) => send(opened, method, headers)?,
        Answer::SlashMissing(name) => redirect(&format!("{}/", links::quote(&name))),
        Answer::Directory(entries) => {
            let above = asked.shown.len() > asked.lowest;
            let parts = &asked.shown[..asked.shown.len() - 1];
            let view = DirectoryView {
                path: told,
                above: above.then(|| format!("{}/", asked.url(parts))),
                entries,
            };
            app.draw("directory.html", uri, view)?
        }
    }))
}

/// How long the file is that lies there, `Some(None)` for a directory; `None` if there is nothing.
pub(super) fn length(root: &std::path::Path, parts: &[String]) -> io::Result<Option<Option<u64>>> {
    Ok(match beneath::open(root, parts)? {
        Some(Found::File(file)) => Some(Some(file.metadata()?.len())),
        Some(Found::Directory(_)) => Some(None),
        None => None,
    })
}

fn quoted(parts: &[String]) -> String {
    let parts: Vec<_> = parts.iter().map(|it| links::quote(it)).collect();
    parts.join("/")
}

/// The directory of the files.
pub(super) async fn root(app: &App) -> Result<Option<PathBuf>, Failure> {
    let said = app.desk.plan().web.public_html.clone();
    directory_of(app, said.unwrap_or_else(|| "public_html".into())).await
}

/// Where a directory of the configuration lies. One with the master's own files in it is not shown.
async fn directory_of(app: &App, said: PathBuf) -> Result<Option<PathBuf>, Failure> {
    let base = app.desk.basedir().to_owned();
    log::blocking(said.display().to_string(), move || {
        let root = base.join(said);
        let (Ok(root), Ok(base)) = (root.canonicalize(), base.canonicalize()) else {
            return Ok(None);
        };
        Ok((!base.starts_with(&root)).then_some(root))
    })
    .await
}

fn look(root: &std::path::Path, asked: &Asked) -> io::Result<Option<Answer>> {
    let (parts, is_directory) = (&asked.names, asked.is_directory);
    let Some(shown) = asked.shown.last() else {
        return Ok(None);
    };
    Ok(match beneath::open(root, parts)? {
        Some(Found::File(file)) if !is_directory => Some(Answer::File(Opened::new(file, shown)?)),
        Some(Found::Directory(_)) if !is_directory => Some(Answer::SlashMissing(shown.clone())),
        Some(Found::Directory(directory)) => {
            let below = |name: &str| [parts.as_slice(), &[name.to_owned()]].concat();
            let url =
                |name: &str| asked.url(&[asked.shown.as_slice(), &[name.to_owned()]].concat());
            if let Some(Found::File(file)) = beneath::open(root, &below(INDEX))? {
                return Ok(Some(Answer::File(Opened::new(file, INDEX)?)));
            }
            let mut entries = Vec::new();
            for name in beneath::names(&directory)? {
                let below = below(&name);
                let entry = match beneath::open(root, &below)? {
                    None => continue,
                    Some(Found::Directory(_)) => Entry {
                        url: format!("{}/", url(&name)),
                        name,
                        is_directory: true,
                        size: None,
                        kind: "directory",
                        changed: None,
                    },
                    Some(Found::File(file)) => {
                        let opened = Opened::new(file, &name)?;
                        Entry {
                            url: url(&name),
                            name,
                            is_directory: false,
                            size: Some(log::size(opened.length)),
                            kind: opened.kind.split(';').next().unwrap_or_default(),
                            changed: Some(clock::iso(opened.changed)),
                        }
                    }
                };
                entries.push(entry);
            }
            Some(Answer::Directory(entries))
        }
        _ => None,
    })
}

/// Sends a file, or the part of it that was asked for.
fn send(opened: Opened, method: &Method, headers: &HeaderMap) -> Result<Response, Failure> {
    let Opened {
        mut file,
        length,
        changed,
        tag,
        kind,
    } = opened;
    let changed = clock::http(changed);
    let wanted = range::wanted(headers, length, &tag, &changed);
    let (status, range) = match wanted {
        Wanted::Nothing => (StatusCode::NOT_MODIFIED, 0..0),
        Wanted::Whole => (StatusCode::OK, 0..length),
        Wanted::Part(ref range) => (StatusCode::PARTIAL_CONTENT, range.clone()),
        Wanted::Beyond => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
    };
    let text = |text: String| HeaderValue::from_str(&text).expect("digits and dates");
    let mut response = status.into_response();
    let head = response.headers_mut();
    head.insert(header::ETAG, text(tag));
    head.insert(header::LAST_MODIFIED, text(changed));
    head.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    match wanted {
        Wanted::Nothing => return Ok(response),
        Wanted::Beyond => {
            head.insert(header::CONTENT_RANGE, text(format!("bytes */{length}")));
            return Ok(response);
        }
        Wanted::Part(range) => {
            let said = format!("bytes {}-{}/{length}", range.start, range.end - 1);
            head.insert(header::CONTENT_RANGE, text(said));
        }
        Wanted::Whole => {}
    }
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let count = range.end - range.start;
    head.insert(header::CONTENT_LENGTH, count.into());
    // A browser's reader of PDF does not work in a sandbox, and has none of the site's rights.
    if kind != "application/pdf" {
        response.extensions_mut().insert(SANDBOX);
    }
    if method == Method::GET {
        file.seek(SeekFrom::Start(range.start))
            .map_err(|error| Failure::Log {
                file: "public_html".into(),
                source: error.into(),
            })?;
        *response.body_mut() = body(file, count);
    }
    Ok(response)
}

/// So many bytes of a file, read as the client takes them.
fn body(file: File, count: u64) -> Body {
    let parts = stream::unfold(Some((file, count)), |state| async {
        let (mut file, left) = state.filter(|it| it.1 > 0)?;
        let read = tokio::task::spawn_blocking(move || {
            let most = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
            let mut block = vec![0; most];
            let count = file.read(&mut block)?;
            block.truncate(count);
            match count {
                0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                _ => Ok((Bytes::from(block), file)),
            }
        });
        match read.await {
            Ok(Ok((block, file))) => {
                let left = left - block.len() as u64;
                Some((Ok(block), Some((file, left))))
            }
            Ok(Err(error)) => Some((Err(error), None)),
            Err(_) => Some((Err(io::ErrorKind::Other.into()), None)),
        }
    });
    made_as_sent(parts)
}
