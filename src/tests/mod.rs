//! What is tested over all rooms at once.

mod simulation;
