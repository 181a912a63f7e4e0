//! On which terms the program of a step runs: a terminal, log files of its own,
//! priorities, limits, and how it is asked to end.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;

use crate::model::GroupLimits;
use crate::model::IoClass;
use crate::model::IoPriority;
use crate::model::Logfile;
use crate::model::RLIMITS;
use crate::model::Shell;
use crate::model::Terms;
use crate::model::Text;
use crate::model::signal_number;
use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Problem;
use crate::syntax::Shape;
use crate::syntax::Size;
use crate::syntax::Value;

use super::Cx;
use super::StepError;
use super::download::Mode;
use super::read::Switch;

/// So many log files of one step are as many as anybody looks at.
const MOST_LOGFILES: usize = 50;

/// What a step says of how its program runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RunTerms {
    /// By the names of their logs.
    logfiles: BTreeMap<String, LogfileText>,
    use_pty: Switch,
    lazy_logfiles: Switch,
    initial_stdin: Option<Text>,
    fixed: Terms,
}

/// A file that becomes a log.
#[derive(Clone, Debug, PartialEq)]
struct LogfileText {
    path: Text,
    follow: bool,
}

impl RunTerms {
    pub(super) fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let use_pty = keys.or("use_pty", Pty(Switch::default()));
        let logfiles = logfiles(keys);
        let lazy_logfiles = keys.or("lazy_logfiles", Switch::default());
        let initial_stdin = keys.optional::<Text>("initial_stdin");
        let umask = keys.optional::<Mode>("umask");
        let nice = keys.optional::<Nice>("nice");
        let ionice = keys.optional::<IoPriority>("ionice");
        let rlimits = rlimits(keys);
        let memory_max = keys.or("memory_max", Size(None));
        let cpu_max = keys.optional::<Processors>("cpu_max");
        let pids_max = keys.optional::<u64>("pids_max");
        let required = keys.or("cgroup_required", false);
        let signal = keys.optional::<Signal>("signal");
        let kill_after = keys.optional::<Duration>("kill_after");
        let millis = |it: Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
        Some(Self {
            logfiles: logfiles?,
            use_pty: use_pty?.0,
            lazy_logfiles: lazy_logfiles?,
            initial_stdin: initial_stdin?,
            fixed: Terms {
                use_pty: false,
                umask: umask?.map(|it| it.0),
                nice: nice?.map(|it| it.0),
                ionice: ionice?,
                rlimits: rlimits?,
                group: GroupLimits {
                    memory_max: memory_max?.0,
                    cpu_max: cpu_max?.map(|it| it.0),
                    pids_max: pids_max?,
                    required: required?,
                },
                signal: signal?.map(|it| it.0),
                kill_after_ms: kill_after?.map(millis),
            },
        })
    }

    /// Adds a log that steps of a type have, unless this one has another of that name.
    pub(super) fn add_logfile(&mut self, name: &str, path: Text) {
        let file = LogfileText {
            path,
            follow: false,
        };
        self.logfiles.entry(name.to_owned()).or_insert(file);
    }

    pub(super) fn logfile_names(&self) -> impl Iterator<Item = &str> {
        self.logfiles.keys().map(String::as_str)
    }

    pub(super) fn make_lazy(&mut self, lazy_logfiles: Switch) {
        self.lazy_logfiles = lazy_logfiles;
    }

    /// Gives the command these terms.
    pub(super) fn apply(&self, shell: &mut Shell, cx: &Cx<'_>) -> Result<(), StepError> {
        *shell.terms = self.fixed.clone();
        shell.terms.use_pty = self.use_pty.is_on("use_pty", cx)?;
        let lazy = self.lazy_logfiles.is_on("lazy_logfiles", cx)?;
        if let Some(text) = &self.initial_stdin {
            shell.initial_stdin = text.render(cx.properties)?.into_bytes();
        }
        for (name, logfile) in &self.logfiles {
            let logfile = Logfile {
                path: logfile.path.render(cx.properties)?,
                follow: logfile.follow,
                lazy,
            };
            shell.logfiles.insert(name.clone(), logfile);
        }
        Ok(())
    }
}

fn logfiles(keys: &mut Keys<'_>) -> Option<BTreeMap<String, LogfileText>> {
    let all = keys.placed_map::<LogfileText>("logfiles")?;
    if all.len() > MOST_LOGFILES {
        let what = format!("a step has at most {MOST_LOGFILES} log files");
        keys.wrong("logfiles", what);
        return None;
    }
    let bad = |name: &str| match name {
        "stdio" => Some("`stdio` is the log of what the command itself says"),
        _ if name.is_empty() || name.chars().any(|it| it == '/' || it.is_control()) => {
            Some("the name of a log has no `/` and no control characters")
        }
        _ => None,
    };
    for (name, (place, _)) in &all {
        if let Some(why) = bad(name) {
            keys.note(Problem::error(Code::BadName, why).at(place));
            return None;
        }
    }
    Some(all.into_iter().map(|(name, (_, it))| (name, it)).collect())
}

impl Value for LogfileText {
    const EXPECTED: &'static str =
        "the path of a file, or a table such as `{\"filename\": \"PATH\", \"follow\": true}`";
    const SHAPE: Shape = Shape::Json;

    fn read(node: &Node) -> Result<Self, Misread> {
        let is_table = match &node.content {
            Content::Text(text) => text.trim_start().starts_with('{'),
            Content::Table(_) => true,
            _ => false,
        };
        if !is_table {
            return Ok(Self {
                path: Text::read(node)?,
                follow: false,
            });
        }
        let Json::Object(table) = Json::read(node)? else {
            return Err(Misread::default());
        };
        let (mut path, mut follow) = (None, false);
        for (key, value) in &table {
            match (key.as_str(), value) {
                ("filename" | "path", Json::String(text)) => {
                    let text = Text::parse(text);
                    path = Some(text.map_err(|error| misread(error.what))?);
                }
                ("follow", Json::Bool(it)) => follow = *it,
                _ => return Err(misread(format!("`{key}` is not `filename` or `follow`"))),
            }
        }
        let path = path.ok_or_else(|| misread("`filename` is missing".to_owned()))?;
        Ok(Self { path, follow })
    }
}

fn misread(what: String) -> Misread {
    Misread {
        what: Some(what),
        ..Misread::default()
    }
}

/// Whether it has a terminal; Buildbot's `slave-config` leaves that to the slave, which has none.
struct Pty(Switch);

impl Value for Pty {
    const EXPECTED: &'static str = Switch::EXPECTED;
    const SHAPE: Shape = Switch::SHAPE;

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            Content::Text(text) if text == "slave-config" => Ok(Self(Switch::default())),
            _ => Switch::read(node).map(Self),
        }
    }
}

struct Nice(i32);

impl Value for Nice {
    const EXPECTED: &'static str = "a whole number from -20 to 19";
    const SHAPE: Shape = Shape::Int;

    fn read(node: &Node) -> Result<Self, Misread> {
        let number = i64::read(node)?;
        let number = i32::try_from(number).ok();
        let number = number.filter(|it| (-20..=19).contains(it));
        number.map(Self).ok_or_else(Misread::default)
    }
}

impl Value for IoPriority {
    const EXPECTED: &'static str =
        "`idle`, or `best-effort` or `realtime` with a level from 0 to 7, as in `best-effort:7`";
    const SHAPE: Shape = Shape::Text;

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?.trim();
        let (class, level) = text
            .split_once([':', ' '])
            .map_or((text, "4"), |(class, level)| (class, level.trim()));
        let class = match class.to_ascii_lowercase().replace('_', "-").as_str() {
            "idle" => IoClass::Idle,
            "best-effort" => IoClass::BestEffort,
            "realtime" => IoClass::Realtime,
            _ => return Err(Misread::default()),
        };
        let level = level.parse().ok().filter(|it| *it <= 7);
        let level = level.ok_or_else(Misread::default)?;
        Ok(Self { class, level })
    }
}

/// How many processors' time, in thousandths.
struct Processors(u32);

impl Value for Processors {
    const EXPECTED: &'static str = "a number of processors, such as `1.5`";
    const SHAPE: Shape = Shape::Number;

    fn read(node: &Node) -> Result<Self, Misread> {
        let thousandths = (f64::read(node)? * 1000.0).round();
        if !(10.0..=1e6).contains(&thousandths) {
            return Err(misread(
                "expected at least 0.01 and at most 1000 processors".to_owned(),
            ));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it was just looked at"
        )]
        Ok(Self(thousandths as u32))
    }
}

struct Signal(i32);

impl Value for Signal {
    const EXPECTED: &'static str = "the name of a signal, such as `INT`";
    const SHAPE: Shape = Shape::Text;

    fn read(node: &Node) -> Result<Self, Misread> {
        let number = signal_number(node.as_text()?.trim());
        number.map(Self).ok_or_else(Misread::default)
    }
}

/// A limit of `rlimit.NAME`.
struct Rlimit(Option<u64>);

impl Value for Rlimit {
    const EXPECTED: &'static str = "a number, a size such as `2G`, or `unlimited`";
    const SHAPE: Shape = Shape::OrNone(&Shape::Size);

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            Content::Text(text) if text.trim().eq_ignore_ascii_case("unlimited") => Ok(Self(None)),
            _ => Size::read(node).map(|it| Self(it.0)),
        }
    }
}

fn rlimits(keys: &mut Keys<'_>) -> Option<BTreeMap<String, Option<u64>>> {
    let all = keys.placed_map::<Rlimit>("rlimit")?;
    let mut limits = BTreeMap::new();
    let mut is_good = true;
    for (name, (place, limit)) in all {
        let short = name.to_ascii_lowercase();
        let short = short.strip_prefix("rlimit_").unwrap_or(&short).to_owned();
        if RLIMITS.contains(&short.as_str()) {
            limits.insert(short, limit.0);
        } else {
            let what = format!("`{name}` is no resource that can be limited");
            let problem = Problem::error(Code::BadName, what).at(&place);
            keys.note(problem.did_you_mean(&name, RLIMITS.iter().copied()));
            is_good = false;
        }
    }
    is_good.then_some(limits)
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::read;
    use super::*;
    use crate::syntax::Place;
    use crate::syntax::Problems;
    use crate::syntax::Source;
    use crate::syntax::toml;

    fn check(text: &str) -> Result<Shell, String> {
        let text = format!("type = \"shell\"\ncommand = \"true\"\n{text}");
        let source = Source::new("x.toml", "/base", text);
        let mut problems = Problems::default();
        let entries = toml::read(&source, &mut problems);
        let place = Place::new(&source, 0..0);
        let keys = Keys::of_entries("[[steps]]", &place, &entries, &mut problems);
        let plan = read(keys, None);
        problems.sort();
        let shown: Vec<_> = problems.0.iter().map(Problem::line).collect();
        match plan {
            Some(plan) => {
                let mut properties = crate::model::Properties::new();
                properties.set("n", "7", "test");
                Ok(Bench::of(&plan, properties).begin_shell())
            }
            None => Err(shown.join("\n")),
        }
    }

    #[test]
    fn a_step_that_says_nothing_runs_on_plain_terms() {
        let shell = check("").expect("a step");
        assert!(shell.terms.is_plain());
        assert!(shell.logfiles.is_empty() && shell.initial_stdin.is_empty());
    }

    #[test]
    fn everything_can_be_said_in_buildbots_spelling_too() {
        let shell = check(
            r#"
usePTY = true
lazylogfiles = true
logfiles.test = "out/%(n)s.log"
logfiles.all = { filename = "/var/log/all", follow = true }
initial_stdin = "yes %(n)s\n"
umask = "027"
nice = 10
ionice = "best-effort:7"
rlimit.nofile = 1024
rlimit.RLIMIT_AS = "2G"
rlimit.core = "unlimited"
memory_max = "512M"
cpu_max = 1.5
pids_max = 100
cgroup_required = true
signal = "SIGINT"
kill_after = "90s"
"#,
        )
        .expect("a step");
        assert_eq!(shell.initial_stdin, b"yes 7\n");
        let logfile = |path: &str, follow| Logfile {
            path: path.into(),
            follow,
            lazy: true,
        };
        assert_eq!(shell.logfiles["test"], logfile("out/7.log", false));
        assert_eq!(shell.logfiles["all"], logfile("/var/log/all", true));
        let rlimits = [
            ("as", Some(2 << 30)),
            ("core", None),
            ("nofile", Some(1024)),
        ];
        let expected = Terms {
            use_pty: true,
            umask: Some(0o027),
            nice: Some(10),
            ionice: Some(IoPriority {
                class: IoClass::BestEffort,
                level: 7,
            }),
            rlimits: rlimits.map(|(name, it)| (name.to_owned(), it)).into(),
            group: GroupLimits {
                memory_max: Some(512 << 20),
                cpu_max: Some(1500),
                pids_max: Some(100),
                required: true,
            },
            signal: Some(2),
            kill_after_ms: Some(90_000),
        };
        assert_eq!(*shell.terms, expected);
    }

    #[test]
    fn switches_may_depend_on_the_build() {
        let shell = check(
            "usePTY = \"n == '7'\"\nwantStdout = \"n != '7'\"\nwantStderr = \"no\"\n\
             logEnviron = \"n == '8'\"\nlazylogfiles = \"n == '8'\"\nlogfiles.a = \"b\"\n",
        )
        .expect("a step");
        assert!(shell.terms.use_pty);
        assert!(!(shell.want_stdout || shell.want_stderr || shell.log_environ));
        assert!(!shell.logfiles["a"].lazy);
        let shell = check("usePTY = \"slave-config\"\n").expect("a step");
        assert!(!shell.terms.use_pty && shell.want_stdout);
        let problems = check("want_stdout = \"perhaps so\"\n").expect_err("a mistake");
        insta::assert_snapshot!(problems, @"x.toml:3:24: bad value for `want_stdout` in [[steps]]");
    }

    #[test]
    fn every_mistake_is_told_in_its_place() {
        let problems = check(
            "nice = 40\nionice = \"slow\"\nrlimit.nofiles = 1\nlogfiles.stdio = \"x\"\ncpu_max = 0\nsignal = \"HALT\"\n",
        )
        .expect_err("mistakes");
        insta::assert_snapshot!(problems, @"
        x.toml:3:8: bad value for `nice` in [[steps]]
        x.toml:4:10: bad value for `ionice` in [[steps]]
        x.toml:5:18: `nofiles` is no resource that can be limited
        x.toml:6:18: `stdio` is the log of what the command itself says
        x.toml:7:11: bad value for `cpu_max` in [[steps]]
        x.toml:8:10: bad value for `signal` in [[steps]]
        ");
        let problems = check("logfiles.a = { name = \"x\" }\n").expect_err("a mistake");
        insta::assert_snapshot!(problems, @"x.toml:3:14: bad value for `logfiles.a` in [[steps]]");
    }
}
