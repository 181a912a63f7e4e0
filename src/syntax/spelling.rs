//! How keys are spelt: `maxBuilds`, `max-builds` and `max_builds` are one key.

/// A key as it is compared: without case, `_` and `-`. What stands behind the
/// first dot is a name of the user's and stays as it is.
pub(crate) fn plain(key: &str) -> String {
    let (head, rest) = split(key);
    let mut plain: String = letters(head).collect();
    plain.push_str(rest);
    plain
}

/// Whether two keys are the same, as [`plain`] spells them.
pub(crate) fn same(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    if let (Some(first), Some(second)) = (initial(one), initial(other))
        && first != second
    {
        return false;
    }
    let (head, rest) = split(one);
    let (other_head, other_rest) = split(other);
    rest == other_rest && letters(head).eq(letters(other_head))
}

/// The first byte that counts; `None` if there is none, or it is of no ASCII letter.
pub(super) fn initial(key: &str) -> Option<u8> {
    let mut bytes = key.bytes().filter(|it| !matches!(it, b'_' | b'-'));
    let first = bytes.next().filter(u8::is_ascii)?;
    Some(first.to_ascii_lowercase())
}

/// Before the first dot, and from it on.
fn split(key: &str) -> (&str, &str) {
    key.find('.').map_or((key, ""), |dot| key.split_at(dot))
}

fn letters(head: &str) -> impl Iterator<Item = char> {
    head.chars()
        .filter(|it| !matches!(it, '_' | '-'))
        .flat_map(char::to_lowercase)
}
