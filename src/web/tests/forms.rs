//! What people and programs send: answers to the questions of a builder, and try jobs.

use super::*;
use crate::config::SchedulerPlan;
use crate::config::plan_of;

/// A master whose builder `hello` asks questions.
async fn asking(lines: &str) -> (Arc<SampleDesk>, Router) {
    let asking = plan_of(&format!(
        "[slave:s]\npassword = x\nfactories = a\n[a]\ntype = shell\ncommand = true\n\
         [scheduler:force]\nbuilders = *\n{lines}"
    ));
    let all = asking.schedulers.iter();
    let schedulers = all.map(|it| {
        let mut it = SchedulerPlan::clone(it);
        it.builders = vec!["hello".into()];
        Arc::new(it)
    });
    let schedulers: Vec<_> = schedulers.collect();
    let desk = SampleDesk::with(|plan| plan.schedulers = schedulers).await;
    let router = router(Arc::clone(&desk) as Arc<_>, Access::Full);
    (desk, router)
}

/// The part of the page that asks.
fn form_of(page: &str) -> &str {
    let start = page.find("<section id=\"force\">").expect("a form");
    let end = page[start..].find("</section>").expect("its end");
    &page[start..start + end]
}

const QUESTIONS: &str = "reason = by hand\nany_property = no\nrevision.type = fixed\n\
    revision.default = abc\nbranch.regex = main|next\nbranch.label = Which <branch>?\n\
    parameter.channel = {\"type\": \"choice\", \"choices\": [\"stable\", \"be\\\"ta\"], \"default\": \"stable\"}\n\
    parameter.os = {\"type\": \"choice\", \"choices\": [\"linux\", \"mac\"], \"multiple\": true}\n\
    parameter.jobs = {\"type\": \"int\", \"min\": 1, \"required\": true, \"help\": \"make -j\"}\n\
    parameter.sanitize = {\"type\": \"bool\", \"default\": true}\nparameter.note = text\n";

#[tokio::test]
async fn the_force_form_asks_the_questions_of_its_scheduler_without_a_script() {
    let (_desk, router) = asking(QUESTIONS).await;
    let page = get(&router, "/builders/hello").await.body;
    insta::assert_snapshot!(form_of(&page), @r#"
    <section id="force">
    <h2>Force a build</h2>

    <form class="fields command forcebuild" name="force_build" method="post" action="../builders/hello/force">
    <label>Your name <input name="username" autocomplete="username" value=""></label>
    <label>Reason <input name="comments" value="" placeholder="by hand"></label>

    <div class="question"><label>Which &lt;branch&gt;? <input name="branch" value="" placeholder="the default branch" spellcheck="false" autocapitalize="off"></label></div>
    <div class="question"><label>Repository <input name="repository" value="" placeholder="the builder&#39;s own" spellcheck="false" autocapitalize="off"></label></div>
    <div class="question"><label>Project <input name="project" value="" spellcheck="false" autocapitalize="off"></label></div>
    <label>Priority <input name="priority" value="" placeholder="the usual" inputmode="numeric"></label>

    <fieldset id="parameters">
    <legend>Parameters</legend>

    <div class="question"><label>channel <select name="param.channel"><option value="stable" selected>stable</option><option value="be&quot;ta">be&quot;ta</option></select></label></div>
    <div class="question"><label>os<input type="hidden" name="param.os" value=""> <select name="param.os" multiple><option value="linux">linux</option><option value="mac">mac</option></select></label></div>
    <div class="question"><label>jobs (needed) <input name="param.jobs" value="" type="number" step="1" min="1" required spellcheck="false" autocapitalize="off"></label><small>make -j</small></div>
    <div class="question"><input type="hidden" name="param.sanitize" value=""><label class="check"><input type="checkbox" name="param.sanitize" value="yes" checked> sanitize</label></div>
    <div class="question"><label>note <textarea name="param.note" rows="4">
    </textarea></label></div>
    </fieldset>


    <div><button class="main">Force Build</button></div>
    </form>
    "#);
}

#[tokio::test]
async fn a_wrong_answer_is_told_beside_its_field_and_what_was_typed_stays() {
    let (desk, router) = asking(QUESTIONS).await;
    let form = "username=ann&priority=7&comments=x%22y&branch=dev&param.channel=%3Cb%3E&param.os=mac&param.jobs=0&\
                param.sanitize=&param.note=a%0Ab&property1name=x&property1value=1";
    let answer = post(&router, "/builders/hello/force", &[], form).await;
    assert_eq!(answer.status, 400);
    insta::assert_snapshot!(form_of(&answer.body), @r#"
    <section id="force">
    <h2>Force a build</h2>
    <p class="wrong" role="alert">Nothing was asked for: property `x`: only what there is a parameter for may be set</p>
    <form class="fields command forcebuild" name="force_build" method="post" action="../../builders/hello/force">
    <label>Your name <input name="username" autocomplete="username" value="ann"></label>
    <label>Reason <input name="comments" value="x&quot;y" placeholder="by hand"></label>

    <div class="question"><label>Which &lt;branch&gt;? <input name="branch" value="dev" placeholder="the default branch" spellcheck="false" autocapitalize="off" aria-invalid="true" aria-describedby="wrong-branch"></label><strong class="wrong" id="wrong-branch">expected what fits `main|next` from start to end</strong></div>
    <div class="question"><label>Repository <input name="repository" value="" placeholder="the builder&#39;s own" spellcheck="false" autocapitalize="off"></label></div>
    <div class="question"><label>Project <input name="project" value="" spellcheck="false" autocapitalize="off"></label></div>
    <label>Priority <input name="priority" value="7" placeholder="the usual" inputmode="numeric"></label>

    <fieldset id="parameters">
    <legend>Parameters</legend>

    <div class="question"><label>channel <select name="param.channel" aria-invalid="true" aria-describedby="wrong-param.channel"><option value="stable">stable</option><option value="be&quot;ta">be&quot;ta</option></select></label><strong class="wrong" id="wrong-param.channel">expected one of `stable`, `be&quot;ta`, not `&lt;b&gt;`</strong></div>
    <div class="question"><label>os<input type="hidden" name="param.os" value=""> <select name="param.os" multiple><option value="linux">linux</option><option value="mac" selected>mac</option></select></label></div>
    <div class="question"><label>jobs (needed) <input name="param.jobs" value="0" type="number" step="1" min="1" required spellcheck="false" autocapitalize="off" aria-invalid="true" aria-describedby="wrong-param.jobs"></label><small>make -j</small><strong class="wrong" id="wrong-param.jobs">expected a whole number from 1</strong></div>
    <div class="question"><input type="hidden" name="param.sanitize" value=""><label class="check"><input type="checkbox" name="param.sanitize" value="yes"> sanitize</label></div>
    <div class="question"><label>note <textarea name="param.note" rows="4">
    a
    b</textarea></label></div>
    </fieldset>


    <div><button class="main">Force Build</button></div>
    </form>
    "#);
    let answer = post(&router, "/builders/hello/force", &[JSON], form).await;
    let told: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    insta::assert_snapshot!(format!("{:#}", told["fields"]), @r#"
    {
      "param.channel": "expected one of `stable`, `be\"ta`, not `<b>`",
      "param.jobs": "expected a whole number from 1",
      "property.x": "only what there is a parameter for may be set",
      "branch": "expected what fits `main|next` from start to end"
    }
    "#);
    assert!(desk.asked.lock().expect("not poisoned").is_empty());

    let form = "branch=main&param.jobs=4&param.channel=be%22ta";
    let answer = post(&router, "/builders/hello/force", &[], form).await;
    assert_eq!(answer.status, 302);
    let asked = desk.asked.lock().expect("not poisoned").clone();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].ends_with("by '<unknown>': by hand"), "{asked:?}");
}

#[tokio::test]
async fn who_may_try_asks_for_the_builders_and_sends_a_job_from_anywhere() {
    let (desk, router) = full().await;
    let from_outside = [ANN, ("origin", "https://forge.test")];
    let answer = post(&router, "/api/try/try", &from_outside, "{}").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (
            200,
            r#"{"buildset":9,"requests":[{"request":99,"builder":"hello"}]}"#
        )
    );
    let request = Request::get("/api/try/try").header(ANN.0, ANN.1);
    let answer = ask(&router, request.body(Body::empty()).expect("a request")).await;
    let builders = json!({ "scheduler": "try", "builders": ["hello", HOSTILE] });
    assert_eq!((answer.status, answer.body), (200, builders.to_string()));
    assert_eq!(*desk.asked.lock().expect("not poisoned"), ["try 2 bytes"]);
}

#[tokio::test]
async fn nothing_of_a_job_is_read_before_its_sender_is_known_and_no_more_than_25_mib() {
    let (desk, router) = full().await;
    for headers in [&[][..], &[("authorization", "Basic YW5uOg==")][..]] {
        let answer = post(&router, "/api/try/try", headers, "{}").await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (401, r#"{"error":"the name or the password is wrong"}"#)
        );
        assert!(answer.header("www-authenticate").starts_with("Basic "));
    }
    assert_eq!(get(&router, "/api/try/try").await.status, 401);
    // A body that nobody may read is not waited for.
    let endless = Body::from_stream(futures_util::stream::pending::<
        Result<Vec<u8>, std::io::Error>,
    >());
    let request = Request::post("/api/try/try")
        .body(endless)
        .expect("a request");
    assert_eq!(ask(&router, request).await.status, 401);
    assert_eq!(post(&router, "/api/try/x", &[ANN], "").await.status, 404);

    let large = "x".repeat(25 * 1024 * 1024 + 1);
    let answer = post(&router, "/api/try/try", &[ANN], &large).await;
    assert_eq!(answer.status, 413);
    assert!(desk.asked.lock().expect("not poisoned").is_empty());
}

#[tokio::test]
async fn a_try_job_is_found_by_its_id() {
    let (desk, router) = full().await;
    let missing = get(&router, "/api/jobs/j-1").await;
    assert_eq!(missing.status, 404);
    desk.call_newest_buildset("j-1 <x>").await;
    let answer = get(&router, "/api/jobs/j-1%20%3Cx%3E").await;
    let all: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(all[0]["builder"], HOSTILE, "{}", answer.body);
}

#[tokio::test]
async fn the_next_planned_time_of_a_scheduler_is_seen() {
    let (_desk, router) =
        asking("[scheduler:night]\ntype = nightly\nbranch = main\nhour = 3\nbuilders = *\n").await;
    let answer = get(&router, "/api/schedulers").await;
    let all: Vec<serde_json::Value> = serde_json::from_str(&answer.body).expect("JSON");
    let shown: Vec<_> = all
        .iter()
        .map(|it| {
            format!(
                "{} {} {} {}",
                it["name"],
                it["kind"],
                it["builds"],
                it["next"].is_null()
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            r#""force" "force" "builds when a person asks for it" true"#,
            r#""night" "nightly" "builds at hour = 3" false"#
        ]
    );
    assert_eq!(all[1]["builders"], json!(["hello"]));
}
