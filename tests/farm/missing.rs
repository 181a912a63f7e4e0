//! Slaves that are missing, and the mails about them, by a real relay.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::farm::{Farm, free_ports, text};

/// Debian's own Python has the relay's library, whatever else is first in the path.
const PYTHON: &str = "/usr/bin/python3";

struct Relay {
    child: Child,
    file: PathBuf,
}

impl Relay {
    fn start(farm: &Farm, port: u16, more: &[&str]) -> Self {
        let file = farm.path("mails");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/farm/smtp.py");
        let child = Command::new(PYTHON)
            .arg(script)
            .arg(port.to_string())
            .arg(&file)
            .args(more)
            .current_dir(farm.master_dir())
            .stdin(Stdio::null())
            .spawn()
            .expect("python3-aiosmtpd is installed");
        Self { child, file }
    }

    fn mails(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        let lines = text.split_inclusive('\n').filter(|it| it.ends_with('\n'));
        lines
            .map(|it| serde_json::from_str(it).expect("JSON"))
            .collect()
    }

    fn wait(&self, farm: &mut Farm, count: usize) -> Vec<Value> {
        farm.wait(&format!("mail {count}"), |_| {
            Some(self.mails()).filter(|it| it.len() >= count)
        })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn ini(port: u16, more: &str) -> String {
    format!(
        "title = The farm\n\
         [status:mail]\nfromaddr = The farm <ci@example.org>\nrelayhost = 127.0.0.1\n\
         smtp_port = {port}\n{more}\n\
         [slave:linux]\npassword = secret\nfactories = hi\nmissing_timeout = 1\n\
         notify_on_missing = ann@example.org bo@example.org\n\
         [hi]\ntype = shell\ncommands = echo hi\n"
    )
}

fn missing(farm: &Farm) -> Option<Value> {
    let slave = farm.json("/json/slaves/linux")?;
    Some(slave["missing"].clone()).filter(|it| !it.is_null())
}

/// Waits until a mail could not be sent, and says why.
fn trouble(farm: &mut Farm, words: &str) -> String {
    farm.wait(&format!("trouble with {words}"), |farm| {
        let trouble = missing(farm)?["trouble"].as_str()?.to_owned();
        trouble.contains(words).then_some(trouble)
    })
}

#[test]
fn each_absence_is_told_once_over_kills_of_the_master() {
    let [port] = free_ports();
    let mut farm = Farm::new(&ini(port, ""));
    let relay = Relay::start(&farm, port, &[]);
    farm.start_master();
    let mails = relay.wait(&mut farm, 1);
    assert_eq!(mails[0]["from"], "ci@example.org");
    assert_eq!(
        mails[0]["to"],
        serde_json::json!(["ann@example.org", "bo@example.org"])
    );
    let headers = &mails[0]["headers"];
    assert_eq!(headers["subject"], "autobot: slave linux was lost");
    assert_eq!(headers["to"], "ann@example.org, bo@example.org");
    assert_eq!(headers["from"], "The farm <ci@example.org>");
    assert_eq!(headers["auto-submitted"], "auto-generated");
    let body = mails[0]["body"].as_str().expect("a body");
    assert!(body.contains("The master has waited for it"), "{body}");

    let told = |farm: &Farm| missing(farm)?["told"].as_f64();
    let first = farm.wait("the notice on the page", |farm| told(farm));
    let status = text(&farm.autobot(&["status"]));
    assert!(status.contains("slave linux is missing since "), "{status}");
    farm.kill_master();
    farm.start_master();
    assert_eq!(farm.wait("the slave", |farm| told(farm)), first);

    farm.start_slave("linux");
    farm.wait("the slave", |farm| {
        let slave = farm.json("/json/slaves/linux")?;
        (slave["connected"] == true && slave["missing"].is_null()).then_some(())
    });
    farm.kill_slave();
    let mails = relay.wait(&mut farm, 2);
    let body = mails[1]["body"].as_str().expect("a body");
    assert!(body.contains("It was heard of last on"), "{body}");
    assert_ne!(headers["message-id"], mails[1]["headers"]["message-id"]);
    assert_eq!(mails.len(), 2, "{mails:#?}");
}

#[test]
fn a_mail_that_cannot_be_sent_is_shown_and_tried_again() {
    let [port] = free_ports();
    let mut farm = Farm::new(&ini(port, ""));
    farm.start_master();
    let why = trouble(&mut farm, "did not take it");
    assert!(
        why.starts_with("a mail about it could not be sent: relay 127.0.0.1:"),
        "{why}"
    );
    assert!(why.contains("; it is tried again at "), "{why}");
    let (_, page) = farm.get("/buildslaves/linux").expect("a page");
    assert!(page.contains("a mail about it could not be sent"), "{page}");

    // One recipient that the relay does not know keeps the mail from nobody else.
    let relay = Relay::start(&farm, port, &["--refuse", "ann@example.org"]);
    let mails = relay.wait(&mut farm, 1);
    assert_eq!(mails[0]["to"], serde_json::json!(["bo@example.org"]));
    let why = trouble(&mut farm, "no such user");
    assert!(why.contains("ann@example.org: "), "{why}");
    assert!(missing(&farm).is_some_and(|it| it["told"].is_number()));
}

#[test]
fn a_relay_with_tls_is_believed_by_its_certificate_and_told_the_password() {
    let [port] = free_ports();
    let login =
        |password: &str| format!("use_tls = yes\nsmtp_user = ci\nsmtp_password = {password}\n");
    let mut farm = Farm::new(&ini(port, &login("wrong")));
    let made = farm.autobot(&["tls", "init", "master/tls", "--name", "127.0.0.1"]);
    assert!(made.status.success(), "{}", text(&made));
    let tls = ["--tls", "tls/server.pem", "tls/server.key"];
    let relay = Relay::start(
        &farm,
        port,
        &[&tls[..], &["--login", "ci", "right"]].concat(),
    );
    // The system does not trust this authority.
    farm.start_master();
    let why = trouble(&mut farm, "ertificate");
    assert!(why.contains("relay 127.0.0.1:"), "{why}");
    farm.kill_master();

    let ca = farm.master_dir().join("tls/ca.pem");
    farm.env.push(("SSL_CERT_FILE", ca.display().to_string()));
    farm.start_master();
    let why = trouble(&mut farm, "535");
    assert!(!why.contains("wrong"), "{why}");
    farm.write_ini(&ini(port, &login("right")));
    let loaded = farm.autobot(&["reconfig"]);
    assert!(loaded.status.success(), "{}", text(&loaded));
    let mails = relay.wait(&mut farm, 1);
    assert_eq!(mails[0]["tls"], true);
    assert_eq!(mails[0]["user"], "ci");
    assert_eq!(mails.len(), 1);
}
