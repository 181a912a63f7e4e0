//! `monotone`: pulls a branch into a database beside the tree, and brings the
//! tree to its head or to a revision.

use std::sync::Arc;

use crate::model::Channel;
use crate::model::Command;
use crate::model::Text;
use crate::syntax::Keys;

use super::Cx;
use super::Ended;
use super::Role;
use super::Run;
use super::Step;
use super::StepError;
use super::StepKind;
use super::checkout;
use super::checkout::Checkout;
use super::checkout::Mode;
use super::checkout::Next;
use super::checkout::RepoUrl;
use super::checkout::Wanted;
use super::vcs;
use super::vcs::Site;
use super::vcs::Steps;
use super::vcs::Vcs;

pub(super) const KIND: StepKind = StepKind {
    name: "monotone",
    aliases: &["mtn"],
    step_name: "mtn",
    summary: "Checks out a branch of a Monotone server.",
    example: r#"repourl = "mtn://example.org"
branch = "org.example.hello"
progress = true"#,
    flags: checkout::FLAGS,
    read: |keys| Some(Arc::new(Monotone::read(keys)?)),
};

const METHODS: &[(&str, Mode)] = &[
    ("clobber", Mode::Clobber),
    ("copy", Mode::Copy),
    ("export", Mode::Export),
];

/// What was pulled, in the builder's directory.
const DATABASE: &str = "db.mtn";

#[derive(Clone, Debug)]
struct Monotone {
    checkout: Checkout,
    /// Built where the stamp names none.
    branch: Text,
    progress: bool,
}

impl Monotone {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let checkout = vcs::read(keys, METHODS);
        let repourl = keys.required::<RepoUrl>("repourl");
        let branch = keys.required("branch");
        let progress = keys.or("progress", false);
        Some(Self {
            checkout: Checkout {
                repourl: Some(repourl?),
                ..checkout?
            },
            branch: branch?,
            progress: progress?,
        })
    }

    fn begun(&self, cx: &mut Cx<'_>) -> Result<Begun, StepError> {
        let branch = self.branch.render(cx.properties)?;
        let wanted = self.checkout.wanted(cx, Some(branch))?;
        let Some(branch) = wanted.branch.clone() else {
            return Err(StepError::Other("the checkout's `branch` is empty".into()));
        };
        Ok(Begun {
            branch,
            wanted,
            progress: self.progress,
        })
    }
}

impl Steps for Monotone {
    type Vcs = Begun;

    fn checkout(&self) -> &Checkout {
        &self.checkout
    }

    fn is_about(&self, cx: &Cx<'_>) -> Result<bool, StepError> {
        self.checkout.is_about_its_url(cx)
    }

    fn of(&self, cx: &mut Cx<'_>) -> Result<Begun, StepError> {
        self.begun(cx)
    }
}

impl Step for Monotone {
    fn begin(&self) -> Box<dyn Run> {
        vcs::begin(self)
    }

    fn role(&self) -> Role {
        Role::Checkout
    }
}

struct Begun {
    wanted: Wanted,
    branch: String,
    progress: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Job {
    Version,
    /// Is there a database that this program can use?
    Look,
    Init,
    Migrate,
    /// It is of a newer program.
    Refuse,
    Pull,
    Update,
    Checkout,
    /// Removes what makes a workspace of a tree.
    Strip,
    Revision,
}

impl Vcs for Begun {
    type Job = Job;

    fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    fn own_dir(&self) -> &'static str {
        "_MTN"
    }

    fn prepare(&self) -> Vec<Job> {
        vec![Job::Version, Job::Look]
    }

    fn update(&self) -> Vec<Job> {
        vec![Job::Pull, Job::Update]
    }

    fn full(&self) -> Vec<Job> {
        vec![Job::Pull, Job::Checkout]
    }

    fn export(&self) -> Vec<Job> {
        vec![Job::Pull, Job::Checkout, Job::Revision, Job::Strip]
    }

    fn conclude(&self) -> Vec<Job> {
        vec![Job::Revision]
    }

    fn command(&self, job: &Job, site: &Site<'_>) -> Result<Command, StepError> {
        let revision = self.wanted.revision.as_deref();
        let shell = match job {
            Job::Version => site.beside(&["mtn", "--version"])?,
            Job::Look => site.beside(&["mtn", "db", "info", "--db", DATABASE])?,
            Job::Init => site.beside(&["mtn", "db", "init", "--db", DATABASE])?,
            Job::Migrate => site.beside(&["mtn", "db", "migrate", "--db", DATABASE])?,
            Job::Refuse => {
                let what = format!("`{DATABASE}` is of a newer Monotone than the slave's");
                return Err(StepError::Other(what));
            }
            Job::Pull => {
                let from = format!("{}?{}", self.wanted.url, self.branch);
                let ticker = match self.progress {
                    true => "--ticker=dot",
                    false => "--ticker=none",
                };
                site.beside(&["mtn", "pull", &from, "--db", DATABASE, ticker])?
            }
            Job::Update => {
                let database = format!("{}/{DATABASE}", site.way_back());
                let head = format!("h:{}", self.branch);
                let mut argv = vec!["mtn", "update", "--db", &database];
                match revision {
                    Some(revision) => argv.extend(["--revision", revision]),
                    None => argv.extend(["-r", &head]),
                }
                argv.extend(["-b", &self.branch]);
                site.inside(&argv)?
            }
            Job::Checkout => {
                let mut argv = vec!["mtn", "checkout", site.work, "--db", DATABASE];
                if let Some(revision) = revision {
                    argv.extend(["--revision", revision]);
                }
                argv.extend(["--branch", &self.branch]);
                site.beside(&argv)?
            }
            Job::Strip => return checkout::rmdir(site.cx, &format!("{}/_MTN", site.work)),
            Job::Revision => site.inside(&["mtn", "automate", "select", "w:"])?,
        };
        Ok(Command::Shell(shell))
    }

    fn ended(&mut self, job: &Job, ended: &Ended<'_>, cx: &mut Cx<'_>) -> Next<Job> {
        match job {
            Job::Look if says(ended, "(too new, cannot use)") => {
                return Next::First(vec![Job::Refuse]);
            }
            Job::Look if says(ended, "(migration needed)") => {
                return Next::First(vec![Job::Migrate]);
            }
            Job::Look if !ended.exit.is_success() => return Next::First(vec![Job::Init]),
            Job::Revision if ended.exit.is_success() => {
                if let Some(revision) = checkout::commit(&ended.output.stdout(1000)) {
                    cx.properties
                        .set_runtime("got_revision", revision, checkout::SOURCE);
                }
            }
            _ => {}
        }
        vcs::by_exit(ended)
    }
}

fn says(ended: &Ended<'_>, what: &str) -> bool {
    let mut found = false;
    ended
        .output
        .lines(&mut |channel, line| found |= channel != Channel::Header && line.contains(what));
    found
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::bench::out;
    use super::super::read::tests::problems_of;
    use super::super::read::tests::read_kind;
    use super::super::vcs::tests::begin;
    use super::super::vcs::tests::plays;
    use super::*;

    const MARK: &str = "_MTN/autobot-7e2d3c0db3e38246";
    const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";
    const VERSION: &str = "hello: mtn --version";
    const INFO: &str = "hello: mtn db info --db db.mtn";
    const PULL: &str = "hello: mtn pull mtn://x?a.b --db db.mtn --ticker=none";
    const SELECT: &str = "hello/build: mtn automate select w:";

    fn bench(lines: &str) -> Bench {
        let lines = format!("repourl = \"mtn://x\"\nbranch = \"a.b\"\n{lines}");
        Bench::new(read_kind(&KIND, &lines).as_ref(), &KIND)
    }

    #[test]
    fn a_workspace_is_updated_from_the_database_beside_it() {
        let mut pulled = bench("");
        let look = format!("stat hello/build/{MARK}");
        let head = "hello/build: mtn update --db ../db.mtn -r h:a.b -b a.b";
        let script: &[(&str, i32, &[_])] = &[
            (VERSION, 0, &[]),
            (INFO, 0, &[]),
            (&look, 0, &[]),
            (PULL, 0, &[]),
            (head, 0, &[]),
            (SELECT, 0, &[out(REVISION)]),
        ];
        plays(&mut pulled, script, "success: update");
        assert_eq!(pulled.properties.text("got_revision"), Some(REVISION));

        let mut exact = bench("progress = true\nworkdir = \"a/b\"");
        exact.stamp.branch = Some("a.c".into());
        exact.stamp.revision = Some(REVISION.into());
        begin(&mut exact);
        exact.ends(0, &[]);
        exact.ends(0, &[]);
        let pull = "hello: mtn pull mtn://x?a.c --db db.mtn --ticker=dot";
        assert_eq!(exact.ends(0, &[]), pull);
        let update =
            format!("hello/a/b: mtn update --db ../../db.mtn --revision {REVISION} -b a.c");
        assert_eq!(exact.ends(0, &[]), update);
    }

    #[test]
    fn a_tree_is_checked_out_where_none_is() {
        let look = format!("stat hello/build/{MARK}");
        let mark = format!("write hello/build/{MARK}: ");
        let checkout = "hello: mtn checkout build --db db.mtn --branch a.b";
        let script: &[(&str, i32, &[_])] = &[
            (VERSION, 0, &[]),
            (INFO, 1, &[]),
            ("hello: mtn db init --db db.mtn", 0, &[]),
            (&look, 1, &[]),
            ("rmdir hello/build", 0, &[]),
            (PULL, 0, &[]),
            (checkout, 0, &[]),
            (SELECT, 0, &[]),
            (&mark, 0, &[]),
        ];
        plays(&mut bench(""), script, "success: update");
        let mut export = bench("mode = \"full\"\nmethod = \"export\"");
        export.stamp.revision = Some(REVISION.into());
        let exact =
            format!("hello: mtn checkout build --db db.mtn --revision {REVISION} --branch a.b");
        let script: &[(&str, i32, &[_])] = &[
            (VERSION, 0, &[]),
            (INFO, 0, &[]),
            ("rmdir hello/build", 0, &[]),
            (PULL, 0, &[]),
            (&exact, 0, &[]),
            (SELECT, 0, &[out(REVISION)]),
            ("rmdir hello/build/_MTN", 0, &[]),
        ];
        plays(&mut export, script, "success: update");
        assert_eq!(export.properties.text("got_revision"), Some(REVISION));
    }

    #[test]
    fn a_database_of_another_version_is_migrated_or_told() {
        let old = "schema version : 12345 (migration needed)";
        let mut bench_of_old = bench("");
        begin(&mut bench_of_old);
        bench_of_old.ends(0, &[]);
        let told = bench_of_old.ends(1, &[out(old)]);
        assert_eq!(told, "hello: mtn db migrate --db db.mtn");
        assert!(bench_of_old.ends(0, &[]).starts_with("stat "));
        let new = "schema version : 12345 (too new, cannot use)";
        let mut bench_of_new = bench("");
        begin(&mut bench_of_new);
        bench_of_new.ends(0, &[]);
        assert_eq!(
            bench_of_new.ends(1, &[out(new)]),
            "error: `db.mtn` is of a newer Monotone than the slave's"
        );
    }

    #[test]
    fn a_server_and_a_branch_are_required() {
        insta::assert_snapshot!(problems_of(&KIND, ""), @"
        factories/x.toml:1:1: `repourl` is missing in [[steps]]
        factories/x.toml:1:1: `branch` is missing in [[steps]]
        ");
        let mut bench = bench("");
        bench.stamp.branch = Some("--db=x".into());
        assert_eq!(
            begin(&mut bench),
            "error: the branch `--db=x` begins with `-`"
        );
    }
}
