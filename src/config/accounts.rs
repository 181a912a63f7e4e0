//! Who can log in: names and passwords of `[:authz:]`, of a file, of sections, of the store.

use std::fs;
use std::path::PathBuf;

use super::Origin;
use super::Plan;
use crate::logins::Hash;
use crate::logins::htpasswd::Htpasswd;
use crate::logins::htpasswd::LARGEST;
use crate::secrets::SecretError;
use crate::secrets::SecretText;
use crate::secrets::Secrets;
use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Shape;
use crate::syntax::Value;

/// Where names and passwords are looked up, in this order: who is found in one is not looked for
/// in the next.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Accounts {
    /// Those of the section itself.
    pub(crate) listed: Vec<(String, Password)>,
    /// Those of `[user:NAME]` sections count.
    pub(crate) of_sections: bool,
    /// Those of the store count.
    pub(crate) of_store: bool,
    pub(crate) htpasswd: Option<Htfile>,
}

/// A file of names and hashes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Htfile {
    pub(crate) path: PathBuf,
    origin: Origin,
}

/// A password of the configuration, or what one was made into. It may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Password(SecretText);

/// What a password that is shown is compared with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Known {
    Plain(String),
    Hashed(Hash),
}

impl Password {
    /// What it is now, for who compares it.
    ///
    /// # Errors
    /// The secret cannot be read.
    pub(crate) fn known(&self, secrets: &Secrets) -> Result<Known, SecretError> {
        let text = self.0.reveal(secrets)?;
        Ok(match Hash::is_marked(&text).then(|| Hash::read(&text)) {
            Some(Ok(hash)) => Known::Hashed(hash),
            _ => Known::Plain(text),
        })
    }
}

impl Value for Password {
    const EXPECTED: &'static str = "a password, a hash of one, or `${secret:NAME}`";
    const SHAPE: Shape = SecretText::SHAPE;

    fn read(node: &Node) -> Result<Self, Misread> {
        let wrong = |what: String| Misread {
            what: Some(what),
            ..Misread::default()
        };
        let text = node.as_text()?;
        if text.contains(['\0', '\r', '\n']) {
            return Err(wrong("a password is one line and not empty".into()));
        }
        if Hash::is_marked(text)
            && let Err(error) = Hash::read(text)
        {
            return Err(wrong(error.to_string()));
        }
        SecretText::read(node).map(Self)
    }
}

impl Accounts {
    /// Whether nobody can log in.
    pub(crate) fn is_none(&self) -> bool {
        self.listed.is_empty() && !self.of_sections && !self.of_store && self.htpasswd.is_none()
    }
}

/// Reads the keys of `[:authz:]`.
pub(super) fn read(keys: &mut Keys<'_>) -> Option<Accounts> {
    let listed = keys.optional::<Listed>("users");
    let htpasswd = keys.optional::<PathBuf>("htpasswd");
    let of_sections = keys.or("user_sections", false);
    let of_store = keys.or("database_users", false);
    let origin = |path| Htfile {
        path,
        origin: Origin {
            place: keys.place("htpasswd"),
            how: "[:authz:]".into(),
        },
    };
    Some(Accounts {
        listed: listed?.map(|it| it.0).unwrap_or_default(),
        htpasswd: htpasswd?.map(origin),
        of_sections: of_sections?,
        of_store: of_store?,
    })
}

/// Looks for the file that says who can log in: without it nobody could.
pub(super) fn check_file(plan: &Plan, problems: &mut Problems) {
    let Some(file) = &plan.authz.accounts.htpasswd else {
        return;
    };
    let shown = file.path.display();
    let text = match read_file(file) {
        Ok(text) => text,
        Err(why) => {
            let what = format!("`htpasswd` cannot be read: {why}");
            let problem = Problem::error(Code::Environment, what).at(&file.origin.place);
            problems.note(problem.help(format!("htpasswd -cB {shown} NAME")));
            return;
        }
    };
    let (read, bad) = Htpasswd::read(&text);
    for bad in bad {
        let whose = bad.name.map(|it| format!(" (`{}`)", it.escape_debug()));
        let what = format!(
            "line {} of `{shown}`{} lets nobody in: {}",
            bad.number,
            whose.unwrap_or_default(),
            bad.why
        );
        problems.note(Problem::warning(Code::Environment, what).at(&file.origin.place));
    }
    let short: Vec<_> = read
        .short()
        .map(|it| format!("`{}`", it.escape_debug()))
        .collect();
    if !short.is_empty() {
        let what = format!(
            "the first eight letters of a password are enough to log in as {}: their hashes in \
             `{shown}` are of the old `crypt`",
            short.join(", ")
        );
        let problem = Problem::warning(Code::Environment, what).at(&file.origin.place);
        problems.note(problem.help(format!(
            "`htpasswd -B {shown} NAME` makes a hash of all letters"
        )));
    }
}

/// The text of the file.
///
/// # Errors
/// Why it cannot be read, in words.
pub(crate) fn read_file(file: &Htfile) -> Result<String, String> {
    let size = fs::metadata(&file.path).map_err(|error| error.to_string())?;
    if !size.is_file() {
        return Err("it is no file".into());
    }
    if size.len() > LARGEST {
        return Err(format!("it is larger than {} MiB", LARGEST >> 20));
    }
    let bytes = fs::read(&file.path).map_err(|error| error.to_string())?;
    // A name that is no text is nobody's who can log in.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Names and passwords.
struct Listed(Vec<(String, Password)>);

impl Value for Listed {
    const EXPECTED: &'static str = "items such as `ann:PASSWORD`";
    const SHAPE: Shape = Shape::List(&Shape::Text);

    fn read(node: &Node) -> Result<Self, Misread> {
        let mut all: Vec<(String, Password)> = Vec::new();
        for (item, place) in Vec::<(String, Place)>::read(node)? {
            let wrong = |what: &str| Misread {
                what: Some(what.to_owned()),
                place: Some(place.clone()),
                ..Misread::default()
            };
            let (name, password) = item
                .split_once(':')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| wrong("expected `NAME:PASSWORD`"))?;
            if all.iter().any(|(it, _)| it == name) {
                return Err(wrong("this name stands twice"));
            }
            if password.is_empty() {
                return Err(wrong("there is no password behind the colon"));
            }
            let password = Password::read(&Node {
                place: place.clone(),
                content: Content::Text(password.to_owned()),
            })
            .map_err(|misread| wrong(misread.what.as_deref().unwrap_or(Password::EXPECTED)))?;
            all.push((name.to_owned(), password));
        }
        Ok(Self(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan_of;

    fn plan(path: &std::path::Path) -> Plan {
        plan_of(&format!(
            "[slave:s]\npassword = x\nfactories = hi\n[hi]\ntype = shell\ncommand = true\n\
             [:authz:]\nforce_build = authenticated\nhtpasswd = {}\n",
            path.display()
        ))
    }

    fn told(path: &std::path::Path) -> (bool, String) {
        let mut problems = Problems::default();
        check_file(&plan(path), &mut problems);
        let all: Vec<_> = problems.0.iter().map(|it| it.what.clone()).collect();
        let all = all.join("\n");
        let dir = path.parent().expect("a directory").display().to_string();
        (problems.has_errors(), all.replace(&dir, "DIR"))
    }

    #[test]
    fn a_file_that_says_who_can_log_in_must_be_there_when_it_is_loaded() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("staff");
        let missing = "`htpasswd` cannot be read: No such file or directory (os error 2)";
        assert_eq!(told(&path), (true, missing.to_owned()));
        fs::create_dir(&path).expect("a directory");
        let no_file = "`htpasswd` cannot be read: it is no file";
        assert_eq!(told(&path), (true, no_file.to_owned()));
        fs::remove_dir(&path).expect("removed");
        fs::write(&path, "ann:{SHA}zMYenyk23AIi9HVOvrfzLh8+0CI=\n").expect("written");
        assert_eq!(told(&path), (false, String::new()));
        fs::write(&path, "ann:otter\nbo:ab3KdlXGmp2GQ\ncy:abxxB7HlIeckU\n").expect("written");
        let (is_error, what) = told(&path);
        assert!(!is_error);
        assert_eq!(
            what,
            "line 1 of `DIR/staff` (`ann`) lets nobody in: this is not a hash of argon2, bcrypt, \
             SHA-crypt, apr1 or SHA-1\n\
             the first eight letters of a password are enough to log in as `bo`, `cy`: their hashes \
             in `DIR/staff` are of the old `crypt`"
        );
        let large = fs::File::create(&path).expect("a file");
        large.set_len(LARGEST + 1).expect("sparse");
        assert_eq!(
            told(&path).1,
            "`htpasswd` cannot be read: it is larger than 4 MiB"
        );
    }
}
