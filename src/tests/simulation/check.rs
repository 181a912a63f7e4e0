//! What must be true when everything has come to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use tokio::time::Instant;

use super::farm::Step;
use super::script;
use super::world::World;
use crate::logs::record;
use crate::model::BuildRecord;
use crate::model::Channel;
use crate::model::LogRecord;
use crate::model::Outcome;
use crate::model::StepRecord;

/// Everything that is wrong, a line each.
pub(super) async fn wrongs(world: &World) -> Vec<String> {
    let Some(master) = world.master() else {
        return vec!["there is no master".to_owned()];
    };
    let names: Vec<String> = world
        .farm
        .builders
        .iter()
        .map(|it| it.name.clone())
        .collect();
    let asked = world.asked();
    let requests = asked.requests.clone();
    let read = master.handle().store().read(move |verbs| {
        let mut builds = Vec::new();
        for name in &names {
            let name = name.as_str().into();
            for number in verbs.build_numbers(&name)? {
                let build = verbs.build(&name, number)?.expect("it has a number");
                let steps = verbs.steps(build.id)?;
                builds.push((build, steps));
            }
        }
        let mut ends = Vec::new();
        for id in requests {
            ends.push((id, verbs.request(id)?));
        }
        Ok((builds, ends, verbs.newest_change()?))
    });
    let (builds, ends, newest) = read.await.expect("readable");
    let mut wrong = Vec::new();

    if newest.0 != i64::try_from(asked.changes.len()).expect("few") {
        wrong.push(format!("{} changes became {newest}", asked.changes.len()));
    }
    let mut numbers: BTreeMap<&str, i64> = BTreeMap::new();
    let mut built: BTreeMap<_, Vec<&BuildRecord>> = BTreeMap::new();
    for (build, _) in &builds {
        let next = numbers.entry(build.key.builder.as_str()).or_default();
        if build.key.number != *next {
            wrong.push(format!("build {} is not number {next}", build.key));
        }
        *next += 1;
        for request in &build.requests {
            built.entry(*request).or_default().push(build);
        }
    }
    for (id, request) in &ends {
        match request {
            None => wrong.push(format!("request {id} is lost")),
            Some(it) if it.outcome.is_none() => wrong.push(format!("request {id} never ended")),
            Some(_) => {}
        }
    }
    for (request, builds) in &built {
        let done = builds
            .iter()
            .filter(|it| it.outcome != Some(Outcome::Retry));
        if done.count() != 1 {
            let builds: Vec<_> = builds.iter().map(|it| (&it.key, it.outcome)).collect();
            wrong.push(format!("request {request} was built by {builds:?}"));
        }
    }
    for (id, _) in &ends {
        if !built.contains_key(id) {
            wrong.push(format!("request {id} was not built"));
        }
    }
    wrong.extend(side_effects(world, &builds));
    for (build, steps) in &builds {
        wrong.extend(build_is_right(world, build, steps));
    }
    for view in master.handle().slaves() {
        if let Some((_, why)) = view.nonsense {
            wrong.push(format!("slave {} talked nonsense: {why}", view.name));
        }
        if !view.connected {
            wrong.push(format!("slave {} is not here", view.name));
        }
        let left = world.hosts[view.name.as_str()].spooled();
        if !left.is_empty() {
            wrong.push(format!("slave {} still keeps {left:?}", view.name));
        }
    }
    wrong
}

/// Each command ran once, and never two at once that may not.
fn side_effects(world: &World, builds: &[(BuildRecord, Vec<StepRecord>)]) -> Vec<String> {
    let mut wrong = Vec::new();
    let given_back: BTreeSet<String> = builds
        .iter()
        .filter(|(build, _)| build.outcome != Some(Outcome::Success))
        .map(|(build, _)| build.id.to_string())
        .collect();
    let mut seen = BTreeSet::new();
    let mut alone: Vec<(Instant, Instant, String)> = Vec::new();
    for (slave, host) in &world.hosts {
        for ran in host.ran() {
            if !seen.insert(ran.id.clone()) {
                wrong.push(format!("command {} ran twice, again on {slave}", ran.id));
            }
            let build = ran.id.split('-').next().unwrap_or_default();
            let Some(ended) = ran.ended else {
                if !given_back.contains(build) {
                    wrong.push(format!("command {} never ended", ran.id));
                }
                continue;
            };
            if is_alone(world, builds, &ran.id) {
                alone.push((ran.began, ended, ran.id));
            }
        }
    }
    alone.sort();
    for pair in alone.windows(2) {
        if pair[1].0 < pair[0].1 {
            wrong.push(format!("{} and {} ran together", pair[0].2, pair[1].2));
        }
    }
    wrong
}

/// Whether a command belongs to a step that has the lock, in a build that was not given back.
fn is_alone(world: &World, builds: &[(BuildRecord, Vec<StepRecord>)], id: &str) -> bool {
    let mut parts = id.split('-');
    let build = parts.next().unwrap_or_default();
    let step: usize = parts.next().and_then(|it| it.parse().ok()).unwrap_or(0);
    let Some((build, _)) = builds.iter().find(|(it, _)| it.id.to_string() == build) else {
        return false;
    };
    let steps = steps_of(world, build);
    build.outcome != Some(Outcome::Retry)
        && matches!(steps.get(step), Some(Planned::Say { is_alone: true, .. }))
}

/// A step as the master has it.
enum Planned {
    Say { line: String, is_alone: bool },
    Checkout,
    Note(String),
    Other,
}

fn steps_of(world: &World, build: &BuildRecord) -> Vec<Planned> {
    let name = build.key.builder.as_str();
    let builder = world.farm.builders.iter().find(|it| it.name == name);
    let mut planned = Vec::new();
    for step in &builder.expect("a known builder").steps {
        match step {
            Step::Say { line, is_alone } => planned.push(Planned::Say {
                line: line.clone(),
                is_alone: *is_alone,
            }),
            Step::Checkout => planned.push(Planned::Checkout),
            Step::Note(text) => {
                planned.push(Planned::Other);
                planned.push(Planned::Note(text.clone()));
            }
            Step::Trigger(_) => planned.push(Planned::Other),
        }
    }
    planned
}

fn build_is_right(world: &World, build: &BuildRecord, steps: &[StepRecord]) -> Vec<String> {
    let mut wrong = Vec::new();
    let key = &build.key;
    let planned = steps_of(world, build);
    let has_failed = planned.iter().any(|it| match it {
        Planned::Say { line, .. } => script::code_of(line) != 0,
        _ => false,
    });
    let expected = match has_failed {
        true => Outcome::Failure,
        false => Outcome::Success,
    };
    match build.outcome {
        Some(it) if it == expected => {}
        Some(Outcome::Retry | Outcome::Exception) if world.excuses() > 0 => {}
        Some(Outcome::Retry | Outcome::Exception) if !world.farm.is_patient => {
            // Away for too long.
        }
        it => wrong.push(format!("build {key} ended as {it:?}: {:?}", build.text)),
    }
    if steps.len() != planned.len() {
        wrong.push(format!("build {key} has {} steps", steps.len()));
    }
    let is_whole = build.outcome == Some(expected);
    for (step, planned) in steps.iter().zip(&planned) {
        if is_whole && step.outcome.is_none() {
            wrong.push(format!("step {} of {key} has no end", step.name));
        }
        match planned {
            Planned::Say { line, .. } => {
                let log = step.logs.iter().find(|it| it.name == "stdio");
                wrong.extend(log.and_then(|it| log_is_right(world, build, line, it, step)));
            }
            Planned::Checkout if is_whole => {
                let got = build.properties.text("got_revision");
                if got != Some(script::COMMIT) {
                    wrong.push(format!("build {key} got revision {got:?}"));
                }
            }
            Planned::Note(text) if is_whole => {
                let name = format!("notes/{}-{}", key.builder, key.number);
                let note = fs::read_to_string(world.master_dir().join(&name));
                if note.as_deref().ok() != Some(text.as_str()) {
                    wrong.push(format!("{name} is not what was written"));
                }
            }
            Planned::Checkout | Planned::Note(_) | Planned::Other => {}
        }
    }
    wrong
}

/// The log of a command that ended well is what it said, byte for byte, and one line more.
fn log_is_right(
    world: &World,
    build: &BuildRecord,
    line: &str,
    log: &LogRecord,
    step: &StepRecord,
) -> Option<String> {
    let path = world.master_dir().join("builds").join(&log.file);
    let said = fs::read(&path).unwrap_or_default();
    let mut expected = script::log_of(line);
    let what = |why: &str| Some(format!("log {} of {}: {why}", log.file, build.key));
    if matches!(step.outcome, Some(Outcome::Success | Outcome::Failure)) {
        let last = format!(
            "program finished with exit code {}\n",
            script::code_of(line)
        );
        record::push(Channel::Header, last.as_bytes(), &mut expected);
        if said != expected {
            return what(&format!("{} bytes of {}", said.len(), expected.len()));
        }
        if !log.complete {
            return what("not complete");
        }
        return None;
    }
    // What was said before it was given up stands there, and nothing else does.
    let (mut told, mut all) = (Vec::new(), Vec::new());
    let is_whole = outputs(&said, &mut told);
    // A record that a power cut has torn is completed with nothing.
    told.truncate(told.iter().rposition(|it| *it != 0).map_or(0, |it| it + 1));
    outputs(&expected, &mut all);
    match all.starts_with(&told) {
        true if is_whole => None,
        true => what("not a log"),
        false => what("it was said otherwise"),
    }
}

/// What a log says on standard output and standard error, as far as it goes. `false`: it is none.
fn outputs(mut log: &[u8], to: &mut Vec<u8>) -> bool {
    let mut reader = record::Reader::new();
    loop {
        match reader.next(&mut log) {
            Ok(Some((Channel::Header, _))) => {}
            Ok(Some((_, bytes))) => to.extend_from_slice(bytes),
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}
