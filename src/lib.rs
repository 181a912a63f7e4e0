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
//! [`expr`] (conditions), [`process`] (children well run), [`xml`] (what some
//! of them print) and the clock;
//! [`expr`] (conditions), [`locks`] (who may build while who else does),
//! [`process`] (children well run) and the clock;
//! above them [`config`], [`scaffold`], [`client`] and [`cli`].
//! `tests/rooms.rs` says which room may name which.

mod changes;
mod cli;
mod client;
mod clock;
mod config;
mod expr;
mod factories;
mod locks;
mod logs;
mod master;
mod model;
mod process;
mod reporters;
mod scaffold;
mod schedulers;
mod secrets;
mod slave;
mod steps;
mod store;
mod syntax;
mod web;
mod wire;
mod xml;

pub use cli::main;
#[doc(hidden)]
pub use config::fuzz_config;

/// Reads the configuration in `dir` as a master does and tells how many
/// builders it has: for benchmarks.
///
/// # Errors
/// Its problems, as they are shown.
#[doc(hidden)]
pub fn load_configuration(dir: &std::path::Path) -> Result<usize, String> {
    match config::load(dir) {
        Ok(plan) => Ok(plan.builders.len()),
        Err(problems) => Err(problems.render(false)),
    }
}

/// A configuration that was read, to be read again as a master that runs does:
/// for benchmarks.
#[doc(hidden)]
pub struct Reloaded {
    plan: config::Plan,
    prints: config::Prints,
}

impl Reloaded {
    /// Reads the configuration in `dir`.
    ///
    /// # Errors
    /// Its problems, as they are shown.
    pub fn load(dir: &std::path::Path) -> Result<Self, String> {
        let plan = config::load(dir).map_err(|problems| problems.render(false))?;
        let prints = config::Prints::default();
        Ok(Self { plan, prints })
    }

    /// Reads it again, and says what is different.
    ///
    /// # Errors
    /// Its problems, as they are shown.
    pub fn reload(&mut self, dir: &std::path::Path) -> Result<Vec<String>, String> {
        let plan = config::load(dir).map_err(|problems| problems.render(false))?;
        let difference = config::Difference::between(&self.plan, &plan, &mut self.prints);
        self.plan = plan;
        Ok(difference.lines())
    }
}
