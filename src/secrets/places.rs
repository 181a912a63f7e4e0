//! Looking a secret up, and who else could: a file that others may read is
//! refused, whatever is in it.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::OFlags;

use super::Secret;
use super::Settings;
use super::read::Variables;
use super::tree;
use super::variable;
use crate::model::SHORTEST_MASKED;
use crate::model::SecretName;
use crate::model::SecretRef;
use crate::syntax::Code;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;

/// Larger files are not files of secrets.
const LARGEST: u64 = 1 << 20;

/// Why there is no value. It never tells one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("there is no secret `{name}` in {looked}")]
    Unknown { name: SecretName, looked: String },
    #[error("there is no secret `{0}`: no section [:secrets:] says where secrets come from")]
    NoPlaces(SecretName),
    #[error("the secret `{name}` cannot be read: {why}")]
    File {
        name: SecretName,
        why: String,
        path: PathBuf,
        /// Others may read the file.
        is_open: bool,
    },
    #[error("the secret `{name}` {why}")]
    Value { name: SecretName, why: String },
}

impl SecretError {
    fn help(&self) -> Option<String> {
        match self {
            Self::File {
                path,
                is_open: true,
                ..
            } => Some(format!("`chmod 600 {}` keeps it secret", path.display())),
            Self::NoPlaces(_) => Some(
                "`[:secrets:]` with `file = secrets.toml` takes them from a file with mode 0600"
                    .into(),
            ),
            Self::Unknown { .. } | Self::File { .. } | Self::Value { .. } => None,
        }
    }
}

/// The places of a configuration, ready to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Secrets {
    settings: Settings,
}

impl Secrets {
    pub(crate) const fn of(settings: Settings) -> Self {
        Self { settings }
    }

    /// Reads the value of `name`, now. The first place that has it counts; one that
    /// cannot be read is an error, and not passed over.
    pub(crate) fn get(&self, name: &SecretName) -> Result<Secret, SecretError> {
        let settings = &self.settings;
        if *settings == Settings::default() {
            return Err(SecretError::NoPlaces(name.clone()));
        }
        for path in &settings.files {
            if let Some(value) = in_file(path, name)? {
                return checked(name, value);
            }
        }
        if let Some(directory) = &settings.directory
            && let Some(value) = in_directory(directory, name)?
        {
            return checked(name, value);
        }
        if let Some(variable) = self.variable_of(name) {
            let value = variable.into_string().map_err(|_| SecretError::Value {
                name: name.clone(),
                why: "is not written in UTF-8".into(),
            })?;
            return checked(name, value);
        }
        Err(SecretError::Unknown {
            name: name.clone(),
            looked: self.looked(),
        })
    }

    /// The value of a reference: of the secret, or its default where no place has it.
    /// `true` if it is the secret's.
    pub(super) fn resolve(&self, wanted: &SecretRef) -> Result<(Secret, bool), SecretError> {
        match (self.get(&wanted.name), &wanted.fallback) {
            (Ok(secret), _) => Ok((secret, true)),
            (Err(SecretError::Unknown { .. } | SecretError::NoPlaces(_)), Some(text)) => {
                Ok((Secret(text.clone()), false))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Looks whether every secret that the configuration names has a value.
    pub(crate) fn check(&self, names: &[(SecretRef, Place)], problems: &mut Problems) {
        let mut seen: Vec<(SecretRef, Option<Problem>)> = Vec::new();
        for (wanted, place) in names {
            let known = seen.iter().find(|(it, _)| it == wanted);
            let problem = match known {
                Some((_, problem)) => problem.clone(),
                None => {
                    let problem = self.problem_of(wanted);
                    seen.push((wanted.clone(), problem.clone()));
                    problem
                }
            };
            if let Some(problem) = problem {
                problems.note(problem.at(place));
            }
        }
    }

    fn problem_of(&self, wanted: &SecretRef) -> Option<Problem> {
        match self.resolve(wanted) {
            Ok((secret, true)) if secret.expose().chars().count() < SHORTEST_MASKED => {
                let what = format!("the secret `{}` is too short to be masked", wanted.name);
                let problem = Problem::warning(Code::BadSecret, what);
                Some(problem.label(format!(
                    "a log shows a value of less than {SHORTEST_MASKED} characters"
                )))
            }
            Ok(_) => None,
            Err(error) => {
                let problem = Problem::error(Code::BadSecret, error.to_string());
                Some(match error.help() {
                    Some(help) => problem.help(help),
                    None => problem,
                })
            }
        }
    }

    /// The variables of this process that are secrets: what is started must not inherit them.
    pub(crate) fn variables(&self) -> Vec<OsString> {
        let is_secret = |name: &OsString| {
            let name = name.to_string_lossy();
            self.settings.environment.iter().any(|it| match it {
                Variables::Named(known) => name == *known,
                Variables::Prefix(prefix) => name.starts_with(prefix),
            })
        };
        let names = env::vars_os().map(|(name, _)| name);
        names.filter(is_secret).collect()
    }

    fn variable_of(&self, name: &SecretName) -> Option<OsString> {
        self.settings.environment.iter().find_map(|it| match it {
            Variables::Named(known) if known == name.as_str() => env::var_os(known),
            Variables::Named(_) => None,
            Variables::Prefix(prefix) => env::var_os(variable(prefix, name)),
        })
    }

    /// Where was looked, for who wonders.
    fn looked(&self) -> String {
        let settings = &self.settings;
        let files = settings
            .files
            .iter()
            .map(|it| format!("`{}`", it.display()));
        let directory = settings.directory.iter();
        let directory = directory.map(|it| format!("the directory `{}`", it.display()));
        let environment = settings.environment.iter().map(|it| match it {
            Variables::Named(name) => format!("the variable `{name}`"),
            Variables::Prefix(prefix) => format!("the variables `{prefix}…`"),
        });
        let all: Vec<_> = files.chain(directory).chain(environment).collect();
        all.join(", ")
    }
}

fn checked(name: &SecretName, value: String) -> Result<Secret, SecretError> {
    let why = if value.is_empty() {
        "is empty"
    } else if value.contains('\0') {
        "holds a NUL character"
    } else {
        return Ok(Secret(value));
    };
    Err(SecretError::Value {
        name: name.clone(),
        why: why.into(),
    })
}

fn in_file(path: &Path, name: &SecretName) -> Result<Option<String>, SecretError> {
    let broken = |why: String| SecretError::File {
        name: name.clone(),
        why: format!("`{}`: {why}", path.display()),
        path: path.to_owned(),
        is_open: false,
    };
    let text = read_private(path).map_err(|fault| fault.told(name, path))?;
    let is_toml = path.extension().is_some_and(|it| it == "toml");
    let map = tree::parse(&text, is_toml).map_err(broken)?;
    match tree::look_up(&map, name.as_str()) {
        tree::Found::Nothing => Ok(None),
        tree::Found::Value(value) => Ok(Some(value)),
        tree::Found::Other(what) => Err(SecretError::Value {
            name: name.clone(),
            why: format!("is {what} in `{}`, and no text", path.display()),
        }),
    }
}

fn in_directory(directory: &Path, name: &SecretName) -> Result<Option<String>, SecretError> {
    let path = directory.join(name.as_str());
    let mut value = match read_private(&path) {
        Err(Fault::Io(error))
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        other => other.map_err(|fault| fault.told(name, &path))?,
    };
    if value.ends_with('\n') {
        value.pop();
    }
    Ok(Some(value))
}

/// Why a file is not read.
enum Fault {
    Io(io::Error),
    NoFile,
    /// Others may read it; its mode.
    Open(u32),
    Foreign(u32),
    Large,
    Undecoded,
}

impl Fault {
    fn told(self, name: &SecretName, path: &Path) -> SecretError {
        let is_open = matches!(self, Self::Open(_));
        let why = match self {
            Self::Io(error) => error.to_string(),
            Self::NoFile => "it is no file".into(),
            Self::Open(mode) => format!("others may read it, its mode is {mode:04o}"),
            Self::Foreign(user) => format!("it belongs to user {user}, neither to us nor to root"),
            Self::Large => "it is larger than 1 MiB".into(),
            Self::Undecoded => "it is not written in UTF-8".into(),
        };
        SecretError::File {
            name: name.clone(),
            why: format!("`{}`: {why}", path.display()),
            path: path.to_owned(),
            is_open,
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a file that is ours or root's and that nobody else may read. What is asked
/// is the open file, not its name, which may be another's by then.
fn read_private(path: &Path) -> Result<String, Fault> {
    // Without waiting: a FIFO must not hold up whoever asks.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag is small");
    let mut file = File::options().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Fault::NoFile);
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(Fault::Open(mode));
    }
    let owner = metadata.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(Fault::Foreign(owner));
    }
    if metadata.len() > LARGEST {
        return Err(Fault::Large);
    }
    let mut bytes = Vec::new();
    file.by_ref().take(LARGEST).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|_| Fault::Undecoded)
}
