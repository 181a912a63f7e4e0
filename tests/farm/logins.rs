//! Who logs in, what a token opens, and the audit log, over kills of the master.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::farm::{AUTOBOT, Farm, text};

const INI: &str = "[slave:linux]\npassword = secret\nfactories = hi\n\
    [hi]\ntype = shell\ncommands = echo hi\n\
    [:authz:]\ndatabase_users = yes\nteam.releng = ann\n\
    force_build = user in team.releng\n";

#[test]
fn sessions_tokens_and_the_audit_log_outlive_a_kill_of_the_master() {
    let mut farm = Farm::new(INI);
    farm.start_master();
    farm.start_slave("linux");
    run(&farm, "user add git=ann");
    run(&farm, "user add git=bo");
    type_password(&farm, "ann", "otter in the river");
    type_password(&farm, "bo", "newt");

    let url = format!("http://127.0.0.1:{}", farm.htmlport);
    let refused = over(&farm, &url, "", &["force", "hi-linux"]);
    assert!(!refused.status.success());
    assert!(
        text(&refused).contains("asks for a login"),
        "{}",
        text(&refused)
    );

    let cookie = |name: &str, password: &str| {
        let form = format!("username={name}&passwd={password}");
        let answer = post(&farm, "/login", "", &form);
        let set = answer
            .lines()
            .find_map(|it| it.strip_prefix("set-cookie: "));
        let set = set.unwrap_or_else(|| panic!("{answer}"));
        set.split(';').next().expect("a cookie").to_owned()
    };
    let (ann, bo) = (cookie("ann", "otter+in+the+river"), cookie("bo", "newt"));
    let forced = post(&farm, "/builders/hi-linux/force", &ann, "comments=try");
    assert!(forced.starts_with("HTTP/1.1 302"), "{forced}");
    let refused = post(&farm, "/builders/hi-linux/force", &bo, "");
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    assert!(refused.contains("does not let `bo` do this"), "{refused}");
    let build = farm.wait_builds("hi-linux", 1);
    let reason = build["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("by 'ann': try"), "{build:#}");

    let made = farm.autobot(&[
        "token",
        "add",
        "ci",
        "--user",
        "ann",
        "--scope",
        "force_build",
    ]);
    assert!(made.status.success(), "{}", text(&made));
    let token = String::from_utf8(made.stdout).expect("a text");
    let token = token.trim();
    assert!(token.starts_with("autobot_"), "{token}");

    farm.kill_master();
    farm.start_master();

    let forced = post(&farm, "/builders/hi-linux/force", &ann, "");
    assert!(forced.starts_with("HTTP/1.1 302"), "{forced}");
    let forced = over(&farm, &url, token, &["force", "hi-linux"]);
    assert!(forced.status.success(), "{}", text(&forced));
    let stopped = over(&farm, &url, token, &["stop-build", "--all"]);
    assert!(
        text(&stopped).contains("has no scope `stop_all_builds`"),
        "{}",
        text(&stopped)
    );
    let listed = run(&farm, "token list");
    assert!(
        listed.contains("ci  ann  force_build  expires "),
        "{listed}"
    );
    assert!(listed.contains("from 127.0.0.1"), "{listed}");
    assert!(!listed.contains(token), "{listed}");
    assert_eq!(run(&farm, "token remove ci"), "token ci is removed\n");
    let gone = over(&farm, &url, token, &["force", "hi-linux"]);
    assert!(
        text(&gone).contains("this token is not known"),
        "{}",
        text(&gone)
    );

    // Who has another password is logged out.
    type_password(&farm, "ann", "another");
    let over_now = post(&farm, "/builders/hi-linux/force", &ann, "");
    assert!(over_now.starts_with("HTTP/1.1 401"), "{over_now}");

    let told: Value = serde_json::from_str(&run(&farm, "audit --json")).expect("a document");
    let told: Vec<String> = told
        .as_array()
        .expect("a list")
        .iter()
        .rev()
        .map(|it| {
            let part = |name: &str| it[name].as_str().unwrap_or("-").to_owned();
            let result = part("result");
            let result = result.split(':').next().unwrap_or_default();
            format!(
                "{} {} {} {result}",
                part("user"),
                part("way"),
                part("action")
            )
        })
        .collect();
    let expected = [
        "- socket manage_users done",
        "- nobody force_build refused",
        "ann password login done",
        "bo password login done",
        "ann session force_build done",
        "bo session force_build refused",
        "ann token ci force_build done",
        "ann token ci stop_all_builds refused",
        "- nobody login refused",
    ];
    let mut rest = told.iter();
    for entry in expected {
        assert!(rest.any(|it| it == entry), "{entry}: {told:#?}");
    }
    for secret in ["otter", "newt", "another", token] {
        let all = format!("{told:?}{}", farm.master_output());
        assert!(!all.contains(secret), "{secret}");
    }
}

fn run(farm: &Farm, line: &str) -> String {
    let args: Vec<&str> = line.split(' ').collect();
    let output = farm.autobot(&args);
    assert!(output.status.success(), "{line}: {}", text(&output));
    String::from_utf8(output.stdout).expect("a text")
}

/// Sets a password without any other program seeing it.
fn type_password(farm: &Farm, user: &str, password: &str) {
    let line = [
        "user",
        "update",
        user,
        "--bb-username",
        user,
        "--bb-password",
        "-",
    ];
    let mut child = Command::new(AUTOBOT)
        .args(line)
        .env("AUTOBOT_DIR", farm.master_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("started");
    let mut input = child.stdin.take().expect("an input");
    writeln!(input, "{password}").expect("typed");
    drop(input);
    assert!(child.wait().expect("ended").success());
}

/// Runs the program as on another machine.
fn over(farm: &Farm, url: &str, token: &str, args: &[&str]) -> Output {
    Command::new(AUTOBOT)
        .args(args)
        .env_remove("AUTOBOT_DIR")
        .env("AUTOBOT_URL", url)
        .env("AUTOBOT_TOKEN", token)
        .current_dir(farm.path(""))
        .stdin(Stdio::null())
        .output()
        .expect("run")
}

/// Posts a form with a cookie; the answer as it comes.
fn post(farm: &Farm, path: &str, cookie: &str, form: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", farm.htmlport)).expect("connected");
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {cookie}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
