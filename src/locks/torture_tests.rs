//! Ten thousand builds over fifty locks, in a time that is only counted.

use super::*;

const LOCKS: u64 = 50;
const BUILDS: u64 = 10_000;
const SLAVES: u64 = 6;

/// Numbers that follow from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % below
    }
}

/// A build: the locks that it holds all the time, then those of each step, and how long each is.
struct Build {
    slave: SlaveName,
    own: Vec<LockUse>,
    steps: Vec<(Vec<LockUse>, u64)>,
    held: Vec<LockHeld>,
    /// Since when it waits.
    asked: u64,
}

fn plans(chance: &mut Chance) -> Vec<LockPlan> {
    let plan = |number| LockPlan {
        name: format!("l{number}").as_str().into(),
        kind: [LockKind::Master, LockKind::Slave][usize::from(number % 3 == 0)],
        max_count: 1 + u32::try_from(chance.below(4)).expect("small"),
        max_count_for_slave: BTreeMap::new(),
    };
    (0..LOCKS).map(plan).collect()
}

/// Some of the locks of a range, each once.
fn some(chance: &mut Chance, most: u64, from: u64, below: u64) -> Vec<LockUse> {
    let mut uses: Vec<LockUse> = Vec::new();
    for _ in 0..chance.below(most + 1) {
        let number = from + chance.below(below - from);
        let lock = LockName::from(format!("l{number}").as_str());
        let access = [Access::Counting, Access::Exclusive][usize::from(chance.below(3) == 0)];
        if uses.iter().all(|it| it.lock != lock) {
            uses.push(LockUse { lock, access });
        }
    }
    uses
}

#[test]
fn nobody_starves_and_no_lock_is_overfull_in_ten_thousand_builds() {
    let mut chance = Chance(11);
    let plans = plans(&mut chance);
    let mut locks = Locks::default();
    locks.plan(&plans);
    let mut builds: BTreeMap<u64, Build> = BTreeMap::new();
    let mut waiting: BTreeMap<Claim, u64> = BTreeMap::new();
    // What happens next: when, and to which build.
    let mut due: BTreeSet<(u64, u64)> = BTreeSet::new();
    let mut arrival = 0;
    for number in 0..BUILDS {
        arrival += chance.below(60);
        due.insert((arrival, number));
        // Builds hold from the first half and their steps from the second, so that no two
        // can each hold what the other waits for.
        let slave = format!("s{}", chance.below(SLAVES));
        let steps = (0..1 + chance.below(3)).map(|_| {
            (
                some(&mut chance, 2, LOCKS / 2, LOCKS),
                1 + chance.below(100),
            )
        });
        let steps = steps.collect();
        builds.insert(
            number,
            Build {
                slave: SlaveName::from(slave.as_str()),
                own: some(&mut chance, 3, 0, LOCKS / 2),
                steps,
                held: Vec::new(),
                asked: 0,
            },
        );
    }
    let (mut ended, mut longest) = (0, 0);
    while let Some((now, number)) = due.pop_first() {
        let build = builds.get_mut(&number).expect("a build");
        // The first event of a build is its arrival; each other one ends a step.
        let uses = if build.held.is_empty() {
            build.own.clone()
        } else {
            while build.held.len() > 1 {
                locks.release(build.held.pop().expect("a step's"));
            }
            match build.steps.first() {
                Some((uses, _)) => uses.clone(),
                None => {
                    let build = builds.remove(&number).expect("a build");
                    build.held.into_iter().for_each(|it| locks.release(it));
                    ended += 1;
                    Vec::new()
                }
            }
        };
        if let Some(build) = builds.get_mut(&number) {
            build.asked = now;
            let claim = locks.ask(Owner(number), &build.slave, &uses);
            waiting.insert(claim.expect("never its own"), number);
        }
        for it in locks.granted() {
            let number = waiting.remove(&it.claim()).expect("it had asked");
            let build = builds.get_mut(&number).expect("a build");
            longest = longest.max(now - build.asked);
            let is_own = build.held.is_empty();
            build.held.push(it);
            let length = if is_own { 0 } else { build.steps.remove(0).1 };
            due.insert((now + length, number));
        }
        for (key, holders) in &locks.held {
            let sole = holders.values().any(|it| it.1 == Access::Exclusive);
            let count = locks.plans[&key.lock].max_count as usize;
            assert!(holders.len() <= if sole { 1 } else { count }, "{key}");
        }
    }
    assert_eq!(ended, BUILDS, "everybody is served");
    assert!(locks.held.is_empty() && locks.waiting.is_empty());
    // All of it takes 300,000: who is passed over again and again would wait to the end.
    assert!(longest < 20_000, "{longest} of {arrival}");
}

#[test]
fn who_wants_two_is_not_passed_over_by_those_who_want_one_each() {
    let mut locks = Locks::default();
    let plan = |name: &str| LockPlan {
        name: name.into(),
        kind: LockKind::Master,
        max_count: 1,
        max_count_for_slave: BTreeMap::new(),
    };
    locks.plan(&[plan("a"), plan("b")]);
    let slave = SlaveName::from("s1");
    let wanted = |names: &[&str]| -> Vec<LockUse> {
        let one = |name: &&str| LockUse {
            lock: (*name).into(),
            access: Access::Counting,
        };
        names.iter().map(one).collect()
    };
    let a = locks
        .take(None, Owner(1), &slave, &wanted(&["a"]))
        .expect("free");
    let b = locks
        .take(None, Owner(2), &slave, &wanted(&["b"]))
        .expect("free");
    locks
        .ask(Owner(3), &slave, &wanted(&["a", "b"]))
        .expect("asked");
    locks.release(a);
    // `a` is free, and kept for who waits for both.
    locks.ask(Owner(4), &slave, &wanted(&["a"])).expect("asked");
    assert_eq!(locks.granted(), []);
    locks.release(b);
    let granted = locks.granted();
    assert_eq!(granted.len(), 1);
    assert_eq!(granted[0].uses().len(), 2);
}

#[test]
fn who_holds_what_another_waits_for_is_let_past_it() {
    let mut locks = Locks::default();
    let slave = SlaveName::from("s1");
    let wanted = |name: &str| LockUse {
        lock: name.into(),
        access: Access::Exclusive,
    };
    let own = locks
        .take(None, Owner(1), &slave, &[wanted("build")])
        .expect("free");
    let both = [wanted("build"), wanted("step")];
    locks.ask(Owner(2), &slave, &both).expect("asked");
    assert_eq!(locks.granted(), []);
    // The step of the first build would else wait for one that waits for that build's end.
    locks
        .ask(Owner(1), &slave, &[wanted("step")])
        .expect("asked");
    let granted = locks.granted();
    assert_eq!(granted.len(), 1);
    assert_eq!(granted[0].uses(), [wanted("step")]);
    for held in granted.into_iter().chain([own]) {
        locks.release(held);
    }
    assert_eq!(locks.granted().len(), 1);
}
