//! Commands on terms of their own: terminals, log files, priorities and limits.

use super::*;
use crate::model::GroupLimits;
use crate::model::IoClass;
use crate::model::IoPriority;
use crate::model::Logfile;

/// What the test program says before it is a launcher; the real one says nothing.
const CHATTER: &str = "\nrunning 1 test\n";

fn launched_stdout(master: &Master, id: CommandId) -> String {
    let said = master.stdout(id);
    said.strip_prefix(CHATTER)
        .expect("it was launched")
        .to_owned()
}

fn logfile(path: &str, follow: bool) -> Logfile {
    Logfile {
        path: path.to_owned(),
        follow,
        lazy: false,
    }
}

#[tokio::test]
async fn a_command_may_have_a_terminal() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let line = "tty; test -t 0 -a -t 1 -a -t 2 && stty size; ps -o tty= -p $$; cat; echo oh >&2";
    let mut shell = Bench::script(line);
    shell.terms.use_pty = true;
    shell.initial_stdin = b"typed\x03\nno end".to_vec();
    let exit = master.run(id(0), &Command::Shell(shell)).await;
    assert_eq!(exited(&exit), (0, ExitCause::Exited));
    let said = launched_stdout(&master, id(0));
    let lines: Vec<_> = said.lines().collect();
    let terminal = lines[0].strip_prefix("/dev/").expect("a terminal");
    assert_eq!(lines[1], "24 80");
    assert_eq!(lines[2].trim(), terminal, "it is the controlling one");
    assert_eq!(lines[3..], ["typed\u{3}", "no endoh"]);
    assert!(master.header(id(0)).contains("using PTY: True"));
    assert!(!said.contains('\r'));
}

#[tokio::test]
async fn a_command_with_a_terminal_and_without_input_reads_its_end() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let mut shell = Bench::script("cat; setsid sleep 600 & echo $! > ../pid; exit 3");
    shell.terms.use_pty = true;
    let exit = master.run(id(0), &Command::Shell(shell)).await;
    assert_eq!(exited(&exit), (3, ExitCause::Exited));
    is_gone(&bench.line("pid").await).await;
}

#[tokio::test]
async fn a_command_with_a_terminal_can_be_interrupted() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let mut shell = Bench::script("setsid sleep 600 & echo $! > ../pid; wait");
    shell.terms.use_pty = true;
    master.start(id(0), 1, &Command::Shell(shell)).await;
    assert_eq!(master.next().await, FromSlave::Started { id: id(0) });
    let pid = bench.line("pid").await;
    let why = "enough".to_owned();
    let (id, lease) = (id(0), 1);
    master.say(FromMaster::Interrupt { id, lease, why }).await;
    let exit = master.end_of(id).await;
    assert_eq!(exited(&exit), (-1, ExitCause::Interrupted));
    is_gone(&pid).await;
}

#[tokio::test]
async fn priorities_rights_and_limits_hold() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let mut shell = Bench::script("umask; nice; ulimit -n; ulimit -c; ionice; echo $0 \"$X\"");
    shell.env = [("X".to_owned(), Some("it's\n--exact".to_owned()))].into();
    shell.terms.umask = Some(0o027);
    shell.terms.nice = Some(5);
    shell.terms.ionice = Some(IoPriority {
        class: IoClass::BestEffort,
        level: 6,
    });
    shell.terms.rlimits = [
        ("nofile".to_owned(), Some(99)),
        ("core".to_owned(), Some(0)),
    ]
    .into();
    let exit = master.run(id(0), &Command::Shell(shell)).await;
    assert_eq!(exited(&exit), (0, ExitCause::Exited));
    let expected = "0027\n5\n99\n0\nbest-effort: prio 6\n/bin/sh it's\n--exact\n";
    assert_eq!(launched_stdout(&master, id(0)), expected);
    let header = master.header(id(0));
    assert!(!header.contains("not applied"), "{header}");
    assert_eq!(master.said(id(0), Channel::Stderr), b"");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_on_any_terms() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let line = ShellLine::Argv(vec!["frobnicate".to_owned()]);
    let mut shell = Shell::new(line, "b");
    shell.terms.umask = Some(0o777);
    shell.env = [("PATH".to_owned(), Some("/nowhere".to_owned()))].into();
    let exit = master.run(id(0), &Command::Shell(shell)).await;
    let why = "program `frobnicate` is not found; PATH is `/nowhere`".to_owned();
    assert_eq!(exited(&exit), (127, ExitCause::NotStarted(why)));
}

#[tokio::test]
async fn limits_of_a_group_that_cannot_be_set_are_told_and_end_nothing_unless_required() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let mut shell = Bench::script("echo here");
    shell.terms.group = GroupLimits {
        pids_max: Some(u64::MAX),
        ..GroupLimits::default()
    };
    let exit = master.run(id(0), &Command::Shell(shell.clone())).await;
    assert_eq!(exited(&exit), (0, ExitCause::Exited));
    assert_eq!(launched_stdout(&master, id(0)), "here\n");
    // Among other processes, no test is given a group to itself.
    let header = master.header(id(0));
    let told = "`memory_max`, `cpu_max` and `pids_max` are not applied: ";
    assert!(header.contains(told), "{header}");

    shell.terms.group.required = true;
    let exit = master.run(id(1), &Command::Shell(shell)).await;
    assert_eq!(exit.code, 126);
    let ExitCause::NotStarted(why) = &exit.cause else {
        panic!("{exit:?}")
    };
    assert!(
        why.starts_with("the limits of the command cannot be set: "),
        "{why}"
    );
    assert_eq!(master.stdout(id(1)), "");
}

#[tokio::test]
async fn a_command_is_asked_to_end_by_the_signal_and_in_the_time_that_it_has() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let mut shell = Bench::script(
        "trap 'echo int; exit 4' INT; trap '' TERM; echo up > ../up; while :; do sleep 0.05; done",
    );
    shell.terms.signal = Some(2);
    shell.terms.kill_after_ms = Some(60_000);
    master.start(id(0), 1, &Command::Shell(shell)).await;
    assert_eq!(master.next().await, FromSlave::Started { id: id(0) });
    bench.line("up").await;
    let interrupt = |id| FromMaster::Interrupt {
        id,
        lease: 1,
        why: "enough".to_owned(),
    };
    master.say(interrupt(id(0))).await;
    let exit = master.end_of(id(0)).await;
    assert_eq!(exited(&exit), (4, ExitCause::Interrupted));
    assert_eq!(master.stdout(id(0)), "int\n");

    let mut shell = Bench::script("trap '' TERM; echo up > ../deaf; while :; do sleep 0.05; done");
    shell.terms.kill_after_ms = Some(50);
    master.start(id(1), 1, &Command::Shell(shell)).await;
    assert_eq!(master.next().await, FromSlave::Started { id: id(1) });
    bench.line("deaf").await;
    master.say(interrupt(id(1))).await;
    let exit = master.end_of(id(1)).await;
    assert_eq!(exited(&exit), (-1, ExitCause::Interrupted));
    assert!(master.header(id(1)).contains("signal 9 (SIGKILL)"));
}

#[tokio::test]
async fn log_files_are_logs_of_their_own_and_a_killed_slave_loses_nothing_of_them() {
    let bench = Bench::new();
    fs::create_dir(bench.path("b")).unwrap();
    fs::write(bench.path("b/old"), "before\n").unwrap();
    let line = "for i in $(seq 20000); do echo line $i; done > out.log; echo one >> ../said; \
                while test ! -e ../go; do sleep 0.01; done; \
                mv out.log out.log.1; echo new > out.log; echo added >> old; echo end";
    let mut shell = Bench::script(line);
    shell.logfiles = [
        ("out".to_owned(), logfile("out.log", false)),
        ("old".to_owned(), logfile("old", true)),
        ("none".to_owned(), logfile("none", false)),
    ]
    .into();
    let command = Command::Shell(shell);
    let mut master = bench.attach().await;
    master.start(id(0), 1, &command).await;
    assert_eq!(master.next().await, FromSlave::Started { id: id(0) });
    let some = |master: &Master| master.side.get(&(id(0), "out".into())).map_or(0, Vec::len);
    while some(&master) < 50_000 {
        master.keep_one().await;
    }
    let side = master.side.clone();
    let kept = master.kill_slave().await;

    let mut master = bench.attach().await;
    (master.logs, master.side) = (kept, side);
    master.start(id(0), 2, &command).await;
    assert_eq!(master.next().await, FromSlave::Started { id: id(0) });
    fs::write(bench.path("go"), "").unwrap();
    let exit = master.end_of(id(0)).await;
    assert_eq!(exited(&exit), (0, ExitCause::Exited));
    assert_eq!(master.stdout(id(0)), "end\n");
    let mut expected: String = (1..=20_000).map(|it| format!("line {it}\n")).collect();
    expected.push_str("new\n");
    assert_eq!(master.side_said(id(0), "out"), expected);
    assert_eq!(master.side_said(id(0), "old"), "added\n");
    assert_eq!(master.side_said(id(0), "none"), "");
    let header = master.header(id(0));
    assert!(
        header.contains("watching logfiles {'none': 'none', 'old': 'old', 'out': 'out.log'}"),
        "{header}"
    );
}

#[tokio::test]
async fn what_is_written_to_a_log_file_is_no_silence() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let mut shell =
        Bench::script("for i in 1 2 3 4 5 6 7 8 9 10; do echo $i >> log; sleep 0.3; done");
    shell.timeout = Some(Duration::from_millis(1500));
    shell.logfiles = [("log".to_owned(), logfile("log", false))].into();
    let exit = master.run(id(0), &Command::Shell(shell)).await;
    assert_eq!(exited(&exit), (0, ExitCause::Exited));
    assert_eq!(
        master.side_said(id(0), "log"),
        "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"
    );
}
