//! The kinds of change sources and what each may be told: `[source:NAME]`.

use std::path::Path;
use std::time::Duration;

use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Problem;
use crate::syntax::plain;

use super::bonsai_poller::BonsaiSettings;
use super::bzr_poller::BzrSettings;
use super::feed::FeedSettings;
use super::followed;
use super::followed::Followed;
use super::gerrit::GerritSettings;
use super::hooks::Dialect;
use super::hooks::HookSettings;
use super::mails::MailSettings;
use super::p4_poller::P4Settings;
use super::pb::PbSettings;
use super::settings::masked;
use super::svn_poller::SvnSettings;

/// Every kind of source, in the order of the manual.
pub(crate) const KINDS: &[SourceKind] = &[
    SourceKind {
        name: "git_poller",
        aliases: &["git"],
        summary: "Polls branches, tags and other refs of a Git repository.",
        example: "repourl = https://example.org/hello.git\nbranches = main release/*\npoll_interval = 5m",
        read: |keys| Followed::git(keys).map(Settings::Git),
    },
    SourceKind {
        name: "hg_poller",
        aliases: &["hg"],
        summary: "Polls a named branch of a Mercurial repository.",
        example: "repourl = https://example.org/hg/toolbox\nbranch = stable",
        read: |keys| Followed::hg(keys).map(Settings::Hg),
    },
    SourceKind {
        name: "svn_poller",
        aliases: &["svn"],
        summary: "Polls a Subversion repository, whose directories are its branches.",
        example: "svnurl = https://example.org/svn\nsplit_file = branches\nproject = Hello",
        read: |keys| followed::svn(keys).map(Settings::Svn),
    },
    SourceKind {
        name: "bzr_poller",
        aliases: &["bzr"],
        summary: "Polls a branch of Bazaar, with `bzr` or Breezy.",
        example: "repourl = lp:hello\nbranch_name = trunk",
        read: |keys| followed::bzr(keys).map(Settings::Bzr),
    },
    SourceKind {
        name: "p4_poller",
        aliases: &["p4", "p4_source"],
        summary: "Polls a depot of Perforce.",
        example: "p4port = perforce.example.org:1666\np4base = //depot/hello/\nsplit_file = simple",
        read: |keys| P4Settings::read(keys).map(Settings::P4),
    },
    SourceKind {
        name: "feed_poller",
        aliases: &["feed", "atom", "rss", "google_code_atom_poller"],
        summary: "Polls a feed of commits, Atom or RSS, as forges publish them.",
        example: "feedurl = https://example.org/hello/commits/main.atom\nrepository = https://example.org/hello.git\nbranch = main",
        read: |keys| FeedSettings::read(keys).map(Settings::Feed),
    },
    SourceKind {
        name: "bonsai_poller",
        aliases: &["bonsai"],
        summary: "Asks Bonsai for the check-ins of a CVS repository.",
        example: "bonsaiurl = http://bonsai.example.org\nmodule = All\nbranch = HEAD",
        read: |keys| BonsaiSettings::read(keys).map(Settings::Bonsai),
    },
    SourceKind {
        name: "cvs_maildir",
        aliases: &["cvs_maildir_source"],
        summary: "Reads mails about commits to CVS in a maildir, as `buildbot_cvs_mail.py` sends them.",
        example: "maildir = ~/Maildir/cvs\nurlmaker = http://example.org/viewvc/%(file)s?r1=%(old)s&r2=%(new)s",
        read: |keys| MailSettings::cvs(keys).map(Settings::Mail),
    },
    SourceKind {
        name: "svn_maildir",
        aliases: &["svn_commit_email_maildir_source"],
        summary: "Reads mails about commits to Subversion in a maildir, as `commit-email.pl` sends them.",
        example: "maildir = ~/Maildir/svn\nprefix = hello/trunk/",
        read: |keys| MailSettings::svn(keys).map(Settings::Mail),
    },
    SourceKind {
        name: "bzr_maildir",
        aliases: &["bzr_launchpad_email_maildir_source"],
        summary: "Reads mails of Launchpad about branches of Bazaar in a maildir.",
        example: "maildir = ~/Maildir/launchpad\nbranch_map.~ann/hello/trunk = lp:hello",
        read: |keys| MailSettings::launchpad(keys).map(Settings::Mail),
    },
    SourceKind {
        name: "freshcvs_maildir",
        aliases: &["fc_maildir_source"],
        summary: "Reads mails of FreshCVS in a maildir.",
        example: "maildir = ~/Maildir/freshcvs\nprefix = hello/",
        read: |keys| MailSettings::fresh_cvs(keys).map(Settings::Mail),
    },
    SourceKind {
        name: "syncmail_maildir",
        aliases: &["syncmail_maildir_source"],
        summary: "Reads mails of `syncmail` about commits to CVS in a maildir.",
        example: "maildir = ~/Maildir/syncmail\nprefix = hello/",
        read: |keys| MailSettings::syncmail(keys).map(Settings::Mail),
    },
    SourceKind {
        name: "bonsai_maildir",
        aliases: &["bonsai_maildir_source"],
        summary: "Reads mails that CVS sends to Bonsai in a maildir.",
        example: "maildir = ~/Maildir/bonsai",
        read: |keys| MailSettings::bonsai(keys).map(Settings::Mail),
    },
    SourceKind {
        name: "gerrit",
        aliases: &["gerrit_change_source"],
        summary: "Listens to the events of a Gerrit: patch sets, and branches that move.",
        example: "gerritserver = review.example.org\nusername = autobot\nidentity_file = gerrit_key",
        read: |keys| GerritSettings::read(keys).map(Settings::Gerrit),
    },
    SourceKind {
        name: "base",
        aliases: &["hook", "change_hook"],
        summary: "Takes changes that are sent as a form, one at a time.",
        example: "secret = ${secret:hook}\nproject = Hello",
        read: |keys| HookSettings::read(keys, Dialect::Base).map(Settings::Hook),
    },
    SourceKind {
        name: "github",
        aliases: &[],
        summary: "Takes the pushes that GitHub tells of.",
        example: "secret = ${secret:github}\nbranches = main release/*",
        read: |keys| HookSettings::read(keys, Dialect::GitHub).map(Settings::Hook),
    },
    SourceKind {
        name: "gitlab",
        aliases: &[],
        summary: "Takes the pushes that GitLab tells of.",
        example: "secret = ${secret:gitlab}",
        read: |keys| HookSettings::read(keys, Dialect::GitLab).map(Settings::Hook),
    },
    SourceKind {
        name: "bitbucket",
        aliases: &[],
        summary: "Takes the pushes that Bitbucket tells of, the service or the server.",
        example: "secret = ${secret:bitbucket}\nrepository = https://bitbucket.org/example/hello.git",
        read: |keys| HookSettings::read(keys, Dialect::Bitbucket).map(Settings::Hook),
    },
    SourceKind {
        name: "gitea",
        aliases: &["forgejo", "gogs"],
        summary: "Takes the pushes that Gitea or Forgejo tell of.",
        example: "secret = ${secret:gitea}",
        read: |keys| HookSettings::read(keys, Dialect::Gitea).map(Settings::Hook),
    },
    SourceKind {
        name: "poller",
        aliases: &["poller_hook"],
        summary: "Has pollers look at once when somebody knocks.",
        example: "secret = none",
        read: |keys| HookSettings::read_poller(keys).map(Settings::Hook),
    },
    SourceKind {
        name: "pb",
        aliases: &["pb_change_source", "sendchange"],
        summary: "Takes the changes that `buildbot sendchange` sends to `slaveport`.",
        example: "user = hooks\npasswd = ${secret:hooks}\nprefix = trunk/",
        read: |keys| PbSettings::read(keys).map(Settings::Pb),
    },
];

/// A kind of source as the reader, the manual and the tests see it.
pub(crate) struct SourceKind {
    pub(crate) name: &'static str,
    /// Other words for it in `type = …`.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) summary: &'static str,
    /// INI lines that a section of this kind may hold besides `type`.
    pub(crate) example: &'static str,
    pub(crate) read: fn(&mut Keys<'_>) -> Option<Settings>,
}

/// What is configured of a source. Sources with equal settings are the same.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Settings {
    Git(Followed),
    Hg(Followed),
    Svn(SvnSettings),
    Bzr(BzrSettings),
    P4(P4Settings),
    Feed(FeedSettings),
    Bonsai(BonsaiSettings),
    Mail(MailSettings),
    Gerrit(GerritSettings),
    Hook(HookSettings),
    Pb(PbSettings),
}

/// Reads a section of a source. Its kind is what `type` says, or what the
/// section is called.
pub(crate) fn read(keys: &mut Keys<'_>) -> Option<Settings> {
    let own_name = kind(keys.own_name()).map(|it| it.name.to_owned());
    let said = keys.optional::<String>("type")?;
    let names = || {
        KINDS
            .iter()
            .flat_map(|it| [&[it.name], it.aliases].concat())
    };
    let Some(word) = said.or(own_name) else {
        let what = format!("`type` is missing in {}", keys.title());
        let names: Vec<_> = KINDS.iter().map(|it| format!("`{}`", it.name)).collect();
        let problem = Problem::error(Code::MissingKey, what).at(keys.header());
        keys.note(problem.label(format!("expected one of {}", names.join(", "))));
        // Without its type nobody knows what the other keys mean.
        keys.rest();
        return None;
    };
    let Some(kind) = kind(&word) else {
        let what = format!("unknown type of source `{word}`");
        let problem = Problem::error(Code::UnknownType, what).at(&keys.place("type"));
        keys.note(problem.did_you_mean(&word, names()));
        keys.rest();
        return None;
    };
    (kind.read)(keys)
}

/// The kind that `word` names, in any spelling: `git_poller`, `GitPoller`.
fn kind(word: &str) -> Option<&'static SourceKind> {
    let word = plain(word);
    KINDS.iter().find(|kind| {
        let mut names = [kind.name].into_iter().chain(kind.aliases.iter().copied());
        names.any(|it| plain(it) == word)
    })
}

impl Settings {
    /// What pages and clones call it: `GitPoller: URL#BRANCH`, or without
    /// `#BRANCH` where the repository's own default is followed.
    pub(crate) fn describe(&self) -> String {
        let followed = |kind: &str, it: &Followed| {
            let url = masked(&it.url, &it.url);
            match it.only_branch() {
                Some(None) => format!("{kind}: {url}"),
                Some(Some(branch)) => format!("{kind}: {url}#{branch}"),
                None => format!("{kind}: {url}#{}", it.wanted().shown()),
            }
        };
        match self {
            Self::Git(it) => followed("GitPoller", it),
            Self::Hg(it) => followed("HgPoller", it),
            Self::Svn(it) => format!("SVNPoller: {}", masked(&it.url, &it.url)),
            Self::Bzr(it) => format!("BzrPoller: {}", masked(&it.url, &it.url)),
            Self::P4(it) => format!("P4Source: {}", it.base),
            Self::Feed(it) => format!("FeedPoller: {}", it.shown()),
            Self::Bonsai(it) => format!("BonsaiPoller: {}", masked(&it.url, &it.url)),
            Self::Mail(it) => format!("{}: {}", it.kind(), it.maildir.display()),
            Self::Gerrit(it) => it.describe(),
            Self::Hook(it) => it.describe().to_owned(),
            Self::Pb(it) => format!("PBChangeSource: {}", it.user),
        }
    }

    /// The program that it runs, if it runs one.
    pub(crate) fn program(&self) -> Option<&str> {
        match self {
            Self::Git(it) => Some(it.program.as_deref().unwrap_or("git")),
            Self::Hg(it) => Some(it.program.as_deref().unwrap_or("hg")),
            Self::Svn(it) => Some(it.program.as_deref().unwrap_or("svn")),
            Self::Bzr(it) => Some(it.program.as_deref().unwrap_or("bzr")),
            Self::P4(it) => Some(it.program.as_deref().unwrap_or("p4")),
            Self::Gerrit(it) => Some(it.program()),
            Self::Feed(_) | Self::Bonsai(_) | Self::Mail(_) | Self::Hook(_) | Self::Pb(_) => None,
        }
    }

    /// The repository that its changes name, if it is always the same.
    pub(crate) fn repository(&self) -> Option<&str> {
        match self {
            Self::Git(it) | Self::Hg(it) => Some(&it.url),
            Self::Svn(it) => Some(&it.url),
            Self::Bzr(it) => Some(&it.url),
            Self::P4(it) => Some(&it.base),
            Self::Feed(it) => Some(it.repository.as_str()).filter(|it| !it.is_empty()),
            Self::Bonsai(it) => Some(&it.cvsroot),
            // What a mail says wins.
            Self::Mail(_) => None,
            // They have many.
            Self::Gerrit(_) | Self::Pb(_) => None,
            Self::Hook(it) => it.repository(),
        }
    }

    /// The maildir that it empties, if it reads mails.
    pub(crate) fn maildir(&self) -> Option<&Path> {
        let Self::Mail(it) = self else { return None };
        Some(&it.maildir)
    }

    /// What is configured of it, if others knock at it.
    pub(crate) const fn hook(&self) -> Option<&HookSettings> {
        match self {
            Self::Hook(it) => Some(it),
            Self::Git(_)
            | Self::Hg(_)
            | Self::Svn(_)
            | Self::Bzr(_)
            | Self::P4(_)
            | Self::Feed(_)
            | Self::Bonsai(_)
            | Self::Mail(_)
            | Self::Gerrit(_)
            | Self::Pb(_) => None,
        }
    }

    /// What is configured of it, if Buildbot's programs send its changes.
    pub(crate) const fn pb(&self) -> Option<&PbSettings> {
        let Self::Pb(it) = self else { return None };
        Some(it)
    }

    /// Whether it looks by itself, so that it can be made to look at once.
    pub(crate) const fn looks(&self) -> bool {
        self.hook().is_none() && self.pb().is_none()
    }

    /// Whether it tells the changes of this branch (`None`: of the usual one)
    /// of this repository, so that nobody else has to.
    pub(crate) fn follows(&self, url: &str, branch: Option<&str>) -> bool {
        match self {
            Self::Git(it) | Self::Hg(it) => {
                let is_branch = match (&it.branches, branch) {
                    (None, None) => it.only_branch().is_some(),
                    (Some(patterns), Some(branch)) => patterns.fit(branch),
                    (None, Some(_)) | (Some(_), None) => false,
                };
                it.url == url && is_branch
            }
            Self::Svn(it) => it.url == url.trim_end_matches('/'),
            Self::Bzr(it) => it.url == url && branch.is_none(),
            Self::Feed(it) => it.repository == url && it.branch.as_deref() == branch,
            // No factory names their repositories.
            Self::P4(_) | Self::Bonsai(_) => false,
            // Whoever knocks or writes may forget to: it is polled all the same.
            Self::Gerrit(_) | Self::Mail(_) | Self::Hook(_) | Self::Pb(_) => false,
        }
    }

    pub(crate) const fn poll_interval(&self) -> Option<Duration> {
        match self {
            Self::Git(it) | Self::Hg(it) => it.poll_interval,
            Self::Svn(it) => it.poll_interval,
            Self::Bzr(it) => it.poll_interval,
            Self::P4(it) => it.poll_interval,
            Self::Feed(it) => it.poll_interval,
            Self::Bonsai(it) => it.poll_interval,
            Self::Mail(it) => it.poll_interval,
            Self::Gerrit(_) | Self::Hook(_) | Self::Pb(_) => None,
        }
    }

    /// Looks this often, if nothing else was said.
    #[must_use]
    pub(crate) fn with_usual_interval(mut self, usual: Duration) -> Self {
        let interval = match &mut self {
            Self::Git(it) | Self::Hg(it) => &mut it.poll_interval,
            Self::Svn(it) => &mut it.poll_interval,
            Self::Bzr(it) => &mut it.poll_interval,
            Self::P4(it) => &mut it.poll_interval,
            Self::Feed(it) => &mut it.poll_interval,
            Self::Bonsai(it) => &mut it.poll_interval,
            Self::Mail(it) => &mut it.poll_interval,
            Self::Gerrit(_) | Self::Hook(_) | Self::Pb(_) => return self,
        };
        interval.get_or_insert(usual);
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::split::Prefix;
    use super::super::split::Split;
    use super::*;
    use crate::syntax::Problems;
    use crate::syntax::Source;
    use crate::syntax::ini;

    fn read_in(text: &str) -> (Option<Settings>, String) {
        let source = Source::new("master.ini", "/base", text);
        let mut problems = Problems::default();
        let tree = ini::read(&source, &mut problems);
        let mut keys = Keys::of(&tree.sections[0], &mut problems);
        let settings = read(&mut keys);
        keys.finish();
        problems.sort();
        (settings, problems.render(false))
    }

    fn good(text: &str) -> Settings {
        let (settings, problems) = read_in(text);
        assert_eq!(problems, "", "{text}");
        settings.expect(text)
    }

    #[test]
    fn every_example_of_the_table_reads_and_names_are_unique() {
        let mut names = BTreeSet::new();
        for kind in KINDS {
            good(&format!(
                "[source:x]\ntype = {}\n{}\n",
                kind.name, kind.example
            ));
            assert!(!kind.summary.is_empty());
            for name in [&[kind.name], kind.aliases].concat() {
                assert!(names.insert(plain(name)), "`{name}` stands twice");
            }
        }
    }

    #[test]
    fn a_section_that_is_called_like_a_kind_needs_no_type() {
        let settings = good("[source:GitPoller]\nrepourl = /srv/x\nbranch = main\n");
        assert_eq!(
            settings,
            Settings::Git(Followed::new("/srv/x", Some("main")))
        );
        assert_eq!(settings.describe(), "GitPoller: /srv/x#main");
        assert!(settings.follows("/srv/x", Some("main")));
        assert!(!settings.follows("/srv/x", None));
        let settings = good("[source:svn]\ntype = HgPoller\nurl = https://a:b@h/x\n");
        assert_eq!(settings.describe(), "HgPoller: https://a:…@h/x");
    }

    #[test]
    fn a_farm_with_a_branch_map_is_said_in_keys() {
        let text = "[source:django]\ntype = SVNPoller\nsvnurl = http://code.djangoproject.com/svn/\n\
            project = Django\npollinterval = 300\nhistmax = 20\n\
            revlinktmpl = http://code.djangoproject.com/changeset/%s\n\
            branch.trunk = django/trunk\nbranch.1.2.X = django/branches/releases/1.2.X\n";
        let Settings::Svn(settings) = good(text) else {
            panic!("a poller of Subversion");
        };
        let map = [
            ("1.2.X", "django/branches/releases/1.2.X"),
            ("trunk", "django/trunk"),
        ];
        let map = map.map(|(name, it)| Prefix::new(name, it).expect(it));
        let expected = SvnSettings {
            url: "http://code.djangoproject.com/svn".into(),
            split: Split::Map(map.into()),
            user: None,
            password: None,
            poll_interval: Some(Duration::from_mins(5)),
            poll_jitter: Duration::ZERO,
            hist_max: 20,
            program: None,
            use_timestamps: false,
            revlink: Some("http://code.djangoproject.com/changeset/%s".into()),
            project: "Django".into(),
            category: None,
        };
        assert_eq!(settings, expected);
        let usual = Settings::Svn(settings).with_usual_interval(Duration::from_secs(7));
        assert_eq!(usual.poll_interval(), Some(Duration::from_mins(5)));
    }

    #[test]
    fn what_buildbot_called_them_and_their_keys_are_understood() {
        let text = "[source:x]\ntype = P4Source\np4port = h:1666\np4base = //depot/hello\np4user = ann\n\
            p4passwd = s\np4bin = /opt/p4\nsplit_file = get_simple_split\npollinterval = 300\nencoding = utf8\n";
        let Settings::P4(it) = good(text) else {
            panic!("a depot");
        };
        assert_eq!(
            (it.base.as_str(), it.split),
            ("//depot/hello/", Split::Simple)
        );
        assert_eq!(it.poll_interval, Some(Duration::from_mins(5)));
        for (text, described, interval) in [
            ("P4Source\n", "P4Source: //", 600),
            (
                "GoogleCodeAtomPoller\nfeedurl = https://a:b@h/x/svnchanges/basic?t=s3cret\n",
                "FeedPoller: https://h/x/svnchanges/basic",
                3600,
            ),
            (
                "BonsaiPoller\nbonsaiURL = http://h/\nmodule = m\nbranch = b\n",
                "BonsaiPoller: http://h",
                30,
            ),
            (
                "CVSMaildirSource\nmaildir = /m\n",
                "CVSMaildirSource: /m",
                10,
            ),
            (
                "SVNCommitEmailMaildirSource\nmaildir = m\nprefix = p/\n",
                "SVNCommitEmailMaildirSource: /base/m",
                10,
            ),
            (
                "BzrLaunchpadEmailMaildirSource\nmaildir = /m\nbranchMap = {\"lp:~a/b\": \"c\"}\ndefaultBranch = d\n",
                "BzrLaunchpadEmailMaildirSource: /m",
                10,
            ),
        ] {
            let settings = good(&format!("[source:x]\ntype = {text}"));
            assert_eq!(settings.describe(), described);
            let settings = settings.with_usual_interval(Duration::from_secs(7));
            assert_eq!(
                settings.poll_interval(),
                Some(Duration::from_secs(interval))
            );
        }
    }

    #[test]
    fn a_feed_of_a_repository_is_polled_instead_of_it() {
        let feed = good("[source:atom]\nfeedurl = https://h/f\nrepository = /r\nbranch = main\n");
        assert!(feed.follows("/r", Some("main")));
        assert!(!feed.follows("/r", None) && !feed.follows("/other", Some("main")));
    }

    #[test]
    fn tags_and_refs_are_followed_without_a_branch_or_beside_branches() {
        let said = |lines: &str| {
            let settings = good(&format!("[source:git]\nrepourl = /srv/x\n{lines}\n"));
            let follows = settings.follows("/srv/x", None);
            (settings.describe(), follows)
        };
        let told = |it: &str| format!("GitPoller: /srv/x{it}");
        assert_eq!(said("poll_jitter = 5s"), (told(""), true));
        assert_eq!(said("tags = v*"), (told("#refs/tags/v*"), false));
        let both = "branch = main\nrefs = refs/pull/*/head";
        assert_eq!(said(both), (told("#main refs/pull/*/head"), false));
        let said = |text: &str| read_in(text).1;
        insta::assert_snapshot!(said("[source:git]\nrepourl = /x\ntags =\nrefs = refs/a pull/*\npoll_jitter = often\n"), @"
        error[bad-value]: bad value for `tags` in [source:git]
         --> master.ini:3:7
          |
        3 | tags =
          |       ^ expected names or patterns such as `v*`, or `*`

        error[bad-value]: bad value for `poll_jitter` in [source:git]
         --> master.ini:5:15
          |
        5 | poll_jitter = often
          |               ^^^^^ expected a duration such as `90s` or `5m`
        ");
    }

    #[test]
    fn every_mistake_has_its_place() {
        let said = |text: &str| read_in(text).1;
        insta::assert_snapshot!(said("[source:x]\ntype = gti_poller\n"), @"
        error[unknown-type]: unknown type of source `gti_poller`
         --> master.ini:2:8
          |
        2 | type = gti_poller
          |        ^^^^^^^^^^ did you mean `git_poller`?
        ");
        insta::assert_snapshot!(said("[source:x]\nrepourl = /srv/x\n"), @"
        error[missing-key]: `type` is missing in [source:x]
         --> master.ini:1:2
          |
        1 | [source:x]
          |  ^^^^^^^^ expected one of `git_poller`, `hg_poller`, `svn_poller`, `bzr_poller`, `p4_poller`, `feed_poller`, `bonsai_poller`, `cvs_maildir`, `svn_maildir`, `bzr_maildir`, `freshcvs_maildir`, `syncmail_maildir`, `bonsai_maildir`, `gerrit`, `base`, `github`, `gitlab`, `bitbucket`, `gitea`, `poller`, `pb`
        ");
        insta::assert_snapshot!(said("[source:git]\nrepourl = -x\nbranch = a\nbranches = b\npoll_interval = 0\nbrunch = c\n"), @"
        error[contradiction]: `branch` and `branches` say the same thing twice
         --> master.ini:3:10
          |
        3 | branch = a
          |          ^
        4 | branches = b
          |            - the other one

        error[bad-value]: bad value for `poll_interval` in [source:git]
         --> master.ini:5:17
          |
        5 | poll_interval = 0
          |                 ^ expected at least a second

        error[unknown-key]: unknown key `brunch` in [source:git]
         --> master.ini:6:1
          |
        6 | brunch = c
          | ^^^^^^ did you mean `branch`?
        ");
        insta::assert_snapshot!(said("[source:git]\nrepourl = -x\n"), @"
        error[bad-value]: bad value for `repourl` in [source:git]
         --> master.ini:2:11
          |
        2 | repourl = -x
          |           ^^ value `-x` is refused: it begins with `-`
        ");
        insta::assert_snapshot!(said("[source:hg]\nrepourl = /x\nbranches = a b\n"), @"
        error[unknown-key]: unknown key `branches` in [source:hg]
         --> master.ini:3:1
          |
        3 | branches = a b
          | ^^^^^^^^ did you mean `branch`?
        ");
        insta::assert_snapshot!(said("[source:svn]\nbranch.a = x*\nbranch.b* = ..\nhistmax = 0\n"), @"
        error[missing-key]: `svnurl` is missing in [source:svn]
         --> master.ini:1:2
          |
        1 | [source:svn]
          |  ^^^^^^^^^^ expected a text

        error[bad-value]: bad prefix of the branch `a` in [source:svn]
         --> master.ini:2:12
          |
        2 | branch.a = x*
          |            ^^ a `*` stands for one whole directory

        error[bad-value]: bad prefix of the branch `b*` in [source:svn]
         --> master.ini:3:13
          |
        3 | branch.b* = ..
          |             ^^ a prefix has no `..`

        error[bad-value]: bad value for `hist_max` in [source:svn]
         --> master.ini:4:11
          |
        4 | histmax = 0
          |           ^ expected at least 1
        ");
        insta::assert_snapshot!(said("[source:svn]\nsvnurl = /x\nsplit_file = func\ncachepath = /y\n"), @"
        error[bad-value]: bad value for `split_file` in [source:svn]
         --> master.ini:3:14
          |
        3 | split_file = func
          |              ^^^^ expected `none`, `branches`, `simple`, or `branch.NAME = PREFIX` instead

        warning[no-effect]: `cachepath` has no effect
         --> master.ini:4:13
          |
        4 | cachepath = /y
          |             ^^ the position is kept with the changes
        ");
        insta::assert_snapshot!(said("[source:p4]\np4base = depot\nencoding = utf8\nhist_max = 100\n"), @"
        error[bad-value]: bad value for `p4base` in [source:p4]
         --> master.ini:2:10
          |
        2 | p4base = depot
          |          ^^^^^ expected a part of the depot such as `//depot/hello/`

        warning[no-effect]: `hist_max` has no effect
         --> master.ini:4:12
          |
        4 | hist_max = 100
          |            ^^^ every change since the last look is told
        ");
        insta::assert_snapshot!(said("[source:p4]\np4port = -x\nencoding = ebcdic\n"), @"
        error[bad-value]: bad value for `p4port` in [source:p4]
         --> master.ini:2:10
          |
        2 | p4port = -x
          |          ^^ value `-x` is refused: it begins with `-`

        error[bad-value]: bad value for `encoding` in [source:p4]
         --> master.ini:3:12
          |
        3 | encoding = ebcdic
          |            ^^^^^^ expected `utf-8` or `latin-1`
        ");
        insta::assert_snapshot!(said("[source:atom]\nfeedurl = example.org/x\n"), @"
        error[bad-value]: bad value for `feedurl` in [source:atom]
         --> master.ini:2:11
          |
        2 | feedurl = example.org/x
          |           ^^^^^^^^^^^^^ expected an address such as `https://example.org/hello/commits/main.atom`
        ");
        insta::assert_snapshot!(said("[source:bonsai]\nbonsaiurl = http://h?x\nmodule = m\nrevlinktmpl = x\n"), @"
        error[missing-key]: `branch` is missing in [source:bonsai]
         --> master.ini:1:2
          |
        1 | [source:bonsai]
          |  ^^^^^^^^^^^^^ expected a text

        error[bad-value]: bad value for `bonsaiurl` in [source:bonsai]
         --> master.ini:2:13
          |
        2 | bonsaiurl = http://h?x
          |             ^^^^^^^^^^ expected an address such as `http://bonsai.example.org`

        error[unknown-key]: unknown key `revlinktmpl` in [source:bonsai]
         --> master.ini:4:1
          |
        4 | revlinktmpl = x
          | ^^^^^^^^^^^
          |
          = help: the keys of [source:bonsai] are `type`, `bonsaiurl`, `module`, `branch`, `tree`, `cvsroot`, `tls_ca`, `use_timestamps`, `poll_interval`, `project`, `category`
        ");
        insta::assert_snapshot!(said("[source:cvs_maildir]\nurlmaker = http://h/%s\n"), @"
        error[missing-key]: `maildir` is missing in [source:cvs_maildir]
         --> master.ini:1:2
          |
        1 | [source:cvs_maildir]
          |  ^^^^^^^^^^^^^^^^^^ expected a path

        error[bad-value]: bad value for `urlmaker` in [source:cvs_maildir]
         --> master.ini:2:12
          |
        2 | urlmaker = http://h/%s
          |            ^^^^^^^^^^^ expected an address with `%(file)s` in it, and `%(old)s` and `%(new)s`
        ");
        insta::assert_snapshot!(said("[source:bzr_maildir]\nmaildir = m\nbranch_map.lp:~a/b = c\n"), @"
        error[bad-value]: bad key in `branch_map` of [source:bzr_maildir]
         --> master.ini:3:15
          |
        3 | branch_map.lp:~a/b = c
          |               ^^^^^^^^ expected a path without `lp:`, as in `branch_map.~ann/hello/trunk = NAME`
        ");
    }
}
