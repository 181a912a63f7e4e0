//! What is read of many builds at once.

use super::*;

/// Builds that take turns at `a` and `b`, the later ones ending earlier.
async fn filled() -> (tempfile::TempDir, StoreHandle) {
    let (dir, store) = open();
    write(&store, |verbs| {
        for number in 0..6_i64 {
            let builder = if number % 2 == 0 { "a" } else { "b" };
            let at = Timestamp(NOW.0 + number);
            let requests = verbs.add_buildset(&wanted(&[builder]), at)?.1;
            let new = NewBuild {
                builder: builder.into(),
                slave: if number < 4 { "otter" } else { "newt" }.into(),
                requests,
                stamp: SourceStamp::default(),
                reason: String::new(),
                config: None,
                locks: Vec::new(),
            };
            let begun = verbs.start_build(&new, at)?.expect("it waits");
            let step = |number: u32, name: &str, counts| StepRecord {
                number,
                name: name.into(),
                started: None,
                finished: None,
                outcome: None,
                text: Vec::new(),
                build_text: Vec::new(),
                statistics: Vec::new(),
                urls: Vec::new(),
                hidden: false,
                usage: None,
                ended: None,
                progress: Progress {
                    counts,
                    ..Progress::default()
                },
                logs: Vec::new(),
            };
            let steps = [
                step(0, "checkout", true),
                step(1, "skipped", false),
                step(2, &format!("test {number}"), true),
            ];
            verbs.plan_build(begun.id, "", &Properties::new(), &steps)?;
            // The last of `a` still runs.
            if number != 4 {
                let end = BuildEnd {
                    outcome: if number == 3 {
                        Outcome::Failure
                    } else {
                        Outcome::Success
                    },
                    text: Vec::new(),
                    properties: Properties::new(),
                };
                verbs.finish_build(begun.id, &end, Timestamp(NOW.0 + 100 - number / 2))?;
            }
        }
        Ok(())
    })
    .await;
    (dir, store)
}

#[tokio::test]
async fn builds_are_read_in_the_order_of_their_ends() {
    let (_dir, store) = filled().await;
    let keys = |all: &[crate::model::BuildRecord]| -> Vec<String> {
        all.iter().map(|it| it.key.to_string()).collect()
    };
    let read = store.read(move |verbs| {
        let first = verbs.ended_builds(None, 3)?;
        let rest = verbs.ended_builds(first.last(), 9)?;
        assert!(verbs.ended_builds(rest.last(), 9)?.is_empty());
        Ok((keys(&first), keys(&rest)))
    });
    let (first, rest) = read.await.expect("read");
    // What ended in one moment: the later begun first.
    assert_eq!(first, ["b/0", "a/0", "b/1"]);
    assert_eq!(rest, ["a/1", "b/2"]);
}

#[tokio::test]
async fn little_is_read_of_many_builders() {
    let (_dir, store) = filled().await;
    let read = store.read(|verbs| {
        let [a, b, none] = ["a", "b", "c"].map(BuilderName::from);
        assert_eq!(verbs.newest_numbers(&a, 2)?, [2, 1]);
        assert!(verbs.newest_numbers(&none, 2)?.is_empty());
        assert_eq!(verbs.last_end(&a)?, Some((1, Outcome::Success)));
        assert_eq!(verbs.last_end(&b)?, Some((2, Outcome::Success)));
        assert_eq!(verbs.last_end(&none)?, None);
        assert_eq!(verbs.steps_to_come(&a)?, ["checkout", "test 4"]);
        assert!(verbs.steps_to_come(&none)?.is_empty());
        let ran = |all: Vec<(BuildKey, Option<Outcome>)>| -> Vec<String> {
            let word = |it: Option<Outcome>| it.map_or("running", Outcome::as_str);
            let all = all.iter();
            all.map(|it| format!("{} {}", it.0, word(it.1))).collect()
        };
        assert_eq!(
            ran(verbs.ran_on(&"otter".into(), 4)?),
            ["b/1 failure", "a/1 success", "b/0 success", "a/0 success"]
        );
        assert_eq!(
            ran(verbs.ran_on(&"newt".into(), 9)?),
            ["b/2 success", "a/2 running"]
        );
        Ok(())
    });
    read.await.expect("read");
}
