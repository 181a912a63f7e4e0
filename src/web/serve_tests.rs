//! Callers who dawdle, send too much, come too often or take nothing, over lines in memory whose
//! time is paused.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::io::DuplexStream;
use tokio::io::duplex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::config::WebLimits;
use crate::web::sample_desk::SampleDesk;
use crate::web::visits::House;

/// Callers that a test sends.
struct Callers(mpsc::Receiver<(DuplexStream, Option<IpAddr>)>);

impl Entrance for Callers {
    type Line = DuplexStream;

    async fn next(&mut self) -> (DuplexStream, Option<IpAddr>) {
        match self.0.recv().await {
            Some(caller) => caller,
            None => std::future::pending().await,
        }
    }
}

struct Bench {
    house: Arc<House>,
    door: mpsc::Sender<(DuplexStream, Option<IpAddr>)>,
    served: JoinHandle<()>,
    stop: CancellationToken,
    desk: Arc<SampleDesk>,
}

impl Bench {
    async fn new(limits: WebLimits) -> Self {
        let change = |plan: &mut Plan| plan.web.server.limits = limits;
        let desk = SampleDesk::with(change).await;
        let house: Arc<House> = Arc::default();
        let stop = CancellationToken::new();
        let host = Host {
            router: router_in(
                Arc::clone(&desk) as Arc<_>,
                Access::Full,
                Arc::clone(&house),
            ),
            desk: Arc::clone(&desk) as Arc<_>,
            house: Arc::clone(&house),
            stop: stop.clone(),
        };
        let (door, callers) = mpsc::channel(1);
        let served = tokio::spawn(host.serve(Callers(callers)));
        // The sample was made in real time.
        time::pause();
        Self {
            house,
            door,
            served,
            stop,
            desk,
        }
    }

    async fn call(&self, from: &str) -> DuplexStream {
        let (near, far) = duplex(4096);
        let from = from.parse().ok();
        self.door.send((far, from)).await.expect("served");
        near
    }

    /// What is answered to these bytes, until the line ends, and after how many seconds that was.
    async fn ask(&self, bytes: &[u8]) -> (String, u64) {
        let mut line = self.call("192.0.2.1").await;
        line.write_all(bytes).await.expect("sent");
        let begun = Instant::now();
        let answer = rest(&mut line).await;
        (answer, begun.elapsed().as_secs())
    }

    async fn end(self) {
        self.stop.cancel();
        self.served.await.expect("it ends");
        let seats = &self.house.seats;
        assert_eq!((seats.taken(Row::Pages), seats.taken(Row::Live)), (0, 0));
    }
}

async fn rest(line: &mut DuplexStream) -> String {
    let mut answer = Vec::new();
    // A line that is cut off in the middle ends too.
    let _ = line.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads until these words have come.
async fn until(line: &mut DuplexStream, words: &str) -> String {
    let mut heard = String::new();
    let mut buffer = [0; 1024];
    while !heard.contains(words) {
        let count = line.read(&mut buffer).await.expect("readable");
        assert!(count > 0, "{heard}");
        heard.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    heard
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

#[tokio::test]
async fn a_header_that_does_not_end_and_a_line_that_says_nothing_are_cut_off_in_time() {
    let bench = Bench::new(WebLimits::default()).await;
    let (answer, secs) = bench.ask(b"").await;
    assert_eq!((answer.as_str(), secs), ("", 20));
    // One letter at a time does not help.
    let line = bench.call("192.0.2.1").await;
    let begun = Instant::now();
    let (mut reader, mut writer) = tokio::io::split(line);
    let slow = tokio::spawn(async move {
        for byte in b"GET / HTTP/1.1\r\nhost: x\r\nx: "
            .iter()
            .chain(&[b'y'; 200])
        {
            if writer.write_u8(*byte).await.is_err() {
                return;
            }
            time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut answer = Vec::new();
    let _ = reader.read_to_end(&mut answer).await;
    assert!(
        begun.elapsed() <= Duration::from_secs(21),
        "{:?}",
        begun.elapsed()
    );
    slow.abort();
    // And who asks nothing more after an answer.
    let (answer, secs) = bench.ask(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.ends_with("ok\n"), "{answer}");
    assert_eq!(secs, 20);
    bench.end().await;
}

#[tokio::test]
async fn headers_that_are_too_long_or_too_many_are_refused() {
    let bench = Bench::new(WebLimits::default()).await;
    let many = "x: y\r\n".repeat(HEADERS + 1);
    let (answer, _) = bench
        .ask(format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n").as_bytes())
        .await;
    assert_eq!(status(&answer), "431", "{answer}");
    let long = "y".repeat(40 * 1024);
    let get = |path: &str| format!("GET /{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let mut line = bench.call("192.0.2.1").await;
    let (mut reader, mut writer) = tokio::io::split(&mut line);
    let ask = get(&long);
    let (_, answer) = tokio::join!(writer.write_all(ask.as_bytes()), async {
        let mut answer = Vec::new();
        let _ = reader.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    });
    assert_eq!(status(&answer), "414", "{answer}");
    assert!(answer.to_lowercase().contains("nosniff"), "{answer}");
    bench.end().await;
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_not_waited_for() {
    let bench = Bench::new(WebLimits::default()).await;
    let head = "POST /builders/hello/force HTTP/1.1\r\nhost: x\r\n\
        content-type: application/x-www-form-urlencoded\r\ncontent-length: 1000\r\n\r\nreason=";
    let (answer, secs) = bench.ask(head.as_bytes()).await;
    assert_eq!(secs, 60, "{answer}");
    assert_eq!(status(&answer), "400", "{answer}");
    assert!(bench.desk.asked.lock().expect("nobody panicked").is_empty());
    bench.end().await;
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_is_told_so() {
    let limits = WebLimits {
        connections: 3,
        connections_per_address: 2,
        ..WebLimits::default()
    };
    let bench = Bench::new(limits).await;
    let first = bench.call("192.0.2.1").await;
    let second = bench.call("192.0.2.1").await;
    let mut third = bench.call("192.0.2.1").await;
    let answer = rest(&mut third).await;
    assert_eq!(status(&answer), "503", "{answer}");
    assert!(
        answer.contains("Retry-After: 5") && answer.contains("from your address"),
        "{answer}"
    );
    let other = bench.call("192.0.2.2").await;
    let answer = rest(&mut bench.call("192.0.2.3").await).await;
    assert!(answer.contains("too many visitors"), "{answer}");
    // Who goes makes room.
    drop((first, second, other));
    let ask = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let (answer, _) = bench.ask(ask).await;
    assert_eq!(status(&answer), "200", "{answer}");
    bench.end().await;
}

#[tokio::test]
async fn who_follows_events_leaves_room_for_pages_and_has_a_limit_of_its_own() {
    let limits = WebLimits {
        connections: 1,
        connections_per_address: 1,
        live: 2,
        live_per_address: 2,
        ..WebLimits::default()
    };
    let bench = Bench::new(limits).await;
    let mut following = Vec::new();
    for _ in 0..2 {
        let mut line = bench.call("192.0.2.1").await;
        let ask = b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n";
        line.write_all(ask).await.expect("sent");
        let head = until(&mut line, "\r\n\r\n").await;
        assert_eq!(status(&head), "200", "{head}");
        following.push(line);
    }
    assert_eq!(bench.house.seats.taken(Row::Live), 2);
    assert_eq!(bench.house.seats.taken(Row::Pages), 0);
    let (answer, _) = bench.ask(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(status(&answer), "503", "{answer}");
    let ask = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let (answer, _) = bench.ask(ask).await;
    assert_eq!(status(&answer), "200", "{answer}");
    drop(following);
    bench.end().await;
}

#[tokio::test]
async fn who_does_not_take_an_answer_is_cut_off() {
    let bench = Bench::new(WebLimits::default()).await;
    let mut line = bench.call("192.0.2.1").await;
    // A row of questions whose answers nobody reads.
    let ask = "GET /builders HTTP/1.1\r\nhost: x\r\n\r\n".repeat(20);
    line.write_all(ask.as_bytes()).await.expect("sent");
    let begun = Instant::now();
    while bench.house.seats.taken(Row::Pages) > 0 {
        time::sleep(Duration::from_secs(1)).await;
        assert!(begun.elapsed() < Duration::from_secs(60), "still there");
    }
    drop(line);
    bench.end().await;
}

#[tokio::test]
async fn a_plain_request_to_a_port_with_tls_is_led_to_the_same_address_and_no_further() {
    let answer = |method: &str, host: &str, target: &str| {
        let request = Request::builder().method(method).uri(target);
        let request = request.header("host", host).body(()).expect("a request");
        let response = over_tls(&request);
        let to = response.headers().get("location");
        let to = to.map(|it| it.to_str().expect("text").to_owned());
        (response.status().as_u16(), to)
    };
    let to = Some("https://ci.test:8443/builders?x=1".to_owned());
    assert_eq!(answer("GET", "ci.test:8443", "/builders?x=1"), (308, to));
    // What was posted was readable: it must not work by accident.
    assert_eq!(answer("POST", "ci.test", "/shutdown"), (400, None));
    assert_eq!(answer("GET", "a@evil.test", "/"), (400, None));
    assert_eq!(answer("GET", "a b", "/"), (400, None));
}
