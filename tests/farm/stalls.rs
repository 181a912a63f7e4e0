//! Lines that hold up what is said, break, and are slow: the build does not
//! notice.

use std::fs;

use crate::farm::{Farm, text};
use crate::proxy::Proxy;

/// Prints numbered lines until the file `go` is in the work directory.
const COUNTING: &str = "n=0; while [ ! -e go ]; do n=$((n+1)); echo line $n; sleep 0.01; done; \
                        echo once >> ran; echo done after $n";

fn farm(master: &str) -> Farm {
    Farm::new(&format!(
        "{master}[slave:linux]\npassword = secret\nfactories = count\n\n\
         [count]\ntype = shell\ncommands =\n    {COUNTING}\n"
    ))
}

fn begin(farm: &mut Farm) {
    let forced = farm.autobot(&["force", "count-linux"]);
    assert!(forced.status.success(), "{}", text(&forced));
    lines_beyond(farm, 20);
}

/// Waits until so many lines are in the log.
fn lines_beyond(farm: &mut Farm, count: usize) {
    let path = "/builders/count-linux/builds/0/steps/shell/logs/stdio/text?follow=0";
    let words = format!("line {count}\n");
    farm.wait(&format!("line {count}"), |farm| {
        farm.get(path).filter(|it| it.1.contains(&words))
    });
}

fn let_it_end(farm: &mut Farm) {
    fs::write(farm.path("linux/count-linux/build/go"), "").expect("written");
    let build = farm.wait_builds("count-linux", 1);
    assert_eq!(build["results"], 0, "{build:#}");
    let log = farm.log("count-linux", 0, "shell");
    let lines: Vec<&str> = log.lines().filter(|it| it.starts_with("line ")).collect();
    for (number, line) in (1..).zip(&lines) {
        assert_eq!(
            *line,
            format!("line {number}"),
            "no line is lost or doubled"
        );
    }
    let end = format!("done after {}\n", lines.len());
    assert!(log.contains(&end), "{log}");
    let ran = fs::read_to_string(farm.path("linux/count-linux/build/ran")).expect("it ran");
    assert_eq!(ran, "once\n");
}

#[test]
fn a_line_that_is_held_up_is_given_up_by_both_and_the_build_goes_on() {
    let mut farm = farm("heartbeat = 2s\n");
    farm.start_master();
    let proxy = Proxy::to(farm.slaveport);
    let master = format!("127.0.0.1:{}", proxy.port);
    farm.start_slave_at("linux", &master, "password = secret\n");
    begin(&mut farm);
    proxy.stall(true);
    farm.wait("the master's word", |farm| {
        let said = farm.master_output();
        said.contains("nothing was heard for 2.0 s").then_some(())
    });
    farm.wait("the slave's word", |farm| {
        let said = farm.slave_output("linux");
        said.contains("the master was silent for 2 s").then_some(())
    });
    let slave = farm.json("/json/slaves/linux").expect("a slave");
    assert_eq!(slave["connected"], false, "{slave:#}");
    proxy.stall(false);
    farm.wait("the slave", |farm| {
        let slave = farm.json("/json/slaves/linux")?;
        (slave["connected"] == true).then_some(())
    });
    lines_beyond(&mut farm, 200);
    let_it_end(&mut farm);
}

#[test]
fn a_line_with_tls_may_be_slow_and_be_cut_again_and_again() {
    let mut farm =
        farm("tls = required\ntls_certificate = tls/server.pem\ntls_key = tls/server.key\n");
    let made = farm.autobot(&["tls", "init", "master/tls", "--name", "127.0.0.1"]);
    assert!(made.status.success(), "{}", text(&made));
    farm.start_master();
    let proxy = Proxy::to(farm.slaveport);
    let master = format!("127.0.0.1:{}", proxy.port);
    let keys = "password = secret\ntls_ca = ../master/tls/ca.pem\n";
    farm.start_slave_at("linux", &master, keys);
    begin(&mut farm);
    let mut count = 20;
    for turn in 1..=3 {
        proxy.slow(turn % 2 == 1);
        proxy.cut();
        farm.wait("the next line", |_| (proxy.lines() > turn).then_some(()));
        count += 40;
        lines_beyond(&mut farm, count);
    }
    proxy.slow(false);
    let_it_end(&mut farm);
}
