//! `remove_pycs`: removes what Python compiled, so that no test imports a module whose source is gone.

use std::sync::Arc;

use super::Flags;
use super::Settings;
use super::StepKind;
use super::argv;
use super::one_command::ByExit;
use super::one_command::OneCommand;
use super::one_command::Words;

pub(super) const KIND: StepKind = StepKind {
    name: "remove_pycs",
    aliases: &[],
    step_name: "remove-.pyc",
    summary: "Removes the compiled files (`*.pyc`) of Python from the tree.",
    example: r#"workdir = "build/src""#,
    flags: Flags {
        flunk_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| {
        let find = ["find", ".", "-name", "*.pyc", "-exec", "rm", "{}", ";"];
        let line = keys.or("command", argv(&find));
        let settings = Settings::read(keys);
        Some(Arc::new(OneCommand {
            line: line?,
            settings: settings?,
            words: Some(Words {
                running: "removing .pyc files",
                done: "remove .pycs",
            }),
            judge: ByExit,
        }))
    },
};

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::bench::Bench;
    use super::super::read::tests::read_kind;
    use super::*;

    #[test]
    fn compiled_files_go_and_everything_else_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let tree = dir.path().join("hello/build/a dir/__pycache__");
        fs::create_dir_all(&tree).expect("a tree");
        for name in ["a.pyc", "b c.pyc", "a.py", "a.pyc.txt"] {
            fs::write(tree.join(name), name).expect(name);
        }
        let step = read_kind(&KIND, "");
        let mut bench = Bench::new(step.as_ref(), &KIND);
        assert_eq!(bench.running_text(), ["removing", ".pyc", "files"]);
        let told = bench.run_for_real(dir.path());
        let find = "hello/build: find . -name *.pyc -exec rm {} ;";
        assert_eq!(told, [find, "success: remove .pycs"]);
        let left = fs::read_dir(&tree).expect("the tree");
        let mut left: Vec<_> = left.map(|it| it.expect("an entry").file_name()).collect();
        left.sort();
        assert_eq!(left, ["a.py", "a.pyc.txt"]);
    }
}
