//! What a slave says of itself.

use crate::farm::Farm;

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
