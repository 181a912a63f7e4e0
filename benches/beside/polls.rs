//! Many repositories that are looked at: how long a look at all of them takes, with and without
//! something new in each.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::farm::{self, Farm};
use crate::figure::{Better, Figure, Report};
use crate::{http, ms, timed};

const ROUNDS: usize = 3;
/// Repositories, and the names of their rows.
const SIZES: [(usize, &str); 3] = [(20, "polls_20"), (60, "polls_60"), (200, "polls_200")];

pub(crate) fn measure(report: &mut Report) {
    for (repositories, name) in SIZES {
        let mut all = Repositories::new(repositories);
        let mut figure = Figure::new(
            name,
            format!("one new commit in each of {repositories} repositories, until all are changes"),
            "ms",
            Better::Lower,
        )
        .with_floor("git fetch of each, two at a time");
        for _ in 0..ROUNDS {
            all.commit();
            let ours = all.look();
            figure.round(ours, None, || all.fetch());
        }
        report.add(figure);
    }
}

struct Repositories {
    farm: Farm,
    dirs: Vec<PathBuf>,
    /// Commits that the master was told of.
    known: usize,
}

impl Repositories {
    fn new(count: usize) -> Self {
        let mut farm = Farm::new("");
        let dirs: Vec<_> = (0..count).map(|it| farm.path(&format!("r{it}"))).collect();
        let mut ini = String::from("[source:looks]\ntype = poller\nsecret = none\n");
        for (number, dir) in dirs.iter().enumerate() {
            fs::create_dir(dir).expect("a directory");
            farm::git_init(dir, "main");
            farm::sh(dir, "git", &["clone", "-q", "--bare", ".", "floor.git"]);
            let _ = write!(
                ini,
                "[source:r{number}]\ntype = git_poller\nrepourl = file://{}\nbranches = main\n\
                 poll_interval = 1h\n",
                dir.display()
            );
        }
        farm.write_ini(&ini);
        farm.start_master();
        // The first look only notes where the branches are.
        farm.wait("the first look at each", |farm| {
            let status = farm.json("/api/status")?;
            let looked = status["sources"]
                .to_string()
                .matches("last_poll\":\"")
                .count();
            (looked >= count).then_some(())
        });
        Self {
            farm,
            dirs,
            known: 0,
        }
    }

    fn commit(&mut self) {
        for dir in &self.dirs {
            let args = ["commit", "-q", "--allow-empty", "-m", "another"];
            farm::sh(dir, "git", &args);
        }
    }

    /// Milliseconds until every commit is a change.
    fn look(&mut self) -> f64 {
        let wanted = self.known + self.dirs.len();
        let newest = || {
            let changes = self.farm.json("/api/changes?limit=1").expect("changes");
            let number = changes[0]["number"].as_u64().unwrap_or(0);
            usize::try_from(number).expect("few")
        };
        let took = timed(|| {
            let kind = "application/x-www-form-urlencoded";
            let said = http::post(self.farm.htmlport, "/change_hook/looks", kind, "");
            assert_eq!(said.expect("an answer").status, 200);
            while newest() < wanted {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        });
        self.known = wanted;
        ms(took)
    }

    /// The same with nothing but git.
    fn fetch(&self) -> f64 {
        let fetch = |dir: &Path| {
            let args = ["fetch", "-q", "..", "+main:main"];
            farm::sh(&dir.join("floor.git"), "git", &args);
        };
        let (one, other) = self.dirs.split_at(self.dirs.len() / 2);
        ms(timed(|| {
            std::thread::scope(|scope| {
                scope.spawn(|| one.iter().for_each(|it| fetch(it)));
                other.iter().for_each(|it| fetch(it));
            });
        }))
    }
}
