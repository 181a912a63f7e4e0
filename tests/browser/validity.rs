//! Whether documents are what they say: HTML by the Nu checker, feeds by their schemas, pictures by it, too.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::axe::npm_tool;

/// The checker at work on all files of a directory.
pub(crate) struct Nu(Child);

impl Nu {
    pub(crate) fn check(dir: &Path) -> Self {
        let child = Command::new("java")
            // It works for a few seconds only: what a server needs would cost more than it brings.
            .args([
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-Xss8m",
                "-jar",
            ])
            .arg(npm_tool("vnu-jar/build/dist/vnu.jar"))
            .args([
                "--format",
                "json",
                "--stdout",
                "--errors-only",
                "--also-check-svg",
            ])
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("java runs: scripts/test.sh installs it");
        Self(child)
    }

    /// Every error, a line each.
    pub(crate) fn told(self) -> Vec<String> {
        let output = self.0.wait_with_output().expect("an end");
        let told: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("vnu: {}", String::from_utf8_lossy(&output.stderr)));
        let messages = told["messages"].as_array().expect("a list").iter();
        messages.map(line).collect()
    }
}

fn line(message: &Value) -> String {
    let file = message["url"].as_str().unwrap_or_default();
    let file = file.rsplit('/').next().unwrap_or_default();
    format!(
        "{file}:{}: {} {}",
        message["lastLine"], message["message"], message["extract"]
    )
}

/// What is wrong with a feed, by its schema; nothing if it is as it should be.
pub(crate) fn of_feed(document: &str, schema: &str, dir: &Path) -> String {
    let (feed, rules) = (dir.join("feed.xml"), dir.join("feed.rng"));
    fs::write(&feed, document).expect("written");
    fs::write(&rules, schema).expect("written");
    let output = Command::new("xmllint")
        .args(["--nonet", "--noout", "--relaxng"])
        .args([&rules, &feed])
        .output()
        .expect("xmllint runs: scripts/test.sh installs it");
    match output.status.success() {
        true => String::new(),
        false => String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// RFC 4287, as far as the feed of a master goes.
pub(crate) const ATOM: &str = include_str!("atom.rng");

/// RSS 2.0, the same.
pub(crate) const RSS: &str = include_str!("rss.rng");
