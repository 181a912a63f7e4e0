//! An archive of `tar` as it comes, made into the stream by which directories travel here. What
//! it says is not believed there either: names, sizes and links are checked where it is unpacked.

use crate::wire::pack::Head;
use crate::wire::pack::Kind;
use crate::wire::pack::LONGEST_NAME;
use crate::wire::pack::MAGIC;

const BLOCK: usize = 512;

/// Longer extended headers have nothing that is wanted.
const LONGEST_EXTRA: u64 = 1 << 20;

/// Why an archive cannot be taken over.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TarError {
    #[error("the archive has a header that is none")]
    Header,
    #[error("the archive has a name that is too long")]
    Name,
    #[error("the archive ends in the middle")]
    Cut,
    #[error("the directory takes more than {0} bytes, its `max_size`")]
    TooLarge(u64),
}

/// Takes the archive in pieces of any size, and gives the stream.
#[derive(Debug)]
pub(super) struct Tarball {
    held: Vec<u8>,
    state: State,
    /// What the next entry is called, if its header has no room for it.
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
    most: Option<u64>,
    taken: u64,
    has_begun: bool,
}

#[derive(Debug)]
enum State {
    Header,
    /// The content of a file: what is left of it, and what fills its last block.
    Content {
        left: u64,
        padding: u64,
    },
    /// What says more of the next entry.
    Extra {
        kind: u8,
        size: u64,
        padding: u64,
    },
    Skip(u64),
    End,
}

impl Tarball {
    pub(super) const fn new(most: Option<u64>) -> Self {
        Self {
            held: Vec::new(),
            state: State::Header,
            name: None,
            target: None,
            size: None,
            most,
            taken: 0,
            has_begun: false,
        }
    }

    /// Takes a piece; what of the stream is known by it is put behind `to`.
    pub(super) fn push(&mut self, piece: &[u8], to: &mut Vec<u8>) -> Result<(), TarError> {
        self.begin(to);
        self.held.extend_from_slice(piece);
        let mut at = 0;
        loop {
            let rest = &self.held[at..];
            let used = match &mut self.state {
                State::End => rest.len(),
                State::Skip(left) => {
                    let used = most(rest, *left);
                    *left -= used as u64;
                    if *left == 0 {
                        self.state = State::Header;
                    }
                    used
                }
                State::Content { left, padding } => {
                    let used = most(rest, *left);
                    to.extend_from_slice(&rest[..used]);
                    *left -= used as u64;
                    if *left == 0 {
                        self.state = State::Skip(*padding);
                    }
                    used
                }
                State::Extra {
                    kind,
                    size,
                    padding,
                } => {
                    let used = usize::try_from(*size).map_err(|_| TarError::Header)?;
                    if rest.len() < used {
                        break;
                    }
                    let (kind, padding) = (*kind, *padding);
                    let text = rest[..used].to_vec();
                    self.state = State::Skip(padding);
                    self.extra(kind, &text);
                    used
                }
                State::Header => {
                    let Some(block) = rest.first_chunk::<BLOCK>() else {
                        break;
                    };
                    let block = *block;
                    self.header(&block, to)?;
                    BLOCK
                }
            };
            at += used;
            // A skip of nothing leads on without bytes.
            if matches!(self.state, State::Skip(0)) {
                self.state = State::Header;
                continue;
            }
            if at == self.held.len() {
                break;
            }
        }
        self.held.drain(..at);
        Ok(())
    }

    /// All has come.
    pub(super) fn finish(&mut self, to: &mut Vec<u8>) -> Result<(), TarError> {
        self.begin(to);
        let is_between = matches!(self.state, State::End | State::Header) && self.held.is_empty();
        if !is_between {
            return Err(TarError::Cut);
        }
        to.extend(Head::END.to_bytes().unwrap_or_default());
        Ok(())
    }

    fn begin(&mut self, to: &mut Vec<u8>) {
        if !self.has_begun {
            to.extend_from_slice(MAGIC);
            self.has_begun = true;
        }
    }

    fn header(&mut self, block: &[u8; BLOCK], to: &mut Vec<u8>) -> Result<(), TarError> {
        if block.iter().all(|it| *it == 0) {
            self.state = State::End;
            return Ok(());
        }
        if !is_sound(block) {
            return Err(TarError::Header);
        }
        let kind = block[156];
        let said = number(&block[124..136]).ok_or(TarError::Header)?;
        if matches!(kind, b'L' | b'K' | b'x' | b'g') {
            if said > LONGEST_EXTRA {
                return Err(TarError::Header);
            }
            self.state = State::Extra {
                kind,
                size: said,
                padding: padding(said),
            };
            return Ok(());
        }
        let size = self.size.take().unwrap_or(said);
        let name = self.name.take().unwrap_or_else(|| plain_name(block));
        let target = self.target.take().unwrap_or_else(|| text(&block[157..257]));
        let name = own_name(&name);
        let mode = number(&block[100..108]).ok_or(TarError::Header)?;
        let mode = u32::try_from(mode & 0o777).unwrap_or_default();
        let mut head = Head {
            kind: Kind::File,
            mode,
            size,
            name,
        };
        match kind {
            b'0' | 0 | b'7' => {
                self.take(size)?;
                self.put(&head, to)?;
                self.state = State::Content {
                    left: size,
                    padding: padding(size),
                };
                if size == 0 {
                    self.state = State::Header;
                }
            }
            b'5' => {
                (head.kind, head.size) = (Kind::Directory, 0);
                // The directory itself has no name in it.
                if !head.name.is_empty() {
                    self.put(&head, to)?;
                }
                self.state = skip(size);
            }
            b'2' => {
                (head.kind, head.size) = (Kind::Link, target.len() as u64);
                self.take(head.size)?;
                self.put(&head, to)?;
                to.extend_from_slice(&target);
                self.state = skip(size);
            }
            // A second name of a file travels as a link to the first, from where it stands.
            b'1' => {
                let depth = head.name.iter().filter(|it| **it == b'/').count();
                let mut path = b"../".repeat(depth);
                path.extend(own_name(&target));
                (head.kind, head.size) = (Kind::Link, path.len() as u64);
                self.take(head.size)?;
                self.put(&head, to)?;
                to.extend_from_slice(&path);
                self.state = State::Header;
            }
            // Devices and pipes belong to whoever made them.
            _ => self.state = skip(size),
        }
        Ok(())
    }

    fn put(&self, head: &Head, to: &mut Vec<u8>) -> Result<(), TarError> {
        to.extend(head.to_bytes().ok_or(TarError::Name)?);
        Ok(())
    }

    fn take(&mut self, size: u64) -> Result<(), TarError> {
        self.taken = self.taken.saturating_add(size);
        match self.most {
            Some(most) if self.taken > most => Err(TarError::TooLarge(most)),
            _ => Ok(()),
        }
    }

    fn extra(&mut self, kind: u8, said: &[u8]) {
        match kind {
            b'L' => self.name = Some(text(said)),
            b'K' => self.target = Some(text(said)),
            b'x' => {
                for (key, value) in records(said) {
                    match key {
                        b"path" => self.name = Some(value.to_vec()),
                        b"linkpath" => self.target = Some(value.to_vec()),
                        b"size" => {
                            let digits = std::str::from_utf8(value).ok();
                            self.size = digits.and_then(|it| it.parse().ok());
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

fn most(rest: &[u8], left: u64) -> usize {
    usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()))
}

fn skip(size: u64) -> State {
    State::Skip(size.saturating_add(padding(size)))
}

const fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

/// Whether the header's own sum is right.
fn is_sound(block: &[u8; BLOCK]) -> bool {
    let byte = |(at, it): (usize, &u8)| match at {
        148..156 => u64::from(b' '),
        _ => u64::from(*it),
    };
    let sum: u64 = block.iter().enumerate().map(byte).sum();
    number(&block[148..156]) == Some(sum)
}

/// Octal digits, or, of what needs more, a number to the base 256.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let mut number = u64::from(field[0] & 0x7f);
        for byte in &field[1..] {
            number = number.checked_mul(256)?.checked_add(u64::from(*byte))?;
        }
        return Some(number);
    }
    let digits = field.iter().skip_while(|it| **it == b' ');
    let digits = digits.take_while(|it| !matches!(it, b' ' | 0));
    let mut number: u64 = 0;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|it| *it < 8)?;
        number = number.checked_mul(8)?.checked_add(digit.into())?;
    }
    Some(number)
}

/// Up to the first zero.
fn text(field: &[u8]) -> Vec<u8> {
    let end = field.iter().position(|it| *it == 0).unwrap_or(field.len());
    field[..end].to_vec()
}

fn plain_name(block: &[u8; BLOCK]) -> Vec<u8> {
    let mut name = Vec::new();
    if block[257..262] == *b"ustar" && block[262] == 0 {
        name = text(&block[345..500]);
        if !name.is_empty() {
            name.push(b'/');
        }
    }
    name.extend(text(&block[..100]));
    name
}

/// Relative to the directory, without what means the directory itself.
fn own_name(name: &[u8]) -> Vec<u8> {
    let parts = name.split(|it| *it == b'/');
    let parts: Vec<_> = parts.filter(|it| !it.is_empty() && *it != b".").collect();
    let mut name = parts.join(&b'/');
    // What is too long is refused where it is written down.
    name.truncate(LONGEST_NAME + 1);
    name
}

/// `LENGTH KEY=VALUE\n`, one after the other.
fn records(mut said: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut all = Vec::new();
    while let Some(space) = said.iter().position(|it| *it == b' ') {
        let length = std::str::from_utf8(&said[..space]).ok();
        let length = length.and_then(|it| it.parse::<usize>().ok());
        let Some(record) = length.and_then(|it| said.get(space + 1..it)) else {
            break;
        };
        let record = record.strip_suffix(b"\n").unwrap_or(record);
        if let Some(equals) = record.iter().position(|it| *it == b'=') {
            all.push((&record[..equals], &record[equals + 1..]));
        }
        said = &said[length.unwrap_or_default()..];
    }
    all
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// A header as the format has it.
    fn header(name: &str, kind: u8, size: usize, target: &str) -> Vec<u8> {
        let mut block = [0; BLOCK];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[100..108].copy_from_slice(b"0000644\0");
        block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        block[156] = kind;
        block[157..157 + target.len()].copy_from_slice(target.as_bytes());
        block[257..265].copy_from_slice(b"ustar\x0000");
        block[148..156].copy_from_slice(b"        ");
        let sum: u32 = block.iter().map(|it| u32::from(*it)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block.to_vec()
    }

    fn with(mut head: Vec<u8>, content: &[u8]) -> Vec<u8> {
        head.extend(content);
        head.resize(head.len().next_multiple_of(BLOCK), 0);
        head
    }

    fn archive() -> Vec<u8> {
        let long = format!("{}/f", "d".repeat(150));
        let path = format!("{} path={long}\n", long.len() + 10);
        [
            header("", b'5', 0, ""),
            with(header("a.txt", b'0', 3, ""), b"abc"),
            header("sub/", b'5', 0, ""),
            header("sub/empty", b'0', 0, ""),
            header("sub/link", b'2', 0, "../a.txt"),
            header("sub/hard", b'1', 0, "a.txt"),
            header("pipe", b'6', 0, ""),
            with(header("x", b'x', path.len(), ""), path.as_bytes()),
            with(header("short", b'0', 600, ""), &[b'z'; 600]),
            vec![0; 2 * BLOCK],
        ]
        .concat()
    }

    fn packed(archive: &[u8], piece: usize, most: Option<u64>) -> Result<Vec<u8>, TarError> {
        let mut tarball = Tarball::new(most);
        let mut out = Vec::new();
        for piece in archive.chunks(piece) {
            tarball.push(piece, &mut out)?;
        }
        tarball.finish(&mut out)?;
        Ok(out)
    }

    fn entries(stream: &[u8]) -> Vec<(Kind, String, Vec<u8>)> {
        let mut rest = stream.strip_prefix(MAGIC).unwrap();
        let mut all = Vec::new();
        loop {
            let head = Head::read(&mut rest).unwrap();
            if head.kind == Kind::End {
                assert!(rest.is_empty());
                return all;
            }
            let mut content = Vec::new();
            (&mut rest)
                .take(head.size)
                .read_to_end(&mut content)
                .unwrap();
            all.push((head.kind, String::from_utf8(head.name).unwrap(), content));
        }
    }

    #[test]
    fn an_archive_becomes_the_same_stream_however_it_is_cut() {
        let archive = archive();
        let whole = packed(&archive, archive.len(), None).unwrap();
        for piece in [1, 7, 511, 512, 513, 4096] {
            assert_eq!(packed(&archive, piece, None).unwrap(), whole, "{piece}");
        }
        let long = format!("{}/f", "d".repeat(150));
        assert_eq!(
            entries(&whole),
            [
                (Kind::File, "a.txt".to_owned(), b"abc".to_vec()),
                (Kind::Directory, "sub".to_owned(), vec![]),
                (Kind::File, "sub/empty".to_owned(), vec![]),
                (Kind::Link, "sub/link".to_owned(), b"../a.txt".to_vec()),
                (Kind::Link, "sub/hard".to_owned(), b"../a.txt".to_vec()),
                (Kind::File, long, vec![b'z'; 600]),
            ]
        );
    }

    #[test]
    fn garbage_a_cut_and_too_much_are_told() {
        assert_eq!(packed(&[b'x'; BLOCK], 100, None), Err(TarError::Header));
        let archive = archive();
        assert_eq!(
            packed(&archive[..BLOCK * 2 + 1], 99, None),
            Err(TarError::Cut)
        );
        assert_eq!(
            packed(&archive, 99, Some(100)),
            Err(TarError::TooLarge(100))
        );
        assert_eq!(entries(&packed(&[], 1, None).unwrap()), []);
    }
}
