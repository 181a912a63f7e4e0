//! What is shown to a master to be let in.

use std::fmt;

use crate::secrets::in_base64;

/// A token, or a name with its password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Also the secret of a hook.
    Token(String),
    Password {
        user: String,
        password: String,
    },
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Proof {
    /// What stands in `Authorization`.
    pub(super) fn header(&self) -> String {
        match self {
            Self::Token(token) => format!("Bearer {token}"),
            Self::Password { user, password } => {
                format!(
                    "Basic {}",
                    in_base64(format!("{user}:{password}").as_bytes())
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_a_header_and_shows_itself_to_nobody_else() {
        let token = Proof::Token("abc".into());
        assert_eq!(token.header(), "Bearer abc");
        let (user, password) = ("ann".into(), "pw".into());
        let login = Proof::Password { user, password };
        assert_eq!(login.header(), "Basic YW5uOnB3");
        assert_eq!(format!("{token:?} {login:?}"), "… …");
    }
}
