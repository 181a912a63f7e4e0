//! The line itself: silence, garbage, calls that come again, pipes.

use super::*;

#[tokio::test]
async fn a_master_that_is_silent_is_asked_and_then_given_up() {
    let bench = Bench::new();
    let mut master = bench.attach_with_heartbeat(1).await;
    assert_eq!(master.hear().await, FromSlave::Ping);
    master.say(FromMaster::Pong).await;
    assert_eq!(master.hear().await, FromSlave::Ping);
    let left = master.task.await.unwrap();
    assert_eq!(
        left.unwrap_err().to_string(),
        "the master was silent for 1 s"
    );
}

#[tokio::test]
async fn a_slave_answers_what_it_is_asked_but_for_what_it_tells_by_itself() {
    let bench = Bench::new();
    let mut settings = bench.settings();
    let own = BTreeMap::from([("shell".to_owned(), "echo own".to_owned())]);
    settings.capabilities = own;
    let mut master = bench.attach_as(settings, 60).await;
    let ask = |lines: &[(&str, &str)]| {
        let lines = lines.iter();
        let capabilities = lines.map(|(name, line)| ((*name).to_owned(), (*line).to_owned()));
        let capabilities = capabilities.collect();
        FromMaster::Ask { capabilities }
    };
    // The second question is asked instead of the first, which would take for ever.
    let gate = bench.path("gate");
    let waits = format!("mkfifo {0}; cat {0}", gate.display());
    master.say(ask(&[("gate", &waits)])).await;
    let place = [("where", "pwd"), ("shell", "echo theirs")];
    master.say(ask(&place)).await;
    let here = bench.base.path().canonicalize().unwrap();
    let told = BTreeMap::from([("where".to_owned(), here.display().to_string())]);
    assert_eq!(master.hear().await, FromSlave::Capabilities { told });
    // Who is asked for nothing says so, and goes on.
    master.say(ask(&[])).await;
    let told = BTreeMap::new();
    assert_eq!(master.hear().await, FromSlave::Capabilities { told });
}

#[tokio::test]
async fn the_directory_of_a_builder_that_is_gone_stays_while_something_runs_there() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let builders = |dirs: &[&str], now_ms| FromMaster::Builders {
        dirs: dirs.iter().map(|it| (*it).to_owned()).collect(),
        now_ms,
        remove_after_ms: Some(1),
    };
    fs::create_dir_all(bench.path("idle/build")).unwrap();
    fs::create_dir_all(bench.path("mine/build")).unwrap();
    master.say(builders(&["b", "idle", "../mine", ""], 0)).await;
    let gate = bench.path("gate");
    let line = format!("mkfifo {0}; echo > begun; cat {0}", gate.display());
    let shell = Command::Shell(Bench::script(&line));
    master.start(id(1), 1, &shell).await;
    assert_eq!(master.next().await, FromSlave::Started { id: id(1) });
    bench.line("b/begun").await;

    // Nobody says that there is an end to look for, so that is looked for.
    master.say(builders(&[], 100)).await;
    let is_gone = async |dir: &str| {
        let gone = async {
            while bench.path(dir).exists() {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, gone).await.expect("it goes");
    };
    is_gone("idle").await;
    assert!(bench.path("b/begun").exists());
    fs::write(&gate, "on\n").unwrap();
    assert_eq!(master.end_of(id(1)).await.code, 0);
    is_gone("b").await;
    assert!(bench.path("mine/build").exists());
}

#[tokio::test]
async fn a_slave_that_is_to_go_asks_and_ends_when_it_is_told() {
    let bench = Bench::new();
    let settings = bench.settings();
    settings.going.cancel();
    let mut master = bench.attach_as(settings, 60).await;
    assert_eq!(master.hear().await, FromSlave::GracefulShutdown);
    master.say(FromMaster::Shutdown).await;
    assert_eq!(master.task.await.unwrap().unwrap(), Left::Dismissed);
}

#[tokio::test]
async fn a_slave_that_has_asked_comes_back_over_a_lost_line_and_asks_again() {
    let bench = Bench::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = bench.settings();
    settings.host = "127.0.0.1".to_owned();
    settings.port = listener.local_addr().unwrap().port();
    settings.max_delay = Duration::from_millis(20);
    let going = settings.going.clone();
    let stop = CancellationToken::new();
    let slave = tokio::spawn(super::super::run(settings, stop, Box::new(|| ())));
    let calls = async {
        for turn in 0..2 {
            let (read, write) = listener.accept().await.unwrap().0.into_split();
            let (mut reader, mut writer) = (FrameReader::new(read), FrameWriter::new(write));
            let lookup = |_: &str| Some("secret".to_owned());
            let caller = master_login(&mut reader, &mut writer, lookup).await;
            let heartbeat = Duration::from_secs(60);
            let welcome = caller.unwrap();
            let welcome = welcome.welcome(&mut writer, "store", heartbeat);
            welcome.await.unwrap();
            let attached: Option<FromSlave> = reader.next().await.unwrap();
            assert!(matches!(attached, Some(FromSlave::Attached { .. })));
            going.cancel();
            let asked: Option<FromSlave> = reader.next().await.unwrap();
            assert_eq!(asked, Some(FromSlave::GracefulShutdown));
            if turn == 1 {
                writer.send(&FromMaster::Shutdown).await.unwrap();
            }
        }
    };
    timeout(LONG, calls).await.expect("the slave calls again");
    let ended = timeout(LONG, slave).await.expect("it ends");
    ended.unwrap().unwrap();
}

#[tokio::test]
async fn a_slave_that_is_not_connected_goes_at_once() {
    let bench = Bench::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = bench.settings();
    settings.host = "127.0.0.1".to_owned();
    settings.port = listener.local_addr().unwrap().port();
    drop(listener);
    let going = settings.going.clone();
    let stop = CancellationToken::new();
    let slave = tokio::spawn(super::super::run(settings, stop, Box::new(|| ())));
    going.cancel();
    let ended = timeout(LONG, slave).await.expect("it ends");
    ended.unwrap().unwrap();
}

#[tokio::test]
async fn garbage_from_the_master_ends_the_line_and_not_the_slave() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    master.writer.send(&"nonsense").await.unwrap();
    let error = master.task.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "failed to talk to the master");
    bench.attach().await;
}

#[tokio::test]
async fn a_base_directory_has_one_slave() {
    let bench = Bench::new();
    let _master = bench.attach().await;
    let Err(error) = Slave::new(bench.settings()) else {
        panic!("a second slave");
    };
    assert!(matches!(error, SlaveError::InUse(_)), "{error}");
}

#[tokio::test]
async fn a_slave_calls_again_when_the_line_is_lost_and_when_it_is_refused() {
    let bench = Bench::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = bench.settings();
    settings.host = "127.0.0.1".to_owned();
    settings.port = listener.local_addr().unwrap().port();
    settings.max_delay = Duration::from_millis(20);
    settings.keepalive = Some(Duration::from_secs(600));
    let stop = CancellationToken::new();
    let slave = tokio::spawn(super::super::run(settings, stop.clone(), Box::new(|| ())));
    let calls = async {
        for turn in 0..4 {
            let (read, write) = listener.accept().await.unwrap().0.into_split();
            let (mut reader, mut writer) = (FrameReader::new(read), FrameWriter::new(write));
            let password = if turn == 1 { "changed" } else { "secret" };
            let lookup = |_: &str| Some(password.to_owned());
            match master_login(&mut reader, &mut writer, lookup).await {
                // Its name is taken.
                Ok(caller) if turn == 2 => caller.refuse(&mut writer, "taken").await.unwrap(),
                Ok(caller) => {
                    let heartbeat = Duration::from_secs(60);
                    caller
                        .welcome(&mut writer, "store", heartbeat)
                        .await
                        .unwrap();
                    let attached: Option<FromSlave> = reader.next().await.unwrap();
                    assert!(matches!(attached, Some(FromSlave::Attached { .. })));
                }
                Err(error) => {
                    assert_eq!(turn, 1);
                    assert_eq!(error.to_string(), "slave `linux-1` has another password");
                }
            }
        }
    };
    timeout(LONG, calls).await.expect("the slave calls again");
    stop.cancel();
    timeout(LONG, slave)
        .await
        .expect("it stops")
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_command_that_nobody_wants_is_cleared_away_when_it_has_ended() {
    let bench = Bench::new();
    let mut master = bench.attach().await;
    let command = Command::Shell(Bench::script("sleep 600"));
    master.start(id(0), 1, &command).await;
    assert_eq!(master.next().await, FromSlave::Started { id: id(0) });
    let (lease, why) = (1, "nobody knows it".to_owned());
    master.say(FromMaster::Forget { id: id(0) }).await;
    master
        .say(FromMaster::Interrupt {
            id: id(0),
            lease,
            why,
        })
        .await;
    let clearing = async {
        while bench.path("spool/m-store/7-0-0-0").exists() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, clearing).await.expect("the spool goes");
}

#[tokio::test]
async fn a_line_over_pipes_works_like_any_other() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (read, write) = rustix::pipe::pipe().unwrap();
    let mut read = crate::process::FdStream::new(read).unwrap();
    let mut write = crate::process::FdStream::new(write).unwrap();
    let sent = vec![7; 1 << 20];
    let expected = sent.clone();
    let writing = tokio::spawn(async move { write.write_all(&sent).await });
    let mut received = Vec::new();
    read.read_to_end(&mut received).await.unwrap();
    writing.await.unwrap().unwrap();
    assert!(received == expected);
}
