use super::*;

fn post() -> Post {
    Post {
        from: "The farm <ci@example.org>".into(),
        reply_to: Some("ann@example.org".into()),
        relay: Relay {
            host: "127.0.0.1".into(),
            port: 1,
            login: None,
            use_tls: false,
        },
    }
}

fn letter(to: &[&str]) -> Letter {
    Letter {
        to: to.iter().map(ToString::to_string).collect(),
        subject: "a slave\r\nBcc: eve@example.org".into(),
        body: "It is gone.\n.\nReally.\n".into(),
        id: "absence.1".into(),
        written: Timestamp(0),
    }
}

#[test]
fn a_mail_has_headers_that_no_text_breaks_out_of() {
    let (post, letter) = (
        post(),
        letter(&["Böse, \"Bo\" <bo@example.org>", "x@example.org"]),
    );
    let to: Vec<_> = letter.to.iter().map(|it| mailbox(it).expect(it)).collect();
    let from = mailbox(&post.from).expect("an address");
    let mail = write(&post, &from, &to, &letter).expect("a mail");
    let text = String::from_utf8(mail.formatted()).expect("text");
    insta::assert_snapshot!(text.replace('\r', ""), @r#"
    Date: Thu, 01 Jan 1970 00:00:00 +0000
    From: "The farm" <ci@example.org>
    Subject: a =?utf-8?b?c2xhdmUNCkJjYzo=?= eve@example.org
    Message-ID: <absence.1@example.org>
    Content-Type: text/plain; charset=utf-8
    Auto-Submitted: auto-generated
    To: =?utf-8?b?QsO2c2UsICJCbw==?= <bo@example.org>, x@example.org
    Reply-To: ann@example.org
    Content-Transfer-Encoding: 7bit

    It is gone.
    .
    Really.
    "#);
}

#[test]
fn an_address_is_read_with_or_without_a_name() {
    let read = |text: &str| mailbox(text).map(|it| it.to_string());
    for (text, expected) in [
        ("a@b.org", "a@b.org"),
        ("<a@b.org>", "a@b.org"),
        (
            "Ann R. <ann.r+ci@x-y.example.org>",
            "\"Ann R.\" <ann.r+ci@x-y.example.org>",
        ),
        ("\"Ann\" <ann@b.org>", "Ann <ann@b.org>"),
    ] {
        assert_eq!(read(text).expect(text), expected);
    }
    let error = mailbox("Ann <a b@c.org>").expect_err("no address");
    assert_eq!(
        error.to_string(),
        "`Ann <a b@c.org>` is no address that a mail can have"
    );
}

#[tokio::test]
async fn a_relay_that_is_not_there_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut post = post();
    post.relay.port = listener.local_addr().expect("an address").port();
    drop(listener);
    let error = send(&post, &letter(&["bo@example.org"])).await;
    let why = reason(&error.expect_err("nobody listens"));
    let told = format!("relay 127.0.0.1:{} did not take it: ", post.relay.port);
    assert!(why.starts_with(&told), "{why}");
    assert!(why.contains("refused"), "{why}");
    let nobody = send(&post, &letter(&[])).await;
    assert!(matches!(
        nobody,
        Err(MailError::Letter(_) | MailError::NoRecipient)
    ));
}
