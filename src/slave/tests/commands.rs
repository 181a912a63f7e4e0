//! What becomes of commands, whatever happens to the slave, the line and the runner.

use super::*;

#[tokio::test]
async fn a_command_runs_and_everything_it_says_comes() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let mut shell = Bench::script("cat; echo $GREETING $PWD; echo oh >&2; exit 3");
    shell.initial_stdin = b"hello from stdin\n".to_vec();
    shell.mask = vec!["GREETING".to_owned()];
    shell.env = [("GREETING".to_owned(), Some("hi ${NONE}there".to_owned()))].into();
    let exit = master.run(id(0), &Command::Shell(shell)).await;
    assert_eq!(exited(&exit), (3, ExitCause::Exited));
    let workdir = fs::canonicalize(bench.path("b")).unwrap();
    assert_eq!(
        master.stdout(id(0)),
        format!("hello from stdin\nhi there {}\n", workdir.display())
    );
    assert_eq!(master.said(id(0), Channel::Stderr), b"oh\n");
    insta::assert_snapshot!(master.header(id(0)), @r"
    cat; echo $XXXX $PWD; echo oh >&2; exit 3
     in dir /b (timeout 1200 secs)
     watching logfiles {}
     argv: ['/bin/sh', '-c', 'cat; echo $XXXX $PWD; echo oh >&2; exit 3']
     writing 17 bytes to stdin
     using PTY: False
    elapsedTime=T
    ");
}

#[tokio::test]
async fn a_stream_that_nobody_wants_is_not_kept() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    for (number, channel) in [(0, Channel::Stdout), (1, Channel::Stderr)] {
        let mut shell = Bench::script("echo out; echo err >&2");
        shell.want_stdout = channel != Channel::Stdout;
        shell.want_stderr = channel != Channel::Stderr;
        let exit = master.run(id(number), &Command::Shell(shell)).await;
        assert_eq!(exited(&exit), (0, ExitCause::Exited));
        let said = [Channel::Stdout, Channel::Stderr].map(|it| master.said(id(number), it));
        let expected = match channel {
            Channel::Stdout => [&b""[..], b"err\n"],
            _ => [&b"out\n"[..], b""],
        };
        assert_eq!(said, expected);
    }
}

#[tokio::test]
async fn what_a_command_and_its_children_took_is_told() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let line = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; \
                head -c 5000000 /dev/zero > big; (cat big > copy); \
                setsid sh -c 'cat copy > /dev/null' & wait";
    let exit = master
        .run(id(0), &Command::Shell(Bench::script(line)))
        .await;
    assert_eq!(exited(&exit), (0, ExitCause::Exited));
    let usage = exit.usage.expect("it is counted");
    assert!(usage.user_ms + usage.system_ms > 0, "{usage}");
    assert!(usage.peak_memory > 500_000, "{usage}");
    let (read, written) = (usage.read_bytes, usage.written_bytes);
    assert!(
        read.is_some_and(|it| (15_000_000..16_000_000).contains(&it)),
        "{usage}"
    );
    assert!(
        written.is_some_and(|it| (15_000_000..16_000_000).contains(&it)),
        "{usage}"
    );
    assert!(!usage.out_of_memory);
    let said = String::from_utf8(master.said(id(0), Channel::Header)).unwrap();
    assert!(
        said.contains(&format!("\nusage: {usage}\nelapsedTime=")),
        "{said}"
    );

    let exit = master
        .run(id(1), &Command::Shell(Bench::script("kill -9 $$")))
        .await;
    assert_eq!(exited(&exit), (-1, ExitCause::Signal(9)));
    assert_eq!(exit.reason(), "signal 9 (SIGKILL)");
}

#[tokio::test]
async fn ten_megabytes_come_whole() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let shell = Bench::script("head -c 10485760 /dev/zero | tr '\\0' x");
    let exit = master.run(id(0), &Command::Shell(shell)).await;
    assert_eq!(exited(&exit), (0, ExitCause::Exited));
    let said = master.said(id(0), Channel::Stdout);
    assert_eq!(said.len(), 10 << 20);
    assert!(said.iter().all(|byte| *byte == b'x'));
}

#[tokio::test]
async fn a_command_that_nobody_listens_to_waits_before_it_fills_the_disk() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let shell = Bench::script("head -c 80000000 /dev/zero");
    master.is_acknowledging = false;
    master.start(id(0), 1, &Command::Shell(shell)).await;
    let file = bench.path("spool/m-store/7-0-0-0/log.stdio");
    // One window comes without an acknowledgement, and no byte more.
    while master
        .logs
        .get(&id(0))
        .is_none_or(|log| log.len() < 1 << 20)
    {
        master.keep_one().await;
    }
    let growing = async {
        while fs::metadata(&file).unwrap().len() <= 64 << 20 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, growing)
        .await
        .expect("64 MiB come to the disk");
    assert_eq!(master.logs[&id(0)].len(), 1 << 20);

    master.is_acknowledging = true;
    let (log, offset) = ("stdio".to_owned(), 1 << 20);
    master
        .say(FromMaster::Ack {
            id: id(0),
            log,
            offset,
        })
        .await;
    let mut acknowledged = offset;
    loop {
        let here = fs::metadata(&file).unwrap().len();
        // What the runner was told may be behind by what is not worth telling.
        assert!(here <= acknowledged + (64 << 20) + (1 << 20), "{here}");
        match master.keep_one().await {
            None => acknowledged = master.logs[&id(0)].len() as u64,
            Some(FromSlave::Finished { exit, .. }) => {
                assert_eq!(exited(&exit), (0, ExitCause::Exited));
                break;
            }
            Some(_) => {}
        }
    }
    assert_eq!(master.said(id(0), Channel::Stdout).len(), 80_000_000);
}

#[tokio::test]
async fn a_slave_that_is_killed_meets_its_command_again_and_the_log_is_whole() {
    let bench = Bench::new();
    let line = "echo run >> ../runs; for i in $(seq 2000); do echo line $i; done; \
                while test ! -e ../go; do :; done; echo end";
    let command = Command::Shell(Bench::script(line));
    let mut master = bench.attach().await;
    master.start(id(0), 1, &command).await;
    assert_eq!(master.next().await, FromSlave::Started { id: id(0) });
    while master.logs.get(&id(0)).is_none_or(|log| log.len() < 4096) {
        master.keep_one().await;
    }
    let kept = master.kill_slave().await;

    let mut master = bench.attach().await;
    let (lease, finished) = (1, false);
    let state = CommandState {
        id: id(0),
        lease,
        finished,
    };
    assert_eq!(master.commands, std::slice::from_ref(&state));
    master.logs = kept;
    master.start(id(0), 2, &command).await;
    assert_eq!(master.next().await, FromSlave::Started { id: id(0) });
    fs::write(bench.path("go"), "").unwrap();
    let exit = master.end_of(id(0)).await;
    assert_eq!(exited(&exit), (0, ExitCause::Exited));
    let mut expected: String = (1..=2000).map(|i| format!("line {i}\n")).collect();
    expected.push_str("end\n");
    assert_eq!(master.stdout(id(0)), expected);
    assert_eq!(bench.read("runs"), "run\n", "it ran once");
    let logs = master.kill_slave().await;

    // The end is told after every attach, and the log is the same from the start.
    let mut master = bench.attach().await;
    let (lease, finished) = (2, true);
    assert_eq!(
        master.commands,
        [CommandState {
            lease,
            finished,
            ..state
        }]
    );
    assert_eq!(master.run_again(id(0), &command).await, exit);
    assert_eq!(master.logs, logs);
    master.say(FromMaster::Forget { id: id(0) }).await;
    master.say(FromMaster::Shutdown).await;
    assert_eq!(master.task.await.unwrap().unwrap(), Left::Dismissed);
    assert!(!bench.path("spool/m-store/7-0-0-0").exists());
}

impl Master {
    async fn run_again(&mut self, id: CommandId, command: &Command) -> Exit {
        self.start(id, 2, command).await;
        assert_eq!(self.next().await, FromSlave::Started { id });
        self.end_of(id).await
    }
}

#[tokio::test]
async fn a_command_ends_while_no_slave_is_there() {
    let bench = Bench::new();
    let line = "echo began; while test ! -e ../go; do :; done; echo $$ > ../pid; echo end";
    let command = Command::Shell(Bench::script(line));
    let mut master = bench.attach().await;
    master.start(id(0), 1, &command).await;
    assert_eq!(master.next().await, FromSlave::Started { id: id(0) });
    master.kill_slave().await;
    fs::write(bench.path("go"), "").unwrap();
    is_gone(&bench.line("pid").await).await;

    let mut master = bench.attach().await;
    assert_eq!(
        exited(&master.run(id(0), &command).await),
        (0, ExitCause::Exited)
    );
    assert_eq!(master.stdout(id(0)), "began\nend\n");
}

#[tokio::test]
async fn a_command_that_is_started_twice_runs_once() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let command = Command::Shell(Bench::script("echo run >> ../runs"));
    master.start(id(0), 1, &command).await;
    master.start(id(0), 1, &command).await;
    assert_eq!(master.next().await, FromSlave::Started { id: id(0) });
    assert_eq!(master.next().await, FromSlave::Started { id: id(0) });
    // The second start asked for everything from the beginning once more.
    master.logs.clear();
    master.end_of(id(0)).await;
    assert_eq!(bench.read("runs"), "run\n");
}

#[tokio::test]
async fn an_interrupt_ends_the_whole_tree() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let line =
        "setsid sh -c 'trap \"\" TERM; echo $$ > ../pid; while :; do sleep 600; done' & wait";
    let command = Command::Shell(Bench::script(line));
    master.start(id(0), 1, &command).await;
    assert_eq!(master.next().await, FromSlave::Started { id: id(0) });
    let pid = bench.line("pid").await;
    let interrupt = |lease| FromMaster::Interrupt {
        id: id(0),
        lease,
        why: "the build was stopped".to_owned(),
    };
    master.say(interrupt(1)).await;
    let exit = master.end_of(id(0)).await;
    assert_eq!(exited(&exit), (-1, ExitCause::Interrupted));
    is_gone(&pid).await;
    insta::assert_snapshot!(master.header(id(0)).lines().skip(5).collect::<Vec<_>>().join("\n"), @"
    command interrupted, attempting to kill
    process killed by signal 15 (SIGTERM)
    elapsedTime=T
    ");
}

#[tokio::test]
async fn a_silent_command_and_a_long_one_are_ended_and_the_log_says_why() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let mut silent = Bench::script("printf 'no newline'; sleep 600");
    silent.timeout = Some(Duration::from_millis(500));
    let exit = master.run(id(0), &Command::Shell(silent)).await;
    assert_eq!(exited(&exit), (-1, ExitCause::Silence));
    assert!(exit.elapsed_ms >= 500, "{}", exit.elapsed_ms);
    insta::assert_snapshot!(master.header(id(0)), @r#"
    printf 'no newline'; sleep 600
     in dir /b (timeout 0.5 secs)
     watching logfiles {}
     argv: ['/bin/sh', '-c', "printf 'no newline'; sleep 600"]
     using PTY: False

    command timed out: 0.5 seconds without output, attempting to kill
    process killed by signal 15 (SIGTERM)
    elapsedTime=T
    "#);

    let mut long = Bench::script("while :; do echo; sleep 0.1; done");
    long.timeout = Some(Duration::from_secs(30));
    long.max_time = Some(Duration::from_secs(1));
    let exit = master.run(id(1), &Command::Shell(long)).await;
    assert_eq!(exited(&exit), (-1, ExitCause::Overtime));
    let header = master.header(id(1));
    assert!(
        header.contains(" in dir /b (timeout 30 secs) (maxTime 1 sec)\n"),
        "{header}"
    );
    let end = "command timed out: 1 seconds elapsed, attempting to kill\n";
    assert!(header.contains(end), "{header}");
}

#[tokio::test]
async fn ends_that_are_not_exits_are_told_apart() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let killed = Command::Shell(Bench::script("kill -SEGV $$"));
    let exit = master.run(id(0), &killed).await;
    assert_eq!(exited(&exit), (-1, ExitCause::Signal(11)));

    let mut missing = Bench::script("");
    missing.line = ShellLine::Argv(vec!["frobnicate".to_owned(), "x".to_owned()]);
    missing.env = [("PATH".to_owned(), Some("/bin:/nowhere".to_owned()))].into();
    let exit = master.run(id(1), &Command::Shell(missing)).await;
    let why = "program `frobnicate` is not found; PATH is `/bin:/nowhere`";
    assert_eq!(exited(&exit), (127, ExitCause::NotStarted(why.to_owned())));
    let stderr = master.said(id(1), Channel::Stderr);
    assert_eq!(String::from_utf8(stderr).unwrap(), format!("{why}\n"));

    fs::write(bench.path("file"), "").unwrap();
    let mut nowhere = Bench::script("true");
    nowhere.workdir = "file/b".to_owned();
    let exit = master.run(id(2), &Command::Shell(nowhere)).await;
    let ExitCause::NotStarted(why) = exit.cause else {
        panic!("it has no directory");
    };
    assert!(
        why.starts_with("the directory `file/b` cannot be made: "),
        "{why}"
    );
}

#[tokio::test]
async fn what_holds_the_output_open_is_not_waited_for() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let line = "setsid sleep 600 & echo $! > ../pid; echo done";
    let exit = master
        .run(id(0), &Command::Shell(Bench::script(line)))
        .await;
    assert_eq!(exited(&exit), (0, ExitCause::Exited));
    assert_eq!(master.stdout(id(0)), "done\n");
    is_gone(&bench.line("pid").await).await;
    let header = master.header(id(0));
    assert!(header.contains(super::super::header::LEFTOVERS), "{header}");
}

#[tokio::test]
async fn a_runner_that_is_killed_means_a_lost_command_with_its_log() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let line = "echo began; echo $$ > ../pid; sleep 600";
    let command = Command::Shell(Bench::script(line));
    master.start(id(0), 1, &command).await;
    assert_eq!(master.next().await, FromSlave::Started { id: id(0) });
    let pid = bench.line("pid").await;
    // What is still in the pipe goes with the runner.
    while master.stdout(id(0)).is_empty() {
        master.keep_one().await;
    }
    let dir = super::super::order::CommandDir::new(bench.path("spool/m-store/7-0-0-0"));
    let begun = async {
        loop {
            match dir.begun().unwrap() {
                Some(begun) if begun.child.is_some() => return begun,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    let begun = timeout(LONG, begun).await.unwrap();
    let runner = rustix::process::Pid::from_raw(begun.runner.unwrap().pid).unwrap();
    rustix::process::kill_process(runner, rustix::process::Signal::KILL).unwrap();

    let exit = master.end_of(id(0)).await;
    let why = "the runner of the command was killed".to_owned();
    assert_eq!(exited(&exit), (-1, ExitCause::Lost(why)));
    assert_eq!(master.stdout(id(0)), "began\n");
    is_gone(&pid).await;
}

#[tokio::test]
async fn a_runner_that_cannot_be_started_means_a_lost_command() {
    let bench = Bench::new();
    let mut settings = bench.settings();
    settings.program = "/nowhere/autobot".into();
    let mut master = bench.attach_as(settings, 60).await;
    let exit = master
        .run(id(0), &Command::Shell(Bench::script("true")))
        .await;
    let why = "its runner cannot be started".to_owned();
    assert_eq!(exited(&exit), (-1, ExitCause::Lost(why)));
    assert!(
        master
            .header(id(0))
            .ends_with("the command is lost: its runner cannot be started")
    );
}

#[tokio::test]
async fn a_stale_lease_and_nonsense_are_refused() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let mut refused = async |step, lease, shell: Shell| {
        master.start(id(step), lease, &Command::Shell(shell)).await;
        match master.next().await {
            FromSlave::Refused { why, .. } => why,
            FromSlave::Started { id } => {
                master.end_of(id).await;
                String::new()
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(0, 5, Bench::script("true")).await, "");
    assert_eq!(
        refused(1, 4, Bench::script("true")).await,
        "lease 4 of build 7 is stale: lease 5 has been seen"
    );
    let mut outside = Bench::script("true");
    outside.workdir = "../b".to_owned();
    assert_eq!(
        refused(2, 5, outside).await,
        "directory `../b` leaves the slave's base directory"
    );
    let mut empty = Bench::script("");
    empty.line = ShellLine::Argv(Vec::new());
    assert_eq!(refused(3, 5, empty).await, "the command line is empty");
}

#[tokio::test]
async fn why_a_tree_is_removed_is_a_line_about_the_command() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let remove = |why: Option<&str>| {
        let (dir, why) = ("b/build".to_owned(), why.map(str::to_owned));
        Command::File(FileCommand::Rmdir { dir, why })
    };
    fs::create_dir_all(bench.path("b/build")).unwrap();
    master.run(id(0), &remove(Some("it is old"))).await;
    assert!(!bench.path("b/build").exists());
    assert_eq!(master.said(id(0), Channel::Header), b"it is old\n");
    master.run(id(1), &remove(None)).await;
    assert_eq!(master.said(id(1), Channel::Header), b"");
}

#[tokio::test]
async fn file_commands_end_like_others() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let dir = "b/build".to_owned();
    let mkdir = Command::File(FileCommand::Mkdir { dir });
    let exit = master.run(id(0), &mkdir).await;
    assert_eq!(exited(&exit), (0, ExitCause::Exited));
    assert!(bench.path("b/build").is_dir());

    let path = "b/none".to_owned();
    let stat = Command::File(FileCommand::Stat { path });
    let exit = master.run(id(1), &stat).await;
    assert_eq!(exited(&exit), (1, ExitCause::Exited));
    let stderr = String::from_utf8(master.said(id(1), Channel::Stderr)).unwrap();
    assert!(stderr.ends_with("/b/none` is not there\n"), "{stderr}");

    master.kill_slave().await;
    fs::remove_dir(bench.path("b/build")).unwrap();
    let mut master = bench.attach().await;
    assert_eq!(master.commands.len(), 2);
    master.run(id(0), &mkdir).await;
    assert!(!bench.path("b/build").exists(), "it is not done again");
}
