//! `autobot try` from elsewhere: over ssh to a directory, and over TLS; and what else reaches a
//! master that is not on this machine.

use std::fs;
use std::process::{Command, Stdio};

use crate::farm::{AUTOBOT, Farm, free_ports, text};
use crate::ssh::Sshd;
use crate::tried::{git, try_in};

#[test]
fn a_job_is_brought_to_a_directory_over_ssh_and_followed_over_the_pages() {
    let world = tempfile::tempdir().expect("a directory");
    let (repo, dev) = git(world.path());
    let mut farm = Farm::new("");
    let sshd = Sshd::start(&mut farm);
    let tries = farm.path("it's tries");
    for name in ["tmp", "new", "cur"] {
        fs::create_dir_all(tries.join(name)).expect("a directory");
    }
    farm.write_ini(&format!(
        "poll_interval = 1h\n[slave:one]\npassword = secret\nfactories = words\n\
         [words]\ntype = shell\ngit = {}#main\ncommands = ! grep bad word\n\
         [scheduler:jobs]\ntype = try_jobdir\njobdir = {}\nbuilders = *\n",
        repo.display(),
        tries.display()
    ));
    farm.start_master();
    farm.start_slave("one");
    sshd.know_for_ssh();
    let ssh = format!(
        "ssh -F none -i {} -o IdentitiesOnly=yes -o UserKnownHostsFile={}",
        sshd.file("user"),
        sshd.file("known")
    );
    let (port, master) = (
        sshd.port.to_string(),
        format!("http://127.0.0.1:{}", farm.htmlport),
    );
    let jobdir = tries.display().to_string();
    let args = [
        "--connect=ssh",
        "--host",
        "127.0.0.1",
        "--port",
        &port,
        "-u",
        &sshd.user,
        "--ssh",
        &ssh,
        "--autobotbin",
        AUTOBOT,
        "-m",
        &master,
        "--wait",
        "-C",
        "why",
    ];
    let to = |dir: &str, more: &[&str]| {
        let args = [&args[..], &["--jobdir", dir], more].concat();
        try_in(&farm, &dev, &args)
    };
    fs::write(dev.join("word"), "new\n").expect("written");
    let good = to(&jobdir, &[]);
    let told = text(&good);
    assert!(good.status.success(), "{told}");
    assert!(told.contains("waiting for job to be accepted\n"), "{told}");
    assert!(
        told.ends_with("\nwords-one: success (build successful)\n"),
        "{told}"
    );
    fs::write(dev.join("word"), "bad\n").expect("written");
    let bad = to(&jobdir, &["--quiet"]);
    assert_eq!(bad.status.code(), Some(1));
    assert_eq!(
        text(&bad),
        "All Builds Complete\nwords-one: failure (failed shell)\n"
    );
    let wrong = to("/nowhere", &[]);
    assert_eq!(wrong.status.code(), Some(1));
    let told = text(&wrong);
    assert!(told.contains("the job was not delivered"), "{told}");
    assert!(
        told.contains("there is no directory `/nowhere/tmp`"),
        "{told}"
    );
    let build = farm.build("words-one", 0);
    assert_eq!(build["reason"], "'try' job");
}

#[test]
fn a_master_is_reached_over_tls_and_believed_or_not() {
    let world = tempfile::tempdir().expect("a directory");
    let (repo, dev) = git(world.path());
    let [https] = free_ports();
    let mut farm = Farm::new("");
    let ini = farm.master_dir().join("master.ini");
    // One port is plain, for the farm to see that the master is there.
    let text_of_ini = format!(
        "[:master:]\nslaveport = 127.0.0.1:{}\npoll_interval = 1h\n\
         [:web:]\nhttp_port = tcp:{}:interface=127.0.0.1 https:{https}\n\
         tls_certificate = tls/server.pem\ntls_key = tls/server.key\n\
         [:authz:]\nreload = user.name == \"ann\"\nclean_shutdown = user.name == \"ann\"\n\
         [slave:one]\npassword = secret\nfactories = words\n\
         [words]\ntype = shell\ngit = {}#main\ncommands = cat word\n\
         [scheduler:web]\ntype = try_userpass\nuserpass.ann = quiet\nbuilders = *\n",
        farm.slaveport,
        farm.htmlport,
        repo.display(),
    );
    fs::write(&ini, text_of_ini).expect("written");
    for dir in ["master/tls", "other"] {
        let made = farm.autobot(&["tls", "init", dir, "--name", "127.0.0.1"]);
        assert!(made.status.success(), "{}", text(&made));
    }
    farm.start_master();
    farm.start_slave("one");
    let url = format!("https://127.0.0.1:{https}");
    let autobot = |env: &[(&str, &str)], args: &[&str]| {
        let mut command = Command::new(AUTOBOT);
        command
            .args(args)
            .current_dir(&dev)
            .env_remove("AUTOBOT_DIR");
        command.envs(env.iter().copied()).stdin(Stdio::null());
        let output = command.output().expect("run");
        (output.status.code(), text(&output))
    };
    let (ca, other) = (
        farm.master_dir().join("tls/ca.pem"),
        farm.path("other/ca.pem"),
    );
    let (ca, other) = (ca.display().to_string(), other.display().to_string());
    let master = farm.master_dir().display().to_string();

    fs::write(dev.join("word"), "new\n").expect("written");
    let job = [
        "try", "-m", &url, "--ca", &ca, "-u", "ann", "--passwd", "quiet", "--wait",
    ];
    let (code, told) = autobot(&[], &job);
    assert_eq!(code, Some(0), "{told}");
    assert!(farm.log("words-one", 0, "shell").contains("\nnew\n"));
    // Named by a variable, or beside the certificate of a master that is here.
    let (code, told) = autobot(&[("AUTOBOT_CA", &ca), ("AUTOBOT_URL", &url)], &["builds"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("words-one/0"), "{told}");
    let (code, told) = autobot(&[], &["builds", "--url", &url, "--dir", &master]);
    assert_eq!(code, Some(0), "{told}");

    let (code, told) = autobot(&[], &["builds", "--url", &url, "--ca", &other]);
    assert_eq!(code, Some(1), "{told}");
    let expected = format!("is not signed by the authority in `{other}`");
    assert!(
        told.contains("failed to speak TLS with the master at"),
        "{told}"
    );
    assert!(told.contains(&expected), "{told}");
    let (_, told) = autobot(&[], &["builds", "--url", &url]);
    assert!(
        told.contains("`--ca FILE`, or AUTOBOT_CA, names the master's own authority"),
        "{told}"
    );
    let named = url.replace("127.0.0.1", "localhost");
    let (_, told) = autobot(&[], &["builds", "--url", &named, "--ca", &ca]);
    assert!(
        told.contains("is for `127.0.0.1` and not for `localhost`; dial it by one of its names"),
        "{told}"
    );
    let (_, told) = autobot(&[], &["builds", "--url", &url.replace("https", "http")]);
    assert!(
        told.contains("its address begins with `https://`"),
        "{told}"
    );

    // What else is done with a master is done from afar, too, by who may.
    let (code, told) = autobot(&[], &["status", "--url", &url, "--ca", &ca]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains(&format!("the master at `{url}`: running")),
        "{told}"
    );
    let (code, told) = autobot(&[], &["reconfig", "--url", &url, "--ca", &ca]);
    assert_eq!(code, Some(1), "{told}");
    let token = |user: &str| {
        let scope = "reload,clean_shutdown";
        let made = farm.autobot(&[
            "token", "add", user, "--user", user, "--scope", scope, "--json",
        ]);
        let made: serde_json::Value = serde_json::from_slice(&made.stdout).expect("JSON");
        made["token"].as_str().expect("a token").to_owned()
    };
    let (ann, bob) = (token("ann"), token("bob"));
    let as_ann = [
        ("AUTOBOT_TOKEN", ann.as_str()),
        ("AUTOBOT_CA", &ca),
        ("AUTOBOT_URL", &url),
    ];
    let as_bob = [
        ("AUTOBOT_TOKEN", bob.as_str()),
        ("AUTOBOT_CA", &ca),
        ("AUTOBOT_URL", &url),
    ];
    let text = fs::read_to_string(&ini).expect("a file");
    fs::write(&ini, text.replace("cat word", "cat word word")).expect("written");
    assert_eq!(autobot(&as_bob, &["reconfig"]).0, Some(1));
    let (code, told) = autobot(&as_ann, &["reconfig"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("words"), "{told}");
    fs::write(&ini, text.replace("cat word", "cat word\ncomands = x")).expect("written");
    let (code, told) = autobot(&as_ann, &["reconfig"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("unknown key `comands`"), "{told}");
    assert!(
        told.contains("goes on with the configuration it had"),
        "{told}"
    );
    assert_eq!(autobot(&as_bob, &["stop", "--clean"]).0, Some(1));
    let (code, told) = autobot(&as_ann, &["stop", "--clean"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("shuts down when its builds are done; no build is left"),
        "{told}"
    );
    farm.wait_master_end();
    let (code, told) = autobot(&as_ann, &["status"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("not running"), "{told}");
}
