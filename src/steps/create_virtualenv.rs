//! `create_virtualenv`: a Python environment in a directory.

use std::sync::Arc;

use crate::model::Text;
use crate::syntax::Keys;

use super::Flags;
use super::Line;
use super::Settings;
use super::StepKind;
use super::one_command::ByExit;
use super::one_command::OneCommand;

pub(super) const KIND: StepKind = StepKind {
    name: "create_virtualenv",
    aliases: &[],
    step_name: "shell",
    summary: "Makes a Python environment in a directory.",
    example: r#"directory = "env""#,
    flags: Flags {
        flunk_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| {
        let directory = directory(keys);
        let python = keys.or("python", Text::literal("python3"));
        let settings = Settings::read(keys);
        Some(Arc::new(step(&directory?, &python?, settings?)))
    },
};

/// What the programs would read as an option is no directory.
fn directory(keys: &mut Keys<'_>) -> Option<Text> {
    let directory = keys.required::<Text>("directory")?;
    if directory.head().starts_with('-') || directory == Text::literal("") {
        keys.wrong("directory", "expected a directory such as `env`");
        return None;
    }
    Some(directory)
}

/// Not every slave has `virtualenv`; a Python without it has `venv`.
const SCRIPT: &str = "if command -v virtualenv >/dev/null 2>&1; then exec virtualenv \"$1\"; \
                      else exec \"$0\" -m venv \"$1\"; fi";

/// Makes the environment with `virtualenv`, or with what `python` has.
pub(super) fn step(directory: &Text, python: &Text, settings: Settings) -> OneCommand<ByExit> {
    let [sh, c, script] = ["sh", "-c", SCRIPT].map(Text::literal);
    let line = Line::Argv(vec![sh, c, script, python.clone(), directory.clone()]);
    let text = Text::parse(&format!("virtualenv {directory}")).ok();
    OneCommand {
        line,
        settings: Settings {
            description: settings.description.clone().or(text.map(|it| vec![it])),
            ..settings
        },
        words: None,
        judge: ByExit,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::bench::Bench;
    use super::super::bench::run_program;
    use super::super::read::tests::problems_of;
    use super::super::read::tests::read_kind;
    use super::*;

    #[test]
    fn the_directory_may_be_a_propertys() {
        let step = read_kind(&KIND, "directory = \"env-%(branch)s\"\n");
        let mut bench = Bench::new(step.as_ref(), &KIND);
        bench.properties.set("branch", "a b", "test");
        assert_eq!(bench.running_text(), ["virtualenv env-a b"]);
        let shell = format!("{:?}", bench.begin_shell().line);
        assert!(shell.ends_with("\"python3\", \"env-a b\"])"), "{shell}");
        let wrong = "factories/x.toml:2:13: bad value for `directory` in [[steps]]";
        assert_eq!(problems_of(&KIND, "directory = \"-x\"\n"), wrong);
    }

    #[test]
    fn virtualenv_is_asked_first() {
        let base = tempfile::tempdir().expect("a directory");
        let bin = base.path().join("bin");
        fs::create_dir(&bin).expect("a directory");
        for name in ["virtualenv", "snake"] {
            let script = format!("#!/bin/sh\necho {name} \"$@\" >> {}/ran\n", bin.display());
            fs::write(bin.join(name), script).expect("a file");
            run_program(&bin, "chmod", &["+x", name]);
        }
        for expected in ["virtualenv env\n", "snake -m venv env\n"] {
            let step = read_kind(&KIND, "directory = \"env\"\npython = \"snake\"\n");
            let mut bench = Bench::new(step.as_ref(), &KIND);
            // Nothing else of the machine's: `sh` is built in enough.
            let path = Text::literal(format!("{}:/bin", bin.display()));
            bench.env.insert("PATH".into(), Some(path));
            let told = bench.run_for_real(base.path());
            let end = "success: virtualenv env";
            assert_eq!(told.last().map(String::as_str), Some(end));
            let ran = fs::read_to_string(bin.join("ran")).expect("a file");
            assert_eq!(ran, expected);
            fs::remove_file(bin.join("ran")).expect("removed");
            fs::remove_file(bin.join("virtualenv")).ok();
            if std::path::Path::new("/bin/virtualenv").exists() {
                break;
            }
        }
    }
}
