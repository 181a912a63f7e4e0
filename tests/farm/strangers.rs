//! Who knocks at the slaves' port and is no slave.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::farm::Farm;

const ONE: &str =
    "[slave:linux]\npassword = secret\nfactories = hi\n\n[hi]\ntype = shell\ncommands = echo hi\n";

/// Sends bytes to the slaves' port; gives what comes until the line is closed.
fn knock(farm: &Farm, bytes: &[u8]) -> Vec<u8> {
    let mut line = TcpStream::connect(("127.0.0.1", farm.slaveport)).expect("it listens");
    // The other side may close before all is said.
    drop(line.write_all(bytes));
    let mut answer = Vec::new();
    drop(line.read_to_end(&mut answer));
    answer
}

#[test]
fn nonsense_is_cut_off_and_named_and_slaves_work_on() {
    let mut farm = Farm::new(ONE);
    farm.start_master();
    farm.start_slave("linux");
    farm.force("hi-linux", &[]);

    assert_eq!(knock(&farm, b"GET / HTTP/1.0\r\n\r\n"), b"");
    let huge = [b"autobot/1\n".as_slice(), &u32::MAX.to_be_bytes(), b"xxxx"].concat();
    assert_eq!(knock(&farm, &huge), b"");
    let garbage = [b"autobot/1\n".as_slice(), &[0, 0, 0, 3, 0xc1, 0xff, 0x00]].concat();
    assert_eq!(knock(&farm, &garbage), b"");

    let build = farm.force("hi-linux", &[]);
    assert_eq!(build["results"], 0, "{build:#}");
    let said = farm.master_output();
    assert_eq!(said.matches("refused a slave").count(), 3, "{said}");
    assert!(said.contains("4294967295"), "the size is named: {said}");
}

#[test]
fn a_wrong_password_is_refused_on_both_sides_in_words() {
    let mut farm = Farm::new(ONE);
    farm.start_master();
    fs::create_dir_all(farm.path("linux")).expect("a directory");
    farm.start_slave_with("linux", "guessed");
    farm.wait("the master's word", |farm| {
        farm.master_output()
            .contains("refused a slave")
            .then_some(())
    });
    let said = farm.wait("the slave's word", |farm| {
        let said = fs::read_to_string(farm.path("linux.out")).unwrap_or_default();
        said.contains("password").then_some(said)
    });
    assert!(
        !said.contains("guessed") && !farm.master_output().contains("guessed"),
        "{said}"
    );
    let slaves = farm.json("/json/slaves/linux").expect("a slave");
    assert_eq!(slaves["connected"], false);
}

#[test]
fn a_slave_that_answers_keeps_its_name() {
    let mut farm = Farm::new(ONE);
    farm.start_master();
    farm.start_slave("linux");
    farm.force("hi-linux", &[]);
    let twin = farm.path("twin");
    fs::create_dir_all(twin.join("info")).expect("a directory");
    fs::copy(farm.path("linux/slave.ini"), twin.join("slave.ini")).expect("copied");
    farm.start_slave_in("twin");
    farm.wait("the refusal", |farm| {
        farm.master_output()
            .contains("a slave of this name is connected and answers")
            .then_some(())
    });
    let build = farm.force("hi-linux", &[]);
    assert_eq!(build["results"], 0, "{build:#}");
    assert!(farm.path("linux/hi-linux").exists() && !farm.path("twin/hi-linux").exists());
}
