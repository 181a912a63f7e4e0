//! `[test:NAME]`: a change or the end of a build, and what the rest of the
//! configuration is expected to make of it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::Plan;
use super::explain;
use super::select::listed;
use crate::model::BuilderName;
use crate::model::Change;
use crate::model::ChangeId;
use crate::model::Outcome;
use crate::model::Properties;
use crate::model::Timestamp;
use crate::reporters;
use crate::reporters::Previous;
use crate::reporters::What;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Section;
use crate::syntax::Shape;
use crate::syntax::Value;
use crate::syntax::nearest;

/// A section that was read.
pub(super) struct Trial {
    title: String,
    place: Place,
    given: Given,
    /// Of builders and of status targets; `None` is whatever comes.
    builders: Option<Expected>,
    notifies: Option<Expected>,
    properties: BTreeMap<String, (Place, Json)>,
}

enum Given {
    Change(Box<Change>),
    Event {
        builder: (String, Place),
        outcome: Outcome,
        previous: Previous,
    },
}

/// Names, and where they are expected.
struct Expected {
    names: Vec<(String, Place)>,
    place: Place,
}

/// What a change has here.
const OF_A_CHANGE: [&str; 8] = [
    "author",
    "branch",
    "category",
    "comments",
    "files",
    "project",
    "repository",
    "revision",
];

/// What an event has here.
const OF_AN_EVENT: [&str; 3] = ["builder", "outcome", "previous"];

/// Names, or `none`.
struct Names(Vec<(String, Place)>);

impl Value for Names {
    const EXPECTED: &'static str = "names, or `none`";
    const SHAPE: Shape = Shape::List(&Shape::Text);

    fn read(node: &Node) -> Result<Self, Misread> {
        let mut names = Vec::<(String, Place)>::read(node)?;
        if matches!(names.as_slice(), [(word, _)] if word == "none") {
            names.clear();
        }
        Ok(Self(names))
    }
}

/// Reads a section; what is wrong is noted.
pub(super) fn read(section: &Section, problems: &mut Problems) -> Option<Trial> {
    let mut keys = Keys::of(section, problems);
    let read = read_keys(&mut keys);
    keys.finish();
    read
}

/// Asks for the keys of a section.
pub(super) fn read_keys(keys: &mut Keys<'_>) -> Option<Trial> {
    let change = keys.placed_map::<Node>("change");
    let event = keys.placed_map::<Node>("event");
    let mut expected = |name: &str| {
        let names = keys.optional::<Names>(name)?;
        let place = keys.place(name);
        Some(names.map(|it| Expected { names: it.0, place }))
    };
    let builders = expected("builders");
    let notifies = expected("notifies");
    let properties = keys.placed_map::<Json>("property");
    let given = match (change?, event?) {
        (change, event) if !change.is_empty() && event.is_empty() => {
            known(&change, "change", &OF_A_CHANGE, keys)
                .then(|| a_change(&change, keys))
                .flatten()
        }
        (change, event) if change.is_empty() && !event.is_empty() => {
            known(&event, "event", &OF_AN_EVENT, keys)
                .then(|| an_event(&event, keys))
                .flatten()
        }
        _ => {
            let what = format!("{} needs a change or an event, and not both", keys.title());
            let problem = Problem::error(Code::MissingKey, what).at(keys.header());
            keys.note(problem.label("expected `change.branch = …` or `event.builder = …`"));
            None
        }
    };
    Some(Trial {
        title: keys.title().to_owned(),
        place: keys.header().clone(),
        given: given?,
        builders: builders?,
        notifies: notifies?,
        properties: properties?,
    })
}

fn known(
    given: &BTreeMap<String, (Place, Node)>,
    noun: &str,
    names: &[&str],
    keys: &mut Keys<'_>,
) -> bool {
    let unknown = given
        .iter()
        .find(|(name, _)| !names.contains(&name.as_str()));
    let Some((name, (place, _))) = unknown else {
        return true;
    };
    let what = format!("unknown key `{noun}.{name}` in {}", keys.title());
    let problem = Problem::error(Code::UnknownKey, what).at(place);
    keys.note(match nearest(name, names) {
        Some(near) => problem.label(format!("did you mean `{noun}.{near}`?")),
        None => problem.help(listed(&format!("{noun}s have"), names)),
    });
    false
}

fn a_change(given: &BTreeMap<String, (Place, Node)>, keys: &mut Keys<'_>) -> Option<Given> {
    let mut is_good = true;
    let mut text = |name: &str| {
        let (_, node) = given.get(name)?;
        if let Ok(text) = String::read(node) {
            return Some(text);
        }
        is_good = false;
        None
    };
    let [author, branch, category, comments] =
        ["author", "branch", "category", "comments"].map(&mut text);
    let [project, repository, revision] = ["project", "repository", "revision"].map(&mut text);
    let files = given.get("files").map(|(_, it)| Vec::<String>::read(it));
    let Some(files) = files.unwrap_or(Ok(Vec::new())).ok().filter(|_| is_good) else {
        let what = format!("bad value in `change` of {}", keys.title());
        let problem = Problem::error(Code::BadValue, what).at(keys.header());
        keys.note(problem.label("expected texts, and a list in `change.files`"));
        return None;
    };
    Some(Given::Change(Box::new(Change {
        id: ChangeId(0),
        author: author.unwrap_or_default(),
        files,
        comments: comments.unwrap_or_default(),
        revision,
        branch: branch.filter(|it| it != "none"),
        category,
        revlink: String::new(),
        repository: repository.unwrap_or_default(),
        project: project.unwrap_or_default(),
        when: Timestamp(0),
        properties: Properties::new(),
    })))
}

fn an_event(given: &BTreeMap<String, (Place, Node)>, keys: &mut Keys<'_>) -> Option<Given> {
    let word = |name: &str| {
        let (place, node) = given.get(name)?;
        Some((String::read(node).unwrap_or_default(), place.clone()))
    };
    let mut outcome = |name: &str| match word(name) {
        None => Some(None),
        Some((text, _)) if text == "none" => Some(None),
        Some((text, place)) => {
            let found = Outcome::ALL.into_iter().find(|it| it.as_str() == text);
            if found.is_none() {
                let what = format!("bad value for `event.{name}` in {}", keys.title());
                let names = Outcome::ALL.map(Outcome::as_str);
                let problem = Problem::error(Code::BadValue, what).at(&place);
                keys.note(problem.label(listed("expected one of", &names)));
                return None;
            }
            Some(found)
        }
    };
    let ended = outcome("outcome");
    let previous = outcome("previous");
    let (Some(builder), Some(outcome)) = (word("builder"), ended?) else {
        let what = format!(
            "`event.builder` or `event.outcome` is missing in {}",
            keys.title()
        );
        let problem = Problem::error(Code::MissingKey, what).at(keys.header());
        keys.note(problem);
        return None;
    };
    Some(Given::Event {
        builder,
        outcome,
        previous: previous?.map_or(Previous::None, Previous::Ended),
    })
}

/// Tries all sections on the plan; each expectation that fails is a problem.
pub(super) fn run(trials: &[Trial], plan: &Plan, problems: &mut Problems) {
    for trial in trials {
        match &trial.given {
            Given::Change(change) => trial.try_change(change, plan, problems),
            Given::Event {
                builder,
                outcome,
                previous,
            } => trial.try_event(builder, *outcome, *previous, plan, problems),
        }
    }
}

impl Trial {
    fn try_change(&self, change: &Change, plan: &Plan, problems: &mut Problems) {
        let explained = explain::change(plan, change);
        let passing: Vec<_> = explained
            .iter()
            .filter(|it| it.passes && it.important)
            .collect();
        let built: BTreeSet<&BuilderName> = passing
            .iter()
            .flat_map(|it| &it.scheduler.builders)
            .collect();
        if let Some(expected) = &self.builders {
            let names: BTreeSet<_> = built.iter().map(|it| it.as_str()).collect();
            let why = |name: &str| {
                let about = explained.iter().filter(|it| {
                    let mut builders = it.scheduler.builders.iter();
                    builders.any(|it| it.as_str() == name)
                });
                let said: Vec<_> = about
                    .map(|it| format!("scheduler `{}`: {}", it.scheduler.name, it.because))
                    .collect();
                match said.is_empty() {
                    true => vec![format!("no scheduler builds `{name}`")],
                    false => said,
                }
            };
            let known: Vec<_> = plan.builders.iter().map(|it| it.name.as_str()).collect();
            self.compare(expected, &names, &known, "builder", "built", why, problems);
        }
        for (name, (place, expected)) in &self.properties {
            for it in &passing {
                for builder in &plan.builders {
                    if !it.scheduler.builders.contains(&builder.name) {
                        continue;
                    }
                    let mut all = plan.master.properties.clone();
                    all.overlay(&change.properties);
                    all.overlay(&it.scheduler.properties);
                    all.overlay(&builder.properties);
                    let found = all.get(name);
                    if found != Some(expected) {
                        let shown = found.map_or("not set".to_owned(), |it| format!("`{it}`"));
                        let what = format!("{} expects another property", self.title);
                        let problem =
                            Problem::error(Code::TestFailed, what)
                                .at(place)
                                .label(format!(
                                    "`{name}` is {shown} in a build of `{}`",
                                    builder.name
                                ));
                        problems.note(problem);
                        return;
                    }
                }
            }
        }
        if let Some(expected) = &self.notifies {
            let problem = Problem::error(
                Code::TestFailed,
                format!("{} expects notifications of a change", self.title),
            );
            let help =
                "`event.builder`, `event.outcome` and `event.previous` give the end of a build";
            problems.note(problem.at(&expected.place).help(help));
        }
    }

    fn try_event(
        &self,
        (name, place): &(String, Place),
        outcome: Outcome,
        previous: Previous,
        plan: &Plan,
        problems: &mut Problems,
    ) {
        let builder = plan.builders.iter().find(|it| it.name.as_str() == name);
        let Some(builder) = builder else {
            let problem = Problem::error(Code::UnknownBuilder, format!("unknown builder `{name}`"));
            let known = plan.builders.iter().map(|it| it.name.as_str());
            problems.note(problem.at(place).unknown_word(name, known));
            return;
        };
        let Some(expected) = &self.notifies else {
            let what = format!("{} expects nothing", self.title);
            let problem = Problem::error(Code::MissingKey, what).at(&self.place);
            problems.note(problem.label("expected `notifies = …` or `notifies = none`"));
            return;
        };
        let event = reporters::Event {
            builder: builder.name.clone(),
            tags: builder.tags.clone(),
            category: builder.category.clone(),
            what: What::Finished(outcome),
            previous,
            blamelist: Vec::new(),
            addresses: BTreeMap::new(),
            properties: builder.properties.clone(),
        };
        let verdicts: Vec<_> = plan
            .status
            .iter()
            .map(|it| (it.name.as_str(), it.settings.hears(&event)))
            .collect();
        let told: BTreeSet<&str> = verdicts
            .iter()
            .filter(|(_, it)| it.yes)
            .map(|(name, _)| *name)
            .collect();
        let why = |name: &str| {
            let about = verdicts.iter().filter(|(it, _)| *it == name);
            about
                .map(|(name, it)| format!("status target `{name}`: {}", it.because))
                .collect()
        };
        let known: Vec<_> = plan.status.iter().map(|it| it.name.as_str()).collect();
        self.compare(
            expected,
            &told,
            &known,
            "status target",
            "told",
            why,
            problems,
        );
    }

    #[expect(clippy::too_many_arguments, reason = "the words of one message")]
    fn compare(
        &self,
        expected: &Expected,
        found: &BTreeSet<&str>,
        known: &[&str],
        noun: &str,
        verb: &str,
        why: impl Fn(&str) -> Vec<String>,
        problems: &mut Problems,
    ) {
        for (name, place) in &expected.names {
            if found.contains(name.as_str()) {
                continue;
            }
            let mut problem = if known.contains(&name.as_str()) {
                let what = format!("{} expects another {noun}", self.title);
                Problem::error(Code::TestFailed, what)
                    .at(place)
                    .label(format!("`{name}` is not {verb}"))
            } else {
                let code = match noun {
                    "builder" => Code::UnknownBuilder,
                    _ => Code::UnknownName,
                };
                let problem = Problem::error(code, format!("unknown {noun} `{name}`"));
                problems.note(problem.at(place).unknown_word(name, known));
                continue;
            };
            for line in why(name) {
                problem = problem.help(line);
            }
            problems.note(problem);
        }
        let is_expected = |name: &&&str| expected.names.iter().all(|(it, _)| it != **name);
        for name in found.iter().filter(is_expected) {
            let what = format!("{} expects another {noun}", self.title);
            let mut problem = Problem::error(Code::TestFailed, what)
                .at(&expected.place)
                .label(format!("`{name}` is {verb}, too"));
            for line in why(name) {
                problem = problem.help(line);
            }
            problems.note(problem);
        }
    }
}
