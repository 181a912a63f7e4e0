//! The least of a client: one question, one answer, and when its first byte came.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// An answer that came whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Until its first byte.
    pub(crate) first: Duration,
    /// Until its last.
    pub(crate) whole: Duration,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub(crate) fn get(port: u16, path: &str) -> Option<Answer> {
    ask(
        port,
        &format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"),
    )
}

/// Over a line that is kept for the next one, as those do that post often. `None` if nobody
/// answers, or not whole.
pub(crate) fn post(port: u16, path: &str, kind: &str, body: &str) -> Option<Answer> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\
         Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    KEPT.with_borrow_mut(|kept| {
        let old = kept.remove(&port);
        // One that was kept may be closed at the other end by now.
        let (answer, line) = old
            .and_then(|it| answered(it, &request))
            .or_else(|| answered(BufReader::new(dial(port)?), &request))?;
        kept.insert(port, line);
        Some(answer)
    })
}

thread_local! {
    /// Lines that stand, by the port.
    static KEPT: RefCell<BTreeMap<u16, BufReader<TcpStream>>> = const { RefCell::new(BTreeMap::new()) };
}

fn answered(
    mut line: BufReader<TcpStream>,
    request: &str,
) -> Option<(Answer, BufReader<TcpStream>)> {
    let began = Instant::now();
    line.get_mut().write_all(request.as_bytes()).ok()?;
    let mut head = String::new();
    line.read_line(&mut head).ok()?;
    let first = began.elapsed();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let (mut length, mut is_in_chunks) = (None, false);
    loop {
        head.clear();
        line.read_line(&mut head).ok()?;
        let Some((name, value)) = head.split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok();
        }
        is_in_chunks |= name.eq_ignore_ascii_case("transfer-encoding");
    }
    let body = match length {
        _ if is_in_chunks => chunks(&mut line)?,
        Some(length) => exactly(&mut line, length)?,
        None => return None,
    };
    let answer = Answer {
        status,
        first,
        whole: began.elapsed(),
        body,
    };
    Some((answer, line))
}

/// Reads what is sent on while it grows, until a line begins with `mark`; gives the rest of that
/// line. `None` if it is not there, or ends before.
pub(crate) fn follow(port: u16, path: &str, mark: &str) -> Option<String> {
    let stream = dial(port)?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    (&stream).write_all(request.as_bytes()).ok()?;
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let mut found = lines.filter_map(|it| it.strip_prefix(mark).map(str::to_owned));
    found.next()
}

fn exactly(line: &mut impl Read, length: usize) -> Option<Vec<u8>> {
    let mut body = vec![0; length];
    line.read_exact(&mut body).ok()?;
    Some(body)
}

fn chunks(line: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let mut size = String::new();
        line.read_line(&mut size).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let chunk = exactly(line, size + 2)?;
        if size == 0 {
            return Some(all);
        }
        all.extend_from_slice(&chunk[..size]);
    }
}

fn dial(port: u16) -> Option<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_nodelay(true).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(120)))
        .ok()?;
    Some(stream)
}

/// `None` if nobody answers, or not whole.
fn ask(port: u16, request: &str) -> Option<Answer> {
    let mut stream = dial(port)?;
    let began = Instant::now();
    stream.write_all(request.as_bytes()).ok()?;
    let mut all = vec![0; 256 << 10];
    let read = stream.read(&mut all).ok()?;
    let first = began.elapsed();
    all.truncate(read);
    stream.read_to_end(&mut all).ok()?;
    let whole = began.elapsed();
    let head = all.windows(4).position(|it| it == b"\r\n\r\n")?;
    let status = std::str::from_utf8(&all[..head]).ok()?;
    let status = status.split(' ').nth(1)?.parse().ok()?;
    Some(Answer {
        status,
        first,
        whole,
        body: all.split_off(head + 4),
    })
}
