//! Where things are: paths relative to the root of the site, each part
//! quoted, so that the site works under any prefix and with any name.

use std::fmt::Write as _;

use crate::model::BuildKey;

/// Percent-encodes one part of a path, `/` included.
pub(super) fn quote(part: &str) -> String {
    let mut quoted = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            write!(quoted, "%{byte:02X}").expect("a string takes all");
        }
    }
    quoted
}

pub(super) fn builder(name: &str) -> String {
    format!("builders/{}", quote(name))
}

pub(super) fn build(key: &BuildKey) -> String {
    format!("{}/builds/{}", builder(key.builder.as_str()), key.number)
}

pub(super) fn step(key: &BuildKey, step: &str) -> String {
    format!("{}/steps/{}", build(key), quote(step))
}

pub(super) fn log(key: &BuildKey, step: &str, log: &str) -> String {
    format!("{}/logs/{}", self::step(key, step), quote(log))
}

/// The page of what a build brought, or one of that.
pub(super) fn artifact(key: &BuildKey, name: &str) -> String {
    let parts: Vec<_> = name.split('/').map(quote).collect();
    format!("{}/artifacts/{}", build(key), parts.join("/"))
}

pub(super) fn tests(key: &BuildKey) -> String {
    format!("{}/tests", build(key))
}

/// The page of a test. No path can end with some names: browsers take them for directories,
/// however they are quoted.
pub(super) fn test(key: &BuildKey, name: &str) -> String {
    match name {
        "" | "." | ".." => format!("{}?name={}", tests(key), quote(name)),
        _ => format!("{}/{}", tests(key), quote(name)),
    }
}

pub(super) fn slave(name: &str) -> String {
    format!("buildslaves/{}", quote(name))
}

pub(super) fn change(id: i64) -> String {
    format!("changes/{id}")
}

/// Reads back one quoted part; `None` if it is not text.
pub(super) fn unquote(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let digit = |at: usize| char::from(*tail.get(at)?).to_digit(16);
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).expect("two digits"));
                rest = &tail[2..];
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).ok()
}

/// The way from a page at `path` to the root: `../` for every part after the first.
pub(super) fn root(path: &str) -> String {
    match path.matches('/').count() {
        0 | 1 => "./".to_owned(),
        depth => "../".repeat(depth - 1),
    }
}

/// A link from outside, if it is of a kind that is safe to follow. What no address may hold as it is, is quoted.
pub(super) fn outside(url: &str) -> Option<String> {
    let (scheme, _) = url.split_once(':')?;
    ["http", "https", "ftp", "mailto"]
        .iter()
        .any(|it| scheme.eq_ignore_ascii_case(it))
        .then(|| url.bytes().fold(String::new(), plain))
}

fn plain(mut url: String, byte: u8) -> String {
    if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
        url.push(char::from(byte));
    } else {
        write!(url, "%{byte:02X}").expect("a string takes all");
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_with_their_slashes() {
        assert_eq!(builder("web lint/x"), "builders/web%20lint%2Fx");
        for name in ["web lint/x", "%2F", "ü?#%\"<", ""] {
            assert_eq!(unquote(&quote(name)).as_deref(), Some(name));
        }
        assert_eq!(unquote("%zz%4"), Some("%zz%4".into()));
        assert_eq!(unquote("%FF"), None);
        assert_eq!(builder("ü?#%\"<"), "builders/%C3%BC%3F%23%25%22%3C");
    }

    #[test]
    fn the_root_is_found_from_any_depth() {
        for (path, expected) in [
            ("/", "./"),
            ("/builders", "./"),
            ("/builders/a", "../"),
            ("/builders/a%2Fb/builds/1", "../../../"),
        ] {
            assert_eq!(root(path), expected, "{path}");
        }
    }

    #[test]
    fn a_script_is_no_link() {
        assert_eq!(outside("javascript:alert(1)"), None);
        assert_eq!(outside(" javascript:alert(1)"), None);
        assert_eq!(outside("plain"), None);
        assert_eq!(outside("HTTPS://x/"), Some("HTTPS://x/".into()));
    }

    #[test]
    fn an_address_from_outside_keeps_its_form_and_holds_nothing_odd() {
        for (said, link) in [
            ("https://x/a%20b?c=d&e#f", "https://x/a%20b?c=d&e#f"),
            ("https://x/<b> \"ü", "https://x/%3Cb%3E%20%22%C3%BC"),
            ("http://[::1]:80/~a", "http://[::1]:80/~a"),
        ] {
            assert_eq!(outside(said).as_deref(), Some(link));
        }
    }
}
