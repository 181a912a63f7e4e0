//! Where somebody goes who has logged in: back to a page of this master, and nowhere else.

/// The longest address that is gone back to.
const LONGEST: usize = 2000;

/// The way from the root of the site to one of its pages, without a slash in front.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::web) struct ReturnPath(String);

impl ReturnPath {
    /// Reads what stood in an address or a form, which anybody may have written. What is not
    /// plainly a page below the root is the root.
    pub(in crate::web) fn read(text: &str) -> Self {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let is_plain =
            |it: char| it.is_ascii_graphic() && !matches!(it, '\\' | '"' | '<' | '>' | '#');
        // A colon in the first part would be a scheme, an empty part the name of a host; and
        // browsers take `%2e` for a dot.
        let is_part = |it: &str| {
            let dots = it.to_ascii_lowercase().replace("%2e", ".");
            !it.is_empty() && dots != "." && dots != ".."
        };
        let is_own = text.len() <= LONGEST
            && path.chars().all(is_plain)
            && query.chars().all(is_plain)
            && !path.split('/').next().unwrap_or_default().contains(':')
            && path.split('/').all(is_part);
        match is_own {
            true => Self(text.to_owned()),
            false => Self::default(),
        }
    }

    /// The page that an action was sent from, as well as its own address tells.
    pub(in crate::web) fn of_action(path: &str) -> Self {
        let path = path.trim_start_matches('/');
        let above = path.rsplit_once('/').map_or("", |(above, _)| above);
        match above {
            it if it.starts_with("builders/_") => Self("builders".into()),
            it if it.starts_with("requests") || it.starts_with("api") => Self::default(),
            it => Self::read(it),
        }
    }

    /// The page that is asked for.
    pub(in crate::web) fn of_page(path: &str) -> Self {
        Self::read(path.trim_start_matches('/'))
    }

    pub(in crate::web) fn as_str(&self) -> &str {
        &self.0
    }

    /// As it stands in `Location`, from an address right below the root.
    pub(in crate::web) fn location(&self) -> String {
        format!("./{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_same_site_are_gone_back_to() {
        for own in [
            "",
            "builders",
            "builders/hello%20x/builds/3",
            "waterfall?show=a&show=b//c:d",
            "builders/a:b",
        ] {
            let read = ReturnPath::read(own);
            assert_eq!(read.location(), format!("./{own}"));
        }
        for foreign in [
            "//evil.test",
            "/evil.test",
            "///evil.test/x",
            "http://evil.test",
            "https:evil.test",
            "javascript:alert(1)",
            "\\\\evil.test",
            "a/../../b",
            "..",
            ".",
            "a/%2e%2E/b",
            "a//b",
            "builders/",
            "builders\r\nSet-Cookie: x=y",
            "a\tb",
            "a\0b",
            "é",
            "a#b",
            "a\"b",
            &"x".repeat(LONGEST + 1),
        ] {
            assert_eq!(ReturnPath::read(foreign).location(), "./", "{foreign:?}");
        }
    }

    #[test]
    fn an_action_leads_back_to_the_page_of_its_form() {
        for (action, page) in [
            ("/builders/hello/force", "builders/hello"),
            ("/builders/hello/builds/3/stop", "builders/hello/builds/3"),
            ("/builders/_all/stopall", "builders"),
            ("/requests/3/cancel", ""),
            ("/buildslaves/s/pause", "buildslaves/s"),
            ("/shutdown", ""),
            ("/api/reload", ""),
        ] {
            assert_eq!(ReturnPath::of_action(action).as_str(), page, "{action}");
        }
    }
}
