//! Files that the master sends to a slave.

use std::fs;

use crate::farm::Farm;

const RECIPE: &str = r#"
[[steps]]
type = "file_download"
mastersrc = "files/large"
slavedest = "in/large"
mode = "0600"

[[steps]]
type = "string_download"
s = """
A = '%s' % 5
"""
slavedest = "settings.py"

[[steps]]
type = "json_properties_download"
slavedest = "../build.json"

[[steps]]
type = "file_download"
name = "missing"
mastersrc = "files/%(what:-none)s"
slavedest = "none"
halt_on_failure = false

[[steps]]
type = "shell"
command = "ls -la . in; cat settings.py; cat ../build.json"
"#;

#[test]
fn files_of_the_master_and_texts_of_its_configuration_reach_the_slave() {
    let mut farm = Farm::new(
        "[slave:linux]\npassword = secret\nfactories = sends\nlaunch = local\n\n[sends]\n",
    );
    for dir in ["factories", "files"] {
        fs::create_dir(farm.master_dir().join(dir)).expect("a directory");
    }
    let recipe = farm.master_dir().join("factories/sends.toml");
    fs::write(recipe, RECIPE).expect("written");
    // More than one command can carry, and no two pieces alike.
    let large: Vec<u8> = (0..400_000_u32).flat_map(u32::to_be_bytes).collect();
    fs::write(farm.master_dir().join("files/large"), &large).expect("written");
    farm.start_master();

    let build = farm.force("sends-linux", &[]);
    assert_eq!(build["results"], 2, "a file is missing: {build:#}");
    let results: Vec<_> = build["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|it| it["results"][0].as_i64().unwrap_or(0))
        .collect();
    assert_eq!(results, [0, 0, 0, 2, 0], "{build:#}");
    let received = farm.master_dir().join("slaves/linux/sends-linux/build/in");
    assert!(fs::read(received.join("large")).expect("received") == large);
    let names = fs::read_dir(&received).expect("a directory");
    assert_eq!(names.count(), 1, "no piece is left behind");
    let log = farm.log("sends-linux", 0, "shell");
    for line in [
        "-rw-------",
        "A = '%s' % 5",
        "\"buildername\":\"sends-linux\"",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    let path = "/builders/sends-linux/builds/0/steps/missing/logs/stderr/text";
    let why = farm.get(path).expect("a log").1;
    assert!(
        why.contains("files/none` cannot be read: No such file"),
        "{why}"
    );
}
