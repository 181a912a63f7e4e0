//! Long lists, worked on by all cores at once.

use std::num::NonZero;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

/// More threads would need more memory than they save time.
const MOST: usize = 4;

/// Each item's result, in the order of the items. Every thread works on runs of
/// `run` items, so it should be work of a millisecond or so; a list that is no
/// longer is worked on by the caller alone.
///
/// # Panics
/// If `work` does.
pub(crate) fn map<T, R>(items: &[T], run: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R>
where
    T: Sync,
    R: Send,
{
    let runs = items.len().div_ceil(run);
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = threads.min(MOST).min(runs);
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(run) = items.chunks(run).nth(at) else {
                return done;
            };
            done.push((at, run.iter().map(&work).collect::<Vec<_>>()));
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(take)).collect();
        let mut done = take();
        for other in others {
            match other.join() {
                Ok(theirs) => done.extend(theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().flat_map(|(_, results)| results).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for (count, run) in [(0, 1), (1, 8), (7, 3), (1000, 7)] {
            let items: Vec<usize> = (0..count).collect();
            let doubled: Vec<usize> = items.iter().map(|it| it * 2).collect();
            assert_eq!(map(&items, run, |it| it * 2), doubled, "{count} by {run}");
        }
    }

    #[test]
    #[should_panic(expected = "item 500")]
    fn who_panics_is_heard() {
        let items: Vec<usize> = (0..1000).collect();
        map(&items, 3, |it| assert!(*it != 500, "item {it}"));
    }
}
