//! What the sources of one repository have in common: one clone, which one of them uses at a
//! time, and what was seen there last. The first that is due looks for all of them; the others
//! go on from what it saw. It does not know what a repository is.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::Weak;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use sha2::Digest;
use sha2::Sha256;
use tokio::sync::MutexGuard;
use tokio::time::Instant;

use crate::model::hex;

use super::mirror::PollError;

/// More than this of what a program said is not remembered for others.
const REMEMBERED: usize = 4 << 20;

/// The yards of a master, by what is followed in them.
#[derive(Debug)]
pub(crate) struct Yards {
    dir: PathBuf,
    all: Mutex<HashMap<String, Weak<Yard>>>,
}

impl Yards {
    /// Their clones lie in `dir`.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            all: Mutex::default(),
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The master's base directory, where paths of the configuration begin.
    pub(super) fn base(&self) -> PathBuf {
        self.dir.parent().unwrap_or(&self.dir).to_owned()
    }

    /// What a yard is called, and the name of its directory.
    fn name(vcs: &str, program: &str, url: &str) -> (String, String) {
        let name = format!("{vcs}\n{program}\n{url}");
        let dir = dir_name(&name);
        (name, dir)
    }

    /// The name of the directory in which the clone of a repository lies.
    pub(super) fn dir_of(vcs: &str, program: &str, url: &str) -> String {
        Self::name(vcs, program, url).1
    }

    /// The yard of a repository as `program` asks for it, the same for all who want it now.
    pub(super) fn of(&self, vcs: &str, program: &str, url: &str) -> Arc<Yard> {
        let (name, dir) = Self::name(vcs, program, url);
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(yard) = all.get(&name).and_then(Weak::upgrade) {
            return yard;
        }
        all.retain(|_, it| it.strong_count() > 0);
        let yard = Yard::at(self.dir.join(dir));
        all.insert(name, Arc::downgrade(&yard));
        yard
    }
}

/// A directory's name for what may have any: twenty digits and small letters up to f.
pub(super) fn dir_name(of: &str) -> String {
    let digest = Sha256::digest(of.as_bytes());
    hex(&digest[..10])
}

/// Whether [`dir_name`] may have given this name.
pub(crate) fn is_dir_name(name: &str) -> bool {
    name.len() == 20
        && name
            .bytes()
            .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
}

/// What the sources of one repository share.
#[derive(Debug)]
pub(crate) struct Yard {
    dir: PathBuf,
    last: tokio::sync::Mutex<Option<Look>>,
    /// What each of the sources asks for.
    wanted: Mutex<BTreeMap<u64, BTreeSet<String>>>,
    names: AtomicU64,
}

/// What was seen of the repository, and when.
#[derive(Debug)]
struct Look {
    began: Instant,
    ended: Instant,
    /// What was asked for.
    wanted: BTreeSet<String>,
    seen: Result<Arc<Seen>, Arc<PollError>>,
}

/// What one look at a repository brought.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Of git: where each of the refs is that were asked for.
    pub(super) refs: BTreeMap<String, String>,
    /// Of git: the ref that the remote itself checks out.
    pub(super) head: Option<String>,
    /// What programs said since, by what they were asked.
    said: Mutex<BTreeMap<String, String>>,
}

/// A source's part in the asking; it asks no more when this is dropped.
#[derive(Debug)]
pub(super) struct Want {
    yard: Arc<Yard>,
    name: u64,
    what: BTreeSet<String>,
}

/// Whose turn it is in the yard.
pub(super) struct Turn<'a> {
    yard: &'a Yard,
    last: MutexGuard<'a, Option<Look>>,
}

/// What came of asking for a look.
pub(super) struct Answer {
    pub(super) seen: Result<Arc<Seen>, PollError>,
    /// Whether nobody else had looked.
    pub(super) is_own: bool,
}

impl Yard {
    /// A yard whose clone is `dir`.
    pub(super) fn at(dir: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            dir,
            last: tokio::sync::Mutex::default(),
            wanted: Mutex::default(),
            names: AtomicU64::default(),
        })
    }

    /// Asks for `what` whenever anybody looks.
    pub(super) fn want(self: &Arc<Self>, what: BTreeSet<String>) -> Want {
        let name = self.names.fetch_add(1, Ordering::Relaxed);
        Want {
            yard: Arc::clone(self),
            name,
            what,
        }
    }

    /// Waits until nobody else is at work here.
    pub(super) async fn turn(&self) -> Turn<'_> {
        Turn {
            yard: self,
            last: self.last.lock().await,
        }
    }

    fn wanted(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, BTreeSet<String>>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Want {
    pub(super) fn yard(&self) -> &Yard {
        &self.yard
    }

    /// From now on others ask for it, too.
    pub(super) fn show(&self) {
        let mut wanted = self.yard.wanted();
        wanted.entry(self.name).or_insert_with(|| self.what.clone());
    }
}

impl Drop for Want {
    fn drop(&mut self) {
        self.yard.wanted().remove(&self.name);
    }
}

impl Turn<'_> {
    pub(super) fn dir(&self) -> &Path {
        &self.yard.dir
    }

    /// What all of the yard ask for.
    pub(super) fn wanted(&self) -> BTreeSet<String> {
        self.yard.wanted().values().flatten().cloned().collect()
    }

    /// When the last look ended.
    pub(super) fn looked_at(&self) -> Option<Instant> {
        self.last.as_ref().map(|it| it.ended)
    }

    /// What was seen by whoever looked after `since` for what `want` asks; if nobody has,
    /// what `look` brings.
    pub(super) async fn look(
        &mut self,
        want: &Want,
        since: Instant,
        look: impl Future<Output = Result<Seen, PollError>> + Send,
    ) -> Answer {
        let is_fit = |it: &&Look| it.began > since && want.what.is_subset(&it.wanted);
        if let Some(last) = self.last.as_ref().filter(is_fit) {
            return Answer {
                seen: last.told(),
                is_own: false,
            };
        }
        let wanted = self.wanted();
        let began = Instant::now();
        // One that is given up half way is none.
        *self.last = None;
        let seen = look.await.map(Arc::new).map_err(Arc::new);
        let look = Look {
            began,
            ended: Instant::now(),
            wanted,
            seen,
        };
        let seen = look.told();
        *self.last = Some(look);
        Answer { seen, is_own: true }
    }

    /// What was seen is no longer what is there.
    pub(super) fn forget(&mut self) {
        *self.last = None;
    }
}

impl Look {
    fn told(&self) -> Result<Arc<Seen>, PollError> {
        self.seen
            .as_ref()
            .map(Arc::clone)
            .map_err(|error| PollError::Shared(Arc::clone(error)))
    }
}

impl Seen {
    /// What a program said to the same question since the look.
    pub(super) fn said(&self, asked: &str) -> Option<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.get(asked).cloned()
    }

    pub(super) fn remember(&self, asked: &str, answer: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let size: usize = said.values().map(String::len).sum();
        if size + answer.len() <= REMEMBERED {
            said.insert(asked.to_owned(), answer.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn set(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|it| (*it).to_owned()).collect()
    }

    async fn look(want: &Want, since: Instant) -> bool {
        let mut turn = want.yard().turn().await;
        turn.look(want, since, async { Ok(Seen::default()) })
            .await
            .is_own
    }

    #[tokio::test(start_paused = true)]
    async fn one_looks_for_all_who_want_the_same_and_nobody_is_told_what_is_old() {
        let yards = Yards::new("/pollers".into());
        let yard = yards.of("git", "git", "/srv/x");
        assert!(Arc::ptr_eq(&yard, &yards.of("git", "git", "/srv/x")));
        assert!(!Arc::ptr_eq(&yard, &yards.of("git", "git", "/srv/y")));
        let (one, two) = (yard.want(set(&["a"])), yard.want(set(&["b"])));
        one.show();
        let start = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(look(&one, start).await);
        assert!(!look(&one, start).await, "it was just looked at");
        two.show();
        assert!(look(&two, start).await, "nobody had asked for that");
        assert!(!look(&one, start).await);
        assert!(look(&one, Instant::now()).await, "this was before");
        drop(two);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(look(&one, Instant::now() - Duration::from_millis(1)).await);
        assert_eq!(yard.turn().await.wanted(), set(&["a"]));
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_second_is_told_why_the_first_saw_nothing() {
        let yard = Yard::at("/x".into());
        let want = yard.want(set(&[]));
        let start = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        let refused = || async {
            Err(PollError::Unreadable {
                program: "git".into(),
            })
        };
        let mut turn = yard.turn().await;
        for is_own in [true, false] {
            let answer = turn.look(&want, start, refused()).await;
            let error = answer.seen.expect_err("nothing was seen");
            assert_eq!(
                error.to_string(),
                "`git` printed something that cannot be read"
            );
            assert_eq!(answer.is_own, is_own);
        }
    }
}
