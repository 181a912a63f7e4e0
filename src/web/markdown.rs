//! Markdown of the configuration as HTML. Whoever writes it may not be whoever
//! serves the pages: markup in it stays text, and links lead only where links
//! may lead.

use pulldown_cmark::CowStr;
use pulldown_cmark::Event;
use pulldown_cmark::HeadingLevel;
use pulldown_cmark::Options;
use pulldown_cmark::Parser;
use pulldown_cmark::Tag;
use pulldown_cmark::TagEnd;
use pulldown_cmark::html;

use super::links;

/// A longer text is no description.
const LONGEST: usize = 64 * 1024;

/// Draws a text. What comes of it may stand in a page as it is.
pub(super) fn draw(text: &str) -> String {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    // Whether the links that are open lead somewhere.
    let mut open = Vec::new();
    let events = Parser::new_ext(&text[..end], options).filter_map(|event| match event {
        // Markup is shown, not obeyed.
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::HtmlBlock) => Some(Event::Start(Tag::Paragraph)),
        Event::End(TagEnd::HtmlBlock) => Some(Event::End(TagEnd::Paragraph)),
        Event::Start(Tag::Link {
            link_type,
            dest_url,
            title,
            id,
        }) => {
            let url = links::outside(&dest_url);
            open.push(url.is_some());
            url.map(|url| {
                Event::Start(Tag::Link {
                    link_type,
                    dest_url: CowStr::from(url),
                    title,
                    id,
                })
            })
        }
        Event::End(TagEnd::Link) => open.pop().unwrap_or(false).then_some(event),
        // A picture from elsewhere would tell its server who looks; its words stay.
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        // Below the name of the page, which is the first heading.
        Event::Start(Tag::Heading {
            level,
            classes: _,
            attrs: _,
            id: _,
        }) => Some(Event::Start(Tag::Heading {
            level: lower(level),
            id: None,
            classes: Vec::new(),
            attrs: Vec::new(),
        })),
        Event::End(TagEnd::Heading(level)) => Some(Event::End(TagEnd::Heading(lower(level)))),
        other => Some(other),
    });
    let mut drawn = String::new();
    html::push_html(&mut drawn, events);
    drawn
}

fn lower(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 | HeadingLevel::H2 => HeadingLevel::H3,
        HeadingLevel::H3 => HeadingLevel::H4,
        HeadingLevel::H4 => HeadingLevel::H5,
        HeadingLevel::H5 | HeadingLevel::H6 => HeadingLevel::H6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(draw(text).trim_end(), expected, "{text}");
    }

    #[test]
    fn a_description_has_words_lists_links_and_code() {
        check("plain & simple", "<p>plain &amp; simple</p>");
        check(
            "*a* **b** `c<d` ~~e~~",
            "<p><em>a</em> <strong>b</strong> <code>c&lt;d</code> <del>e</del></p>",
        );
        check(
            "- [docs](https://d.test/?a=1&b=2 \"all <of> it\")\n- <https://x.test>",
            "<ul>\n<li><a href=\"https://d.test/?a=1&amp;b=2\" title=\"all &lt;of&gt; it\">docs</a></li>\n\
             <li><a href=\"https://x.test\">https://x.test</a></li>\n</ul>",
        );
        check("# One\n\n#### Four", "<h3>One</h3>\n<h5>Four</h5>");
    }

    #[test]
    fn markup_in_it_is_text() {
        check(
            "<script>alert(1)</script>",
            "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>",
        );
        check(
            "a <b onclick=x>b</b> <!-- c -->",
            "<p>a &lt;b onclick=x&gt;b&lt;/b&gt; &lt;!-- c --&gt;</p>",
        );
        for hostile in [
            "<img src=x onerror=alert(1)>",
            "<svg/onload=alert(1)>",
            "<style>*{}</style>\n\n<iframe src=//e.test></iframe>",
            "`</code><script>`",
            "```html\"onload=\"x\n<script>\n```",
            "|a|\n|-|\n|<script>|",
            "# x {#id .class onclick=alert(1)}",
            "<a href='javascript:alert(1)'>x</a>",
            "&lt;script&gt;",
            "[a]: <javascript:alert(1)>\n\n[a]",
        ] {
            let drawn = draw(hostile).replace("&lt;", "‹");
            for bad in [
                "<script",
                "<img",
                "<svg",
                "<style",
                "<iframe",
                "<a ",
                " onload=\"x",
                "<b",
            ] {
                assert!(!drawn.contains(bad), "{hostile}: {drawn}");
            }
        }
    }

    #[test]
    fn a_link_that_is_not_safe_to_follow_and_a_picture_are_their_words() {
        check("[x](javascript:alert(1))", "<p>x</p>");
        check("[x](JaVaScRiPt:alert%281%29) [y](//e.test)", "<p>x y</p>");
        check("[x](data:text/html,<script>)", "<p>x</p>");
        check("![badge](https://e.test/b.svg)", "<p>badge</p>");
        check(
            "[![in a link](https://e.test/b.svg)](https://e.test)",
            "<p><a href=\"https://e.test\">in a link</a></p>",
        );
        check(
            "[a [b](vbscript:x) c](javascript:y)",
            "<p>[a b c](javascript:y)</p>",
        );
    }

    #[test]
    fn a_text_without_end_is_cut_between_characters() {
        assert!(draw(&"ä".repeat(LONGEST)).len() <= LONGEST + 16);
        // Deep nesting does not take the stack.
        draw(&"> ".repeat(LONGEST / 2));
        draw(&"[".repeat(LONGEST));
    }
}
