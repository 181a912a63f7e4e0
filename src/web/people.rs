//! How pages show who did something: with an address that a person can read
//! and a program that collects addresses does not find.

/// Stands before each `@`, where nobody sees it.
const FILLER: &str = "<span hidden>no spam</span>@";

/// A text in which addresses are not told in one piece, as HTML.
pub(super) fn email(text: &str) -> String {
    escape(text).replace('@', FILLER)
}

/// A person: the name, and behind it the address, which the style sheet keeps for those who ask.
pub(super) fn user(text: &str) -> String {
    let Some((name, address)) = parts(text) else {
        return email(text);
    };
    format!(
        "<span class=\"user\">{} <span class=\"email\">&lt;{}&gt;</span></span>",
        email(name),
        email(address)
    )
}

/// What somebody is called where there is no room for an address, or where it could be read in
/// one piece: the name, or what stands before the `@`.
pub(super) fn nickname(text: &str) -> String {
    let name = parts(text).map_or(text, |it| it.0);
    let words = name.split_whitespace().map(|word| {
        let (before, _) = word.split_once('@').unwrap_or((word, ""));
        before.trim_start_matches('<')
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The parts of `Name <address>`.
fn parts(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.trim().split_once('<')?;
    let address = rest.strip_suffix('>')?;
    let (name, address) = (name.trim(), address.trim());
    let is_good = !name.is_empty() && !address.is_empty() && !address.contains(['<', '>']);
    is_good.then_some((name, address))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(it),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_never_in_one_piece() {
        for text in [
            "ann@x.test",
            "Ann <ann@x.test>",
            "a@b@c",
            "<ann@x.test>",
            "@",
        ] {
            for drawn in [email(text), user(text)] {
                let plain = drawn.replace(FILLER, "");
                assert!(!plain.contains('@'), "{drawn}");
            }
        }
        assert_eq!(email("ann@x.test"), "ann<span hidden>no spam</span>@x.test");
    }

    #[test]
    fn what_somebody_is_called_has_no_address_in_it() {
        for (text, expected) in [
            ("Ann O'Neil <ann@x.test>", "Ann O'Neil"),
            ("ann@x.test", "ann"),
            ("<ann@x.test>", "ann"),
            ("ann@a <ann@x.test>", "ann"),
            ("ann at home", "ann at home"),
        ] {
            assert_eq!(nickname(text), expected);
        }
    }

    #[test]
    fn a_person_has_a_name_and_an_address_and_anything_else_is_text() {
        assert_eq!(
            user("Ann O'Neil <ann@x.test>"),
            "<span class=\"user\">Ann O&#39;Neil <span class=\"email\">&lt;ann<span hidden>no \
             spam</span>@x.test&gt;</span></span>"
        );
        assert_eq!(user("ann"), "ann");
        assert_eq!(user("<script>"), "&lt;script&gt;");
        assert_eq!(
            user("x <script>"),
            "<span class=\"user\">x <span class=\"email\">&lt;script&gt;</span></span>"
        );
        assert_eq!(user("a <b> <c>"), "a &lt;b&gt; &lt;c&gt;");
    }
}
