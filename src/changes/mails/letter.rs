//! A mail as the grammars see it: who it is from, what it is about, and the lines of its texts.

use mail_parser::Message;
use mail_parser::MessageParser;
use mail_parser::PartType;

use crate::model::Timestamp;

/// Mails within mails are read so deep.
const DEEPEST: usize = 4;

/// A mail, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Letter {
    /// `Ann` of `Ann <ann@example.org>`.
    pub(super) name: Option<String>,
    /// `ann@example.org` of it.
    pub(super) from: Option<String>,
    pub(super) subject: String,
    /// When it was written, if that can be read.
    pub(super) date: Option<Timestamp>,
    pub(super) id: String,
    /// Of all its texts, in order, without line ends.
    pub(super) lines: Vec<String>,
}

impl Letter {
    /// Reads a mail as it lies in a file; `None` if it has nothing of one.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let message = MessageParser::default().parse(bytes)?;
        let from = message.from().and_then(|it| it.first());
        let part = |it: Option<&str>| {
            let it = it.map(str::trim).filter(|it| !it.is_empty());
            it.map(str::to_owned)
        };
        let name = part(from.and_then(|it| it.name()));
        let address = part(from.and_then(|it| it.address()));
        let date = message.date().filter(|it| it.is_valid());
        let mut lines = Vec::new();
        tell(&message, DEEPEST, &mut lines);
        Some(Self {
            // A user of the same host needs no `@`.
            from: address.or_else(|| name.clone()),
            name,
            subject: message.subject().unwrap_or_default().trim().to_owned(),
            date: date.map(|it| Timestamp::from_secs(it.to_timestamp())),
            id: message.message_id().unwrap_or_default().to_owned(),
            lines,
        })
    }

    /// What stands before the `@` of who it is from, all of it if there is none.
    pub(super) fn user(&self) -> Option<String> {
        let from = self.from.as_deref()?;
        let user = from.split_once('@').map_or(from, |it| it.0);
        Some(user.to_owned())
    }
}

fn tell(message: &Message<'_>, depth: usize, lines: &mut Vec<String>) {
    for part in &message.parts {
        match &part.body {
            PartType::Text(text) => lines.extend(text.lines().map(str::to_owned)),
            PartType::Message(inner) if depth > 0 => tell(inner, depth - 1, lines),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_all_parts_are_read_in_order_and_decoded() {
        let mail = "From: =?utf-8?q?J=C3=BCrgen?= <j@x.example>\r\nSubject: =?iso-8859-1?q?gr=FC=DFe?=\r\n\
            Date: Mon, 05 Mar 2012 06:07:08 +0100\r\nMessage-ID: <m1@x>\r\nMIME-Version: 1.0\r\n\
            Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\
            Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            first =\r\nline =FC\r\n\r\nthird\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n\0\x01\r\n\
            --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n\
            bGFzdCDDvA==\r\n--b--\r\nepilogue\r\n";
        let letter = Letter::read(mail.as_bytes()).expect("a mail");
        let expected = Letter {
            name: Some("Jürgen".into()),
            from: Some("j@x.example".into()),
            subject: "grüße".into(),
            date: Some(Timestamp::from_secs(1_330_924_028)),
            id: "m1@x".into(),
            lines: ["first line ü", "", "third", "last ü"]
                .map(String::from)
                .into(),
        };
        assert_eq!(letter, expected);
        assert_eq!(letter.user().as_deref(), Some("j"));
    }

    #[test]
    fn a_mail_without_headers_that_count_is_read_all_the_same() {
        let read = |text: &[u8]| Letter::read(text).expect("a mail");
        let letter = read(b"From: ann\nDate: yesterday\n\nhello \xff\n");
        assert_eq!((letter.user().as_deref(), letter.date), (Some("ann"), None));
        assert_eq!(letter.lines.len(), 1);
        assert_eq!(read(b"X: y\n\n").from, None);
        assert_eq!(Letter::read(b""), None);
    }

    #[test]
    fn what_is_made_to_hurt_does_not() {
        let mut nested = String::from("From: a@x\n");
        for level in 0..5000 {
            nested.push_str(&format!(
                "Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n"
            ));
        }
        nested.push_str("Content-Type: text/plain\n\ninside\n");
        let within = "Content-Type: message/rfc822\n\n".repeat(5000);
        let parts = format!(
            "Content-Type: multipart/mixed; boundary=b\n\n{}",
            "--b\n\nx\n".repeat(100_000)
        );
        let long = format!("From: {}\n\n{}", "a".repeat(1 << 20), "(".repeat(1 << 20));
        for mail in [
            nested,
            within,
            parts,
            long,
            "=?".repeat(1 << 18),
            "\0".repeat(1 << 20),
        ] {
            if let Some(letter) = Letter::read(mail.as_bytes()) {
                assert!(letter.lines.len() <= 200_000);
            }
        }
    }
}
