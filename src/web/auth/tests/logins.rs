//! Names and passwords: where accounts are found, how programs show them, and who has to wait.

use std::fs;

use axum::body::Body;
use axum::http::Request;

use crate::config::tests::sections::authz_of;
use crate::logins;

use super::HTML;
use super::JSON;
use super::RULES;
use super::Site;
use super::basic;
use crate::web::tests::ask;

#[tokio::test]
async fn a_program_logs_in_for_one_request_by_header_or_in_the_form() {
    let site = Site::new(RULES).await;
    let ann = basic("ann:otter");
    let answer = site.force(&[("authorization", &ann)]).await;
    assert_eq!(answer.status, 302, "{}", answer.body);
    assert_eq!(answer.header("set-cookie"), "", "no session is begun");
    let form = "username=ann&passwd=otter&comments=x";
    let answer = site.post("/builders/hello/force", &[], form).await;
    assert_eq!(answer.status, 302, "{}", answer.body);
    assert_eq!(site.asked().len(), 2);
    for wrong in ["ann:newt", "eve:otter", ":", "ann:", ":otter"] {
        let answer = site.force(&[("authorization", &basic(wrong)), JSON]).await;
        assert_eq!(answer.status, 401, "{wrong}: {}", answer.body);
        assert_eq!(
            answer.body,
            r#"{"error":"the name or the password is wrong"}"#
        );
        assert!(answer.header("www-authenticate").starts_with("Basic"));
    }
    let form = "username=ann&passwd=newt";
    let answer = site.post("/builders/hello/force", &[HTML], form).await;
    assert_eq!(answer.status, 403, "a browser is shown the login page");
    assert_eq!(answer.header("www-authenticate"), "");
    assert!(answer.body.contains("name=\"passwd\""), "{}", answer.body);
    assert!(
        answer.body.contains("value=\"builders/hello\""),
        "{}",
        answer.body
    );
    assert_eq!(site.asked().len(), 2);
}

#[tokio::test]
async fn who_guesses_waits_and_others_do_not() {
    let site = Site::new(RULES).await;
    let wrong = basic("ann:guess");
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(site.force(&[("authorization", &wrong)]).await.status);
    }
    assert_eq!(statuses, [vec![401; 10], vec![429; 2]].concat());
    let waits = site
        .post("/login", &[HTML], "username=ann&passwd=otter")
        .await;
    assert_eq!(
        waits.status, 429,
        "not even with the right one: {}",
        waits.body
    );
    assert!(
        waits
            .header("retry-after")
            .parse::<u64>()
            .is_ok_and(|it| it > 0)
    );
    let right = basic("ann:otter");
    let headers = [("authorization", right.as_str())];
    let from = async |address| {
        let asked = ("/builders/hello/force", &headers[..], "");
        site.send("POST", address, asked).await.status
    };
    assert_eq!(
        from("198.51.100.7").await,
        302,
        "from elsewhere it is let in"
    );
    // A program that was let in lately is not held up by who guesses beside it.
    assert_eq!(from("192.0.2.2").await, 302);
    // Of one network of IPv6 every address is the same.
    for at in 0..10 {
        let asked = ("/", &[("authorization", wrong.as_str())][..], "");
        let status = site
            .send("GET", &format!("2001:db8::{at}"), asked)
            .await
            .status;
        assert_eq!(status, 401, "{at}");
    }
    let asked = ("/", &[("authorization", wrong.as_str())][..], "");
    assert_eq!(site.send("GET", "2001:db8::ffff", asked).await.status, 429);
    // What is written of it fits on a page.
    let logins = site.audit().await;
    let logins = logins.iter().filter(|it| it.entry.action == "login");
    assert!(logins.count() <= 12);
}

#[tokio::test]
async fn hostile_logins_let_nobody_in_and_break_nothing() {
    let site = Site::new(RULES).await;
    let huge = format!("username=ann&passwd={}", "x".repeat(60_000));
    let larger = format!("username=ann&passwd={}", "x".repeat(70_000));
    let long_name = format!("username={}&passwd=otter", "a".repeat(5000));
    for (form, expected) in [
        (huge.as_str(), 403),
        (&larger, 400),
        (&long_name, 403),
        ("username=ann&passwd=otter%00", 403),
        ("username=ann%00&passwd=otter", 403),
        ("username=%ff%fe&passwd=%ff", 403),
        ("username=ann", 403),
        ("passwd=otter", 403),
        ("", 403),
    ] {
        let answer = site.post("/login", &[HTML], form).await;
        let shown = &form[..form.len().min(60)];
        assert_eq!(answer.status, expected, "{shown}: {}", answer.body);
        assert_eq!(answer.header("set-cookie"), "", "{shown}");
    }
    let site = Site::new(RULES).await;
    let larger_action = site.post("/builders/hello/force", &[], &larger).await;
    assert_eq!(larger_action.status, 400);
    for said in ["Basic", "Basic ", "Basic !!!!", "Basic YW5u", "Basic /w=="] {
        let answer = site.force(&[("authorization", said)]).await;
        assert_eq!(answer.status, 401, "{said}");
    }
    // Bytes that are no text, and ways that are none.
    let request = Request::post("/builders/hello/force")
        .header("host", "ci.test")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", &b"Basic \xff\xfe"[..])
        .header("cookie", &b"autobot_00000000=\xff"[..])
        .body(Body::empty())
        .expect("a request");
    assert_eq!(ask(&site.router, request).await.status, 401);
    assert!(site.asked().is_empty());
}

#[tokio::test]
async fn accounts_are_found_in_the_file_the_sections_and_the_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("staff");
    let sha = "{SHA}zMYenyk23AIi9HVOvrfzLh8+0CI=";
    fs::write(&path, format!("cy:{sha}\ndee:{sha}\n")).expect("written");
    let rules = format!(
        "htpasswd = {}\nuser_sections = yes\ndatabase_users = yes\n\
         users = ann:$5$abcdefgh$3gOiAu3f/iMVpPLdMzXDc2yuV8i0xpYlSi9moNqEGA6\n\
         force_build = authenticated",
        path.display()
    );
    let site = Site::with(|plan| {
        plan.authz = authz_of(&rules);
        let section = crate::config::plan_of(
            "[slave:s]\npassword = x\nfactories = hi\n[hi]\ntype = shell\ncommand = true\n\
             [:authz:]\nuser_sections = yes\n[user:eve]\nemail = eve@example.org\n\
             username = evelyn\npassword = newt\n",
        );
        plan.users = section.users;
    })
    .await;
    let bo = logins::make("from-the-store").expect("a hash");
    let bo = bo.as_str().to_owned();
    let added = site.desk.store.write(move |verbs| {
        let id = verbs.add_user("Bo B")?;
        verbs.set_login(id, "bo", &bo)?;
        let old = verbs.add_user("Fay")?;
        // As Buildbot has kept it.
        let hash = "0123456789abcdefc52fe310e002e64145e62f2df384d3f6b46a0394";
        verbs.set_login(old, "fay", hash)
    });
    assert!(added.await.expect("added"));
    let is_let_in = async |login: &str| {
        let said = basic(login);
        let from = (
            "/builders/hello/force",
            &[("authorization", said.as_str())][..],
            "",
        );
        // From an address of its own, so that wrong ones do not add up.
        let at = format!("198.51.100.{}", login.len());
        site.send("POST", &at, from).await.status == 302
    };
    for good in [
        "ann:otter pw",
        "cy:otter pw",
        "evelyn:newt",
        "bo:from-the-store",
        "fay:otter pw",
    ] {
        assert!(is_let_in(good).await, "{good}");
    }
    for bad in [
        "ann:newt",
        "cy:newt",
        "eve:newt",
        "bo:otter pw",
        "fay:x",
        "gus:otter pw",
    ] {
        assert!(!is_let_in(bad).await, "{bad}");
    }
    // The file is read again when it has changed.
    fs::write(&path, format!("gus:{sha}\n")).expect("written");
    assert!(is_let_in("gus:otter pw").await);
    assert!(!is_let_in("cy:otter pw").await);
    fs::remove_file(&path).expect("removed");
    let said = basic("gus:otter pw");
    let answer = site.force(&[("authorization", &said), JSON]).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(
        is_let_in("bo:from-the-store").await,
        "others are found all the same"
    );
}

#[tokio::test]
async fn who_guesses_the_password_of_a_try_waits_too() {
    let site = Site::new("").await;
    let wrong = basic("ann:guess");
    let mut statuses = Vec::new();
    for _ in 0..12 {
        let asked = site.get("/api/try/try", &[("authorization", &wrong)]).await;
        statuses.push(asked.status);
    }
    assert_eq!(statuses, [vec![401; 10], vec![429; 2]].concat());
    let audited = site.audit().await;
    assert_eq!(audited.len(), 1, "{audited:?}");
    assert_eq!(audited[0].entry.target, "try try/ann");
}
