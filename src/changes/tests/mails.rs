//! Maildirs on the disk, and mails in them.

use std::fs;
use std::time::SystemTime;

use super::super::Settings;
use super::super::mails::MailSettings;
use super::super::mails::maildir;
use super::super::mails::maildir::Looked;
use super::super::mails::maildir::MaildirPoller;
use super::*;
use crate::syntax::Keys;
use crate::syntax::Problems;
use crate::syntax::Source;
use crate::syntax::ini;

const LATER: i64 = 4_000_000_000;

/// So late that every mail is whole.
fn later() -> Timestamp {
    Timestamp::from_secs(LATER)
}

/// A maildir called `mail` in `dir`, where the file lies.
fn settings(dir: &Path, more: &str) -> MailSettings {
    let text = format!("[source:x]\nmaildir = mail\n{more}\n");
    let source = Source::new("master.ini", dir, text);
    let mut problems = Problems::default();
    let tree = ini::read(&source, &mut problems);
    let mut keys = Keys::of(&tree.sections[0], &mut problems);
    let read = super::super::read(&mut keys);
    keys.finish();
    assert_eq!(problems.render(false), "");
    match read {
        Some(Settings::Mail(settings)) => settings,
        other => panic!("a maildir: {other:?}"),
    }
}

/// A mail about a commit to `file`.
fn mail(id: &str, file: &str) -> String {
    format!(
        "From: ann@h.example\r\nMessage-ID: <{id}@h>\r\nSubject: commit\r\n\r\n\
         Author: ann\r\nNew Revision: 7\r\nLog:\r\n{id}\r\n\r\nModified:\r\n   {file}\r\n\r\n"
    )
}

impl Bench {
    fn maildir() -> Self {
        let bench = Self::empty();
        for part in ["tmp", "new", "cur"] {
            fs::create_dir_all(bench.dir.path().join("mail").join(part)).unwrap();
        }
        bench
    }

    fn in_mail(&self, name: &str) -> PathBuf {
        self.dir.path().join("mail").join(name)
    }

    /// Delivers as it should be done.
    fn deliver_mail(&self, name: &str, mail: impl AsRef<[u8]>) {
        let on_the_way = self.in_mail("tmp").join(name);
        fs::write(&on_the_way, mail).unwrap();
        fs::rename(on_the_way, self.in_mail("new").join(name)).unwrap();
    }

    fn mail_poller(&self, more: &str) -> MaildirPoller {
        let wake = Arc::new(Notify::new());
        MaildirPoller::new(
            "source".into(),
            settings(self.dir.path(), more),
            later,
            wake,
        )
    }

    /// The comments of what is new, and what the pages would show.
    async fn mail_news(&self, poller: &MaildirPoller) -> (Vec<String>, String) {
        let looked = poller.look(self.store.as_ref()).await.unwrap();
        assert!(!looked.is_waiting);
        let news = self.news();
        let news = news.iter().map(|it| it.trim().to_owned());
        (news.collect(), looked.complaint.unwrap_or_default())
    }

    fn names(&self, part: &str) -> Vec<String> {
        let all = fs::read_dir(self.in_mail(part)).unwrap();
        let name = |it: std::io::Result<fs::DirEntry>| it.unwrap().file_name();
        let mut all: Vec<_> = all
            .map(|it| name(it).to_string_lossy().into_owned())
            .collect();
        all.sort();
        all
    }
}

const SVN: &str = "type = svn_maildir\n";

#[tokio::test]
async fn a_mail_is_told_oldest_first_and_moved_from_new_to_cur() {
    let bench = Bench::maildir();
    let poller = bench.mail_poller(SVN);
    bench.deliver_mail("20.a.h", mail("second", "b"));
    bench.deliver_mail("3.z.h", mail("first", "a"));
    bench.deliver_mail(".hidden", mail("none", "c"));
    let told = vec!["first".to_owned(), "second".to_owned()];
    assert_eq!(bench.mail_news(&poller).await, (told, String::new()));
    assert_eq!(bench.names("new"), [".hidden"]);
    assert_eq!(bench.names("cur"), ["20.a.h:2,S", "3.z.h:2,S"]);
    assert_eq!(bench.mail_news(&poller).await.0, NOTHING);
}

#[tokio::test]
async fn what_is_no_change_is_moved_and_nothing_else() {
    let bench = Bench::maildir();
    let poller = bench.mail_poller(SVN);
    bench.deliver_mail("1.a.h", "From: list@h\r\nSubject: welcome\r\n\r\nhello\r\n");
    bench.deliver_mail("2.a.h", mail("a commit", "b"));
    let (told, complaint) = bench.mail_news(&poller).await;
    assert_eq!((told.len(), complaint.as_str()), (1, ""));
    assert_eq!(bench.names("cur"), ["1.a.h:2,S", "2.a.h:2,S"]);
}

#[tokio::test]
async fn a_mail_that_cannot_be_read_is_put_aside_and_told_until_it_is_taken_away() {
    let bench = Bench::maildir();
    let poller = bench.mail_poller("type = cvs_maildir\n");
    bench.deliver_mail("1.a.h", "From: ann@h\n\nFiles: a NONE 1.1\nCvsmode: 2.0\n");
    bench.deliver_mail(
        "2.a.h",
        "From: ann@h\n\nCvsmode: 1.12\nPath: p\nFiles: b NONE 1.1\nLog Message:\ngood\n",
    );
    fs::write(bench.in_mail("new/3.a.h"), "").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", bench.in_mail("new/4.a.h")).unwrap();
    let huge = fs::File::create(bench.in_mail("new/5.a.h")).unwrap();
    huge.set_len(1 << 40).unwrap();
    fs::create_dir(bench.in_mail("new/6.a.h")).unwrap();
    let complaint = "4 mails in `cur` could not be read, the last one is `5.a.h:2,F`: \
        it has more than 8388608 bytes";
    let (told, said) = bench.mail_news(&poller).await;
    assert_eq!(
        (told.join(" ").as_str(), said.as_str()),
        ("good", complaint)
    );
    assert_eq!(bench.names("new"), ["6.a.h"], "a directory is no mail");
    let aside = [
        "1.a.h:2,F",
        "2.a.h:2,S",
        "3.a.h:2,F",
        "4.a.h:2,F",
        "5.a.h:2,F",
    ];
    assert_eq!(bench.names("cur"), aside);

    // It is still said after a restart.
    let poller = bench.mail_poller("type = cvs_maildir\n");
    assert_eq!(bench.mail_news(&poller).await.1, complaint);
    for name in ["3.a.h:2,F", "4.a.h:2,F", "5.a.h:2,F"] {
        fs::remove_file(bench.in_mail("cur").join(name)).unwrap();
    }
    let why = "its `Cvsmode` is `2.0`, not 1.11 or 1.12";
    let said = bench.mail_news(&poller).await.1;
    assert!(
        said.starts_with("the mail `1.a.h:2,F` in `cur`") && said.ends_with(why),
        "{said}"
    );
    // Put right and put back, it is a mail like any other.
    fs::remove_file(bench.in_mail("cur/1.a.h:2,F")).unwrap();
    bench.deliver_mail(
        "1.a.h:2,F",
        "From: ann@h\n\nFiles: a NONE 1.1\nPath: p\nCvsmode: 1.12\nLog Message:\nmended\n",
    );
    let (told, said) = bench.mail_news(&poller).await;
    assert_eq!((told.join(" ").as_str(), said.as_str()), ("mended", ""));
    assert!(bench.names("cur").contains(&"1.a.h:2,S".to_owned()));
}

#[tokio::test]
async fn long_mails_are_kept_a_few_at_a_time() {
    let bench = Bench::maildir();
    let poller = bench.mail_poller(SVN);
    let diff = "+\n".repeat(1 << 20);
    for number in 1..=9 {
        let mail = mail(&format!("m{number}"), "a") + &diff;
        bench.deliver_mail(&format!("{number}.a.h"), mail);
    }
    let told = bench.mail_news(&poller).await.0;
    assert_eq!(told, ["m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9"]);
    assert_eq!(bench.sizes(), [3, 3, 3]);
}

#[tokio::test]
async fn a_mail_that_was_kept_and_not_moved_has_the_origin_that_it_had() {
    let bench = Bench::maildir();
    let poller = bench.mail_poller(SVN);
    bench.deliver_mail("1.a.h", mail("one", "a"));
    bench.deliver_mail("2.a.h", mail("one", "a"));
    poller.look(bench.store.as_ref()).await.unwrap();
    let first: Vec<_> = bench
        .taken()
        .into_iter()
        .map(|it| it.origin.unwrap())
        .collect();
    assert_ne!(first[0], first[1], "another file is another mail");
    // As if the master had ended before it moved them.
    for name in ["1.a.h", "2.a.h"] {
        let moved = bench.in_mail("cur").join(format!("{name}:2,S"));
        fs::rename(moved, bench.in_mail("new").join(name)).unwrap();
    }
    let poller = bench.mail_poller(SVN);
    poller.look(bench.store.as_ref()).await.unwrap();
    let again: Vec<_> = bench
        .taken()
        .into_iter()
        .map(|it| it.origin.unwrap())
        .collect();
    assert_eq!(first, again);
}

#[tokio::test]
async fn a_mail_stays_in_new_until_its_change_is_kept() {
    let bench = Bench::maildir();
    let poller = bench.mail_poller(SVN);
    bench.deliver_mail("1.a.h", mail("one", "a"));
    bench.fail_after(Some(0));
    let failed = poller.look(bench.store.as_ref()).await.unwrap_err();
    assert_eq!(failed.to_string(), "failed to keep changes: disk full");
    assert_eq!((bench.names("new").len(), bench.names("cur").len()), (1, 0));
    bench.fail_after(None);
    assert_eq!(bench.mail_news(&poller).await.0, ["one"]);
}

#[tokio::test]
async fn nothing_that_lies_in_cur_is_written_over() {
    let bench = Bench::maildir();
    fs::write(bench.in_mail("cur/1.a.h:2,S"), "older").unwrap();
    let poller = bench.mail_poller(SVN);
    bench.deliver_mail("1.a.h", mail("one", "a"));
    assert_eq!(bench.mail_news(&poller).await.0, ["one"]);
    let older = fs::read_to_string(bench.in_mail("cur/1.a.h:2,S")).unwrap();
    assert_eq!((older.as_str(), bench.names("cur").len()), ("older", 2));
}

#[tokio::test]
async fn a_mail_that_may_be_half_written_is_left_until_it_is_whole() {
    fn now() -> Timestamp {
        Timestamp::from_secs(1000)
    }
    let bench = Bench::maildir();
    let wake = Arc::new(Notify::new());
    let poller = MaildirPoller::new("source".into(), settings(bench.dir.path(), SVN), now, wake);
    let path = bench.in_mail("new/1.a.h");
    let write = |text: &str, at: Duration| {
        fs::write(&path, text).unwrap();
        let file = fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + at).unwrap();
    };
    let whole = mail("one", "a");
    let waits = |is_waiting| Looked {
        complaint: None,
        is_waiting,
    };
    let look = async || poller.look(bench.store.as_ref()).await.unwrap();
    // Who has just written may go on.
    write(&whole, Duration::from_millis(999_500));
    assert_eq!(look().await, waits(true));
    // The half of a mail is no change, and may become one.
    write(&whole[..100], Duration::from_secs(970));
    assert_eq!(look().await, waits(true));
    assert_eq!((bench.news().len(), bench.names("new").len()), (0, 1));
    write(&whole, Duration::from_secs(998));
    assert_eq!(look().await, waits(false));
    assert_eq!(bench.news().len(), 1);
    // Nobody goes on with it.
    write(&whole[..100], Duration::from_secs(900));
    assert_eq!(look().await, waits(false));
    assert_eq!((bench.news().len(), bench.names("new").len()), (0, 0));
}

#[tokio::test]
async fn names_that_are_no_text_or_too_long_are_taken_all_the_same() {
    use std::os::unix::ffi::OsStrExt as _;
    let bench = Bench::maildir();
    let poller = bench.mail_poller(SVN);
    let long = "1".repeat(254);
    for name in [&b"1.\xff.h"[..], b"2.\n.h", long.as_bytes()] {
        let name = std::ffi::OsStr::from_bytes(name);
        fs::write(bench.in_mail("new").join(name), mail("one", "a")).unwrap();
    }
    assert_eq!(bench.mail_news(&poller).await.0.len(), 3);
    let long = format!("{}:2,S", &long[..200]);
    assert_eq!(bench.names("cur"), [r"1.\xff.h:2,S", &long, r"2.\n.h:2,S"]);
}

#[tokio::test]
async fn category_repository_and_project_are_those_of_the_section_where_a_mail_says_none() {
    let bench = Bench::maildir();
    let more = "category = nightly\nrepository = /cvs\nproject = Hello\n";
    let poller = bench.mail_poller(&format!("type = cvs_maildir\nproperty.kind = mail\n{more}"));
    let mail = |more: &str| {
        format!("From: ann@h\n\nCvsmode: 1.12\nPath: p\nFiles: b NONE 1.1\n{more}Log Message:\nx\n")
    };
    bench.deliver_mail("1.a.h", mail("Category: None\n"));
    bench.deliver_mail("2.a.h", mail("Category: c\nCVSROOT: r\nProject: p\n"));
    poller.look(bench.store.as_ref()).await.unwrap();
    let told = |it: NewChange| {
        assert_eq!(it.properties.text("kind"), Some("mail"));
        format!("{} {} {}", it.category.unwrap(), it.repository, it.project)
    };
    let told: Vec<String> = bench.taken().into_iter().map(told).collect();
    assert_eq!(told, ["nightly /cvs Hello", "c r p"]);
}

#[tokio::test]
async fn a_directory_without_new_and_cur_is_no_maildir() {
    let bench = Bench::maildir();
    let poller = bench.mail_poller(SVN);
    fs::remove_dir(bench.in_mail("cur")).unwrap();
    let error = poller.look(bench.store.as_ref()).await.unwrap_err();
    let said = error
        .to_string()
        .replace(bench.dir.path().to_str().unwrap(), "DIR");
    assert_eq!(
        said,
        "`DIR/mail` is no maildir: there is no directory `cur` in it"
    );
}

#[tokio::test]
async fn what_arrives_is_noticed_at_once_and_a_nudge_looks_too() {
    let mut bench = Bench::maildir();
    let (stop, wake) = (CancellationToken::new(), Arc::new(Notify::new()));
    let settings = settings(bench.dir.path(), "type = svn_maildir\npoll_interval = 1h\n");
    let poller = MaildirPoller::new("source".into(), settings, later, wake.clone());
    let task = tokio::spawn(maildir::run(poller, bench.store.clone(), stop.clone()));
    assert_eq!(bench.reports.recv().await, Some(Ok(())));
    bench.deliver_mail("1.a.h", mail("one", "a"));
    assert_eq!(bench.reports.recv().await, Some(Ok(())));
    assert_eq!(bench.news().len(), 1);
    // Another directory takes its place, of which nobody is told.
    fs::remove_dir_all(bench.in_mail("new")).unwrap();
    fs::create_dir(bench.in_mail("new")).unwrap();
    wake.notify_one();
    loop {
        bench.deliver_mail("2.a.h", mail("two", "a"));
        bench.reports.recv().await;
        if !bench.news().is_empty() {
            break;
        }
    }
    stop.cancel();
    task.await.unwrap();
}

/// What every kind makes of its own mail.
#[tokio::test]
async fn each_kind_of_maildir_reads_its_own_mails() {
    let fresh = "From: ann CVS <c@h>\n\nModified files:\nx/a 1.1 1.2\n\nLog message:\nm\n";
    let sync = "From: ann@h\nSubject: x a,1.1,1.2\n\nModified Files:\n\ta\nLog Message:\nm\n";
    let bonsai = "From: c@h\n\nC|1|ann|/cvs|x|a|1.2|||1|0\nLOGCOMMENT\nm\n:ENDLOGCOMMENT\n";
    let launchpad = "From: l@h\nSubject: [Branch ~a/b/c] x\n\nrevno: 1\ncommitter: ann\n\
        message:\n  m\nmodified:\n  x/a\n";
    for (kind, mail, expected) in [
        ("FCMaildirSource\nprefix = x/", fresh, "ann a m"),
        ("syncmail_maildir\nprefix = x/", sync, "ann a m"),
        ("BonsaiMaildirSource", bonsai, "ann x/a m"),
        (
            "bzr_maildir\nbranch_map.~a/b/c = X\ndefaultBranch = D",
            launchpad,
            "ann x/a MODIFIED m X",
        ),
    ] {
        let bench = Bench::maildir();
        let poller = bench.mail_poller(&format!("type = {kind}\n"));
        bench.deliver_mail("1.a.h", mail);
        poller.look(bench.store.as_ref()).await.unwrap();
        let it = bench.taken().remove(0);
        let branch = it.branch.map(|it| format!(" {it}")).unwrap_or_default();
        let told = format!(
            "{} {} {}{branch}",
            it.author,
            it.files.join(" "),
            it.comments.trim()
        );
        assert_eq!(told, expected, "{kind}");
    }
}
