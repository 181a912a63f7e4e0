//! The stub of a new factory, `factories/NAME.toml`.

use super::plan::Content;
use super::plan::Plan;

/// A project that gets a factory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Project {
    /// As [`clean_name`] gives it.
    pub(crate) name: String,
    pub(crate) description: String,
    /// `URL` or `URL#branch`.
    pub(crate) repository: String,
}

/// The name of a project as a factory's: lower case, letters only.
/// `None` if nothing is left of it.
pub(crate) fn clean_name(name: &str) -> Option<String> {
    let clean: String = name
        .to_lowercase()
        .chars()
        .filter(char::is_ascii_lowercase)
        .collect();
    (!clean.is_empty()).then_some(clean)
}

impl Project {
    /// One file of this name.
    pub(crate) fn plan(&self, file: &str) -> Plan {
        let mut plan = Plan::default();
        plan.add(file, Content::Text(self.text()));
        plan
    }

    fn text(&self) -> String {
        let name = &self.name;
        let vcs = guess_vcs(&self.repository);
        let description = toml::Value::from(self.description.as_str());
        let repository = toml::Value::from(self.repository.as_str());
        format!(
            "\
# The factory `{name}`: how this project is built, step by step. A slave that
# names it in `factories` builds it.
description = {description}
# What it builds on: `source` checks the source out.
extends = \"source\"
# Where the source is; a section [{name}] in master.ini may say otherwise.
{vcs} = {repository}

# Each block is a step. The first that fails ends the build if it says so.
[[steps]]
type = \"shell\"
name = \"build\"
command = [\"make\"]
halt_on_failure = true

[[steps]]
type = \"shell\"
name = \"test\"
command = [\"make\", \"check\"]
"
        )
    }
}

/// Mercurial for addresses that say so, git otherwise.
fn guess_vcs(repository: &str) -> &'static str {
    let says_hg = |part: &str| part == "hg" || part.starts_with("hg.") || part.ends_with("-hg");
    if repository.split(['/', ':', '@']).any(says_hg) {
        "hg"
    } else {
        "git"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_letters() {
        assert_eq!(clean_name("Hello-World_2").as_deref(), Some("helloworld"));
        assert_eq!(clean_name("gnu.org").as_deref(), Some("gnuorg"));
        assert_eq!(clean_name("2-3"), None);
        assert_eq!(clean_name(""), None);
    }

    #[test]
    fn the_stub_is_toml_whatever_the_description_says() {
        let project = Project {
            name: "hello".to_owned(),
            description: "says \"hello\"\nand \\ more".to_owned(),
            repository: "https://example.org/hello.git#main".to_owned(),
        };
        let plan = project.plan("hello.toml");
        let Content::Text(text) = &plan.items[0].content else {
            panic!("the stub is a text");
        };
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(
            table["description"].as_str(),
            Some(project.description.as_str())
        );
        assert_eq!(table["steps"].as_array().map(Vec::len), Some(2));
        assert_eq!(table["git"].as_str(), Some(project.repository.as_str()));
    }

    #[test]
    fn addresses_that_say_hg_are_mercurial() {
        for (url, vcs) in [
            ("http://example.org/hg/tool", "hg"),
            ("https://hg.example.org/tool", "hg"),
            ("https://example.org/high.git", "git"),
            ("git@example.org:x.git", "git"),
        ] {
            assert_eq!(guess_vcs(url), vcs, "{url}");
        }
    }
}
