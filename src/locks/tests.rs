//! Who gets a lock and when; what a file may say of locks.

use super::*;
use crate::syntax::Keys;
use crate::syntax::Problems;
use crate::syntax::Source;
use crate::syntax::ini;
use crate::syntax::toml;

fn lock(name: &str, kind: LockKind, max_count: u32) -> LockPlan {
    LockPlan {
        name: name.into(),
        kind,
        max_count,
        max_count_for_slave: BTreeMap::new(),
    }
}

fn wants(text: &str) -> Vec<LockUse> {
    let source = Source::new("m.ini", "/base", format!("[a]\nk = {text}"));
    let mut problems = Problems::default();
    let tree = ini::read(&source, &mut problems);
    let uses = Keys::of(&tree.sections[0], &mut problems).required::<LockUses>("k");
    assert_eq!(problems.render(false), "");
    uses.expect(text).as_slice().to_vec()
}

/// A few locks and who holds them, by letters.
struct Bench {
    locks: Locks,
    held: BTreeMap<char, LockHeld>,
    claims: BTreeMap<Claim, char>,
}

impl Bench {
    fn new(plans: &[LockPlan]) -> Self {
        let mut locks = Locks::default();
        locks.plan(plans);
        Self {
            locks,
            held: BTreeMap::new(),
            claims: BTreeMap::new(),
        }
    }

    /// `who` asks on slave `s1`; says who holds something then.
    fn ask(&mut self, who: char, uses: &str) -> String {
        self.ask_on(who, "s1", uses)
    }

    fn ask_on(&mut self, who: char, slave: &str, uses: &str) -> String {
        let claim = self.locks.ask(
            Owner(u64::from(u32::from(who))),
            &slave.into(),
            &wants(uses),
        );
        self.claims.insert(claim.expect("not its own"), who);
        self.look()
    }

    fn release(&mut self, who: char) -> String {
        let held = self.held.remove(&who).expect("it holds something");
        self.locks.release(held);
        self.look()
    }

    fn give_up(&mut self, who: char) -> String {
        let (claim, _) = self.claims.iter().find(|it| *it.1 == who).expect("asked");
        self.locks.give_up(*claim);
        self.look()
    }

    fn look(&mut self) -> String {
        for held in self.locks.granted() {
            self.held.insert(self.claims[&held.claim()], held);
        }
        self.held.keys().collect()
    }
}

#[test]
fn waiters_are_woken_from_the_head_as_long_as_they_fit() {
    let mut bench = Bench::new(&[lock("l", LockKind::Master, 2)]);
    assert_eq!(bench.ask('A', "l"), "A");
    assert_eq!(bench.ask('B', "l counting"), "AB");
    assert_eq!(bench.ask('C', "l exclusive"), "AB");
    assert_eq!(bench.ask('D', "l counting"), "AB");
    assert_eq!(
        bench.release('A'),
        "B",
        "C does not fit, D stands behind it"
    );
    assert_eq!(bench.release('B'), "C");
    assert_eq!(bench.release('C'), "D");
    assert_eq!(bench.ask('E', "l counting"), "DE");
    assert_eq!(bench.release('D'), "E");
}

#[test]
fn a_newcomer_does_not_overtake_who_waits_for_the_same_lock() {
    let mut bench = Bench::new(&[lock("l", LockKind::Master, 2)]);
    bench.ask('A', "l");
    assert_eq!(bench.ask('B', "l exclusive"), "A");
    let slave = SlaveName::from("s1");
    assert_eq!(bench.locks.take(None, Owner(1), &slave, &wants("l")), None);
    assert_eq!(bench.ask('C', "l"), "A", "there is room, but B was earlier");
    assert_eq!(
        bench.give_up('B'),
        "AC",
        "who gives up stands in nobody's way"
    );
}

#[test]
fn several_locks_are_taken_together_or_not_at_all() {
    let (a, b) = (
        lock("a", LockKind::Master, 1),
        lock("b", LockKind::Master, 1),
    );
    let mut bench = Bench::new(&[a, b]);
    assert_eq!(bench.ask('A', "b"), "A");
    assert_eq!(bench.ask('B', "a, b"), "A");
    assert_eq!(bench.ask('C', "a"), "AC", "a would lie idle");
    assert_eq!(bench.ask('D', "b"), "AC", "b is kept for B");
    assert_eq!(bench.release('A'), "C");
    assert_eq!(bench.ask('E', "a"), "C", "it was taken from under B once");
    assert_eq!(bench.release('C'), "B");
    assert_eq!(bench.release('B'), "DE");
}

#[test]
fn the_count_limits_counting_and_sole_use_is_sole() {
    let mut bench = Bench::new(&[lock("l", LockKind::Master, 3)]);
    for (who, expected) in [('A', "A"), ('B', "AB"), ('C', "ABC"), ('D', "ABC")] {
        assert_eq!(bench.ask(who, "l"), expected);
    }
    let mut bench = Bench::new(&[lock("l", LockKind::Master, 3)]);
    assert_eq!(bench.ask('A', "l exclusive"), "A");
    assert_eq!(bench.ask('B', "l"), "A");
    assert_eq!(bench.ask('C', "l"), "A");
    assert_eq!(bench.release('A'), "BC");
}

#[test]
fn a_slave_lock_is_one_for_each_slave_with_its_own_count() {
    let mut cpu = lock("cpu", LockKind::Slave, 1);
    cpu.max_count_for_slave = BTreeMap::from([("big".into(), 2)]);
    let mut bench = Bench::new(&[cpu]);
    assert_eq!(bench.ask_on('A', "small", "cpu"), "A");
    assert_eq!(bench.ask_on('B', "small", "cpu"), "A");
    assert_eq!(bench.ask_on('C', "big", "cpu"), "AC");
    assert_eq!(bench.ask_on('D', "big", "cpu"), "ACD");
    assert_eq!(bench.ask_on('E', "big", "cpu"), "ACD");
    let busy = bench.locks.waits_for(Owner(u64::from(u32::from('E'))));
    let busy = busy.expect("it waits");
    assert_eq!(busy.lock, "lock cpu of slave big");
    assert_eq!(busy.holders.len(), 2);
}

#[test]
fn a_new_count_holds_at_once_and_nobody_loses_what_he_has() {
    let mut bench = Bench::new(&[lock("l", LockKind::Master, 2)]);
    bench.ask('A', "l");
    bench.ask('B', "l");
    assert_eq!(bench.ask('C', "l"), "AB");
    bench.locks.plan(&[lock("l", LockKind::Master, 3)]);
    assert_eq!(bench.look(), "ABC");
    bench.locks.plan(&[lock("l", LockKind::Master, 1)]);
    bench.ask('D', "l");
    assert_eq!(bench.release('A'), "BC");
    assert_eq!(bench.release('B'), "C");
    bench.locks.plan(&[]);
    assert_eq!(
        bench.release('C'),
        "D",
        "a lock that has left is still kept"
    );
}

#[test]
fn what_was_held_before_a_restart_is_held_again_whatever_the_count() {
    let mut locks = Locks::default();
    locks.plan(&[lock("l", LockKind::Master, 1)]);
    let slave = SlaveName::from("s1");
    let one = locks.retake(Owner(1), &slave, &wants("l"));
    let two = locks.retake(Owner(2), &slave, &wants("l"));
    assert_eq!(locks.take(None, Owner(3), &slave, &wants("l")), None);
    locks.release(one);
    assert_eq!(locks.take(None, Owner(3), &slave, &wants("l")), None);
    locks.release(two);
    assert!(locks.take(None, Owner(3), &slave, &wants("l")).is_some());
}

#[test]
fn nobody_waits_for_a_lock_of_his_own() {
    let mut locks = Locks::default();
    locks.plan(&[lock("l", LockKind::Master, 2)]);
    let slave = SlaveName::from("s1");
    let held = locks
        .take(None, Owner(1), &slave, &wants("l"))
        .expect("free");
    let busy = locks
        .ask(Owner(1), &slave, &wants("l"))
        .expect_err("its own");
    assert_eq!(busy.holders, [Owner(1)]);
    locks.release(held);
    locks
        .ask(Owner(1), &slave, &wants("l"))
        .expect("given back");
}

/// Whatever is asked and given back, in whatever order.
#[test]
fn no_lock_is_ever_held_by_too_many_and_nothing_waits_for_ever() {
    let mut seed = 7_u32;
    let mut random = |below: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) % below
    };
    let plans = [
        lock("a", LockKind::Master, 1),
        lock("b", LockKind::Master, 3),
        lock("c", LockKind::Slave, 2),
    ];
    let mut locks = Locks::default();
    locks.plan(&plans);
    let mut held: Vec<LockHeld> = Vec::new();
    let mut waiting = BTreeSet::new();
    for turn in 0..20_000_u64 {
        if turn < 15_000 && random(2) == 0 {
            let mut uses = Vec::new();
            for plan in &plans {
                if random(2) == 0 {
                    let access = [Access::Counting, Access::Exclusive][random(2) as usize];
                    let lock = plan.name.clone();
                    uses.push(LockUse { lock, access });
                }
            }
            let slave = SlaveName::from(["s1", "s2"][random(2) as usize]);
            waiting.insert(locks.ask(Owner(turn), &slave, &uses).expect("a new owner"));
        } else if !held.is_empty() {
            let at = random(u32::try_from(held.len()).expect("few")) as usize;
            locks.release(held.swap_remove(at));
        }
        for it in locks.granted() {
            assert!(waiting.remove(&it.claim()), "it had asked");
            held.push(it);
        }
        for (key, holders) in &locks.held {
            let sole = holders.values().any(|it| it.1 == Access::Exclusive);
            let count = locks.plans[&key.lock].max_count as usize;
            assert!(if sole {
                holders.len() == 1
            } else {
                holders.len() <= count
            });
        }
    }
    assert!(waiting.is_empty() && held.is_empty(), "{}", waiting.len());
}

#[test]
fn uses_are_lines_commas_or_a_list() {
    let check = |text: &str, expected: &[&str]| {
        let shown: Vec<String> = wants(text).iter().map(ToString::to_string).collect();
        assert_eq!(shown, expected, "{text}");
    };
    check("", &[]);
    check("cpu", &["cpu counting"]);
    check(
        "cpu, database exclusive",
        &["cpu counting", "database exclusive"],
    );
    check(
        "\n  cpu counting\n  database   exclusive",
        &["cpu counting", "database exclusive"],
    );
    check(
        "[\"cpu\", \"database exclusive\"]",
        &["cpu counting", "database exclusive"],
    );
    let source = Source::new("m.toml", "/base", "k = [\"a exclusive\", \"b\"]");
    let mut problems = Problems::default();
    let entries = toml::read(&source, &mut problems);
    let place = crate::syntax::Place::new(&source, 0..0);
    let mut keys = Keys::of_entries("[[steps]]", &place, &entries, &mut problems);
    let uses = keys.required::<LockUses>("k").expect("a list");
    let places: Vec<&str> = uses.placed().map(|it| it.1.text()).collect();
    assert_eq!(places, ["\"a exclusive\"", "\"b\""]);
    assert_eq!(format!("{uses:?}").matches("Place").count(), 0);
}

fn problems(text: &str, ask: impl FnOnce(&mut Keys<'_>)) -> String {
    let source = Source::new("master.ini", "/base", text);
    let mut problems = Problems::default();
    let tree = ini::read(&source, &mut problems);
    let mut keys = Keys::of(&tree.sections[0], &mut problems);
    ask(&mut keys);
    keys.finish();
    problems.render(false)
}

#[test]
fn uses_that_cannot_be_read_are_told_with_their_place() {
    let text = "[a]\nx = cpu database\ny = cpu, exclusive\nz = cpu shared, b\nw += a\nw -= b\n";
    let shown = problems(text, |keys| {
        for name in ["x", "y", "z", "w"] {
            assert_eq!(keys.required::<LockUses>(name), None);
        }
    });
    insta::assert_snapshot!(shown, @"
    error[bad-value]: bad value for `x` in [a]
     --> master.ini:2:5
      |
    2 | x = cpu database
      |     ^^^^^^^^^^^^ expected a comma or a new line between `cpu` and `database`, or `counting` or `exclusive` behind the name

    error[bad-value]: bad value for `y` in [a]
     --> master.ini:3:10
      |
    3 | y = cpu, exclusive
      |          ^^^^^^^^^ expected the name of a lock

    error[bad-value]: bad value for `z` in [a]
     --> master.ini:4:5
      |
    4 | z = cpu shared, b
      |     ^^^^^^^^^^ expected a comma or a new line between `cpu` and `shared`, or `counting` or `exclusive` behind the name

    error[bad-value]: bad value for `w` in [a]
     --> master.ini:6:6
      |
    6 | w -= b
      |      ^ the list has no such item to remove
    ");
}

#[test]
fn a_lock_section_is_read_under_its_old_names_too() {
    let text = "[lock:cpu]\ntype = SlaveLock\nmaxCount = 2\nmaxCountForSlave.big = 8\n";
    let shown = problems(text, |keys| {
        let read = read("cpu", keys).expect("a lock").plan;
        assert_eq!((read.kind, read.max_count), (LockKind::Slave, 2));
        assert_eq!(read.max_count_for_slave[&SlaveName::from("big")], 8);
    });
    assert_eq!(shown, "");
    let text = "[lock:cpu]\ntype = mutex\nmax_count = 0\nmax_cuont = 1\n";
    let shown = problems(text, |keys| assert!(read("cpu", keys).is_none()));
    insta::assert_snapshot!(shown, @"
    error[bad-value]: bad value for `type` in [lock:cpu]
     --> master.ini:2:8
      |
    2 | type = mutex
      |        ^^^^^ expected `master` (one for all) or `slave` (one for each slave)

    error[bad-value]: bad value for `max_count` in [lock:cpu]
     --> master.ini:3:13
      |
    3 | max_count = 0
      |             ^ expected a whole number from 1

    error[unknown-key]: unknown key `max_cuont` in [lock:cpu]
     --> master.ini:4:1
      |
    4 | max_cuont = 1
      | ^^^^^^^^^ did you mean `max_count`?
    ");
    let text = "[lock:cpu]\nmax_count_for_slave.a = 2\n";
    let shown = problems(text, |keys| assert!(read("cpu", keys).is_none()));
    insta::assert_snapshot!(shown, @"
    error[contradiction]: lock `cpu` is one for the whole master
     --> master.ini:2:25
      |
    2 | max_count_for_slave.a = 2
      |                         ^ so it has no count for a slave
      |
      = help: `type = slave` makes it one for each slave
    ");
}

#[test]
fn what_cannot_work_is_told_before_anybody_waits() {
    let text = "[lock:cpu]\ntype = slave\nmax_count_for_slave.linx = 2\n[lock:database]\n[x]\n\
                builder = cpu, database, cpu\nstep = database exclusive, dtabase\nslave = cpu\n";
    let source = Source::new("master.ini", "/base", text);
    let mut problems = Problems::default();
    let tree = ini::read(&source, &mut problems);
    let mut sections = Vec::new();
    for (section, name) in tree.sections.iter().zip(["cpu", "database"]) {
        sections.extend(read(name, &mut Keys::of(section, &mut problems)));
    }
    let mut keys = Keys::of(&tree.sections[2], &mut problems);
    let own: LockUses = keys.required("builder").expect("uses");
    let step: LockUses = keys.required("step").expect("uses");
    let slave: LockUses = keys.required("slave").expect("uses");
    let builder = |name| BuilderLocks {
        name,
        own: &own,
        slaves: vec![("linux", &slave)],
        steps: vec![("test".to_owned(), step.clone())],
    };
    let linux = SlaveName::from("linux");
    let told = check(&sections, &[&linux], &[builder("one"), builder("two")]);
    insta::assert_snapshot!(told.render(false), @"
    error[unknown-slave]: unknown slave `linx`
     --> master.ini:3:28
      |
    3 | max_count_for_slave.linx = 2
      |                            ^ did you mean `linux`?

    error[lock-use]: each build of builder `one` would take lock `cpu` twice
     --> master.ini:6:11
      |
    6 | builder = cpu, database, cpu
      |           ^^^ cannot be had here
    7 | step = database exclusive, dtabase
    8 | slave = cpu
      |         --- slave `linux` takes it for each of its builds

    error[lock-use]: lock `cpu` stands twice in one list
     --> master.ini:6:26
      |
    6 | builder = cpu, database, cpu
      |           ---            ^^^ the second one
      |           |
      |           the first one

    error[lock-use]: step `test` of builder `one` would wait for lock `database` for ever
     --> master.ini:7:8
      |
    6 | builder = cpu, database, cpu
      |                -------- the builder holds it already
    7 | step = database exclusive, dtabase
      |        ^^^^^^^^^^^^^^^^^^ cannot be had here

    error[unknown-lock]: unknown lock `dtabase`
     --> master.ini:7:28
      |
    7 | step = database exclusive, dtabase
      |                            ^^^^^^^ did you mean `database`?
    ");
}

#[test]
fn builds_that_may_wait_for_each_other_are_told() {
    let text = "[lock:a]\n[lock:b]\n[lock:c]\n[x]\nab = a\nabs = b\nbc = b\nbcs = c\nca = c\n\
                cas = a\nok = a\noks = c\n";
    let source = Source::new("master.ini", "/base", text);
    let mut problems = Problems::default();
    let tree = ini::read(&source, &mut problems);
    let mut sections = Vec::new();
    for (section, name) in tree.sections.iter().zip(["a", "b", "c"]) {
        sections.extend(read(name, &mut Keys::of(section, &mut problems)));
    }
    let mut keys = Keys::of(&tree.sections[3], &mut problems);
    let mut uses = |name: &str| keys.required::<LockUses>(name).expect("uses");
    let all: Vec<_> = ["ab", "bc", "ca", "ok"]
        .map(|name| (name, uses(name), uses(&format!("{name}s"))))
        .into();
    let builders: Vec<_> = all
        .iter()
        .map(|(name, own, step)| BuilderLocks {
            name,
            own,
            slaves: vec![],
            steps: vec![("test".to_owned(), step.clone())],
        })
        .collect();
    let told = check(&sections, &[], &builders[..2]);
    assert_eq!(told.render(false), "", "one way is none");
    let told = check(&sections, &[], &builders);
    insta::assert_snapshot!(told.render(false), @"
    warning[lock-use]: builds may wait for each other for ever: step `test` of builder `ca` asks for lock `a` while it has `c`
      --> master.ini:10:7
       |
     6 | abs = b
       |       - step `test` of builder `ab` asks for `b` while it has `a`
    ...
    10 | cas = a
       |       ^ asked for here
       |
       = help: let all of them ask in the same order, or take both locks at once

    warning[lock-use]: builds may wait for each other for ever: step `test` of builder `ok` asks for lock `c` while it has `a`
      --> master.ini:12:7
       |
    10 | cas = a
       |       - step `test` of builder `ca` asks for `a` while it has `c`
    11 | ok = a
    12 | oks = c
       |       ^ asked for here
       |
       = help: let all of them ask in the same order, or take both locks at once
    ");
}
