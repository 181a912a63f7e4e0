//! How much of a file a client wants: all, a part, or nothing because it has it.

use std::ops::Range;

use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::header;

/// How much of a file is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::web) enum Wanted {
    Whole,
    Part(Range<u64>),
    /// The client has it.
    Nothing,
    /// A part that is not there.
    Beyond,
}

/// Reads what a client says of itself. Several ranges in one request are answered with the whole.
pub(in crate::web) fn wanted(headers: &HeaderMap, length: u64, tag: &str, changed: &str) -> Wanted {
    let said = |name: HeaderName| headers.get(name).and_then(|it| it.to_str().ok());
    let knows = match said(header::IF_NONE_MATCH) {
        Some(tags) => tags
            .split(',')
            .any(|it| it.trim().trim_start_matches("W/") == tag),
        // Browsers say the date as they were told it.
        None => said(header::IF_MODIFIED_SINCE) == Some(changed),
    };
    if knows {
        return Wanted::Nothing;
    }
    let same = said(header::IF_RANGE).is_none_or(|it| it == tag || it == changed);
    let range = said(header::RANGE).filter(|_| same);
    let Some((first, last)) = range
        .and_then(|it| it.strip_prefix("bytes="))
        .and_then(|it| it.split_once('-'))
    else {
        return Wanted::Whole;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (number(first), number(last)) {
        (Some(first), _) if first >= length => Wanted::Beyond,
        (Some(first), None) if last.trim().is_empty() => Wanted::Part(first..length),
        (Some(first), Some(last)) if last >= first => {
            Wanted::Part(first..last.saturating_add(1).min(length))
        }
        (None, Some(0)) if first.trim().is_empty() => Wanted::Beyond,
        (None, Some(count)) if first.trim().is_empty() && length > 0 => {
            Wanted::Part(length.saturating_sub(count)..length)
        }
        _ => Wanted::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_the_client_asks_and_what_it_has_is_not_sent() {
        let check = |all: &[(&str, &str)], expected: Wanted| {
            let mut headers = HeaderMap::new();
            for (name, value) in all {
                let name: HeaderName = name.parse().expect("a name");
                headers.insert(name, value.parse().expect("a value"));
            }
            assert_eq!(wanted(&headers, 100, "\"t\"", "Fri"), expected, "{all:?}");
        };
        check(&[], Wanted::Whole);
        for (range, expected) in [
            ("bytes=0-9", Wanted::Part(0..10)),
            ("bytes=90-", Wanted::Part(90..100)),
            ("bytes=90-900", Wanted::Part(90..100)),
            ("bytes=-5", Wanted::Part(95..100)),
            ("bytes=-500", Wanted::Part(0..100)),
            ("bytes=5-18446744073709551615", Wanted::Part(5..100)),
            ("bytes=100-", Wanted::Beyond),
            ("bytes=-0", Wanted::Beyond),
            ("bytes=9-5", Wanted::Whole),
            ("bytes=0-1,5-6", Wanted::Whole),
            ("bytes=x-y", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
        ] {
            check(&[("range", range)], expected.clone());
            check(&[("range", range), ("if-range", "\"t\"")], expected);
            check(&[("range", range), ("if-range", "\"old\"")], Wanted::Whole);
        }
        check(&[("if-none-match", "\"a\", \"t\"")], Wanted::Nothing);
        check(&[("if-modified-since", "Fri")], Wanted::Nothing);
        check(&[("if-modified-since", "Thu")], Wanted::Whole);
        check(
            &[("if-none-match", "\"a\""), ("if-modified-since", "Fri")],
            Wanted::Whole,
        );
    }
}
