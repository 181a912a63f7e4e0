//! `trigger`: asks triggerable schedulers for builds, and may wait for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::Outcome;
use crate::model::Patch;
use crate::model::Properties;
use crate::model::RenderError;
use crate::model::SchedulerName;
use crate::model::SourceStamp;
use crate::model::Text;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Place;
use crate::syntax::Problem;

use super::Cx;
use super::Ended;
use super::Flags;
use super::Move;
use super::Role;
use super::Run;
use super::SchedulerWord;
use super::Step;
use super::StepError;
use super::StepKind;
use super::texts::verdict;

pub(super) const KIND: StepKind = StepKind {
    name: "trigger",
    aliases: &[],
    step_name: "trigger",
    summary: "Asks triggerable schedulers for builds, and may wait for them.",
    example: r#"scheduler_names = ["packages"]
wait_for_finish = true"#,
    flags: Flags {
        flunk_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| Some(Arc::new(Trigger::read(keys)?)),
};

/// What is asked of the master.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TriggerOrder {
    pub(crate) schedulers: Vec<SchedulerName>,
    /// Whether the step ends only when all that it triggered has ended.
    pub(crate) wait: bool,
    pub(crate) stamp: SourceStamp,
    /// Over the schedulers' own.
    pub(crate) properties: Properties,
}

/// How it ended, in a form that is kept and shown like a command's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TriggerEnd {
    /// All is triggered and, if it was waited for, went well.
    Done,
    /// Something that was triggered did not go well.
    Failed,
    /// It cannot be waited for any longer.
    Broken,
    /// Nothing was triggered, because these are no triggerable schedulers.
    NoScheduler(Vec<String>),
}

const FAILED: i32 = 1;
const BROKEN: i32 = 2;
/// Between the names of schedulers that are none; no name has it.
const BETWEEN: &str = "\n";

impl TriggerEnd {
    pub(crate) fn exit(&self, elapsed: Duration) -> Exit {
        let (code, cause) = match self {
            Self::Done => (0, ExitCause::Exited),
            Self::Failed => (FAILED, ExitCause::Exited),
            Self::Broken => (BROKEN, ExitCause::Exited),
            Self::NoScheduler(names) => (-1, ExitCause::NotStarted(names.join(BETWEEN))),
        };
        Exit::new(
            code,
            cause,
            u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        )
    }

    fn of(exit: &Exit) -> Self {
        match (&exit.cause, exit.code) {
            (ExitCause::NotStarted(names), _) => {
                Self::NoScheduler(names.split(BETWEEN).map(str::to_owned).collect())
            }
            (ExitCause::Exited, 0) => Self::Done,
            (ExitCause::Exited, FAILED) => Self::Failed,
            _ => Self::Broken,
        }
    }
}

#[derive(Clone, Debug)]
struct Trigger {
    schedulers: Vec<Text>,
    /// Those of them that name no property.
    known: Vec<SchedulerWord>,
    wait: bool,
    stamp: Stamp,
    set: BTreeMap<String, Text>,
    copy: Vec<String>,
}

/// Which source the triggered builds have.
#[derive(Clone, Debug)]
enum Stamp {
    /// That of this build.
    Own {
        /// At the revision that it really had.
        as_built: bool,
    },
    Latest,
    Said(BTreeMap<String, Text>),
}

/// What `source_stamp` may say.
const STAMP_KEYS: [&str; 9] = [
    "branch",
    "revision",
    "repository",
    "project",
    "patch_body",
    "patch_level",
    "patch_subdir",
    "patch_author",
    "patch_comment",
];

impl Trigger {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let names = keys.required::<Vec<(String, Place)>>("scheduler_names");
        let wait = keys.or("wait_for_finish", false);
        let stamp = Stamp::read(keys);
        let set = keys.map("set_properties");
        let copy = keys.or("copy_properties", Vec::new());
        let names = names?;
        if names.is_empty() {
            keys.wrong("scheduler_names", "expected at least one scheduler");
            return None;
        }
        let mut schedulers = Vec::new();
        let mut known = Vec::new();
        for (name, place) in names {
            match Text::parse(&name) {
                Ok(text) => schedulers.push(text),
                Err(error) => {
                    let what = format!("bad name of a scheduler `{name}`");
                    let problem = Problem::error(Code::BadValue, what);
                    keys.note(problem.at(&place).label(error.what));
                    return None;
                }
            }
            if !name.contains('%') {
                known.push(SchedulerWord { name, place });
            }
        }
        Some(Self {
            schedulers,
            known,
            wait: wait?,
            stamp: stamp?,
            set: set?,
            copy: copy?,
        })
    }

    fn names(&self, properties: &Properties) -> Result<Vec<String>, RenderError> {
        let names = self.schedulers.iter();
        names.map(|it| it.render(properties)).collect()
    }

    fn order(&self, cx: &Cx<'_>) -> Result<TriggerOrder, StepError> {
        let mut properties = Properties::new();
        for (name, value) in &self.set {
            let value = value.value(cx.properties)?;
            properties.set(name.as_str(), value, "Trigger");
        }
        for (name, property) in cx.properties.iter() {
            if self.copy.iter().any(|it| it == name) {
                let source = format!("{} (in triggering build)", property.source);
                properties.set(name, property.value.clone(), source);
            }
        }
        let names = self.names(cx.properties)?;
        Ok(TriggerOrder {
            schedulers: names.into_iter().map(SchedulerName::from).collect(),
            wait: self.wait,
            stamp: self.stamp.of(cx)?,
            properties,
        })
    }

    fn text(&self, cx: &Cx<'_>) -> Vec<String> {
        let mut text = vec!["triggered".to_owned()];
        text.extend(self.names(cx.properties).unwrap_or_default());
        text
    }
}

impl Stamp {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let update = keys.optional::<bool>("update_source_stamp");
        let latest = keys.or("always_use_latest", false);
        let said = keys.placed_map::<Text>("source_stamp");
        let (update, latest, said) = (update?, latest?, said?);
        let mut is_good = true;
        for (name, (place, _)) in &said {
            if !STAMP_KEYS.contains(&name.as_str()) {
                let what = format!("unknown key `source_stamp.{name}` in {}", keys.title());
                let problem = Problem::error(Code::UnknownKey, what).at(place);
                keys.note(problem.did_you_mean(name, STAMP_KEYS));
                is_good = false;
            }
        }
        let given = [
            ("source_stamp", !said.is_empty()),
            ("always_use_latest", latest),
            ("update_source_stamp", update.is_some()),
        ];
        let mut given = given.into_iter().filter(|(_, is_given)| *is_given);
        if let (Some((one, _)), Some((other, _))) = (given.next(), given.next()) {
            let what = format!("`{one}` and `{other}` both say which source is built");
            let problem = Problem::error(Code::Contradiction, what)
                .at(&keys.place(other))
                .label("this");
            keys.note(match keys.has(one) {
                true => problem.also(&keys.place(one), "and this"),
                false => problem,
            });
            is_good = false;
        }
        let said: BTreeMap<_, _> = said.into_iter().map(|(name, it)| (name, it.1)).collect();
        let stamp = match (latest, said.is_empty()) {
            (true, _) => Self::Latest,
            (false, false) => Self::Said(said),
            (false, true) => Self::Own {
                as_built: update.unwrap_or(true),
            },
        };
        is_good.then_some(stamp)
    }

    fn of(&self, cx: &Cx<'_>) -> Result<SourceStamp, StepError> {
        match self {
            Self::Latest => Ok(SourceStamp::default()),
            Self::Own { as_built } => {
                let mut stamp = cx.stamp.clone();
                if let Some(revision) = cx.properties.text("got_revision").filter(|_| *as_built) {
                    stamp.revision = Some(revision.to_owned());
                }
                Ok(stamp)
            }
            Self::Said(said) => {
                let mut texts = BTreeMap::new();
                for (name, text) in said {
                    texts.insert(name.as_str(), text.render(cx.properties)?);
                }
                let mut take = |name| texts.remove(name).filter(|it| !it.is_empty());
                let level = take("patch_level").unwrap_or_else(|| "1".into());
                let level = level.parse().map_err(|_| {
                    StepError::Other(format!("`source_stamp.patch_level` is no number: {level}"))
                })?;
                let subdir = take("patch_subdir");
                let author = take("patch_author");
                let comment = take("patch_comment");
                let patch = take("patch_body").map(|diff| Patch {
                    level,
                    diff: diff.into_bytes(),
                    subdir,
                    author,
                    comment,
                });
                Ok(SourceStamp {
                    branch: take("branch"),
                    revision: take("revision"),
                    repository: take("repository").unwrap_or_default(),
                    project: take("project").unwrap_or_default(),
                    patch,
                    changes: Vec::new(),
                })
            }
        }
    }
}

impl Step for Trigger {
    fn begin(&self) -> Box<dyn Run> {
        Box::new(self.clone())
    }

    fn role(&self) -> Role {
        Role::Trigger
    }

    fn triggers(&self) -> &[SchedulerWord] {
        &self.known
    }
}

impl Run for Trigger {
    fn running_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.text(cx)
    }

    fn done_text(&self, cx: &Cx<'_>) -> Vec<String> {
        self.text(cx)
    }

    fn advance(&mut self, cx: &mut Cx<'_>, last: Option<&Ended<'_>>) -> Result<Move, StepError> {
        let Some(ended) = last else {
            return Ok(Move::Trigger(self.order(cx)?));
        };
        let outcome = match TriggerEnd::of(ended.exit) {
            TriggerEnd::Done => Outcome::Success,
            TriggerEnd::Failed => Outcome::Failure,
            TriggerEnd::Broken => Outcome::Exception,
            TriggerEnd::NoScheduler(names) => {
                let mut verdict = verdict(cx, Outcome::Failure, Vec::new());
                verdict.text = vec!["no scheduler:".into()];
                verdict.text.extend(names);
                return Ok(Move::Done(verdict));
            }
        };
        Ok(Move::Done(verdict(cx, outcome, self.text(cx))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;
    use super::*;
    use crate::model::ChangeId;
    use crate::syntax::Problems;
    use crate::syntax::Source;
    use crate::syntax::toml;

    fn try_read(lines: &str) -> (Option<Trigger>, String) {
        let text = format!("[trigger]\n{lines}\n");
        let source = Source::new("t.toml", "/base", text);
        let mut problems = Problems::default();
        let tree = toml::tree(&source, &mut problems);
        let section = &tree.sections[0];
        let mut keys =
            Keys::of_entries("[trigger]", &section.place, &section.entries, &mut problems);
        let read = Trigger::read(&mut keys);
        keys.finish();
        (read, problems.render(false))
    }

    fn trigger(lines: &str) -> Trigger {
        let (read, problems) = try_read(lines);
        assert_eq!(problems, "", "{lines}");
        read.expect("readable")
    }

    fn problems(lines: &str) -> String {
        let (read, problems) = try_read(lines);
        assert!(read.is_none(), "{lines}");
        problems
    }

    /// The order of a build of revision `r1`, which is really at `r2`.
    fn order(lines: &str) -> TriggerOrder {
        let mut bench = Bench::new(&trigger(lines), &KIND);
        bench.stamp = SourceStamp {
            branch: Some("main".into()),
            revision: Some("r1".into()),
            changes: vec![ChangeId(7)],
            ..SourceStamp::default()
        };
        bench.properties.set("got_revision", "r2", "Git");
        bench.properties.set("which", "packages", "Build");
        bench.begin_trigger()
    }

    #[test]
    fn it_asks_for_the_source_that_was_built() {
        let asked = order("scheduler_names = ['%(which)s', 'docs']");
        let names: Vec<_> = asked.schedulers.iter().map(|it| it.as_str()).collect();
        assert_eq!(
            (names.as_slice(), asked.wait),
            (&["packages", "docs"][..], false)
        );
        assert_eq!(asked.stamp.revision.as_deref(), Some("r2"));
        assert_eq!(asked.stamp.changes, [ChangeId(7)]);
        let same = order("scheduler_names = ['docs']\nupdate_source_stamp = false");
        assert_eq!(same.stamp.revision.as_deref(), Some("r1"));
        let latest = order("scheduler_names = ['docs']\nalways_use_latest = true");
        assert_eq!(latest.stamp, SourceStamp::default());
        let said = order(
            "scheduler_names = ['docs']\nsource_stamp = { branch = 'b', revision = '%(got_revision)s', patch_body = 'diff' }",
        );
        let patch = said.stamp.patch.expect("a patch");
        assert_eq!((patch.level, patch.diff.as_slice()), (1, &b"diff"[..]));
        assert_eq!(said.stamp.branch.as_deref(), Some("b"));
        assert_eq!(said.stamp.revision.as_deref(), Some("r2"));
        assert_eq!(said.stamp.repository, "");
    }

    #[test]
    fn properties_are_set_and_copied_and_what_is_copied_wins() {
        let asked = order(
            "scheduler_names = ['docs']\nset_properties = { a = 'x %(which)s', which = 'no' }\ncopy_properties = ['which', 'unset']",
        );
        let shown: Vec<_> = asked
            .properties
            .iter()
            .map(|(name, it)| format!("{name}={} {}", it.value, it.source))
            .collect();
        let expected = [
            "a=\"x packages\" Trigger",
            "which=\"packages\" Build (in triggering build)",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_property_that_is_all_of_a_value_keeps_its_type() {
        let step = trigger(
            "scheduler_names = ['a']\nset_properties = { n = '%(n)s', all = '%(all)s', t = '0%(n)s' }",
        );
        let mut bench = Bench::new(&step, &KIND);
        bench.properties.set("n", 7, "Build");
        bench
            .properties
            .set("all", serde_json::json!(["x"]), "Build");
        let asked = bench.begin_trigger().properties;
        assert_eq!(asked.get("n"), Some(&7.into()));
        assert_eq!(asked.get("all"), Some(&serde_json::json!(["x"])));
        assert_eq!(asked.get("t"), Some(&"07".into()));
    }

    #[test]
    fn its_end_is_that_of_what_it_triggered() {
        let check = |end: TriggerEnd, expected: &str| {
            let mut bench = Bench::new(&trigger("scheduler_names = ['a', 'b']"), &KIND);
            assert_eq!(bench.running_text(), ["triggered", "a", "b"]);
            assert_eq!(bench.begin(), "trigger a b");
            assert_eq!(bench.ends_with(&end.exit(Duration::ZERO), &[]), expected);
        };
        check(TriggerEnd::Done, "success: triggered a b");
        check(
            TriggerEnd::Failed,
            "failure: triggered a b failed; build: trigger",
        );
        check(
            TriggerEnd::Broken,
            "exception: triggered a b exception; build: trigger",
        );
        check(
            TriggerEnd::NoScheduler(vec!["a b".into(), "c".into()]),
            "failure: no scheduler: a b c; build: trigger",
        );
    }

    #[test]
    fn a_property_that_is_not_set_triggers_nothing() {
        let mut bench = Bench::new(&trigger("scheduler_names = ['%(unset)s']"), &KIND);
        let told = bench.begin();
        assert!(
            told.starts_with("error: property `unset` is not set"),
            "{told}"
        );
    }

    #[test]
    fn only_plain_names_are_known_beforehand_and_their_place_is_no_setting() {
        let step = trigger("scheduler_names = ['%(which)s', 'docs']");
        let known: Vec<_> = step.triggers().iter().map(|it| it.name.as_str()).collect();
        assert_eq!(known, ["docs"]);
        assert_eq!(step.triggers()[0].place.text(), "'docs'");
        let moved = trigger("# moved\nscheduler_names = ['%(which)s', 'docs']");
        assert_eq!(format!("{step:?}"), format!("{moved:?}"));
    }

    #[test]
    fn sources_that_contradict_each_other_are_refused() {
        insta::assert_snapshot!(problems("scheduler_names = ['a']\nalways_use_latest = true\nupdate_source_stamp = false"), @r"
        error[contradiction]: `always_use_latest` and `update_source_stamp` both say which source is built
         --> t.toml:4:23
          |
        3 | always_use_latest = true
          |                     ---- and this
        4 | update_source_stamp = false
          |                       ^^^^^ this
        ");
        let both = problems(
            "scheduler_names = ['a']\nalways_use_latest = true\nsource_stamp.branch = 'b'",
        );
        assert!(
            both.contains("`source_stamp` and `always_use_latest` both"),
            "{both}"
        );
        insta::assert_snapshot!(problems("scheduler_names = []\nsource_stamp.brunch = 'b'"), @r"
        error[bad-value]: bad value for `scheduler_names` in [trigger]
         --> t.toml:2:19
          |
        2 | scheduler_names = []
          |                   ^^ expected at least one scheduler

        error[unknown-key]: unknown key `source_stamp.brunch` in [trigger]
         --> t.toml:3:23
          |
        3 | source_stamp.brunch = 'b'
          |                       ^^^ did you mean `branch`?
        ");
    }
}
