//! What survives. The verbs are the trade's own; each is one transaction or
//! part of one: [`StoreHandle::write`] runs a closure of verbs as a
//! transaction on the store's own thread, and commits those that wait
//! together in one go.

#[cfg(test)]
mod artifact_tests;
#[cfg(test)]
mod events_tests;
#[cfg(test)]
mod failing_tests;
mod handle;
mod logins;
#[cfg(test)]
mod logins_tests;
pub(crate) mod runs;
mod sqlite;
#[cfg(test)]
mod test_results_tests;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::Value;

use crate::model::Artifact;
use crate::model::BuildId;
use crate::model::BuildKey;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::BuildsetId;
use crate::model::Change;
use crate::model::ChangeId;
use crate::model::ConfigId;
use crate::model::EventRecord;
use crate::model::Exit;
use crate::model::Failing;
use crate::model::HeldLocks;
use crate::model::LockUse;
use crate::model::NewBuildset;
use crate::model::NewChange;
use crate::model::NewEvent;
use crate::model::Outcome;
use crate::model::PastRun;
use crate::model::PastTest;
use crate::model::Properties;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::SchedulerName;
use crate::model::SlaveName;
use crate::model::SourceStamp;
use crate::model::StepRecord;
use crate::model::Subject;
use crate::model::TestEnd;
use crate::model::TestResult;
use crate::model::TestResults;
use crate::model::Timestamp;
use crate::model::User;
use crate::model::UserId;
use crate::model::UserSection;

#[cfg(test)]
pub(crate) use handle::bench;
pub(crate) use handle::{Promise, StoreHandle};
pub(crate) use logins::{
    Act, AuditId, AuditQuery, AuditRecord, LoginStore, NewAudit, NewSession, NewToken,
    SessionLimits, Token,
};
#[cfg(test)]
pub(crate) use sqlite::effort;

/// Makes the database file of a new master, or brings an older one up to date.
///
/// # Errors
/// The file cannot be made, or is not a database of autobot.
pub(crate) fn create(path: &std::path::Path) -> Result<()> {
    sqlite::Sqlite::open(path).map(drop)
}

/// The version of the database engine.
pub(crate) fn engine_version() -> &'static str {
    rusqlite::version()
}

/// Runs reading verbs on the database file of a master, whether that runs or not.
///
/// # Errors
/// The file cannot be read, or an older program made it and no master of this one has run since.
pub(crate) fn read_file<T>(
    path: &std::path::Path,
    verbs: impl FnOnce(&mut dyn Store) -> Result<T>,
) -> Result<T> {
    let mut sqlite = sqlite::Sqlite::open_to_read(path)?;
    sqlite.check_version()?;
    sqlite.in_snapshot(verbs)
}

/// The verbs. Implemented by SQLite; another database implements the same.
pub(crate) trait Store: LoginStore {
    // --- changes and states -------------------------------------------------

    /// Keeps a change. One whose origin is known already is not kept twice
    /// and gives `None`.
    fn add_change(&mut self, change: &NewChange, now: Timestamp) -> Result<Option<ChangeId>>;
    fn change(&mut self, id: ChangeId) -> Result<Option<Change>>;
    /// Changes after `seen`, oldest first, at most `limit`.
    fn changes_after(&mut self, seen: ChangeId, limit: usize) -> Result<Vec<Change>>;
    /// The newest changes, newest first, before `before` if given.
    fn recent_changes(&mut self, before: Option<ChangeId>, limit: usize) -> Result<Vec<Change>>;
    /// The newest change's id, 0 if there is none.
    fn newest_change(&mut self) -> Result<ChangeId>;
    /// What an object (`source NAME`, `scheduler NAME`) last saved; `Null` if nothing.
    fn state(&mut self, object: &str) -> Result<Value>;
    fn save_state(&mut self, object: &str, state: &Value) -> Result<()>;

    // --- users --------------------------------------------------------------

    /// Users after one, in the order of their numbers, at most `limit`.
    fn users(&mut self, after: UserId, limit: usize) -> Result<Vec<User>>;
    fn user(&mut self, id: UserId) -> Result<Option<User>>;
    /// Users with this identifier.
    fn users_called(&mut self, identifier: &str) -> Result<Vec<User>>;
    /// The user with an attribute.
    fn user_with(&mut self, kind: &str, value: &str) -> Result<Option<UserId>>;
    fn users_of_change(&mut self, change: ChangeId) -> Result<Vec<User>>;
    /// The newest changes of a user, newest first.
    fn changes_of_user(&mut self, user: UserId, limit: usize) -> Result<Vec<Change>>;
    fn add_user(&mut self, identifier: &str) -> Result<UserId>;
    /// Sets an attribute that no other user has.
    fn set_attribute(&mut self, user: UserId, kind: &str, value: &str) -> Result<()>;
    fn set_identifier(&mut self, user: UserId, identifier: &str) -> Result<()>;
    /// Sets name and hashed password; `false` if another user has the name.
    fn set_login(&mut self, user: UserId, username: &str, password: &str) -> Result<bool>;
    fn remove_user(&mut self, user: UserId) -> Result<()>;
    /// Makes users what the sections of the configuration say. One who is called as a section
    /// says becomes that section's; what others were called that way becomes its own.
    fn set_sections(&mut self, sections: &[UserSection]) -> Result<()>;

    // --- requests -----------------------------------------------------------

    /// Makes a buildset and a request for each of its builders, in their order.
    fn add_buildset(
        &mut self,
        buildset: &NewBuildset,
        now: Timestamp,
    ) -> Result<(BuildsetId, Vec<RequestId>)>;
    /// Requests that are neither claimed nor complete, oldest first: all of them whole is for
    /// tests, who knows some reads what it does not know.
    #[cfg(test)]
    fn pending_requests(&mut self) -> Result<Vec<RequestRecord>>;
    /// The numbers of requests that are neither claimed nor complete, ascending.
    fn pending_ids(&mut self) -> Result<Vec<RequestId>>;
    /// How many of them each builder has, if it has an incomplete one at all.
    fn count_pending(&mut self) -> Result<Vec<(BuilderName, usize)>>;
    /// Requests of the builder that are not complete, claimed or not, oldest first.
    fn open_requests(&mut self, builder: &BuilderName) -> Result<Vec<RequestRecord>>;
    /// Requests of the same builder, older than this one, that are not complete and may be of the
    /// same repository, branch and project, oldest first.
    fn older_of_source(&mut self, request: &RequestRecord) -> Result<Vec<RequestRecord>>;
    /// How many requests of the builder are neither claimed nor complete, counted up to `most`.
    fn waits_up_to(&mut self, builder: &BuilderName, most: usize) -> Result<usize>;
    /// So many of them, the least urgent first, of those the oldest; `usual` is how urgent those
    /// are that say nothing.
    fn least_urgent(
        &mut self,
        builder: &BuilderName,
        usual: i64,
        count: usize,
    ) -> Result<Vec<RequestId>>;
    /// The oldest requests of the builder that are neither claimed nor complete, and how many
    /// there are of them.
    fn waiting_of(
        &mut self,
        builder: &BuilderName,
        most: usize,
    ) -> Result<(Vec<RequestRecord>, usize)>;
    /// Those of these requests that there are, in the order of their numbers.
    fn requests(&mut self, ids: &[RequestId]) -> Result<Vec<RequestRecord>>;
    /// The requests of a buildset, in the order of its builders.
    fn requests_of(&mut self, buildset: BuildsetId) -> Result<Vec<RequestRecord>>;
    fn request(&mut self, id: RequestId) -> Result<Option<RequestRecord>>;
    /// Requests whose stamp holds the change, oldest first.
    fn requests_of_change(&mut self, id: ChangeId) -> Result<Vec<RequestRecord>>;
    /// The newest buildset's id, 0 if there is none.
    fn newest_buildset(&mut self) -> Result<BuildsetId>;
    /// Buildsets after `after` that a scheduler has asked for, oldest first.
    fn buildsets_of(
        &mut self,
        scheduler: &SchedulerName,
        after: BuildsetId,
    ) -> Result<Vec<BuildsetState>>;
    fn buildset(&mut self, id: BuildsetId) -> Result<Option<BuildsetState>>;
    /// Writes down what who asked for the buildset calls it.
    fn put_external_id(&mut self, id: BuildsetId, external_id: &str) -> Result<()>;
    /// What who asked for the buildset calls it.
    fn external_id(&mut self, id: BuildsetId) -> Result<Option<String>>;
    /// The requests of the newest buildset that is called so, in the order of its builders.
    fn requests_called(&mut self, external_id: &str) -> Result<Vec<RequestRecord>>;
    /// Writes down that a step of a build has triggered a buildset.
    fn put_triggered(
        &mut self,
        build: BuildId,
        step: u32,
        scheduler: &SchedulerName,
        buildset: BuildsetId,
    ) -> Result<()>;
    /// What a step of a build has triggered.
    fn triggered(&mut self, build: BuildId, step: u32) -> Result<Vec<(SchedulerName, BuildsetId)>>;
    /// Completes a request that nobody claimed, and writes down why; `false` if somebody did.
    fn cancel_request(&mut self, id: RequestId, why: &str, now: Timestamp) -> Result<bool>;

    // --- builds -------------------------------------------------------------

    /// Where the builder's last good build ran, if it is not too long ago.
    fn last_good_slave(&mut self, builder: &BuilderName) -> Result<Option<SlaveName>>;
    /// Claims the requests and begins their build: gives it the builder's next
    /// number. `None` if one of the requests is claimed or complete.
    fn start_build(&mut self, new: &NewBuild, now: Timestamp) -> Result<Option<BegunBuild>>;
    /// Writes down what the build will do: its properties, its steps (none
    /// begun) and the fingerprint of their settings.
    fn plan_build(
        &mut self,
        build: BuildId,
        fingerprint: &str,
        properties: &Properties,
        steps: &[StepRecord],
    ) -> Result<()>;
    /// Writes down which locks the build holds: they are given back to it after a restart.
    fn set_locks(&mut self, build: BuildId, locks: &HeldLocks) -> Result<()>;
    fn set_build_properties(&mut self, build: BuildId, properties: &Properties) -> Result<()>;
    /// Writes down that somebody wants the build to stop, and why.
    fn request_stop(&mut self, build: BuildId, reason: &str) -> Result<()>;
    /// Writes down a step as it stands, with its logs.
    fn put_step(&mut self, build: BuildId, step: &StepRecord) -> Result<()>;
    /// Writes down how the tests of a step ended, instead of what was written of them before.
    fn put_tests(&mut self, build: BuildId, step: u32, results: &TestResults) -> Result<()>;
    /// Writes down what a step has brought to the master, instead of what was written of it before.
    fn put_artifacts(&mut self, build: BuildId, step: u32, artifacts: &[Artifact]) -> Result<()>;
    /// Writes down that a command is about to run; its output begins at `log_start` of the
    /// step's `stdio`. `spool` is that of the slave that will be given it, if it is here.
    fn start_command(&mut self, build: BuildId, at: CommandRow, spool: Option<&str>) -> Result<()>;
    /// Writes down in which spool a slave will be given a command that none was given before.
    fn give_command(&mut self, build: BuildId, at: CommandRow, spool: &str) -> Result<()>;
    /// Writes down how a command ended; its output ends at `log_end` of the step's `stdio`.
    fn finish_command(
        &mut self,
        build: BuildId,
        at: CommandRow,
        exit: &Exit,
        log_end: u64,
    ) -> Result<()>;
    /// Ends a build. Any outcome but `Retry` completes its requests and, with
    /// the last one, their buildsets; `Retry` gives the requests back.
    fn finish_build(
        &mut self,
        build: BuildId,
        end: &BuildEnd,
        now: Timestamp,
    ) -> Result<Vec<FinishedBuildset>>;
    /// Builds that were begun and have not ended, oldest first: what a restarted master goes on with.
    fn unfinished_builds(&mut self) -> Result<Vec<UnfinishedBuild>>;
    /// Gives the build a lease higher than any before it.
    fn renew_lease(&mut self, build: BuildId) -> Result<u64>;
    /// How many builds for this request ended in `Retry`.
    fn retries(&mut self, request: RequestId) -> Result<u32>;

    // --- events -------------------------------------------------------------

    /// Writes down that something happened.
    fn add_event(&mut self, event: &NewEvent) -> Result<()>;
    /// What happened to a builder, a slave or the master itself, newest first.
    fn events(
        &mut self,
        of: &Subject,
        before: EventsBefore,
        limit: usize,
    ) -> Result<Vec<EventRecord>>;
    /// What happened to all of them, newest first.
    fn all_events(&mut self, before: EventsBefore, limit: usize) -> Result<Vec<EventRecord>>;

    // --- forgetting ---------------------------------------------------------

    /// From which number on the builds of a builder are kept; 0 is all.
    fn oldest_kept(&mut self, builder: &BuilderName, kept: Kept) -> Result<i64>;
    /// Builds with numbers below that nobody needs, oldest first, at most `limit`. Needed is one
    /// that runs, one whose request is not complete, and one that began a run of failures that
    /// lasts, or may turn out to have begun it.
    fn old_builds(
        &mut self,
        builder: &BuilderName,
        below: i64,
        limit: usize,
    ) -> Result<Vec<OldBuild>>;
    /// Forgets builds whole, and requests and buildsets of which nothing is left and that none
    /// of the holders waits for. Their numbers are not given again.
    fn forget_builds(
        &mut self,
        builder: &BuilderName,
        builds: &[BuildId],
        holders: &Holders,
    ) -> Result<()>;
    /// Drops what is known of branches that have no build from `below` on.
    fn forget_branches(&mut self, builder: &BuilderName, below: i64) -> Result<()>;
    /// Builds with numbers below that nobody needs and whose logs are still there, oldest
    /// first, at most `limit`.
    fn old_logs(
        &mut self,
        builder: &BuilderName,
        below: i64,
        limit: usize,
    ) -> Result<Vec<OldBuild>>;
    /// Builds that have logs and that nobody needs, the oldest first: of one builder or of all.
    fn oldest_logs(&mut self, builder: Option<&BuilderName>, limit: usize)
    -> Result<Vec<OldBuild>>;
    /// Forgets the logs of builds.
    fn forget_logs(&mut self, builds: &[BuildId]) -> Result<()>;
    /// Forgets at most `limit` of the builder's requests that were completed without a build and
    /// are not kept, unless one of the holders waits for their buildset. Says how many.
    fn forget_unbuilt(
        &mut self,
        builder: &BuilderName,
        kept: Kept,
        holders: &Holders,
        limit: usize,
    ) -> Result<usize>;
    /// How many of them there are to forget.
    fn old_unbuilt(
        &mut self,
        builder: &BuilderName,
        kept: Kept,
        holders: &Holders,
    ) -> Result<usize>;
    /// Builds that have ended and whose logs were not measured, oldest first.
    fn unmeasured(&mut self, limit: usize) -> Result<Vec<OldBuild>>;
    /// Writes down how many bytes the logs of builds take: of files so many, and what the
    /// database has of tests.
    fn measure(&mut self, measured: &[(BuildId, u64)]) -> Result<()>;
    /// Has the logs of a build measured again.
    fn remeasure(&mut self, build: BuildId) -> Result<()>;
    /// Keeps what stands in a small log until the disk has its file.
    fn keep_fresh_log(&mut self, build: BuildId, file: &str, bytes: &[u8]) -> Result<()>;
    /// Shows each log that is kept so, with its file.
    fn fresh_logs(&mut self, visit: &mut dyn FnMut(&str, &[u8])) -> Result<()>;
    /// The number of the last of them.
    fn last_fresh_log(&mut self) -> Result<Option<i64>>;
    /// Lets go of those up to a number: the disk has their files.
    fn forget_fresh_logs(&mut self, last: i64) -> Result<()>;
    /// Builds whose logs were not looked at for a pack, oldest first, up to one that runs.
    fn unpacked(&mut self, builder: &BuilderName, limit: usize) -> Result<Vec<OldBuild>>;
    /// Keeps the small logs of the builds from one number to another together, if there are any.
    fn pack_logs(
        &mut self,
        builder: &BuilderName,
        first: i64,
        last: i64,
        pack: Option<&[u8]>,
    ) -> Result<()>;
    /// The pack that the small logs of a build are in.
    fn pack_of(&mut self, key: &BuildKey) -> Result<Option<Vec<u8>>>;
    /// How many bytes all measured logs take: of one builder or of all.
    fn log_bytes(&mut self, builder: Option<&BuilderName>) -> Result<u64>;
    /// What builds from one number up to another amount to, as far as nobody needs them.
    fn amount(&mut self, builder: &BuilderName, from: i64, below: i64) -> Result<Amount>;
    /// Shows builds that have logs and that nobody needs, the oldest first, until `visit` says
    /// that it is enough.
    fn visit_logs(&mut self, builder: Option<&BuilderName>, visit: LogVisit<'_>) -> Result<()>;
    /// Forgets at most `limit` of the changes that are not kept and neither part of a buildset
    /// that is not complete nor waited on by one of the holders. Says how many.
    fn forget_changes(&mut self, kept: Kept, holders: &Holders, limit: usize) -> Result<usize>;
    /// How many changes there are to forget.
    fn old_changes(&mut self, kept: Kept, holders: &Holders) -> Result<usize>;
    /// Everybody whom something happened to that is still known.
    fn event_subjects(&mut self) -> Result<Vec<Subject>>;
    /// How many events of a subject there are to forget.
    fn old_events(&mut self, of: &Subject, kept: Kept) -> Result<usize>;
    /// Forgets at most `limit` of the events of a subject that are not kept, the oldest first.
    /// Says how many.
    fn forget_events(&mut self, of: &Subject, kept: Kept, limit: usize) -> Result<usize>;

    // --- configurations -----------------------------------------------------

    /// Writes down that a configuration is applied, and gives its number. The
    /// newest one, applied again, keeps its number and adds nothing.
    fn add_config(&mut self, new: &NewConfig, now: Timestamp) -> Result<ConfigId>;
    /// The newest configurations, newest first, without their files.
    fn recent_configs(&mut self, limit: usize) -> Result<Vec<ConfigRecord>>;
    /// A configuration with its files.
    fn config(&mut self, id: ConfigId) -> Result<Option<(ConfigRecord, Vec<ConfigFile>)>>;

    // --- reading ------------------------------------------------------------

    /// Number and lookup; a negative number counts back from the newest.
    fn build(&mut self, builder: &BuilderName, number: i64) -> Result<Option<BuildRecord>>;
    /// The newest builds, newest first: of one builder or of all, running ones too,
    /// with numbers (times) below `before` if given.
    fn recent_builds(
        &mut self,
        builder: Option<&BuilderName>,
        before: Option<BuildId>,
        limit: usize,
    ) -> Result<Vec<BuildRecord>>;
    /// The newest builds of a builder as lists show them, newest first.
    fn glances(&mut self, builder: &BuilderName, query: &GlanceQuery) -> Result<Vec<Glance>>;
    /// Builds that have ended and fit, newest first: of all builders, what ended last.
    fn find_builds(&mut self, query: &BuildQuery) -> Result<Vec<BuildRecord>>;
    /// Changes that fit, newest first.
    fn find_changes(&mut self, query: &ChangeQuery) -> Result<FoundChanges>;
    /// The newest build of a builder that had begun by then.
    fn newest_begun(&mut self, builder: &BuilderName, at: Timestamp) -> Result<Option<BuildId>>;
    /// Builds that have ended, the last end first; those that ended before `before` if given.
    fn ended_builds(
        &mut self,
        before: Option<&BuildRecord>,
        limit: usize,
    ) -> Result<Vec<BuildRecord>>;
    /// The newest numbers of a builder's builds, newest first.
    fn newest_numbers(&mut self, builder: &BuilderName, limit: usize) -> Result<Vec<i64>>;
    /// The number of the builder's newest build that has ended, and what came of it.
    fn last_end(&mut self, builder: &BuilderName) -> Result<Option<(i64, Outcome)>>;
    /// Which builds a slave has had and what came of them, newest first; no outcome: it runs.
    fn ran_on(
        &mut self,
        slave: &SlaveName,
        limit: usize,
    ) -> Result<Vec<(BuildKey, Option<Outcome>)>>;
    /// The steps that a build of the builder is expected to have: those that count of its newest.
    fn steps_to_come(&mut self, builder: &BuilderName) -> Result<Vec<String>>;
    /// Builds that are running, oldest first.
    fn running_builds(&mut self) -> Result<Vec<BuildRecord>>;
    /// All numbers of a builder's builds, ascending.
    fn build_numbers(&mut self, builder: &BuilderName) -> Result<Vec<i64>>;
    fn steps(&mut self, build: BuildId) -> Result<Vec<StepRecord>>;
    /// What the steps of a build have brought to the master, in their order.
    fn artifacts(&mut self, build: BuildId) -> Result<Vec<KeptArtifact>>;
    /// The newest build of a builder that went well and brought something; one looks back so far
    /// and no farther.
    fn newest_with_artifacts(&mut self, builder: &BuilderName) -> Result<Option<i64>>;
    /// How many tests the steps of a build ran, in their order; only of those that ran any.
    fn test_counts(&mut self, build: BuildId) -> Result<Vec<TestCounts>>;
    /// Results of tests of a build, without their logs: first those that somebody has to look
    /// at, in the order of the steps, then the others.
    fn tests(&mut self, build: BuildId, query: &TestQuery) -> Result<Vec<KeptTest>>;
    /// Every result of a test of this name, the worst first.
    fn tests_named(&mut self, build: BuildId, name: &str, limit: usize) -> Result<Vec<KeptTest>>;
    /// What became of a test in the builds of a builder that ran tests, the newest first, from
    /// the build `up_to` on.
    fn past_tests(
        &mut self,
        builder: &BuilderName,
        name: &str,
        up_to: i64,
        limit: usize,
    ) -> Result<Vec<PastTest>>;
    /// Names of all builders that ever built, for pages of builders that left the configuration.
    fn known_builders(&mut self) -> Result<Vec<BuilderName>>;
    /// The name of this store, made with it: ids are unique in it.
    fn identity(&mut self) -> Result<String>;
    /// The runs of failures that the branches of a builder are in, the oldest first.
    fn failing(&mut self, builder: &BuilderName) -> Result<Vec<Failing>>;
    /// The newest builds of a builder that went through all of their steps, and well, the
    /// newest first.
    fn past_runs(&mut self, builder: &BuilderName, limit: usize) -> Result<Vec<PastRun>>;
}

/// What is needed to begin a build.
#[derive(Clone, Debug)]
pub(crate) struct NewBuild {
    pub(crate) builder: BuilderName,
    pub(crate) slave: SlaveName,
    pub(crate) requests: Vec<RequestId>,
    /// Of the merged requests.
    pub(crate) stamp: SourceStamp,
    pub(crate) reason: String,
    /// The configuration in force.
    pub(crate) config: Option<ConfigId>,
    /// What it holds of its builder's locks.
    pub(crate) locks: Vec<LockUse>,
}

/// A build as lists of many show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glance {
    pub(crate) number: i64,
    pub(crate) branch: Option<String>,
    pub(crate) slave: SlaveName,
    pub(crate) started: Timestamp,
    pub(crate) finished: Option<Timestamp>,
    pub(crate) outcome: Option<Outcome>,
}

/// Which builds of a builder are wanted at a glance.
#[derive(Clone, Debug, Default)]
pub(crate) struct GlanceQuery {
    /// All, if there are none; `None` is the default branch. Who asks for some looks at no more
    /// than the newest `farthest`.
    pub(crate) branches: Vec<Option<String>>,
    pub(crate) farthest: usize,
    /// Only what has ended.
    pub(crate) is_finished: bool,
    pub(crate) limit: usize,
}

/// Which builds are wanted; what is empty takes all.
#[derive(Clone, Debug, Default)]
pub(crate) struct BuildQuery {
    pub(crate) builder: Option<BuilderName>,
    pub(crate) slave: Option<SlaveName>,
    /// Of one of these.
    pub(crate) among: Option<Vec<BuilderName>>,
    /// Numbers below.
    pub(crate) below: Option<i64>,
    /// Begun before.
    pub(crate) before: Option<BuildId>,
    pub(crate) branches: Vec<Option<String>>,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) limit: usize,
}

/// Which changes are wanted; what is empty takes all.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChangeQuery {
    pub(crate) before: Option<ChangeId>,
    pub(crate) branches: Vec<Option<String>>,
    pub(crate) project: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) category: Option<String>,
    /// What is in the author's name or address.
    pub(crate) author: Option<String>,
    /// What is in the comment, the revision or the names of the files.
    pub(crate) part: Option<String>,
    /// So many numbers are looked at.
    pub(crate) farthest: usize,
    pub(crate) limit: usize,
}

/// Changes that were looked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FoundChanges {
    pub(crate) changes: Vec<Change>,
    /// Before which one the search goes on, if there are older ones.
    pub(crate) next: Option<ChangeId>,
}

/// How many tests a step ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TestCounts {
    pub(crate) step: u32,
    /// Of each end that there was, the worst first.
    pub(crate) counts: Vec<(TestEnd, u64)>,
    /// So many are not kept.
    pub(crate) left_out: u64,
}

/// What a step has brought to the master, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptArtifact {
    pub(crate) artifact: Artifact,
    /// The build that brought something else to the same place last.
    pub(crate) replaced_by: Option<BuildKey>,
}

/// A result that is kept, and the step that it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptTest {
    pub(crate) step: u32,
    pub(crate) result: TestResult,
}

/// Which results are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestQuery {
    /// What their names have in them; capital letters and small ones are the same.
    pub(crate) part: Option<String>,
    pub(crate) end: Option<TestEnd>,
    pub(crate) skip: usize,
    pub(crate) limit: usize,
}

/// A configuration that is about to be applied.
#[derive(Clone, Debug)]
pub(crate) struct NewConfig {
    /// Of the names and texts of its files.
    pub(crate) hash: String,
    pub(crate) files: Vec<ConfigFile>,
    /// What it changes, a line each.
    pub(crate) summary: Vec<String>,
}

/// A file of a configuration as it was. It may hold passwords.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct ConfigFile {
    /// Relative to the master's base directory if it lies below that.
    pub(crate) name: String,
    pub(crate) text: String,
}

impl fmt::Debug for ConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigFile")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A configuration that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigRecord {
    pub(crate) id: ConfigId,
    pub(crate) hash: String,
    pub(crate) applied: Timestamp,
    pub(crate) summary: Vec<String>,
}

/// A build that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BegunBuild {
    pub(crate) id: BuildId,
    /// Per builder, from 0.
    pub(crate) number: i64,
    pub(crate) lease: u64,
}

/// Which command, and where its output begins in the step's `stdio`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommandRow {
    pub(crate) step: u32,
    pub(crate) index: u32,
    pub(crate) attempt: u32,
    pub(crate) log_start: u64,
}

/// What is kept: what is neither among the newest nor from the time since then goes, if that is
/// said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) newest: Option<u32>,
    pub(crate) since: Option<Timestamp>,
}

/// Where a list of events begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventsBefore {
    Now,
    /// With those of this moment.
    UpTo(Timestamp),
    /// Without this one.
    #[cfg(test)]
    Event {
        at: Timestamp,
        id: i64,
    },
}

impl EventsBefore {
    /// Times and numbers of all that are wanted are below.
    const fn key(self) -> (i64, i64) {
        match self {
            Self::Now => (i64::MAX, i64::MAX),
            Self::UpTo(at) => (at.0, i64::MAX),
            #[cfg(test)]
            Self::Event { at, id } => (at.0, id),
        }
    }
}

/// Whose states say what must not be forgotten yet: the objects of schedulers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holders(pub(crate) Vec<String>);

/// How much goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) builds: u64,
    /// Builds whose logs go.
    pub(crate) logs: u64,
    /// Of logs.
    pub(crate) bytes: u64,
}

impl std::ops::AddAssign for Amount {
    fn add_assign(&mut self, more: Self) {
        self.builds += more.builds;
        self.logs += more.logs;
        self.bytes += more.bytes;
    }
}

/// Is shown the builder, the number and the bytes of logs; `false` is enough.
pub(crate) type LogVisit<'a> = &'a mut dyn FnMut(BuilderName, i64, u64) -> bool;

/// A build that may be forgotten, and its log files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OldBuild {
    pub(crate) id: BuildId,
    pub(crate) builder: BuilderName,
    pub(crate) number: i64,
    /// What the files were measured to take.
    pub(crate) bytes: u64,
    /// Relative to the master's `builds/` directory.
    pub(crate) files: Vec<String>,
}

/// How a build ended.
#[derive(Clone, Debug)]
pub(crate) struct BuildEnd {
    pub(crate) outcome: Outcome,
    pub(crate) text: Vec<String>,
    pub(crate) properties: Properties,
}

/// A buildset as who waits for its end sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BuildsetState {
    pub(crate) id: BuildsetId,
    pub(crate) stamp: SourceStamp,
    /// Set when it is complete.
    pub(crate) outcome: Option<Outcome>,
}

/// A buildset that is complete.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FinishedBuildset {
    pub(crate) id: BuildsetId,
    pub(crate) outcome: Outcome,
}

/// A build that a restarted master goes on with.
#[derive(Clone, Debug)]
pub(crate) struct UnfinishedBuild {
    pub(crate) build: BuildRecord,
    /// Of the steps it was begun with; empty if they were never written down.
    pub(crate) fingerprint: String,
    pub(crate) steps: Vec<StepRecord>,
    /// The commands of the step that was running, in order: where each began
    /// and, if it ended, how and where.
    pub(crate) commands: CommandHistory,
    /// Set if somebody asked the build to stop: why.
    pub(crate) stop_reason: Option<String>,
    /// What it holds.
    pub(crate) locks: HeldLocks,
}

impl StoreError {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            is_disk: false,
        }
    }
}

/// The commands of a step, in order.
pub(crate) type CommandHistory = Vec<PastCommand>;

/// A command of an earlier run of the master.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PastCommand {
    pub(crate) at: CommandRow,
    /// The spool in which a slave was given it first.
    pub(crate) spool: Option<String>,
    /// How it ended, and where its output did.
    pub(crate) end: Option<(Exit, u64)>,
}

pub(crate) type Result<T> = std::result::Result<T, StoreError>;

/// The database could not do it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the database says: {what}")]
pub(crate) struct StoreError {
    pub(crate) what: String,
    /// The disk did not take it; it may take it later.
    pub(crate) is_disk: bool,
}
