//! The dialect `poller`: pollers are to look now.

use super::Knock;
use super::Refused;

/// Which; none is all of them.
pub(super) fn read(knock: &Knock, allowed: &[String]) -> Result<Vec<String>, Refused> {
    let mut fields = knock.query.clone();
    if !knock.body.is_empty() {
        // A forge sends what it likes; only a form can name a poller.
        fields.extend(knock.form().unwrap_or_default());
    }
    let asked = fields.into_iter().filter(|(name, _)| name == "poller");
    let asked: Vec<String> = asked.map(|(_, value)| value).collect();
    if allowed.is_empty() {
        return Ok(asked);
    }
    if let Some(other) = asked.iter().find(|it| !allowed.contains(it)) {
        let what = format!("this hook does not wake `{}`", other.escape_debug());
        return Err(Refused::Bad(what));
    }
    Ok(if asked.is_empty() {
        allowed.to_vec()
    } else {
        asked
    })
}
