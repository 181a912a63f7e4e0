//! Reading a step: what every type has in common, once, and then the type's own.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::expr::Amount;
use crate::expr::Condition;
use crate::expr::Context;
use crate::expr::names::HIDE_STEP;
use crate::expr::names::STEP;
use crate::locks::LockUses;
use crate::model::Text;
use crate::syntax::Asked;
use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Shape;
use crate::syntax::Source;
use crate::syntax::Value;
use crate::syntax::same;
use crate::syntax::text_with_secrets;

use super::Cx;
use super::Flags;
use super::KINDS;
use super::Step;
use super::StepError;
use super::StepKind;
use super::StepPlan;

/// Reads a `[[steps]]` table; whatever is wrong with it is noted, unknown keys too. Its
/// conditions may name the steps `earlier`; every step where that is not known.
pub(crate) fn read(mut keys: Keys<'_>, earlier: Option<&[String]>) -> Option<StepPlan> {
    let word: String = keys.required("type")?;
    let Some(kind) = kind(&word) else {
        let problem = Problem::error(Code::UnknownType, format!("unknown step type `{word}`"))
            .at(&keys.place("type"));
        let names = KINDS
            .iter()
            .flat_map(|it| [&[it.name], it.aliases].concat());
        let problem = problem.did_you_mean(&word, names);
        keys.note(problem);
        return None;
    };
    let name = name(&mut keys, kind.step_name);
    let flags = flags(&mut keys, kind.flags);
    let do_step_if = when(&mut keys, "do_step_if", &STEP, earlier);
    let hide_step_if = when(&mut keys, "hide_step_if", &HIDE_STEP, earlier);
    let use_progress = keys.or("use_progress", true);
    let progress_metrics = keys.optional::<Metrics>("progress_metrics");
    let locks = keys.or("locks", LockUses::default());
    let body = (kind.read)(&mut keys);
    let progress_metrics = chosen(&mut keys, progress_metrics, body.as_deref());
    let references = keys.references();
    keys.finish();
    Some(StepPlan {
        name: name?,
        flags: flags?,
        do_step_if: do_step_if?,
        hide_step_if: hide_step_if?,
        use_progress: use_progress?,
        progress_metrics: progress_metrics?,
        locks: locks?,
        body: body?,
        references,
    })
}

/// What a step of this type is asked for.
pub(crate) fn asked(kind: &StepKind) -> Vec<Asked> {
    let mut quiet = Problems::default();
    let nowhere = Place::new(&Source::new("", "", ""), 0..0);
    let mut keys = Keys::of_entries("", &nowhere, &[], &mut quiet);
    keys.required::<String>("type");
    // Of recipes: they read it before there is a step.
    keys.or("if", true);
    name(&mut keys, kind.step_name);
    flags(&mut keys, kind.flags);
    keys.optional::<When>("do_step_if");
    keys.optional::<When>("hide_step_if");
    keys.or("use_progress", true);
    keys.optional::<Metrics>("progress_metrics");
    keys.optional::<LockUses>("locks");
    (kind.read)(&mut keys);
    keys.asked()
}

/// The metrics that are named, of those that the step has.
#[expect(clippy::option_option, reason = "outer: readable; inner: there")]
fn chosen(
    keys: &mut Keys<'_>,
    named: Option<Option<Metrics>>,
    body: Option<&dyn Step>,
) -> Option<Option<Vec<String>>> {
    let Some(Metrics(named)) = named? else {
        return Some(None);
    };
    let has = body?.metrics();
    if let Some(unknown) = named.iter().find(|it| !has.contains(it)) {
        let what = format!("this step has no metric `{unknown}`");
        let problem = Problem::error(Code::BadValue, what).at(&keys.place("progress_metrics"));
        let problem = problem.did_you_mean(unknown, has.iter().map(String::as_str));
        keys.note(problem.help(format!("it has {}", has.join(", "))));
        return None;
    }
    Some(Some(named))
}

/// Names of metrics, or `none`.
struct Metrics(Vec<String>);

impl Value for Metrics {
    const EXPECTED: &'static str = "names of metrics such as `output tests`, or `none`";
    const SHAPE: Shape = Shape::List(&Shape::Text);

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            Content::Null => Ok(Self(Vec::new())),
            Content::Text(text) if text.eq_ignore_ascii_case("none") => Ok(Self(Vec::new())),
            _ => Vec::read(node).map(Self),
        }
    }
}

/// The type that `word` names, in any spelling: `set_property`, `SetProperty`.
fn kind(word: &str) -> Option<&'static StepKind> {
    let is_called = |kind: &&StepKind| {
        let mut names = [kind.name].into_iter().chain(kind.aliases.iter().copied());
        names.any(|it| same(it, word))
    };
    // Almost everybody spells it as it is listed.
    let exact = KINDS.iter().find(|it| it.name == word);
    exact.or_else(|| KINDS.iter().find(is_called))
}

fn name(keys: &mut Keys<'_>, usual: &str) -> Option<String> {
    let name = keys.or("name", usual.to_owned())?;
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        let place = keys.place("name");
        let problem = Problem::error(
            Code::BadName,
            "a step's name has no control characters and is not empty",
        );
        keys.note(problem.at(&place));
        return None;
    }
    Some(name)
}

fn flags(keys: &mut Keys<'_>, usual: Flags) -> Option<Flags> {
    let halt_on_failure = keys.or("halt_on_failure", usual.halt_on_failure);
    let flunk_on_warnings = keys.or("flunk_on_warnings", usual.flunk_on_warnings);
    let flunk_on_failure = keys.or("flunk_on_failure", usual.flunk_on_failure);
    let warn_on_warnings = keys.or("warn_on_warnings", usual.warn_on_warnings);
    let warn_on_failure = keys.or("warn_on_failure", usual.warn_on_failure);
    let always_run = keys.or("always_run", usual.always_run);
    Some(Flags {
        halt_on_failure: halt_on_failure?,
        flunk_on_warnings: flunk_on_warnings?,
        flunk_on_failure: flunk_on_failure?,
        warn_on_warnings: warn_on_warnings?,
        warn_on_failure: warn_on_failure?,
        always_run: always_run?,
    })
}

/// Reads a condition over the names of `context`.
#[expect(clippy::option_option, reason = "outer: readable; inner: there")]
fn when(
    keys: &mut Keys<'_>,
    key: &str,
    context: &Context,
    earlier: Option<&[String]>,
) -> Option<Option<Condition>> {
    let Some(When(condition, node)) = keys.optional(key)? else {
        return Some(None);
    };
    let node = node.filter(|_| condition.uses("step"));
    let (Some(earlier), Some(node)) = (earlier, node) else {
        return Some(Some(condition));
    };
    match Condition::read_in(&node, &context.with_inside("step", earlier)) {
        Ok(condition) => Some(Some(condition)),
        Err(misread) => {
            let what = format!("bad value for `{key}` in {}", keys.title());
            let problem = Problem::error(misread.code.unwrap_or(Code::BadExpression), what);
            let place = misread.place.as_ref().unwrap_or(&node.place);
            let problem = problem.at(place).label(misread.what.unwrap_or_default());
            keys.note(problem.help("a condition sees the steps before its own"));
            None
        }
    }
}

/// A condition and what it was read from, or plainly `true` or `false`.
struct When(Condition, Option<Node>);

impl Value for When {
    const EXPECTED: &'static str = Condition::EXPECTED;
    const SHAPE: Shape = Shape::Expression;

    fn read(node: &Node) -> Result<Self, Misread> {
        let Content::Bool(it) = node.content else {
            return Condition::read(node).map(|it| Self(it, Some(node.clone())));
        };
        Condition::parse(&it.to_string())
            .map(|it| Self(it, None))
            .map_err(|error| Misread {
                what: Some(error.what),
                ..Misread::default()
            })
    }
}

/// `env.NAME = value`; `false` removes a variable.
pub(crate) fn env(keys: &mut Keys<'_>, key: &str) -> Option<BTreeMap<String, Option<Text>>> {
    let env: BTreeMap<_, _> = keys.map::<Variable>(key)?;
    let env: BTreeMap<_, _> = env.into_iter().map(|(name, it)| (name, it.0)).collect();
    let bad = env
        .keys()
        .find(|it| it.is_empty() || it.contains(['=', '\0']));
    if let Some(bad) = bad {
        let place = match keys.place(&format!("{key}.{bad}")) {
            place if place == *keys.header() => keys.place(key),
            place => place,
        };
        let shown = bad.escape_debug();
        keys.note(
            Problem::error(Code::BadName, format!("`{shown}` is no name of a variable")).at(&place),
        );
        return None;
    }
    Some(env)
}

/// The value of a variable; a list is joined as `PATH` is where the command runs.
struct Variable(Option<Text>);

impl Value for Variable {
    const EXPECTED: &'static str = <Option<Text>>::EXPECTED;
    const SHAPE: Shape = <Option<Text>>::SHAPE;

    fn read(node: &Node) -> Result<Self, Misread> {
        let Content::List(parts) = &node.content else {
            return <Option<Text>>::read(node).map(Self);
        };
        let parts: Vec<Text> = parts
            .iter()
            .map(text_with_secrets)
            .collect::<Result<_, _>>()?;
        Ok(Self(Some(Text::list(parts))))
    }
}

/// A time limit, which `none` lifts and which may depend on the build.
#[expect(clippy::option_option, reason = "outer: readable; inner: limited")]
pub(super) fn limit(
    keys: &mut Keys<'_>,
    key: &str,
    usual: Option<Duration>,
) -> Option<Option<Amount>> {
    keys.or(key, usual.map(Amount::Fixed))
}

/// How long the limit `key` is in this build.
pub(super) fn length(
    key: &str,
    limit: Option<&Amount>,
    cx: &Cx<'_>,
) -> Result<Option<Duration>, StepError> {
    let length = limit.map(|it| match it {
        Amount::Fixed(length) => Ok(*length),
        Amount::Computed(_) => it.over(&cx.values()),
    });
    length
        .transpose()
        .map_err(|error| StepError::Other(format!("`{key}` cannot be computed: {error}")))
}

/// Yes, no, or a condition over the build that is looked at when the step begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Switch {
    Fixed(bool),
    Computed(Condition),
}

impl Switch {
    /// Whether the key says yes in this build.
    pub(super) fn is_on(&self, key: &str, cx: &Cx<'_>) -> Result<bool, StepError> {
        match self {
            Self::Fixed(it) => Ok(*it),
            Self::Computed(it) => it
                .holds_over(&cx.values())
                .map_err(|error| StepError::Other(format!("`{key}` cannot be computed: {error}"))),
        }
    }
}

impl Default for Switch {
    fn default() -> Self {
        Self::Fixed(false)
    }
}

impl Value for Switch {
    const EXPECTED: &'static str = "`yes`, `no`, or a condition such as `slave.os == \"linux\"`";
    const SHAPE: Shape = Shape::Expression;

    fn read(node: &Node) -> Result<Self, Misread> {
        match bool::read(node) {
            Ok(it) => Ok(Self::Fixed(it)),
            Err(_) => Condition::read(node).map(Self::Computed),
        }
    }
}

/// A text of one string, or of several.
#[expect(clippy::option_option, reason = "outer: readable; inner: there")]
pub(super) fn words(keys: &mut Keys<'_>, key: &str) -> Option<Option<Vec<Text>>> {
    Some(keys.optional::<Words>(key)?.map(|it| it.0))
}

struct Words(Vec<Text>);

impl Value for Words {
    const EXPECTED: &'static str = "a text, or a list of texts";
    const SHAPE: Shape = Shape::OneOrMore(&Shape::Template);

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            Content::List(all) => all
                .iter()
                .map(text_with_secrets)
                .collect::<Result<_, _>>()
                .map(Self),
            _ => Ok(Self(vec![text_with_secrets(node)?])),
        }
    }
}

/// How a directory was packed on its way, where that showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compress {
    None,
    Gz,
    Bz2,
}

impl Value for Compress {
    const EXPECTED: &'static str = "`gz`, `bz2` or `none`";
    const SHAPE: Shape = Shape::Word(&["none", "gz", "bz2"]);

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            Content::Null => Ok(Self::None),
            Content::Text(text) => match text.to_ascii_lowercase().as_str() {
                "none" => Ok(Self::None),
                "gz" => Ok(Self::Gz),
                "bz2" => Ok(Self::Bz2),
                _ => Err(Misread::default()),
            },
            _ => Err(Misread::default()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::super::Role;
    use super::super::Step;
    use super::*;
    use crate::model::Properties;
    use crate::syntax::plain;
    use crate::syntax::toml;

    fn check(text: &str) -> (Option<StepPlan>, String) {
        let source = Source::new("factories/x.toml", "/base", text);
        let mut problems = Problems::default();
        let entries = toml::read(&source, &mut problems);
        let place = Place::new(&source, 0..0);
        let plan = read(
            Keys::of_entries("[[steps]]", &place, &entries, &mut problems),
            None,
        );
        problems.sort();
        let shown: Vec<_> = problems.0.iter().map(Problem::line).collect();
        (plan, shown.join("\n"))
    }

    /// A step of the type with these lines in its table, which are good.
    pub(in super::super) fn read_kind(kind: &StepKind, lines: &str) -> Arc<dyn Step> {
        let (plan, problems) = check(&format!("type = \"{}\"\n{lines}", kind.name));
        assert_eq!(problems, "", "{lines}");
        plan.expect(lines).body
    }

    /// What is wrong with such a table.
    pub(in super::super) fn problems_of(kind: &StepKind, lines: &str) -> String {
        check(&format!("type = \"{}\"\n{lines}", kind.name)).1
    }

    #[test]
    fn every_example_of_the_table_reads_and_names_are_unique() {
        let mut names = BTreeSet::new();
        for kind in KINDS {
            let (plan, problems) = check(&format!("type = \"{}\"\n{}", kind.name, kind.example));
            assert_eq!(problems, "", "{}", kind.name);
            let plan = plan.expect(kind.name);
            assert_eq!(
                (plan.name.as_str(), plan.flags),
                (kind.step_name, kind.flags)
            );
            for name in [&[kind.name], kind.aliases].concat() {
                assert!(names.insert(plain(name)), "`{name}` stands twice");
            }
        }
    }

    #[test]
    fn types_have_the_names_of_buildbots_manual_and_of_its_code() {
        for (word, name) in [
            ("ShellCommand", "shell"),
            ("VC2003", "vc7"),
            ("VS2003", "vc7"),
            ("VC2005", "vc8"),
            ("VS2005", "vc8"),
            ("VC2008", "vc9"),
            ("VS2008", "vc9"),
            ("VS2010", "vc10"),
            ("VCExpress9", "vcexpress9"),
            ("SubunitShellCommand", "subunit"),
            ("BuildEPYDoc", "epydoc"),
            ("JSONStringDownload", "json_string_download"),
            ("Hg", "mercurial"),
            ("BK", "bitkeeper"),
        ] {
            assert_eq!(kind(word).map(|it| it.name), Some(name), "{word}");
        }
    }

    #[test]
    fn no_type_takes_a_key_that_it_does_not_know() {
        for kind in KINDS {
            let told = problems_of(kind, &format!("nonsense = 1\n{}", kind.example));
            let expected = "factories/x.toml:2:1: unknown key `nonsense` in [[steps]]";
            assert_eq!(told, expected, "{}", kind.name);
        }
    }

    #[test]
    fn every_type_that_checks_out_is_known_as_one() {
        for kind in KINDS {
            let step = read_kind(kind, kind.example);
            let is_checkout = kind.summary.starts_with("Checks out") || kind.name == "p4";
            let has_role = step.role() == Role::Checkout;
            assert_eq!(has_role, is_checkout, "{}", kind.name);
        }
    }

    #[test]
    fn flags_and_names_of_the_file_win() {
        let (plan, problems) = check(
            "type = \"Shell\"\ncommand = \"true\"\nname = \"x\"\nhaltOnFailure = true\nflunkOnFailure = false\n",
        );
        assert_eq!(problems, "");
        let plan = plan.expect("a step");
        let expected = Flags {
            halt_on_failure: true,
            ..Flags::NONE
        };
        assert_eq!((plan.name.as_str(), plan.flags), ("x", expected));
    }

    #[test]
    fn a_condition_may_be_plain_and_filled_in() {
        let holds = |value: &str| {
            let (plan, problems) = check(&format!("type = \"test\"\ndo_step_if = {value}\n"));
            assert_eq!(problems, "", "{value}");
            let condition = plan.and_then(|it| it.do_step_if).expect(value);
            condition.holds(&Properties::new()).expect(value)
        };
        assert!(holds("true"));
        assert!(!holds("false"));
        assert!(holds("\"True\""));
        assert!(!holds("\"False\""));
        assert!(holds("\"branch != 'docs'\""));
    }

    #[test]
    fn every_mistake_of_a_step_is_told() {
        let (plan, problems) = check(
            "type = \"shell\"\ncomand = \"make\"\ntimeout = \"soon\"\nname = \"\"\nenv.\"A=B\" = \"x\"\n",
        );
        assert!(plan.is_none());
        insta::assert_snapshot!(problems, @"
        factories/x.toml:2:1: unknown key `comand` in [[steps]]
        factories/x.toml:3:11: bad value for `timeout` in [[steps]]
        factories/x.toml:4:8: a step's name has no control characters and is not empty
        factories/x.toml:5:1: `A=B` is no name of a variable
        ");
        let (_, problems) = check("type = \"shel\"\nx = 1\n");
        insta::assert_snapshot!(problems, @r#"
        factories/x.toml:1:8: unknown step type `shel`
        "#);
        let (_, problems) =
            check("type = \"git\"\nmode = \"full\"\nmethod = \"scrub\"\nretry = \"often\"\n");
        insta::assert_snapshot!(problems, @r#"
        factories/x.toml:3:10: `scrub` is no checkout method
        factories/x.toml:4:9: bad value for `retry` in [[steps]]
        "#);
        let (_, problems) = check("command = \"make\"\n");
        insta::assert_snapshot!(problems, @r#"
        factories/x.toml:1:1: `type` is missing in [[steps]]
        "#);
    }

    #[test]
    fn only_metrics_that_the_step_has_tell_how_far_it_is() {
        let metrics = |lines: &str| {
            let (plan, problems) = check(&format!("type = \"test\"\n{lines}"));
            plan.map(|it| it.progress_metrics).ok_or(problems)
        };
        let named = |names: &[&str]| -> Result<_, String> {
            Ok(Some(names.iter().map(|it| (*it).to_owned()).collect()))
        };
        assert_eq!(metrics(""), Ok(None));
        assert_eq!(metrics("progressMetrics = \"none\""), named(&[]));
        assert_eq!(
            metrics("counts = \"tap\"\nprogress_metrics = [\"tests\"]"),
            named(&["tests"])
        );
        assert_eq!(
            metrics("logfiles.\"a.log\" = \"x\"\nprogress_metrics = [\"output\", \"a.log\"]"),
            named(&["output", "a.log"])
        );
        insta::assert_snapshot!(metrics("progress_metrics = [\"tests\"]").expect_err("it counts none"), @"factories/x.toml:2:20: this step has no metric `tests`");
    }
}
