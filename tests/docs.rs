//! What the documents show is true: every fenced block of `README.md` and
//! `docs/*.md` is run or checked, by its language, and the manual names all
//! that the program understands. No network is used.
//!
//! - `sh` runs, block after block, in one directory for each document, with
//!   the program on the PATH under all its names. Ports of the documents are
//!   replaced by free ones. `scripts/…` lines are checked for their syntax.
//! - `ini` is a `master.ini` for `checkconfig`, which must have nothing to
//!   say. Where only factories stand, a slave for them is added behind; where
//!   `[:slave:]` stands it is a `slave.ini` and a slave starts with it; where
//!   `[Service]` stands it is a unit whose command line the program must know.
//! - `toml` is a recipe. Its first line names it, `# factories/NAME.toml`; it
//!   is used by a section of that name, and lies beside every `ini` after it.
//!   One whose first line is `# secrets.toml` only lies there, for its owner;
//!   with `# master.toml` it is a configuration like an `ini`.
//! - An `ini` whose first line is `# conf.d/NAME.ini` only lies there, too.
//! - `text` is what `checkconfig` prints about the `ini` before it, with the
//!   lines in it that the text shows.
//! - `json` parses.
//! - `conf` is read by a test of `config`, `nginx` by nginx on the farm.

#![expect(
    clippy::disallowed_methods,
    reason = "a test stands outside the rooms: it starts the program and looks at the clock"
)]

use std::fs;
use std::io::BufRead as _;
use std::io::BufReader;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use regex::Regex;

const AUTOBOT: &str = env!("CARGO_BIN_EXE_autobot");

/// Names that the installer links to the program.
const LINKS: [&str; 8] = [
    "autobot",
    "create-autobot",
    "create-autobot-master",
    "create-autobot-slave",
    "create-autobot-project",
    "parse-autobot-config",
    "buildbot",
    "buildslave",
];

/// The ports of the documents and the options that have them as defaults.
const PORTS: [(&str, &str); 3] = [
    ("8010", "--htmlport"),
    ("8011", "--publichtmlport"),
    ("9010", "--slaveport"),
];

/// A fenced block.
struct Block {
    /// `docs/manual.md:12`
    at: String,
    language: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `README.md` and `docs/*.md`, by name.
fn documents() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("docs")).expect("the documents");
    let mut all: Vec<_> = entries
        .map(|it| it.expect("an entry").path())
        .filter(|it| it.extension().is_some_and(|it| it == "md"))
        .collect();
    all.push(root().join("README.md"));
    all.sort();
    assert!(all.len() > 2, "{all:?}");
    all
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn blocks(document: &Path) -> Vec<Block> {
    let name = document.strip_prefix(root()).expect("ours").display();
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(read(document).lines()) {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                open = Some(Block {
                    at: format!("{name}:{number}"),
                    language: language.to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{name}: a block is not closed");
    blocks
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
}

fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern")
}

fn free_ports<const N: usize>() -> [String; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|it| it.local_addr().expect("bound").port().to_string())
}

#[test]
fn every_block_is_in_a_language_that_is_checked() {
    for block in documents().iter().flat_map(|it| blocks(it)) {
        let is_checked = match block.language.as_str() {
            "sh" | "ini" | "toml" | "json" => true,
            // Sections that a whole file only has with a warning: a test of `config` reads them.
            "conf" => true,
            // `tests/farm/ports.rs` has a server in front that reads it.
            "nginx" => true,
            "text" => block.text.starts_with("error"),
            _ => false,
        };
        assert!(
            is_checked,
            "{}: nothing checks this `{}`",
            block.at, block.language
        );
    }
}

/// Where the shell blocks of one document run; whatever they start ends with it.
struct Desk {
    dir: tempfile::TempDir,
    ports: [String; 3],
}

impl Desk {
    fn new() -> Self {
        let desk = Self {
            dir: tempfile::tempdir().expect("a directory"),
            ports: free_ports(),
        };
        for dir in ["work", "home", "bin", "programs"] {
            fs::create_dir(desk.path(dir)).expect("a directory");
        }
        for name in LINKS {
            let program = desk.path("programs").join(name);
            symlink(AUTOBOT, &program).expect("a link");
            let link = desk.path("bin").join(name);
            let takes_ports = match name {
                "create-autobot" | "create-autobot-master" => &PORTS[..],
                "create-autobot-slave" => &PORTS[2..],
                _ => &[],
            };
            if takes_ports.is_empty() {
                symlink(&program, link).expect("a link");
                continue;
            }
            // What it takes by default must be free too.
            let mut script = "#!/bin/sh\n".to_owned();
            for (port, option) in takes_ports {
                let free = desk.free(port);
                script.push_str(&format!(
                    "case \" $* \" in *' {option}'*) ;; *) set -- {option} {free} \"$@\" ;; esac\n"
                ));
            }
            script.push_str(&format!("exec '{}' \"$@\"\n", program.display()));
            fs::write(&link, script).expect("written");
            fs::set_permissions(&link, fs::Permissions::from_mode(0o755)).expect("changed");
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A free port for one of the documents.
    fn free(&self, port: &str) -> &str {
        let index = PORTS.iter().position(|(it, _)| *it == port);
        &self.ports[index.expect("a port of the documents")]
    }

    fn run(&self, block: &Block) {
        let script: String = block.text.lines().map(line_to_run).collect();
        let script = pattern(r"\b(8010|8011|9010)\b")
            .replace_all(&script, |it: &regex::Captures<'_>| {
                self.free(&it[1]).to_owned()
            });
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("sh")
            .args(["-e", "-c", &script])
            .current_dir(self.path("work"))
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("HOME", self.path("home"))
            .env_remove("AUTOBOT_DIR")
            // No network, and somebody who commits.
            .env("GIT_ALLOW_PROTOCOL", "file")
            .env("GIT_AUTHOR_NAME", "Ann Author")
            .env("GIT_AUTHOR_EMAIL", "ann@example.org")
            .env("GIT_COMMITTER_NAME", "Ann Author")
            .env("GIT_COMMITTER_EMAIL", "ann@example.org")
            .stdin(Stdio::null())
            .output()
            .expect("run");
        let said = text(&output);
        assert!(output.status.success(), "{}:\n{script}\n{said}", block.at);
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        for dir in daemons(&self.path("work"), 3) {
            let stop = Command::new(AUTOBOT)
                .args(["stop", "--quiet"])
                .arg(dir)
                .status();
            drop(stop);
        }
    }
}

/// Directories in which a daemon was started.
fn daemons(dir: &Path, depth: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if dir.join("autobot.lock").exists() {
        found.push(dir.to_owned());
    }
    if depth > 0 {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        for entry in entries.filter(|it| it.path().is_dir()) {
            found.extend(daemons(&entry.path(), depth - 1));
        }
    }
    found
}

/// A line with its line end; nothing for a script of ours, which is only looked at.
fn line_to_run(line: &str) -> String {
    let Some(script) = line
        .split_whitespace()
        .next()
        .filter(|it| it.starts_with("scripts/"))
    else {
        return format!("{line}\n");
    };
    let path = root().join(script);
    let mode = fs::metadata(&path)
        .expect("the script is there")
        .permissions()
        .mode();
    assert!(mode & 0o111 != 0, "{script} can be run");
    let output = Command::new("sh")
        .arg("-n")
        .arg(&path)
        .output()
        .expect("run");
    assert!(output.status.success(), "{script}: {}", text(&output));
    String::new()
}

#[test]
fn every_shell_block_does_what_it_says() {
    for document in documents() {
        let desk = Desk::new();
        for block in blocks(&document).iter().filter(|it| it.language == "sh") {
            desk.run(block);
        }
    }
}

/// A master's directory for one configuration after the other.
struct Master {
    dir: tempfile::TempDir,
}

impl Master {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("factories")).expect("a directory");
        Self { dir }
    }

    fn add_recipe(&self, name: &str, recipe: &str) {
        let path = self.dir.path().join(format!("factories/{name}.toml"));
        fs::write(path, recipe).expect("written");
    }

    fn add_secrets(&self, secrets: &str) {
        let path = self.dir.path().join("secrets.toml");
        fs::write(&path, secrets).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
    }

    fn add_included(&self, name: &str, ini: &str) {
        let dir = self.dir.path().join("conf.d");
        fs::create_dir_all(&dir).expect("a directory");
        let path = dir.join(name);
        fs::write(&path, ini).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
    }

    fn checkconfig(&self, ini: &str) -> Output {
        let path = self.dir.path().join("master.ini");
        fs::write(&path, ini).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
        Command::new(AUTOBOT)
            .args(["checkconfig", "--quiet", "--offline"])
            .arg(self.dir.path())
            .output()
            .expect("run")
    }

    /// It must be good, without a word of warning.
    fn accepts(&self, at: &str, ini: &str) {
        let path = self.dir.path().join("master.ini");
        let quiet = self.checkconfig(ini);
        assert!(quiet.status.success(), "{at}:\n{ini}\n{}", text(&quiet));
        let output = Command::new(AUTOBOT)
            .args(["checkconfig", "--offline"])
            .arg(path)
            .output()
            .expect("run");
        assert!(
            text(&output).ends_with("Config file is good!\n"),
            "{at}:\n{ini}"
        );
    }
}

/// A `master.toml` of its own is good.
fn is_good_toml(block: &Block) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("master.toml");
    fs::write(&path, &block.text).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
    let output = Command::new(AUTOBOT).arg("checkconfig").arg(path).output();
    let said = text(&output.expect("run"));
    assert!(
        said.ends_with("Config file is good!\n"),
        "{}: {said}",
        block.at
    );
}

/// Factories alone get a slave behind them, so that the lines keep their numbers.
fn completed(ini: &str) -> String {
    if pattern(r"(?m)^\[slave:|^include = ").is_match(ini) {
        return ini.to_owned();
    }
    format!("{ini}\n[slave:any]\npassword = any\nfactories = *\n")
}

/// The schedulers that a recipe's steps trigger.
fn triggered(recipe: &str) -> String {
    let names = pattern(r#"(?m)^scheduler_names = \["(\w+)"\]$"#);
    let section = |it: regex::Captures<'_>| {
        format!("[scheduler:{}]\ntype = triggerable\nbuilders = *\n", &it[1])
    };
    names.captures_iter(recipe).map(section).collect()
}

/// Puts the lines that a shown mistake quotes into the file that it is about.
fn with_shown_lines(ini: &str, shown: &str) -> String {
    let mut lines: Vec<_> = ini.lines().map(str::to_owned).collect();
    let quoted = pattern(r"(?m)^ *(\d+) \| (.*)$");
    for it in quoted.captures_iter(shown) {
        let number: usize = it[1].parse().expect("a number of a line");
        it[2].clone_into(&mut lines[number - 1]);
    }
    lines.join("\n") + "\n"
}

/// A slave starts with the file, and calls a master that is not there.
fn starts_a_slave(block: &Block) {
    let dir = tempfile::tempdir().expect("a directory");
    let [port] = free_ports();
    let master = pattern(r"(?m)^master = .*$");
    assert!(master.is_match(&block.text), "{}", block.at);
    let ini = master.replace(&block.text, format!("master = 127.0.0.1:{port}"));
    fs::write(dir.path().join("slave.ini"), ini.as_ref()).expect("written");
    let mut slave = Command::new(AUTOBOT)
        .args(["start", "--nodaemon"])
        .arg(dir.path())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let said = BufReader::new(slave.stderr.take().expect("a pipe"));
    let mut all = String::new();
    let started = said.lines().map_while(Result::ok).any(|line| {
        all.push_str(&format!("{line}\n"));
        line.contains("slave started")
    });
    drop(slave.kill());
    drop(slave.wait());
    assert!(started, "{}:\n{all}", block.at);
}

/// The unit starts the program with a command line that it understands.
fn is_a_unit(block: &Block) {
    let start = pattern(r"(?m)^ExecStart=/\S+/autobot (.*)$");
    let line = start.captures(&block.text).expect(&block.at)[1].to_owned();
    let output = Command::new(AUTOBOT)
        .args(line.split_whitespace())
        .arg("--help")
        .output()
        .expect("run");
    assert!(output.status.success(), "{}: {}", block.at, text(&output));
    let sections = pattern(r"(?m)^\[(.*)\]$");
    for it in sections.captures_iter(&block.text) {
        let is_known = ["Unit", "Service", "Install"].contains(&&it[1]);
        assert!(is_known, "{}: [{}]", block.at, &it[1]);
    }
}

#[test]
fn configurations_and_recipes_are_good_and_mistakes_are_told_as_shown() {
    for document in documents() {
        let master = Master::new();
        let mut before = String::new();
        for block in blocks(&document) {
            match block.language.as_str() {
                "ini" if block.text.contains("[Service]\n") => is_a_unit(&block),
                "ini" if block.text.contains("[:slave:]\n") => starts_a_slave(&block),
                "ini" if block.text.starts_with("# conf.d/") => {
                    let name = pattern(r"^# conf\.d/(\w+\.ini)\n").captures(&block.text);
                    let name = name.unwrap_or_else(|| panic!("{}: a file has a name", block.at));
                    master.add_included(&name[1], &block.text);
                }
                "ini" => {
                    before = completed(&block.text);
                    master.accepts(&block.at, &before);
                }
                "toml" if block.text.starts_with("# secrets.toml\n") => {
                    master.add_secrets(&block.text);
                }
                "toml" if block.text.starts_with("# master.toml\n") => is_good_toml(&block),
                "toml" => {
                    let name = pattern(r"^# factories/(\w+)\.toml\n").captures(&block.text);
                    let name = name.unwrap_or_else(|| panic!("{}: a recipe has a name", block.at));
                    master.add_recipe(&name[1], &block.text);
                    let ini = format!("[{}]\n{}", &name[1], triggered(&block.text));
                    master.accepts(&block.at, &completed(&ini));
                }
                "text" => {
                    let output = master.checkconfig(&with_shown_lines(&before, &block.text));
                    let said = text(&output);
                    assert_eq!(output.status.code(), Some(1), "{}: {said}", block.at);
                    assert!(said.contains(&block.text), "{}:\n{said}", block.at);
                }
                _ => {}
            }
        }
    }
}

#[test]
fn every_json_block_parses() {
    for block in documents().iter().flat_map(|it| blocks(it)) {
        if block.language == "json" {
            let read = serde_json::from_str::<serde_json::Value>(&block.text);
            assert!(read.is_ok(), "{}: {read:?}", block.at);
        }
    }
}

fn manual() -> String {
    read(&root().join("docs/manual.md"))
}

fn help(words: &[&str]) -> String {
    let output = Command::new(AUTOBOT)
        .arg("help")
        .args(words)
        .output()
        .expect("run");
    assert!(output.status.success(), "{words:?}: {}", text(&output));
    text(&output)
}

#[test]
fn the_manual_names_every_verb_and_every_option() {
    let manual = manual();
    let overview = help(&[]);
    let verbs = pattern(r"(?m)^  ([a-z][a-z-]*) ");
    let verbs: Vec<_> = verbs.captures_iter(&overview).collect();
    assert!(verbs.len() > 10, "{overview}");
    let option = pattern(r"(?m)^ +(?:-\w, )?(--[\w-]+)");
    let alias = pattern(r"\[alias: ([\w-]+)\]");
    for it in alias.captures_iter(&overview) {
        assert!(manual.contains(&format!("(`{}`)", &it[1])), "{}", &it[1]);
    }
    for it in &verbs {
        let verb = &it[1];
        let row = pattern(&format!("`autobot {verb}[` ]"));
        assert!(row.is_match(&manual), "the verb `{verb}`");
        if verb == "help" {
            continue;
        }
        for it in option.captures_iter(&help(&[verb])) {
            let is_named = manual.contains(&format!("`{}`", &it[1]))
                || ["--help", "--version"].contains(&&it[1]);
            assert!(is_named, "`{}` of `{verb}`", &it[1]);
        }
    }
}

#[test]
fn the_manual_describes_every_factory_and_step_type() {
    let manual = manual();
    let output = Command::new(AUTOBOT)
        .args(["create-autobot", "--list-factories"])
        .output()
        .expect("run");
    let listed = text(&output);
    let factory = pattern(r"(?m)^(\w+):$");
    let mut types = 0;
    for it in factory.captures_iter(&listed) {
        let (name, recipe) = (&it[1], root().join(format!("factories/{}.toml", &it[1])));
        if recipe.exists() {
            assert!(manual.contains(&format!("`{name}`")), "the recipe `{name}`");
        } else {
            types += 1;
            let section = format!("\n### {name}\n");
            assert!(manual.contains(&section), "the factory type `{name}`");
        }
    }
    assert!(types >= 5, "{listed}");

    let kind = pattern(
        r#"StepKind = StepKind \{\s+name: "(\w+)",\s+aliases: &\[([^\]]*)\],\s+step_name: "(\w+)""#,
    );
    let mut steps = 0;
    for source in sources("src/steps") {
        for it in kind.captures_iter(&source) {
            steps += 1;
            let also = match &it[2] {
                "" => String::new(),
                aliases => format!("{} ", aliases.replace('"', "`")),
            };
            let row = format!("\n| `{}` | {also}| `{}` | ", &it[1], &it[3]);
            assert!(manual.contains(&row), "{row}");
        }
    }
    assert!(steps >= 9, "{steps} step types");

    let kind = pattern(r#"ReporterKind = ReporterKind \{\s+name: "(\w+)""#);
    let mut reporters = 0;
    for source in sources("src/reporters") {
        for it in kind.captures_iter(&source) {
            reporters += 1;
            let row = format!("\n| `{}` | `", &it[1]);
            let section = format!("\n### {}\n", &it[1]);
            assert!(manual.contains(&row), "{row}");
            assert!(manual.contains(&section), "{section}");
        }
    }
    assert!(reporters >= 4, "{reporters} kinds of status targets");
}

#[test]
fn the_manual_describes_every_type_of_scheduler() {
    let manual = manual();
    let output = Command::new(AUTOBOT).arg("schedulers").output();
    let listed = text(&output.expect("run"));
    let kind = pattern(r"(?m)^(\w+) ");
    let mut kinds = 0;
    for it in kind.captures_iter(&listed) {
        kinds += 1;
        let section = format!("\n### {}\n", &it[1]);
        assert!(manual.contains(&section), "the scheduler type `{}`", &it[1]);
    }
    assert!(kinds >= 7, "{listed}");
}

/// The text of every file in a directory, without what only tests need.
fn sources(dir: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(dir)).expect("a directory");
    let files = entries.map(|it| it.expect("an entry").path());
    files
        .filter(|it| it.is_file())
        .map(|it| {
            let text = read(&it);
            let end = text.find("#[cfg(test)]\nmod").unwrap_or(text.len());
            text[..end].to_owned()
        })
        .collect()
}

#[test]
fn the_manual_or_the_reference_names_every_key_that_is_read() {
    let pages = fs::read_dir(root().join("docs/reference")).expect("the reference");
    let pages = pages.map(|it| read(&it.expect("a page").path()));
    let manual = pages.fold(manual(), |all, page| all + &page);
    let asked = pattern(
        r#"(?x) (?: \.(?: or | optional | required | map )(?:_as)? (?: ::<[^("]*> )?
                 | \b(?: limit | env | words | read_env | port | positive ) )
             \( \s* (?: (?:&mut\s)? keys,\s* )? &?\[? ((?: "\w+" (?:,\s)? )+)"#,
    );
    let word = pattern(r#""(\w+)""#);
    let dirs = [
        "src/config",
        "src/secrets",
        "src/steps",
        "src/factories",
        "src/reporters",
        "src/schedulers",
        "src/changes",
    ];
    let mut all: Vec<_> = dirs.into_iter().flat_map(sources).collect();
    all.push(read(&root().join("src/cli/slave_ini.rs")));
    let mut keys = 0;
    for names in all.iter().flat_map(|it| asked.captures_iter(it)) {
        for name in word.captures_iter(&names[1]) {
            keys += 1;
            let is_named = pattern(&format!(r"`\[*{}[`.\] =]", &name[1])).is_match(&manual);
            assert!(is_named, "the key `{}`", &name[1]);
        }
    }
    assert!(keys > 80, "{keys} keys were found in the sources");
}

/// A heading as the end of an address.
fn anchor(heading: &str) -> String {
    let kept = |it: &char| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_');
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(kept)
        .collect::<String>()
        .replace(' ', "-")
}

#[test]
fn every_link_leads_somewhere() {
    let link = pattern(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)");
    for document in documents() {
        let source = read(&document);
        for it in link.captures_iter(&source) {
            if it[1].contains("://") {
                continue;
            }
            let target = match &it[1] {
                "" => document.clone(),
                path => document.parent().expect("a directory").join(path),
            };
            assert!(target.exists(), "{}: {}", document.display(), &it[0]);
            if let Some(wanted) = it.get(2) {
                let text = read(&target);
                let mut headings = text.lines().filter(|it| it.starts_with('#')).map(anchor);
                let is_there = headings.any(|it| it == wanted.as_str());
                assert!(is_there, "{}: {}", document.display(), &it[0]);
            }
        }
    }
}
