//! What is let in, and what is kept.

use crate::farm::{Farm, text};

const INI: &str = "[slave:linux]\npassword = secret\nfactories = count\nlaunch = local\n\n\
                   [count]\ntype = shell\ncommands = seq 1 1000\n";

#[test]
fn long_logs_are_cut_old_builds_are_forgotten_and_numbers_go_on() {
    let mut farm = Farm::new(&format!(
        "log_max_size = 100\nlog_max_tail_size = 10\nbuild_horizon = 1\n\n{INI}"
    ));
    farm.start_master();
    for number in 0..2 {
        let build = farm.force("count-linux", &[]);
        assert_eq!(
            (&build["number"], &build["results"]),
            (&number.into(), &0.into())
        );
    }
    farm.wait("the first build to go", |farm| {
        let builds = farm.json("/json/builders/count-linux/builds")?;
        (builds == serde_json::json!({"1": null})).then_some(())
    });
    assert!(
        !farm
            .master_dir()
            .join("builds/count-linux/0-log-shell-stdio")
            .exists()
    );

    let log = farm.wait("the end of the log", |farm| {
        let log = farm.log("count-linux", 1, "shell");
        log.contains("Final 10 bytes").then_some(log)
    });
    assert!(log.contains("Output exceeded 100 bytes, remaining output has been truncated\n"));
    assert!(log.contains("program finished with exit code 0"), "{log}");
    assert!(
        log.ends_with("Final 10 bytes follow below:\n\n999\n1000\n"),
        "{log}"
    );
    assert!(!log.contains("\n500\n"), "{log}");

    assert_eq!(farm.force("count-linux", &[])["number"], 2);
}

#[test]
fn a_reload_tightens_what_is_let_in_and_cannot_move_the_database() {
    let mut farm = Farm::new(INI);
    farm.start_master();
    let force = ["force", "count-linux", "--branch", "release/1"];
    let fine = farm.autobot(&force);
    assert!(fine.status.success(), "{}", text(&fine));

    farm.write_ini(&format!("{INI}\n[:validation:]\nbranch = main\n"));
    let applied = farm.autobot(&["reconfig", "master"]);
    assert!(applied.status.success(), "{}", text(&applied));
    let refused = farm.autobot(&force);
    assert!(!refused.status.success());
    let said = text(&refused);
    assert!(
        said.contains("it does not fit `main` from start to end"),
        "{said}"
    );

    farm.write_ini(&format!("db_url = sqlite:///other.sqlite\n\n{INI}"));
    let refused = farm.autobot(&["reconfig", "master"]);
    let said = text(&refused);
    assert!(said.contains("error[needs-restart]"), "{said}");
    assert!(said.contains("it was `sqlite:///state.sqlite`"), "{said}");
}
