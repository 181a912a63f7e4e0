//! The client against a line that plays a master.

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use super::*;
use crate::client::Forced;

/// Serves one request with `answer`, and returns what was asked.
async fn serve_once(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &'static str,
) -> String {
    let mut asked = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let count = stream.read(&mut piece).await.unwrap();
        asked.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&asked);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        if body.len() >= length {
            break;
        }
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8(asked).unwrap()
}

async fn master(answer: &'static str) -> (Client, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve_once(stream, answer).await
    });
    let address = Address::parse(&format!("http://127.0.0.1:{port}/bot")).unwrap();
    (Client::new(address), served)
}

#[tokio::test]
async fn a_form_is_sent_and_its_answer_read() {
    let (client, served) =
        master("HTTP/1.1 200 OK\r\ncontent-length: 27\r\n\r\n{\"buildset\":4,\"request\":11}")
            .await;

    let fields = [("comments", "for Ines & me"), ("branch", "")];
    let forced: Forced = client.post("/builders/hello/force", &fields).await.unwrap();
    assert_eq!(
        forced,
        Forced {
            buildset: 4,
            request: 11
        }
    );

    let asked = served.await.unwrap();
    assert!(
        asked.starts_with("POST /bot/builders/hello/force HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(
        asked.contains("\r\naccept: application/json, text/plain\r\n"),
        "{asked}"
    );
    assert!(
        asked.ends_with("\r\n\r\ncomments=for%20Ines%20%26%20me&branch="),
        "{asked}"
    );
}

#[tokio::test]
async fn the_socket_of_a_deep_directory_is_reached() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    // Binding has the same limit, so bind nearby and move the socket there.
    let near = dir.path().join("s");
    let listener = UnixListener::bind(&near).unwrap();
    let socket = deep.join("autobot.sock");
    std::fs::rename(near, &socket).unwrap();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve_once(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nall kept",
        )
        .await
    });

    let client = Client::new(Address::Socket(socket));
    assert_eq!(client.order("/api/reload").await.unwrap(), "all kept");
    assert!(served.await.unwrap().starts_with("POST /api/reload "));
}

#[tokio::test]
async fn a_log_comes_in_pieces_until_its_end() {
    let (client, _served) = master(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n4\r\n two\r\n0\r\n\r\n",
    )
    .await;
    let mut log = client.download("/log").await.unwrap();
    let mut text = Vec::new();
    while let Some(piece) = log.next().await.unwrap() {
        text.extend_from_slice(&piece);
    }
    assert_eq!(text, b"one two");
}

#[tokio::test]
async fn a_log_that_breaks_off_is_an_error() {
    let (client, _served) =
        master("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n").await;
    let mut log = client.download("/log").await.unwrap();
    let error = loop {
        match log.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the log ended as if it were whole"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ClientError::Broken { .. }), "{error:?}");
}

#[tokio::test]
async fn a_refusal_is_in_the_words_of_the_master() {
    for (answer, expected) in [
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 26\r\n\r\nthere is no builder `helo`",
            "there is no builder `helo`",
        ),
        (
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 22\r\n\r\n{\"error\":\"bad branch\"}",
            "bad branch",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 6\r\n\r\n<html>",
            "the master answered 502 Bad Gateway",
        ),
    ] {
        let (client, _served) = master(answer).await;
        let error = client.get::<Forced>("/").await.unwrap_err();
        assert!(matches!(error, ClientError::Refused { .. }), "{error:?}");
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn an_answer_that_is_no_document_is_an_error() {
    let (client, _served) = master("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhm").await;
    let error = client.get::<Forced>("/").await.unwrap_err();
    assert!(matches!(error, ClientError::Garbled { .. }), "{error:?}");
}

#[tokio::test]
async fn a_master_that_is_not_there_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("autobot.sock");
    let error = Client::new(Address::Socket(socket.clone()))
        .get::<Forced>("/")
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("failed to reach the master at `{}`", socket.display())
    );
}

#[tokio::test]
async fn a_master_that_keeps_quiet_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = Client {
        address: Address::parse(&format!("127.0.0.1:{port}")).unwrap(),
        patience: Duration::from_millis(20),
        proof: None,
        trust: None,
    };
    let error = client.get::<Forced>("/").await.unwrap_err();
    assert!(matches!(error, ClientError::Silent { .. }), "{error:?}");
}
