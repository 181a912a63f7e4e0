//! The pages over TLS, behind nginx, on sockets, under a thousand followers and a crowd of
//! dawdlers; and what the logs and figures say of it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::farm::{Farm, free_ports, text};

const HELLO: &str =
    "[slave:linux]\npassword = secret\nfactories = hi\n[hi]\ntype = shell\ncommand = echo hi\n";

/// What `curl` says of it, answer and all.
fn curl(farm: &Farm, args: &[&str]) -> (bool, String) {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "60",
            "--noproxy",
            "*",
        ])
        .args(args)
        .current_dir(farm.master_dir())
        .stdin(Stdio::null())
        .output()
        .expect("curl is installed");
    (output.status.success(), text(&output))
}

/// A server in front.
struct Nginx(Child);

impl Nginx {
    fn start(farm: &Farm, port: u16, location: &str) -> Self {
        let dir = farm.path("nginx");
        fs::create_dir_all(&dir).expect("a directory");
        let at = dir.display();
        let text = format!(
            "daemon off;\nmaster_process off;\nerror_log {at}/error.log;\npid {at}/pid;\nevents {{}}\nhttp {{\n\
             access_log off;\nclient_body_temp_path {at}/body;\nproxy_temp_path {at}/proxy;\n\
             fastcgi_temp_path {at}/fastcgi;\nuwsgi_temp_path {at}/uwsgi;\nscgi_temp_path {at}/scgi;\n\
             server {{ listen 127.0.0.1:{port}; {location} }}\n}}\n"
        );
        fs::write(dir.join("nginx.conf"), text).expect("written");
        let program = ["/usr/sbin/nginx", "/usr/bin/nginx"];
        let program = program.into_iter().find(|it| Path::new(it).exists());
        let child = Command::new(program.expect("nginx is installed: scripts/test.sh does it"))
            .arg("-c")
            .arg(dir.join("nginx.conf"))
            .arg("-p")
            .arg(&dir)
            .stdin(Stdio::null())
            .spawn()
            .expect("started");
        Self(child)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn behind_nginx_forms_work_and_the_log_has_the_visitor_and_not_the_server() {
    let [front] = free_ports();
    let mut farm = Farm::new(&format!(
        "[:web:]\nhttp_port = unix:web.sock\ntrusted_proxies = unix\nlog_rotate_length = 100000\n{HELLO}"
    ));
    farm.start_master();
    let socket = farm.master_dir().join("web.sock");
    let mode = fs::metadata(&socket)
        .expect("a socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
    // What the manual says, with this socket and as if there were TLS.
    let manual = include_str!("../../docs/manual.md");
    let block = manual.split("```nginx\n").nth(1).expect("a block");
    let block = block.split("```").next().expect("its end");
    let said = block
        .replace(
            "http://127.0.0.1:8010/",
            &format!("http://unix:{}:/", socket.display()),
        )
        .replace("$scheme", "https");
    assert!(
        said.contains("unix:") && said.contains("-Proto https"),
        "{said}"
    );
    let _nginx = Nginx::start(&farm, front, &said);
    let site = format!("http://127.0.0.1:{front}/ci");
    farm.wait("the page behind nginx", |farm| {
        curl(farm, &["--fail", &format!("{site}/")]).0.then_some(())
    });
    let (_, page) = curl(
        &farm,
        &["--head", &format!("{site}/builders/hi-linux?token=geheim")],
    );
    assert!(
        page.to_lowercase()
            .contains("strict-transport-security: max-age="),
        "{page}"
    );

    // A form of the page, as a browser without `Sec-Fetch-Site` sends it, and one of another site.
    let form = |origin: &str, reason: &str| {
        curl(
            &farm,
            &[
                "--header",
                &format!("Origin: {origin}"),
                "--header",
                "Accept: application/json",
                "--header",
                // Whoever claims to be somebody else is seen through.
                "X-Forwarded-For: 203.0.113.66",
                "--data",
                &format!("reason={reason}"),
                "--write-out",
                "%{http_code}",
                &format!("{site}/builders/hi-linux/force"),
            ],
        )
        .1
    };
    let answer = form(&format!("http://127.0.0.1:{front}"), "mine");
    assert!(answer.contains("\"request\""), "{answer}");
    let answer = form("https://evil.test", "theirs");
    assert!(answer.ends_with("403"), "{answer}");

    let log = farm.wait("the requests in http.log", |farm| {
        let log = fs::read_to_string(farm.master_dir().join("http.log")).ok()?;
        log.contains("\" 403 ").then_some(log)
    });
    let forced: Vec<_> = log
        .lines()
        .filter(|it| it.contains("POST /builders/hi-linux/force"))
        .collect();
    assert_eq!(forced.len(), 2, "{log}");
    assert!(
        forced.iter().all(|it| it.starts_with("127.0.0.1 - - [")),
        "{log}"
    );
    assert!(
        !log.contains("geheim") && log.contains("?token=..."),
        "{log}"
    );

    let figures = farm.get("/metrics").expect("figures").1;
    assert!(
        figures.contains(
            "autobot_http_requests_total{route=\"/builders/{builder}/force\",status=\"4xx\"} 1"
        ),
        "{figures}"
    );
    assert!(
        figures.contains("autobot_pending_requests{builder=\"hi-linux\"} 1"),
        "{figures}"
    );
}

#[test]
fn pages_come_over_tls_and_a_renewed_certificate_is_shown_after_a_reload() {
    let [plain, only] = free_ports();
    let ini = format!(
        "[:web:]\ntls_certificate = tls/server.pem\ntls_key = tls/server.key\nhttp_port = tcp:{plain}:interface=127.0.0.1\n\
         public_http_port = https:127.0.0.1:{only}\n{HELLO}"
    );
    let mut farm = Farm::new("");
    let [first, second] = [farm.htmlport, plain];
    let make = |farm: &Farm, verb: &str| {
        let args: &[&str] = match verb {
            "init" => &["tls", "init", "master/tls", "--name", "127.0.0.1"],
            _ => &["tls", "renew", "master/tls"],
        };
        let made = farm.autobot(args);
        assert!(made.status.success(), "{}", text(&made));
    };
    make(&farm, "init");
    farm.write_ini(&ini);
    // The farm asks where it is answered without TLS.
    farm.htmlport = second;
    farm.start_master();
    let https = format!("https://127.0.0.1:{first}/");
    let ca = ["--cacert", "tls/ca.pem"];
    let (is_good, page) = curl(&farm, &[ca[0], ca[1], "--include", &https]);
    assert!(is_good && page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(
        page.to_lowercase()
            .contains("strict-transport-security: max-age=15552000"),
        "{page}"
    );
    let (is_good, said) = curl(&farm, &[&https]);
    assert!(!is_good && said.contains("certificate"), "{said}");
    // Who comes without TLS is led to it; who posts is not.
    let (_, led) = curl(
        &farm,
        &[
            "--include",
            &format!("http://127.0.0.1:{first}/builders?x=1"),
        ],
    );
    assert!(led.starts_with("HTTP/1.1 308"), "{led}");
    assert!(
        led.to_lowercase()
            .contains(&format!("location: {https}builders?x=1")),
        "{led}"
    );
    let (_, refused) = curl(
        &farm,
        &[
            "--include",
            "--data",
            "x",
            &format!("http://127.0.0.1:{first}/shutdown"),
        ],
    );
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
    // The other port over TLS only shows.
    let twin = format!("https://127.0.0.1:{only}/builders/hi-linux/force");
    let (_, refused) = curl(
        &farm,
        &[
            ca[0],
            ca[1],
            "--data",
            "x",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
            &twin,
        ],
    );
    assert_eq!(refused, "403");

    let shown = |farm: &Farm| {
        let output = Command::new("openssl")
            .args([
                "s_client",
                "-connect",
                &format!("127.0.0.1:{first}"),
                "-CAfile",
                "tls/ca.pem",
            ])
            .current_dir(farm.master_dir())
            .stdin(Stdio::null())
            .output()
            .expect("openssl is installed");
        let said = text(&output);
        assert!(
            said.contains("Verify return code: 0 (ok)") && said.contains("TLSv1.3"),
            "{said}"
        );
        let begin = said.find("-----BEGIN CERTIFICATE").expect("a certificate");
        said[begin..]
            .split("-----END")
            .next()
            .expect("its end")
            .to_owned()
    };
    // A line that stands is not touched, nor is a port that stays what it is.
    let mut open = TcpStream::connect(("127.0.0.1", plain)).expect("connected");
    let before = shown(&farm);
    make(&farm, "renew");
    let reloaded = farm.autobot(&["reconfig", "master"]);
    assert!(
        text(&reloaded)
            .contains("changed the certificate that visitors of the pages are shown: SHA-256"),
        "{}",
        text(&reloaded)
    );
    assert_ne!(shown(&farm), before);
    open.write_all(b"GET /healthz HTTP/1.0\r\n\r\n")
        .expect("sent");
    let mut answer = String::new();
    open.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("ok\n"), "{answer}");

    // Half of a pair that is being renewed changes nothing.
    fs::write(farm.master_dir().join("tls/server.key"), "nonsense").expect("written");
    let refused = farm.autobot(&["reconfig", "master"]);
    assert!(!refused.status.success(), "{}", text(&refused));
    assert!(text(&refused).contains("the key"), "{}", text(&refused));
    let ready = farm.get("/readyz").expect("an answer");
    assert_eq!(ready.0, 503, "{}", ready.1);
    assert!(ready.1.contains("configuration"), "{}", ready.1);
}

#[test]
fn a_hundred_dawdlers_do_not_keep_a_visitor_waiting() {
    let mut farm = Farm::new(&format!(
        "[:web:]\nmax_connections_per_address = 40\n{HELLO}"
    ));
    farm.start_master();
    let dawdlers: Vec<_> = (0..100)
        .map(|_| {
            let mut line = TcpStream::connect(("127.0.0.1", farm.htmlport)).expect("connected");
            // Those beyond the limit are sent away, so that this may fail.
            drop(line.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "));
            line
        })
        .collect();
    let mut told = 0;
    for mut line in &dawdlers {
        line.set_read_timeout(Some(Duration::from_millis(1)))
            .expect("a limit");
        let mut answer = [0; 512];
        if let Ok(count @ 1..) = line.read(&mut answer) {
            told += usize::from(answer[..count].starts_with(b"HTTP/1.1 503"));
        }
    }
    assert!(told > 0, "nobody was told why");
    // Another address has its own seats, and the owner's way in is not touched by any of this.
    let status = farm.autobot(&["status", "master"]);
    assert!(status.status.success(), "{}", text(&status));
    let from_elsewhere = curl(
        &farm,
        &[
            "--interface",
            "127.0.0.2",
            "--fail",
            &format!("http://127.0.0.1:{}/healthz", farm.htmlport),
        ],
    );
    assert_eq!(from_elsewhere, (true, "ok\n".to_owned()));
    drop(dawdlers);
    farm.wait("seats for this address again", |farm| {
        farm.get("/healthz").filter(|it| it.0 == 200)
    });
}

#[test]
fn what_the_log_says_and_how_changes_with_a_reload() {
    let mut farm = Farm::new(&format!(
        "log_format = json\n[:metrics:]\nlog_interval = 1s\n{HELLO}"
    ));
    farm.start_master();
    farm.wait("figures in the log", |farm| {
        farm.master_output()
            .contains("Counter num_builders: 1")
            .then_some(())
    });
    let said = farm.master_output();
    let begun = said.lines().skip_while(|it| !it.contains("master started"));
    for line in begun.filter(|it| it.starts_with('{')) {
        let object: Value = serde_json::from_str(line).expect(line);
        assert!(
            object["level"].is_string() && object["message"].is_string(),
            "{line}"
        );
    }
    assert!(said.contains("\"message\":\"OK disk\""), "{said}");
    farm.write_ini(&format!("log_level = warn\nmax_rotated_files = 2\n{HELLO}"));
    let reloaded = farm.autobot(&["reconfig", "master"]);
    assert!(
        text(&reloaded).contains("changed the master's own log"),
        "{}",
        text(&reloaded)
    );
    farm.wait("the end of the reload", |farm| {
        farm.json("/api/status").map(drop)
    });
}

/// What the master takes now, in KiB.
fn resident(farm: &Farm) -> u64 {
    let pid = fs::read_to_string(farm.master_dir().join("autobot.pid")).expect("a pid");
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).expect("its status");
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let number = line.and_then(|it| it.split_whitespace().next());
    number.and_then(|it| it.parse().ok()).expect("a number")
}

#[test]
fn a_thousand_who_follow_events_take_less_than_50_mb_and_leave_room_for_pages() {
    let mut farm = Farm::new(HELLO);
    farm.start_master();
    for _ in 0..20 {
        farm.get("/builders").expect("a page");
    }
    let before = resident(&farm);
    // Those of this process are counted by the system too.
    let count = 950;
    let followers: Vec<_> = (0..count)
        .map(|_| {
            let mut line = TcpStream::connect(("127.0.0.1", farm.htmlport)).expect("connected");
            line.write_all(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
                .expect("sent");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                assert_eq!(line.read(&mut byte).expect("an answer"), 1, "it ends early");
                head.push(byte[0]);
            }
            assert!(
                head.starts_with(b"HTTP/1.1 200"),
                "{}",
                String::from_utf8_lossy(&head)
            );
            line
        })
        .collect();
    let taken = resident(&farm).saturating_sub(before);
    assert!(taken * 1000 / count < 50 * 1024, "{taken} KiB for {count}");
    // There are more of them than an address has seats for pages.
    assert_eq!(farm.get("/builders").expect("a page").0, 200);
    let figures = farm.get("/metrics").expect("figures").1;
    assert!(
        figures.contains(&format!("autobot_http_live_connections {count}\n")),
        "{figures}"
    );
    drop(followers);
    farm.wait("their seats", |farm| {
        let figures = farm.get("/metrics")?.1;
        // What hears nothing is noticed with the next word.
        drop(farm.autobot(&["reconfig", "master"]));
        figures
            .contains("autobot_http_live_connections 0\n")
            .then_some(())
    });
}
