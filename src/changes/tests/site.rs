//! A web server that answers what it is told to, one answer after the other, and knows what it
//! was asked.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::tls::Identity;

pub(super) struct Site {
    pub(super) port: u16,
    talk: Arc<Mutex<Talk>>,
}

#[derive(Default)]
struct Talk {
    answers: VecDeque<Vec<u8>>,
    asked: Vec<String>,
}

impl Site {
    pub(super) async fn plain() -> Self {
        Self::open(None).await
    }

    pub(super) async fn secure(identity: Identity) -> Self {
        Self::open(Some(identity)).await
    }

    async fn open(identity: Option<Identity>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let talk = Arc::new(Mutex::new(Talk::default()));
        let shared = Arc::clone(&talk);
        tokio::spawn(async move {
            let acceptor = identity.map(|it| it.acceptor());
            while let Ok((stream, _)) = listener.accept().await {
                match &acceptor {
                    None => answer(stream, &shared).await,
                    Some(acceptor) => {
                        // Who does not believe it hangs up.
                        if let Ok(stream) = acceptor.accept(stream).await {
                            answer(stream, &shared).await;
                        }
                    }
                }
            }
        });
        Self { port, talk }
    }

    /// Answers the next question with these headers and this document.
    pub(super) fn says(&self, headers: &str, document: impl AsRef<[u8]>) {
        self.raw("200 OK", headers, document);
    }

    pub(super) fn raw(&self, status: &str, headers: &str, document: impl AsRef<[u8]>) {
        let document = document.as_ref();
        let mut answer = format!(
            "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n",
            document.len()
        )
        .into_bytes();
        answer.extend_from_slice(document);
        self.talk.lock().unwrap().answers.push_back(answer);
    }

    /// What was asked since this was last read.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.talk.lock().unwrap().asked)
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, talk: &Mutex<Talk>) {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => asked.push(byte),
            Err(_) => return,
        }
    }
    let answer = {
        let mut talk = talk.lock().unwrap();
        talk.asked
            .push(String::from_utf8_lossy(&asked).into_owned());
        talk.answers.pop_front()
    };
    // Nothing to say: it hangs up.
    if let Some(answer) = answer {
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
    }
}
