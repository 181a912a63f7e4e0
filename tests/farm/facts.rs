//! What a slave says of itself.

use serde_json::json;

use crate::farm::{Farm, text};

#[test]
fn a_slave_tells_what_it_is_and_what_its_programs_say() {
    let mut farm = Farm::new("[slave:linux]\npassword = secret\n");
    farm.start_master();
    let master = format!("127.0.0.1:{}", farm.slaveport);
    let more = "password = secret\ncapability.where = pwd\ncapability.gone = exit 4\n";
    farm.start_slave_at("linux", &master, more);
    let page = farm.wait("the slave", |farm| {
        let slave = farm.json("/json/slaves/linux")?;
        let said = &slave["capabilities"]["gone"];
        assert!(
            said.is_null() || said == "failed with exit code 4",
            "{slave:#}"
        );
        assert!(
            said.is_null() || slave["machine"]["cores"].is_number(),
            "{slave:#}"
        );
        (slave["connected"] == true && !said.is_null())
            .then(|| farm.get("/buildslaves/linux").expect("a page").1)
    });
    let place = farm.path("linux").canonicalize().expect("it is there");
    for told in [
        format!("<dt>where</dt><dd>{}</dd>", place.display()),
        "<dt>gone</dt><dd>failed with exit code 4</dd>".to_owned(),
        "GiB of memory".to_owned(),
        "GiB free for builds".to_owned(),
    ] {
        assert!(page.contains(&told), "{told}: {page}");
    }
}

#[test]
fn a_slave_is_asked_for_what_its_section_wants_to_know_also_after_a_reload() {
    let ini = |more: &str| {
        format!(
            "capability.place = pwd\n[slave:here]\npassword = secret\nlaunch = local\n{more}\n\
             capability.word = echo \"<$AUTOBOT_SLAVE_PASSWORD>\"\n\
             [slave:linux]\npassword = secret\ncapability.own = echo theirs\n"
        )
    };
    let mut farm = Farm::new(&ini(""));
    farm.start_master();
    let master = format!("127.0.0.1:{}", farm.slaveport);
    let more = "password = secret\ncapability.own = echo mine\n";
    farm.start_slave_at("linux", &master, more);

    let here = farm.master_dir().join("slaves/here");
    let told = |farm: &mut Farm, slave: &str, expected: serde_json::Value| {
        farm.wait("the answers", |farm| {
            let slave = farm.json(&format!("/json/slaves/{slave}"))?;
            (slave["capabilities"] == expected).then_some(())
        });
    };
    // The password of a child's line is not told to programs.
    let place = farm.wait("the slave's directory", |_| here.canonicalize().ok());
    told(&mut farm, "here", json!({ "place": place, "word": "<>" }));
    let linux = farm.path("linux").canonicalize().expect("it is there");
    told(&mut farm, "linux", json!({ "place": linux, "own": "mine" }));

    farm.write_ini(&ini("capability.more = exit 4").replace("capability.place = pwd\n", ""));
    let reloaded = farm.autobot(&["reconfig"]);
    assert!(reloaded.status.success(), "{}", text(&reloaded));
    assert!(
        text(&reloaded).contains("capability"),
        "{}",
        text(&reloaded)
    );
    let failed = "failed with exit code 4";
    told(&mut farm, "here", json!({ "more": failed, "word": "<>" }));
    told(&mut farm, "linux", json!({ "own": "mine" }));
}
