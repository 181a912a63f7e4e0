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
            (build["currentStep"]["step_number"] == 1).then_some(build)
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
    assert_eq!(second["currentStep"]["expectations"][0][0], "output");
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
