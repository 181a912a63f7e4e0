//! How much a decision looks at, counted in tests only: time depends on the
//! machine and on who else uses it, this does not.

#[cfg(test)]
use std::cell::Cell;

#[cfg(test)]
thread_local! {
    static MADE: Cell<u64> = const { Cell::new(0) };
}

/// A request, a slave or a rule was looked at.
pub(super) fn made() {
    #[cfg(test)]
    MADE.with(|it| it.set(it.get() + 1));
}

/// What was looked at meanwhile.
#[cfg(test)]
pub(super) fn of<T>(act: impl FnOnce() -> T) -> (u64, T) {
    let before = MADE.with(Cell::get);
    let done = act();
    (MADE.with(Cell::get) - before, done)
}
