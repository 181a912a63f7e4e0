//! `warning_counting_shell_command`: any command, whose warnings are counted.

use std::sync::Arc;

use super::Flags;
use super::Settings;
use super::StepKind;
use super::one_command::OneCommand;
use super::warnings::Warnings;

pub(super) const KIND: StepKind = StepKind {
    name: "warning_counting_shell_command",
    aliases: &["warning_counting"],
    step_name: "shell",
    summary: "Runs one command, and counts its warnings.",
    example: r#"command = ["scons"]
warning_pattern = '^(.*?):(\d+): warning: (.*)$'
warning_extractor = "groups"
suppression_file = "support/suppressions.txt""#,
    flags: Flags {
        flunk_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| {
        let line = keys.required("command");
        let settings = Settings::read(keys);
        let warnings = Warnings::read(keys);
        Some(Arc::new(OneCommand {
            line: line?,
            settings: settings?,
            words: None,
            judge: warnings?,
        }))
    },
};

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::bench::err;
    use super::super::bench::out;
    use super::super::read::tests::read_kind;
    use super::*;

    #[test]
    fn any_command_may_count_warnings() {
        let step = read_kind(&KIND, "command = \"scons\"\n");
        let mut bench = Bench::new(step.as_ref(), &KIND);
        assert_eq!(bench.running_text(), ["'scons'"]);
        assert_eq!(bench.begin(), "sh hello/build: scons");
        let end = bench.ends(0, &[err("a.c: warning: x")]);
        assert_eq!(end, "warnings: 'scons' warnings");
        assert_eq!(bench.properties.get("warnings-count"), Some(&1.into()));
    }

    #[test]
    fn a_file_of_the_repository_says_what_does_not_count() {
        let lines = "command = \"scons\"\nworkdir = \"lib\"\nsuppression_file = \"%(branch)s.txt\"\n\
                     warning_pattern = '(\\S+):(\\d+): warning: (.*)'\nwarning_extractor = 'groups'\n\
                     suppressions = [[\"\", \"^old\"]]\n";
        let step = read_kind(&KIND, lines);
        let check = |code, file: &[&str], log: &str| {
            let mut bench = Bench::new(step.as_ref(), &KIND);
            bench.properties.set("branch", "main", "test");
            assert_eq!(bench.begin(), "hello/lib: cat -- main.txt");
            let file: Vec<_> = file.iter().map(|it| out(it)).collect();
            assert_eq!(bench.ends(code, &file), "sh hello/lib: scons");
            let lines = [
                out("a.c:7: warning: old x"),
                out("a.c:7: warning: new x"),
                out("b.c:9: warning: new y"),
            ];
            assert_eq!(bench.ends(0, &lines), "warnings: 'scons' warnings");
            assert_eq!(bench.verdict().logs[0].1, log);
            bench.verdict().logs.get(1).cloned()
        };
        let both = "a.c:7: warning: new x\nb.c:9: warning: new y\n";
        let notes = check(0, &["# ours", "a.c : new : 1-7"], "b.c:9: warning: new y\n");
        assert_eq!(notes, None);
        // A file that is missing says nothing.
        assert_eq!(check(1, &[], both), None);
        let notes = check(0, &["a.c"], both).expect("a log");
        assert_eq!(notes.0, "suppressions");
        let note = "line 1 is left out: `a.c` has no `:` between file and text\n";
        assert_eq!(notes.1, note);
    }
}
