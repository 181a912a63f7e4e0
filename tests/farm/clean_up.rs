//! Directories of builders that there are no longer.

use std::fs;

use crate::farm::{Farm, text};

fn ini(factories: &str, clean_up: &str) -> String {
    format!(
        "[slave:here]\npassword = secret\nlaunch = local\nfactories = {factories}\n{clean_up}\n\
         [one]\ntype = shell\ncommands = echo one\n[two]\ntype = shell\ncommands = echo two\n"
    )
}

#[test]
fn the_directory_of_a_builder_that_is_gone_is_told_and_removed_only_where_that_is_wanted() {
    let mut farm = Farm::new(&ini("one two", ""));
    farm.start_master();
    for builder in ["one-here", "two-here"] {
        assert_eq!(farm.force(builder, &[])["results"], 0);
    }
    let base = farm.master_dir().join("slaves/here");
    fs::create_dir(base.join("mine")).expect("made");
    fs::write(base.join("info/admin"), "ann").expect("written");
    let reload = |farm: &Farm, ini: &str| {
        farm.write_ini(ini);
        let reloaded = farm.autobot(&["reconfig"]);
        assert!(reloaded.status.success(), "{}", text(&reloaded));
    };
    reload(&farm, &ini("one", ""));
    let told = "no builder has this directory any more; it may be removed";
    farm.wait(told, |farm| {
        farm.master_output().contains(told).then_some(())
    });
    assert!(base.join("two-here/build").is_dir());

    // It comes back to its directory, and the time begins anew.
    reload(&farm, &ini("one two", "clean_up = 1s"));
    assert_eq!(farm.force("two-here", &[])["results"], 0);
    assert!(base.join("two-here/build").is_dir());
    reload(&farm, &ini("one", "clean_up = 1s"));
    farm.wait("the end of the directory", |_| {
        (!base.join("two-here").exists()).then_some(())
    });
    let removed = "removed the directory of a builder that is gone";
    farm.wait(removed, |farm| {
        farm.master_output().contains(removed).then_some(())
    });
    for stays in ["one-here/build", "mine", "info/admin", "spool"] {
        assert!(base.join(stays).exists(), "{stays}");
    }
    reload(&farm, &ini("one two", "clean_up = 1s"));
    assert_eq!(farm.force("two-here", &[])["results"], 0);
}
