//! Buildbot's own slaves: the same build there and on a slave of autobot, one that is killed, a
//! master that is, and who may not come in.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::Value;

use crate::buildbot_programs::{Program, Worker, wait_for};
use crate::clean::{stop_clean, wait_for_end, wait_for_line};
use crate::farm::{Farm, commit, git_init, property, text};

const RECIPE: &str = r#"
git = "GIT"

[[steps]]
type = "shell"
name = "talk"
command = "echo out; echo err >&2; cat a.txt; rm -rf d && mkdir -p d/sub && echo x > d/x && echo y > d/sub/y && ln -s x d/l"

[[steps]]
type = "shell"
name = "words"
command = ["printf", "%%s|%%s\n", "a b", "$HOME"]

[[steps]]
type = "file_upload"
name = "up"
slavesrc = "a.txt"
masterdest = "got/%(buildername)s.txt"
keepstamp = true

[[steps]]
type = "directory_upload"
name = "updir"
slavesrc = "d"
masterdest = "got/%(buildername)s"

[[steps]]
type = "file_download"
name = "down"
mastersrc = "big.bin"
slavedest = "down.bin"

[[steps]]
type = "set_property"
command = "wc -c < down.bin"
property = "bytes"

[[steps]]
type = "shell"
name = "bad"
command = "echo no; exit 3"
flunk_on_failure = true
"#;

fn farm(recipe: &str) -> Farm {
    let mut ini = String::from("[slave:native]\npassword = secret\nfactories = all\n\n");
    for slave in ["worker", "packed", "worker09", "slave08"] {
        ini += &format!("[slave:{slave}]\npassword = secret\nfactories = all\n\n");
    }
    ini += "[all]\n";
    let mut farm = Farm::new(&ini);
    let repository = farm.path("repository");
    fs::create_dir(&repository).expect("a directory");
    git_init(&repository, "master");
    fs::write(repository.join("a.txt"), "first\n").expect("written");
    commit(&repository, "one");
    let dir = farm.master_dir();
    fs::create_dir(dir.join("factories")).expect("a directory");
    let recipe = recipe.replace("GIT", &format!("file://{}", repository.display()));
    fs::write(dir.join("factories/all.toml"), recipe).expect("written");
    let big: Vec<u8> = (0..1_500_000_u32).map(|it| (it % 251) as u8).collect();
    fs::write(dir.join("big.bin"), big).expect("written");
    farm.start_master();
    farm
}

/// Starts builds without waiting for them.
fn begin(farm: &Farm, builders: &[String]) {
    for builder in builders {
        let forced = farm.autobot(&["force", builder]);
        assert!(forced.status.success(), "{}", text(&forced));
    }
}

/// What is the same wherever a build runs.
fn shape(build: &Value) -> Vec<(Value, Value, Value)> {
    let steps = build["steps"].as_array().expect("steps").iter();
    steps
        .map(|it| {
            (
                it["name"].clone(),
                it["text"].clone(),
                it["results"][0].clone(),
            )
        })
        .collect()
}

#[test]
fn a_build_on_a_slave_of_buildbot_is_the_build_on_a_slave_of_autobot() {
    let mut farm = farm(RECIPE);
    farm.start_slave("native");
    let programs = Program::all();
    let workers: Vec<Worker> = programs.iter().map(|it| it.start(&farm)).collect();
    let slaves: Vec<&str> = programs.iter().map(|it| it.slave()).collect();
    for slave in ["native"].iter().chain(&slaves) {
        wait_for(&mut farm, slave, true);
    }
    let builder = |slave: &&str| format!("all-{slave}");
    begin(&farm, &slaves.iter().map(builder).collect::<Vec<_>>());
    let here = farm.force("all-native", &[]);
    let said = |farm: &Farm, builder: &str, step: &str| {
        let path = format!("/builders/{builder}/builds/0/steps/{step}/logs/stdio/text");
        let text = farm.get(&path).expect("a log").1;
        // Which of two pipes is read first is chance, here and there.
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    for program in &programs {
        let builder = format!("all-{}", program.slave());
        let there = farm.wait_builds(&builder, 1);
        assert_eq!(shape(&there), shape(&here), "{program:?}: {there:#}");
        assert_eq!(there["results"], 2, "{there:#}");
        for name in ["got_revision", "bytes"] {
            assert_eq!(
                property(&there, name),
                property(&here, name),
                "{program:?}: {name}"
            );
        }
        assert_eq!(property(&there, "bytes"), "1500000");
        for step in ["talk", "words", "bad"] {
            let here = said(&farm, "all-native", step);
            assert_eq!(said(&farm, &builder, step), here, "{program:?}: {step}");
        }
        let got = farm.master_dir().join("got");
        let read = |name: &str| fs::read_to_string(got.join(name)).expect("it came");
        assert_eq!(read(&format!("{builder}.txt")), "first\n");
        assert_eq!(read(&format!("{builder}/sub/y")), "y\n");
        let link = fs::read_link(got.join(&builder).join("l")).expect("a link");
        assert_eq!(link, Path::new("x"));
        let at = |path: &Path| fs::metadata(path).expect("a file").mtime();
        let source = farm
            .path(program.slave())
            .join(&builder)
            .join("build/a.txt");
        let came = got.join(format!("{builder}.txt"));
        assert_eq!(at(&came), at(&source), "{program:?}: it keeps its times");
        let told = farm.json(&format!("/json/slaves/{}", program.slave()));
        let told = told.expect("a slave")["version"].clone();
        assert_eq!(told, program.version());
    }
    drop(workers);
}

const SLOW: &str = r#"
[[steps]]
type = "shell"
name = "slow"
command = "if test -e ../again; then echo second; else touch ../again; echo first; sleep 600; fi"
"#;

#[test]
fn what_a_killed_worker_ran_is_run_again_and_a_stop_reaches_it() {
    let mut farm = farm(SLOW);
    let programs = Program::NEW;
    let builders = programs.map(|it| format!("all-{}", it.slave()));
    let marks = programs.map(|it| {
        let dir = farm.path(it.slave());
        dir.join(format!("all-{}/again", it.slave()))
    });
    // Such a slave keeps a short output back; what its command does is seen at once.
    let runs = |farm: &mut Farm| {
        farm.wait("the commands", |_| {
            marks.iter().all(|it| it.exists()).then_some(())
        });
    };
    let workers = programs.map(|it| it.start(&farm));
    for program in programs {
        wait_for(&mut farm, program.slave(), true);
    }
    begin(&farm, &builders);
    runs(&mut farm);
    for (worker, program) in workers.into_iter().zip(programs) {
        worker.kill();
        wait_for(&mut farm, program.slave(), false);
    }
    let workers = programs.map(|it| it.start(&farm));
    for builder in &builders {
        let lost = farm.wait_builds(builder, 1);
        assert_eq!(lost["results"], 5, "it is tried again: {lost:#}");
        let again = farm.wait_builds(builder, 2);
        assert_eq!(again["results"], 0, "{again:#}");
    }

    for mark in &marks {
        fs::remove_file(mark).expect("it was there");
    }
    begin(&farm, &builders);
    runs(&mut farm);
    for builder in &builders {
        let stopped = farm.autobot(&["stop-build", &format!("{builder}/2")]);
        assert!(stopped.status.success(), "{}", text(&stopped));
        let stopped = farm.wait_builds(builder, 3);
        assert_eq!(stopped["results"], 4, "{stopped:#}");
    }
    drop(workers);
}

#[test]
fn what_ran_when_the_master_was_killed_is_run_again_by_the_slaves_that_come_back() {
    let mut farm = farm(SLOW);
    // Not 0.9.15, which fails in its own code when it is to dial again.
    let programs = Program::NEW;
    let builders: Vec<_> = programs
        .iter()
        .map(|it| format!("all-{}", it.slave()))
        .collect();
    let workers: Vec<_> = programs.iter().map(|it| it.start(&farm)).collect();
    for program in &programs {
        wait_for(&mut farm, program.slave(), true);
    }
    begin(&farm, &builders);
    for (program, builder) in programs.iter().zip(&builders) {
        let mark = farm.path(program.slave()).join(builder).join("again");
        farm.wait("the command", |_| mark.exists().then_some(()));
    }
    farm.kill_master();
    farm.start_master();
    for builder in &builders {
        let lost = farm.wait_builds(builder, 1);
        assert_eq!(lost["results"], 5, "{lost:#}");
        let again = farm.wait_builds(builder, 2);
        assert_eq!(again["results"], 0, "{again:#}");
        let said = farm.log(builder, 1, "slow");
        assert!(said.lines().any(|it| it == "second"), "{said}");
    }
    drop(workers);
}

const GATED: &str = r#"
[[steps]]
type = "shell"
name = "gated"
command = "touch ../begun; until test -e ../go; do sleep 0.1; done; echo went"
"#;

#[test]
fn a_master_that_restarts_cleanly_waits_for_what_workers_run_and_they_come_back() {
    let mut farm = farm(GATED);
    let programs = Program::NEW;
    let builders = programs.map(|it| format!("all-{}", it.slave()));
    let dirs = programs.map(|it| farm.path(it.slave()).join(format!("all-{}", it.slave())));
    let _workers = programs.map(|it| it.start(&farm));
    for program in programs {
        wait_for(&mut farm, program.slave(), true);
    }
    begin(&farm, &builders);
    for dir in &dirs {
        let begun = dir.join("begun");
        farm.wait("the command", |_| begun.exists().then_some(()));
    }
    let stop = stop_clean(&farm);
    wait_for_line(&mut farm, "2 builds are left");
    for dir in &dirs {
        fs::write(dir.join("go"), "").expect("written");
    }
    assert!(wait_for_end(&mut farm, stop));
    farm.wait_master_end();
    farm.start_master();
    for builder in &builders {
        let build = farm.build(builder, 0);
        assert_eq!(build["results"], 0, "{build:#}");
        assert!(farm.log(builder, 0, "gated").contains("went"));
    }
    for program in programs {
        wait_for(&mut farm, program.slave(), true);
    }
    for builder in &builders {
        let next = farm.force(builder, &[]);
        assert_eq!((&next["number"], &next["results"]), (&1.into(), &0.into()));
    }
}

#[test]
fn a_worker_with_a_wrong_password_hears_so_and_comes_again() {
    let mut farm = farm(SLOW);
    let _workers = Program::NEW.map(|it| it.start_with(&farm, "guessed"));
    for slave in ["worker", "packed"] {
        let why = format!("`{slave}` has another password");
        farm.wait(&why, |farm| {
            farm.master_output().contains(&why).then_some(())
        });
    }
    let said = farm.wait("the worker's word", |farm| {
        let said = fs::read_to_string(farm.path("worker.out")).unwrap_or_default();
        let log = fs::read_to_string(farm.path("worker/twistd.log")).unwrap_or_default();
        let said = format!("{said}{log}");
        said.contains("retry").then_some(said)
    });
    assert!(!farm.master_output().contains("guessed"), "{said}");
}

const LATER: &str = "\n[later]\ntype = shell\ncommands = echo later\n";

#[test]
fn a_slave_of_buildbot_keeps_its_name_gets_new_builders_and_may_ask_to_go() {
    let recipe = "[[steps]]\ntype = \"shell\"\nname = \"hi\"\ncommand = \"echo hi\"\n\n\
                  [[steps]]\ntype = \"shell\"\nname = \"nice\"\ncommand = \"true\"\nnice = 5\n";
    let mut farm = farm(recipe);
    let mut workers: Vec<Worker> = Vec::new();
    for program in Program::NEW {
        program.create(
            &farm,
            program.slave(),
            "secret",
            match program {
                Program::Packed4 => &[],
                _ => &["--allow-shutdown=signal"],
            },
        );
        workers.push(program.start(&farm));
        wait_for(&mut farm, program.slave(), true);
    }
    // One that comes under a name that is taken: the old protocol ends it, the new one lets it try.
    let mut twins: Vec<Worker> = Vec::new();
    for program in Program::NEW {
        let twin = format!("{}-twin", program.slave());
        program.create(&farm, &twin, "secret", &[]);
        twins.push(program.start_in(&farm, &twin));
    }
    for slave in ["worker", "packed"] {
        farm.wait("a refusal", |farm| {
            let told = farm.master_output();
            let mut told = told
                .lines()
                .filter(|it| it.contains("of this name is connected"));
            told.any(|it| it.contains(&format!("slave={slave}")))
                .then_some(())
        });
    }
    twins[0].end(&mut farm);
    drop(twins);

    // What such a slave cannot do is told at the step that asks for it.
    for program in Program::NEW {
        let build = farm.force(&format!("all-{}", program.slave()), &[]);
        assert_eq!(build["results"], 4, "{build:#}");
        let why = format!(
            "`nice` needs autobot's own slave; this one is {}",
            program.version()
        );
        let shown = build.to_string();
        let log = farm.log(&format!("all-{}", program.slave()), 0, "nice");
        assert!(
            shown.contains(&why) || log.contains(&why),
            "{build:#}\n{log}"
        );
    }

    let ini = farm.master_dir().join("master.ini");
    let old = fs::read_to_string(&ini).expect("a file");
    let new = old.replace("factories = all\n", "factories = all later\n") + LATER;
    fs::write(&ini, new).expect("written");
    let reloaded = farm.autobot(&["reconfig"]);
    assert!(reloaded.status.success(), "{}", text(&reloaded));
    for program in Program::NEW {
        let build = farm.force(&format!("later-{}", program.slave()), &[]);
        assert_eq!(build["results"], 0, "{build:#}");
    }

    // One goes because it wants to, the other because it is told to.
    workers[0].signal("HUP");
    let gone = farm.autobot(&["slave", "shutdown", "packed"]);
    assert!(gone.status.success(), "{}", text(&gone));
    for (worker, slave) in workers.iter_mut().zip(["worker", "packed"]) {
        let ended = worker.end(&mut farm);
        assert!(ended.success(), "{slave}: {ended}");
        wait_for(&mut farm, slave, false);
    }
}
