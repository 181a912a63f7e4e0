//! The verbs, each handed to the file of its noun.

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
use crate::model::StepRecord;
use crate::model::Subject;
use crate::model::TestResults;
use crate::model::Timestamp;
use crate::model::User;
use crate::model::UserId;
use crate::model::UserSection;

use super::super::{
    Amount, BegunBuild, BuildEnd, BuildQuery, BuildsetState, ChangeQuery, CommandRow, ConfigFile,
    ConfigRecord, EventsBefore, FinishedBuildset, FoundChanges, Glance, GlanceQuery, Holders, Kept,
    KeptArtifact, KeptTest, LogVisit, NewBuild, NewConfig, OldBuild, Result, Store, TestCounts,
    TestQuery, UnfinishedBuild,
};
use super::Sqlite;

impl Store for Sqlite {
    fn add_change(&mut self, change: &NewChange, now: Timestamp) -> Result<Option<ChangeId>> {
        self.insert_change(change, now)
    }
    fn change(&mut self, id: ChangeId) -> Result<Option<Change>> {
        self.select_change(id)
    }
    fn changes_after(&mut self, seen: ChangeId, limit: usize) -> Result<Vec<Change>> {
        self.select_changes_after(seen, limit)
    }
    fn recent_changes(&mut self, before: Option<ChangeId>, limit: usize) -> Result<Vec<Change>> {
        self.select_recent_changes(before, limit)
    }
    fn newest_change(&mut self) -> Result<ChangeId> {
        self.select_newest_change()
    }
    fn state(&mut self, object: &str) -> Result<Value> {
        self.select_state(object)
    }
    fn save_state(&mut self, object: &str, state: &Value) -> Result<()> {
        self.upsert_state(object, state)
    }
    fn users(&mut self, after: UserId, limit: usize) -> Result<Vec<User>> {
        self.select_users(after, limit)
    }
    fn user(&mut self, id: UserId) -> Result<Option<User>> {
        self.select_user(id)
    }
    fn users_called(&mut self, identifier: &str) -> Result<Vec<User>> {
        self.select_users_called(identifier)
    }
    fn user_with(&mut self, kind: &str, value: &str) -> Result<Option<UserId>> {
        self.select_owner(kind, value)
    }
    fn users_of_change(&mut self, change: ChangeId) -> Result<Vec<User>> {
        self.select_users_of_change(change)
    }
    fn changes_of_user(&mut self, user: UserId, limit: usize) -> Result<Vec<Change>> {
        self.select_changes_of_user(user, limit)
    }
    fn add_user(&mut self, identifier: &str) -> Result<UserId> {
        self.insert_user(identifier)
    }
    fn set_attribute(&mut self, user: UserId, kind: &str, value: &str) -> Result<()> {
        self.upsert_attribute(user, kind, value, false)
    }
    fn set_identifier(&mut self, user: UserId, identifier: &str) -> Result<()> {
        self.update_identifier(user, identifier)
    }
    fn set_login(&mut self, user: UserId, username: &str, password: &str) -> Result<bool> {
        self.update_login(user, username, password)
    }
    fn remove_user(&mut self, user: UserId) -> Result<()> {
        self.delete_user(user)
    }
    fn set_sections(&mut self, sections: &[UserSection]) -> Result<()> {
        self.apply_sections(sections)
    }
    fn add_buildset(
        &mut self,
        buildset: &NewBuildset,
        now: Timestamp,
    ) -> Result<(BuildsetId, Vec<RequestId>)> {
        self.insert_buildset(buildset, now)
    }
    #[cfg(test)]
    fn pending_requests(&mut self) -> Result<Vec<RequestRecord>> {
        self.select_pending_requests()
    }
    fn pending_ids(&mut self) -> Result<Vec<RequestId>> {
        self.select_pending_ids()
    }
    fn count_pending(&mut self) -> Result<Vec<(BuilderName, usize)>> {
        self.count_pending_requests()
    }
    fn open_requests(&mut self, builder: &BuilderName) -> Result<Vec<RequestRecord>> {
        self.select_open_requests(builder)
    }
    fn older_of_source(&mut self, request: &RequestRecord) -> Result<Vec<RequestRecord>> {
        self.select_older_of_source(request)
    }
    fn waits_up_to(&mut self, builder: &BuilderName, most: usize) -> Result<usize> {
        self.count_waiting_up_to(builder, most)
    }
    fn least_urgent(
        &mut self,
        builder: &BuilderName,
        usual: i64,
        count: usize,
    ) -> Result<Vec<RequestId>> {
        self.select_least_urgent(builder, usual, count)
    }
    fn waiting_of(
        &mut self,
        builder: &BuilderName,
        most: usize,
    ) -> Result<(Vec<RequestRecord>, usize)> {
        self.select_waiting_of(builder, most)
    }
    fn requests(&mut self, ids: &[RequestId]) -> Result<Vec<RequestRecord>> {
        self.select_requests_by_id(ids)
    }
    fn requests_of(&mut self, buildset: BuildsetId) -> Result<Vec<RequestRecord>> {
        self.select_requests_of_buildset(buildset)
    }
    fn request(&mut self, id: RequestId) -> Result<Option<RequestRecord>> {
        self.select_request(id)
    }
    fn requests_of_change(&mut self, id: ChangeId) -> Result<Vec<RequestRecord>> {
        self.select_requests_of_change(id)
    }
    fn newest_buildset(&mut self) -> Result<BuildsetId> {
        self.select_newest_buildset()
    }
    fn buildsets_of(
        &mut self,
        scheduler: &SchedulerName,
        after: BuildsetId,
    ) -> Result<Vec<BuildsetState>> {
        self.select_buildsets_of(scheduler, after)
    }
    fn buildset(&mut self, id: BuildsetId) -> Result<Option<BuildsetState>> {
        self.select_buildset(id)
    }
    fn put_external_id(&mut self, id: BuildsetId, external_id: &str) -> Result<()> {
        self.update_external_id(id, external_id)
    }
    fn external_id(&mut self, id: BuildsetId) -> Result<Option<String>> {
        self.select_external_id(id)
    }
    fn requests_called(&mut self, external_id: &str) -> Result<Vec<RequestRecord>> {
        self.select_requests_called(external_id)
    }
    fn put_triggered(
        &mut self,
        build: BuildId,
        step: u32,
        scheduler: &SchedulerName,
        buildset: BuildsetId,
    ) -> Result<()> {
        self.insert_triggered(build, step, scheduler, buildset)
    }
    fn triggered(&mut self, build: BuildId, step: u32) -> Result<Vec<(SchedulerName, BuildsetId)>> {
        self.select_triggered(build, step)
    }
    fn cancel_request(&mut self, id: RequestId, why: &str, now: Timestamp) -> Result<bool> {
        self.cancel_waiting_request(id, why, now)
    }
    fn last_good_slave(&mut self, builder: &BuilderName) -> Result<Option<SlaveName>> {
        self.select_last_good_slave(builder)
    }
    fn start_build(&mut self, new: &NewBuild, now: Timestamp) -> Result<Option<BegunBuild>> {
        self.insert_build(new, now)
    }
    fn plan_build(
        &mut self,
        build: BuildId,
        fingerprint: &str,
        properties: &Properties,
        steps: &[StepRecord],
    ) -> Result<()> {
        self.update_plan(build, fingerprint, properties, steps)
    }
    fn set_locks(&mut self, build: BuildId, locks: &HeldLocks) -> Result<()> {
        self.update_locks(build, locks)
    }
    fn set_build_properties(&mut self, build: BuildId, properties: &Properties) -> Result<()> {
        self.update_build_properties(build, properties)
    }
    fn request_stop(&mut self, build: BuildId, reason: &str) -> Result<()> {
        self.update_stop_reason(build, reason)
    }
    fn put_step(&mut self, build: BuildId, step: &StepRecord) -> Result<()> {
        self.upsert_step(build, step)
    }
    fn put_tests(&mut self, build: BuildId, step: u32, results: &TestResults) -> Result<()> {
        self.replace_tests(build, step, results)
    }
    fn put_artifacts(&mut self, build: BuildId, step: u32, artifacts: &[Artifact]) -> Result<()> {
        self.replace_artifacts(build, step, artifacts)
    }
    fn start_command(&mut self, build: BuildId, at: CommandRow, spool: Option<&str>) -> Result<()> {
        self.insert_command(build, at, spool)
    }

    fn give_command(&mut self, build: BuildId, at: CommandRow, spool: &str) -> Result<()> {
        self.update_spool(build, at, spool)
    }
    fn finish_command(
        &mut self,
        build: BuildId,
        at: CommandRow,
        exit: &Exit,
        log_end: u64,
    ) -> Result<()> {
        self.update_command(build, at, exit, log_end)
    }
    fn finish_build(
        &mut self,
        build: BuildId,
        end: &BuildEnd,
        now: Timestamp,
    ) -> Result<Vec<FinishedBuildset>> {
        self.end_build(build, end, now)
    }
    fn unfinished_builds(&mut self) -> Result<Vec<UnfinishedBuild>> {
        self.select_unfinished()
    }
    fn renew_lease(&mut self, build: BuildId) -> Result<u64> {
        self.update_lease(build)
    }
    fn retries(&mut self, request: RequestId) -> Result<u32> {
        self.count_retries(request)
    }
    fn oldest_kept(&mut self, builder: &BuilderName, kept: Kept) -> Result<i64> {
        self.select_oldest_kept(builder, kept)
    }
    fn old_builds(
        &mut self,
        builder: &BuilderName,
        below: i64,
        limit: usize,
    ) -> Result<Vec<OldBuild>> {
        self.select_old_builds(builder, below, limit)
    }
    fn forget_builds(
        &mut self,
        builder: &BuilderName,
        builds: &[BuildId],
        holders: &Holders,
    ) -> Result<()> {
        self.delete_builds(builder, builds, holders)
    }
    fn forget_branches(&mut self, builder: &BuilderName, below: i64) -> Result<()> {
        self.delete_failing(builder, below)
    }
    fn old_logs(
        &mut self,
        builder: &BuilderName,
        below: i64,
        limit: usize,
    ) -> Result<Vec<OldBuild>> {
        self.select_old_logs(builder, below, limit)
    }
    fn oldest_logs(
        &mut self,
        builder: Option<&BuilderName>,
        limit: usize,
    ) -> Result<Vec<OldBuild>> {
        self.select_oldest_logs(builder, limit)
    }
    fn forget_logs(&mut self, builds: &[BuildId]) -> Result<()> {
        self.delete_logs(builds)
    }
    fn forget_unbuilt(
        &mut self,
        builder: &BuilderName,
        kept: Kept,
        holders: &Holders,
        limit: usize,
    ) -> Result<usize> {
        self.delete_unbuilt(builder, kept, holders, limit)
    }
    fn old_unbuilt(
        &mut self,
        builder: &BuilderName,
        kept: Kept,
        holders: &Holders,
    ) -> Result<usize> {
        self.count_unbuilt(builder, kept, holders)
    }
    fn unmeasured(&mut self, limit: usize) -> Result<Vec<OldBuild>> {
        self.select_unmeasured(limit)
    }
    fn measure(&mut self, measured: &[(BuildId, u64)]) -> Result<()> {
        self.update_log_bytes(measured)
    }
    fn remeasure(&mut self, build: BuildId) -> Result<()> {
        self.unset_log_bytes(build)
    }
    fn keep_fresh_log(&mut self, build: BuildId, file: &str, bytes: &[u8]) -> Result<()> {
        self.insert_fresh_log(build, file, bytes)
    }
    fn fresh_logs(&mut self, visit: &mut dyn FnMut(&str, &[u8])) -> Result<()> {
        self.visit_fresh_logs(visit)
    }
    fn last_fresh_log(&mut self) -> Result<Option<i64>> {
        self.select_last_fresh_log()
    }
    fn forget_fresh_logs(&mut self, last: i64) -> Result<()> {
        self.delete_fresh_logs(last)
    }
    fn unpacked(&mut self, builder: &BuilderName, limit: usize) -> Result<Vec<OldBuild>> {
        self.select_unpacked(builder, limit)
    }
    fn pack_logs(
        &mut self,
        builder: &BuilderName,
        first: i64,
        last: i64,
        pack: Option<&[u8]>,
    ) -> Result<()> {
        self.insert_pack(builder, first, last, pack)
    }
    fn pack_of(&mut self, key: &BuildKey) -> Result<Option<Vec<u8>>> {
        self.select_pack_of(key)
    }
    fn log_bytes(&mut self, builder: Option<&BuilderName>) -> Result<u64> {
        self.sum_log_bytes(builder)
    }
    fn amount(&mut self, builder: &BuilderName, from: i64, below: i64) -> Result<Amount> {
        self.sum_old(builder, from, below)
    }
    fn visit_logs(&mut self, builder: Option<&BuilderName>, visit: LogVisit<'_>) -> Result<()> {
        self.visit_old_logs(builder, visit)
    }
    fn forget_changes(&mut self, kept: Kept, holders: &Holders, limit: usize) -> Result<usize> {
        self.delete_changes(kept, holders, limit)
    }
    fn old_changes(&mut self, kept: Kept, holders: &Holders) -> Result<usize> {
        self.count_old_changes(kept, holders)
    }
    fn add_config(&mut self, new: &NewConfig, now: Timestamp) -> Result<ConfigId> {
        self.insert_config(new, now)
    }
    fn recent_configs(&mut self, limit: usize) -> Result<Vec<ConfigRecord>> {
        self.select_recent_configs(limit)
    }
    fn config(&mut self, id: ConfigId) -> Result<Option<(ConfigRecord, Vec<ConfigFile>)>> {
        self.select_config(id)
    }
    fn build(&mut self, builder: &BuilderName, number: i64) -> Result<Option<BuildRecord>> {
        self.select_build(builder, number)
    }
    fn recent_builds(
        &mut self,
        builder: Option<&BuilderName>,
        before: Option<BuildId>,
        limit: usize,
    ) -> Result<Vec<BuildRecord>> {
        self.select_recent_builds(builder, before, limit)
    }
    fn glances(&mut self, builder: &BuilderName, query: &GlanceQuery) -> Result<Vec<Glance>> {
        self.select_glances(builder, query)
    }
    fn find_builds(&mut self, query: &BuildQuery) -> Result<Vec<BuildRecord>> {
        self.select_fitting_builds(query)
    }
    fn find_changes(&mut self, query: &ChangeQuery) -> Result<FoundChanges> {
        self.select_fitting_changes(query)
    }
    fn ended_builds(
        &mut self,
        before: Option<&BuildRecord>,
        limit: usize,
    ) -> Result<Vec<BuildRecord>> {
        self.select_ended_builds(before, limit)
    }
    fn newest_numbers(&mut self, builder: &BuilderName, limit: usize) -> Result<Vec<i64>> {
        self.select_newest_numbers(builder, limit)
    }
    fn last_end(&mut self, builder: &BuilderName) -> Result<Option<(i64, Outcome)>> {
        self.select_last_end(builder)
    }
    fn ran_on(
        &mut self,
        slave: &SlaveName,
        limit: usize,
    ) -> Result<Vec<(BuildKey, Option<Outcome>)>> {
        self.select_ran_on(slave, limit)
    }
    fn steps_to_come(&mut self, builder: &BuilderName) -> Result<Vec<String>> {
        self.select_steps_to_come(builder)
    }
    fn running_builds(&mut self) -> Result<Vec<BuildRecord>> {
        self.select_running_builds()
    }
    fn build_numbers(&mut self, builder: &BuilderName) -> Result<Vec<i64>> {
        self.select_build_numbers(builder)
    }
    fn steps(&mut self, build: BuildId) -> Result<Vec<StepRecord>> {
        self.select_steps(build)
    }
    fn artifacts(&mut self, build: BuildId) -> Result<Vec<KeptArtifact>> {
        self.select_artifacts(build)
    }
    fn newest_with_artifacts(&mut self, builder: &BuilderName) -> Result<Option<i64>> {
        self.select_newest_with_artifacts(builder)
    }
    fn test_counts(&mut self, build: BuildId) -> Result<Vec<TestCounts>> {
        self.select_test_counts(build)
    }
    fn tests(&mut self, build: BuildId, query: &TestQuery) -> Result<Vec<KeptTest>> {
        self.select_tests(build, query)
    }
    fn tests_named(&mut self, build: BuildId, name: &str, limit: usize) -> Result<Vec<KeptTest>> {
        self.select_tests_named(build, name, limit)
    }
    fn past_tests(
        &mut self,
        builder: &BuilderName,
        name: &str,
        up_to: i64,
        limit: usize,
    ) -> Result<Vec<PastTest>> {
        self.select_past_tests(builder, name, up_to, limit)
    }
    fn known_builders(&mut self) -> Result<Vec<BuilderName>> {
        self.select_known_builders()
    }
    fn identity(&mut self) -> Result<String> {
        self.select_identity()
    }
    fn failing(&mut self, builder: &BuilderName) -> Result<Vec<Failing>> {
        self.select_failing(builder)
    }
    fn past_runs(&mut self, builder: &BuilderName, limit: usize) -> Result<Vec<PastRun>> {
        self.select_past_runs(builder, limit)
    }
    fn newest_begun(&mut self, builder: &BuilderName, at: Timestamp) -> Result<Option<BuildId>> {
        self.select_newest_begun(builder, at)
    }
    fn add_event(&mut self, event: &NewEvent) -> Result<()> {
        self.insert_event(event)
    }
    fn events(
        &mut self,
        of: &Subject,
        before: EventsBefore,
        limit: usize,
    ) -> Result<Vec<EventRecord>> {
        self.select_events(of, before, limit)
    }
    fn all_events(&mut self, before: EventsBefore, limit: usize) -> Result<Vec<EventRecord>> {
        self.select_all_events(before, limit)
    }
    fn event_subjects(&mut self) -> Result<Vec<Subject>> {
        self.select_event_subjects()
    }
    fn old_events(&mut self, of: &Subject, kept: Kept) -> Result<usize> {
        self.count_old_events(of, kept)
    }
    fn forget_events(&mut self, of: &Subject, kept: Kept, limit: usize) -> Result<usize> {
        self.delete_events(of, kept, limit)
    }
}
