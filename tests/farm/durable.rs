//! Nothing is lost when anything is killed.

use std::fs;

use serde_json::{Value, json};

use crate::farm::{Farm, sh, text};

/// Prints numbered lines until the file `go` is in the work directory.
const COUNTING: &str = "n=0; while [ ! -e go ]; do n=$((n+1)); echo line $n; sleep 0.01; done; \
                        echo once >> ran; echo done after $n";

/// The same builder with another factory.
const CHANGED: &str = "[slave:linux]\npassword = secret\nfactories = count\n\n\
                       [count]\ntype = shell\ncommands = echo the new one\n";

fn counting_farm() -> Farm {
    counting_farm_with("")
}

fn counting_farm_with(master: &str) -> Farm {
    let mut farm = Farm::new(&format!(
        "{master}[slave:linux]\npassword = secret\nfactories = count\n\n\
         [count]\ntype = shell\ncommands =\n    {COUNTING}\n    cat ran\n"
    ));
    farm.start_master();
    farm.start_slave("linux");
    let forced = farm.autobot(&["force", "count-linux"]);
    assert!(forced.status.success(), "{}", text(&forced));
    farm.wait("some lines", |farm| said(farm, "line 20"));
    farm
}

fn said(farm: &mut Farm, words: &str) -> Option<()> {
    let path = "/builders/count-linux/builds/0/steps/shell/logs/stdio/text?follow=0";
    farm.get(path).filter(|it| it.1.contains(words)).map(drop)
}

fn let_it_end(farm: &mut Farm) {
    fs::write(farm.path("linux/count-linux/build/go"), "").expect("written");
    let build = farm.wait_builds("count-linux", 1);

    assert_eq!(build["results"], 0, "{build:#}");
    assert_eq!(build["number"], 0);
    assert_eq!(
        farm.json("/json/builders/count-linux/builds"),
        Some(json!({"0": null}))
    );
    let log = farm.log("count-linux", 0, "shell");
    let lines: Vec<&str> = log.lines().filter(|it| it.starts_with("line ")).collect();
    assert!(lines.len() >= 20, "{log}");
    for (number, line) in (1..).zip(&lines) {
        assert_eq!(
            *line,
            format!("line {number}"),
            "no line is lost or doubled"
        );
    }
    assert!(
        log.contains(&format!("done after {}\n", lines.len())),
        "{log}"
    );
    assert_eq!(
        log.matches("program finished with exit code 0").count(),
        1,
        "{log}"
    );
    let ran = farm.log("count-linux", 0, "shell_1");
    assert_eq!(
        ran.matches("once").count(),
        1,
        "the command ran exactly once: {ran}"
    );
}

#[test]
fn a_killed_master_goes_on_with_its_build() {
    let mut farm = counting_farm();
    farm.kill_master();
    farm.start_master();
    farm.wait("more lines", |farm| said(farm, "line 60"));
    let_it_end(&mut farm);
}

#[test]
fn a_killed_slave_meets_its_command_again() {
    let mut farm = counting_farm();
    farm.kill_slave();
    farm.start_slave("linux");
    farm.wait("more lines", |farm| said(farm, "line 60"));
    let_it_end(&mut farm);
}

#[test]
fn both_may_be_killed_and_the_command_may_end_meanwhile() {
    let mut farm = counting_farm();
    farm.kill_master();
    farm.kill_slave();
    fs::write(farm.path("linux/count-linux/build/go"), "").expect("written");
    farm.wait("the command's end", |farm| {
        fs::read_to_string(farm.path("linux/count-linux/build/ran")).ok()
    });
    farm.start_slave("linux");
    farm.start_master();
    let_it_end(&mut farm);
}

#[test]
fn a_waiting_request_outlives_the_master() {
    let mut farm = Farm::new(
        "[slave:linux]\npassword = secret\nfactories = hi\n\n[hi]\ntype = shell\ncommands = echo hi\n",
    );
    farm.start_master();
    assert!(farm.autobot(&["force", "hi-linux"]).status.success());
    farm.kill_master();
    farm.start_master();
    farm.start_slave("linux");
    let build = farm.wait_builds("hi-linux", 1);
    assert_eq!(build["results"], 0, "{build:#}");
}

#[test]
fn a_slave_that_stays_away_gives_its_build_back_and_it_is_built_again() {
    let mut farm = counting_farm_with("lost_timeout = 1\n\n");
    farm.kill_slave();
    let lost = farm.wait_builds("count-linux", 1);
    assert_eq!(lost["results"], 5, "{lost:#}");
    assert_eq!(lost["text"], json!(["retry", "exception", "slave", "lost"]));
    let log = farm.log("count-linux", 0, "shell");
    assert!(
        log.contains("slave lost: slave linux was away for 1.0 s"),
        "{log}"
    );

    farm.start_slave("linux");
    farm.wait("the second build", |farm| {
        let path = "/builders/count-linux/builds/1/steps/shell/logs/stdio/text?follow=0";
        farm.get(path).filter(|it| it.1.contains("line 20"))
    });
    fs::write(farm.path("linux/count-linux/build/go"), "").expect("written");
    let build = farm.wait_builds("count-linux", 2);
    assert_eq!(build["results"], 0, "{build:#}");
    let ran = farm.log("count-linux", 1, "shell_1");
    assert_eq!(
        ran.matches("once").count(),
        1,
        "the first command was ended: {ran}"
    );
}

#[test]
fn a_request_that_was_given_back_three_times_ends_over_kills_of_the_master() {
    let mut farm = Farm::new("");
    let gate = farm.path("gate").display().to_string();
    sh(&farm.path(""), "mkfifo", &[&gate]);
    farm.write_ini(&format!(
        "lost_timeout = 1\n[slave:linux]\npassword = secret\nfactories = slow\n\
         [slow]\ntype = shell\ncommands = cat {gate}\n"
    ));
    farm.start_master();
    farm.start_slave("linux");
    let forced = farm.autobot(&["force", "slow-linux", "--json"]);
    let forced: Value = serde_json::from_slice(&forced.stdout).expect("JSON");
    for number in 0..4 {
        farm.wait("the build", |farm| {
            let build = farm.json(&format!("/json/builders/slow-linux/builds/{number}"))?;
            build["currentStep"].is_object().then_some(())
        });
        farm.kill_slave();
        let ended = farm.wait_builds("slow-linux", number + 1);
        let expected = if number < 3 { 5 } else { 4 };
        assert_eq!(ended["results"], expected, "{number}: {ended:#}");
        farm.kill_master();
        farm.start_master();
        farm.start_slave_in("linux");
    }
    let request = farm.json(&format!("/api/requests/{}", forced["request"]));
    let request = request.expect("a request");
    assert_eq!(request["state"], "complete", "{request:#}");
    assert_eq!(request["outcome"], "exception", "{request:#}");
    let (_, page) = farm.get("/builders/slow-linux/builds/3").expect("a page");
    let why = "slave linux was away for 1.0 s; its request was given back 3 times already";
    assert!(page.contains(why), "{page}");
}

#[test]
fn a_build_whose_factory_was_changed_meanwhile_is_built_again_with_the_new_one() {
    let mut farm = counting_farm();
    farm.kill_master();
    farm.write_ini(CHANGED);
    farm.start_master();
    let lost = farm.wait_builds("count-linux", 1);
    assert_eq!(lost["results"], 5, "{lost:#}");
    let build = farm.wait_builds("count-linux", 2);
    assert_eq!(build["results"], 0, "{build:#}");
    assert!(farm.log("count-linux", 1, "shell").contains("the new one"));
}

#[test]
fn a_stop_outlives_the_master_that_heard_it() {
    let mut farm = counting_farm();
    // It hears nothing for a while, so the stop is asked for and not carried out.
    farm.signal_slave("STOP");
    let stopped = farm.post("/builders/count-linux/builds/0/stop", "comments=enough");
    assert_eq!(stopped.expect("an answer").0, 200);
    farm.kill_master();
    farm.signal_slave("CONT");
    farm.start_master();

    let build = farm.wait_builds("count-linux", 1);
    assert_eq!(build["results"], 4, "{build:#}");
    let ran = farm.path("linux/count-linux/build/ran");
    assert!(!ran.exists(), "it did not come to its end");
}

#[test]
fn a_command_whose_spool_was_taken_away_is_not_run_twice_beside_itself() {
    let mut farm = counting_farm();
    farm.kill_slave();
    fs::remove_dir_all(farm.path("linux/spool")).expect("removed");
    farm.start_slave("linux");
    let lost = farm.wait_builds("count-linux", 1);
    assert_eq!(lost["results"], 5, "{lost:#}");
    let log = farm.log("count-linux", 0, "shell");
    assert!(log.contains("line 20\n"), "what was said is kept: {log}");
    assert!(log.contains("its spool was taken away"), "{log}");
}

#[test]
fn a_command_of_a_build_that_was_given_back_is_ended() {
    let mut farm = counting_farm();
    farm.kill_master();
    farm.write_ini(CHANGED);
    farm.start_master();
    farm.wait_builds("count-linux", 2);
    let mark = farm
        .path("linux/count-linux/build")
        .to_string_lossy()
        .into_owned();
    farm.wait("the end of the old command", |_| {
        let running = fs::read_dir("/proc").expect("proc").flatten().any(|it| {
            fs::read_link(it.path().join("cwd")).is_ok_and(|dir| dir.to_string_lossy() == mark)
        });
        (!running).then_some(())
    });
}

#[test]
fn a_build_whose_builder_left_meanwhile_ends_and_its_request_waits() {
    let mut farm = counting_farm();
    farm.kill_master();
    farm.write_ini(
        "[slave:linux]\npassword = secret\nfactories = other\n\n\
         [other]\ntype = shell\ncommands = echo other\n",
    );
    farm.start_master();
    let build = farm.wait("the build's end", |farm| {
        let builds = farm.json("/api/builds?builder=count-linux")?;
        let number = builds[0]["number"].as_i64()?;
        farm.json(&format!("/api/builders/count-linux/builds/{number}"))
    });
    assert_eq!(build["outcome"], "retry", "{build:#}");
    assert_eq!(build["steps"][0]["outcome"], "retry", "{build:#}");
    let request = farm.json("/api/requests/1").expect("a request");
    assert_eq!(
        request["why"],
        "builder count-linux is not in the configuration"
    );
    assert_eq!(farm.force("other-linux", &[])["results"], 0);
}

#[test]
fn what_always_runs_after_a_stop_is_spared_by_a_restart() {
    let mut farm = Farm::new("[slave:linux]\npassword = secret\nfactories = tidy\n\n[tidy]\n");
    fs::create_dir(farm.master_dir().join("factories")).expect("a directory");
    fs::write(
        farm.master_dir().join("factories/tidy.toml"),
        "extends = \"source\"\n\n\
         [[steps]]\ntype = \"shell\"\ncommand = \"echo begun; sleep 1000\"\n\n\
         [[steps]]\ntype = \"shell\"\nname = \"clean\"\nalways_run = true\n\
         command = \"echo cleaning; while [ ! -e go ]; do sleep 0.01; done; echo clean\"\n",
    )
    .expect("written");
    farm.start_master();
    farm.start_slave("linux");
    assert_eq!(
        farm.post("/builders/tidy-linux/force", "")
            .expect("an answer")
            .0,
        200
    );
    let says = |farm: &mut Farm, step: &str, words: &str| {
        let path = format!("/builders/tidy-linux/builds/0/steps/{step}/logs/stdio/text?follow=0");
        let words = words.to_owned();
        farm.wait(&words.clone(), |farm| {
            farm.get(&path).filter(|it| it.1.contains(&words))
        });
    };
    says(&mut farm, "shell", "begun");
    farm.post("/builders/tidy-linux/builds/0/stop", "comments=enough")
        .expect("an answer");
    says(&mut farm, "clean", "cleaning");
    farm.kill_master();
    farm.start_master();
    fs::write(farm.path("linux/tidy-linux/build/go"), "").expect("written");

    let build = farm.wait_builds("tidy-linux", 1);
    assert_eq!(build["results"], 4, "{build:#}");
    assert_eq!(build["steps"][1]["results"][0], 0, "{build:#}");
}

/// Numbers that look random and can be had again: the seed is printed when a test fails.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % most
    }
}

#[test]
fn any_moment_is_a_good_moment_to_kill_anything() {
    const BUILDS: i64 = 8;
    let seed = u64::from(std::process::id());
    let mut dice = Dice(seed);
    let mut farm = Farm::new(
        "[slave:linux]\npassword = secret\nfactories = slow fast\n\n\
         [slow]\ntype = shell\nmerge_requests = no\ncommands =\n    \
         for i in 1 2 3 4 5 6 7 8 9; do echo a$i; sleep 0.02; done; echo one >> ../ran\n    \
         for i in 1 2 3 4 5 6 7 8 9; do echo b$i; sleep 0.02; done; echo one >> ../ran\n\n\
         [fast]\ntype = shell\nmerge_requests = no\ncommands = seq 1 20000; echo one >> ../ran\n",
    );
    farm.start_master();
    farm.start_slave("linux");
    for _ in 0..BUILDS {
        for builder in ["slow-linux", "fast-linux"] {
            let path = format!("/builders/{builder}/force");
            assert_eq!(farm.post(&path, "comments=x").expect("an answer").0, 200);
        }
    }
    let mut kills = 0;
    while !all_done(&farm, BUILDS) {
        assert!(kills < 500, "seed {seed}: it never comes to an end");
        // The moment is what is tested, so it is drawn and not waited for.
        std::thread::sleep(std::time::Duration::from_millis(50 + dice.below(300)));
        if dice.below(3) == 0 {
            farm.kill_slave();
            farm.start_slave("linux");
        } else {
            farm.kill_master();
            farm.start_master();
        }
        kills += 1;
    }

    let count = |from: i64, to: i64, mark: &str| -> String {
        (from..=to).map(|it| format!("{mark}{it}\n")).collect()
    };
    for number in 0..BUILDS {
        for (builder, step, expected) in [
            ("slow-linux", "shell", count(1, 9, "a")),
            ("slow-linux", "shell_1", count(1, 9, "b")),
            ("fast-linux", "shell", count(1, 20_000, "")),
        ] {
            let build = farm.build(builder, number);
            assert_eq!(build["results"], 0, "seed {seed}: {build:#}");
            let path = format!("/builders/{builder}/builds/{number}/steps/{step}/logs/stdio/text");
            let log = farm.get(&path).expect("a log").1;
            assert!(
                log == expected,
                "seed {seed}: {builder}/{number} {step} said\n{log}"
            );
        }
    }
    for (builder, times) in [("slow-linux", 2), ("fast-linux", 1)] {
        let ran = fs::read_to_string(farm.path("linux").join(builder).join("ran"));
        let ran = ran.expect("it ran").lines().count();
        assert_eq!(
            ran,
            usize::try_from(BUILDS * times).expect("few"),
            "seed {seed}"
        );
    }
}

fn all_done(farm: &Farm, builds: i64) -> bool {
    ["slow-linux", "fast-linux"].iter().all(|builder| {
        let last = farm.json(&format!("/json/builders/{builder}/builds/{}", builds - 1));
        last.is_some_and(|it| !it["results"].is_null())
    })
}
