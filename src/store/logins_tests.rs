//! Sessions, tokens and the audit log, as every database keeps them.

use std::sync::Arc;
use std::time::Duration;

use super::tests::{NOW, open, write};
use super::{Act, AuditId, AuditQuery, NewAudit, NewSession, NewToken, SessionLimits, StoreHandle};
use crate::model::Timestamp;

const LIMITS: SessionLimits = SessionLimits {
    idle: Duration::from_secs(100),
    life: Duration::from_secs(250),
};

fn after(secs: i64) -> Timestamp {
    Timestamp(NOW.0 + secs * 1000)
}

fn session(of: u8, user: &str) -> NewSession {
    NewSession {
        digest: [of; 32],
        user: user.into(),
        proof: [7; 32],
    }
}

#[tokio::test]
async fn a_session_lasts_while_it_is_used_and_never_longer_than_its_life() {
    let (_dir, store) = open();
    write(&store, |verbs| {
        verbs.add_session(&session(1, "ann"), LIMITS, NOW)?;
        let alive = |verbs: &mut dyn super::Store, secs| {
            verbs
                .session(&[1; 32], LIMITS, after(secs))
                .map(|it| it.is_some())
        };
        let found = verbs.session(&[1; 32], LIMITS, after(100))?.expect("there");
        assert_eq!((found.user.as_str(), found.proof), ("ann", [7; 32]));
        assert!(!alive(verbs, 101)?, "idle");
        verbs.see_session(&[1; 32], after(90))?;
        assert!(alive(verbs, 190)?);
        verbs.see_session(&[1; 32], after(180))?;
        assert!(alive(verbs, 250)?);
        assert!(!alive(verbs, 251)?, "its life is over");
        assert!(verbs.session(&[2; 32], LIMITS, NOW)?.is_none());
        assert!(verbs.remove_session(&[1; 32])?);
        assert!(!verbs.remove_session(&[1; 32])?);
        assert!(!alive(verbs, 1)?);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_user_has_fifty_sessions_and_the_oldest_goes() {
    let (_dir, store) = open();
    write(&store, |verbs| {
        verbs.add_session(&session(200, "bo"), LIMITS, NOW)?;
        for of in 0..51 {
            let now = Timestamp(NOW.0 + i64::from(of));
            verbs.add_session(&session(of, "ann"), LIMITS, now)?;
        }
        assert!(verbs.session(&[0; 32], LIMITS, NOW)?.is_none());
        assert!(verbs.session(&[1; 32], LIMITS, NOW)?.is_some());
        assert!(verbs.session(&[50; 32], LIMITS, NOW)?.is_some());
        assert!(verbs.session(&[200; 32], LIMITS, NOW)?.is_some());
        // Those that have ended are gone for good.
        verbs.add_session(&session(99, "cy"), LIMITS, after(1000))?;
        assert!(!verbs.remove_session(&[200; 32])?);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_token_is_kept_once_found_by_its_digest_and_says_when_it_was_used() {
    let (_dir, store) = open();
    let new = |name: &str, of: u8| NewToken {
        name: name.into(),
        digest: [of; 32],
        user: "ann".into(),
        scopes: vec!["read".into(), "force_build".into()],
        bound: of == 1,
        expires: (of == 1).then(|| after(60)),
    };
    let (one, two) = (new("nightly", 1), new("nightly", 2));
    let other = new("a", 3);
    write(&store, move |verbs| {
        assert!(verbs.add_token(&one, NOW)?);
        assert!(!verbs.add_token(&two, NOW)?, "the name is taken");
        assert!(verbs.add_token(&other, NOW)?);
        assert!(verbs.token(&[2; 32])?.is_none());
        let found = verbs.token(&[1; 32])?.expect("there");
        assert_eq!(
            (found.name.as_str(), found.user.as_str()),
            ("nightly", "ann")
        );
        assert_eq!(found.scopes, ["read", "force_build"]);
        assert!(found.bound);
        assert_eq!((found.made, found.expires), (NOW, Some(after(60))));
        assert_eq!((found.used, found.place), (None, None));
        verbs.use_token("nightly", Some("192.0.2.1"), after(5))?;
        let found = verbs.token(&[1; 32])?.expect("there");
        assert_eq!(found.used, Some(after(5)));
        assert_eq!(found.place.as_deref(), Some("192.0.2.1"));
        let names: Vec<_> = verbs.tokens()?.into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["a", "nightly"]);
        assert!(verbs.remove_token("nightly")?);
        assert!(!verbs.remove_token("nightly")?);
        assert!(verbs.token(&[1; 32])?.is_none());
        Ok(())
    })
    .await;
}

fn entry(user: Option<&str>, action: &str) -> NewAudit {
    NewAudit {
        user: user.map(str::to_owned),
        way: "session".into(),
        place: Some("192.0.2.1".into()),
        action: action.into(),
        target: "builder hello".into(),
        result: "allowed".into(),
        left_out: 2,
    }
}

#[tokio::test]
async fn the_audit_log_is_read_from_its_new_end_and_forgotten_at_its_old_one() {
    let (_dir, store) = open();
    write(&store, |verbs| {
        for (at, user, action) in [
            (0, Some("ann"), "force_build"),
            (10, None, "login"),
            (20, Some("ann"), "stop_build"),
            (30, Some("bo"), "force_build"),
        ] {
            verbs.add_audit(&entry(user, action), after(at))?;
        }
        verbs.end_audit(AuditId(3), "done")?;
        let read = |verbs: &mut dyn super::Store, query: AuditQuery| {
            let all = verbs.audit(&query)?;
            Ok::<_, super::StoreError>(all.into_iter().map(|it| it.id.0).collect::<Vec<_>>())
        };
        let all = || AuditQuery {
            limit: 10,
            ..AuditQuery::default()
        };
        assert_eq!(read(verbs, all())?, [4, 3, 2, 1]);
        let third = verbs.audit(&all())?.swap_remove(1);
        let expected = NewAudit {
            result: "done".into(),
            ..entry(Some("ann"), "stop_build")
        };
        assert_eq!((third.at, third.entry), (after(20), expected));
        let page = AuditQuery {
            before: Some(AuditId(4)),
            limit: 2,
            ..all()
        };
        assert_eq!(read(verbs, page)?, [3, 2]);
        let of_ann = AuditQuery {
            user: Some("ann".into()),
            ..all()
        };
        assert_eq!(read(verbs, of_ann)?, [3, 1]);
        let forced = AuditQuery {
            action: Some("force_build".into()),
            ..all()
        };
        assert_eq!(read(verbs, forced)?, [4, 1]);
        assert_eq!(verbs.forget_audit(after(0), 10)?, 0);
        assert_eq!(verbs.forget_audit(after(0), 3)?, 1);
        assert_eq!(verbs.forget_audit(after(15), 10)?, 1);
        assert_eq!(read(verbs, all())?, [4, 3]);
        assert_eq!(verbs.forget_audit(after(99), 10)?, 2);
        assert_eq!(verbs.forget_audit(after(99), 10)?, 0);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn who_can_log_in_is_found_by_that_name_with_the_hash() {
    let (_dir, store) = open();
    write(&store, |verbs| {
        let ann = verbs.add_user("Ann R")?;
        verbs.set_attribute(ann, "email", "ann@example.org")?;
        verbs.add_user("bo")?;
        assert!(verbs.account("ann")?.is_none());
        assert!(verbs.set_login(ann, "ann", "hash")?);
        let account = verbs.account("ann")?.expect("there");
        assert_eq!(account.password, "hash");
        assert_eq!(account.user.attributes["email"], "ann@example.org");
        assert!(verbs.account("Ann R")?.is_none());
        assert!(verbs.account("bo")?.is_none());
        Ok(())
    })
    .await;
}

/// What is permitted to somebody; it says `allowed` until it has ended.
fn act() -> Arc<Act> {
    let forced = entry(Some("ann"), "force_build");
    Arc::new(Act::new(forced, Duration::from_hours(1), 100, true))
}

/// What the audit log says of each entry, newest first.
async fn results(store: &StoreHandle) -> Vec<String> {
    let query = AuditQuery {
        limit: 10,
        ..AuditQuery::default()
    };
    let entries = write(store, move |verbs| verbs.audit(&query)).await;
    entries.into_iter().map(|it| it.entry.result).collect()
}

#[tokio::test]
async fn what_came_of_an_act_goes_into_the_entry_that_was_written_before_it() {
    let (_dir, store) = open();
    let act = act();
    let begun = Arc::clone(&act);
    let id = write(&store, move |verbs| begun.begin(verbs, NOW)).await;
    act.stand(id);
    assert_eq!(results(&store).await, ["allowed"]);

    write(&store, move |verbs| act.end(verbs, "done", after(1))).await;

    assert_eq!(results(&store).await, ["done"]);
}

#[tokio::test]
async fn an_act_that_ends_without_an_entry_gets_one_that_says_what_came_of_it() {
    let (_dir, store) = open();
    let unbegun = act();
    write(&store, move |verbs| unbegun.end(verbs, "refused", NOW)).await;
    assert_eq!(results(&store).await, ["refused"]);

    // Its transaction fails, so its entry does not stand.
    let undone = act();
    let begun = Arc::clone(&undone);
    let failed = store.write(move |verbs| {
        begun.begin(verbs, NOW)?;
        Err::<(), _>(super::StoreError::new("no"))
    });
    failed.await.expect_err("it is undone");
    write(&store, move |verbs| undone.end(verbs, "failed", NOW)).await;
    assert_eq!(results(&store).await, ["failed", "refused"]);
}
