//! What is tested over all rooms at once.

mod from_buildbot;
mod simulation;
