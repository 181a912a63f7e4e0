//! What pages and buttons are called: as those of Buildbot, so that whoever knows those finds
//! these, with what helps to tell windows apart behind it.

use super::links;
use super::sample::HOSTILE;
use super::tests::full;
use super::tests::get;

/// What the button says that sends a form to an address with this end.
fn button<'a>(page: &'a str, action: &str) -> Option<&'a str> {
    let leads = |it: &&str| it.split('"').next().is_some_and(|it| it.ends_with(action));
    let after = |start| page.split(start).skip(1);
    // A button may lead elsewhere than its form.
    let of_form = || after(" action=\"").find(leads)?.split("<button").nth(1);
    let found = after("formaction=\"").find(leads).or_else(of_form)?;
    found.split('>').nth(1)?.split('<').next()
}

#[tokio::test]
async fn pages_have_the_titles_of_buildbots_and_each_one_of_its_own() {
    let (_desk, router) = full().await;
    let hostile = links::builder(HOSTILE);
    let step = format!("/{hostile}/builds/0/steps/checkout");
    let log = format!("{step}/logs/stdio");
    let of = "web lint/&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;/0";
    for (path, title) in [
        ("/", "Buildbot – ✗ 1 red"),
        ("/waterfall", "BuildBot: Otter &amp; Newt – Waterfall"),
        ("/grid", "BuildBot: Otter &amp; Newt – Grid"),
        ("/tgrid", "BuildBot: Otter &amp; Newt – T-Grid"),
        ("/console", "BuildBot: Otter &amp; Newt – Console"),
        ("/builders", "Builders"),
        ("/builders/hello", "Buildbot: hello"),
        (
            "/builders/hello/builds/5",
            "Buildbot: hello Build #5: success",
        ),
        (&step, &format!("Build Step – checkout of {of}")),
        (&log, &format!("Log File contents – stdio of {of}")),
        ("/buildslaves", "BuildSlaves"),
        ("/buildslaves/otter", "Buildbot: otter"),
        ("/changes", "Changes"),
        ("/changes/2", "Change #2"),
        ("/one_line_per_build", "Recent Builds"),
        ("/one_line_per_build/hello", "Recent Builds of hello"),
        ("/waterfall/help", "Waterfall Help"),
        ("/users", "Users"),
        ("/users/1", "Buildbot User: 1 – Ines Íñigo"),
        ("/authfail", "Authentication Failed"),
        ("/about", "About this Buildbot"),
        ("/nowhere", "404 - No Such Resource"),
    ] {
        let page = get(&router, path).await.body;
        let shown = page.split("<title>").nth(1).expect("a title");
        let shown = shown.split("</title>").next().expect("its end");
        let expected = match title.starts_with("BuildBot: ") {
            true => title.to_owned(),
            false => format!("{title} – Otter &amp; Newt"),
        };
        assert_eq!(shown, expected, "{path}");
    }
}

#[tokio::test]
async fn buttons_say_what_buildbots_say() {
    let (_desk, router) = full().await;
    for (path, action, label) in [
        ("/builders/hello", "builders/hello/force", "Force Build"),
        ("/builders/hello", "builders/hello/cancelbuild", "Cancel"),
        ("/builders/hello", "builders/hello/ping", "Ping Builder"),
        ("/builders/hello", "builds/6/stop", "Stop Build"),
        (
            "/builders/hello/builds/6",
            "builds/6/stop",
            "Stop This Build",
        ),
        ("/builders/hello/builds/5", "builds/5/rebuild", "Rebuild"),
        ("/builders", "_selected/forceselected", "Force Build"),
        (
            "/builders",
            "_selected/stopselected",
            "Stop Selected Builds",
        ),
        ("/builders", "_all/stopall", "Stop All Builds"),
        ("/changes/1", "builders/_all/stopchangeall", "Cancel"),
        ("/buildslaves/otter", "otter/shutdown", "Graceful Shutdown"),
        ("/", "shutdown", "Clean Shutdown"),
    ] {
        let page = get(&router, path).await.body;
        assert_eq!(button(&page, action), Some(label), "{path} {action}");
    }
}
