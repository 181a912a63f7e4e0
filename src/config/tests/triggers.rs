//! What a factory's steps trigger must be there.

use super::language::files;

fn problems(sections: &str) -> String {
    let text = format!(
        "[slave:a]\npassword = p\nfactories = t\n[t]\nsteps = [{{\"type\": \"trigger\", \"scheduler_names\": [\"packages\", \"%(branch)s\"]}}]\n{sections}"
    );
    match files(&[("master.ini", &text)]) {
        Ok(plan) => plan.warnings.render(false),
        Err(problems) => problems,
    }
}

#[test]
fn what_a_step_triggers_is_there_and_triggerable() {
    let good = "[scheduler:packages]\ntype = triggerable\nbuilders = *\n";
    assert_eq!(problems(good), "");
    insta::assert_snapshot!(problems(&good.replace(":packages", ":package")), @r#"
    error[unknown-scheduler]: unknown scheduler `packages`
     --> master.ini:5:50
      |
    5 | steps = [{"type": "trigger", "scheduler_names": ["packages", "%(branch)s"]}]
      |                                                  ^^^^^^^^^^ did you mean `package`?
    "#);
    insta::assert_snapshot!(problems(&good.replace("triggerable", "force")), @r#"
    error[unknown-scheduler]: scheduler `packages` is not triggerable
     --> master.ini:5:50
      |
    5 | steps = [{"type": "trigger", "scheduler_names": ["packages", "%(branch)s"]}]
      |                                                  ^^^^^^^^^^
      |
      = help: there are none
    "#);
}
