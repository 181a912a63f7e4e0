//! `darcs`: brings the tree to the newest patches of a repository, or to a
//! context, which is what Darcs has for a revision.

use std::sync::Arc;

use crate::model::Command;
use crate::model::FileCommand;

use super::Cx;
use super::Ended;
use super::Role;
use super::Run;
use super::Step;
use super::StepError;
use super::StepKind;
use super::branch_urls::Branches;
use super::checkout;
use super::checkout::Checkout;
use super::checkout::Mode;
use super::checkout::Next;
use super::checkout::Wanted;
use super::paths;
use super::vcs;
use super::vcs::Site;
use super::vcs::Steps;
use super::vcs::Vcs;

pub(super) const KIND: StepKind = StepKind {
    name: "darcs",
    aliases: &[],
    step_name: "darcs",
    summary: "Checks out a Darcs repository.",
    example: r#"base_url = "https://example.org/darcs/"
default_branch = "trunk"
mode = "full"
method = "copy""#,
    flags: checkout::FLAGS,
    read: |keys| Some(Arc::new(Darcs(Branches::read(keys, "repourl", METHODS)?))),
};

const METHODS: &[(&str, Mode)] = &[("clobber", Mode::Clobber), ("copy", Mode::Copy)];

/// As long as a context may be that is kept as a property.
const CONTEXT: usize = 256 << 10;

/// Where a wanted context lies meanwhile, in the builder's directory.
const CONTEXT_FILE: &str = ".darcs-context";

#[derive(Clone, Debug)]
struct Darcs(Branches);

impl Steps for Darcs {
    type Vcs = Begun;

    fn checkout(&self) -> &Checkout {
        &self.0.checkout
    }

    fn is_about(&self, cx: &Cx<'_>) -> Result<bool, StepError> {
        self.0.is_about(cx)
    }

    fn of(&self, cx: &mut Cx<'_>) -> Result<Begun, StepError> {
        self.begun(cx)
    }
}

impl Step for Darcs {
    fn begin(&self) -> Box<dyn Run> {
        vcs::begin(self)
    }

    fn role(&self) -> Role {
        Role::Checkout
    }
}

impl Darcs {
    fn begun(&self, cx: &mut Cx<'_>) -> Result<Begun, StepError> {
        let place = self.0.wanted(cx)?;
        let context = match place.is_about_this {
            // Which patches a change was made upon is not known of its changes.
            true => vcs::revision(&self.0.checkout, cx, |_| None),
            false => None,
        };
        if let Some(context) = &context {
            let is_bad = |it: char| it.is_control() && !matches!(it, '\n' | '\r' | '\t');
            if context.len() > CONTEXT || context.contains(is_bad) {
                let what = "the revision is no context, as `darcs log --context` prints it";
                return Err(StepError::Other(what.into()));
            }
        }
        Ok(Begun {
            wanted: place.wanted,
            context,
        })
    }
}

struct Begun {
    wanted: Wanted,
    context: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Job {
    Version,
    WriteContext,
    Get,
    RemoveContext,
    Pull,
    Context,
}

impl Vcs for Begun {
    type Job = Job;

    fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    fn own_dir(&self) -> &'static str {
        "_darcs"
    }

    /// Patches are pulled, never taken away.
    fn can_update(&self) -> bool {
        self.context.is_none()
    }

    fn prepare(&self) -> Vec<Job> {
        vec![Job::Version]
    }

    fn update(&self) -> Vec<Job> {
        vec![Job::Pull]
    }

    fn full(&self) -> Vec<Job> {
        match self.context {
            Some(_) => vec![Job::WriteContext, Job::Get, Job::RemoveContext],
            None => vec![Job::Get],
        }
    }

    fn conclude(&self) -> Vec<Job> {
        vec![Job::Context]
    }

    fn command(&self, job: &Job, site: &Site<'_>) -> Result<Command, StepError> {
        let context_file = paths::of_builder(site.cx.builder_dir, CONTEXT_FILE);
        let shell = match job {
            Job::Version => site.beside(&["darcs", "--version"])?,
            Job::WriteContext => {
                let text = format!("\n{}\n", self.context.as_deref().unwrap_or_default());
                return Ok(vcs::write(&context_file, text.as_bytes()));
            }
            Job::RemoveContext => {
                return Ok(Command::File(FileCommand::Rmfile { path: context_file }));
            }
            Job::Get => {
                let mut argv = vec!["darcs", "get", "--verbose", "--lazy"];
                argv.extend(["--repo-name", site.work]);
                if self.context.is_some() {
                    argv.extend(["--context", CONTEXT_FILE]);
                }
                argv.push(&self.wanted.url);
                site.beside(&argv)?
            }
            Job::Pull => site.inside(&["darcs", "pull", "--all", "--verbose", &self.wanted.url])?,
            Job::Context => site.inside(&["darcs", "changes", "--context"])?,
        };
        Ok(Command::Shell(shell))
    }

    fn ended(&mut self, job: &Job, ended: &Ended<'_>, cx: &mut Cx<'_>) -> Next<Job> {
        if *job == Job::Context && ended.exit.is_success() {
            let context = ended.output.stdout(CONTEXT + 1);
            if context.len() <= CONTEXT {
                cx.properties
                    .set_runtime("got_revision", context, checkout::SOURCE);
            }
        }
        vcs::by_exit(ended)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::bench::Bench;
    use super::super::bench::out;
    use super::super::bench::run_program;
    use super::super::read::tests::problems_of;
    use super::super::read::tests::read_kind;
    use super::super::vcs::tests::begin;
    use super::super::vcs::tests::plays;
    use super::*;
    use crate::model::Patch;

    const MARK: &str = "autobot-0c29a31b8978d005";
    const CONTEXT: &str = "Context:\n\n[one\na@b**20261120222329\n]";

    fn bench(lines: &str) -> Bench {
        let step = read_kind(&KIND, &format!("repourl = \"https://x/r\"\n{lines}"));
        Bench::new(step.as_ref(), &KIND)
    }

    #[test]
    fn a_checkout_is_pulled_and_its_context_is_its_revision() {
        let mut bench = bench("");
        let look = format!("stat hello/build/_darcs/{MARK}");
        let script: &[(&str, i32, &[_])] = &[
            ("hello: darcs --version", 0, &[]),
            (&look, 0, &[]),
            (
                "hello/build: darcs pull --all --verbose https://x/r",
                0,
                &[],
            ),
            (
                "hello/build: darcs changes --context",
                0,
                &[out("Context:"), out(""), out("[one")],
            ),
        ];
        plays(&mut bench, script, "success: update");
        let got = bench.properties.text("got_revision");
        assert_eq!(got, Some("Context:\n\n[one\n"));
    }

    #[test]
    fn where_none_is_or_a_pull_fails_all_is_got_anew_and_tried_again_as_often_as_told() {
        let get = "hello: darcs get --verbose --lazy --repo-name build https://x/r";
        let look = format!("stat hello/build/_darcs/{MARK}");
        let mark = format!("write hello/build/_darcs/{MARK}: ");
        let script: &[(&str, i32, &[_])] = &[
            ("hello: darcs --version", 0, &[]),
            (&look, 1, &[]),
            ("rmdir hello/build", 0, &[]),
            (get, 0, &[]),
            ("hello/build: darcs changes --context", 0, &[]),
            (&mark, 0, &[]),
        ];
        plays(&mut bench(""), script, "success: update");
        let script: &[(&str, i32, &[_])] = &[
            ("hello: darcs --version", 0, &[]),
            (&look, 0, &[]),
            (
                "hello/build: darcs pull --all --verbose https://x/r",
                2,
                &[],
            ),
            ("rmdir hello/build", 0, &[]),
            (get, 2, &[]),
            ("rmdir hello/build", 0, &[]),
            (get, 2, &[]),
        ];
        plays(
            &mut bench("retry = 1"),
            script,
            "failure: update failed; build: darcs",
        );
        // Nothing is removed for want of the program.
        let script: &[(&str, i32, &[_])] = &[("hello: darcs --version", 127, &[])];
        plays(
            &mut bench(""),
            script,
            "failure: update failed; build: darcs",
        );
    }

    #[test]
    fn a_context_is_got_by_a_file() {
        let mut bench = bench("mode = \"full\"\nmethod = \"copy\"");
        bench.stamp.revision = Some(CONTEXT.into());
        let written = format!("write hello/.darcs-context: \n{CONTEXT}\n");
        let mark = format!("write hello/source/_darcs/{MARK}: ");
        let script: &[(&str, i32, &[_])] = &[
            ("hello: darcs --version", 0, &[]),
            ("rmdir hello/build", 0, &[]),
            ("rmdir hello/source", 0, &[]),
            (&written, 0, &[]),
            (
                "hello: darcs get --verbose --lazy --repo-name source --context .darcs-context \
                 https://x/r",
                0,
                &[],
            ),
            ("rmfile hello/.darcs-context", 0, &[]),
            ("hello/source: darcs changes --context", 0, &[]),
            (&mark, 0, &[]),
            ("cpdir hello/source hello/build", 0, &[]),
        ];
        plays(&mut bench, script, "success: update");
    }

    #[test]
    fn what_is_no_context_is_told() {
        let mut bench = bench("");
        bench.stamp.revision = Some("a\u{7}b".into());
        let expected = "error: the revision is no context, as `darcs log --context` prints it";
        assert_eq!(begin(&mut bench), expected);
        insta::assert_snapshot!(problems_of(&KIND, "mode = \"full\"\nmethod = \"export\""), @"factories/x.toml:3:10: `export` is no checkout method");
    }

    #[test]
    fn a_patch_is_laid_over_the_tree_and_the_next_build_begins_anew() {
        let world = tempfile::tempdir().expect("a directory");
        let at = |name: &str| world.path().join(name);
        fs::create_dir(at("r")).expect("a directory");
        let darcs = |argv: &[&str]| run_program(&at("r"), "darcs", argv);
        darcs(&["init"]);
        fs::write(at("r/file"), "one\n").expect("a file");
        darcs(&[
            "record",
            "--look-for-adds",
            "--all",
            "--author=a@b",
            "-m",
            "one",
        ]);
        let build = |patch: Option<Patch>| {
            let step = read_kind(&KIND, &format!("repourl = \"{}\"", at("r").display()));
            let mut bench = Bench::new(step.as_ref(), &KIND);
            bench.stamp.patch = patch;
            let told = bench.run_for_real(world.path());
            let end = told.last().map(String::as_str);
            assert_eq!(end, Some("success: update"), "{told:#?}");
            let text = fs::read_to_string(at("hello/build/file")).expect("a file");
            (
                text,
                told.iter().any(|it| it.starts_with("hello: darcs get")),
            )
        };
        let patch = Patch {
            level: 1,
            diff: b"--- a/file\n+++ b/file\n@@ -1 +1 @@\n-one\n+tried\n".to_vec(),
            subdir: None,
            author: None,
            comment: None,
        };
        assert_eq!(build(None), ("one\n".to_owned(), true));
        assert_eq!(build(Some(patch.clone())), ("tried\n".to_owned(), false));
        assert_eq!(build(Some(patch)), ("tried\n".to_owned(), true));
        assert_eq!(build(None), ("one\n".to_owned(), true));
        assert_eq!(build(None), ("one\n".to_owned(), false));
    }

    #[test]
    fn real_checkouts_reach_branches_and_contexts() {
        let world = tempfile::tempdir().expect("a directory");
        let at = |name: &str| world.path().join(name);
        let darcs = |dir: &str, argv: &[&str]| run_program(&at(dir), "darcs", argv);
        for branch in ["trunk", "side"] {
            fs::create_dir_all(at("r").join(branch)).expect("a directory");
            darcs(&format!("r/{branch}"), &["init"]);
        }
        let record = |branch: &str, text: &str| {
            let dir = format!("r/{branch}");
            fs::write(at(&dir).join("file"), text).expect("a file");
            let argv = ["record", "--look-for-adds", "--ignore-times", "--all"];
            darcs(&dir, &[&argv[..], &["--author=a@b", "-m", text]].concat());
            darcs(&dir, &["changes", "--context"])
        };
        let first = record("trunk", "one");
        record("trunk", "second");
        record("side", "of the side");
        let build = |mode: &str, branch: &str, revision: Option<&str>| {
            let base = at("r").display().to_string();
            let step = read_kind(&KIND, &format!("base_url = \"{base}/\"\n{mode}"));
            let mut bench = Bench::new(step.as_ref(), &KIND);
            bench.stamp.branch = Some(branch.into());
            bench.stamp.revision = revision.map(str::to_owned);
            let told = bench.run_for_real(world.path());
            let end = told.last().map(String::as_str);
            assert_eq!(end, Some("success: update"), "{told:#?}");
            let got = bench.properties.text("got_revision").unwrap_or_default();
            let text = fs::read_to_string(at("hello/build/file")).expect("a file");
            (text, got.to_owned(), told.len())
        };
        let (text, got, full) = build("", "trunk", None);
        assert_eq!(text, "second");
        let newest = record("trunk", "the third");
        assert_ne!(got, newest);
        let (text, got, pulled) = build("", "trunk", None);
        assert_eq!((text.as_str(), got), ("the third", newest));
        assert!(pulled < full, "{pulled} {full}");
        let (text, got, _) = build("", "trunk", Some(first.trim()));
        assert_eq!((text.as_str(), got), ("one", first));
        let (text, ..) = build("", "trunk", None);
        assert_eq!(text, "the third");
        // What a build has changed is no obstacle to the next one.
        fs::write(at("hello/build/file"), "a build's").expect("a file");
        record("trunk", "the fourth");
        assert_eq!(build("", "trunk", None).0, "the fourth");
        for mode in ["clobber", "copy"] {
            let mode = format!("mode = \"full\"\nmethod = \"{mode}\"");
            assert_eq!(build(&mode, "side", None).0, "of the side");
            assert_eq!(build(&mode, "trunk", None).0, "the fourth");
        }
        assert!(at("hello/source/_darcs").exists());
    }
}
