//! Nothing is lost, simulated: a master and its slaves as they are, on lines
//! and hosts that fail as a seed will have it, in a time that is only counted.
//! The same promise is kept by real processes in `tests/farm/torture.rs`.
//!
//! What is played are the line ([`line`]), the programs that commands run
//! ([`script`]), the host under a slave, and the clock. Everything else is what
//! runs in earnest: the store with its transactions, the core, builds and
//! steps, the protocol, the slave's session and its spool.
//!
//! `AUTOBOT_SEED=17 cargo nextest run simulation` plays one seed, and tells its story. Usually every
//! fourth seed is played; with `AUTOBOT_TEST_FULL=1` all of them are.

mod chance;
mod check;
mod farm;
mod faults;
mod line;
mod script;
mod world;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::Builder;

use world::World;

/// What broke off anywhere in this process.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[test]
fn nothing_is_lost_or_doubled_whatever_is_killed_first_part() {
    play(0..500);
}

#[test]
fn nothing_is_lost_or_doubled_whatever_is_killed_second_part() {
    play(500..1000);
}

#[test]
fn nothing_is_lost_or_doubled_whatever_is_killed_third_part() {
    play(1000..1500);
}

#[test]
fn nothing_is_lost_or_doubled_whatever_is_killed_fourth_part() {
    play(1500..2000);
}

fn play(seeds: Range<u64>) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let mut panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
            panics.push(info.to_string());
            usual(info);
        }));
    });
    let wanted = std::env::var("AUTOBOT_SEED").ok();
    let wanted: Option<u64> = wanted.map(|it| it.parse().expect("a number"));
    let step = match super::is_full() {
        true => 1,
        false => 4,
    };
    let seeds = wanted.map_or(seeds, |seed| seed..seed + 1);
    for seed in seeds.step_by(step) {
        let played = catch_unwind(AssertUnwindSafe(|| play_one(seed)));
        let panics = std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner));
        let (mut wrong, story) = played.unwrap_or_default();
        wrong.extend(panics);
        if !wrong.is_empty() || wanted.is_some() {
            let (wrong, story) = (wrong.join("\n"), story.join("\n"));
            assert!(
                wrong.is_empty() && wanted.is_some(),
                "seed {seed}:\n{wrong}\n\nthe story of seed {seed}:\n{story}\n\n\
                 (AUTOBOT_SEED={seed} plays this one alone)"
            );
            use std::io::Write as _;
            let _ = writeln!(std::io::stdout(), "{story}");
        }
    }
}

/// Plays one seed; gives what is wrong at its end, and what happened.
fn play_one(seed: u64) -> (Vec<String>, Vec<String>) {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let world = World::new(seed);
        let wrong = world.play().await;
        (wrong, world.story())
    })
}
