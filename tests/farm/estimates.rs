//! How long a build still takes, from the builds before it.

use std::fs;

use crate::farm::{Farm, text};

/// Waits for a file to be there, which ends a step.
fn waits_for(farm_dir: &str, file: &str) -> String {
    format!("until test -e {farm_dir}/{file}; do sleep 0.05; done")
}

#[test]
fn a_build_says_what_is_left_of_it_until_it_is_overdue() {
    let dir = tempfile::tempdir().expect("a directory");
    let go = dir.path().to_string_lossy().into_owned();
    let mut farm = Farm::new(&format!(
        "[slave:linux]\npassword = secret\nfactories = *\nmax_builds = 1\n\
         [slow]\ntype = shell\nmerge_requests = no\ncommands =\n    echo first\n    {}\n    echo last\n",
        waits_for(&go, "go"),
    ));
    farm.start_master();
    farm.start_slave("linux");
    let running = |farm: &mut Farm, number: i64| {
        farm.wait("the step that waits", |farm| {
            let build = farm.json(&format!("/json/builders/slow-linux/builds/{number}"))?;
            let step = &build["currentStep"];
            // What is left was read a moment before the steps were.
            let is_known = step["step_number"] == 1 && step["expectations"][0][0] == "output";
            is_known.then_some(build)
        })
    };
    assert!(farm.autobot(&["force", "slow-linux"]).status.success());
    let first = running(&mut farm, 0);
    assert!(first["eta"].is_null(), "nobody knows: {first:#}");
    fs::write(dir.path().join("go"), "").expect("written");
    farm.wait_builds("slow-linux", 1);
    fs::remove_file(dir.path().join("go")).expect("removed");

    assert!(farm.autobot(&["force", "slow-linux"]).status.success());
    let second = running(&mut farm, 1);
    assert!(second["eta"].is_number(), "{second:#}");
    let builds = text(&farm.autobot(&["builds", "slow-linux"]));
    let first_line = builds.lines().next().expect("a line");
    assert!(
        first_line.contains(" left") || first_line.contains("overdue by"),
        "{builds}"
    );

    // It takes longer than all that was seen.
    let late = farm.wait("what is overdue", |farm| {
        let build = farm.json("/json/builders/slow-linux/builds/1")?;
        (build["eta"].as_f64()? < 0.0).then_some(build)
    });
    assert!(late["currentStep"]["eta"].as_f64().expect("a number") < 0.0);
    let page = farm.get("/builders/slow-linux/builds/1").expect("a page").1;
    assert!(page.contains("overdue by "), "{page}");
    fs::write(dir.path().join("go"), "").expect("written");
    farm.wait_builds("slow-linux", 2);
}

#[test]
fn tests_are_counted_while_they_run_over_a_kill_of_the_master() {
    let dir = tempfile::tempdir().expect("a directory");
    let go = dir.path().to_string_lossy().into_owned();
    let mut farm =
        Farm::new("[slave:linux]\npassword = secret\nfactories = *\n[counted]\ntype = counted\n");
    let recipe = format!(
        "[[steps]]\ntype = \"test\"\ncounts = \"tap\"\ncommand = \"\"\"echo 1..5; echo ok 1; echo ok 2; {}; \
         echo ok 3; {}; echo ok 4; echo ok 5\"\"\"\n",
        waits_for(&go, "third"),
        waits_for(&go, "all"),
    );
    let factories = farm.master_dir().join("factories");
    fs::create_dir_all(&factories).expect("made");
    fs::write(factories.join("counted.toml"), recipe).expect("written");
    farm.start_master();
    farm.start_slave("linux");
    assert!(farm.autobot(&["force", "counted-linux"]).status.success());
    let counts = |farm: &mut Farm, value: i64| {
        farm.wait("the tests to be counted", |farm| {
            let build = farm.json("/json/builders/counted-linux/builds/0")?;
            let all = build["currentStep"]["expectations"].as_array()?.clone();
            let tests = all.into_iter().find(|it| it[0] == "tests")?;
            (tests[1] == value && tests[2] == 5).then_some(())
        });
    };
    counts(&mut farm, 2);
    let page = farm.get("/builders/counted-linux/builds/0/steps/test");
    let page = page.expect("a page").1;
    assert!(page.contains("2 of 5"), "{page}");

    farm.kill_master();
    fs::write(dir.path().join("third"), "").expect("written");
    farm.start_master();
    counts(&mut farm, 3);
    fs::write(dir.path().join("all"), "").expect("written");
    let build = farm.wait_builds("counted-linux", 1);
    assert_eq!(build["results"], 0, "{build:#}");
}
