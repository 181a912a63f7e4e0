//! `shell`: one command on the slave, good if it ends with 0.

use std::sync::Arc;

use super::Flags;
use super::Line;
use super::Settings;
use super::StepKind;
use super::one_command::ByExit;
use super::one_command::OneCommand;

pub(super) const KIND: StepKind = StepKind {
    name: "shell",
    aliases: &["shell_command"],
    step_name: "shell",
    summary: "Runs one command on the slave, in the build directory.",
    example: r#"command = ["make", "-j4", "check"]
env.LANG = "C"
timeout = "5m""#,
    flags: Flags {
        flunk_on_failure: true,
        ..Flags::NONE
    },
    read: |keys| {
        let line = keys.required("command");
        let settings = Settings::read(keys);
        Some(Arc::new(step(line?, settings?)))
    },
};

/// `line` as a step of this type.
pub(super) fn step(line: Line, settings: Settings) -> OneCommand<ByExit> {
    OneCommand {
        line,
        settings,
        words: None,
        judge: ByExit,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::bench::Bench;
    use super::super::read::tests::read_kind;
    use super::*;
    use crate::expr::Values;
    use crate::model::SecretHole;
    use crate::model::ShellLine;
    use crate::model::Text;

    fn shell(script: &str) -> OneCommand<ByExit> {
        let line = Line::Script(Text::parse(script).expect(script));
        step(line, Settings::default())
    }

    #[test]
    fn a_command_that_ends_with_0_is_a_success() {
        let mut bench = Bench::new(&shell("make all"), &KIND);
        assert_eq!(bench.running_text(), ["'make", "all'"]);
        assert_eq!(bench.begin(), "sh hello/build: make all");
        assert_eq!(bench.ends(0, &[]), "success: 'make all'");
    }

    #[test]
    fn a_command_that_fails_says_so_to_its_build() {
        let mut bench = Bench::new(&shell("blarg"), &KIND);
        bench.begin();
        assert_eq!(bench.ends(1, &[]), "failure: 'blarg' failed; build: shell");
    }

    #[test]
    fn the_step_overrides_the_builders_environment_and_may_remove_from_it() {
        let mut step = shell("env");
        step.settings.env = [
            (
                "A".to_owned(),
                Some(Text::parse("%(branch)s").expect("a text")),
            ),
            ("B".to_owned(), None),
        ]
        .into();
        let mut bench = Bench::new(&step, &KIND);
        bench.env = ["A", "B", "C"]
            .map(|name| (name.to_owned(), Some(Text::literal("builder"))))
            .into();
        bench.properties.set("branch", "main", "test");
        let command = bench.begin_shell();
        let env: Vec<_> = command
            .env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
            .collect();
        let expected = [("A", Some("main")), ("B", None), ("C", Some("builder"))];
        assert_eq!(env, expected);
    }

    #[test]
    fn a_list_is_joined_as_the_slaves_platform_does() {
        let lines = "command = 'make'\nenv.PYTHONPATH = ['lib', '%(branch)s', '${secret:s}']\n\
                     env.PLAIN = 'a:b'";
        let step = read_kind(&KIND, lines);
        let begun = |os: &str| {
            let mut bench = Bench::new(step.as_ref(), &KIND);
            bench.properties.set("branch", "main", "test");
            bench.env = [(
                "PATH".to_owned(),
                Some(Text::list(["x", "y"].map(Text::literal))),
            )]
            .into();
            bench.seen = Values::new().with("slave", json!({ "os": os }));
            let shell = bench.begin_shell();
            let value = |name: &str| shell.env[name].clone().unwrap_or_default();
            ["PATH", "PYTHONPATH", "PLAIN"].map(value).join(" ")
        };
        assert_eq!(begun("linux"), "x:y lib:main:<s> a:b");
        for os in ["win", "win32", "nt"] {
            assert_eq!(begun(os), "x;y lib;main;<s> a:b", "{os}");
        }
    }

    #[test]
    fn a_secret_has_a_hole_in_the_command_and_its_name_in_every_text() {
        let text = |text: &str| Some(Text::parse(text).expect(text));
        let mut step = shell("up %(branch)s ${secret:a}");
        step.settings.env = [("KEY".to_owned(), text("k=${secret:b}"))].into();
        let mut bench = Bench::new(&step, &KIND);
        let env = ["KEY", "C"].map(|name| (name.to_owned(), text("${secret:builder}")));
        bench.env = env.into();
        bench.properties.set("branch", "${secret:evil}", "Change");
        let running = ["'up", "${secret:evil}", "...'"];
        assert_eq!(bench.running_text(), running);
        let command = bench.begin_shell();
        let script = "up ${secret:evil} <a>";
        assert_eq!(command.line, ShellLine::Script(script.into()));
        assert_eq!(command.env["KEY"].as_deref(), Some("k=<b>"));
        let hole = |it: &SecretHole| format!("{:?} {} {}", it.within, it.at, it.secret.name);
        let holes: Vec<_> = command.holes.iter().map(hole).collect();
        let expected = ["Script 18 a", "Env(\"C\") 0 builder", "Env(\"KEY\") 2 b"];
        assert_eq!(holes, expected);
    }

    #[test]
    fn an_unset_property_is_named() {
        let mut bench = Bench::new(&shell("echo %(nobody)s"), &KIND);
        assert_eq!(
            bench.begin(),
            "error: property `nobody` is not set; `%(nobody:-…)s` gives a value for that case"
        );
    }

    #[test]
    fn a_description_is_the_running_text_and_the_done_text_where_none_is_given() {
        let mut step = shell("true");
        step.settings.description = Some(vec![Text::literal("tidying up")]);
        let mut bench = Bench::new(&step, &KIND);
        assert_eq!(bench.running_text(), ["tidying up"]);
        bench.begin();
        assert_eq!(bench.ends(0, &[]), "success: tidying up");
    }
}
