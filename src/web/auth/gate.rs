//! Whether a name and a password let somebody in. Hashing is slow on purpose: it has threads of
//! its own, few of them, and who is wrong too often has to wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use hmac::Hmac;
use hmac::KeyInit as _;
use hmac::Mac as _;
use sha2::Sha256;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::config::KnownPassword;
use crate::config::Person;
use crate::logins;
use crate::logins::Digest;
use crate::logins::Hash;
use crate::logins::Patience;
use crate::logins::Rate;
use crate::secrets::is_same;

use super::super::app::App;
use super::super::failure::Failure;
use super::accounts;
use super::accounts::Account;
use super::accounts::Files;
use super::audit::Quiet;

/// Wrong passwords of one address: ten at once, then one every six seconds.
const OF_ADDRESS: Rate = Rate {
    times: 10,
    each: Duration::from_secs(6),
};
/// Wrong passwords of one name, from wherever: who owns the name shares it with who guesses.
const OF_NAME: Rate = Rate {
    times: 20,
    each: Duration::from_secs(3),
};
/// Passwords that are hashed at once; each takes 20 MB and a core.
const HASHING: usize = 2;
/// Logins that may wait for that.
const WAITING: usize = 32;
/// Logins of programs that were checked lately.
const CHECKED: usize = 256;
/// For so long a program is not asked to wait for its password to be hashed again.
const LATELY: Duration = Duration::from_mins(10);
/// Bytes of a name.
const NAME: usize = 256;

/// Lets people in.
#[derive(Debug)]
pub(in crate::web) struct Gate {
    wrong: Mutex<Wrong>,
    hashing: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// By what nobody can make who does not know the password and this process.
    checked: Mutex<HashMap<Digest, Instant>>,
    key: [u8; 32],
    pub(super) files: Arc<Files>,
    pub(super) quiet: Mutex<Quiet>,
}

#[derive(Debug)]
struct Wrong {
    addresses: Patience<IpAddr>,
    names: Patience<String>,
}

/// Why somebody is not let in.
#[derive(Clone, Debug)]
pub(in crate::web) enum LoginError {
    /// Which of the two is wrong is nobody's business.
    Wrong,
    /// So long.
    Wait(Duration),
    /// Others are being let in.
    Busy,
    Failure(Failure),
}

impl From<LoginError> for Failure {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Wrong => Self::BadLogin,
            LoginError::Wait(time) => Self::TooOften(time),
            LoginError::Busy => Self::TooOften(Duration::from_secs(1)),
            LoginError::Failure(failure) => failure,
        }
    }
}

impl Gate {
    pub(in crate::web) fn new() -> Self {
        let mut key = [0; 32];
        // Without chance nothing is remembered; see `remember`.
        let has_key = getrandom::fill(&mut key).is_ok();
        Self {
            wrong: Mutex::new(Wrong {
                addresses: Patience::new(OF_ADDRESS),
                names: Patience::new(OF_NAME),
            }),
            hashing: Arc::new(Semaphore::new(HASHING)),
            waiting: Arc::new(Semaphore::new(WAITING)),
            checked: Mutex::default(),
            key: if has_key { key } else { [0; 32] },
            files: Arc::default(),
            quiet: Mutex::default(),
        }
    }

    /// How long somebody has to wait who was wrong too often.
    pub(in crate::web) fn wait(&self, address: Option<IpAddr>, name: &str) -> Option<Duration> {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let of_address = address.and_then(|it| wrong.addresses.wait(&network(it), now));
        let of_name = wrong.names.wait(&cut(name), now);
        of_address.max(of_name)
    }

    /// Counts that somebody was wrong.
    pub(in crate::web) fn was_wrong(&self, address: Option<IpAddr>, name: &str) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some(address) = address {
            wrong.addresses.wrong(network(address), now);
        }
        if !name.is_empty() {
            wrong.names.wrong(cut(name), now);
        }
    }

    /// What a login is remembered by: one of another password, in any sense, is another.
    fn memory(&self, name: &str, account: &Account, password: &[u8]) -> Digest {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of any length");
        for part in [name.as_bytes(), account.proof().as_bytes(), password] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    fn knows(&self, memory: &Digest) -> bool {
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let at = checked.get(memory);
        at.is_some_and(|it| it.elapsed() < LATELY)
    }

    fn remember(&self, memory: Digest) {
        if self.key == [0; 32] {
            return;
        }
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if checked.len() >= CHECKED {
            checked.retain(|_, at| at.elapsed() < LATELY);
        }
        if checked.len() >= CHECKED {
            checked.clear();
        }
        checked.insert(memory, Instant::now());
    }

    /// Hashes a password where nothing waits for it.
    async fn is_of(&self, hash: Option<Hash>, password: Vec<u8>) -> Result<bool, LoginError> {
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(LoginError::Busy);
        };
        let hashing = Arc::clone(&self.hashing).acquire_owned().await;
        let checking = tokio::task::spawn_blocking(move || {
            let _hashing = hashing;
            let hash = hash.as_ref().or(DUMMY.as_ref());
            hash.is_some_and(|it| it.is_of(&password))
        });
        checking
            .await
            .map_err(|_| LoginError::Failure(Failure::Lost))
    }
}

/// Something to hash for who is not known, so that they wait as long as who is.
static DUMMY: LazyLock<Option<Hash>> = LazyLock::new(|| logins::make("nobody").ok());

/// Who has one address has the whole network, with IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(it) => it.into(),
        IpAddr::V6(it) => {
            let [a, b, c, d, ..] = it.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

fn cut(name: &str) -> String {
    name.chars().take(NAME).collect()
}

/// Lets in who shows the right password. Nothing is written down of it.
pub(super) async fn check(
    app: &App,
    name: &str,
    password: &[u8],
    address: Option<IpAddr>,
) -> Result<(Person, String), LoginError> {
    let gate = &app.gate;
    let is_form = !name.is_empty()
        && name.len() <= NAME
        && !name.contains(char::is_control)
        && logins::is_password(password);
    let account = match is_form {
        true => accounts::find(app, name)
            .await
            .map_err(LoginError::Failure)?,
        false => None,
    };
    let memory = account.as_ref().map(|it| gate.memory(name, it, password));
    if let (Some(account), Some(memory)) = (&account, &memory)
        && gate.knows(memory)
    {
        return Ok((account.person.clone(), account.proof().to_owned()));
    }
    if let Some(wait) = gate.wait(address, name) {
        return Err(LoginError::Wait(wait));
    }
    let known = account.as_ref().map(|it| &it.known);
    let hash = match known {
        Some(KnownPassword::Hashed(hash)) => Some(hash.clone()),
        Some(KnownPassword::Plain(_)) | None => None,
    };
    // What cannot be right is not worth the time.
    let is_of_hash = is_form && gate.is_of(hash, password.to_vec()).await?;
    let is_right = match known {
        Some(KnownPassword::Plain(text)) => is_same(text, password),
        Some(KnownPassword::Hashed(_)) => is_of_hash,
        None => false,
    };
    match (account, memory) {
        (Some(account), Some(memory)) if is_right => {
            gate.remember(memory);
            let proof = account.proof().to_owned();
            Ok((account.person, proof))
        }
        _ => {
            gate.was_wrong(address, name);
            Err(LoginError::Wrong)
        }
    }
}
