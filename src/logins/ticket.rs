//! What is shown instead of a password: a text that nobody can guess. Who gives it out keeps its
//! [`Digest`] only, so that what is kept opens nothing.

use std::fmt;

use hmac::Hmac;
use hmac::KeyInit as _;
use hmac::Mac as _;
use sha2::Digest as _;
use sha2::Sha256;

use super::hash::hex;

/// What is kept of a ticket.
pub(crate) type Digest = [u8; 32];

/// Bytes of chance.
const BYTES: usize = 32;

/// A text that nobody can guess. Its `Debug` form shows nothing of it.
pub(crate) struct Ticket(String);

impl Ticket {
    /// Makes one that begins with `prefix`, so that who finds it somewhere knows what it is.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn new(prefix: &str) -> Result<Self, String> {
        let mut bytes = [0_u8; BYTES];
        getrandom::fill(&mut bytes)
            .map_err(|error| format!("there are no random numbers: {error}"))?;
        Ok(Self(format!("{prefix}{}", hex(&bytes))))
    }

    /// The text, for the one who is given it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub(crate) fn digest(&self) -> Digest {
        Sha256::digest(&self.0).into()
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(…)")
    }
}

/// What would be kept of a ticket that somebody shows, if it has the form of one. Looking it up
/// tells nothing of how much of it was right: a digest cannot be aimed.
pub(crate) fn digest(prefix: &str, shown: &str) -> Option<Digest> {
    let rest = shown.strip_prefix(prefix)?;
    let is_form = rest.len() == 2 * BYTES
        && rest
            .bytes()
            .all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it));
    is_form.then(|| Sha256::digest(shown).into())
}

/// What binds a ticket to a text: whoever has the outcome alone learns nothing of either.
pub(crate) fn bind(ticket: &str, text: &str) -> Digest {
    let mut mac = Hmac::<Sha256>::new_from_slice(ticket.as_bytes()).expect("a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_known_by_its_digest_and_no_two_are_the_same() {
        let [one, two] = [
            Ticket::new("at_").expect("made"),
            Ticket::new("at_").expect("made"),
        ];
        assert_ne!(one.expose(), two.expose());
        assert_eq!(digest("at_", one.expose()), Some(one.digest()));
        assert_eq!(format!("{one:?}"), "Ticket(…)");
        assert_eq!(bind("a", "b"), bind("a", "b"));
        assert!(bind("a", "b") != bind("a", "c") && bind("a", "b") != bind("c", "b"));
        let longer = format!("{}0", one.expose());
        let upper = one.expose().to_uppercase();
        let cut = &one.expose()[..one.expose().len() - 1];
        for forged in ["", "at_", cut, &longer, &upper, "at_x", &one.expose()[3..]] {
            assert_eq!(digest("at_", forged), None, "{forged}");
        }
    }
}
