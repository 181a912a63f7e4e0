//! What pages look for.

use crate::model::BuildId;
use crate::model::ChangeId;
use crate::store::BuildQuery;
use crate::store::ChangeQuery;
use crate::store::GlanceQuery;

use super::*;

async fn read<T: Send + 'static>(
    store: &StoreHandle,
    verbs: impl FnOnce(&mut dyn Store) -> Result<T> + Send + 'static,
) -> T {
    store.read(verbs).await.expect("readable")
}

/// Builds of `a`, one for each branch, the last of which still runs, and one of `b`.
async fn fill(store: &StoreHandle) {
    write(store, |verbs| {
        let branches = [Some("main"), None, Some("x_y"), Some("main")];
        let outcomes = [Outcome::Success, Outcome::Failure, Outcome::Warnings];
        for (number, branch) in (0..).zip(branches) {
            let mut wish = wanted(&["a"]);
            wish.stamp.branch = branch.map(str::to_owned);
            let requests = verbs.add_buildset(&wish, NOW)?.1;
            let new = NewBuild {
                stamp: wish.stamp.clone(),
                slave: if number == 1 { "linux-2" } else { "linux-1" }.into(),
                ..start("a", &requests)
            };
            let begun = verbs.start_build(&new, NOW)?.expect("it waits");
            if let Some(outcome) = outcomes.get(number) {
                verbs.finish_build(begun.id, &end(*outcome), NOW)?;
            }
        }
        let requests = verbs.add_buildset(&wanted(&["b"]), NOW)?.1;
        let begun = verbs.start_build(&start("b", &requests), NOW)?;
        verbs.finish_build(begun.expect("it waits").id, &end(Outcome::Exception), NOW)?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_list_sees_the_newest_builds_of_a_builder_at_a_glance() {
    let (_dir, store) = open();
    fill(&store).await;
    let numbers = async |query: GlanceQuery| -> Vec<i64> {
        let found = read(&store, move |verbs| verbs.glances(&"a".into(), &query)).await;
        found.iter().map(|it| it.number).collect()
    };
    let all = GlanceQuery {
        limit: 9,
        ..GlanceQuery::default()
    };
    assert_eq!(numbers(all.clone()).await, [3, 2, 1, 0]);
    let two = GlanceQuery {
        limit: 2,
        is_finished: true,
        ..GlanceQuery::default()
    };
    assert_eq!(numbers(two).await, [2, 1]);
    let of = |branch: Option<&str>, farthest| GlanceQuery {
        branches: vec![branch.map(str::to_owned)],
        farthest,
        ..all.clone()
    };
    assert_eq!(numbers(of(Some("main"), 9)).await, [3, 0]);
    assert_eq!(numbers(of(Some("main"), 3)).await, [3]);
    assert_eq!(numbers(of(None, 9)).await, [1]);
    let both = GlanceQuery {
        branches: vec![Some("x_y".into()), None],
        farthest: 9,
        ..all
    };
    let found = read(&store, move |verbs| verbs.glances(&"a".into(), &both)).await;
    let found: Vec<_> = found
        .iter()
        .map(|it| (it.number, it.slave.as_str(), it.outcome, it.finished))
        .collect();
    assert_eq!(
        found,
        [
            (2, "linux-1", Some(Outcome::Warnings), Some(NOW)),
            (1, "linux-2", Some(Outcome::Failure), Some(NOW)),
        ]
    );
}

#[tokio::test]
async fn builds_that_have_ended_are_found_by_builder_slave_branch_result_and_place() {
    let (_dir, store) = open();
    fill(&store).await;
    let keys = async |query: BuildQuery| -> String {
        let query = BuildQuery { limit: 9, ..query };
        let found = read(&store, move |verbs| verbs.find_builds(&query)).await;
        let keys: Vec<_> = found.iter().map(|it| it.key.to_string()).collect();
        keys.join(" ")
    };
    let a = BuildQuery {
        builder: Some("a".into()),
        ..BuildQuery::default()
    };
    assert_eq!(keys(BuildQuery::default()).await, "b/0 a/2 a/1 a/0");
    assert_eq!(keys(a.clone()).await, "a/2 a/1 a/0");
    let below = BuildQuery {
        below: Some(2),
        ..a.clone()
    };
    assert_eq!(keys(below).await, "a/1 a/0");
    let red = BuildQuery {
        outcomes: vec![Outcome::Failure, Outcome::Exception],
        ..BuildQuery::default()
    };
    assert_eq!(keys(red).await, "b/0 a/1");
    let of_main = BuildQuery {
        branches: vec![Some("main".into())],
        ..a
    };
    assert_eq!(keys(of_main).await, "a/0");
    let of_slave = BuildQuery {
        slave: Some("linux-1".into()),
        ..BuildQuery::default()
    };
    assert_eq!(keys(of_slave.clone()).await, "b/0 a/2 a/0");
    let among = |names: &[&str]| BuildQuery {
        among: Some(names.iter().map(|it| BuilderName::from(*it)).collect()),
        ..BuildQuery::default()
    };
    assert_eq!(keys(among(&["b", "x"])).await, "b/0");
    assert_eq!(keys(among(&[])).await, "");
    let older = BuildQuery {
        before: Some(BuildId(3)),
        ..of_slave
    };
    assert_eq!(keys(older).await, "a/0");
}

#[tokio::test]
async fn changes_are_found_by_what_they_say_and_a_search_goes_on_where_it_ended() {
    let (_dir, store) = open();
    write(&store, |verbs| {
        for number in 1..=20 {
            let mut change = NewChange::by(if number % 2 == 0 { "Ann <a@x>" } else { "bo" });
            change.comments = format!("fix 100% of {number}_{}", number * 7);
            change.revision = Some(format!("r{number}"));
            change.files = vec![format!("docs/{number}.txt")];
            change.branch = (number > 10).then(|| "main".to_owned());
            change.project = "words".into();
            verbs.add_change(&change, NOW)?;
        }
        Ok(())
    })
    .await;
    let found = async |query: ChangeQuery| -> (Vec<i64>, Option<i64>) {
        let query = ChangeQuery { limit: 3, ..query };
        let found = read(&store, move |verbs| verbs.find_changes(&query)).await;
        let ids = found.changes.iter().map(|it| it.id.0).collect();
        (ids, found.next.map(|it| it.0))
    };
    let all = ChangeQuery {
        farthest: 100,
        ..ChangeQuery::default()
    };
    let part = |part: &str| ChangeQuery {
        part: Some(part.into()),
        ..all.clone()
    };
    assert_eq!(found(all.clone()).await, (vec![20, 19, 18], Some(18)));
    let by_ann = ChangeQuery {
        author: Some("ann".into()),
        before: Some(ChangeId(6)),
        ..all.clone()
    };
    assert_eq!(found(by_ann).await, (vec![4, 2], None));
    let of_default = ChangeQuery {
        branches: vec![None],
        ..all.clone()
    };
    assert_eq!(found(of_default).await, (vec![10, 9, 8], Some(8)));
    let elsewhere = ChangeQuery {
        project: Some("others".into()),
        ..all.clone()
    };
    assert_eq!(found(elsewhere).await, (vec![], None));
    assert_eq!(found(part("100%")).await.0, [20, 19, 18]);
    assert_eq!(found(part("3_21")).await.0, [3]);
    assert_eq!(found(part("DOCS/7.")).await.0, [7]);
    assert_eq!(found(part("r12")).await.0, [12]);
    // It does not look for ever, and says where it stopped.
    let near = ChangeQuery {
        farthest: 5,
        ..part("r12")
    };
    assert_eq!(found(near.clone()).await, (vec![], Some(16)));
    let on = ChangeQuery {
        before: Some(ChangeId(16)),
        ..near
    };
    assert_eq!(found(on).await, (vec![12], Some(11)));
}

#[tokio::test]
async fn of_all_builders_what_ended_last_is_the_newest_whenever_it_began() {
    let (_dir, store) = open();
    let found = write(&store, |verbs| {
        let mut begun = Vec::new();
        for builder in ["long", "short"] {
            let requests = verbs.add_buildset(&wanted(&[builder]), NOW)?.1;
            let build = verbs.start_build(&start(builder, &requests), NOW)?;
            begun.push(build.expect("it waits").id);
        }
        let at = |secs: i64| Timestamp(NOW.0 + secs * 1000);
        verbs.finish_build(begun[1], &end(Outcome::Success), at(1))?;
        verbs.finish_build(begun[0], &end(Outcome::Success), at(2))?;
        verbs.find_builds(&BuildQuery {
            limit: 9,
            ..BuildQuery::default()
        })
    })
    .await;
    let found: Vec<_> = found.iter().map(|it| it.key.to_string()).collect();
    assert_eq!(found, ["long/0", "short/0"]);
}
