//! Small logs that stand in the database until the disk has their files.

use super::*;
use crate::model::BuildId;
use crate::store::Holders;

/// Builds of one builder, each with a small log that the disk may not have yet.
fn builds(verbs: &mut dyn Store, builder: &str, count: usize) -> Result<Vec<BuildId>> {
    let mut builds = Vec::new();
    for number in 0..count {
        let (_, requests) = verbs.add_buildset(&wanted(&[builder]), NOW)?;
        let begun = verbs.start_build(&start(builder, &requests), NOW)?;
        let build = begun.expect("it waits").id;
        verbs.keep_fresh_log(build, &format!("{builder}/{number}-log"), b"said")?;
        builds.push(build);
    }
    Ok(builds)
}

/// The files that would be written again.
fn brought_back(verbs: &mut dyn Store) -> Result<Vec<String>> {
    let mut files = Vec::new();
    verbs.fresh_logs(&mut |file, _| files.push(file.to_owned()))?;
    Ok(files)
}

#[tokio::test]
async fn a_log_that_was_pruned_alone_or_with_its_build_is_not_brought_back() {
    let (_dir, store) = open();
    let (before, after) = write(&store, |verbs| {
        let [unmeasured, measured, logless, gone] = builds(verbs, "a", 4)?[..] else {
            panic!("four builds")
        };
        let before = brought_back(verbs)?;
        verbs.finish_build(unmeasured, &end(Outcome::Success), NOW)?;
        verbs.measure(&[(measured, 4), (logless, 4)])?;
        verbs.forget_logs(&[logless])?;
        verbs.forget_builds(&"a".into(), &[gone], &Holders::default())?;
        Ok((before, brought_back(verbs)?))
    })
    .await;
    assert_eq!(before, ["a/0-log", "a/1-log", "a/2-log", "a/3-log"]);
    assert_eq!(after, ["a/0-log", "a/1-log"]);
}

#[tokio::test]
async fn a_log_that_was_packed_is_not_brought_back() {
    let (_dir, store) = open();
    let back = write(&store, |verbs| {
        builds(verbs, "a", 3)?;
        builds(verbs, "b", 1)?;
        verbs.pack_logs(&"a".into(), 0, 1, Some(b"both"))?;
        brought_back(verbs)
    })
    .await;
    assert_eq!(back, ["a/2-log", "b/0-log"]);
}
