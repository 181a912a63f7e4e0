//! `tree_size`: how much room the tree takes.

use std::sync::Arc;

use crate::model::Outcome;
use crate::model::Text;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Settings;
use super::StepKind;
use super::Verdict;
use super::argv;
use super::one_command::Judge;
use super::one_command::OneCommand;
use super::one_command::Words;
use super::tally;
use super::texts::verdict;

pub(super) const KIND: StepKind = StepKind {
    name: "tree_size",
    aliases: &[],
    step_name: "treesize",
    summary: "Measures how much room the tree takes, and keeps it as the property `tree-size-KiB`.",
    example: r#"command = ["du", "-s", "-k", "src"]"#,
    flags: Flags {
        flunk_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| {
        let line = keys.or("command", argv(&["du", "-s", "-k", "."]));
        let mut settings = Settings::read(keys)?;
        let running = || vec![Text::literal("measuring tree size")];
        settings.description.get_or_insert_with(running);
        Some(Arc::new(OneCommand {
            line: line?,
            settings,
            words: Some(Words {
                running: "measuring tree size",
                done: "treesize",
            }),
            judge: TreeSize,
        }))
    },
};

const PROPERTY: &str = "tree-size-KiB";

#[derive(Clone, Debug)]
struct TreeSize;

impl Judge for TreeSize {
    fn judge(&self, cx: &mut Cx<'_>, ended: &Ended<'_>, mut done: Vec<String>) -> Verdict {
        let mut first = None;
        tally::said(ended, &mut |line| {
            first.get_or_insert_with(|| leading_number(line));
        });
        let size = first.flatten();
        match size {
            Some(size) => {
                cx.properties.set_runtime(PROPERTY, size, "treesize");
                done.push(format!("{size} KiB"));
            }
            None => done.push("unknown".into()),
        }
        let outcome = match size {
            _ if !ended.exit.is_success() => Outcome::Failure,
            None => Outcome::Warnings,
            Some(_) => Outcome::Success,
        };
        let mut verdict = verdict(cx, outcome, Vec::new());
        verdict.text = done;
        verdict
    }

    fn sets(&self) -> Vec<String> {
        vec![PROPERTY.into()]
    }
}

fn leading_number(line: &str) -> Option<i64> {
    let end = line.find(|it: char| !it.is_ascii_digit());
    line[..end.unwrap_or(line.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::bench::err;
    use super::super::bench::out;
    use super::super::read::tests::read_kind;
    use super::*;

    #[test]
    fn the_number_at_the_very_start_is_the_size() {
        let check = |code, lines: &[_], expected: &str, size: Option<i64>| {
            let step = read_kind(&KIND, "");
            let mut bench = Bench::new(step.as_ref(), &KIND);
            assert_eq!(bench.running_text(), ["measuring tree size"]);
            assert_eq!(bench.begin(), "hello/build: du -s -k .");
            assert_eq!(bench.ends(code, lines), expected);
            let property = bench.properties.get(PROPERTY);
            assert_eq!(property, size.map(Into::into).as_ref());
        };
        let good = [out("2048\t."), out("7\t.")];
        check(0, &good, "success: treesize 2048 KiB", Some(2048));
        let partly = "failure: treesize 2048 KiB; build: treesize";
        check(1, &good, partly, Some(2048));
        let unknown = "warnings: treesize unknown";
        check(0, &[], unknown, None);
        check(
            0,
            &[err("du: x: Permission denied"), good[0]],
            unknown,
            None,
        );
        check(0, &[out("99999999999999999999\t.")], unknown, None);
        let failed = "failure: treesize unknown; build: treesize";
        check(127, &[err("du: not found")], failed, None);
    }
}
