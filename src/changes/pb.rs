//! Changes that Buildbot's own programs send, `buildbot sendchange` and hook scripts: who may, and
//! which files count. The master lets them in; by itself the source does nothing.

use std::net::SocketAddr;

use crate::model::NewChange;
use crate::secrets::SecretText;
use crate::secrets::read_password;
use crate::syntax::Keys;

/// The password that Buildbot had where nobody said another, which the whole world knows.
const KNOWN: &str = "changepw";

/// What is configured of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PbSettings {
    pub(crate) user: String,
    pub(crate) password: SecretText,
    /// Where alone it is good; `None`: wherever slaves are.
    pub(crate) port: Option<SocketAddr>,
    /// What names of files begin with, and then do without.
    prefix: Option<String>,
}

impl PbSettings {
    pub(super) fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let user = keys.or("user", "change".to_owned());
        let password = read_password(
            keys,
            KNOWN,
            "take another, and give it to who sends changes: `buildbot sendchange --auth USER:PASSWORD`",
        );
        let port = keys.or("port", None::<SocketAddr>);
        let prefix = keys.optional::<String>("prefix");
        Some(Self {
            user: user?,
            password: password?,
            port: port?,
            prefix: prefix?.filter(|it| !it.is_empty()),
        })
    }

    /// The change with the names of its files as they are below the prefix; `None` if all of them
    /// are elsewhere. One without files is taken as it is.
    pub(crate) fn take(&self, mut change: NewChange) -> Option<NewChange> {
        let Some(prefix) = &self.prefix else {
            return Some(change);
        };
        let had_files = !change.files.is_empty();
        let files = change.files.into_iter();
        let below = files.filter_map(|it| it.strip_prefix(prefix.as_str()).map(str::to_owned));
        change.files = below.collect();
        (!had_files || !change.files.is_empty()).then_some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_outside_of_the_prefix_are_no_part_of_a_change() {
        let check = |files: &[&str], expected: Option<&[&str]>| {
            let settings = PbSettings {
                user: "change".into(),
                password: SecretText::plain("x"),
                port: None,
                prefix: Some("trunk/".into()),
            };
            let change = NewChange {
                files: files.iter().map(ToString::to_string).collect(),
                ..NewChange::by("ann")
            };
            let taken = settings.take(change).map(|it| it.files);
            let expected = expected.map(|it| it.iter().map(ToString::to_string).collect());
            assert_eq!(taken, expected, "{files:?}");
        };
        check(&["trunk/a", "tags/b", "trunk"], Some(&["a"]));
        check(&["tags/b"], None);
        check(&[], Some(&[]));
    }
}
