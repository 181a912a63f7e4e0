//! Who comes and what they may do, asked through the router.

mod audit;
mod logins;
mod rights;
mod sessions;
mod tokens;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;

use crate::config::Plan;
use crate::config::tests::sections::authz_of;
use crate::master::Access;
use crate::secrets;
use crate::store::AuditQuery;
use crate::store::AuditRecord;
use crate::store::StoreHandle;

use crate::web::app::router;
use crate::web::client_address::Peer;
use crate::web::sample_desk::SampleDesk;
use crate::web::tests::Answer;
use crate::web::tests::ask;

const JSON: (&str, &str) = ("accept", "application/json");
const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml");

/// `ann` is in the team and `bo` is not; both have a password.
const RULES: &str = "users = ann:otter bo:newt\nteam.releng = ann\n\
    force_build = user in team.releng or builder.name == 'left'\n\
    stop_build = authenticated\nmanage_users = user == 'ann'\nshow_audit = user == 'ann'";

struct Site {
    desk: Arc<SampleDesk>,
    router: Router,
}

impl Site {
    async fn new(rules: &str) -> Self {
        let rules = rules.to_owned();
        Self::with(move |plan| plan.authz = authz_of(&rules)).await
    }

    async fn with(change: impl FnOnce(&mut Plan)) -> Self {
        let desk = SampleDesk::with(change).await;
        let router = router(Arc::clone(&desk) as Arc<_>, Access::Full);
        Self { desk, router }
    }

    /// Sends a form, from the second address of a network.
    async fn post(&self, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
        self.send("POST", "192.0.2.2", (path, headers, form)).await
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", "192.0.2.2", (path, headers, "")).await
    }

    async fn send(
        &self,
        method: &str,
        from: &str,
        (path, headers, form): (&str, &[(&str, &str)], &str),
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "ci.test")
            .extension(Peer {
                address: Some(from.parse::<IpAddr>().expect("an address")),
                secure: false,
            });
        if method == "POST" {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(form.to_owned())).expect(path);
        ask(&self.router, request).await
    }

    /// Logs in, and gives the cookie as a browser sends it.
    async fn log_in(&self, name: &str, password: &str) -> String {
        let form = format!("username={name}&passwd={password}");
        let answer = self.post("/login", &[], &form).await;
        assert_eq!(answer.status, 302, "{}", answer.body);
        cookie(&answer)
    }

    async fn force(&self, headers: &[(&str, &str)]) -> Answer {
        self.post("/builders/hello/force", headers, "").await
    }

    async fn audit(&self) -> Vec<AuditRecord> {
        audit(&self.desk.store).await
    }

    fn asked(&self) -> Vec<String> {
        self.desk.asked.lock().expect("not poisoned").clone()
    }
}

async fn audit(store: &StoreHandle) -> Vec<AuditRecord> {
    let query = AuditQuery {
        limit: 1000,
        ..AuditQuery::default()
    };
    // What was written behind goes down with it.
    store.write(|_| Ok(())).await.expect("written");
    store
        .read(move |verbs| verbs.audit(&query))
        .await
        .expect("read")
}

/// `NAME=VALUE` of the cookie that is set.
fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie");
    set.split(';').next().unwrap_or_default().to_owned()
}

fn basic(login: &str) -> String {
    use std::fmt::Write as _;
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("Basic ");
    for chunk in login.as_bytes().chunks(3) {
        let mut bits = 0_u32;
        for at in 0..3 {
            bits = (bits << 8) | u32::from(chunk.get(at).copied().unwrap_or(0));
        }
        for at in 0..=chunk.len() {
            let letter = LETTERS[(bits >> (18 - 6 * at)) as usize & 63];
            write!(text, "{}", char::from(letter)).expect("a String takes every text");
        }
    }
    assert!(secrets::Login::of_header(&text).is_some());
    text
}
