//! What `git`, `mercurial` and `svn` share: which repository, branch and revision a
//! build is about, how the tree is brought there, and what a build may not
//! say to a program.

mod commands;
mod course;
mod diff;
mod forms;
pub(super) mod gerrit;
mod mode;
mod patch;
mod plan;
mod retry;
mod said;
mod url;

use std::collections::BTreeMap;

use crate::expr::Amount;
use crate::model::Command;
use crate::model::Shell;
use crate::model::ShellLine;
use crate::model::Text;
use crate::steps::Cx;
use crate::steps::Flags;
use crate::steps::StepError;
use crate::steps::line::rendered;
use crate::steps::paths;
use crate::steps::read;
use crate::steps::settings::TIMEOUT;
use crate::steps::settings::environment;
use crate::syntax::Keys;

pub(in crate::steps) use commands::because;
pub(in crate::steps) use commands::mirrored;
pub(in crate::steps) use commands::rmdir;
pub(in crate::steps) use commands::stat;
pub(in crate::steps) use course::Begun;
pub(in crate::steps) use course::Next;
pub(in crate::steps) use course::Source;
pub(in crate::steps) use course::begin;
pub(crate) use forms::RepoUrl;
pub(in crate::steps) use forms::below;
pub(in crate::steps) use forms::check_below;
pub(in crate::steps) use forms::lookup;
pub(crate) use mode::Mode;
pub(crate) use mode::Words;
pub(in crate::steps) use patch::Remains;
pub(in crate::steps) use patch::is_patched;
pub(in crate::steps) use patch::unmark;
pub(in crate::steps) use patch::with_patch;
pub(in crate::steps) use plan::Plan;
pub(crate) use retry::Retry;
pub(in crate::steps) use said::commit;
pub(in crate::steps) use said::complained;
pub(in crate::steps) use said::was_cut_short;
pub(crate) use url::check_url;
pub(crate) use url::check_word;
pub(in crate::steps) use url::is_same_repository;
pub(in crate::steps) use url::password;
pub(in crate::steps) use url::plain;

/// Says why no build would lay this diff over its tree.
pub(crate) fn check_patch(diff: &[u8], level: u32) -> Result<(), String> {
    diff::check(diff, level).map_err(|it| it.to_string())
}

/// Whether a diff is laid over a tree by git, as `patch` leaves parts of it out.
pub(crate) fn needs_git(diff: &[u8]) -> bool {
    diff::needs_git(diff)
}

/// Where the kept checkout of the method `copy` lies, in the builder's directory, if it is the
/// one of the factory's own tree.
pub(in crate::steps) const KEPT: &str = "source";

/// Where the checkout lies that is kept to be copied to `tree`. Each tree has one of its own:
/// several would remove each other.
pub(in crate::steps) fn kept(cx: &Cx<'_>, tree: &str) -> String {
    let plain = tree.trim_start_matches("./").trim_end_matches('/');
    match plain == cx.workdir {
        true => KEPT.to_owned(),
        false => format!("{KEPT}-{}", plain.replace(['/', '\\'], "-")),
    }
}

/// Without its source no step makes sense.
pub(in crate::steps) const FLAGS: Flags = Flags {
    halt_on_failure: true,
    flunk_on_failure: true,
    ..Flags::NONE
};

/// The parameters that every checkout has.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    /// The stamp's repository where unset.
    pub(crate) repourl: Option<RepoUrl>,
    pub(crate) workdir: Option<Text>,
    pub(crate) mode: Mode,
    /// What it is called where no description says otherwise.
    pub(crate) words: Words,
    /// Drops the revision of the stamp.
    pub(crate) always_use_latest: bool,
    /// How often more a full checkout is tried.
    pub(crate) retry: Retry,
    pub(crate) timeout: Option<Amount>,
    pub(crate) env: BTreeMap<String, Option<Text>>,
    pub(crate) log_environ: bool,
    pub(crate) description: Option<Vec<Text>>,
    pub(crate) description_done: Option<Vec<Text>>,
    /// Whether it may come from the mirror that the slave keeps (git and hg only).
    pub(crate) mirror: bool,
    /// Whether a stamp that names no repository is about this one. It is not
    /// for the second source of a factory.
    pub(crate) is_first: bool,
}

impl Default for Checkout {
    fn default() -> Self {
        Self {
            repourl: None,
            workdir: None,
            mode: Mode::default(),
            words: Words::UPDATE,
            always_use_latest: false,
            retry: Retry::default(),
            timeout: Some(TIMEOUT.into()),
            env: BTreeMap::new(),
            log_environ: true,
            description: None,
            description_done: None,
            mirror: true,
            is_first: true,
        }
    }
}

impl Checkout {
    pub(in crate::steps) fn read(keys: &mut Keys<'_>, methods: &[(&str, Mode)]) -> Option<Self> {
        let repourl = RepoUrl::key(keys, &["repourl"]);
        let mirror = keys.or("mirror", true);
        let rest = Self::read_all_but_url(keys, methods);
        Some(Self {
            repourl: repourl?,
            mirror: mirror?,
            ..rest?
        })
    }

    /// For who has more to say about the URL, and no mirrors.
    pub(in crate::steps) fn read_all_but_url(
        keys: &mut Keys<'_>,
        methods: &[(&str, Mode)],
    ) -> Option<Self> {
        // Some types of Buildbot called it a directory.
        let workdir = keys.optional_as(&["workdir", "directory"]);
        let mode = Mode::read_with_words(keys, methods);
        let always_use_latest = keys.or("always_use_latest", false);
        let retry = keys.or("retry", Retry::default());
        let timeout = read::limit(keys, "timeout", Some(TIMEOUT));
        let env = read::env(keys, "env");
        let log_environ = keys.or("log_environ", true);
        let description = read::words(keys, "description");
        let description_done = read::words(keys, "description_done");
        let (mode, words) = mode?;
        Some(Self {
            repourl: None,
            workdir: workdir?,
            mode,
            words,
            always_use_latest: always_use_latest?,
            retry: retry?,
            timeout: timeout?,
            env: env?,
            log_environ: log_environ?,
            description: description?,
            description_done: description_done?,
            mirror: true,
            is_first: true,
        })
    }

    pub(in crate::steps) fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        let own = self
            .description
            .as_deref()
            .and_then(|it| rendered(it, cx.properties).ok());
        own.unwrap_or_else(|| vec![self.words.running.into()])
    }

    pub(in crate::steps) fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        let own = self
            .description_done
            .as_deref()
            .and_then(|it| rendered(it, cx.properties).ok());
        own.unwrap_or_else(|| vec![self.words.done.into()])
    }

    /// What this build wants of the repository. `own_branch` is the step's.
    pub(in crate::steps) fn wanted(
        &self,
        cx: &mut Cx<'_>,
        own_branch: Option<String>,
    ) -> Result<Wanted, StepError> {
        let url = self.url(cx)?;
        let is_about_this = self.is_about(cx, |it| self.is_this(it, &url));
        let own_branch = own_branch.filter(|it| !it.is_empty());
        let (branch, revision) = if is_about_this {
            (said(cx.stamp.branch.as_deref()), self.revision(cx))
        } else {
            (None, None)
        };
        let wanted = Wanted {
            url,
            branch: branch.or(own_branch),
            revision,
        };
        wanted.check()?;
        Ok(wanted)
    }

    /// Whether the build's stamp is about the repository `repourl`.
    pub(in crate::steps) fn is_about_its_url(&self, cx: &Cx<'_>) -> Result<bool, StepError> {
        let url = self.url(cx)?;
        Ok(self.is_about(cx, |it| self.is_this(it, &url)))
    }

    fn url(&self, cx: &Cx<'_>) -> Result<String, StepError> {
        let url = match &self.repourl {
            Some(url) => url.render(cx)?,
            None => cx.stamp.repository.clone(),
        };
        if url.is_empty() {
            let what = "the checkout has no `repourl`, and the build names no repository";
            return Err(StepError::Other(what.into()));
        }
        Ok(url)
    }

    /// Whether a stamp's repository is the one at `url`, which `repourl` became.
    fn is_this(&self, stamped: &str, url: &str) -> bool {
        let follows = self.repourl.as_ref().is_none_or(RepoUrl::follows_stamp);
        follows || is_same_repository(stamped, url)
    }

    /// Whether the build's stamp is about this repository, as `is_this` knows its names.
    pub(in crate::steps) fn is_about(
        &self,
        cx: &Cx<'_>,
        is_this: impl FnOnce(&str) -> bool,
    ) -> bool {
        match cx.stamp.repository.as_str() {
            "" => self.is_first,
            stamped => is_this(stamped),
        }
    }

    fn revision(&self, cx: &mut Cx<'_>) -> Option<String> {
        if self.always_use_latest {
            return None;
        }
        if let Some(revision) = said(cx.stamp.revision.as_deref()) {
            return Some(revision);
        }
        let revision = said(cx.changes.last()?.revision.as_deref())?;
        cx.properties
            .set_runtime("revision", revision.as_str(), SOURCE);
        Some(revision)
    }

    /// Where the tree ends up, relative to the builder's directory.
    pub(in crate::steps) fn tree(&self, cx: &Cx<'_>) -> Result<String, StepError> {
        let tree = match &self.workdir {
            Some(text) => text.render(cx.properties)?,
            None => cx.workdir.to_owned(),
        };
        // What is written there comes from whoever may push.
        if paths::leaves(&tree) {
            let shown = tree.escape_debug();
            let what = format!("`{shown}` is not a directory of the builder's own");
            return Err(StepError::Other(what));
        }
        Ok(tree)
    }

    /// `argv` in `dir`, with what the URL keeps secret masked.
    pub(in crate::steps) fn command(
        &self,
        cx: &Cx<'_>,
        dir: &str,
        argv: Vec<String>,
        wanted: &Wanted,
    ) -> Result<Command, StepError> {
        let mut shell = self.shell(cx, dir, argv)?;
        shell.mask.extend(password(&wanted.url).map(str::to_owned));
        // What the programs say is read.
        shell
            .env
            .entry("LC_MESSAGES".into())
            .or_insert_with(|| Some("C".into()));
        Ok(Command::Shell(shell))
    }

    /// `argv` in `dir`, which knows nothing of the repository.
    fn shell(&self, cx: &Cx<'_>, dir: &str, argv: Vec<String>) -> Result<Shell, StepError> {
        let mut shell = Shell::new(ShellLine::Argv(argv), dir);
        environment(cx, &self.env, &mut shell)?;
        shell.timeout = read::length("timeout", self.timeout.as_ref(), cx)?;
        shell.log_environ = self.log_environ;
        Ok(shell)
    }
}

/// Who set `revision` and `got_revision`.
pub(in crate::steps) const SOURCE: &str = "Source";

pub(in crate::steps) fn said(text: Option<&str>) -> Option<String> {
    text.map(str::trim)
        .filter(|it| !it.is_empty())
        .map(str::to_owned)
}

/// What a build wants of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::steps) struct Wanted {
    pub(in crate::steps) url: String,
    pub(in crate::steps) branch: Option<String>,
    pub(in crate::steps) revision: Option<String>,
}

impl Wanted {
    /// Refuses what a program would take for an option: the words come from
    /// whoever may send a change.
    pub(in crate::steps) fn check(&self) -> Result<(), StepError> {
        check_url(&self.url).map_err(StepError::Other)?;
        for (noun, word) in [("branch", &self.branch), ("revision", &self.revision)] {
            if let Some(word) = word {
                check_word(noun, word).map_err(StepError::Other)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Change;
    use crate::model::ChangeId;
    use crate::model::Properties;
    use crate::model::SourceStamp;
    use crate::model::Timestamp;
    use crate::steps::StepKind;
    use crate::steps::bench::Bench;
    use crate::steps::bench::Line;
    use crate::steps::bench::out;
    use crate::steps::darcs;
    use crate::steps::git;
    use crate::steps::mercurial;
    use crate::steps::read::tests::read_kind;
    use crate::steps::svn;

    fn change(revision: &str) -> Change {
        Change {
            id: ChangeId(1),
            author: String::new(),
            files: Vec::new(),
            comments: String::new(),
            revision: Some(revision.to_owned()),
            branch: None,
            category: None,
            revlink: String::new(),
            repository: String::new(),
            project: String::new(),
            when: Timestamp(0),
            properties: Properties::new(),
        }
    }

    /// The checkout of a build of these changes once its tree is looked at: what it does next,
    /// and the property `revision`.
    fn update_of(lines: &str, revisions: &[&str]) -> (String, Option<String>) {
        let step = read_kind(&git::KIND, &format!("repourl = 'https://x'\n{lines}"));
        let mut bench = Bench::new(step.as_ref(), &git::KIND);
        bench.changes = revisions.iter().map(|it| change(it)).collect();
        bench.begin();
        bench.ends(0, &[]);
        bench.ends(0, &[]);
        let next = bench.ends(1, &[]);
        let revision = bench.properties.text("revision").map(str::to_owned);
        (next, revision)
    }

    #[test]
    fn a_build_of_changes_is_of_the_last_ones_revision_unless_the_latest_is_wanted() {
        let of_last = "hello/build: git cat-file -e two".to_owned();
        assert_eq!(
            update_of("", &["one", "two"]),
            (of_last, Some("two".into()))
        );
        let latest = "hello/build: git fetch -t https://x master".to_owned();
        assert_eq!(update_of("", &[]), (latest.clone(), None));
        let lines = "always_use_latest = true";
        assert_eq!(update_of(lines, &["one"]), (latest, None));
    }

    /// Plays a checkout, and tells why trees were removed.
    fn whys(kind: &StepKind, lines: &str, script: &[(&str, i32, &[Line<'_>])]) -> Vec<String> {
        let step = read_kind(kind, lines);
        let mut bench = Bench::new(step.as_ref(), kind);
        let (last, before) = script.split_last().expect("a script");
        bench.plays(before, last.0);
        bench.whys
    }

    #[test]
    fn a_full_checkout_instead_of_an_update_is_announced_with_its_reason() {
        let git = "repourl = 'https://x/r'\nbranch = 'main'\nretry = [1, 1]";
        let clone = "hello/build: git clone --branch main https://x/r .";
        let wait = "hello: /bin/sh -c echo \"$1\"; exec sleep \"$2\" wait \
                    the checkout failed; it is tried again in 1 s, for the last time 1";
        let failed: &[(&str, i32, &[_])] = &[
            ("hello/build: git --version", 0, &[]),
            ("stat hello/build/.git", 0, &[]),
            ("stat hello/build/.buildbot-patched", 1, &[]),
            ("hello/build: git fetch -t https://x/r main", 1, &[]),
            ("rmdir hello/build", 0, &[]),
            (clone, 128, &[]),
            (wait, 0, &[]),
            ("rmdir hello/build", 0, &[]),
            (clone, 0, &[]),
        ];
        let then = "`build` is removed, and checked out from nothing";
        let told = |why: &str| format!("{why}: {then}");
        assert_eq!(
            whys(&git::KIND, git, failed),
            [
                told("the last command failed (exit code 1)"),
                told("the last command failed (exit code 128)")
            ]
        );

        let hg = "repourl = 'https://x/r'\nbranch = 'stable'";
        let other: &[(&str, i32, &[_])] = &[
            ("hello/build: hg --verbose --version", 0, &[]),
            ("stat hello/build/.hg", 0, &[]),
            ("stat hello/build/.buildbot-patched", 1, &[]),
            (
                "hello/build: hg --verbose pull https://x/r --update",
                0,
                &[],
            ),
            (
                "hello/build: hg --verbose identify --branch",
                0,
                &[out("default")],
            ),
            ("rmdir hello/build", 0, &[]),
        ];
        let of_branch = [told("the tree is of another branch")];
        assert_eq!(whys(&mercurial::KIND, hg, other), of_branch);

        let info = "<info><entry><url>https://x/branches/a</url></entry></info>";
        let svn: &[(&str, i32, &[_])] = &[
            ("hello/build: svn --version --quiet", 0, &[]),
            ("stat hello/build/.svn", 0, &[]),
            ("hello/build: svn info --xml", 0, &[out(info)]),
            ("rmdir hello/build", 0, &[]),
        ];
        let of_url = [told("the tree is of another URL")];
        assert_eq!(whys(&svn::KIND, "repourl = 'https://x/trunk'", svn), of_url);

        let bzr: &[(&str, i32, &[_])] = &[
            ("stat hello/build/.buildbot-patched", 0, &[]),
            ("rmdir hello/build", 0, &[]),
            ("hello: darcs --version", 0, &[]),
            ("stat hello/build/_darcs/autobot-0c29a31b8978d005", 1, &[]),
            ("rmdir hello/build", 0, &[]),
        ];
        assert_eq!(
            whys(&darcs::KIND, "repourl = 'https://x/r'", bzr),
            [
                told("the tree is patched"),
                told("there is no finished checkout of this")
            ]
        );
        // What is wanted anew is no news.
        let clobber: &[(&str, i32, &[_])] = &[
            ("hello/build: git --version", 0, &[]),
            ("rmdir hello/build", 0, &[]),
            (clone, 0, &[]),
        ];
        let lines = format!("{git}\nmode = 'clobber'");
        assert_eq!(whys(&git::KIND, &lines, clobber), [""; 0]);
    }

    #[test]
    fn every_command_has_the_steps_environment_and_time() {
        let lines = "repourl = 'https://x'\nenv.A = '%(a)s'\nlog_environ = false";
        let step = read_kind(&git::KIND, lines);
        let mut bench = Bench::new(step.as_ref(), &git::KIND);
        bench.properties.set("a", "b", "test");
        let shell = bench.begin_shell();
        assert_eq!(shell.env["A"], Some("b".to_owned()));
        assert_eq!(shell.timeout, Some(Duration::from_mins(20)));
        assert!(!shell.log_environ);
        let limited = "repourl = 'https://x'\ntimeout = 5";
        let mut bench = Bench::new(read_kind(&git::KIND, limited).as_ref(), &git::KIND);
        let shell = bench.begin_shell();
        assert_eq!(shell.timeout, Some(Duration::from_secs(5)));
    }

    #[test]
    fn a_stamp_of_another_repository_says_nothing_about_this_one() {
        let stamp = SourceStamp {
            repository: "/srv/other".into(),
            branch: Some("theirs".into()),
            revision: Some("1".into()),
            ..SourceStamp::default()
        };
        let mut properties = Properties::new();
        let env = BTreeMap::new();
        let mut cx = Cx {
            name: "git",
            flags: FLAGS,
            properties: &mut properties,
            seen: &crate::expr::Values::new(),
            stamp: &stamp,
            changes: &[],
            submitted: None,
            builder_dir: "hello",
            workdir: "build",
            env: &env,
        };
        let wanted = |url: &str, cx: &mut Cx<'_>| {
            let checkout = Checkout {
                repourl: Some(Text::literal(url).into()),
                ..Checkout::default()
            };
            let it = checkout.wanted(cx, Some("ours".into())).expect(url);
            (it.branch, it.revision)
        };
        assert_eq!(wanted("/srv/x", &mut cx), (Some("ours".into()), None));
        let expected = (Some("theirs".into()), Some("1".into()));
        assert_eq!(wanted("/srv/other", &mut cx), expected);
    }
}
