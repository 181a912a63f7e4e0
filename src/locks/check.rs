//! What can be said against the use of locks before anybody waits for them.

use std::collections::BTreeSet;

use crate::model::LockName;
use crate::model::SlaveName;
use crate::syntax::Code;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;

use super::LockSection;
use super::LockUses;

/// Everything that a build of one builder may hold.
pub(crate) struct BuilderLocks<'a> {
    pub(crate) name: &'a str,
    pub(crate) own: &'a LockUses,
    /// Of each slave that it builds on, by name.
    pub(crate) slaves: Vec<(&'a str, &'a LockUses)>,
    /// Of each of its steps, by name.
    pub(crate) steps: Vec<(String, LockUses)>,
}

/// Says which uses cannot work: locks that nobody describes, that stand twice in one list, or
/// that a build would wait for while it holds them itself.
pub(crate) fn check(
    locks: &[LockSection],
    slaves: &[&SlaveName],
    builders: &[BuilderLocks<'_>],
) -> Problems {
    let mut check = Check {
        known: locks.iter().map(|it| &it.plan.name).collect(),
        told: BTreeSet::new(),
        problems: Problems::default(),
    };
    for lock in locks {
        for (slave, place) in &lock.slaves {
            if !slaves.contains(&slave) {
                let what = format!("unknown slave `{slave}`");
                let problem = Problem::error(Code::UnknownSlave, what).at(place);
                let names = slaves.iter().map(|it| it.as_str());
                check.tell(problem.did_you_mean(slave.as_str(), names));
            }
        }
    }
    for builder in builders {
        check.list(builder.own);
        for (slave, uses) in &builder.slaves {
            check.list(uses);
            let holder = format!("slave `{slave}` takes it for each of its builds");
            let what = format!("each build of builder `{}` would take", builder.name);
            check.apart(&what, "twice", builder.own, uses, &holder);
        }
        for (step, uses) in &builder.steps {
            check.list(uses);
            let what = format!("step `{step}` of builder `{}` would wait for", builder.name);
            let (own, ever) = (builder.own, "for ever");
            check.apart(&what, ever, uses, own, "the builder holds it already");
            for (slave, of_slave) in &builder.slaves {
                let holder = format!("slave `{slave}` holds it for each of its builds");
                check.apart(&what, ever, uses, of_slave, &holder);
            }
        }
    }
    check.circles(builders);
    check.problems
}

/// That a build which holds one lock asks for another.
struct Asks<'a> {
    held: &'a LockName,
    asked: &'a LockName,
    place: &'a Place,
    who: String,
}

struct Check<'a> {
    known: Vec<&'a LockName>,
    /// A recipe may make the steps of many builders.
    told: BTreeSet<(String, usize, Code)>,
    problems: Problems,
}

impl Check<'_> {
    fn tell(&mut self, problem: Problem) {
        let mark = problem
            .place
            .as_ref()
            .map(|it| (it.source.name.clone(), it.offset(), problem.code));
        if mark.is_none_or(|it| self.told.insert(it)) {
            self.problems.note(problem);
        }
    }

    fn list(&mut self, uses: &LockUses) {
        let mut seen: Vec<(&LockName, &Place)> = Vec::new();
        for (it, place) in uses.placed() {
            let name = it.lock.as_str();
            if !self.known.contains(&&it.lock) {
                let what = format!("unknown lock `{name}`");
                let problem = Problem::error(Code::UnknownLock, what).at(place);
                let mut problem =
                    problem.did_you_mean(name, self.known.iter().map(|it| it.as_str()));
                if problem.label.is_none() {
                    problem = problem.help(format!("a section `[lock:{name}]` makes it"));
                }
                self.tell(problem);
            }
            if let Some((_, first)) = seen.iter().find(|(lock, _)| **lock == it.lock) {
                let what = format!("lock `{name}` stands twice in one list");
                let problem = Problem::error(Code::LockUse, what)
                    .at(place)
                    .label("the second one")
                    .also(first, "the first one");
                self.tell(problem);
            }
            seen.push((&it.lock, place));
        }
    }

    /// Builds that hold a lock while they ask for another may wait for each other.
    fn circles(&mut self, builders: &[BuilderLocks<'_>]) {
        let mut all = Vec::new();
        for builder in builders {
            let name = builder.name;
            for (step, uses) in &builder.steps {
                let who = format!("step `{step}` of builder `{name}`");
                let slaves = builder.slaves.iter().map(|(_, held)| *held);
                for held in slaves.chain([builder.own]) {
                    asks(held, uses, &who, &mut all);
                }
            }
        }
        for (number, it) in all.iter().enumerate() {
            // Each circle is told once: where it is closed.
            if let Some(back) = way(&all[..number], it.asked, it.held) {
                let what = format!(
                    "builds may wait for each other for ever: {} asks for lock `{}` while it has `{}`",
                    it.who, it.asked, it.held
                );
                let other = format!(
                    "{} asks for `{}` while it has `{}`",
                    back.who, back.asked, back.held
                );
                let problem = Problem::warning(Code::LockUse, what)
                    .at(it.place)
                    .label("asked for here")
                    .also(back.place, other)
                    .help("let all of them ask in the same order, or take both locks at once");
                self.tell(problem);
            }
        }
    }

    /// What is held already cannot be had again.
    fn apart(&mut self, who: &str, how: &str, uses: &LockUses, held: &LockUses, holder: &str) {
        for (it, place) in uses.placed() {
            let already = held.placed().find(|(other, _)| other.lock == it.lock);
            if let Some((_, first)) = already {
                let what = format!("{who} lock `{}` {how}", it.lock);
                let problem = Problem::error(Code::LockUse, what)
                    .at(place)
                    .label("cannot be had here")
                    .also(first, holder);
                self.tell(problem);
            }
        }
    }
}

/// Adds what is asked for while something is held, the first time that it is.
fn asks<'a>(held: &'a LockUses, uses: &'a LockUses, who: &str, all: &mut Vec<Asks<'a>>) {
    for (first, _) in held.placed() {
        for (it, place) in uses.placed() {
            let is_known = |all: &[Asks<'_>]| {
                let mut pairs = all.iter();
                pairs.any(|known| *known.held == first.lock && *known.asked == it.lock)
            };
            if it.lock == first.lock || is_known(all) {
                continue;
            }
            all.push(Asks {
                held: &first.lock,
                asked: &it.lock,
                place,
                who: who.to_owned(),
            });
        }
    }
}

/// How who holds `from` comes to ask for `to`, be it by way of others: the first of that way.
fn way<'a, 'b>(all: &'b [Asks<'a>], from: &LockName, to: &LockName) -> Option<&'b Asks<'a>> {
    let mut seen = BTreeSet::new();
    let firsts = all.iter().filter(|it| it.held == from);
    let mut next: Vec<_> = firsts.map(|it| (it, it)).collect();
    while let Some((first, it)) = next.pop() {
        if it.asked == to {
            return Some(first);
        }
        if seen.insert(it.asked) {
            let further = all.iter().filter(|next| next.held == it.asked);
            next.extend(further.map(|it| (first, it)));
        }
    }
    None
}
