//! Slaves that are started when a build needs them, with real ones.

use std::fs;

use crate::farm::{AUTOBOT, Farm, sh, text};

const HI: &str = "factories = hi\n[hi]\ntype = shell\ncommands = echo hi\n";

#[test]
fn a_child_is_started_for_a_build_and_ends_after_it() {
    let mut farm = Farm::new(&format!(
        "[slave:linux]\npassword = secret\nlaunch = local\non_demand = yes\n\
         build_wait_timeout = 0\n{HI}"
    ));
    farm.start_master();
    let rests = |farm: &mut Farm| {
        let status = text(&farm.autobot(&["status"]));
        status.contains("slave linux is not started").then_some(())
    };
    farm.wait("the slave's rest", rests);
    assert!(!farm.path("master/slaves/linux").exists());
    let page = farm.get("/buildslaves/linux").expect("a page").1;
    assert!(
        page.contains("It is not started; a build that needs it starts it."),
        "{page}"
    );
    for _ in 0..2 {
        let build = farm.force("hi-linux", &[]);
        assert_eq!(build["results"], 0, "{build:#}");
        farm.wait("the slave's rest", rests);
    }
}

#[test]
fn commands_start_and_stop_a_slave_and_a_killed_master_stops_what_it_started() {
    let mut farm = Farm::new("");
    let dir = farm.path("rented").display().to_string();
    let ini = format!(
        "[slave:linux]\npassword = secret\nlaunch = command\non_demand = yes\n\
         master_host = 127.0.0.1\nbuild_wait_timeout = -1\n\
         start_command =\n    \
         {AUTOBOT} create-slave --slave $AUTOBOT_SLAVE --passwd-file $AUTOBOT_PASSWORD_FILE \
         --master $AUTOBOT_MASTER_HOST --slaveport $AUTOBOT_MASTER_PORT {dir} && \
         {AUTOBOT} start {dir}\n\
         stop_command = {AUTOBOT} stop {dir}; rm -r {dir}\n\
         status_command = test -e {dir}\n{HI}"
    );
    farm.write_ini(&ini);
    farm.start_master();
    let build = farm.force("hi-linux", &[]);
    assert_eq!(build["results"], 0, "{build:#}");
    let pid = fs::read_to_string(farm.path("rented/autobot.pid")).expect("it stays");

    farm.kill_master();
    farm.start_master();
    let build = farm.force("hi-linux", &[]);
    assert_eq!(build["results"], 0, "{build:#}");
    let same = fs::read_to_string(farm.path("rented/autobot.pid")).expect("it stays");
    assert_eq!(pid, same, "the same slave");

    // It leaves while nobody looks after it.
    farm.kill_master();
    farm.write_ini(&format!("[slave:other]\npassword = secret\n{HI}"));
    farm.start_master();
    farm.wait("the slave's end", |farm| {
        (!farm.path("rented").exists()).then_some(())
    });
    let ps = sh(farm.path("master").as_path(), "ps", &["-o", "args", "-e"]);
    assert!(!ps.contains(&dir), "{ps}");
}
