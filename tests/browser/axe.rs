//! What axe-core, the accessibility checker, says of a page as it is shown.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::chromium::{Browser, Tab};

/// Everything that WCAG 2.2 asks for at levels A and AA and a program can see, and what is good practice.
const TAGS: [&str; 7] = [
    "wcag2a",
    "wcag2aa",
    "wcag21a",
    "wcag21aa",
    "wcag22a",
    "wcag22aa",
    "best-practice",
];

/// What another theme can break.
const OF_COLOURS: [&str; 2] = ["color-contrast", "link-in-text-block"];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    All,
    OfColours,
}

/// A directory with tools that `scripts/test.sh` has installed from npm.
pub(crate) fn npm_tool(path: &str) -> PathBuf {
    let dir = std::env::var_os("AUTOBOT_TEST_NPM").map(PathBuf::from);
    let dir = dir.or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(PathBuf::from(home).join(".cache/autobot-test/npm"))
    });
    let file = dir.map(|it| it.join("node_modules").join(path));
    file.filter(|it| it.exists()).unwrap_or_else(|| {
        panic!("AUTOBOT_TEST_NPM names a directory with {path}: run scripts/test.sh once")
    })
}

pub(crate) fn source() -> String {
    fs::read_to_string(npm_tool("axe-core/axe.min.js")).expect("a script")
}

/// What is wrong with the page: a line each.
pub(crate) fn violations(browser: &mut Browser, tab: &Tab, axe: &str, rules: Rules) -> Vec<String> {
    browser.run(tab, axe);
    let only = match rules {
        Rules::All => json!({ "type": "tag", "values": TAGS }),
        Rules::OfColours => json!({ "type": "rule", "values": OF_COLOURS }),
    };
    let mut options = json!({ "runOnly": only, "resultTypes": ["violations"] });
    if rules == Rules::All {
        // Not asked for by its tag alone.
        options["rules"] = json!({ "target-size": { "enabled": true } });
    }
    let found = browser.evaluate(
        tab,
        &format!(
            "axe.run(document, {options}).then((it) => it.violations.map((rule) => ({{ \
             id: rule.id, nodes: rule.nodes.map((node) => \
             `${{node.target.join(' ')}}: ${{node.failureSummary}} ${{node.html}}`) }})))"
        ),
    );
    let told = |rule: &Value| {
        let nodes = rule["nodes"].as_array().expect("a list");
        let first = nodes[0].as_str().unwrap_or_default().replace('\n', " ");
        format!(
            "{} ({} times): {first}",
            rule["id"].as_str().unwrap_or_default(),
            nodes.len()
        )
    };
    found.as_array().expect("a list").iter().map(told).collect()
}
