//! autobot: a continuous-integration appliance. This page is the map.
//!
//! A change walks through the rooms in this order:
//!
//! 1. [`changes`] notice it and hand it to the store;
//! 2. [`schedulers`] wait until the tree is stable and ask for a buildset;
//! 3. [`master`] makes requests of it, chooses a slave and runs the build
//!    that [`factories`] planned, step after step ([`steps`]);
//! 4. each step says commands, which go over the [`wire`] to a [`slave`];
//! 5. what they print comes back into [`logs`], how they ended is judged;
//! 6. the [`store`] has written down every decision before it took effect;
//! 7. the [`web`] shows it; [`reporters`] say who else is to hear of it.
//!
//! Below them lie [`model`] (the nouns), [`syntax`] (text with places),
//! [`expr`] (conditions), [`locks`] (who may build while who else does), [`estimate`] (how long it still takes),
//! [`process`] (children well run), [`mail`] (a letter and its relay), [`ssh`] (other hosts), [`xml`] (what some
//! programs print), [`tls`] (a line that nobody else can read), [`logins`] (passwords, tickets, patience), [`cores`] (long
//! lists, by all cores at once) and the clock;
//! above them [`config`], [`scaffold`], [`client`] and [`cli`].
//! `tests/rooms.rs` says which room may name which.

mod buildbot;
mod changes;
mod cli;
mod client;
mod clock;
mod config;
mod cores;
mod estimate;
mod expr;
mod factories;
mod locks;
mod logins;
mod logs;
mod mail;
mod master;
mod metrics;
mod model;
mod process;
mod reporters;
mod scaffold;
mod schedulers;
mod secrets;
mod slave;
mod ssh;
mod steps;
mod store;
mod syntax;
#[cfg(test)]
mod tests;
mod tls;
mod web;
mod wire;
mod xml;

#[doc(hidden)]
pub use buildbot::fuzz_wire;
pub use cli::main;
#[doc(hidden)]
pub use config::fuzz_config;
#[doc(hidden)]
pub use master::{QueueBench, fill_history};
#[doc(hidden)]
pub use web::{index_log, paint_log};
#[doc(hidden)]
pub use wire::WireBench;

/// A configuration that was read as a master reads it, to be read again as one
/// that runs does: for benchmarks.
#[doc(hidden)]
pub struct Configuration(config::Plan);

impl Configuration {
    /// Reads the configuration in `dir`.
    ///
    /// # Errors
    /// Its problems, as they are shown.
    pub fn load(dir: &std::path::Path) -> Result<Self, String> {
        let loaded = config::load(dir);
        loaded.map(Self).map_err(|problems| problems.render(false))
    }

    /// How many builders it has.
    #[must_use]
    pub fn builders(&self) -> usize {
        self.0.builders.len()
    }

    /// Reads it again, and says what is different; gives what it was.
    ///
    /// # Errors
    /// Its problems, as they are shown.
    pub fn reload(&mut self, dir: &std::path::Path) -> Result<(Vec<String>, Self), String> {
        let loaded = config::load_again(dir, &self.0.known);
        let new = loaded
            .map(Self)
            .map_err(|problems| problems.render(false))?;
        let lines = config::Difference::between(&self.0, &new.0).lines();
        Ok((lines, std::mem::replace(self, new)))
    }
}

/// The steps of a build that is over, by name: how long each took (`None`: it was skipped), how
/// much it said, and at which part of its time, in 255ths, each further eighth of that: for
/// benchmarks.
#[doc(hidden)]
pub type Laps = Vec<(String, Option<std::time::Duration>, u64, Option<[u8; 7]>)>;

/// What earlier builds say of the next one: for benchmarks.
#[doc(hidden)]
pub struct Foresight(estimate::History);

impl Foresight {
    /// Takes the slaves and steps of builds, the newest first.
    #[must_use]
    pub fn new(runs: impl IntoIterator<Item = (String, Laps)>) -> Self {
        let lap = |(name, took, said, pace): (_, _, _, Option<_>)| model::Lap {
            name,
            took,
            metrics: vec![model::Metric {
                name: model::OUTPUT.to_owned(),
                value: said,
                pace: pace.map(model::Pace),
            }],
        };
        let runs = runs.into_iter().map(|(slave, laps)| model::PastRun {
            slave: slave.into(),
            laps: laps.into_iter().map(lap).collect(),
        });
        Self(estimate::History::new(runs.collect()))
    }

    /// Low, middle and high of what is left of these steps; the first may have been running and
    /// have said something. `None` if that is not known, or overdue.
    #[must_use]
    pub fn left(
        &self,
        slave: &str,
        steps: &[(&str, Option<(std::time::Duration, u64)>)],
    ) -> Option<[std::time::Duration; 3]> {
        let reached = |said| model::Reached {
            name: model::OUTPUT.to_owned(),
            value: said,
            announced: None,
        };
        let said: Vec<_> = steps
            .iter()
            .map(|it| it.1.map(|(elapsed, said)| (elapsed, [reached(said)])))
            .collect();
        let steps: Vec<_> = steps
            .iter()
            .zip(&said)
            .map(|((name, _), running)| estimate::StepNow {
                name,
                running: running.as_ref().map(|it| (it.0, it.1.as_slice())),
            })
            .collect();
        match self.0.left(&slave.into(), &steps)? {
            estimate::Left::Within(it) => Some([it.low, it.middle, it.high]),
            estimate::Left::Overdue(_) => None,
        }
    }
}

/// Fills properties in, as in a command: for benchmarks.
///
/// # Errors
/// What is wrong with the text, or which property is missing.
#[doc(hidden)]
pub fn fill_in(text: &str, properties: &[(&str, &str)]) -> Result<String, String> {
    let mut all = model::Properties::new();
    for (name, value) in properties {
        all.set(*name, *value, "bench");
    }
    let text = model::Text::parse(text).map_err(|error| error.what)?;
    text.render(&all).map_err(|error| error.name)
}

/// Stores what a command has printed as its log is stored: for benchmarks.
///
/// # Errors
/// The disk.
#[doc(hidden)]
pub fn store_log(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    logs::append::write_whole(path, model::Channel::Stdout, text)
}
