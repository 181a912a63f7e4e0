//! Maildirs into which mails about commits are delivered: [`maildir`] watches them, and a
//! grammar reads each mail. To add one: a file here, a [`Grammar`] and a kind.

mod bonsai;
mod cvs;
mod fresh_cvs;
mod launchpad;
mod letter;
pub(super) mod maildir;
mod svn;
mod syncmail;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tracing::debug;

use super::followed::Common;
use crate::model::NewChange;
use crate::model::Properties;
use crate::model::Timestamp;
use crate::model::Vc;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Problem;
use cvs::UrlMaker;
use launchpad::Branches;
use letter::Letter;

/// How often a maildir is looked at, if nothing says that something has come.
const USUAL_INTERVAL: Duration = Duration::from_secs(10);

/// What is configured of a maildir.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MailSettings {
    grammar: Grammar,
    pub(crate) maildir: PathBuf,
    pub(crate) poll_interval: Option<Duration>,
    prefix: Prefix,
    /// Where a mail says none.
    repository: String,
    project: String,
    category: Option<String>,
}

/// Who writes the mails, and what has to be known of them.
#[derive(Clone, Debug, PartialEq)]
enum Grammar {
    Cvs {
        maker: Option<UrlMaker>,
        properties: Properties,
    },
    Svn,
    Launchpad(Branches),
    FreshCvs,
    Syncmail,
    Bonsai,
}

/// What is taken off the names of files; what begins with something else does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Prefix(String);

impl Prefix {
    fn strip(&self, file: &str) -> Option<String> {
        let rest = file.strip_prefix(&self.0);
        if rest.is_none() {
            debug!(file, prefix = self.0, "a file does not count");
        }
        rest.filter(|it| !it.is_empty()).map(str::to_owned)
    }
}

/// What a mail says of a commit; what it does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Said {
    who: String,
    files: Vec<String>,
    /// Where the files can be looked at.
    links: Vec<String>,
    comments: String,
    revision: Option<String>,
    branch: Option<String>,
    /// `None` is when it is read.
    when: Option<Timestamp>,
    category: Option<String>,
    repository: Option<String>,
    project: Option<String>,
}

/// Why a mail is no change.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Unheard {
    /// It is about something else.
    Nothing(&'static str),
    /// It should be one, and somebody has to look at it.
    Bad(String),
}

impl MailSettings {
    pub(super) fn cvs(keys: &mut Keys<'_>) -> Option<Self> {
        let maker = keys.optional::<String>("urlmaker");
        let values = keys.map::<Value>("property");
        let more = keys.map::<Value>("properties");
        let common = Self::read(keys, Grammar::Svn);
        Self::without_prefix(keys);
        let maker = match maker? {
            Some(text) if !text.contains("%(file)s") => {
                let label =
                    "expected an address with `%(file)s` in it, and `%(old)s` and `%(new)s`";
                keys.wrong("urlmaker", label);
                return None;
            }
            maker => maker.map(UrlMaker),
        };
        let mut properties = Properties::new();
        for (name, value) in more?.into_iter().chain(values?) {
            properties.set(name, value, "Change");
        }
        Some(Self {
            grammar: Grammar::Cvs { maker, properties },
            ..common?
        })
    }

    pub(super) fn svn(keys: &mut Keys<'_>) -> Option<Self> {
        Self::read(keys, Grammar::Svn)
    }

    pub(super) fn launchpad(keys: &mut Keys<'_>) -> Option<Self> {
        let map = keys.placed_map::<String>("branch_map");
        let default = keys.optional::<String>("default_branch");
        let common = Self::read(keys, Grammar::Svn);
        Self::without_prefix(keys);
        let map = map?;
        // In INI a `:` ends a key.
        if let Some((place, _)) = map.get("lp") {
            let what = format!("bad key in `branch_map` of {}", keys.title());
            let problem = Problem::error(Code::BadValue, what).at(place);
            keys.note(problem.label(
                "expected a path without `lp:`, as in `branch_map.~ann/hello/trunk = NAME`",
            ));
            return None;
        }
        let branches = Branches {
            map: map
                .into_iter()
                .map(|(path, (_, name))| (path, name))
                .collect(),
            default: default?,
        };
        Some(Self {
            grammar: Grammar::Launchpad(branches),
            ..common?
        })
    }

    pub(super) fn fresh_cvs(keys: &mut Keys<'_>) -> Option<Self> {
        Self::read(keys, Grammar::FreshCvs)
    }

    pub(super) fn syncmail(keys: &mut Keys<'_>) -> Option<Self> {
        Self::read(keys, Grammar::Syncmail)
    }

    pub(super) fn bonsai(keys: &mut Keys<'_>) -> Option<Self> {
        Self::read(keys, Grammar::Bonsai)
    }

    fn without_prefix(keys: &mut Keys<'_>) {
        if keys.has("prefix") {
            keys.without_effect("prefix", "names stay as they are in the mail");
        }
    }

    fn read(keys: &mut Keys<'_>, grammar: Grammar) -> Option<Self> {
        let maildir = keys.required::<PathBuf>("maildir");
        let prefix = keys.or("prefix", String::new());
        let repository = keys.or("repository", String::new());
        let common = Common::read_without_links(keys);
        let (maildir, prefix, common) = (maildir?, prefix?, common?);
        Some(Self {
            grammar,
            maildir,
            poll_interval: Some(common.poll_interval.unwrap_or(USUAL_INTERVAL)),
            prefix: Prefix(prefix),
            repository: repository?,
            project: common.project,
            category: common.category.filter(|it| !it.is_empty()),
        })
    }

    /// The name of its kind, as Buildbot has it.
    pub(super) const fn kind(&self) -> &'static str {
        match self.grammar {
            Grammar::Cvs { .. } => "CVSMaildirSource",
            Grammar::Svn => "SVNCommitEmailMaildirSource",
            Grammar::Launchpad(_) => "BzrLaunchpadEmailMaildirSource",
            Grammar::FreshCvs => "FCMaildirSource",
            Grammar::Syncmail => "SyncmailMaildirSource",
            Grammar::Bonsai => "BonsaiMaildirSource",
        }
    }

    /// What a mail says, as a change. `origin` is the mail's own.
    fn change(
        &self,
        letter: &Letter,
        origin: String,
        now: Timestamp,
    ) -> Result<NewChange, Unheard> {
        let prefix = &self.prefix;
        let said = match &self.grammar {
            Grammar::Cvs { maker, .. } => cvs::read(letter, maker.as_ref(), now),
            Grammar::Svn => svn::read(letter, prefix),
            Grammar::Launchpad(branches) => launchpad::read(letter, branches),
            Grammar::FreshCvs => fresh_cvs::read(letter, prefix),
            Grammar::Syncmail => syncmail::read(letter, prefix, now),
            Grammar::Bonsai => bonsai::read(letter, prefix),
        }?;
        let or = |said: Option<String>, usual: &String| match said {
            Some(said) if !said.is_empty() => said,
            _ => usual.clone(),
        };
        Ok(NewChange {
            author: said.who,
            files: said.files,
            comments: said.comments,
            revision: said.revision,
            branch: said.branch,
            category: said.category.or_else(|| self.category.clone()),
            // With several files no link is that of the revision.
            revlink: match said.links.as_slice() {
                [only] => only.clone(),
                _ => String::new(),
            },
            repository: or(said.repository, &self.repository),
            project: or(said.project, &self.project),
            when: said.when,
            properties: match &self.grammar {
                Grammar::Cvs { properties, .. } => properties.clone(),
                _ => Properties::new(),
            },
            origin: Some(origin),
            vc: Some(match &self.grammar {
                Grammar::Svn => Vc::Svn,
                Grammar::Launchpad(_) => Vc::Bzr,
                Grammar::Cvs { .. } | Grammar::FreshCvs | Grammar::Syncmail | Grammar::Bonsai => {
                    Vc::Cvs
                }
            }),
        })
    }
}

/// A time as CVS takes one for a revision.
fn utc(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds() -> [Grammar; 6] {
        let cvs = Grammar::Cvs {
            maker: Some(UrlMaker("%(file)s %(old)s".into())),
            properties: Properties::new(),
        };
        let launchpad = Grammar::Launchpad(Branches::default());
        let simple = [
            Grammar::Svn,
            Grammar::FreshCvs,
            Grammar::Syncmail,
            Grammar::Bonsai,
        ];
        let [svn, fresh, sync, bonsai] = simple;
        [cvs, launchpad, svn, fresh, sync, bonsai]
    }

    /// A line that some grammar knows, nearly right.
    fn line() -> impl Strategy<Value = String> {
        let known = prop::sample::select(vec![
            "Files: ",
            "Path: ",
            "Cvsmode: 1.12",
            "Cvsmode: 1.11",
            "  Tag: ",
            "Log Message:",
            "Log:",
            "Modified:",
            "New Revision: ",
            "Author:",
            "revno: ",
            "committer: ",
            "timestamp: Tue ",
            "message:",
            "renamed:",
            "Modified files:",
            "Log message:",
            "Modified Files:",
            "LOGCOMMENT",
            "a|1|b|c|d|e",
            "From: a CVS <b@c>",
            "Subject: [Branch ",
            "Content-Type: multipart/mixed; boundary=b",
            "--b",
            "",
            " => ",
            "a NONE 1.1 ",
            "a,NONE,1.1 ",
            "2012-03-06 01:02:03 -0330",
        ]);
        (known, "\\PC{0,12}").prop_map(|(known, more)| format!("{known}{more}"))
    }

    proptest! {
        #[test]
        fn no_mail_is_too_strange_to_be_read(
            lines in prop::collection::vec(line(), 0..30),
            noise in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut mail = b"From: Ann <ann@h>\n".to_vec();
            mail.extend_from_slice(lines.join("\n").as_bytes());
            mail.extend_from_slice(&noise);
            let Some(letter) = Letter::read(&mail) else { return Ok(()) };
            for grammar in kinds() {
                let settings = MailSettings {
                    grammar,
                    maildir: PathBuf::new(),
                    poll_interval: None,
                    prefix: Prefix::default(),
                    repository: String::new(),
                    project: String::new(),
                    category: None,
                };
                if let Ok(change) = settings.change(&letter, String::new(), Timestamp(0)) {
                    prop_assert!(!change.author.is_empty() || settings.grammar == Grammar::Bonsai);
                }
            }
        }
    }
}
