//! `vc6` to `vc10` and `vcexpress9`: Microsoft's compilers, as their environment programs
//! build a solution, with what they say counted.

use std::sync::Arc;
use std::sync::LazyLock;

use regex::Regex;

use crate::model::Channel;
use crate::model::Command;
use crate::model::Outcome;
use crate::model::Reached;
use crate::model::Shell;
use crate::model::Text;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Value;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Gauge;
use super::Line;
use super::Move;
use super::Run;
use super::Settings;
use super::Step;
use super::StepError;
use super::StepKind;
use super::Verdict;
use super::gauge::reached;
use super::read;
use super::tally::push_line;
use super::texts::verdict;

const FLAGS: Flags = Flags {
    flunk_on_failure: true,
    ..Flags::NONE
};

const EXAMPLE: &str = r#"projectfile = "words.sln"
config = "debug"
mode = "build"
include = ['C:\sdk\include']"#;

macro_rules! kind {
    ($compiler:ident, $name:literal, $aliases:expr, $year:literal) => {
        StepKind {
            name: $name,
            aliases: $aliases,
            step_name: "compile",
            summary: concat!(
                "Builds a solution with ",
                $year,
                ", and counts warnings and errors."
            ),
            example: EXAMPLE,
            flags: FLAGS,
            read: |keys| Some(Arc::new(VisualStudio::read(&$compiler, keys)?)),
        }
    };
}

pub(super) const VC6: StepKind = kind!(C6, "vc6", &[], "Visual C++ 6");
pub(super) const VC7: StepKind = kind!(C7, "vc7", &["vs2003", "vc2003"], "Visual Studio 2003");
pub(super) const VC8: StepKind = kind!(C8, "vc8", &["vs2005", "vc2005"], "Visual Studio 2005");
pub(super) const VC9: StepKind = kind!(C9, "vc9", &["vs2008", "vc2008"], "Visual Studio 2008");
pub(super) const VC10: StepKind = kind!(C10, "vc10", &["vs2010", "vc2010"], "Visual Studio 2010");
pub(super) const EXPRESS9: StepKind = kind!(E9, "vcexpress9", &[], "Visual C++ 2008 Express");

/// A compiler, as far as they differ.
#[derive(Debug)]
struct Compiler {
    program: &'static str,
    /// Below `C:\Program Files\`.
    installed: &'static str,
    generation: Generation,
}

#[derive(Debug, PartialEq, Eq)]
enum Generation {
    Six,
    Seven,
    /// And later: these know of architectures.
    Eight,
}

const fn compiler(
    program: &'static str,
    installed: &'static str,
    generation: Generation,
) -> Compiler {
    Compiler {
        program,
        installed,
        generation,
    }
}

static C6: Compiler = compiler("msdev", "Microsoft Visual Studio", Generation::Six);
static C7: Compiler = compiler(
    "devenv.com",
    "Microsoft Visual Studio .NET 2003",
    Generation::Seven,
);
static C8: Compiler = compiler("devenv.com", "Microsoft Visual Studio 8", Generation::Eight);
static C9: Compiler = compiler(
    "devenv.com",
    "Microsoft Visual Studio 9.0",
    Generation::Eight,
);
static C10: Compiler = compiler(
    "devenv.com",
    "Microsoft Visual Studio 10.0",
    Generation::Eight,
);
static E9: Compiler = compiler(
    "vcexpress",
    "Microsoft Visual Studio 9.0",
    Generation::Eight,
);

/// The variables in which a compiler finds its programs and files.
const PATHS: [&str; 3] = ["PATH", "INCLUDE", "LIB"];

impl Compiler {
    /// Its directories for `PATH`, `INCLUDE` and `LIB`, below where it is installed.
    fn directories(&self, arch: Arch) -> [Vec<&'static str>; 3] {
        match (&self.generation, arch) {
            (Generation::Six, _) => [
                vec![
                    r"\Common\msdev98\BIN",
                    r"\VC98\BIN",
                    r"\Common\TOOLS\WINNT",
                    r"\Common\TOOLS",
                ],
                vec![r"\VC98\INCLUDE", r"\VC98\ATL\INCLUDE", r"\VC98\MFC\INCLUDE"],
                vec![r"\VC98\LIB", r"\VC98\MFC\LIB"],
            ],
            (Generation::Seven, _) => [
                vec![
                    r"\Common7\IDE",
                    r"\VC7\BIN",
                    r"\Common7\Tools",
                    r"\Common7\Tools\bin",
                ],
                vec![
                    r"\VC7\INCLUDE",
                    r"\VC7\ATLMFC\INCLUDE",
                    r"\VC7\PlatformSDK\include",
                    r"\SDK\v1.1\include",
                ],
                vec![
                    r"\VC7\LIB",
                    r"\VC7\ATLMFC\LIB",
                    r"\VC7\PlatformSDK\lib",
                    r"\SDK\v1.1\lib",
                ],
            ],
            (Generation::Eight, arch) => {
                let mut path = vec![
                    r"\Common7\IDE",
                    r"\VC\BIN",
                    r"\Common7\Tools",
                    r"\Common7\Tools\bin",
                    r"\VC\PlatformSDK\bin",
                    r"\SDK\v2.0\bin",
                    r"\VC\VCPackages",
                ];
                let lib = match arch {
                    Arch::X86 => vec![
                        r"\VC\LIB",
                        r"\VC\ATLMFC\LIB",
                        r"\VC\PlatformSDK\lib",
                        r"\SDK\v2.0\lib",
                    ],
                    Arch::X64 => {
                        path.insert(1, r"\VC\BIN\x86_amd64");
                        vec![
                            r"\VC\LIB\amd64",
                            r"\VC\ATLMFC\LIB\amd64",
                            r"\VC\PlatformSDK\lib\amd64",
                            r"\SDK\v2.0\lib\amd64",
                        ]
                    }
                };
                let include = vec![
                    r"\VC\INCLUDE",
                    r"\VC\ATLMFC\include",
                    r"\VC\PlatformSDK\include",
                ];
                [path, include, lib]
            }
        }
    }
}

#[derive(Clone, Debug)]
struct VisualStudio {
    compiler: &'static Compiler,
    line: Line,
    /// What comes before the compiler's own directories in [`PATHS`].
    directories: [Vec<Text>; 3],
    installed: Text,
    arch: Arch,
    settings: Settings,
}

impl VisualStudio {
    fn read(compiler: &'static Compiler, keys: &mut Keys<'_>) -> Option<Self> {
        let file = keys.required::<Text>("projectfile");
        let config = keys.or("config", Text::literal("release"));
        let mode = keys.or("mode", Mode::Rebuild);
        let project = keys.optional::<Text>("project");
        let use_env = keys.or("use_env", false);
        let directories = ["path", "include", "lib"].map(|key| read::words(keys, key));
        let usual = format!(r"C:\Program Files\{}", compiler.installed);
        let installed = keys.or("install_dir", Text::literal(usual));
        let arch = match compiler.generation {
            Generation::Eight => keys.or("arch", Arch::X86),
            Generation::Six | Generation::Seven => Some(Arch::X86),
        };
        let settings = Settings::read(keys);
        let [path, include, lib] = directories;
        let directories = [path?, include?, lib?].map(Option::unwrap_or_default);
        // Directories of one's own are of no use to who does not look at them.
        let use_env = use_env? || !directories[1].is_empty() || !directories[2].is_empty();
        let line = line(compiler, (file?, config?, project?), mode?, use_env);
        Some(Self {
            compiler,
            line,
            directories,
            installed: installed?,
            arch: arch?,
            settings: settings?,
        })
    }

    fn command(&self, cx: &Cx<'_>) -> Result<Shell, StepError> {
        let mut shell = self.settings.command(&self.line, cx)?;
        let own = self.compiler.directories(self.arch);
        let installed = self.installed.render(cx.properties)?;
        for ((name, given), own) in PATHS.into_iter().zip(&self.directories).zip(own) {
            let mut all = shell.env.remove(name).flatten().unwrap_or_default();
            for directory in given {
                add(&mut all, &directory.render(cx.properties)?);
            }
            for directory in own {
                add(&mut all, &format!("{installed}{directory}"));
            }
            if name == "PATH" {
                add(&mut all, "${PATH}");
            }
            shell.env.insert(name.to_owned(), Some(all));
        }
        Ok(shell)
    }
}

/// Adds a directory to the value of a variable.
fn add(all: &mut String, directory: &str) {
    if !all.is_empty() && !all.ends_with(';') {
        all.push(';');
    }
    all.push_str(directory);
    all.push(';');
}

fn line(
    compiler: &Compiler,
    (file, config, project): (Text, Text, Option<Text>),
    mode: Mode,
    use_env: bool,
) -> Line {
    let word = |text: &str| Text::literal(text);
    let mut words = vec![word(compiler.program), file];
    if compiler.generation == Generation::Six {
        let project = project.unwrap_or_else(|| word("ALL"));
        words.push(word("/MAKE"));
        words.push(project.then(&word(" - ")).then(&config));
        words.push(word(match mode {
            Mode::Rebuild => "/REBUILD",
            Mode::Build => "/BUILD",
        }));
        words.extend(use_env.then(|| word("/USEENV")));
    } else {
        words.push(word(match mode {
            Mode::Rebuild => "/Rebuild",
            Mode::Build => "/Build",
        }));
        words.push(config);
        words.extend(use_env.then(|| word("/UseEnv")));
        if let Some(project) = project {
            words.extend([word("/Project"), project]);
        }
    }
    Line::Argv(words)
}

impl Step for VisualStudio {
    fn begin(&self) -> Box<dyn Run> {
        Box::new(self.clone())
    }

    fn gauge(&self) -> Option<Box<dyn Gauge>> {
        Some(Box::new(Heard::default()))
    }

    fn metrics(&self) -> Vec<String> {
        self.settings.metrics(self.gauge())
    }
}

impl Run for VisualStudio {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.settings
            .running_text(&self.line, cx, Some("compiling"))
    }

    fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.settings.done_text(&self.line, cx, Some("compile"))
    }

    fn advance(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError> {
        let Some(ended) = last else {
            return Ok(Move::Run(Command::Shell(self.command(cx)?)));
        };
        let mut heard = Heard::default();
        ended.output.lines(&mut |channel, line| {
            if channel == Channel::Stdout {
                heard.see(line);
            }
        });
        let outcomes = &self.settings.outcomes;
        let is_good = outcomes.seen(ended.exit).is_success();
        let verdict = heard.verdict(cx, is_good, self.done_text(cx));
        Ok(Move::Done(outcomes.applied(cx, ended, verdict)))
    }
}

/// What a compiler said, counted.
#[derive(Default)]
struct Heard {
    projects: i64,
    files: i64,
    warnings: i64,
    errors: i64,
    warning_lines: String,
    error_lines: String,
}

/// A project begins, a file is compiled, a warning, an error: the first that fits counts.
static FORMS: LazyLock<[Regex; 4]> = LazyLock::new(|| {
    [
        r"^(\d+>)?-{5}.+-{5}$",
        r"^(\d+>)?[^ ]+\.(cpp|c)$",
        r": warning [A-Z]+[0-9]+:",
        r"error ([A-Z]+[0-9]+)? ?: ",
    ]
    .map(|it| Regex::new(it).expect("the forms are tested"))
});

/// Which of the forms it is that the line fits.
fn form(line: &str) -> Option<usize> {
    FORMS.iter().position(|it| it.is_match(line))
}

impl Heard {
    fn see(&mut self, line: &str) {
        match form(line) {
            Some(0) => {
                self.projects += 1;
                push_line(&mut self.warning_lines, line);
                push_line(&mut self.error_lines, line);
            }
            Some(1) => self.files += 1,
            Some(2) => {
                self.warnings += 1;
                push_line(&mut self.warning_lines, line);
            }
            Some(_) => {
                self.errors += 1;
                push_line(&mut self.error_lines, line);
            }
            None => {}
        }
    }

    fn verdict(self, cx: &Cx<'_>, is_good: bool, mut done: Vec<String>) -> Verdict {
        let outcome = if !is_good || self.errors > 0 {
            Outcome::Failure
        } else if self.warnings > 0 {
            Outcome::Warnings
        } else {
            Outcome::Success
        };
        done.extend([
            format!("{} projects", self.projects),
            format!("{} files", self.files),
        ]);
        for (count, word) in [(self.warnings, "warnings"), (self.errors, "errors")] {
            done.extend((count > 0).then(|| format!("{count} {word}")));
        }
        let counts = [
            ("projects", self.projects),
            ("files", self.files),
            ("warnings", self.warnings),
            ("errors", self.errors),
        ];
        let mut verdict = verdict(cx, outcome, done);
        verdict.statistics = counts.map(|(name, count)| (name.to_owned(), count)).into();
        // Both are there even if there is nothing to say.
        verdict.logs = vec![
            ("warnings".into(), self.warning_lines),
            ("errors".into(), self.error_lines),
        ];
        verdict
    }
}

impl Gauge for Heard {
    fn see(&mut self, channel: Channel, line: &str) {
        if channel == Channel::Stdout {
            match form(line) {
                Some(0) => self.projects += 1,
                Some(1) => self.files += 1,
                Some(2) => self.warnings += 1,
                _ => {}
            }
        }
    }

    fn reached(&self) -> Vec<Reached> {
        let all = [
            ("projects", self.projects),
            ("files", self.files),
            ("warnings", self.warnings),
        ];
        let count = |it: i64| u64::try_from(it).unwrap_or(0);
        all.map(|(name, it)| reached(name, count(it))).into()
    }
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    Rebuild,
    Build,
}

impl Value for Mode {
    const EXPECTED: &'static str = "`rebuild` or `build`";
    const SHAPE: Shape = Shape::Word(&["rebuild", "build"]);

    fn read(node: &Node) -> Result<Self, Misread> {
        match node.as_text()? {
            "rebuild" => Ok(Self::Rebuild),
            "build" => Ok(Self::Build),
            _ => Err(Misread::default()),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Arch {
    X86,
    X64,
}

impl Value for Arch {
    const EXPECTED: &'static str = "`x86` or `x64`";
    const SHAPE: Shape = Shape::Word(&["x86", "x64"]);

    fn read(node: &Node) -> Result<Self, Misread> {
        match node.as_text()? {
            "x86" => Ok(Self::X86),
            "x64" => Ok(Self::X64),
            _ => Err(Misread::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::bench::Line;
    use super::super::bench::counted;
    use super::super::bench::err;
    use super::super::bench::out;
    use super::super::read::tests::problems_of;
    use super::super::read::tests::read_kind;
    use super::*;
    use crate::model::ShellLine;

    fn bench(kind: &StepKind, lines: &str) -> Bench {
        let step = read_kind(kind, &format!("projectfile = \"pf\"\n{lines}"));
        Bench::new(step.as_ref(), kind)
    }

    fn words(kind: &StepKind, lines: &str) -> String {
        match bench(kind, lines).begin_shell().line {
            ShellLine::Argv(words) => words.join("|"),
            ShellLine::Script(text) => panic!("a script: {text}"),
        }
    }

    #[test]
    fn each_compiler_has_its_command() {
        assert_eq!(words(&VC6, ""), "msdev|pf|/MAKE|ALL - release|/REBUILD");
        let all = "config = \"cfg\"\nproject = \"pj\"\nmode = \"build\"\nuseenv = true\n";
        assert_eq!(words(&VC6, all), "msdev|pf|/MAKE|pj - cfg|/BUILD|/USEENV");
        for kind in [&VC7, &VC8, &VC9, &VC10] {
            assert_eq!(words(kind, ""), "devenv.com|pf|/Rebuild|release");
            let expected = "devenv.com|pf|/Build|cfg|/UseEnv|/Project|pj";
            assert_eq!(words(kind, all), expected);
        }
        assert_eq!(
            words(&EXPRESS9, "mode = \"build\""),
            "vcexpress|pf|/Build|release"
        );
    }

    #[test]
    fn directories_of_ones_own_are_looked_at_but_programs_are_no_reason_to() {
        let used = |lines: &str| words(&VC8, lines).ends_with("/UseEnv");
        assert!(used("include = 'C:\\a b'"));
        assert!(used("LIB = ['C:\\a']"));
        assert!(!used("PATH = ['C:\\a']"));
    }

    fn env(kind: &StepKind, lines: &str, name: &str) -> String {
        let shell = bench(kind, lines).begin_shell();
        shell.env[name].clone().expect("a value")
    }

    #[test]
    fn the_environment_has_given_directories_then_the_compilers_then_the_slaves() {
        let lines = "install_dir = 'C:\\VC'\npath = ['C:\\mine', 'C:\\too']\nenv.PATH = '/bin'\n";
        let expected = r"/bin;C:\mine;C:\too;C:\VC\Common\msdev98\BIN;C:\VC\VC98\BIN;C:\VC\Common\TOOLS\WINNT;C:\VC\Common\TOOLS;${PATH};";
        assert_eq!(env(&VC6, lines, "PATH"), expected);
        let expected = r"C:\VC\VC98\LIB;C:\VC\VC98\MFC\LIB;";
        assert_eq!(env(&VC6, lines, "LIB"), expected);
        let expected = r"C:\VC\VC7\INCLUDE;C:\VC\VC7\ATLMFC\INCLUDE;C:\VC\VC7\PlatformSDK\include;C:\VC\SDK\v1.1\include;";
        assert_eq!(env(&VC7, lines, "INCLUDE"), expected);
        let lines = "installdir = 'C:\\VC'\narch = \"x64\"\n";
        let expected = r"C:\VC\Common7\IDE;C:\VC\VC\BIN\x86_amd64;C:\VC\VC\BIN;C:\VC\Common7\Tools;C:\VC\Common7\Tools\bin;C:\VC\VC\PlatformSDK\bin;C:\VC\SDK\v2.0\bin;C:\VC\VC\VCPackages;${PATH};";
        assert_eq!(env(&VC10, lines, "PATH"), expected);
        let expected = r"C:\VC\VC\LIB\amd64;C:\VC\VC\ATLMFC\LIB\amd64;C:\VC\VC\PlatformSDK\lib\amd64;C:\VC\SDK\v2.0\lib\amd64;";
        assert_eq!(env(&VC9, lines, "LIB"), expected);
        let expected =
            r"C:\VC\VC\LIB;C:\VC\VC\ATLMFC\LIB;C:\VC\VC\PlatformSDK\lib;C:\VC\SDK\v2.0\lib;";
        assert_eq!(env(&VC8, "installdir = 'C:\\VC'", "LIB"), expected);
        for (kind, dir) in [
            (&VC6, ""),
            (&VC7, " .NET 2003"),
            (&VC8, " 8"),
            (&VC9, " 9.0"),
            (&VC10, " 10.0"),
            (&EXPRESS9, " 9.0"),
        ] {
            let head = format!(r"C:\Program Files\Microsoft Visual Studio{dir}\");
            assert!(env(kind, "", "INCLUDE").starts_with(&head), "{}", kind.name);
        }
    }

    fn check(code: i32, lines: &[Line<'_>], expected: &str) -> Bench {
        let mut bench = bench(&VC8, "");
        assert_eq!(bench.running_text(), ["compiling"]);
        bench.begin();
        assert_eq!(bench.ends(code, lines), expected);
        bench
    }

    #[test]
    fn what_a_compiler_says_is_counted() {
        let lines = [
            out("1>------ Build started: p ------"),
            out("1>main.cpp"),
            out("x.h"),
            out("a.cpp(7) : warning C4100: t"),
            out("LINK : fatal error LNK1168: t"),
            out("x error: t"),
            err("b.cpp(7) : warning C4100: t"),
        ];
        let end = "failure: compile 1 projects 1 files 1 warnings 1 errors failed; build: compile";
        let bench = check(0, &lines, end);
        let logs = &bench.verdict().logs;
        let text = |lines: [&str; 2]| format!("{}\n{}\n", lines[0], lines[1]);
        assert_eq!(logs[0], ("warnings".into(), text([lines[0].1, lines[3].1])));
        assert_eq!(logs[1], ("errors".into(), text([lines[0].1, lines[4].1])));
        let statistics = ["projects", "files", "warnings", "errors"];
        let statistics = statistics.map(|it| (it.to_owned(), 1));
        assert_eq!(bench.verdict().statistics, statistics);
    }

    #[test]
    fn warnings_alone_are_no_failure_and_silence_is_good() {
        let end = "warnings: compile 0 projects 0 files 1 warnings warnings";
        check(0, &[out("a.cpp(7): warning C4100: t")], end);
        let bench = check(0, &[], "success: compile 0 projects 0 files");
        let empty = ["warnings", "errors"].map(|it| (it.to_owned(), String::new()));
        assert_eq!(bench.verdict().logs, empty);
        let end = "failure: compile 0 projects 0 files failed; build: compile";
        check(1, &[], end);
    }

    #[test]
    fn only_what_a_compiler_knows_may_be_said() {
        let problems = problems_of(&VC7, "mode = \"clean\"\narch = \"x64\"\n");
        insta::assert_snapshot!(problems, @"
        factories/x.toml:1:1: `projectfile` is missing in [[steps]]
        factories/x.toml:2:8: bad value for `mode` in [[steps]]
        factories/x.toml:3:1: unknown key `arch` in [[steps]]
        ");
    }

    #[test]
    fn projects_files_and_warnings_are_counted_while_it_compiles() {
        let step = read_kind(&VC8, "projectfile = \"pf\"\n");
        let lines = [
            out("1>------ Build started: p ------"),
            out("1>main.cpp"),
            out("1>other.c"),
            out("a.cpp(7) : warning C4100: t"),
            err("b.cpp(7) : warning C4100: t"),
        ];
        let counts = |projects, files, warnings| {
            let all = [
                ("projects", projects),
                ("files", files),
                ("warnings", warnings),
            ];
            all.map(|(name, count)| (name.to_owned(), count, None))
        };
        assert_eq!(counted(step.as_ref(), &[]), counts(0, 0, 0));
        assert_eq!(counted(step.as_ref(), &lines), counts(1, 2, 1));
        assert_eq!(step.metrics(), ["output", "projects", "files", "warnings"]);
    }
}
