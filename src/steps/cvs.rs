//! `cvs`: brings a module to its branch, as it was at the time of the build's
//! changes: that is what CVS has for a revision.

use std::sync::Arc;
use std::time::Duration;

use crate::model::Change;
use crate::model::Channel;
use crate::model::Command;
use crate::model::HoleIn;
use crate::model::Text;
use crate::model::Timestamp;
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
use super::cvs_root;
use super::line::rendered;
use super::password::Password;
use super::password::Spent;
use super::vcs;
use super::vcs::Site;
use super::vcs::Steps;
use super::vcs::Texts;
use super::vcs::Vcs;

pub(super) const KIND: StepKind = StepKind {
    name: "cvs",
    aliases: &[],
    step_name: "cvs",
    summary: "Checks out a module of a CVS repository.",
    example: r#"cvsroot = ":pserver:anonymous@cvs.example.org:/cvs"
cvsmodule = "hello"
login = ""
mode = "full"
method = "copy""#,
    flags: checkout::FLAGS,
    read: |keys| Some(Arc::new(Cvs::read(keys)?)),
};

#[derive(Clone, Debug)]
struct Cvs {
    checkout: Checkout,
    module: Text,
    /// Built where the stamp names none.
    branch: Option<Text>,
    global_options: Vec<Text>,
    checkout_options: Vec<Text>,
    export_options: Vec<Text>,
    /// Behind those of a checkout and of an export.
    extra_options: Vec<Text>,
    /// From the last change to the time that is checked out.
    checkout_delay: Option<Duration>,
    /// The password of `cvs login`, which may be empty.
    login: Option<Password>,
}

impl Cvs {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let checkout = vcs::read(keys, vcs::METHODS);
        let root = RepoUrl::key(keys, &["cvsroot", "repourl"]);
        let module = keys.or("cvsmodule", Text::literal(""));
        let branch = keys.optional_as(&["branch", "default_branch"]);
        let global_options = keys.or("global_options", Texts::default());
        let checkout_options = keys.or("checkout_options", Texts::default());
        let export_options = keys.or("export_options", Texts::default());
        let extra_options = keys.or("extra_options", Texts::default());
        let checkout_delay = keys.optional("checkout_delay");
        let login = keys.optional("login");
        Some(Self {
            checkout: Checkout {
                repourl: root?,
                ..checkout?
            },
            module: module?,
            branch: branch?,
            global_options: global_options?.0,
            checkout_options: checkout_options?.0,
            export_options: export_options?.0,
            extra_options: extra_options?.0,
            checkout_delay: checkout_delay?,
            login: login?,
        })
    }

    fn root(&self, cx: &Cx<'_>) -> Result<String, StepError> {
        let root = match &self.checkout.repourl {
            Some(url) => url.render(cx)?,
            None => cx.stamp.repository.clone(),
        };
        if root.is_empty() {
            let what = "the checkout has no `cvsroot`, and the build names no repository";
            return Err(StepError::Other(what.into()));
        }
        Ok(root)
    }

    fn begun(&self, cx: &mut Cx<'_>) -> Result<Begun, StepError> {
        let root = self.root(cx)?;
        let own = self.checkout.repourl.as_ref();
        let is_configured = own.is_some_and(|it| !it.follows_stamp());
        cvs_root::check(&root, is_configured).map_err(StepError::Other)?;
        let is_about_this = self.is_about(cx)?;
        let stamped = cx.stamp.branch.as_deref().map(str::trim);
        let stamped = stamped.filter(|it| is_about_this && !it.is_empty());
        let branch = match (stamped, &self.branch) {
            (Some(branch), _) => Some(branch.to_owned()),
            (None, Some(text)) => Some(text.render(cx.properties)?).filter(|it| !it.is_empty()),
            (None, None) => None,
        };
        let (delay, submitted) = (self.checkout_delay, cx.submitted);
        let revision = match is_about_this {
            true => vcs::revision(&self.checkout, cx, |it| date(it, delay, submitted)),
            false => None,
        };
        let revision = revision.map(in_utc);
        let module = self.module.render(cx.properties)?;
        for (noun, word) in [
            ("module", Some(&module)),
            ("branch", branch.as_ref()),
            ("revision", revision.as_ref()),
        ] {
            if let Some(word) = word {
                checkout::check_word(noun, word).map_err(StepError::Other)?;
            }
        }
        let options = |texts: &[Text]| rendered(texts, cx.properties);
        Ok(Begun {
            mode: self.checkout.mode,
            wanted: Wanted {
                url: root,
                branch,
                revision,
            },
            module: match module.as_str() {
                "" => ".".to_owned(),
                _ => module,
            },
            global_options: options(&self.global_options)?,
            checkout_options: options(&self.checkout_options)?,
            export_options: options(&self.export_options)?,
            extra_options: options(&self.extra_options)?,
            login: Password::of(self.login.as_ref(), cx)?,
        })
    }
}

impl Steps for Cvs {
    type Vcs = Begun;

    fn checkout(&self) -> &Checkout {
        &self.checkout
    }

    fn is_about(&self, cx: &Cx<'_>) -> Result<bool, StepError> {
        let root = self.root(cx)?;
        let follows = self
            .checkout
            .repourl
            .as_ref()
            .is_none_or(RepoUrl::follows_stamp);
        let is_this = |stamped: &str| follows || cvs_root::is_same(stamped, &root);
        Ok(self.checkout.is_about(cx, is_this))
    }

    fn of(&self, cx: &mut Cx<'_>) -> Result<Begun, StepError> {
        self.begun(cx)
    }
}

impl Step for Cvs {
    fn begin(&self) -> Box<dyn Run> {
        vcs::begin(self)
    }

    fn role(&self) -> Role {
        Role::Checkout
    }
}

/// The time that has the changes, but nothing that came after they were asked for: some time
/// after the last of them. CVS tells seconds.
fn date(
    changes: &[Change],
    delay: Option<Duration>,
    submitted: Option<Timestamp>,
) -> Option<String> {
    let last = changes.iter().map(|it| it.when).max()?;
    let later = match (delay, submitted) {
        (Some(delay), _) => delay,
        (None, Some(submitted)) => submitted.since(last) / 2,
        (None, None) => Duration::ZERO,
    };
    let later = i64::try_from(later.as_millis()).unwrap_or(i64::MAX);
    let seconds = last
        .0
        .saturating_add(later)
        .saturating_add(999)
        .div_euclid(1000);
    let at = jiff::Timestamp::from_second(seconds).ok()?;
    Some(at.strftime("%a, %d %b %Y %H:%M:%S -0000").to_string())
}

/// CVS takes a time without a zone for its own; those of changes are of UTC.
fn in_utc(revision: String) -> String {
    match jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", &revision) {
        Ok(_) => format!("{revision} +0000"),
        Err(_) => revision,
    }
}

struct Begun {
    mode: Mode,
    wanted: Wanted,
    module: String,
    global_options: Vec<String>,
    checkout_options: Vec<String>,
    export_options: Vec<String>,
    extra_options: Vec<String>,
    login: Option<Spent>,
}

#[derive(Clone, Debug, PartialEq)]
enum Job {
    Version,
    Login,
    /// Removes what says which files are ignored: an update brings it back.
    RemoveIgnores,
    /// What does the repository not know, or have otherwise?
    Status,
    Purge(String),
    Update,
    Checkout,
    Export,
    /// What time is it, where the tree came about?
    Now,
}

impl Begun {
    /// `cvs`, connected to the repository.
    fn connected(&self, with_compression: bool) -> Vec<String> {
        let mut argv = vec!["cvs".to_owned(), "-d".to_owned(), self.wanted.url.clone()];
        if with_compression {
            argv.push("-z3".into());
        }
        argv.extend(self.global_options.iter().cloned());
        argv
    }

    /// The branch and the time. Both are said each time: CVS remembers what was said last.
    fn at(&self, needs_branch: bool) -> Vec<String> {
        let mut words = Vec::new();
        let date = self.wanted.revision.as_deref();
        match self.wanted.branch.as_deref() {
            Some(branch) if branch != "HEAD" => words.extend(["-r", branch]),
            _ if date.is_none() && needs_branch => words.extend(["-r", "HEAD"]),
            _ => {}
        }
        words.extend(date.into_iter().flat_map(|it| ["-D", it]));
        words.into_iter().map(str::to_owned).collect()
    }

    fn update(&self, dry: bool) -> Vec<String> {
        let mut argv = vec!["cvs".to_owned(), "-z3".to_owned()];
        argv.extend(self.global_options.iter().cloned());
        if dry {
            argv.extend(["-q".into(), "-n".into()]);
        }
        argv.extend(["update".into(), "-dP".into()]);
        argv.extend(self.at(true));
        if dry && self.mode == Mode::Fresh {
            argv.extend(["-I".into(), "!".into()]);
        }
        argv
    }

    /// A checkout or an export into `work`.
    fn write(&self, verb: &str, options: &[String], work: &str) -> Vec<String> {
        let mut argv = self.connected(true);
        argv.extend([verb.to_owned(), "-d".to_owned(), work.to_owned()]);
        argv.extend(options.iter().chain(&self.extra_options).cloned());
        argv.extend(self.at(true));
        argv.push(self.module.clone());
        argv
    }
}

impl Vcs for Begun {
    type Job = Job;

    fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    fn place(&self) -> String {
        cvs_root::without_password(&self.wanted.url)
    }

    fn identity(&self) -> Vec<String> {
        let branch = self.wanted.branch.clone().unwrap_or_default();
        vec![self.module.clone(), branch]
    }

    fn own_dir(&self) -> &'static str {
        "CVS"
    }

    fn prepare(&self) -> Vec<Job> {
        match self.login {
            Some(_) => vec![Job::Version, Job::Login],
            None => vec![Job::Version],
        }
    }

    fn update(&self) -> Vec<Job> {
        match self.mode {
            Mode::Fresh => vec![Job::RemoveIgnores, Job::Status, Job::Update],
            Mode::Clean => vec![Job::Status, Job::Update],
            Mode::Incremental | Mode::Clobber | Mode::Copy | Mode::Export => vec![Job::Update],
        }
    }

    fn full(&self) -> Vec<Job> {
        vec![Job::Checkout]
    }

    fn export(&self) -> Vec<Job> {
        [Job::Export].into_iter().chain(self.conclude()).collect()
    }

    fn conclude(&self) -> Vec<Job> {
        match self.wanted.revision {
            Some(_) => Vec::new(),
            None => vec![Job::Now],
        }
    }

    fn command(&self, job: &Job, site: &Site<'_>) -> Result<Command, StepError> {
        let mut shell = match job {
            Job::Version => site.beside(&["cvs", "--version"])?,
            Job::Login => {
                let mut argv = self.connected(false);
                argv.push("login".into());
                let mut shell = site.beside(&argv)?;
                if let Some(password) = &self.login {
                    shell.initial_stdin = format!("{}\n", password.text).into_bytes();
                    password.hide_in(&mut shell, &HoleIn::Stdin);
                }
                shell
            }
            Job::RemoveIgnores => {
                let find = ["find", ".", "-name", ".cvsignore"];
                site.inside(&[&find[..], &["-exec", "rm", "-f", "{}", ";"]].concat())?
            }
            Job::Status => site.inside(&self.update(true))?,
            Job::Purge(path) => {
                return checkout::rmdir(site.cx, &format!("{}/{path}", site.work));
            }
            Job::Update => site.inside(&self.update(false))?,
            Job::Checkout => {
                site.beside(&self.write("checkout", &self.checkout_options, site.work))?
            }
            Job::Export => site.beside(&self.write("export", &self.export_options, site.work))?,
            Job::Now => site.beside(&["date", "-u", "+%Y-%m-%d %H:%M:%S +0000"])?,
        };
        let password = cvs_root::password(&self.wanted.url);
        shell.mask.extend(password.map(str::to_owned));
        Ok(Command::Shell(shell))
    }

    fn ended(&mut self, job: &Job, ended: &Ended<'_>, cx: &mut Cx<'_>) -> Next<Job> {
        if !ended.exit.is_success() {
            return Next::StartOver;
        }
        let got = match job {
            Job::Status => {
                return match strangers(ended) {
                    Some(paths) => Next::First(paths.into_iter().map(Job::Purge).collect()),
                    None => Next::StartOver,
                };
            }
            Job::Update | Job::Checkout | Job::Export => self.wanted.revision.clone(),
            Job::Now => Some(ended.output.stdout(100).trim().to_owned()),
            Job::Version | Job::Login | Job::RemoveIgnores | Job::Purge(_) => None,
        };
        if let Some(got) = got.filter(|it| !it.is_empty()) {
            cx.properties
                .set_runtime("got_revision", got, checkout::SOURCE);
        }
        Next::GO_ON
    }
}

/// What the repository does not know, or has otherwise, from an update that changes nothing;
/// `None` if a file was given up with `cvs remove`, which nothing but CVS could undo.
fn strangers(ended: &Ended<'_>) -> Option<Vec<String>> {
    let mut paths = Some(Vec::new());
    ended.output.lines(&mut |channel, line| {
        let (Channel::Stdout, Some((letter, path))) = (channel, line.split_once(' ')) else {
            return;
        };
        match letter {
            "?" | "M" | "C" | "A" => {
                if let Some(paths) = &mut paths {
                    paths.push(path.to_owned());
                }
            }
            "R" => paths = None,
            _ => {}
        }
    });
    paths
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::bench::Bench;
    use super::super::bench::err;
    use super::super::bench::out;
    use super::super::bench::run_program;
    use super::super::read::tests::problems_of;
    use super::super::read::tests::read_kind;
    use super::super::vcs::tests::begin;
    use super::super::vcs::tests::plays;
    use super::*;
    use crate::model::ChangeId;
    use crate::model::Properties;

    const MARK: &str = "CVS/autobot-f215a044919cd7c1";
    const NOW: &str = "hello: date -u +%Y-%m-%d %H:%M:%S +0000";
    const DATE: &str = "Fri, 20 Nov 2026 22:48:54 -0000";

    fn bench(lines: &str) -> Bench {
        let lines = format!("cvsroot = \":pserver:ann@h:/cvs\"\ncvsmodule = \"mod\"\n{lines}");
        Bench::new(read_kind(&KIND, &lines).as_ref(), &KIND)
    }

    fn change(when: i64) -> Change {
        Change {
            id: ChangeId(1),
            author: String::new(),
            files: Vec::new(),
            comments: String::new(),
            revision: None,
            branch: None,
            category: None,
            revlink: String::new(),
            repository: String::new(),
            project: String::new(),
            when: Timestamp(when),
            properties: Properties::new(),
        }
    }

    #[test]
    fn a_checkout_is_updated_to_its_branch_and_the_slave_says_when() {
        let mut bench = bench("global_options = [\"-q\"]");
        let look = format!("stat hello/build/{MARK}");
        let script: &[(&str, i32, &[_])] = &[
            ("hello: cvs --version", 0, &[]),
            (&look, 0, &[]),
            ("hello/build: cvs -z3 -q update -dP -r HEAD", 0, &[]),
            (NOW, 0, &[out("2026-11-20 22:48:54 +0000")]),
        ];
        plays(&mut bench, script, "success: update");
        let got = bench.properties.text("got_revision");
        assert_eq!(got, Some("2026-11-20 22:48:54 +0000"));
    }

    #[test]
    fn a_time_without_a_zone_is_of_utc() {
        let check = |revision: &str, expected: &str| {
            assert_eq!(in_utc(revision.to_owned()), expected);
        };
        check("2012-03-05 05:07:08", "2012-03-05 05:07:08 +0000");
        check("2012-03-05 05:07:08 +0100", "2012-03-05 05:07:08 +0100");
        check(DATE, DATE);
        check("yesterday", "yesterday");
    }

    #[test]
    fn a_time_is_a_revision_and_options_have_their_places() {
        let lines = r#"mode = "full"
method = "clobber"
branch = "rel-1"
global_options = ["-f"]
checkout_options = ["-l"]
export_options = ["-kv"]
extra_options = ["-N"]"#;
        let mut checkout = bench(lines);
        checkout.stamp.revision = Some(DATE.into());
        let told = format!(
            "hello: cvs -d :pserver:ann@h:/cvs -z3 -f checkout -d build -l -N -r rel-1 -D {DATE} mod"
        );
        let mark = "write hello/build/CVS/autobot-0f00b5d9cc074a02: ";
        let script: &[(&str, i32, &[_])] = &[
            ("hello: cvs --version", 0, &[]),
            ("rmdir hello/build", 0, &[]),
            (&told, 0, &[]),
            (mark, 0, &[]),
        ];
        plays(&mut checkout, script, "success: update");
        assert_eq!(checkout.properties.text("got_revision"), Some(DATE));

        let mut export = bench(&lines.replace("clobber", "export"));
        export.stamp.branch = Some("HEAD".into());
        let script: &[(&str, i32, &[_])] = &[
            ("hello: cvs --version", 0, &[]),
            ("rmdir hello/build", 0, &[]),
            (
                "hello: cvs -d :pserver:ann@h:/cvs -z3 -f export -d build -kv -N -r HEAD mod",
                0,
                &[],
            ),
            (NOW, 0, &[out("2026-11-20 22:48:54 +0000")]),
        ];
        plays(&mut export, script, "success: update");
    }

    #[test]
    fn the_head_at_a_time_is_no_branch() {
        for (branch, at) in [("", ""), ("HEAD", ""), ("b", "-r b ")] {
            let mut bench = bench("mode = \"update\"");
            bench.stamp.branch = Some(branch.into());
            bench.stamp.revision = Some(DATE.into());
            begin(&mut bench);
            bench.ends(0, &[]);
            let update = format!("hello/build: cvs -z3 update -dP {at}-D {DATE}");
            assert_eq!(bench.ends(0, &[]), update);
        }
    }

    #[test]
    fn a_password_is_typed_and_not_shown() {
        let mut empty = bench("login = \"\"");
        begin(&mut empty);
        let shell = empty.ends_shell(0);
        let words = ["cvs", "-d", ":pserver:ann@h:/cvs", "login"].map(str::to_owned);
        assert_eq!(shell.line, crate::model::ShellLine::Argv(words.into()));
        assert_eq!((shell.initial_stdin, shell.mask), (b"\n".to_vec(), vec![]));
        // Who is not let in has no tree to lose.
        assert_eq!(empty.ends(1, &[]), "failure: update failed; build: cvs");

        let mut secret = bench("login = \"hush\"");
        begin(&mut secret);
        let shell = secret.ends_shell(0);
        assert_eq!(shell.initial_stdin, b"hush\n");
        assert_eq!(shell.mask, ["hush"]);
        let mut kept = bench("login = \"${secret:cvs}\"");
        begin(&mut kept);
        let shell = kept.ends_shell(0);
        assert_eq!(shell.initial_stdin, b"<cvs>\n");
        assert_eq!(
            (shell.holes[0].at, &shell.holes[0].within),
            (0, &HoleIn::Stdin)
        );
    }

    #[test]
    fn cleaning_removes_what_is_unknown_or_changed() {
        let look = format!("stat hello/build/{MARK}");
        let said: &[super::super::bench::Line<'_>] = &[
            out("? stray dir"),
            out("M file"),
            out("U sub/lost"),
            out("C both"),
            err("? no answer"),
        ];
        let script: &[(&str, i32, &[_])] = &[
            ("hello: cvs --version", 0, &[]),
            (&look, 0, &[]),
            (
                "hello/build: find . -name .cvsignore -exec rm -f {} ;",
                0,
                &[],
            ),
            (
                "hello/build: cvs -z3 -q -n update -dP -r HEAD -I !",
                0,
                said,
            ),
            ("rmdir hello/build/stray dir", 0, &[]),
            ("rmdir hello/build/file", 0, &[]),
            ("rmdir hello/build/both", 0, &[]),
            ("hello/build: cvs -z3 update -dP -r HEAD", 0, &[]),
            (NOW, 0, &[]),
        ];
        plays(&mut bench("mode = \"full\""), script, "success: update");
        let script: &[(&str, i32, &[_])] = &[
            ("hello: cvs --version", 0, &[]),
            (&look, 0, &[]),
            (
                "hello/build: cvs -z3 -q -n update -dP -r HEAD",
                0,
                &[out("R given up")],
            ),
        ];
        let clean = "mode = \"full\"\nmethod = \"clean\"";
        plays(&mut bench(clean), script, "rmdir hello/build");
        let mut hostile = bench(clean);
        begin(&mut hostile);
        hostile.ends(0, &[]);
        hostile.ends(0, &[]);
        let told = hostile.ends(0, &[out("? ../../x")]);
        assert!(told.starts_with("error: "), "{told}");
    }

    #[test]
    fn a_build_of_changes_is_of_a_time_between_them_and_who_asked() {
        let at = |delay, submitted: Option<i64>| {
            let changes = [change(5_000), change(1_000)];
            date(&changes, delay, submitted.map(Timestamp)).expect("a date")
        };
        assert_eq!(at(None, None), "Thu, 01 Jan 1970 00:00:05 -0000");
        assert_eq!(at(None, Some(65_000)), "Thu, 01 Jan 1970 00:00:35 -0000");
        assert_eq!(at(None, Some(5_001)), "Thu, 01 Jan 1970 00:00:05 -0000");
        // A clock may go wrong: what was changed is built all the same.
        assert_eq!(at(None, Some(1_000)), "Thu, 01 Jan 1970 00:00:05 -0000");
        let delay = Some(Duration::from_secs(9));
        assert_eq!(at(delay, Some(65_000)), "Thu, 01 Jan 1970 00:00:14 -0000");
        assert_eq!(date(&[], delay, None), None);

        let mut delayed = bench("checkout_delay = \"10s\"");
        delayed.changes = vec![change(1_500)];
        begin(&mut delayed);
        let revision = delayed.properties.text("revision");
        assert_eq!(revision, Some("Thu, 01 Jan 1970 00:00:12 -0000"));
        let mut latest = bench("always_use_latest = true");
        latest.changes = vec![change(1_500)];
        begin(&mut latest);
        assert_eq!(latest.properties.text("revision"), None);
    }

    #[test]
    fn what_looks_like_an_option_reaches_no_program() {
        insta::assert_snapshot!(
            problems_of(&KIND, "mode = \"full\"\nmethod = \"scrub\"\ncheckout_delay = \"soon\""),
            @"
        factories/x.toml:3:10: `scrub` is no checkout method
        factories/x.toml:4:18: bad value for `checkout_delay` in [[steps]]
        "
        );
        let mut hostile = bench("");
        hostile.stamp.revision = Some("-t".into());
        assert_eq!(
            begin(&mut hostile),
            "error: the revision `-t` begins with `-`"
        );
        let mut hostile = Bench::new(read_kind(&KIND, "").as_ref(), &KIND);
        hostile.stamp.repository = ":ext;CVS_RSH=/tmp/x:h:/cvs".into();
        let refused = "error: a repository that the build names has no options of CVS";
        assert_eq!(begin(&mut hostile), refused);
    }

    #[test]
    fn real_checkouts_reach_branches_and_times_in_every_mode() {
        let world = tempfile::tempdir().expect("a directory");
        let at = |name: &str| world.path().join(name);
        let root = at("root").display().to_string();
        let cvs = |dir: &Path, argv: &[&str]| {
            let first = ["-Q", "-d", &root];
            run_program(dir, "cvs", &[&first, argv].concat())
        };
        cvs(world.path(), &["init"]);
        fs::create_dir_all(at("i/sub")).expect("a directory");
        for (name, text) in [("file", "one"), (".cvsignore", "*.x"), ("sub/s", "s")] {
            fs::write(at("i").join(name), text).expect("a file");
        }
        cvs(&at("i"), &["import", "-m", "i", "mod", "V", "R"]);
        cvs(world.path(), &["checkout", "-d", "dev", "mod"]);
        // CVS tells revisions apart by their seconds: the files of the repository are dated.
        let commit = |text: &str, day: u32| {
            fs::write(at("dev/file"), text).expect("a file");
            cvs(&at("dev"), &["commit", "-f", "-m", text, "file"]);
            let file = at("root/mod/file,v");
            let stored = fs::read_to_string(&file).expect("a file");
            let from = stored.find("\ndate\t").expect("a date") + "\ndate\t".len();
            let to = from + stored[from..].find(';').expect("an end");
            let stored = format!(
                "{}2020.01.{day:02}.00.00.00{}",
                &stored[..from],
                &stored[to..]
            );
            let _ = fs::remove_file(&file);
            fs::write(&file, stored).expect("a file");
        };
        commit("second", 2);
        cvs(&at("dev"), &["tag", "-b", "side"]);
        commit("the third", 3);
        cvs(&at("dev"), &["update", "-r", "side"]);
        fs::write(at("dev/file"), "of the side").expect("a file");
        cvs(&at("dev"), &["commit", "-m", "side"]);

        let build = |lines: &str, branch: &str, revision: Option<&str>| {
            let lines = format!("cvsroot = \"{root}\"\ncvsmodule = \"mod\"\n{lines}");
            let mut bench = Bench::new(read_kind(&KIND, &lines).as_ref(), &KIND);
            bench.stamp.branch = Some(branch.to_owned()).filter(|it| !it.is_empty());
            bench.stamp.revision = revision.map(str::to_owned);
            let told = bench.run_for_real(world.path());
            let end = told.last().map(String::as_str);
            assert_eq!(end, Some("success: update"), "{told:#?}");
            let got = bench.properties.text("got_revision").unwrap_or_default();
            assert!(got.ends_with("000"), "{got}");
            fs::read_to_string(at("hello/build/file")).expect("a file")
        };
        let full = |method: &str| format!("mode = \"full\"\nmethod = \"{method}\"");
        let litter = || {
            for name in ["stray", "a.o", "b.x", "sub/c.o", "file"] {
                fs::write(at("hello/build").join(name), "a build's").expect("a file");
            }
        };
        let is_there = |name: &str| at("hello").join(name).exists();
        let second = Some("Thu, 02 Jan 2020 12:00:00 -0000");
        assert_eq!(build("", "", None), "the third");
        fs::write(at("hello/build/stray"), "x").expect("a file");
        assert_eq!(build("", "", second), "second");
        assert_eq!(build("", "", Some("2020-01-03 00:00:00")), "the third");
        assert_eq!(build("", "", Some("2020-01-02 23:59:59")), "second");
        assert!(is_there("build/stray"), "it was updated");
        assert_eq!(build("", "", None), "the third");
        litter();
        assert_eq!(build(&full("clean"), "", None), "the third");
        let ignored = ["a.o", "b.x", "sub/c.o"];
        assert!(!is_there("build/stray"));
        for name in ignored {
            assert!(is_there(&format!("build/{name}")), "{name}");
        }
        litter();
        assert_eq!(build(&full("fresh"), "", None), "the third");
        for name in ignored {
            assert!(!is_there(&format!("build/{name}")), "{name}");
        }
        assert!(is_there("build/.cvsignore") && is_there("build/sub/s"));
        assert_eq!(build("", "side", None), "of the side");
        assert_eq!(build(&full("copy"), "", None), "the third");
        assert!(is_there("source/CVS") && is_there("build/CVS"));
        assert_eq!(build(&full("export"), "", second), "second");
        assert!(!is_there("build/CVS"));
        assert_eq!(build(&full("clobber"), "side", None), "of the side");
    }
}
