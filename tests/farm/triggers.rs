//! Builds that other builds ask for, across a restart of the master.

use std::fs;

use crate::farm::{Farm, git_init, property, text};

/// `main` triggers `packages` and waits for it; `docs` follows what `main` built well.
/// A package waits for a file, so that there is time to look.
fn farm() -> Farm {
    let farm = Farm::new("");
    let (repo, gate) = (farm.path("repo"), farm.path("gate"));
    fs::create_dir(&repo).expect("a directory");
    fs::write(repo.join("a"), "1\n").expect("written");
    git_init(&repo, "main");
    let factories = farm.master_dir().join("factories");
    fs::create_dir(&factories).expect("a directory");
    fs::write(
        factories.join("whole.toml"),
        "extends = \"source\"\n\n[[steps]]\ntype = \"trigger\"\n\
         scheduler_names = [\"packages\"]\nwait_for_finish = true\n\
         set_properties = { from = \"%(buildername)s\" }\n\n\
         [[steps]]\ntype = \"shell\"\ncommand = [\"echo\", \"after all\"]\n",
    )
    .expect("written");
    farm.write_ini(&format!(
        "\n[slave:one]\npassword = secret\nfactories = main docs\n\n\
         [slave:two]\npassword = secret\nfactories = package\n\n\
         [main]\ntype = whole\ngit = {}#main\n\n\
         [docs]\ntype = shell\ncommands = echo docs\n\n\
         [package]\ntype = shell\ncommands = while test ! -e {}; do sleep 0.01; done\n\n\
         [scheduler:force]\nbuilders = main-one\nreason = by hand\n\n\
         [scheduler:packages]\ntype = triggerable\nbuilders = package-*\nproperty.from = nobody\nproperty.kind = deb\n\n\
         [scheduler:after]\ntype = dependent\nupstream = force\nbuilders = docs-one\n",
        repo.display(),
        gate.display()
    ));
    farm
}

#[test]
fn a_build_waits_for_what_it_triggers_across_a_restart_and_others_follow_it() {
    let mut farm = farm();
    farm.start_master();
    farm.start_slave("one");
    farm.start_slave("two");
    let forced = farm.autobot(&["force", "main-one", "--branch", "main"]);
    assert!(forced.status.success(), "{}", text(&forced));
    farm.wait("the triggered build", |farm| {
        farm.json("/json/builders/package-two/builds/0")
    });

    farm.kill_master();
    farm.start_master();
    fs::write(farm.path("gate"), "").expect("written");
    let main = farm.wait_builds("main-one", 1);
    assert_eq!(main["results"], 0, "{main:#}");
    assert!(farm.log("main-one", 0, "shell").contains("after all"));
    let said = farm.log("main-one", 0, "trigger");
    assert_eq!(said.matches("triggered `packages`").count(), 1, "{said}");
    assert!(said.contains("of `packages`: success"), "{said}");
    assert_eq!(property(&main, "scheduler"), "force");
    let reason = main["reason"].as_str().expect("a reason");
    assert!(reason.ends_with(": by hand"), "{reason}");

    let package = farm.build("package-two", 0);
    assert_eq!(package["reason"], "Triggerable(packages)", "{package:#}");
    assert_eq!(property(&package, "from"), "main-one");
    assert_eq!(property(&package, "kind"), "deb");
    assert_eq!(property(&package, "scheduler"), "packages");
    let revision = property(&main, "got_revision");
    assert_eq!(package["sourceStamp"]["revision"], revision, "{package:#}");
    assert!(farm.json("/json/builders/package-two/builds/1").is_none());

    let docs = farm.wait_builds("docs-one", 1);
    assert_eq!(docs["reason"], "downstream", "{docs:#}");
    assert_eq!(property(&docs, "scheduler"), "after");
    assert_eq!(docs["sourceStamp"]["branch"], "main", "{docs:#}");
}

#[test]
fn a_wait_ends_with_its_scheduler_or_when_it_is_stopped() {
    let mut farm = farm();
    farm.start_master();
    farm.start_slave("one");
    farm.start_slave("two");
    farm.autobot(&["force", "main-one", "--branch", "main"]);
    farm.wait("the triggered build", |farm| {
        farm.json("/json/builders/package-two/builds/0")
    });
    let ini = farm.master_dir().join("master.ini");
    let text_now = fs::read_to_string(&ini).expect("a file");

    // What does not touch the scheduler does not touch the wait.
    fs::write(&ini, text_now.replace("echo docs", "echo other docs")).expect("written");
    let kept = farm.autobot(&["reconfig", "master"]);
    assert!(kept.status.success(), "{}", text(&kept));
    let main = farm.build("main-one", 0);
    assert!(main["results"].is_null(), "{main:#}");

    fs::write(&ini, text_now.replace("kind = deb", "kind = rpm")).expect("written");
    let changed = farm.autobot(&["reconfig", "master"]);
    let said = text(&changed);
    assert!(said.contains("changed scheduler `packages`"), "{said}");
    let main = farm.wait_builds("main-one", 1);
    assert_eq!(main["results"], 4, "{main:#}");
    let said = farm.log("main-one", 0, "trigger");
    assert!(said.contains("`packages` was changed"), "{said}");

    farm.autobot(&["force", "main-one", "--branch", "main"]);
    farm.wait("the second wait", |farm| {
        let builder = farm.json("/json/builders/package-two")?;
        (builder["pendingBuilds"] == 1).then_some(())
    });
    let stopped = farm.post("/builders/main-one/builds/1/stop", "comments=enough");
    assert!(stopped.is_some());
    let main = farm.wait_builds("main-one", 2);
    assert_eq!(main["results"], 4, "{main:#}");
    // What it triggered goes on.
    let package = farm.build("package-two", 0);
    assert!(package["results"].is_null(), "{package:#}");
    fs::write(farm.path("gate"), "").expect("written");
    farm.wait_builds("package-two", 2);
}
