//! The login: each side shows that it knows the slave's password, and neither
//! says it. Whoever listens learns nothing that works a second time, because
//! both sides put a fresh number into every proof.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};

use super::native::{FrameReader, FrameWriter, MAX_FRAME, MAX_STRANGER_FRAME, WireError};
use super::{FromMaster, FromSlave};

/// The version of the protocol that this program speaks.
pub(crate) const PROTOCOL: u32 = 1;

/// A master that takes longer to answer is not going to.
const LIMIT: Duration = Duration::from_secs(30);

/// A refusal is said so long after the proof, whatever the reason: how long it took to find
/// the reason tells nothing, and who guesses has to wait.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest name that is looked at.
const LONGEST_NAME: usize = 200;

const NONCE: usize = 32;

/// Why nobody is logged in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    #[error("the line failed during the login")]
    Wire(#[from] WireError),
    #[error("the line was closed during the login")]
    Closed,
    #[error("the login took too long")]
    Slow,
    #[error("the other side speaks version {0} of the protocol, this program {PROTOCOL}")]
    Protocol(u32),
    #[error("a message came out of turn during the login")]
    OutOfTurn,
    /// The master's words, told to the slave.
    #[error("the master refuses: {why}")]
    Rejected {
        why: String,
        retry_after: Option<Duration>,
    },
    #[error("the caller gives a name of {0} bytes")]
    LongName(usize),
    #[error("slave `{0}` is not configured")]
    UnknownName(String),
    #[error("slave `{0}` has another password")]
    WrongPassword(String),
    #[error("the master does not know the password of this slave")]
    FalseMaster,
    #[error("the system gives no random numbers")]
    Random(#[source] getrandom::Error),
}

/// What both proofs are about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proof<'a> {
    pub(crate) password: &'a str,
    pub(crate) name: &'a str,
    pub(crate) salt: &'a [u8],
    pub(crate) slave_nonce: &'a [u8],
    pub(crate) master_nonce: &'a [u8],
}

/// Proves to a master that the slave knows the password.
pub(crate) fn slave_proof(proof: &Proof<'_>) -> Vec<u8> {
    proof.sum("slave").finalize().into_bytes().to_vec()
}

/// Proves to a slave that the master knows the password.
pub(crate) fn master_proof(proof: &Proof<'_>) -> Vec<u8> {
    proof.sum("master").finalize().into_bytes().to_vec()
}

impl Proof<'_> {
    fn sum(&self, role: &str) -> Hmac<Sha256> {
        let mut sum = Hmac::<Sha256>::new_from_slice(self.password.as_bytes())
            .expect("HMAC takes keys of any length");
        let parts = [
            b"autobot login",
            role.as_bytes(),
            self.salt,
            self.slave_nonce,
            self.master_nonce,
            self.name.as_bytes(),
        ];
        for part in parts {
            // With its length, so that no two rows of parts give the same bytes.
            sum.update(&(part.len() as u64).to_be_bytes());
            sum.update(part);
        }
        sum
    }

    /// Compares in a time that does not depend on where the difference is.
    fn is_proven_by(&self, role: &str, given: &[u8]) -> bool {
        self.sum(role).verify_slice(given).is_ok()
    }
}

/// What a slave learns when it is welcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Welcome {
    /// Names the master's store.
    pub(crate) master: String,
    pub(crate) version: String,
    pub(crate) features: Vec<String>,
    /// After so much silence the line counts as dead.
    pub(crate) heartbeat: Duration,
}

/// Logs in as a slave; the preamble is said here.
pub(crate) async fn slave_login<R, W>(
    reader: &mut FrameReader<R>,
    writer: &mut FrameWriter<W>,
    name: &str,
    password: &str,
) -> Result<Welcome, LoginError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    timeout(LIMIT, log_in(reader, writer, name, password))
        .await
        .map_err(|_| LoginError::Slow)?
}

async fn log_in<R, W>(
    reader: &mut FrameReader<R>,
    writer: &mut FrameWriter<W>,
    name: &str,
    password: &str,
) -> Result<Welcome, LoginError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let slave_nonce = random()?;
    writer.preamble();
    writer
        .send(&FromSlave::Hello {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            features: super::FEATURES.iter().map(ToString::to_string).collect(),
            name: name.to_owned(),
            nonce: slave_nonce.to_vec(),
        })
        .await?;
    let (protocol, version, features, salt, master_nonce) = match hear(reader).await? {
        FromMaster::Challenge {
            protocol,
            version,
            features,
            salt,
            nonce,
        } => (protocol, version, features, salt, nonce),
        FromMaster::Rejected {
            why,
            retry_after_secs,
        } => return Err(rejected(why, retry_after_secs)),
        _ => return Err(LoginError::OutOfTurn),
    };
    if protocol != PROTOCOL {
        return Err(LoginError::Protocol(protocol));
    }
    let proof = Proof {
        password,
        name,
        salt: &salt,
        slave_nonce: &slave_nonce,
        master_nonce: &master_nonce,
    };
    let mine = slave_proof(&proof);
    writer.send(&FromSlave::Login { proof: mine }).await?;
    match hear(reader).await? {
        FromMaster::Welcome {
            proof: given,
            master,
            heartbeat_secs,
        } => {
            if !proof.is_proven_by("master", &given) {
                return Err(LoginError::FalseMaster);
            }
            Ok(Welcome {
                master,
                version,
                features,
                heartbeat: Duration::from_secs(heartbeat_secs.max(1)),
            })
        }
        FromMaster::Rejected {
            why,
            retry_after_secs,
        } => Err(rejected(why, retry_after_secs)),
        _ => Err(LoginError::OutOfTurn),
    }
}

fn rejected(why: String, retry_after_secs: Option<u64>) -> LoginError {
    LoginError::Rejected {
        why,
        retry_after: retry_after_secs.map(Duration::from_secs),
    }
}

/// A slave that has shown that it knows its password, and waits to be
/// welcomed or refused.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) features: Vec<String>,
    answer: Vec<u8>,
}

/// Asks a caller who it is. `lookup` knows the passwords. Who is not known is
/// told so and the reason comes back as the error.
pub(crate) async fn master_login<R, W>(
    reader: &mut FrameReader<R>,
    writer: &mut FrameWriter<W>,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Caller, LoginError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    reader.limit(MAX_STRANGER_FRAME);
    let caller = ask(reader, writer, lookup).await?;
    reader.limit(MAX_FRAME);
    Ok(caller)
}

async fn ask<R, W>(
    reader: &mut FrameReader<R>,
    writer: &mut FrameWriter<W>,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Caller, LoginError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    reader.preamble().await?;
    let FromSlave::Hello {
        protocol,
        version,
        name,
        nonce: slave_nonce,
        features,
    } = hear(reader).await?
    else {
        return Err(LoginError::OutOfTurn);
    };
    if name.len() > LONGEST_NAME {
        return Err(LoginError::LongName(name.len()));
    }
    if protocol != PROTOCOL {
        let why = format!("this master speaks version {PROTOCOL} of the protocol, not {protocol}");
        reject(writer, why).await?;
        return Err(LoginError::Protocol(protocol));
    }
    let salt = random()?;
    let master_nonce = random()?;
    writer
        .send(&FromMaster::Challenge {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            features: super::FEATURES.iter().map(ToString::to_string).collect(),
            salt: salt.to_vec(),
            nonce: master_nonce.to_vec(),
        })
        .await?;
    let FromSlave::Login { proof: given } = hear(reader).await? else {
        return Err(LoginError::OutOfTurn);
    };
    let asked = Instant::now();
    // Only now, so that a stranger cannot tell a wrong name from a wrong password.
    let password = lookup(&name);
    let proof = Proof {
        password: password.as_deref().unwrap_or_default(),
        name: &name,
        salt: &salt,
        slave_nonce: &slave_nonce,
        master_nonce: &master_nonce,
    };
    let is_proven = proof.is_proven_by("slave", &given);
    let answer = master_proof(&proof);
    if is_proven && password.is_some() {
        return Ok(Caller {
            name,
            version,
            features,
            answer,
        });
    }
    sleep_until(asked + PAUSE).await;
    let why = format!("`{name}` is not a slave of this master, or its password is another");
    reject(writer, why).await?;
    Err(match password {
        Some(_) => LoginError::WrongPassword(name),
        None => LoginError::UnknownName(name),
    })
}

impl Caller {
    /// Lets the slave in. `master` names the store.
    pub(crate) async fn welcome<W: AsyncWrite + Unpin>(
        self,
        writer: &mut FrameWriter<W>,
        master: &str,
        heartbeat: Duration,
    ) -> Result<(), WireError> {
        writer
            .send(&FromMaster::Welcome {
                proof: self.answer,
                master: master.to_owned(),
                heartbeat_secs: heartbeat.as_secs().max(1),
            })
            .await
    }

    /// Refuses the slave, such as when one of its name is here and answers.
    pub(crate) async fn refuse<W: AsyncWrite + Unpin>(
        self,
        writer: &mut FrameWriter<W>,
        why: &str,
    ) -> Result<(), WireError> {
        reject(writer, why.to_owned()).await
    }
}

/// Sends a caller away who is not asked who it is. Its first words are heard, so that the
/// answer is not lost when the line closes over them.
pub(crate) async fn turn_away<R, W>(
    reader: &mut FrameReader<R>,
    writer: &mut FrameWriter<W>,
    why: String,
    retry_after: Option<Duration>,
) -> Result<(), LoginError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    reader.limit(MAX_STRANGER_FRAME);
    reader.preamble().await?;
    hear::<_, FromSlave>(reader).await?;
    let retry_after_secs = retry_after.map(|it| it.as_secs().max(1));
    writer
        .send(&FromMaster::Rejected {
            why,
            retry_after_secs,
        })
        .await?;
    Ok(())
}

async fn reject<W: AsyncWrite + Unpin>(
    writer: &mut FrameWriter<W>,
    why: String,
) -> Result<(), WireError> {
    let retry_after_secs = None;
    writer
        .send(&FromMaster::Rejected {
            why,
            retry_after_secs,
        })
        .await
}

async fn hear<R, T>(reader: &mut FrameReader<R>) -> Result<T, LoginError>
where
    R: AsyncRead + Unpin,
    T: serde::de::DeserializeOwned,
{
    reader.next().await?.ok_or(LoginError::Closed)
}

fn random() -> Result<[u8; NONCE], LoginError> {
    let mut bytes = [0; NONCE];
    getrandom::fill(&mut bytes).map_err(LoginError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};

    use super::*;

    type Reader = FrameReader<tokio::io::ReadHalf<DuplexStream>>;
    type Writer = FrameWriter<tokio::io::WriteHalf<DuplexStream>>;

    fn line() -> ((Reader, Writer), (Reader, Writer)) {
        let frames = |stream| {
            let (read, write) = split(stream);
            (FrameReader::new(read), FrameWriter::new(write))
        };
        let (near, far) = duplex(4096);
        (frames(near), frames(far))
    }

    /// Lets a slave that believes in `password` call a master that knows
    /// `linux-1` by `secret`.
    async fn call(
        name: &str,
        password: &str,
    ) -> (Result<Welcome, LoginError>, Result<String, LoginError>) {
        let ((mut slave_reads, mut slave_writes), (mut reads, mut writes)) = line();
        let slave = slave_login(&mut slave_reads, &mut slave_writes, name, password);
        let master = async {
            let lookup = |name: &str| (name == "linux-1").then(|| "secret".to_owned());
            let caller = master_login(&mut reads, &mut writes, lookup).await?;
            assert_eq!(caller.features, crate::wire::FEATURES);
            let name = caller.name.clone();
            let heartbeat = Duration::from_secs(20);
            caller.welcome(&mut writes, "store-1", heartbeat).await?;
            Ok(name)
        };
        tokio::join!(slave, master)
    }

    #[tokio::test]
    async fn a_slave_with_the_right_password_is_welcome() {
        let (slave, master) = call("linux-1", "secret").await;
        let welcome = slave.unwrap();
        assert_eq!(welcome.master, "store-1");
        assert_eq!(welcome.heartbeat, Duration::from_secs(20));
        assert_eq!(master.unwrap(), "linux-1");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_name_and_a_wrong_password_sound_the_same_to_the_slave() {
        for (name, password, logged) in [
            ("linux-1", "sekret", "slave `linux-1` has another password"),
            ("linux-2", "secret", "slave `linux-2` is not configured"),
            ("linux-2", "", "slave `linux-2` is not configured"),
        ] {
            let asked = Instant::now();
            let (slave, master) = call(name, password).await;
            assert_eq!(asked.elapsed(), PAUSE, "and take the same time");
            assert_eq!(
                slave.unwrap_err().to_string(),
                format!(
                    "the master refuses: `{name}` is not a slave of this master, or its password \
                     is another"
                )
            );
            assert_eq!(master.unwrap_err().to_string(), logged);
        }
    }

    #[tokio::test]
    async fn a_master_that_does_not_know_the_password_is_not_believed() {
        let ((mut slave_reads, mut slave_writes), (mut reads, mut writes)) = line();
        let slave = slave_login(&mut slave_reads, &mut slave_writes, "linux-1", "secret");
        let thief = async {
            reads.preamble().await.unwrap();
            let _hello: Option<FromSlave> = reads.next().await.unwrap();
            let challenge = FromMaster::Challenge {
                protocol: PROTOCOL,
                version: String::new(),
                features: Vec::new(),
                salt: vec![1],
                nonce: vec![2],
            };
            writes.send(&challenge).await.unwrap();
            let Some(FromSlave::Login { proof }) = reads.next().await.unwrap() else {
                panic!("no login");
            };
            // The slave's own proof, sent back to it.
            let (master, heartbeat_secs) = ("store-1".to_owned(), 20);
            let welcome = FromMaster::Welcome {
                proof,
                master,
                heartbeat_secs,
            };
            writes.send(&welcome).await.unwrap();
        };
        let (slave, ()) = tokio::join!(slave, thief);
        assert!(matches!(slave, Err(LoginError::FalseMaster)));
    }

    #[tokio::test]
    async fn a_stranger_cannot_make_the_master_hold_a_long_frame() {
        let ((_, mut stranger), (mut reads, mut writes)) = line();
        stranger.preamble();
        let hello = FromSlave::Hello {
            protocol: PROTOCOL,
            version: "x".repeat(100_000),
            features: Vec::new(),
            name: String::new(),
            nonce: Vec::new(),
        };
        let speaking = stranger.send(&hello);
        let asking = master_login(&mut reads, &mut writes, |_: &str| None);
        let error = tokio::select! {
            error = asking => error.unwrap_err(),
            _ = speaking => panic!("nobody reads all of that"),
        };
        let LoginError::Wire(WireError::TooLong { most, .. }) = error else {
            panic!("{error}");
        };
        assert_eq!(most, MAX_STRANGER_FRAME);
    }

    /// What a slave says from its preamble to its proof, to a master with a challenge of its own.
    async fn overheard() -> Vec<u8> {
        let (near, mut far) = duplex(4096);
        let (read, write) = split(near);
        let (mut slave_reads, mut slave_writes) = (FrameReader::new(read), FrameWriter::new(write));
        let slave = slave_login(&mut slave_reads, &mut slave_writes, "linux-1", "secret");
        let listening = async {
            let mut heard = vec![0; 4096];
            let hello = far.read(&mut heard).await.unwrap();
            FrameWriter::new(&mut far)
                .send(&FromMaster::Challenge {
                    protocol: PROTOCOL,
                    version: String::new(),
                    features: Vec::new(),
                    salt: vec![1],
                    nonce: vec![2],
                })
                .await
                .unwrap();
            let login = far.read(&mut heard[hello..]).await.unwrap();
            heard.truncate(hello + login);
            heard
        };
        tokio::select! {
            heard = listening => heard,
            _ = slave => panic!("nobody answers"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_overheard_works_no_second_time() {
        let heard = overheard().await;
        let (mut stranger, far) = duplex(4096);
        let (read, write) = split(far);
        let (mut reads, mut writes) = (FrameReader::new(read), FrameWriter::new(write));
        stranger.write_all(&heard).await.unwrap();
        let lookup = |_: &str| Some("secret".to_owned());
        let error = master_login(&mut reads, &mut writes, lookup).await;
        assert_eq!(
            error.unwrap_err().to_string(),
            "slave `linux-1` has another password"
        );
    }

    #[tokio::test]
    async fn both_sides_take_a_new_number_for_each_login() {
        let mut numbers = Vec::new();
        for _ in 0..2 {
            let ((mut slave_reads, mut slave_writes), (mut reads, mut writes)) = line();
            slave_writes.preamble();
            let hello = FromSlave::Hello {
                protocol: PROTOCOL,
                version: String::new(),
                features: Vec::new(),
                name: "linux-1".to_owned(),
                nonce: Vec::new(),
            };
            slave_writes.send(&hello).await.unwrap();
            let asking = master_login(&mut reads, &mut writes, |_: &str| None);
            tokio::select! {
                _ = asking => panic!("it waits for a proof"),
                said = slave_reads.next() => match said.unwrap() {
                    Some(FromMaster::Challenge { salt, nonce, .. }) => {
                        assert_eq!((salt.len(), nonce.len()), (NONCE, NONCE));
                        numbers.extend([salt, nonce]);
                    }
                    other => panic!("{other:?}"),
                }
            }
            // A slave's number stands behind its name in the first frame.
            let first = overheard().await;
            let at = first.windows(5).position(|it| it == b"nonce").unwrap();
            numbers.push(first[at + 7..at + 7 + NONCE].to_vec());
        }
        let count = numbers.len();
        numbers.sort();
        numbers.dedup();
        assert_eq!((count, numbers.len()), (6, 6));
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_fills_the_log_is_not_looked_at() {
        let (slave, master) = call(&"x".repeat(201), "secret").await;
        assert!(matches!(slave, Err(LoginError::Slow)), "it is not answered");
        assert_eq!(
            master.unwrap_err().to_string(),
            "the caller gives a name of 201 bytes"
        );
    }

    #[tokio::test]
    async fn who_is_turned_away_hears_why_and_until_when() {
        let ((mut slave_reads, mut slave_writes), (mut reads, mut writes)) = line();
        let slave = slave_login(&mut slave_reads, &mut slave_writes, "linux-1", "secret");
        let wait = Some(Duration::from_millis(2500));
        let away = turn_away(&mut reads, &mut writes, "too many".to_owned(), wait);
        let (slave, away) = tokio::join!(slave, away);
        away.unwrap();
        let Err(LoginError::Rejected { why, retry_after }) = slave else {
            panic!("it is let in");
        };
        assert_eq!(why, "too many");
        assert_eq!(retry_after, Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_refusal_without_a_time_is_said_as_it_always_was() {
        let retry_after_secs = None;
        let rejected = FromMaster::Rejected {
            why: "no".to_owned(),
            retry_after_secs,
        };
        let bytes = rmp_serde::to_vec_named(&rejected).unwrap();
        assert_eq!(bytes, b"\x81\xa8rejected\x81\xa3why\xa2no");
        let again: FromMaster = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(again, rejected);
    }
}
