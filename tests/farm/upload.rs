//! Files that a slave sends to the master.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde_json::Value;

use crate::farm::Farm;
use crate::proxy::Proxy;

const INI: &str = "[slave:linux]\npassword = secret\nfactories = sends\n\n[sends]\n";

fn farm(recipe: &str) -> Farm {
    let mut farm = Farm::new(INI);
    fs::create_dir(farm.master_dir().join("factories")).expect("a directory");
    let path = farm.master_dir().join("factories/sends.toml");
    fs::write(path, recipe).expect("written");
    farm.start_master();
    start_slave(&mut farm);
    farm
}

fn start_slave(farm: &mut Farm) {
    farm.start_slave("linux");
    farm.wait("the slave", |farm| {
        farm.json("/json/slaves/linux")
            .filter(|it| it["connected"] == true)
    });
}

fn results(build: &Value) -> Vec<i64> {
    let steps = build["steps"].as_array().expect("steps");
    steps
        .iter()
        .map(|it| it["results"][0].as_i64().unwrap_or(0))
        .collect()
}

const FILES: &str = r#"
[[steps]]
type = "shell"
command = """
mkdir -p html/deep/empty && echo index > html/index.html && ln -s ../index.html html/deep/home
mkfifo html/pipe && echo secret > ../outside && echo file > plain && touch -d @1000000000 plain
seq 100000 > long; ln -s /etc bad; mkdir -p evil && ln -s /etc/passwd evil/passwd
"""

[[steps]]
type = "file_upload"
name = "plain"
slavesrc = "plain"
masterdest = "public/%(buildername)s/plain"
mode = "0640"
keepstamp = true

[[steps]]
type = "directory_upload"
name = "html"
slavesrc = "html"
masterdest = "public/html"

[[steps]]
type = "file_exists"
file = "build/plain"

[[steps]]
type = "file_upload"
name = "long"
slavesrc = "long"
masterdest = "public/long"
maxsize = 1000
halt_on_failure = false

[[steps]]
type = "file_upload"
name = "missing"
slavesrc = "none"
masterdest = "public/html/index.html"
halt_on_failure = false

[[steps]]
type = "directory_upload"
name = "evil"
slavesrc = "evil"
masterdest = "public/evil"
halt_on_failure = false

[[steps]]
type = "file_upload"
name = "outside"
slavesrc = "bad/passwd"
masterdest = "public/passwd"
halt_on_failure = false
"#;

#[test]
fn files_and_directories_come_to_the_master_and_nothing_else_does() {
    let mut farm = farm(FILES);
    let build = farm.force("sends-linux", &[]);
    assert_eq!(results(&build), [0, 0, 0, 0, 2, 2, 2, 2], "{build:#}");
    let public = farm.master_dir().join("public");
    let plain = public.join("sends-linux/plain");
    assert_eq!(fs::read_to_string(&plain).expect("there"), "file\n");
    let metadata = fs::metadata(&plain).expect("there");
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o640);
    assert_eq!(metadata.mtime(), 1_000_000_000);
    let home = fs::read_to_string(public.join("html/deep/home"));
    assert_eq!(home.expect("a link inside"), "index\n");
    assert!(public.join("html/deep/empty").is_dir());
    assert!(!public.join("html/pipe").exists());
    assert_eq!(
        fs::metadata(public.join("long")).expect("cut off").len(),
        1000
    );
    let mut names: Vec<_> = fs::read_dir(&public)
        .expect("a directory")
        .map(|it| {
            it.expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["html", "long", "sends-linux"],
        "nothing else, and no piece"
    );
    let index = fs::read_to_string(public.join("html/index.html"));
    assert_eq!(index.expect("kept"), "index\n");
    for (step, why) in [
        ("long", "was cut off after 1000 bytes"),
        ("missing", "is not there"),
        ("evil", "it leads out of the directory"),
        ("outside", "leaves the slave's base directory"),
    ] {
        let path = format!("/builders/sends-linux/builds/0/steps/{step}/logs/stderr/text");
        let said = farm.get(&path).expect("a log").1;
        assert!(said.contains(why), "{step}: {said}");
    }
}

const APP: &str = r#"
[[steps]]
type = "shell"
name = "make"
command = "seq 5000 > app.txt; sha256sum app.txt"

[[steps]]
type = "file_upload"
name = "bring"
slavesrc = "app.txt"
masterdest = "public_html/apps/%(buildnumber)s/app.txt"
"#;

#[test]
fn what_a_build_brought_is_had_from_its_page_with_the_digest_that_it_had_on_the_slave() {
    let mut farm = farm(APP);
    let build = farm.force("sends-linux", &[]);
    assert_eq!(results(&build), [0, 0], "{build:#}");
    let of_build = "/builders/sends-linux/builds/0";
    let get = |path: &str| {
        let (status, body) = farm.get(path).expect("an answer");
        assert_eq!(status, 200, "{path}: {body}");
        body
    };
    let said = get(&format!("{of_build}/steps/make/logs/stdio/text"));
    let digest = said.split_whitespace().next().expect("a digest").to_owned();
    assert_eq!(digest.len(), 64, "{said}");
    let expected: String = (1..=5000).map(|it| format!("{it}\n")).collect();
    for page in [
        of_build.to_owned(),
        format!("{of_build}/artifacts"),
        format!("{of_build}/steps/bring"),
    ] {
        let page = get(&page);
        let table = page.split("<table class=\"rows artifacts\">").nth(1);
        let table = table.and_then(|it| it.split("</table>").next());
        let table = table.expect("a table");
        assert!(table.contains(&digest), "{table}");
        let link = table.split("href=\"").nth(1);
        let link = link.and_then(|it| it.split('"').next()).expect("a link");
        let path = format!("/{}", link.trim_start_matches("../"));
        assert_eq!(get(&path), expected, "{path}");
    }
    let latest = farm.get("/builders/sends-linux/latest/artifacts");
    assert_eq!(latest.expect("an answer").0, 302);
}

const LARGE: &str = r#"
[[steps]]
type = "shell"
command = "seq 6000000 > large"

[[steps]]
type = "file_upload"
slavesrc = "large"
masterdest = "out/large"
blocksize = 1024
"#;

#[test]
fn an_upload_that_is_cut_by_kills_is_the_same_file_afterwards() {
    let mut farm = farm(LARGE);
    let forced = farm.autobot(&["force", "sends-linux"]);
    assert!(forced.status.success(), "{forced:?}");
    let out = farm.master_dir().join("out");
    let so_far = || -> u64 {
        let entries = fs::read_dir(&out).into_iter().flatten().flatten();
        let parts = entries.filter(|it| it.file_name().to_string_lossy().ends_with(".part"));
        parts.map(|it| it.metadata().map_or(0, |it| it.len())).sum()
    };
    farm.wait("the first bytes", |_| (so_far() > 100_000).then_some(()));
    farm.kill_slave();
    let cut = so_far();
    let length = fs::metadata(farm.path("linux/sends-linux/build/large"))
        .expect("there")
        .len();
    assert!(
        cut < length,
        "it was killed in the middle: {cut} of {length}"
    );
    // What the slave sends is what was there then.
    fs::write(farm.path("linux/sends-linux/build/large"), "changed").expect("written");
    start_slave(&mut farm);
    farm.wait("more bytes", |_| (so_far() > cut + 100_000).then_some(()));
    farm.kill_master();
    farm.start_master();
    let build = farm.wait_builds("sends-linux", 1);
    assert_eq!(build["results"], 0, "{build:#}");
    let large = fs::read_to_string(out.join("large")).expect("there");
    let expected: String = (1..=6_000_000).map(|it| format!("{it}\n")).collect();
    assert!(
        large == expected,
        "{} bytes of {}",
        large.len(),
        expected.len()
    );
    assert_eq!(
        fs::read_dir(&out).expect("a directory").count(),
        1,
        "no piece is left"
    );
}

#[test]
fn a_build_that_is_stopped_in_the_middle_of_an_upload_leaves_nothing_of_it() {
    let mut farm = Farm::new(INI);
    fs::create_dir(farm.master_dir().join("factories")).expect("a directory");
    fs::write(
        farm.master_dir().join("factories/sends.toml"),
        "[[steps]]\ntype = \"shell\"\ncommand = \"seq 1 300000 > long\"\n\n\
         [[steps]]\ntype = \"file_upload\"\nslavesrc = \"long\"\nmasterdest = \"public/long\"\n",
    )
    .expect("written");
    farm.start_master();
    let proxy = Proxy::to(farm.slaveport);
    let master = format!("127.0.0.1:{}", proxy.port);
    farm.start_slave_at("linux", &master, "password = secret\n");
    farm.wait("the slave", |farm| {
        farm.json("/json/slaves/linux")
            .filter(|it| it["connected"] == true)
    });
    let public = farm.master_dir().join("public");
    let parts = |dir: &std::path::Path| -> Vec<(String, u64)> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let named = entries.filter_map(|it| {
            let name = it.file_name().into_string().ok()?;
            Some((name, it.metadata().ok()?.len()))
        });
        named.collect()
    };
    proxy.slow(true);
    let forced = farm.post("/builders/sends-linux/force", "comments=x");
    assert_eq!(forced.expect("an answer").0, 200);
    farm.wait("a part", |_| {
        parts(&public).iter().any(|it| it.1 > 0).then_some(())
    });
    let stopped = farm.post("/builders/sends-linux/builds/0/stop", "comments=enough");
    assert_eq!(stopped.expect("an answer").0, 200);
    proxy.slow(false);
    let build = farm.wait_builds("sends-linux", 1);
    assert_eq!(build["results"], 4, "{build:#}");
    assert_eq!(parts(&public), [], "nothing is left");

    // And the slave is as good as before.
    let build = farm.force("sends-linux", &[]);
    assert_eq!(build["results"], 0, "{build:#}");
    let sent = fs::read_to_string(public.join("long")).expect("sent");
    assert_eq!(sent.lines().count(), 300_000);
    let spool = farm.path("linux/spool");
    farm.wait("an empty spool", |_| {
        let masters = fs::read_dir(&spool).ok()?.flatten();
        let commands = masters
            .filter(|it| it.path().is_dir())
            .flat_map(|it| fs::read_dir(it.path()).into_iter().flatten().flatten());
        let mut commands = commands.filter(|it| it.path().is_dir());
        commands.next().is_none().then_some(())
    });
}
