//! Who becomes a user, and what is done with users by hand.

use super::*;
use crate::clock;
use crate::model::NewChange;
use crate::model::UserSection;
use crate::model::Vc;

struct Bench {
    dir: tempfile::TempDir,
    store: StoreHandle,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = StoreHandle::open(&dir.path().join("state.sqlite")).expect("a store");
        Self { dir, store }
    }

    /// What comes of an order, in a line.
    async fn order(&self, op: &str, what: &[&str]) -> String {
        let by_ids = matches!(op, "get" | "show" | "remove");
        let (ids, infos) = match by_ids {
            true => (what.to_vec(), vec![]),
            false => (vec![], what.to_vec()),
        };
        let written = Written {
            op,
            ids,
            infos,
            ..Written::default()
        };
        self.carry_out(&written).await
    }

    async fn carry_out(&self, written: &Written<'_>) -> String {
        let order = match UserOrder::read(written) {
            Ok(order) => order,
            Err(what) => return what,
        };
        match order.carry_out(&self.store).await {
            Err(denied) => denied.to_string(),
            Ok(reply) => {
                let users = reply.users.iter().map(|it| {
                    let of = it.attributes.iter();
                    let of: Vec<_> = of.map(|(kind, it)| format!("{kind}={it}")).collect();
                    let login = it.username.iter().map(|it| format!(" as {it}"));
                    format!(
                        "#{} {}: {}{}",
                        it.id,
                        it.identifier,
                        of.join(","),
                        login.collect::<String>()
                    )
                });
                let missing = reply.missing.iter().map(|it| format!("no {it}"));
                users.chain(missing).collect::<Vec<_>>().join("; ")
            }
        }
    }

    async fn change(&self, vc: Option<Vc>, author: &str) -> Vec<String> {
        let mut change = NewChange::by(author);
        change.vc = vc;
        let users = self.store.write(move |verbs| {
            let id = verbs.add_change(&change, clock::now())?.expect("new");
            verbs.users_of_change(id)
        });
        let users = users.await.expect("kept");
        users
            .iter()
            .map(|it| format!("#{} {}", it.id, it.identifier))
            .collect()
    }

    async fn sections(&self, all: &[(&str, &[(&str, &str)])]) {
        let sections = all.iter().map(|(name, attributes)| UserSection {
            name: (*name).into(),
            attributes: attributes
                .iter()
                .map(|(kind, value)| ((*kind).into(), (*value).into()))
                .collect(),
        });
        let sections: Vec<_> = sections.collect();
        let done = self.store.write(move |verbs| verbs.set_sections(&sections));
        done.await.expect("written");
    }
}

#[tokio::test]
async fn the_author_of_a_change_is_a_user_by_what_its_version_control_calls_it() {
    let bench = Bench::new();
    let ann = "Ann B <a@x>";
    assert_eq!(bench.change(Some(Vc::Git), ann).await, ["#1 Ann B <a@x>"]);
    assert_eq!(bench.change(Some(Vc::Svn), "bo").await, ["#2 bo"]);
    assert_eq!(bench.change(Some(Vc::Svn), "bo").await, ["#2 bo"]);
    assert_eq!(bench.change(Some(Vc::Git), ann).await, ["#1 Ann B <a@x>"]);
    assert_eq!(
        bench.order("get", &[ann]).await,
        "#1 Ann B <a@x>: git=Ann B <a@x>",
        "stored whole, and no address is made of it"
    );
}

#[tokio::test]
async fn the_same_text_from_another_version_control_is_another_user_until_somebody_joins_them() {
    let bench = Bench::new();
    bench.change(Some(Vc::Git), "Ann").await;
    assert_eq!(bench.change(Some(Vc::Hg), "Ann").await, ["#2 Ann"]);
    assert_eq!(
        bench.order("get", &["Ann"]).await,
        "#1 Ann: git=Ann; #2 Ann: hg=Ann"
    );
    assert_eq!(
        bench.order("remove", &["Ann"]).await,
        "2 users are called `Ann`; say which by its number: `#1`, `#2`"
    );
    assert_eq!(bench.order("remove", &["#2"]).await, "#2 Ann: hg=Ann");
    assert_eq!(
        bench.order("update", &["Ann:hg=Ann"]).await,
        "#1 Ann: git=Ann,hg=Ann"
    );
    assert_eq!(bench.change(Some(Vc::Hg), "Ann").await, ["#1 Ann"]);
}

#[tokio::test]
async fn two_changes_of_one_author_at_once_make_one_user() {
    let bench = Bench::new();
    let (one, other) = tokio::join!(
        bench.change(Some(Vc::Bzr), "ann"),
        bench.change(Some(Vc::Bzr), "ann")
    );
    assert_eq!((one, other), (vec!["#1 ann".into()], vec!["#1 ann".into()]));
}

#[tokio::test]
async fn a_change_without_a_known_version_control_is_nobodys() {
    let bench = Bench::new();
    assert_eq!(bench.change(None, "Ann").await, [] as [&str; 0]);
    assert_eq!(Vc::from_word("p4"), None);
    assert_eq!(Vc::from_word("darcs"), Some(Vc::Darcs));
    assert_eq!(Vc::from_word("cvs"), Some(Vc::Cvs));
}

#[tokio::test]
async fn users_are_kept_over_a_restart_and_always_current() {
    let bench = Bench::new();
    bench.order("add", &["svn=bo"]).await;
    bench.order("update", &["bo:email=b@x"]).await;
    assert_eq!(bench.order("get", &["bo"]).await, "#1 bo: email=b@x,svn=bo");
    let again = StoreHandle::open(&bench.dir.path().join("state.sqlite")).expect("a store");
    let known = again.read(|verbs| verbs.users_called("bo")).await;
    assert_eq!(known.expect("readable")[0].attributes["email"], "b@x");
}

#[tokio::test]
async fn who_is_added_is_called_by_the_first_value_and_one_who_is_known_gets_the_others() {
    let bench = Bench::new();
    assert_eq!(
        bench
            .order("add", &["git=Ann <a@x>,svn=ann", "email=b@x"])
            .await,
        "#1 Ann <a@x>: git=Ann <a@x>,svn=ann; #2 b@x: email=b@x"
    );
    assert_eq!(
        bench.order("add", &["svn=ann,email=a@x"]).await,
        "#1 Ann <a@x>: email=a@x,git=Ann <a@x>,svn=ann"
    );
    assert_eq!(
        bench.order("add", &["svn=z,identifier=zoe"]).await,
        "#3 zoe: svn=z"
    );
}

#[tokio::test]
async fn an_update_replaces_adds_and_renames() {
    let bench = Bench::new();
    bench.order("add", &["svn=bo"]).await;
    assert_eq!(
        bench
            .order("update", &["bo:svn=bob,email=b@x,identifier=bob"])
            .await,
        "#1 bob: email=b@x,svn=bob"
    );
    assert_eq!(bench.order("update", &["bo:svn=x"]).await, "no bo");
    assert_eq!(
        bench.order("update", &["bob"]).await,
        "#1 bob: email=b@x,svn=bob"
    );
}

#[tokio::test]
async fn what_is_anothers_is_refused_and_nothing_of_the_order_is_done() {
    let bench = Bench::new();
    bench.order("add", &["svn=ann", "svn=bo"]).await;
    assert_eq!(
        bench.order("update", &["bo:email=b@x,svn=ann"]).await,
        "svn `ann` is user `ann` (#1)"
    );
    assert_eq!(bench.order("get", &["bo"]).await, "#2 bo: svn=bo");
}

#[tokio::test]
async fn who_is_removed_is_gone_with_the_links_to_changes() {
    let bench = Bench::new();
    bench.change(Some(Vc::Svn), "bo").await;
    assert_eq!(
        bench.order("remove", &["bo,zz"]).await,
        "#1 bo: svn=bo; no zz"
    );
    assert_eq!(bench.order("get", &["bo"]).await, "no bo");
    let links = bench
        .store
        .read(|verbs| verbs.users_of_change(crate::model::ChangeId(1)))
        .await;
    assert!(links.expect("readable").is_empty());
    assert_eq!(bench.change(Some(Vc::Svn), "bo").await, ["#2 bo"]);
}

#[tokio::test]
async fn a_login_is_set_as_a_pair_by_an_update_and_no_two_users_have_one_name() {
    let bench = Bench::new();
    bench.order("add", &["svn=ann", "svn=bo"]).await;
    let hash = "0".repeat(56);
    let login = |username, password| Written {
        op: "update",
        infos: vec!["bo"],
        username,
        password,
        ..Written::default()
    };
    let good = login(Some("bob"), Some(hash.as_str()));
    assert_eq!(bench.carry_out(&good).await, "#2 bo: svn=bo as bob");
    let taken = Written {
        infos: vec!["ann"],
        ..good.clone()
    };
    assert_eq!(
        bench.carry_out(&taken).await,
        "another user logs in as `bob`"
    );
    let wrong = [
        (login(Some("bob"), None), "go together"),
        (login(None, Some(&hash)), "go together"),
        (login(Some("bob"), Some("secret")), "was not hashed"),
        (
            Written {
                op: "get",
                ids: vec!["bo"],
                infos: vec![],
                ..good
            },
            "with `update`",
        ),
    ];
    for (written, what) in wrong {
        let told = bench.carry_out(&written).await;
        assert!(told.contains(what), "{told}");
    }
}

#[test]
fn an_order_that_makes_no_sense_is_refused_in_words() {
    let check = |op: &str, ids: &[&str], infos: &[&str], expected: &str| {
        let (ids, infos) = (ids.to_vec(), infos.to_vec());
        let written = Written {
            op,
            ids,
            infos,
            ..Written::default()
        };
        let told = UserOrder::read(&written).expect_err(expected);
        assert!(told.contains(expected), "{told}");
    };
    check("make", &["a"], &[], "there is no `make`");
    check("get", &[], &[], "`get` needs identifiers");
    check(
        "remove",
        &["a"],
        &["git=x"],
        "`remove` takes identifiers only",
    );
    check("add", &[], &[], "`add` needs `--info`");
    check("update", &["a"], &["a:git=x"], "`update` takes no `--ids`");
    check("update", &[], &["git=x"], "`update` needs to know whom");
    check("add", &[], &["a:git=x"], "`add` takes no identifier");
    check("add", &[], &["irc=x"], "there is no type `irc`");
    check("add", &[], &["git"], "is not `TYPE=VALUE`");
    check("add", &[], &["git="], "not empty");
    check("add", &[], &["git=a\nb"], "one line");
    check("add", &[], &["email=x"], "no mail address");
}

#[tokio::test]
async fn a_value_is_split_at_its_first_equals_sign() {
    let bench = Bench::new();
    assert_eq!(
        bench.order("add", &["git=a=b <x@y>"]).await,
        "#1 a=b <x@y>: git=a=b <x@y>"
    );
}

#[tokio::test]
async fn a_section_of_the_configuration_takes_over_who_is_called_so_with_the_changes() {
    let bench = Bench::new();
    bench.change(Some(Vc::Git), "Ann <a@x>").await;
    bench.change(Some(Vc::Svn), "ann").await;
    bench.order("add", &["svn=bo,hg=bo"]).await;
    bench
        .sections(&[("ann", &[("git", "Ann <a@x>"), ("svn", "ann"), ("hg", "bo")])])
        .await;
    assert_eq!(
        bench.order("get", &["ann", "#2", "bo"]).await,
        "#1 ann: git=Ann <a@x>,hg=bo,svn=ann; #3 bo: svn=bo; no #2"
    );
    let changes = bench
        .store
        .read(|verbs| verbs.changes_of_user(UserId(1), 9))
        .await;
    assert_eq!(changes.expect("readable").len(), 2);
    assert_eq!(
        bench.order("update", &["ann:hg=ann"]).await,
        "user `ann` (#1) is `[user:ann]` of the configuration; change that and `autobot reconfig`"
    );
}

#[tokio::test]
async fn what_a_section_says_no_more_goes_and_who_has_no_section_any_more_stays() {
    let bench = Bench::new();
    bench
        .sections(&[("ann", &[("git", "Ann"), ("svn", "ann")])])
        .await;
    bench.sections(&[("ann", &[("git", "Ann R")])]).await;
    assert_eq!(bench.order("get", &["ann"]).await, "#1 ann: git=Ann R");
    bench.sections(&[]).await;
    assert_eq!(
        bench.order("update", &["ann:svn=ann"]).await,
        "#1 ann: git=Ann R,svn=ann"
    );
    bench.sections(&[("anna", &[("git", "Ann R")])]).await;
    assert_eq!(
        bench.order("get", &["anna", "ann"]).await,
        "#1 anna: git=Ann R,svn=ann; no ann"
    );
}
