//! A password that must be said, and should not be the one that a program had for everybody.

use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Problem;

use super::SecretText;

/// Reads `passwd`, or `password`. The one that Buildbot had where nobody said another is taken, with a
/// warning; `help` says who is to be told another.
pub(crate) fn read_password(keys: &mut Keys<'_>, known: &str, help: &str) -> Option<SecretText> {
    let password = keys.required_as::<SecretText>(&["passwd", "password"])?;
    if password.is_plainly(known) {
        let said = ["passwd", "password"].into_iter().find(|it| keys.has(it));
        let what = format!("the password in {} is known to everybody", keys.title());
        let problem = Problem::warning(Code::KnownPassword, what)
            .at(&keys.place(said.unwrap_or("passwd")))
            .label("Buildbot had this one where nobody said another");
        keys.note(problem.help(help));
    }
    Some(password)
}
