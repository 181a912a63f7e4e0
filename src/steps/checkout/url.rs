//! Repository URLs, branches and revisions as texts: what a program would take
//! for something else, what nobody may see, and which of them name the same place.

/// Refuses a repository URL that a program would take for an option.
pub(crate) fn check_url(url: &str) -> Result<(), String> {
    check_word("repository", url)?;
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host_after_user = host.split(['/', '\\']).next().unwrap_or_default();
    let host_after_user = host_after_user.rsplit('@').next().unwrap_or_default();
    if host.starts_with('-') || host_after_user.starts_with('-') {
        return Err(format!(
            "the host of the repository `{}` begins with `-`",
            masked(url)
        ));
    }
    Ok(())
}

/// Refuses a branch or revision that a program would take for an option.
pub(crate) fn check_word(noun: &str, word: &str) -> Result<(), String> {
    let shown = masked(word);
    if word.starts_with('-') {
        return Err(format!("the {noun} `{shown}` begins with `-`"));
    }
    if word.chars().any(char::is_control) {
        let shown = shown.escape_default();
        return Err(format!("the {noun} `{shown}` holds a control character"));
    }
    Ok(())
}

/// The password of `scheme://user:password@host`.
pub(in crate::steps) fn password(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    Some(password).filter(|it| !it.is_empty())
}

pub(super) fn masked(url: &str) -> String {
    match password(url) {
        Some(password) => url.replacen(&format!(":{password}@"), ":XXXX@", 1),
        None => url.to_owned(),
    }
}

/// Whether two URLs name one repository: neither who asks, nor a slash at the
/// end, nor `file://` before a path makes another of it.
pub(in crate::steps) fn is_same_repository(a: &str, b: &str) -> bool {
    plain(a) == plain(b)
}

pub(in crate::steps) fn plain(url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    let url = url.strip_prefix("file://").unwrap_or(url);
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = match rest.find('/') {
                Some(at) => rest.split_at(at),
                None => (rest, ""),
            };
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

/// Whether a repository is somewhere else: what is on the slave's own machine needs no mirror.
pub(super) fn is_remote(url: &str) -> bool {
    if let Some((scheme, _)) = url.split_once("://") {
        return !scheme.eq_ignore_ascii_case("file");
    }
    // `host:path`, as ssh has it; `C:` is a disk.
    let host = url.split(['/', '\\']).next().unwrap_or_default();
    host.split_once(':').is_some_and(|(host, _)| host.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_found_and_hidden() {
        assert_eq!(password("https://u:p@ss@host/x"), Some("p@ss"));
        assert_eq!(password("https://u@host/a:b@c"), None);
        assert_eq!(password("git@host:repo.git"), None);
        assert_eq!(masked("https://u:secret@host/x"), "https://u:XXXX@host/x");
    }

    #[test]
    fn only_what_is_somewhere_else_has_a_mirror() {
        for (url, expected) in [
            ("https://host/x", true),
            ("ssh://git@host/x", true),
            ("git@host:x.git", true),
            ("host:/srv/x", true),
            ("file:///srv/x", false),
            ("FILE:///srv/x", false),
            ("/srv/a:b", false),
            ("../x", false),
            (r"C:\x", false),
        ] {
            assert_eq!(is_remote(url), expected, "{url}");
        }
    }

    #[test]
    fn one_repository_has_many_spellings() {
        let check = |a, b, expected| assert_eq!(is_same_repository(a, b), expected, "{a} {b}");
        check("https://u:p@host/x/", "https://host/x", true);
        check("file:///srv/x", "/srv/x", true);
        check("https://host/x", "https://host/y", false);
        check("git@host:x", "git@host:x", true);
    }

    #[test]
    fn options_in_disguise_are_refused() {
        let check = |url: &str, expected: Option<&str>| {
            assert_eq!(check_url(url).err().as_deref(), expected, "{url}");
        };
        check("https://host/x-y.git", None);
        check("/srv/-x/y", None);
        check("git@host:-x", None);
        check(
            "--upload-pack=touch x",
            Some("the repository `--upload-pack=touch x` begins with `-`"),
        );
        check(
            "ssh://-oProxyCommand=x/y",
            Some("the host of the repository `ssh://-oProxyCommand=x/y` begins with `-`"),
        );
        check(
            "ssh://u@-oProxyCommand=x/y",
            Some("the host of the repository `ssh://u@-oProxyCommand=x/y` begins with `-`"),
        );
        check(
            "a\0b",
            Some("the repository `a\\u{0}b` holds a control character"),
        );
    }
}
