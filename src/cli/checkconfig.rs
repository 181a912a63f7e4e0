//! `autobot checkconfig` and `parse-autobot-config`: a configuration is looked
//! at and nothing is started.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anstream::eprint;
use anstream::eprintln;
use anstream::print;
use anstream::println;
use clap::Args;
use ini::EscapePolicy;
use ini::Ini;
use ini::LineSeparator;
use ini::WriteOption;

use super::args::Format;
use super::daemon;
use super::exit::Done;
use super::exit::Failure;
use super::place::Base;
use super::place::default_dir;
use crate::config;
use crate::config::Shown;
use crate::syntax;
use crate::syntax::Entry;
use crate::syntax::Problems;
use crate::syntax::Source;
use crate::syntax::Tree;
use crate::syntax::toml;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// A master's directory or its master.ini [default: $AUTOBOT_DIR or the current directory]
    dir: Option<PathBuf>,
    /// Say nothing about a good configuration
    #[arg(short, long)]
    quiet: bool,
    /// Look at the files only: not for ports, programs, secrets and directories of this machine
    #[arg(long)]
    offline: bool,
    /// Print the whole effective model, each item with where it comes from
    #[arg(long, conflicts_with = "quiet")]
    show: bool,
    /// How problems, or the model, are told: for people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct ParseArgs {
    /// The file
    #[arg(value_name = "INI")]
    pub(super) file: PathBuf,
}

/// Loads the configuration of a master and tells every problem of it, and of the machine.
pub(super) fn check(args: &CheckArgs) -> Done {
    let dir = directory(args.dir.as_deref())?;
    let (problems, plan) = match config::load_offline(&dir) {
        Ok(plan) => {
            let mut problems = plan.warnings.clone();
            if !args.offline {
                // Who cannot be asked does not run.
                let is_running = matches!(daemon::running(&dir), Ok(Some(_)));
                problems.append(config::check_environment(&plan, is_running));
            }
            (problems, Some(plan))
        }
        Err(problems) => (problems, None),
    };
    let left_out = plan.as_ref().map_or(Vec::new(), |it| it.left_out.clone());
    let done = match problems.has_errors() {
        true => Err(Failure::told()),
        false => Ok(()),
    };
    if args.show
        && let Some(plan) = plan
    {
        eprint!("{}", problems.render(true));
        let shown = Shown::of(&plan);
        match args.format {
            Format::Json => println!("{:#}", shown.to_json()),
            Format::Text => print!("{}", shown.text()),
        }
        return done;
    }
    match args.format {
        Format::Json => println!("{}", problems.to_json()),
        Format::Text if args.quiet && done.is_ok() => {}
        Format::Text => {
            eprint!("{}", problems.render(true));
            if !problems.is_empty() {
                eprintln!("\n`autobot help CODE` explains a code");
            }
        }
    }
    if done.is_ok() && !args.quiet && args.format == Format::Text {
        if !left_out.is_empty() {
            println!("Left out of the matrix:");
        }
        for it in left_out {
            println!("  {it}");
        }
        println!("Config file is good!");
    }
    done
}

/// The master's directory: of a pair, or of a file in it.
fn directory(given: Option<&Path>) -> Result<PathBuf, Failure> {
    let path = given.map_or_else(default_dir, Path::to_owned);
    if !path.is_file() {
        return Ok(Base::master_of(&path)?.dir);
    }
    let is_known = path
        .file_name()
        .is_some_and(|name| config::NAMES.iter().any(|it| name == *it));
    if !is_known {
        let what = format!("`{}` is no master.ini", path.display());
        return Err(Failure::usage(what)
            .hint("`autobot parse-autobot-config FILE` reads a file of any name"));
    }
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    Ok(parent.unwrap_or(Path::new(".")).to_owned())
}

/// Prints the sections and keys of a file as they were understood.
pub(super) fn parse(path: &Path) -> Done {
    let text = fs::read_to_string(path).map_err(|error| {
        Failure::because(format!("failed to read `{}`", path.display()), &error)
    })?;
    let dir = path.parent().unwrap_or(Path::new(""));
    let source = Source::new(path.display().to_string(), dir, text);
    let mut problems = Problems::default();
    let tree = if path.extension().is_some_and(|it| it == "toml") {
        toml::tree(&source, &mut problems)
    } else {
        syntax::ini::read(&source, &mut problems)
    };
    if problems.has_errors() {
        eprint!("{}", problems.render(true));
        return Err(Failure::told());
    }
    eprint!("{}", problems.render(true));
    print!("{}", shown(&tree));
    Ok(())
}

/// Sections in file order. A password is not for the screen.
fn shown(tree: &Tree) -> String {
    let mut file = Ini::new();
    for section in &tree.sections {
        let mut keys = file.with_section(Some(section.name.as_str()));
        for entry in &section.entries {
            keys.add(entry.key.as_str(), value(entry));
        }
    }
    let options = WriteOption {
        escape_policy: EscapePolicy::Nothing,
        line_separator: LineSeparator::CR,
        kv_separator: " = ",
    };
    let mut text = Vec::new();
    file.write_to_opt(&mut text, options)
        .expect("a Vec takes every byte");
    String::from_utf8_lossy(&text).replace(" = \n", " =\n")
}

fn value(entry: &Entry) -> String {
    if entry.key.to_lowercase().contains("passw") {
        "…".to_owned()
    } else {
        one_line(entry.value.place.text())
    }
}

/// A value over several lines as one, with a single blank where it was broken.
fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaffold::Content;
    use crate::scaffold::FactoryChoice;
    use crate::scaffold::MasterVariables;

    #[test]
    fn a_file_is_shown_as_it_was_understood() {
        let text = "# a farm\n[:master:]\nslaveport: 9010\n[slave:a]\npassword = x\n\
                    factories = b\n    c\n";
        let source = Source::new("master.ini", "", text);
        let mut problems = Problems::default();
        let tree = syntax::ini::read(&source, &mut problems);
        assert!(problems.is_empty());
        assert_eq!(
            shown(&tree),
            "[:master:]\nslaveport = 9010\n\n[slave:a]\npassword = …\nfactories = b c\n"
        );
    }

    /// Loads a text as the master.ini of a directory.
    fn problems_of(text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("master.ini"), text).unwrap();
        match config::load(dir.path()) {
            Ok(_) => String::new(),
            Err(problems) => problems.render(false),
        }
    }

    #[test]
    fn what_the_scaffold_writes_is_good() {
        let factory = |name: &str, line: &str| FactoryChoice {
            name: name.to_owned(),
            lines: vec![line.to_owned()],
        };
        let variables = MasterVariables {
            factories: vec![
                factory("gnu_autoconf", "git = https://example.org/a.git#main"),
                factory("source", "git = [\"/tmp/my demo/words#main\"]"),
            ],
            is_local: true,
            ..MasterVariables::default()
        };
        for variables in [variables, MasterVariables::default()] {
            let plan = variables.plan();
            let ini = plan.items.iter().find_map(|item| match &item.content {
                Content::Private(text) => Some(text),
                _ => None,
            });
            assert_eq!(problems_of(ini.unwrap()), "");
        }
    }

    #[test]
    fn a_master_is_found_by_its_directory_its_pair_or_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let master = root.join("master");
        fs::create_dir(&master).unwrap();
        let ini = master.join("master.ini");
        fs::write(&ini, "").unwrap();
        for given in [root, &master, &ini] {
            assert_eq!(directory(Some(given)), Ok(master.clone()));
        }
        let other = root.join("other.ini");
        fs::write(&other, "").unwrap();
        assert!(directory(Some(&other)).is_err());
    }
}
