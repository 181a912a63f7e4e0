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
//! 7. the [`web`] shows it.
//!
//! Below them lie [`model`] (the nouns), [`syntax`] (text with places),
//! [`expr`] (conditions), [`process`] (children well run) and the clock;
//! above them [`config`], [`scaffold`], [`client`] and [`cli`].
//! `tests/rooms.rs` says which room may name which.

mod changes;
mod cli;
mod client;
mod clock;
mod config;
mod expr;
mod factories;
mod logs;
mod master;
mod model;
mod process;
mod scaffold;
mod schedulers;
mod slave;
mod steps;
mod store;
mod syntax;
mod web;
mod wire;

pub use cli::main;
