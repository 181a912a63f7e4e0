//! A mail is handed to a relay, which brings it to its readers. This room
//! knows addresses, texts and SMTP; who is told what, and when a mail that
//! could not be sent is tried again, is for others to say.

#[cfg(test)]
mod tests;

use std::error::Error;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use lettre::Address;
use lettre::AsyncSmtpTransport;
use lettre::AsyncTransport;
use lettre::Message;
use lettre::Tokio1Executor;
use lettre::address::Envelope;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::message::header::HeaderName;
use lettre::message::header::HeaderValue;
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::Tls;
use lettre::transport::smtp::client::TlsParameters;

use crate::model::Timestamp;
use crate::syntax::HiddenText;

/// How long the relay may take for each of its answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who sends mails, and by which relay.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Post {
    /// `ci@example.org` or `The farm <ci@example.org>`.
    pub(crate) from: String,
    pub(crate) reply_to: Option<String>,
    pub(crate) relay: Relay,
}

/// Where mails are handed over.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Relay {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) login: Option<(String, HiddenText)>,
    /// Nothing is said but over TLS (STARTTLS), to a relay that shows a certificate of whom the
    /// system trusts.
    pub(crate) use_tls: bool,
}

/// What is said to whom.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Letter {
    pub(crate) to: Vec<String>,
    pub(crate) subject: String,
    pub(crate) body: String,
    /// The same for what is the same mail, however often it is sent.
    pub(crate) id: String,
    pub(crate) written: Timestamp,
}

/// Why a mail was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MailError {
    #[error("`{address}` is no address that a mail can have")]
    Address {
        address: String,
        #[source]
        source: lettre::address::AddressError,
    },
    #[error("the mail cannot be written")]
    Letter(#[source] lettre::error::Error),
    #[error("it has no recipient")]
    NoRecipient,
    #[error("relay {host}:{port} did not take it")]
    Relay {
        host: String,
        port: u16,
        #[source]
        source: smtp::Error,
    },
}

/// A recipient that the relay does not take, and why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) address: String,
    pub(crate) why: String,
}

/// Hands a mail over. If the relay takes it for some of its recipients only, it is sent to
/// them, and the others come back.
///
/// # Errors
/// Nobody gets it.
pub(crate) async fn send(post: &Post, letter: &Letter) -> Result<Vec<Refused>, MailError> {
    let from = mailbox(&post.from)?;
    let to: Vec<Mailbox> = letter
        .to
        .iter()
        .map(|it| mailbox(it))
        .collect::<Result<_, _>>()?;
    let mail = write(post, &from, &to, letter)?.formatted();
    let transport = transport(&post.relay)?;
    let hand_over = async |to: Vec<Address>| {
        let envelope = Envelope::new(Some(from.email.clone()), to);
        let envelope = envelope.map_err(|_| MailError::NoRecipient)?;
        let sent = transport.send_raw(&envelope, &mail).await;
        sent.map_err(|source| failed(&post.relay, source))
    };
    let everybody = to.iter().map(|it| it.email.clone()).collect();
    let error = match hand_over(everybody).await {
        Ok(_) => return Ok(Vec::new()),
        Err(error) => error,
    };
    let is_refused = matches!(&error, MailError::Relay { source, .. } if source.is_permanent());
    if !is_refused || to.len() < 2 {
        return Err(error);
    }
    // One bad address must not keep a mail from the others.
    let mut refused = Vec::new();
    for one in &to {
        if let Err(error) = hand_over(vec![one.email.clone()]).await {
            let (address, why) = (one.email.to_string(), reason(&error));
            refused.push(Refused { address, why });
        }
    }
    if refused.len() == to.len() {
        return Err(error);
    }
    Ok(refused)
}

fn failed(relay: &Relay, source: smtp::Error) -> MailError {
    let (host, port) = (relay.host.clone(), relay.port);
    MailError::Relay { host, port, source }
}

/// An error and its causes on one line.
pub(crate) fn reason(error: &MailError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // A cause may have said its own already.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

/// Splits a name from an address by hand: what people write there is looser than the grammar.
fn mailbox(text: &str) -> Result<Mailbox, MailError> {
    let (name, address) = match text.strip_suffix('>').and_then(|it| it.rsplit_once('<')) {
        Some((name, address)) => (name.trim().trim_matches('"'), address),
        None => ("", text),
    };
    let read = address.parse::<Address>();
    let address = read.map_err(|source| MailError::Address {
        address: text.to_owned(),
        source,
    })?;
    Ok(Mailbox::new(
        (!name.is_empty()).then(|| name.to_owned()),
        address,
    ))
}

fn write(
    post: &Post,
    from: &Mailbox,
    to: &[Mailbox],
    letter: &Letter,
) -> Result<Message, MailError> {
    let millis = u64::try_from(letter.written.0).unwrap_or_default();
    let auto = HeaderName::new_from_ascii_str("Auto-Submitted");
    let mut mail = Message::builder()
        .date(UNIX_EPOCH + Duration::from_millis(millis))
        .from(from.clone())
        .subject(&letter.subject)
        .message_id(Some(format!("<{}@{}>", letter.id, from.email.domain())))
        .header(ContentType::TEXT_PLAIN)
        // Nobody's holiday answers it.
        .raw_header(HeaderValue::new(auto, "auto-generated".to_owned()));
    for one in to {
        mail = mail.to(one.clone());
    }
    if let Some(reply_to) = &post.reply_to {
        mail = mail.reply_to(mailbox(reply_to)?);
    }
    mail.body(letter.body.clone()).map_err(MailError::Letter)
}

fn transport(relay: &Relay) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailError> {
    let host = relay.host.trim_start_matches('[').trim_end_matches(']');
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(relay.port)
        .timeout(Some(PATIENCE));
    if relay.use_tls {
        let tls = TlsParameters::new(host.to_owned());
        transport = transport.tls(Tls::Required(tls.map_err(|it| failed(relay, it))?));
    }
    if let Some((user, password)) = &relay.login {
        let login = Credentials::new(user.clone(), password.reveal().to_owned());
        transport = transport.credentials(login);
    }
    Ok(transport.build())
}
