//! What CVS calls its repository: `:pserver:user:password@host:/path`.

use super::checkout;

/// Refuses a root with which CVS would run a program of somebody's choice. What the
/// configuration says may have options of its method, `:ext;CVS_RSH=ssh:host:/path`.
pub(super) fn check(root: &str, is_configured: bool) -> Result<(), String> {
    checkout::check_word("repository", root)?;
    let (method, rest) = split(root);
    if !is_configured && method.contains(';') {
        return Err("a repository that the build names has no options of CVS".into());
    }
    if !is_configured && method.eq_ignore_ascii_case("fork") {
        return Err("a repository that the build names is not on the slave's machine".into());
    }
    checkout::check_url(rest)
}

/// Whether two roots lead to one repository: how it is reached, by whom and from which
/// machine is nothing that a mail of the server knows.
pub(super) fn is_same(a: &str, b: &str) -> bool {
    path(a) == path(b)
}

/// The root without a password.
pub(super) fn without_password(root: &str) -> String {
    match password(root) {
        Some(password) => root.replacen(&format!(":{password}@"), "@", 1),
        None => root.to_owned(),
    }
}

pub(super) fn password(root: &str) -> Option<&str> {
    let (_, rest) = split(root);
    let host = &rest[..rest.find('/').unwrap_or(rest.len())];
    let (who, _) = host.rsplit_once('@')?;
    let (_, password) = who.split_once(':')?;
    Some(password).filter(|it| !it.is_empty())
}

/// The method, `pserver;OPTIONS`, and what is behind it.
fn split(root: &str) -> (&str, &str) {
    let inner = root.strip_prefix(':').and_then(|it| it.split_once(':'));
    inner.unwrap_or(("", root))
}

fn path(root: &str) -> &str {
    let (_, rest) = split(root);
    let from = rest.find('/').unwrap_or(0);
    rest[from..].trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_found_and_left_out() {
        for (root, secret, rest) in [
            (
                ":pserver:ann:hush@h:2401/cvs",
                Some("hush"),
                ":pserver:ann@h:2401/cvs",
            ),
            (":pserver:ann@h:/cvs", None, ":pserver:ann@h:/cvs"),
            ("ann:a:b@h:/c:d@e", Some("a:b"), "ann@h:/c:d@e"),
            ("/srv/a:b@c", None, "/srv/a:b@c"),
        ] {
            assert_eq!(password(root), secret, "{root}");
            assert_eq!(without_password(root), rest);
        }
    }

    #[test]
    fn one_repository_is_reached_in_many_ways() {
        assert!(is_same(":pserver:ann:x@h:2401/cvs/", "/cvs"));
        assert!(is_same(":ext:h:/cvs", "other:/cvs"));
        assert!(!is_same(":ext:h:/cvs", ":ext:h:/cvs2"));
    }

    #[test]
    fn a_root_runs_no_program_of_who_names_it() {
        let said = |root: &str| check(root, false).err().unwrap_or_default();
        for good in ["/cvs", "h:/cvs", ":pserver:ann:x@h:/cvs", ":ext:ann@h:/c"] {
            assert_eq!(said(good), "", "{good}");
        }
        for bad in [
            "-t",
            ":ext:-oProxyCommand=x:/cvs",
            ":ext:ann@-oProxyCommand=x:/cvs",
            ":ext;CVS_RSH=/tmp/x:h:/cvs",
            ":fork:/cvs",
            "h:/cvs\n-d",
        ] {
            assert_ne!(said(bad), "", "{bad}");
        }
        assert!(check(":ext;CVS_RSH=ssh:h:/cvs", true).is_ok());
    }
}
