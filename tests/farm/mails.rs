//! Mails about commits, in a maildir: told once each, whatever happens to the master.

use std::collections::BTreeSet;
use std::fs;

use crate::farm::Farm;

const ROUNDS: usize = 3;
const MAILS: usize = 12;

fn names(farm: &Farm, part: &str) -> Vec<String> {
    let all = fs::read_dir(farm.master_dir().join("mail").join(part)).expect("a maildir");
    let name = |it: std::io::Result<fs::DirEntry>| it.expect("a name").file_name();
    all.map(|it| name(it).to_string_lossy().into_owned())
        .collect()
}

/// Delivers as a maildir has it: written elsewhere, then moved into `new`.
fn deliver(farm: &Farm, number: usize, text: &str) {
    let mail = farm.master_dir().join("mail");
    let name = format!("{number}.mail.example");
    fs::write(mail.join("tmp").join(&name), text).expect("written");
    fs::rename(mail.join("tmp").join(&name), mail.join("new").join(&name)).expect("moved");
}

#[test]
fn each_mail_is_told_once_however_often_the_master_is_killed() {
    let mut farm = Farm::new(
        "derive = no\n[slave:linux]\npassword = secret\nfactories = words\n\
         [words]\ntype = shell\ncommand = true\n\
         [source:mails]\ntype = SVNCommitEmailMaildirSource\nmaildir = mail\nprefix = trunk/\n",
    );
    for part in ["tmp", "new", "cur"] {
        fs::create_dir_all(farm.master_dir().join("mail").join(part)).expect("made");
    }
    farm.start_master();
    for round in 0..ROUNDS {
        for number in round * MAILS..(round + 1) * MAILS {
            let mail = format!(
                "From: ann@mail.example\r\nMessage-ID: <{number}@mail.example>\r\n\r\n\
                 New Revision: {number}\r\nLog:\r\nmail {number}\r\n\r\nModified:\r\n   trunk/a\r\n\r\n"
            );
            deliver(&farm, number, &mail);
        }
        // Somewhere between the first change that is kept and the last mail that is moved.
        farm.wait("a first change", |farm| {
            let all = farm.json("/api/changes?limit=100")?;
            (all.as_array()?.len() > round * MAILS).then_some(())
        });
        farm.kill_master();
        farm.start_master();
    }
    farm.wait("all mails", |farm| {
        names(farm, "new").is_empty().then_some(())
    });
    let all = farm.json("/api/changes?limit=100").expect("a list");
    let all = all.as_array().expect("a list");
    let told: BTreeSet<_> = all
        .iter()
        .filter_map(|it| it["revision"].as_str())
        .collect();
    assert_eq!((all.len(), told.len()), (ROUNDS * MAILS, ROUNDS * MAILS));
    assert_eq!(names(&farm, "cur").len(), ROUNDS * MAILS);
    assert_eq!(all[0]["files"][0]["name"], "a");
}
