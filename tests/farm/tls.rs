//! Slaves over TLS: who is let in, who is believed, and what is said where
//! that fails.

use std::fs;
use std::process::{Command, Stdio};

use crate::farm::{Farm, sh, text};

const TLS: &str = "tls = required\ntls_certificate = tls/server.pem\ntls_key = tls/server.key\n";

/// A farm whose master shows a certificate for 127.0.0.1.
fn farm(tls: &str) -> Farm {
    let mut farm = Farm::new(&format!(
        "{tls}[slave:linux]\npassword = secret\nfactories = hi\n\n\
         [slave:plain]\npassword = secret\nfactories = hi\n\n\
         [hi]\ntype = shell\ncommands = echo hi\n"
    ));
    make(&farm, "master/tls", "127.0.0.1");
    farm.start_master();
    farm
}

fn make(farm: &Farm, dir: &str, name: &str) {
    let made = farm.autobot(&["tls", "init", dir, "--name", name]);
    assert!(made.status.success(), "{}", text(&made));
}

fn start_slave(farm: &mut Farm, host: &str, ca: &str) {
    let master = format!("{host}:{}", farm.slaveport);
    farm.start_slave_at(
        "linux",
        &master,
        &format!("password = secret\ntls_ca = {ca}\n"),
    );
}

/// Waits until the slave has said some words.
fn slave_says(farm: &mut Farm, name: &str, words: &str) {
    farm.wait(&format!("`{words}` of the slave"), |farm| {
        farm.slave_output(name).contains(words).then_some(())
    });
}

fn master_says(farm: &mut Farm, words: &str) {
    farm.wait(&format!("`{words}` of the master"), |farm| {
        farm.master_output().contains(words).then_some(())
    });
}

/// What another program sees of the master's certificate.
fn openssl(farm: &Farm, args: &[&str]) -> (bool, String) {
    let output = Command::new("openssl")
        .arg("s_client")
        .arg("-connect")
        .arg(format!("127.0.0.1:{}", farm.slaveport))
        .args(args)
        .current_dir(farm.master_dir())
        .stdin(Stdio::null())
        .output()
        .expect("openssl is installed");
    (output.status.success(), text(&output))
}

#[test]
fn a_build_runs_over_tls_and_a_plain_line_is_refused_in_words() {
    let mut farm = farm(TLS);
    start_slave(&mut farm, "127.0.0.1", "../master/tls/ca.pem");
    let build = farm.force("hi-linux", &[]);
    assert_eq!(build["results"], 0, "{build:#}");

    let (is_good, said) = openssl(
        &farm,
        &[
            "-CAfile",
            "tls/ca.pem",
            "-verify_return_error",
            "-verify_ip",
            "127.0.0.1",
        ],
    );
    assert!(
        is_good && said.contains("Verify return code: 0 (ok)"),
        "{said}"
    );
    assert!(
        said.contains("TLSv1.3") && said.contains("autobot authority"),
        "{said}"
    );
    let (is_good, said) = openssl(&farm, &["-tls1_2"]);
    assert!(!is_good, "{said}");

    farm.start_slave("plain");
    slave_says(
        &mut farm,
        "plain",
        "this master takes slaves over TLS only: set `tls = yes`",
    );
    master_says(&mut farm, "its line is plain, and `tls` is `required`");
    let plain = farm.json("/json/slaves/plain").expect("a slave");
    assert_eq!(plain["connected"], false);
}

#[test]
fn where_tls_is_offered_plain_lines_are_taken_too() {
    let mut farm = farm(&TLS.replace("tls = required\n", ""));
    start_slave(&mut farm, "127.0.0.1", "../master/tls/ca.pem");
    farm.start_slave("plain");
    for (builder, slave, how) in [
        ("hi-linux", "linux", ", TLS<"),
        ("hi-plain", "plain", ", plain<"),
    ] {
        let build = farm.force(builder, &[]);
        assert_eq!(build["results"], 0, "{build:#}");
        let page = farm
            .get(&format!("/buildslaves/{slave}"))
            .expect("a page")
            .1;
        assert!(page.contains(how), "{page}");
    }
}

#[test]
fn a_master_is_believed_only_with_the_right_authority_and_name() {
    let mut farm = farm(TLS);
    make(&farm, "other", "127.0.0.1");
    start_slave(&mut farm, "127.0.0.1", "../other/ca.pem");
    slave_says(&mut farm, "linux", "is not signed by the authority in");
    master_says(
        &mut farm,
        "the caller does not believe this master's certificate",
    );
    farm.kill_slave();
    start_slave(&mut farm, "localhost", "../master/tls/ca.pem");
    slave_says(
        &mut farm,
        "linux",
        "the master's certificate is for `127.0.0.1` and not for `localhost`",
    );
    farm.kill_slave();
    let master = format!("localhost:{}", farm.slaveport);
    let keys = "password = secret\ntls_ca = ../master/tls/ca.pem\ntls_name = 127.0.0.1\n";
    farm.start_slave_at("linux", &master, keys);
    let build = farm.force("hi-linux", &[]);
    assert_eq!(build["results"], 0, "{build:#}");
}

#[test]
fn who_guesses_over_tls_is_told_over_tls_to_wait() {
    let mut farm = farm(&format!("max_failed_logins = 2\n{TLS}"));
    let master = format!("127.0.0.1:{}", farm.slaveport);
    let keys = "password = guessed\ntls_ca = ../master/tls/ca.pem\n";
    farm.start_slave_at("linux", &master, keys);
    slave_says(&mut farm, "linux", "or its password is another");
    slave_says(
        &mut farm,
        "linux",
        "too many logins from this address have failed",
    );
    master_says(&mut farm, "refuses callers of an address");
}

#[test]
fn a_slave_with_tls_hears_that_its_master_has_none() {
    let mut farm = farm("tls = off\n");
    start_slave(&mut farm, "127.0.0.1", "../master/tls/ca.pem");
    slave_says(
        &mut farm,
        "linux",
        "the master takes no TLS: `tls` is off in its [:master:]",
    );
    master_says(&mut farm, "it speaks TLS, and `tls` is off");
}

#[test]
fn a_certificate_is_renewed_without_cutting_a_line_and_a_bad_one_changes_nothing() {
    let mut farm = farm(TLS);
    start_slave(&mut farm, "127.0.0.1", "../master/tls/ca.pem");
    farm.force("hi-linux", &[]);
    let shown = |farm: &Farm| {
        let (_, said) = openssl(farm, &[]);
        let from = said.find("-----BEGIN").expect("a certificate");
        let to = said.find("-----END").expect("a certificate");
        said[from..to].to_owned()
    };
    let first = shown(&farm);
    let renewed = farm.autobot(&["tls", "renew", "master/tls"]);
    assert!(renewed.status.success(), "{}", text(&renewed));
    assert_eq!(shown(&farm), first, "it is not read by itself");
    let reloaded = farm.autobot(&["reconfig"]);
    let told = text(&reloaded);
    assert!(reloaded.status.success(), "{told}");
    assert!(
        told.contains("changed the certificate that slaves are shown: SHA-256 "),
        "{told}"
    );
    let second = shown(&farm);
    assert_ne!(second, first);

    let files = farm.master_dir().join("tls");
    sh(&files, "cp", &["ca.key", "server.key"]);
    let refused = farm.autobot(&["reconfig"]);
    let said = text(&refused);
    assert!(!refused.status.success(), "{said}");
    assert!(
        said.contains("server.key` does not belong to the certificate"),
        "{said}"
    );
    assert!(said.contains("--> master.ini:6:11"), "{said}");
    assert_eq!(shown(&farm), second);

    let build = farm.force("hi-linux", &[]);
    assert_eq!(build["results"], 0, "{build:#}");
    assert_eq!(farm.master_output().matches("slave attached").count(), 1);
}

#[test]
fn what_is_wrong_with_a_certificate_is_found_before_the_master_starts() {
    let farm = Farm::new(&format!("{TLS}[slave:s]\npassword = x\n"));
    let check = |more: &[&str]| {
        let args: Vec<&str> = ["checkconfig", "master"]
            .iter()
            .chain(more)
            .copied()
            .collect();
        let output = farm.autobot(&args);
        (output.status.code(), text(&output))
    };
    let (code, said) = check(&[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("error[environment]: the certificate `"),
        "{said}"
    );
    assert!(said.contains("No such file or directory"), "{said}");
    assert_eq!(check(&["--offline"]).0, Some(0));

    // As most people make them: it signs itself, and says that it is an authority.
    let files = farm.master_dir().join("tls");
    fs::create_dir(&files).expect("a directory");
    sh(
        &files,
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "server.key",
            "-out",
            "server.pem",
            "-days",
            "3",
            "-subj",
            "/CN=ci",
            "-addext",
            "subjectAltName=DNS:ci.test",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
        ],
    );
    sh(&files, "chmod", &["644", "server.key"]);
    let (code, said) = check(&[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("is the certificate of an authority (`CA:TRUE`)"),
        "{said}"
    );
    assert!(said.contains("server.key` may be read by others"), "{said}");
    sh(
        &files,
        "openssl",
        &[
            "req",
            "-x509",
            "-key",
            "server.key",
            "-out",
            "server.pem",
            "-days",
            "3",
            "-subj",
            "/CN=ci",
            "-addext",
            "subjectAltName=DNS:ci.test",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ],
    );
    sh(&files, "chmod", &["600", "server.key"]);
    let (code, said) = check(&[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("expires on ") && !said.contains("CA:TRUE"),
        "{said}"
    );
}
