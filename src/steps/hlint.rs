//! `hlint`: has Lore look at the documents that the build's changes touched.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::Command;
use crate::model::Outcome;
use crate::model::Text;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Line;
use super::Move;
use super::Run;
use super::Settings;
use super::Step;
use super::StepError;
use super::StepKind;
use super::tally;
use super::texts::verdict;

pub(super) const KIND: StepKind = StepKind {
    name: "hlint",
    aliases: &[],
    step_name: "hlint",
    summary: "Has Lore check the `.xhtml` files that were changed, and counts its complaints.",
    example: r#"python = "python2.7""#,
    flags: Flags {
        flunk_on_failure: true,
        warn_on_warnings: true,
        warn_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| {
        let python = keys.optional("python");
        let settings = Settings::read(keys);
        Some(Arc::new(HLint {
            python: python?,
            settings: settings?,
        }))
    },
};

#[derive(Clone, Debug)]
struct HLint {
    /// Runs Lore, where it does not run by itself.
    python: Option<Text>,
    settings: Settings,
}

/// What was changed and is a document, each once. A name cannot be taken for an option.
fn files(cx: &Cx<'_>) -> BTreeSet<String> {
    let changed = cx.changes.iter().flat_map(|it| &it.files);
    let documents = changed.filter(|it| it.ends_with(".xhtml") && !it.starts_with("sandbox/"));
    let plain = documents.map(|it| match it.starts_with('-') {
        true => format!("./{it}"),
        false => it.clone(),
    });
    plain.collect()
}

impl HLint {
    fn line(&self, files: &BTreeSet<String>) -> Line {
        let lore = ["bin/lore", "-p", "--output", "lint"].into_iter();
        let words = lore.chain(files.iter().map(String::as_str));
        let python = self.python.iter().cloned();
        Line::Argv(python.chain(words.map(Text::literal)).collect())
    }
}

impl Step for HLint {
    fn begin(&self) -> Box<dyn Run> {
        Box::new(self.clone())
    }
}

impl Run for HLint {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        let line = self.line(&files(cx));
        self.settings.running_text(&line, cx, Some("running hlint"))
    }

    fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        let line = self.line(&files(cx));
        self.settings.done_text(&line, cx, Some("hlint"))
    }

    fn advance(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError> {
        let files = files(cx);
        let done = self.done_text(cx);
        if files.is_empty() {
            return Ok(Move::Done(verdict(cx, Outcome::Skipped, done)));
        }
        let Some(ended) = last else {
            let command = self.settings.command(&self.line(&files), cx)?;
            return Ok(Move::Run(Command::Shell(command)));
        };
        let (mut count, mut warnings) = (0_u64, String::new());
        tally::said(ended, &mut |line| {
            if line.contains(':') {
                count += 1;
                tally::push_line(&mut warnings, line);
            }
        });
        let outcomes = &self.settings.outcomes;
        let outcome = if !outcomes.seen(ended.exit).is_success() {
            Outcome::Failure
        } else if count > 0 {
            Outcome::Warnings
        } else {
            Outcome::Success
        };
        let mut verdict = verdict(cx, outcome, done);
        if outcome == Outcome::Warnings {
            verdict.build_text = vec![match count {
                1 => "1 hlint".into(),
                _ => format!("{count} hlints"),
            }];
        }
        let mut list = String::new();
        for file in &files {
            tally::push_line(&mut list, file);
        }
        verdict.logs.push(("files".into(), list));
        if count > 0 {
            verdict.logs.push(("warnings".into(), warnings));
        }
        Ok(Move::Done(outcomes.applied(cx, ended, verdict)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::super::bench::change;
    use super::super::bench::out;
    use super::super::read::tests::read_kind;
    use super::*;

    fn bench(settings: &str, files: &[&[&str]]) -> Bench {
        let step = read_kind(&KIND, settings);
        let mut bench = Bench::new(step.as_ref(), &KIND);
        bench.changes = files.iter().map(|it| change(it)).collect();
        bench
    }

    #[test]
    fn documents_that_were_changed_are_looked_at_once() {
        let files: [&[&str]; 2] = [
            &["b.xhtml", "a.py", "sandbox/x.xhtml", "%(x)s.xhtml"],
            &["doc/a b.xhtml", "b.xhtml", "-o.xhtml"],
        ];
        let mut it = bench("", &files);
        assert_eq!(it.running_text(), ["running", "hlint"]);
        let list = "%(x)s.xhtml ./-o.xhtml b.xhtml doc/a b.xhtml";
        let told = format!("hello/build: bin/lore -p --output lint {list}");
        assert_eq!(it.begin(), told);
        assert_eq!(it.ends(0, &[out("all is well")]), "success: hlint");
        let log = "%(x)s.xhtml\n./-o.xhtml\nb.xhtml\ndoc/a b.xhtml\n".to_owned();
        assert_eq!(it.verdict().logs, [("files".to_owned(), log)]);

        let told = "hello/build: python2.7 bin/lore -p --output lint b.xhtml";
        assert_eq!(
            bench("python = \"python2.7\"", &[&["b.xhtml"]]).begin(),
            told
        );
    }

    #[test]
    fn without_documents_there_is_nothing_to_do() {
        let end = "skipped: hlint skipped";
        assert_eq!(bench("", &[]).begin(), end);
        assert_eq!(bench("", &[&["sandbox/x.xhtml", "a.html"]]).begin(), end);
    }

    #[test]
    fn complaints_are_warnings_and_the_build_is_told_how_many() {
        let check = |code, lines: &[&str], expected: &str| {
            let mut bench = bench("", &[&["b.xhtml"]]);
            bench.begin();
            let lines: Vec<_> = lines.iter().map(|it| out(it)).collect();
            assert_eq!(bench.ends(code, &lines), expected);
            bench.verdict().logs.get(1).cloned()
        };
        let lines = ["b.xhtml:1:2: no title", "b.xhtml:9:1: a tab", "done"];
        let one = check(0, &lines[..1], "warnings: hlint warnings; build: 1 hlint");
        assert_eq!(one, Some(("warnings".into(), format!("{}\n", lines[0]))));
        let two = check(0, &lines, "warnings: hlint warnings; build: 2 hlints");
        let log = format!("{}\n{}\n", lines[0], lines[1]);
        assert_eq!(two, Some(("warnings".into(), log)));
        check(1, &lines, "failure: hlint failed; build: hlint");
        assert_eq!(check(1, &[], "failure: hlint failed; build: hlint"), None);
    }
}
