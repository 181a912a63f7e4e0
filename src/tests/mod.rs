//! What is tested over all rooms at once.

mod from_buildbot;
mod simulation;

/// Whether those that walk through very much, and usually through a part of it, walk through all:
/// `AUTOBOT_TEST_FULL=1`.
pub(crate) fn is_full() -> bool {
    std::env::var("AUTOBOT_TEST_FULL").is_ok_and(|it| it == "1")
}
