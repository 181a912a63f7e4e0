//! What `cvs`, `bzr`, `darcs`, `monotone`, `p4`, `repo` and `bitkeeper`
//! share: the way from whatever lies on the slave to the wanted tree. Each
//! says in [`Vcs`] which commands of its program are a part of it.
//!
//! A checkout that was brought to its end has a mark: an empty file among the
//! program's own, whose name stands for what it is a checkout of. So the
//! question whether such a file is there, which every slave can answer, tells
//! whether there is a checkout of just this.

use std::fmt;

use sha2::Digest;
use sha2::Sha256;

use crate::model::Change;
use crate::model::Command;
use crate::model::FileCommand;
use crate::model::Shell;
use crate::model::Text;
use crate::model::hex;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Value;

use super::Cx;
use super::Ended;
use super::Run;
use super::StepError;
use super::bytes::Bytes;
use super::bytes::PIECE;
use super::checkout;
use super::checkout::Begun;
use super::checkout::Checkout;
use super::checkout::Mode;
use super::checkout::Next;
use super::checkout::Plan;
use super::checkout::Remains;
use super::checkout::Source;
use super::checkout::Wanted;
use super::paths;

/// What `mode = full` may do in a program that knows which files are its own.
pub(super) const METHODS: &[(&str, Mode)] = &[
    ("clean", Mode::Clean),
    ("fresh", Mode::Fresh),
    ("clobber", Mode::Clobber),
    ("copy", Mode::Copy),
    ("export", Mode::Export),
];

/// A program of version control, and what is wanted of it in one build.
pub(super) trait Vcs: Send + 'static {
    /// What a command is for.
    type Job: Clone + fmt::Debug + PartialEq + Send;

    fn wanted(&self) -> &Wanted;

    /// The URL as the mark has it.
    fn place(&self) -> String {
        checkout::plain(&self.wanted().url)
    }

    /// What besides a checkout must agree in to be updated.
    fn identity(&self) -> Vec<String> {
        Vec::new()
    }

    /// Where the mark is put: a directory of the checkout that is the program's own.
    fn own_dir(&self) -> &'static str;

    /// Whether a checkout that is there can be brought to what is wanted.
    fn can_update(&self) -> bool {
        true
    }

    /// What comes before the checkout is looked at. Where that fails, nothing is removed.
    fn prepare(&self) -> Vec<Self::Job>;

    /// Brings a checkout to what is wanted.
    fn update(&self) -> Vec<Self::Job>;

    /// Makes a checkout where nothing is.
    fn full(&self) -> Vec<Self::Job>;

    /// Makes a tree without what the program needs to know.
    fn export(&self) -> Vec<Self::Job> {
        self.full()
    }

    /// What follows an update and a full checkout.
    fn conclude(&self) -> Vec<Self::Job>;

    fn command(&self, job: &Self::Job, site: &Site<'_>) -> Result<Command, StepError>;

    /// What follows a command that ended.
    fn ended(&mut self, _job: &Self::Job, ended: &Ended<'_>, _cx: &mut Cx<'_>) -> Next<Self::Job> {
        by_exit(ended)
    }
}

/// What follows a command, where its exit is all that counts.
pub(super) fn by_exit<J>(ended: &Ended<'_>) -> Next<J> {
    match ended.exit.is_success() {
        true => Next::GO_ON,
        false => Next::StartOver,
    }
}

/// Where the commands of a build run.
pub(super) struct Site<'a> {
    pub(super) cx: &'a Cx<'a>,
    checkout: &'a Checkout,
    wanted: &'a Wanted,
    /// Where the checkout is, relative to the builder's directory.
    pub(super) work: &'a str,
}

impl Site<'_> {
    /// A program in the builder's directory.
    pub(super) fn beside<S: AsRef<str>>(&self, argv: &[S]) -> Result<Shell, StepError> {
        self.run(self.cx.builder_dir, argv)
    }

    /// A program in the checkout.
    pub(super) fn inside<S: AsRef<str>>(&self, argv: &[S]) -> Result<Shell, StepError> {
        self.run(&paths::of_builder(self.cx.builder_dir, self.work), argv)
    }

    /// A program in a directory of the checkout.
    pub(super) fn below<S: AsRef<str>>(&self, dir: &str, argv: &[S]) -> Result<Shell, StepError> {
        self.run(&self.path(dir), argv)
    }

    fn run<S: AsRef<str>>(&self, dir: &str, argv: &[S]) -> Result<Shell, StepError> {
        let argv = argv.iter().map(|it| it.as_ref().to_owned()).collect();
        match self.checkout.command(self.cx, dir, argv, self.wanted)? {
            Command::Shell(shell) => Ok(shell),
            Command::File(_) => unreachable!("a program is no file command"),
        }
    }

    /// `name` in the checkout, as the slave is told it.
    pub(super) fn path(&self, name: &str) -> String {
        format!(
            "{}/{name}",
            paths::of_builder(self.cx.builder_dir, self.work)
        )
    }

    /// The builder's directory as seen from the checkout: `..`.
    pub(super) fn way_back(&self) -> String {
        let depth = self
            .work
            .split('/')
            .filter(|it| !matches!(*it, "" | "."))
            .count();
        vec![".."; depth].join("/")
    }
}

/// Writes a file that is short: in one piece.
pub(super) fn write(path: &str, bytes: &[u8]) -> Command {
    let file = Bytes {
        path,
        bytes,
        max_size: None,
        mode: None,
    };
    file.piece(0, PIECE)
}

/// A type of checkout, as a file configures it.
pub(super) trait Steps: Clone + fmt::Debug + Send + Sync + 'static {
    type Vcs: Vcs;

    fn checkout(&self) -> &Checkout;

    /// Whether the build is about the repository of this checkout.
    fn is_about(&self, cx: &Cx<'_>) -> Result<bool, StepError>;

    /// What its texts say of this build besides.
    fn remarks(&self, _cx: &Cx<'_>) -> Vec<String> {
        Vec::new()
    }

    /// What is wanted in one build.
    fn of(&self, cx: &mut Cx<'_>) -> Result<Self::Vcs, StepError>;
}

/// Begins a step for one build.
pub(super) fn begin<T: Steps>(step: &T) -> Box<dyn Run> {
    checkout::begin(&Way(step.clone()))
}

#[derive(Clone, Debug)]
struct Way<T>(T);

/// A part of the way.
#[derive(Clone, Debug, PartialEq)]
enum Act<J> {
    Prepare(J),
    /// Is there a checkout of just this?
    Look,
    RemoveWork,
    RemoveTree,
    Do(J),
    Mark,
    CopyTree,
}

type Acts<T> = Act<<<T as Steps>::Vcs as Vcs>::Job>;

impl<T: Steps> Way<T> {
    fn mode(&self) -> Mode {
        self.0.checkout().mode
    }

    fn all_anew(&self, vcs: &T::Vcs) -> Vec<Acts<T>> {
        let mut acts = vec![Act::RemoveWork];
        if self.mode() == Mode::Export {
            acts.extend(vcs.export().into_iter().map(Act::Do));
            return acts;
        }
        let all = vcs.full().into_iter().chain(vcs.conclude());
        acts.extend(all.map(Act::Do));
        acts.push(Act::Mark);
        acts.extend(self.copy());
        acts
    }

    fn copy(&self) -> Option<Acts<T>> {
        (self.mode() == Mode::Copy).then_some(Act::CopyTree)
    }
}

impl<T: Steps> Source for Way<T> {
    type Job = Acts<T>;
    type Known = T::Vcs;

    /// Most of these programs take back nothing that they do not know of.
    const REMAINS: Remains = Remains::Removed;

    fn checkout(&self) -> &Checkout {
        self.0.checkout()
    }

    fn is_about(&self, cx: &Cx<'_>) -> Result<bool, StepError> {
        self.0.is_about(cx)
    }

    fn begin(&self, cx: &mut Cx<'_>) -> Result<Begun<Self>, StepError> {
        let vcs = self.0.of(cx)?;
        let tree = self.checkout().tree(cx)?;
        // What is removed must lie below the builder's directory; and it becomes a word of commands.
        paths::inside_builder(cx.builder_dir, &tree)?;
        let tree = tree
            .trim_start_matches("./")
            .trim_end_matches('/')
            .to_owned();
        checkout::check_word("directory", &tree).map_err(StepError::Other)?;
        let mode = self.mode();
        let prepare: Vec<_> = vcs.prepare().into_iter().map(Act::Prepare).collect();
        let mut plan = Plan::new(prepare, self.checkout().retry);
        if mode == Mode::Copy {
            plan.jobs.push_back(Act::RemoveTree);
        }
        if matches!(mode, Mode::Clobber | Mode::Export) || !vcs.can_update() {
            // From nothing, one more try is no fallback but a retry.
            plan.has_fallen_back = true;
            plan.jobs.extend(self.all_anew(&vcs));
        } else {
            plan.jobs.push_back(Act::Look);
        }
        Ok(Begun {
            wanted: vcs.wanted().clone(),
            work: match mode {
                Mode::Copy => checkout::kept(cx, &tree),
                Mode::Incremental | Mode::Clean | Mode::Fresh | Mode::Clobber | Mode::Export => {
                    tree.clone()
                }
            },
            tree,
            plan,
            known: vcs,
        })
    }

    fn command(
        &self,
        act: &Self::Job,
        begun: &Begun<Self>,
        cx: &Cx<'_>,
    ) -> Result<Command, StepError> {
        let vcs = &begun.known;
        let site = Site {
            cx,
            checkout: self.checkout(),
            wanted: &begun.wanted,
            work: &begun.work,
        };
        match act {
            Act::Prepare(job) | Act::Do(job) => vcs.command(job, &site),
            Act::Look => Ok(checkout::stat(cx, &begun.work, &mark(vcs))),
            Act::Mark => Ok(write(&site.path(&mark(vcs)), b"")),
            Act::RemoveWork => checkout::rmdir(cx, &begun.work),
            Act::RemoveTree => checkout::rmdir(cx, &begun.tree),
            Act::CopyTree => Ok(Command::File(FileCommand::Cpdir {
                from: paths::inside_builder(cx.builder_dir, &begun.work)?,
                to: paths::inside_builder(cx.builder_dir, &begun.tree)?,
            })),
        }
    }

    fn ended(
        &self,
        act: &Self::Job,
        begun: &mut Begun<Self>,
        ended: &Ended<'_>,
        cx: &mut Cx<'_>,
    ) -> Next<Self::Job> {
        let is_good = ended.exit.is_success();
        let vcs = &mut begun.known;
        match act {
            Act::Prepare(job) => match vcs.ended(job, ended, cx) {
                Next::First(jobs) => Next::First(jobs.into_iter().map(Act::Prepare).collect()),
                Next::StartOver | Next::Replace(_) | Next::GiveUp => Next::GiveUp,
            },
            Act::Do(job) => match vcs.ended(job, ended, cx) {
                Next::First(jobs) => Next::First(jobs.into_iter().map(Act::Do).collect()),
                Next::StartOver => Next::StartOver,
                Next::Replace(why) => Next::Replace(why),
                Next::GiveUp => Next::GiveUp,
            },
            Act::Look if is_good => {
                let jobs = vcs.update().into_iter().chain(vcs.conclude());
                Next::First(jobs.map(Act::Do).chain(self.copy()).collect())
            }
            Act::Look => Next::Replace("there is no finished checkout of this"),
            Act::RemoveWork | Act::RemoveTree | Act::Mark | Act::CopyTree if is_good => Next::GO_ON,
            Act::RemoveWork | Act::RemoveTree | Act::Mark | Act::CopyTree => Next::GiveUp,
        }
    }

    fn remarks(&self, cx: &Cx<'_>) -> Vec<String> {
        self.0.remarks(cx)
    }

    fn anew(&self, begun: &Begun<Self>) -> Vec<Self::Job> {
        self.all_anew(&begun.known)
    }
}

/// Where the mark of a checkout is, in the checkout.
fn mark<V: Vcs>(vcs: &V) -> String {
    let mut all = vec![vcs.place()];
    all.extend(vcs.identity());
    let digest = Sha256::digest(all.join("\n"));
    let digits = hex(&digest[..8]);
    let name = format!("autobot-{digits}");
    match vcs.own_dir() {
        "" => format!(".{name}"),
        dir => format!("{dir}/{name}"),
    }
}

/// Words that may have property references.
#[derive(Default)]
pub(super) struct Texts(pub(super) Vec<Text>);

impl Value for Texts {
    const EXPECTED: &'static str = <Vec<String> as Value>::EXPECTED;
    const SHAPE: Shape = Shape::List(&Shape::Template);

    fn read(node: &Node) -> Result<Self, Misread> {
        let parse = |word: String| {
            Text::parse(&word).map_err(|error| Misread {
                what: Some(error.what),
                ..Misread::default()
            })
        };
        let words = Vec::<String>::read(node)?;
        words
            .into_iter()
            .map(parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// Reads what every checkout is told. With `mode = full`, who cannot clean clobbers.
pub(super) fn read(keys: &mut Keys<'_>, methods: &[(&str, Mode)]) -> Option<Checkout> {
    let mut checkout = Checkout::read_all_but_url(keys, methods)?;
    let is_known = methods.iter().any(|(_, it)| *it == checkout.mode);
    if checkout.mode == Mode::Fresh && !is_known {
        checkout.mode = Mode::Clobber;
    }
    Some(checkout)
}

/// The revision of a build: the stamp's, or what `of_changes` makes of its changes.
pub(super) fn revision(
    checkout: &Checkout,
    cx: &mut Cx<'_>,
    of_changes: impl Fn(&[Change]) -> Option<String>,
) -> Option<String> {
    if checkout.always_use_latest {
        return None;
    }
    if let Some(revision) = checkout::said(cx.stamp.revision.as_deref()) {
        return Some(revision);
    }
    let revision = of_changes(cx.changes)?;
    cx.properties
        .set_runtime("revision", revision.as_str(), checkout::SOURCE);
    Some(revision)
}

/// The revision of the last change.
pub(super) fn last(changes: &[Change]) -> Option<String> {
    let revision = changes.last()?.revision.as_deref()?.trim();
    (!revision.is_empty()).then(|| revision.to_owned())
}

/// The highest number among the revisions of the changes; none if one has none.
pub(super) fn highest(changes: &[Change]) -> Option<String> {
    let number = |it: &Change| it.revision.as_ref()?.trim().parse::<u64>().ok();
    let numbers: Option<Vec<_>> = changes.iter().map(number).collect();
    numbers?.into_iter().max().map(|it| it.to_string())
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::StepKind;
    use super::super::bench::Bench;
    use super::super::bench::Line;
    use super::super::bench::out;
    use super::super::bitkeeper;
    use super::super::bzr;
    use super::super::cvs;
    use super::super::darcs;
    use super::super::monotone;
    use super::super::p4;
    use super::super::read::tests::problems_of;
    use super::super::read::tests::read_kind;
    use super::super::repo;

    /// The first move in a tree that is not patched.
    pub(in super::super) fn begin(bench: &mut Bench) -> String {
        match bench.begin() {
            told if told.ends_with("/.buildbot-patched") => bench.ends(1, &[]),
            told => told,
        }
    }

    #[test]
    fn the_modes_of_older_days_are_those_that_a_program_has() {
        let all: [(&StepKind, &str, &[&str]); 7] = [
            (
                &cvs::KIND,
                "cvsroot = \"/x\"",
                &["clean", "fresh", "export"],
            ),
            (&bzr::KIND, "", &["clean", "fresh", "export"]),
            (&darcs::KIND, "", &[]),
            (
                &monotone::KIND,
                "repourl = \"mtn://x\"\nbranch = \"b\"",
                &["export"],
            ),
            (&p4::KIND, "p4base = \"//x\"", &["export"]),
            (&repo::KIND, "", &[]),
            (&bitkeeper::KIND, "", &[]),
        ];
        for (kind, lines, has) in all {
            let wrong = |more: &str| problems_of(kind, &format!("{lines}\n{more}"));
            for mode in ["incremental", "full", "update", "copy", "clobber", "export"] {
                let is_good = mode != "export" || has.contains(&mode);
                let told = wrong(&format!("mode = \"{mode}\""));
                assert_eq!(told.is_empty(), is_good, "{} {mode} {told}", kind.name);
            }
            for method in ["clean", "fresh", "export", "copy", "clobber", "scrub"] {
                let is_good = matches!(method, "copy" | "clobber") || has.contains(&method);
                let told = wrong(&format!("mode = \"full\"\nmethod = \"{method}\""));
                assert_eq!(told.is_empty(), is_good, "{} {method} {told}", kind.name);
            }
            let told = |mode: &str| {
                let step = read_kind(kind, &format!("{lines}\n{mode}"));
                let mut bench = Bench::new(step.as_ref(), kind);
                bench.stamp.repository = "//x".into();
                for (name, value) in [("slavename", "s"), ("buildername", "b")] {
                    bench.properties.set(name, value, "test");
                }
                let mut told = vec![begin(&mut bench)];
                told.extend((0..2).map(|_| bench.ends(0, &[out("Current directory: /b")])));
                (told, bench.running_text())
            };
            let (update, clobber) = (told("mode = \"update\""), told("mode = \"clobber\""));
            assert_eq!(update, told(""), "{}", kind.name);
            let full = told("mode = \"full\"\nmethod = \"clobber\"");
            assert_eq!(clobber.0, full.0, "{}", kind.name);
            assert_eq!(
                (&update.1[..1], &clobber.1[..1]),
                (&["updating".to_owned()][..], &["checkout".to_owned()][..])
            );
        }
    }

    #[test]
    fn a_directory_that_looks_like_an_option_reaches_no_program() {
        for dir in ["-x", "././-x", "..", "/srv/x", "."] {
            let lines = format!("repourl = \"/x\"\nmode = \"clobber\"\nworkdir = \"{dir}\"");
            let step = read_kind(&bzr::KIND, &lines);
            let mut bench = Bench::new(step.as_ref(), &bzr::KIND);
            let told = bench.begin();
            assert!(told.starts_with("error: "), "{told}");
        }
    }

    /// Plays like [`Bench::plays`], in a tree that is not patched.
    pub(in super::super) fn plays(
        bench: &mut Bench,
        script: &[(&str, i32, &[Line<'_>])],
        end: &str,
    ) {
        let mut told = begin(bench);
        for (expected, code, lines) in script {
            assert_eq!(told, *expected);
            told = bench.ends(*code, lines);
        }
        assert_eq!(told, end);
    }
}
