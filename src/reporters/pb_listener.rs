//! `pb_listener`: whoever has its password listens to builds in Buildbot's protocol, as `statuslog`
//! does. It tells nobody by itself.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::model::BuilderName;
use crate::secrets::SecretText;
use crate::secrets::read_password;
use crate::syntax::Keys;

use super::Event;
use super::ReporterKind;
use super::Selection;
use super::Settings;
use super::Verdict;
use super::is_same;

pub(super) const KIND: ReporterKind = ReporterKind {
    name: "pb_listener",
    aliases: &["pb", "statuslog"],
    summary: "Lets `buildbot statuslog` and its like listen to builds.",
    example: "user = watcher
passwd = let-me-watch",
    missing: None,
    read: |keys, selection| read(keys, selection).map(|it| Arc::new(it) as Arc<dyn Settings>),
};

/// The password that Buildbot had where nobody said another, which the whole world knows.
const KNOWN: &str = "clientpw";

/// Who may listen, and to which builders.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PbListener {
    selection: Selection,
    pub(crate) user: String,
    pub(crate) password: SecretText,
    /// Where alone it is good; `None`: wherever slaves are.
    pub(crate) port: Option<SocketAddr>,
}

fn read(keys: &mut Keys<'_>, selection: Selection) -> Option<PbListener> {
    let user = keys.or("user", "statusClient".to_owned());
    let password = read_password(
        keys,
        KNOWN,
        "take another, and give it to who listens: `buildbot statuslog --passwd PASSWORD`",
    );
    let port = keys.or("port", None::<SocketAddr>);
    Some(PbListener {
        selection,
        user: user?,
        password: password?,
        port: port?,
    })
}

impl PbListener {
    /// Whether it may hear of a builder.
    pub(crate) fn hears_of(
        &self,
        builder: &BuilderName,
        category: Option<&str>,
        tags: &[String],
    ) -> bool {
        self.selection.leaves_out(builder, category, tags).is_none()
    }
}

impl Settings for PbListener {
    fn describe(&self) -> String {
        let about = self.selection.describe();
        format!(
            "pb_listener: whoever logs in as {} hears of {about}",
            self.user
        )
    }

    fn hears(&self, event: &Event) -> Verdict {
        match self.selection.refuses(event) {
            Some(why) => Verdict::no(why),
            None => Verdict::yes("who listens hears of every build", vec![self.user.clone()]),
        }
    }

    fn as_pb_listener(&self) -> Option<&PbListener> {
        Some(self)
    }

    fn is_same(&self, other: &dyn Settings) -> bool {
        is_same(self, other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_hears_of_the_builders_of_its_section_only() {
        let listener = PbListener {
            selection: Selection::Categories(vec!["docs".into()]),
            user: "w".into(),
            password: SecretText::plain("quiet"),
            port: None,
        };
        assert!(listener.hears_of(&"a".into(), Some("docs"), &[]));
        assert!(!listener.hears_of(&"a".into(), Some("code"), &[]));
        assert!(!listener.hears_of(&"a".into(), None, &[]));
        assert!(!format!("{listener:?}").contains("quiet"));
    }
}
