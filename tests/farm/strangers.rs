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

    assert_eq!(knock(&farm, b"POST / HTTP/1.0\r\n\r\n"), b"");
    // Workers of Buildbot may come by HTTP; who is none is told where he is.
    let told = knock(&farm, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let told = String::from_utf8(told).expect("text");
    assert!(told.starts_with("HTTP/1.1 426 "), "{told}");
    assert!(told.contains("slaves connect here"), "{told}");
    let huge = [b"autobot/1\n".as_slice(), &u32::MAX.to_be_bytes(), b"xxxx"].concat();
    assert_eq!(knock(&farm, &huge), b"");
    let garbage = [b"autobot/1\n".as_slice(), &[0, 0, 0, 3, 0xc1, 0xff, 0x00]].concat();
    assert_eq!(knock(&farm, &garbage), b"");

    let build = farm.force("hi-linux", &[]);
    assert_eq!(build["results"], 0, "{build:#}");
    let said = farm.master_output();
    assert_eq!(said.matches("refused a slave").count(), 3, "{said}");
    assert_eq!(said.matches("refused a caller").count(), 1, "{said}");
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

#[test]
fn who_guesses_is_slowed_down_and_told_and_others_are_not() {
    let mut farm = Farm::new(&format!("max_failed_logins = 3\nlogin_timeout = 2s\n{ONE}"));
    farm.start_master();
    // From an address of its own: all of 127.0.0.0/8 is this machine.
    farm.start_slave("linux");
    farm.force("hi-linux", &[]);
    let garbage = [b"autobot/1\n".as_slice(), &[0, 0, 0, 3, 0xc1, 0xff, 0x00]].concat();
    for _ in 0..3 {
        assert_eq!(knock(&farm, &garbage), b"");
    }
    let hello = hello("linux");
    let answer = String::from_utf8_lossy(&knock(&farm, &hello)).into_owned();
    assert!(
        answer.contains("too many logins from this address have failed"),
        "{answer}"
    );
    assert!(answer.contains("retry_after_secs"), "{answer}");
    let said = farm.master_output();
    assert_eq!(
        said.matches("refuses callers of an address").count(),
        1,
        "{said}"
    );
    // The slave that is here stays.
    let build = farm.force("hi-linux", &[]);
    assert_eq!(build["results"], 0, "{build:#}");
}

#[test]
fn callers_that_say_nothing_do_not_keep_others_out_for_long() {
    let mut farm = Farm::new(&format!(
        "max_strangers_per_address = 3\nlogin_timeout = 2s\n{ONE}"
    ));
    farm.start_master();
    let port = farm.slaveport;
    let line = || TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let idle: Vec<TcpStream> = (0..3).map(|_| line()).collect();
    farm.wait("the refusal", |farm| {
        let answer = String::from_utf8_lossy(&knock(farm, &hello("linux"))).into_owned();
        answer
            .contains("callers from this address have not logged in yet")
            .then_some(())
    });
    farm.start_slave("linux");
    let build = farm.force("hi-linux", &[]);
    assert_eq!(build["results"], 0, "{build:#}");
    assert!(farm.master_output().contains("it says nothing"));
    for mut line in idle {
        // Who does not speak may be a slave of Buildbot, which waits to be spoken to.
        let mut said = Vec::new();
        line.read_to_end(&mut said).expect("closed");
        assert_eq!(said, b"\x02\x80\x02\x82pb\x04\x82none");
    }
}

/// The first words of a slave.
fn hello(name: &str) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).expect("short");
        assert!(length < 32, "{text}");
        [&[0xa0 | length], text.as_bytes()].concat()
    };
    let body = [
        vec![0x81],
        text("hello"),
        vec![0x85],
        text("protocol"),
        vec![1],
        text("version"),
        text("0"),
        text("features"),
        vec![0x90],
        text("name"),
        text(name),
        text("nonce"),
        vec![0xc4, 1, 7],
    ]
    .concat();
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    [b"autobot/1\n".as_slice(), &length, &body].concat()
}
