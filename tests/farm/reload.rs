//! A configuration is applied whole or not at all.

use crate::farm::{Farm, text};

const ONE: &str = "[slave:linux]\npassword = secret\nfactories = one\nlaunch = local\n\n\
                   [one]\ntype = shell\ncommands = echo one\n";

#[test]
fn a_reload_adds_what_is_new_and_a_mistake_changes_nothing() {
    let mut farm = Farm::new(ONE);
    farm.start_master();
    farm.write_ini(&format!(
        "{}\n[two]\ntype = shell\ncomands = echo two\n",
        ONE.replace("factories = one", "factories = one two")
    ));
    let refused = farm.autobot(&["reconfig", "master"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    let said = text(&refused);
    assert!(said.contains("unknown key `comands`"), "{said}");
    assert!(said.contains("did you mean `commands`?"), "{said}");
    assert_eq!(farm.get("/builders/two-linux").expect("an answer").0, 404);

    farm.write_ini(&format!(
        "{}\n[two]\ntype = shell\ncommands = echo two\n",
        ONE.replace("factories = one", "factories = one two")
    ));
    let applied = farm.autobot(&["reconfig", "master"]);
    assert!(applied.status.success(), "{}", text(&applied));
    assert!(text(&applied).contains("two-linux"), "{}", text(&applied));

    let build = farm.force("two-linux", &[]);
    assert_eq!(build["results"], 0, "{build:#}");
    assert!(farm.log("two-linux", 0, "shell").contains("two"));
}

#[test]
fn a_hangup_reloads_and_a_file_with_a_mistake_leaves_everything_as_it_was() {
    let mut farm = Farm::new(ONE);
    farm.start_master();
    farm.write_ini(&format!("{ONE}comands = x\n"));
    farm.signal_master("HUP");
    farm.wait("the refusal in the log", |farm| {
        farm.master_output()
            .contains("did you mean `commands`?")
            .then_some(())
    });
    assert_eq!(farm.force("one-linux", &[])["results"], 0);

    farm.write_ini(&ONE.replace("one", "other"));
    farm.signal_master("HUP");
    farm.wait("the new builder", |farm| {
        farm.get("/builders/other-linux")
            .filter(|(status, _)| *status == 200)
    });
    assert_eq!(farm.force("other-linux", &[])["results"], 0);
}
