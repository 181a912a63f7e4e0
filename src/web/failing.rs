//! That a builder fails, since which build, and who may have broken it.

use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::clock;
use crate::model::BuildKey;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::Failing;
use crate::model::Timestamp;
use crate::store::Store;
use crate::store::StoreError;

use super::rows::Link;
use super::words;
use super::words::Moment;

/// A branch of a builder that fails.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FailingLine {
    pub(super) branch: Option<String>,
    /// The build that began it.
    pub(super) first: Link,
    pub(super) since: Moment,
    pub(super) suspects: Vec<String>,
    /// The last one before that went well, if it is known.
    pub(super) good: Option<Link>,
}

impl FailingLine {
    pub(super) fn all(builder: &BuilderName, failing: &[Failing], now: Timestamp) -> Vec<Self> {
        failing
            .iter()
            .map(|it| Self {
                branch: it.branch.clone(),
                first: number(builder, it.first),
                since: Moment::new(it.since, now),
                suspects: it.suspects.iter().map(|it| words::person(it)).collect(),
                good: it.good.map(|good| number(builder, good)),
            })
            .collect()
    }
}

/// The run of failures that a build belongs to.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RunLine {
    /// The build that began it; `None` if that is this one.
    pub(super) first: Option<Link>,
    pub(super) suspects: Vec<String>,
}

impl RunLine {
    /// Of a build that failed. Who is a suspect is known while the run lasts; afterwards the
    /// build that began it may be forgotten.
    pub(super) fn read(
        store: &mut dyn Store,
        build: &BuildRecord,
    ) -> Result<Option<Self>, StoreError> {
        let Some(first) = build.failing_since else {
            return Ok(None);
        };
        let builder = &build.key.builder;
        if store.build(builder, first)?.is_none() {
            return Ok(None);
        }
        Ok(Self::of(build, &store.failing(builder)?))
    }

    fn of(build: &BuildRecord, failing: &[Failing]) -> Option<Self> {
        let first = build.failing_since?;
        let run = failing.iter().find(|it| it.first == first);
        let suspects = match run {
            Some(run) => &run.suspects[..],
            None if first == build.key.number => &build.blame,
            None => &[],
        };
        Some(Self {
            first: (first != build.key.number).then(|| number(&build.key.builder, first)),
            suspects: suspects.iter().map(|it| words::person(it)).collect(),
        })
    }
}

fn number(builder: &BuilderName, number: i64) -> Link {
    let key = BuildKey {
        builder: builder.clone(),
        number,
    };
    Link {
        name: format!("#{number}"),
        ..Link::build(&key)
    }
}

/// The branches of a builder that fail, as documents.
pub(super) fn documents(
    store: &mut dyn Store,
    builder: &BuilderName,
) -> Result<Vec<Value>, StoreError> {
    Ok(store.failing(builder)?.iter().map(document).collect())
}

/// A branch that fails, as a document.
pub(super) fn document(it: &Failing) -> Value {
    json!({
        "branch": it.branch,
        "failing_since": it.first,
        "since": clock::iso(it.since),
        "last": it.last,
        "last_good": it.good,
        "suspects": it.suspects,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;

    use super::super::app::router;
    use super::super::sample_desk::SampleDesk;
    use super::super::tests::get;
    use super::*;
    use crate::master::Access;
    use crate::model::ChangeId;
    use crate::model::NewBuildset;
    use crate::model::Outcome;
    use crate::model::Properties;
    use crate::model::SourceStamp;
    use crate::store::BuildEnd;
    use crate::store::NewBuild;

    /// Builds of `hello` on `branch` that end like this after those that are there.
    async fn build(desk: &SampleDesk, branch: &'static str, outcomes: &'static [Outcome]) {
        let built = desk.store.write(move |verbs| {
            let now = clock::now();
            for outcome in outcomes {
                let stamp = SourceStamp {
                    branch: Some(branch.into()),
                    changes: vec![ChangeId(1), ChangeId(2)],
                    ..SourceStamp::default()
                };
                let wanted = NewBuildset {
                    priority: None,
                    reason: String::new(),
                    stamp: stamp.clone(),
                    properties: Properties::new(),
                    builders: vec!["hello".into()],
                };
                let (_, requests) = verbs.add_buildset(&wanted, now)?;
                let new = NewBuild {
                    builder: "hello".into(),
                    slave: "otter".into(),
                    requests,
                    stamp,
                    reason: String::new(),
                    config: None,
                    locks: Vec::new(),
                };
                let begun = verbs.start_build(&new, now)?.expect("it waits");
                let end = BuildEnd {
                    outcome: *outcome,
                    text: Vec::new(),
                    properties: Properties::new(),
                };
                verbs.finish_build(begun.id, &end, now)?;
            }
            Ok(())
        });
        built.await.expect("built");
    }

    #[tokio::test]
    async fn pages_and_documents_say_since_which_build_a_builder_fails_and_who_is_suspected() {
        use Outcome::{Failure, Success};

        let desk = SampleDesk::new().await;
        build(&desk, "1.2.X", &[Success, Failure, Failure]).await;
        let router = router(Arc::clone(&desk) as Arc<_>, Access::Full);

        let page = get(&router, "/builders/hello").await.body;
        let line = page.lines().find(|it| it.contains("failing since"));
        insta::assert_snapshot!(
            line.expect("a line").split("<time").next().unwrap_or_default(),
            @r#"<p class="verdict red"><strong>✗ failing since <a href="../builders/hello/builds/8">#8</a></strong> on <span class="mono">1.2.X</span>,"#
        );
        assert!(page.contains("Suspects: Ines Íñigo, bo&quot;."), "{page}");
        assert!(
            page.contains("builders/hello/builds/7\">#7</a> went well"),
            "{page}"
        );

        let first = get(&router, "/builders/hello/builds/8").await.body;
        assert!(
            first.contains("It began to fail with this build"),
            "{first}"
        );
        let second = get(&router, "/builders/hello/builds/9").await.body;
        assert!(second.contains("builds/8\">#8</a>"), "{second}");
        assert!(second.contains("Suspects: Ines Íñigo"), "{second}");
        let good = get(&router, "/builders/hello/builds/7").await.body;
        assert!(!good.contains("Suspects:"), "{good}");

        let read = async |path: &str| -> Value {
            let answer = get(&router, path).await;
            serde_json::from_str(&answer.body).expect("a document")
        };
        let all = read("/api/builders").await;
        let hello = &all[0]["failing"][0];
        assert_eq!(
            (&hello["failing_since"], &hello["last_good"], &hello["last"]),
            (&json!(8), &json!(7), &json!(9))
        );
        assert_eq!(
            hello["suspects"],
            json!(["Ines Íñigo <ines@test>", "bo\"<s>"])
        );
        let build = read("/api/builders/hello/builds/9").await;
        assert_eq!(build["failing_since"], 8);
        assert_eq!(build["blame"], hello["suspects"]);
        let build = read("/json/builders/hello/builds/9").await;
        assert_eq!(build["failing_since"], 8);
        let builder = read("/json/builders/hello").await;
        assert_eq!(builder["failing"][0]["failing_since"], 8);
    }
}
