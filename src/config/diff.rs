//! What a reload changes: item by item, in a few words. Items are found by
//! name and compared by value; a factory, which can be long, by the print of its
//! settings.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use super::BuilderPlan;
use super::LinePlan;
use super::MasterPlan;
use super::Plan;
use super::SchedulerPlan;
use super::SlavePlan;
use super::SourcePlan;
use crate::syntax::Code;
use crate::syntax::Problem;
use crate::syntax::Problems;

/// What is different between two plans.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    /// Of the master itself: `changed title`, `added htmlport 127.0.0.1:8010`.
    settings: Vec<String>,
    pub(crate) slaves: Changes,
    pub(crate) builders: Changes,
    sources: Changes,
    schedulers: Changes,
    locks: Changes,
    status: Changes,
    users: Changes,
}

/// What became of the items of one kind.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) added: Vec<String>,
    /// Each with what changed of it.
    pub(crate) changed: BTreeMap<String, Vec<&'static str>>,
    pub(crate) removed: Vec<String>,
    kept: usize,
    /// Those in both plans stand in another order.
    is_reordered: bool,
}

impl Changes {
    /// Whether every item is what it was.
    pub(crate) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl Difference {
    pub(crate) fn between(old: &Plan, new: &Plan) -> Self {
        Self {
            settings: settings(old, new),
            slaves: compare(&old.slaves, &new.slaves, |it| it.name.as_str(), slave),
            builders: compare(&old.builders, &new.builders, |it| it.name.as_str(), builder),
            sources: compare(&old.sources, &new.sources, |it| &it.name, source),
            schedulers: compare(
                &old.schedulers,
                &new.schedulers,
                |it| it.name.as_str(),
                scheduler,
            ),
            locks: compare(
                &shared(&old.locks),
                &shared(&new.locks),
                |it| it.name.as_str(),
                |a, b| named([("settings", a != b)]),
            ),
            status: compare(
                &old.status,
                &new.status,
                |it| &it.name,
                |a, b| named([("settings", a != b)]),
            ),
            users: compare(
                &old.users,
                &new.users,
                |it| &it.name,
                |a, b| named([("settings", a != b)]),
            ),
        }
    }

    /// A line for each thing that is added, changed or removed, and one for all that are kept.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = self.settings.clone();
        let mut kept = Vec::new();
        for (noun, it) in [
            ("slave", &self.slaves),
            ("builder", &self.builders),
            ("source", &self.sources),
            ("scheduler", &self.schedulers),
            ("lock", &self.locks),
            ("status target", &self.status),
            ("user", &self.users),
        ] {
            lines.extend(it.added.iter().map(|name| format!("added {noun} `{name}`")));
            for (name, what) in &it.changed {
                lines.push(format!("changed {noun} `{name}`: {}", what.join(", ")));
            }
            lines.extend(
                it.removed
                    .iter()
                    .map(|name| format!("removed {noun} `{name}`")),
            );
            if it.is_reordered {
                lines.push(format!("changed the order of {noun}s"));
            }
            if it.kept > 0 {
                let plural = if it.kept == 1 { "" } else { "s" };
                kept.push(format!("{} {noun}{plural}", it.kept));
            }
        }
        if !kept.is_empty() {
            lines.push(format!("kept {}", kept.join(", ")));
        }
        lines
    }
}

/// What of the master is used from its start to its end. Each by its key, with what it says; the
/// place is looked for among those of the plan.
const FIXED: &[Fixed] = &[("db_url", |it| {
    format!("sqlite:///{}", it.database.display())
})];

type Fixed = (&'static str, fn(&MasterPlan) -> String);

/// What the new plan changes although only a restart can.
pub(crate) fn needs_restart(old: &Plan, new: &Plan) -> Problems {
    changed_of(FIXED, old, new)
}

fn changed_of(fixed: &[Fixed], old: &Plan, new: &Plan) -> Problems {
    let mut problems = Problems::default();
    for (key, value) in fixed {
        if value(&old.master) == value(&new.master) {
            continue;
        }
        let what = format!("`{key}` cannot change while the master runs");
        let mut problem = Problem::error(Code::NeedsRestart, what);
        if let Some(place) = new.port_places.get(key) {
            problem = problem
                .at(place)
                .label(format!("it was `{}`", value(&old.master)));
        }
        problems.note(problem.help("`autobot restart` puts it into force"));
    }
    problems
}

/// Compares items by name; `differs` names what changed of one.
fn compare<T>(
    old: &[Arc<T>],
    new: &[Arc<T>],
    name: impl Fn(&T) -> &str,
    mut differs: impl FnMut(&T, &T) -> Vec<&'static str>,
) -> Changes {
    let mut before: HashMap<&str, &Arc<T>> = old.iter().map(|it| (name(it), it)).collect();
    let mut changes = Changes::default();
    let mut stayed = Vec::new();
    for after in new {
        let Some(before) = before.remove(name(after)) else {
            changes.added.push(name(after).to_owned());
            continue;
        };
        stayed.push(name(after));
        let what = if Arc::ptr_eq(before, after) {
            Vec::new()
        } else {
            differs(before, after)
        };
        if what.is_empty() {
            changes.kept += 1;
        } else {
            changes.changed.insert(name(after).to_owned(), what);
        }
    }
    let left = old.iter().map(|it| name(it));
    let (left, stood): (Vec<_>, Vec<_>) = left.partition(|name| before.contains_key(name));
    changes.removed = left.into_iter().map(str::to_owned).collect();
    changes.is_reordered = stood != stayed;
    changes
}

/// The names of those that differ.
fn named<const N: usize>(all: [(&'static str, bool); N]) -> Vec<&'static str> {
    let differ = all.into_iter().filter(|(_, differs)| *differs);
    differ.map(|(name, _)| name).collect()
}

// The patterns below have no `..`: who adds a setting is asked here whether a reload sees it.

fn settings(old: &Plan, new: &Plan) -> Vec<String> {
    let Plan {
        files: _,
        master,
        slaves: _,
        builders: _,
        sources: _,
        schedulers: _,
        left_out,
        status: _,
        users: _,
        web,
        metrics,
        authz,
        secrets,
        secret_names: _,
        locks: _,
        warnings: _,
        origins: _,
        known: _,
        port_places: _,
    } = old;
    let mut lines = of_the_master(master, &new.master);
    let others = named([
        ("[:web:]", *web != new.web),
        ("[:metrics:]", *metrics != new.metrics),
        ("[:authz:]", *authz != new.authz),
        ("[:secrets:]", *secrets != new.secrets),
        ("what no slave can build", *left_out != new.left_out),
    ]);
    lines.extend(others.into_iter().map(|name| format!("changed {name}")));
    lines
}

fn of_the_master(old: &MasterPlan, new: &MasterPlan) -> Vec<String> {
    let MasterPlan {
        title,
        title_url,
        base_url,
        slaveport: _,
        htmlport: _,
        publichtmlport: _,
        pb_port: _,
        line,
        clients,
        properties,
        lost_timeout,
        watch,
        validation,
        prioritize_builders,
        horizons,
        change_horizon,
        change_age,
        log_size,
        logs,
        log,
        database: _,
    } = old;
    let mut lines = Vec::new();
    for ((name, before), (_, after)) in old.ports().into_iter().zip(new.ports()) {
        match (before, after) {
            (None, Some(after)) => lines.push(format!("added {name} {after}")),
            (Some(before), None) => lines.push(format!("removed {name} {before}")),
            (Some(before), Some(after)) if before != after => {
                lines.push(format!("changed {name} {before} to {after}"));
            }
            _ => {}
        }
    }
    let others = named([
        ("title", *title != new.title),
        ("title_url", *title_url != new.title_url),
        ("base_url", *base_url != new.base_url),
        ("accounts of Buildbot's clients", *clients != new.clients),
        ("properties", *properties != new.properties),
        ("lost_timeout", *lost_timeout != new.lost_timeout),
        ("watch", *watch != new.watch),
        ("[:validation:]", *validation != new.validation),
        (
            "prioritize_builders",
            *prioritize_builders != new.prioritize_builders,
        ),
        ("horizons", *horizons != new.horizons),
        ("change_horizon", *change_horizon != new.change_horizon),
        ("change_age", *change_age != new.change_age),
        ("log_size", *log_size != new.log_size),
        ("log limits", *logs != new.logs),
        ("the master's own log", *log != new.log),
    ]);
    let others = others.into_iter().chain(of_the_line(line, &new.line));
    lines.extend(others.map(|name| format!("changed {name}")));
    lines
}

fn of_the_line(old: &LinePlan, new: &LinePlan) -> Vec<&'static str> {
    let LinePlan {
        tls,
        certificate,
        key,
        heartbeat,
        login_timeout,
        max_strangers,
        max_strangers_per_address,
        max_failed_logins,
    } = old;
    named([
        ("tls", *tls != new.tls),
        ("tls_certificate", *certificate != new.certificate),
        ("tls_key", *key != new.key),
        ("heartbeat", *heartbeat != new.heartbeat),
        ("login_timeout", *login_timeout != new.login_timeout),
        ("max_strangers", *max_strangers != new.max_strangers),
        (
            "max_strangers_per_address",
            *max_strangers_per_address != new.max_strangers_per_address,
        ),
        (
            "max_failed_logins",
            *max_failed_logins != new.max_failed_logins,
        ),
    ])
}

/// Plans that are not shared, as [`compare`] takes them.
fn shared<T: Clone>(all: &[T]) -> Vec<Arc<T>> {
    all.iter().cloned().map(Arc::new).collect()
}

fn slave(old: &SlavePlan, new: &SlavePlan) -> Vec<&'static str> {
    let SlavePlan {
        name: _,
        password,
        os,
        launch,
        on_demand,
        missing_timeout,
        notify_on_missing,
        downtime,
        max_builds,
        tags,
        has,
        capabilities,
        clean_up,
        timeout_factor,
        locks,
        mirrors,
        mirror_budget,
        properties,
    } = old;
    #[expect(clippy::float_cmp, reason = "the same text gives the same bits")]
    let is_same_factor = *timeout_factor == new.timeout_factor;
    named([
        ("password", *password != new.password),
        ("os", *os != new.os),
        ("launch", *launch != new.launch),
        ("on_demand", *on_demand != new.on_demand),
        ("missing_timeout", *missing_timeout != new.missing_timeout),
        (
            "notify_on_missing",
            *notify_on_missing != new.notify_on_missing,
        ),
        ("downtime", *downtime != new.downtime),
        ("max_builds", *max_builds != new.max_builds),
        ("tags", *tags != new.tags),
        ("has", *has != new.has),
        ("capability", *capabilities != new.capabilities),
        ("clean_up", *clean_up != new.clean_up),
        ("timeout_factor", !is_same_factor),
        ("locks", *locks != new.locks),
        ("mirrors", *mirrors != new.mirrors),
        ("mirror_budget", *mirror_budget != new.mirror_budget),
        ("properties", *properties != new.properties),
    ])
}

fn builder(old: &BuilderPlan, new: &BuilderPlan) -> Vec<&'static str> {
    let BuilderPlan {
        name: _,
        builddir,
        slavebuilddir,
        slaves,
        factory_name,
        factory: _,
        factory_print,
        category,
        tags,
        description,
        properties,
        env,
        merge_requests,
        priority,
        cancel_superseded,
        max_pending,
        next_build,
        next_slave,
        locks,
        use_progress,
        horizons,
        origin: _,
    } = old;
    let is_same_factory = *factory_name == new.factory_name && *factory_print == new.factory_print;
    named([
        ("builddir", *builddir != new.builddir),
        ("slavebuilddir", *slavebuilddir != new.slavebuilddir),
        ("slaves", *slaves != new.slaves),
        ("factory", !is_same_factory),
        ("category", *category != new.category),
        ("tags", *tags != new.tags),
        ("description", *description != new.description),
        ("properties", *properties != new.properties),
        ("env", *env != new.env),
        ("merge_requests", *merge_requests != new.merge_requests),
        ("priority", *priority != new.priority),
        (
            "cancel_superseded",
            *cancel_superseded != new.cancel_superseded,
        ),
        ("max_pending", *max_pending != new.max_pending),
        ("next_build", *next_build != new.next_build),
        ("next_slave", *next_slave != new.next_slave),
        ("locks", *locks != new.locks),
        ("use_progress", *use_progress != new.use_progress),
        ("horizons", *horizons != new.horizons),
    ])
}

fn source(old: &SourcePlan, new: &SourcePlan) -> Vec<&'static str> {
    let SourcePlan {
        name: _,
        settings,
        origin: _,
    } = old;
    named([("settings", *settings != new.settings)])
}

fn scheduler(old: &SchedulerPlan, new: &SchedulerPlan) -> Vec<&'static str> {
    let SchedulerPlan {
        name: _,
        builders,
        properties,
        queue,
        settings,
        origin: _,
    } = old;
    named([
        ("builders", *builders != new.builders),
        ("properties", *properties != new.properties),
        ("priority", queue.priority != new.queue.priority),
        (
            "cancel_superseded",
            queue.cancel_superseded != new.queue.cancel_superseded,
        ),
        ("settings", **settings != *new.settings),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::plan as plan_of;

    const OLD: &str = "[:master:]\ntitle = one\nhtmlport = 8010\nfactories = a b\n\
                       [slave:s1]\npassword = x\n[slave:s2]\npassword = y\nmax_builds = 2\n\
                       [a]\ntype = foo\nbar = make\n[b]\ntype = foo\nbar = make\n";

    fn check(edits: &[(&str, &str)], expected: &[&str]) {
        let new = edits.iter().fold(OLD.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        let (old, new) = (plan_of(OLD), plan_of(&new));
        let difference = Difference::between(&old, &new);
        assert_eq!(difference.lines(), expected, "{edits:?}");
    }

    #[test]
    fn the_same_files_change_nothing() {
        check(&[], &["kept 2 slaves, 4 builders"]);
    }

    #[test]
    fn what_changed_is_named_by_its_key() {
        check(
            &[("title = one", "title = two"), ("8010", "8011")],
            &[
                "changed htmlport 0.0.0.0:8010 to 0.0.0.0:8011",
                "changed title",
                "kept 2 slaves, 4 builders",
            ],
        );
        check(
            &[
                ("max_builds = 2", "max_builds = 1\nproperty.x = 1"),
                ("password = x", "password = z\nos = win"),
            ],
            &[
                "changed slave `s1`: password, os",
                "changed slave `s2`: max_builds, properties",
                "kept 4 builders",
            ],
        );
        check(
            &[("bar = make", "bar = make\nmerge_requests = no")],
            &[
                "changed builder `a-s1`: merge_requests",
                "changed builder `a-s2`: merge_requests",
                "kept 2 slaves, 2 builders",
            ],
        );
        check(
            &[
                ("bar = make", "bar = make -j2"),
                ("factories = a b", "builders = factory\nfactories = a b"),
            ],
            &[
                "added builder `a`",
                "added builder `b`",
                "removed builder `a-s1`",
                "removed builder `b-s1`",
                "removed builder `a-s2`",
                "removed builder `b-s2`",
                "kept 2 slaves",
            ],
        );
    }

    #[test]
    fn another_order_is_a_change() {
        check(
            &[("factories = a b", "factories = b a")],
            &["changed the order of builders", "kept 2 slaves, 4 builders"],
        );
    }

    #[test]
    fn every_builder_of_a_factory_changes_with_it() {
        check(
            &[("bar = make\n[b]", "bar = make all\n[b]")],
            &[
                "changed builder `a-s1`: factory",
                "changed builder `a-s2`: factory",
                "kept 2 slaves, 2 builders",
            ],
        );
    }

    #[test]
    fn what_needs_a_restart_is_told_with_its_place() {
        let (old, new) = (plan_of(OLD), plan_of(&OLD.replace("8010", "8011")));
        let fixed: &[Fixed] = &[
            ("htmlport", |it| format!("{:?}", it.htmlport)),
            ("title", |it| it.title.clone()),
        ];
        insta::assert_snapshot!(changed_of(fixed, &old, &new).render(false), @"
        error[needs-restart]: `htmlport` cannot change while the master runs
         --> master.ini:3:12
          |
        3 | htmlport = 8011
          |            ^^^^ it was `Some(0.0.0.0:8010)`
          |
          = help: `autobot restart` puts it into force
        ");
        assert!(needs_restart(&old, &new).is_empty());
    }
}
