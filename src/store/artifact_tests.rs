//! What every database must do with what steps brought.

use crate::model::Artifact;
use crate::model::BuildId;
use crate::model::Outcome;
use crate::model::Timestamp;

use super::tests::{NOW, end, open, start, step, wanted, write};
use super::{Holders, Result, Store};

fn artifact(path: &str, size: u64, made: i64) -> Artifact {
    Artifact {
        step: 0,
        path: path.into(),
        is_directory: path.ends_with('/'),
        size,
        sha256: format!("sum of {path}"),
        made: Timestamp(made),
    }
}

/// A build that ended so and brought these.
fn build(
    verbs: &mut dyn Store,
    builder: &str,
    outcome: Outcome,
    brought: &[Artifact],
) -> Result<BuildId> {
    let (_, requests) = verbs.add_buildset(&wanted(&[builder]), NOW)?;
    let begun = verbs.start_build(&start(builder, &requests), NOW)?;
    let id = begun.expect("the request waits").id;
    verbs.put_step(id, &step(0))?;
    if !brought.is_empty() {
        verbs.put_artifacts(id, 0, brought)?;
    }
    verbs.finish_build(id, &end(outcome), NOW)?;
    Ok(id)
}

#[tokio::test]
async fn what_a_step_brought_is_kept_and_told_when_another_build_replaced_it() {
    let (_dir, store) = open();
    let (first, second) = write(&store, |verbs| {
        let first = [artifact("a", 1, 10), artifact("docs/", 2, 11)];
        let first = build(verbs, "x", Outcome::Success, &first)?;
        let second = build(verbs, "y", Outcome::Success, &[artifact("a", 3, 20)])?;
        // Played again, the step says the same.
        verbs.put_artifacts(second, 0, &[artifact("a", 4, 21)])?;
        Ok((first, second))
    })
    .await;
    let read = |id| store.read(move |verbs| verbs.artifacts(id));
    let old = read(first).await.expect("readable");
    assert_eq!(old[0].artifact, artifact("a", 1, 10));
    let by = old[0].replaced_by.as_ref().map(ToString::to_string);
    assert_eq!(by.as_deref(), Some("y/0"));
    assert_eq!(old[1].artifact, artifact("docs/", 2, 11));
    assert_eq!((&old[1].replaced_by, old.len()), (&None, 2));
    let new = read(second).await.expect("readable");
    assert_eq!((new[0].artifact.size, new.len()), (4, 1));
    assert_eq!(new[0].replaced_by, None);
}

#[tokio::test]
async fn the_newest_good_build_that_brought_something_is_found() {
    let (_dir, store) = open();
    write(&store, |verbs| {
        let some = [artifact("a", 1, 10)];
        build(verbs, "x", Outcome::Success, &some)?;
        build(verbs, "x", Outcome::Warnings, &some)?;
        build(verbs, "x", Outcome::Failure, &some)?;
        build(verbs, "x", Outcome::Success, &[])?;
        build(verbs, "y", Outcome::Failure, &some).map(drop)
    })
    .await;
    for (builder, expected) in [("x", Some(1)), ("y", None), ("z", None)] {
        let number = store.read(move |verbs| verbs.newest_with_artifacts(&builder.into()));
        assert_eq!(number.await.expect("readable"), expected, "{builder}");
    }
}

#[tokio::test]
async fn what_a_build_brought_is_forgotten_with_it() {
    let (_dir, store) = open();
    let left = write(&store, |verbs| {
        let old = build(verbs, "x", Outcome::Success, &[artifact("a", 1, 10)])?;
        let new = build(verbs, "x", Outcome::Success, &[artifact("b", 1, 10)])?;
        verbs.forget_builds(&"x".into(), &[old], &Holders::default())?;
        Ok((verbs.artifacts(old)?.len(), verbs.artifacts(new)?.len()))
    })
    .await;
    assert_eq!(left, (0, 1));
}
