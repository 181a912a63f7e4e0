//! What a piece of HTML says to who reads it: no tags, entities as their letters.

/// After these a line ends.
const BLOCKS: &[&str] = &[
    "br", "p", "div", "li", "tr", "pre", "ul", "ol", "table", "h1", "h2", "h3", "h4", "dd", "dt",
];

/// The text; more than one empty line in a row is one.
pub(super) fn text(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        out.push_str(&unescaped(&rest[..at]));
        rest = &rest[at..];
        let is_tag =
            rest[1..].starts_with(|it: char| it.is_ascii_alphabetic() || "/!".contains(it));
        let Some(end) = rest.find('>').filter(|_| is_tag) else {
            out.push('<');
            rest = &rest[1..];
            continue;
        };
        let tag = rest[1..end].trim_start_matches('/');
        let is_closing = rest[1..].starts_with('/');
        let name = tag.split(|it: char| !it.is_ascii_alphanumeric()).next();
        let name = name.unwrap_or_default().to_ascii_lowercase();
        if BLOCKS.contains(&name.as_str()) && (is_closing || name == "br") {
            out.push('\n');
        }
        rest = &rest[end + 1..];
    }
    out.push_str(&unescaped(rest));
    let mut lines = Vec::new();
    for line in out.lines().map(str::trim_end) {
        if !(line.is_empty() && lines.last().is_none_or(|it: &&str| it.is_empty())) {
            lines.push(line);
        }
    }
    lines.join("\n").trim_end().to_owned()
}

/// Text with its entities as letters; what is none stays as it is.
pub(super) fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        // No name that is known here is longer.
        let end = rest.bytes().take(12).position(|it| it == b';');
        match end.and_then(|end| Some((letter(&rest[1..end])?, end))) {
            Some((letter, end)) => {
                out.push(letter);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn letter(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|it| *it != '\0');
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(html: &str, expected: &str) {
        assert_eq!(text(html), expected, "{html}");
    }

    #[test]
    fn a_piece_of_html_is_told_as_lines() {
        check("<pre style='a>b'>one\n\n  two</pre>", "b'>one\n\n  two");
        check(
            "<p>one<br/>two</p>\n\n\n<P>three &amp; &#x34;</P>",
            "one\ntwo\n\nthree & 4",
        );
        check("a < b &x; &#0; & c<d", "a < b &x; &#0; & c<d");
        check("<!-- x --><ul><li>a</li><li>b</li></ul>", "a\nb");
        check("", "");
        check("ä&ampü;<", "ä&ampü;<");
    }
}
