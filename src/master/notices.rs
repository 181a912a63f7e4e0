//! Tells those whom a slave's section names that it is missing, once for each
//! absence. What was told is written down; what could not be sent is tried
//! again.

use std::collections::BTreeMap;
use std::future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time;
use tracing::{error, info, warn};

use crate::clock;
use crate::config::{Plan, SlavePlan};
use crate::mail;
use crate::mail::Letter;
use crate::master::absences;
use crate::master::absences::{Absence, Sight, Unsent, due, later};
use crate::master::crew::Crew;
use crate::model::SlaveName;
use crate::model::Status;
use crate::model::Timestamp;
use crate::schedulers::Zone;

/// How long a mail rests that could not be sent, at first and at most.
const FIRST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_mins(10);
/// Between two looks at most: a clock may be set.
const LOOK: Duration = Duration::from_mins(1);
/// How long others may take to come and go with the first.
const SETTLED: Duration = Duration::from_millis(200);
/// What is told of a slave's own words, in characters.
const ADMIN: usize = 1000;

const NO_POST: &str = "no status target sends mails: `[status:mail]` says how";

/// A mail that could not be sent.
struct Try {
    at: Timestamp,
    rest: Duration,
}

/// Looks at who is away until the master stops.
pub(super) async fn run(crew: Arc<Crew>) {
    let mut heard = crew.status.subscribe();
    let mut tries: BTreeMap<SlaveName, Try> = BTreeMap::new();
    let mut is_written = true;
    loop {
        is_written = look(&crew, is_written).await;
        let all = crew.absences.all();
        tries.retain(|name, _| all.contains_key(name));
        let (now, plan) = (clock::now(), crew.plan());
        let zone = Zone::from(clock::zone());
        let waiting = plan.slaves.iter().filter_map(|slave| {
            let absence = all.get(&slave.name)?;
            let due = due(absence, slave, crew.started, &zone)?;
            let again = tries.get(&slave.name).map_or(due, |it| it.at);
            Some((due.max(again), slave, absence))
        });
        let next = waiting.min_by_key(|(at, _, _)| *at);
        if let Some((at, slave, absence)) = next
            && at <= now
            && is_written
        {
            let last = tries.remove(&slave.name);
            if let Some(next) = tell(&crew, &plan, slave, absence, last).await {
                tries.insert(slave.name.clone(), next);
            } else {
                is_written = false;
            }
            continue;
        }
        let rest = next.map_or(LOOK, |(at, _, _)| {
            let millis = u64::try_from(at.0.saturating_sub(now.0)).unwrap_or_default();
            Duration::from_millis(millis).min(LOOK)
        });
        // A store that cannot write is asked again.
        let rest = if is_written { rest } else { FIRST_REST };
        if let Ok(News::Reloaded) = time::timeout(rest, news(&mut heard)).await {
            // What was in the way may have been mended.
            tries.clear();
        }
    }
}

enum News {
    SlaveChanged,
    Reloaded,
}

/// Comes back when a slave may have come or gone.
async fn news(heard: &mut Receiver<Arc<Status>>) -> News {
    loop {
        match heard.recv().await.as_deref() {
            Ok(Status::SlaveChanged { .. }) | Err(RecvError::Lagged(_)) => break,
            Ok(Status::Reloaded) => return News::Reloaded,
            Ok(_) => {}
            // The crew that is lent to us holds the other end.
            Err(RecvError::Closed) => future::pending().await,
        }
    }
    // Many come and go together: they are looked at, and written down, at once.
    time::sleep(SETTLED).await;
    let mut news = News::SlaveChanged;
    loop {
        match heard.try_recv() {
            Ok(status) if matches!(*status, Status::Reloaded) => news = News::Reloaded,
            Ok(_) | Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return news,
        }
    }
}

/// Looks at every slave, and writes down what has changed; `false` if that failed.
async fn look(crew: &Arc<Crew>, is_written: bool) -> bool {
    let before = crew.absences.all();
    let mut all = before.clone();
    let (now, plan) = (clock::now(), crew.plan());
    let is_known = |name: &SlaveName| plan.slaves.iter().any(|it| it.name == *name);
    all.retain(|name, _| is_known(name));
    for slave in &plan.slaves {
        let seat = crew.slaves.seat(&slave.name);
        let session = seat.session.filter(|it| !it.closed.is_cancelled());
        if session.is_some() && !all.contains_key(&slave.name) {
            continue;
        }
        let info = seat.facts.and_then(|it| it.info.get("admin").cloned());
        let sight = Sight {
            is_here: session.is_some(),
            last_heard: seat.last_heard,
            admin: info.map(|it| shown(&it)).filter(|it| !it.is_empty()),
            phase: crew.fleet.phase(&slave.name),
        };
        absences::see(&mut all, slave, sight, now);
    }
    if all == before && is_written {
        return true;
    }
    let rows = absences::written(&all);
    crew.absences.set(all);
    let written = crew
        .store
        .write(move |verbs| verbs.save_state(absences::OBJECT, &rows));
    match written.await {
        Ok(()) => true,
        Err(why) => {
            error!(reason = %why, "failed to write down which slaves are away; trying again");
            false
        }
    }
}

/// Tells one absence; gives back when that is tried again, if it could not be told.
async fn tell(
    crew: &Arc<Crew>,
    plan: &Plan,
    slave: &SlavePlan,
    absence: &Absence,
    last: Option<Try>,
) -> Option<Try> {
    let name = &slave.name;
    let now = clock::now();
    let post = plan.status.iter().find_map(|it| it.settings.post());
    let sent = match &post {
        Some(post) => {
            let letter = letter(plan, slave, absence, &crew.identity, now);
            mail::send(post, &letter)
                .await
                .map_err(|error| mail::reason(&error))
        }
        None => Err(NO_POST.to_owned()),
    };
    match sent {
        Ok(refused) => {
            info!(slave = %name, to = slave.notify_on_missing.join(", "), "slave is missing; that was told");
            let refused = refused
                .iter()
                .map(|it| format!("{}: {}", it.address, it.why));
            let refused: Vec<_> = refused.collect();
            let trouble = (!refused.is_empty()).then(|| Unsent {
                why: refused.join("; "),
                again: None,
            });
            if let Some(it) = &trouble {
                warn!(slave = %name, reason = it.why, "not everybody could be told that a slave is missing");
            }
            let mut all = crew.absences.all();
            if let Some(it) = all.get_mut(name) {
                it.told = Some(clock::now());
            }
            crew.absences.set(all);
            crew.absences.set_trouble(name, trouble);
            crew.tell(Status::SlaveChanged {
                slave: name.clone(),
            });
            None
        }
        Err(why) => {
            let rest = last.map_or(FIRST_REST, |it| (it.rest * 2).min(LONGEST_REST));
            let at = later(clock::now(), rest);
            let again = post.is_some().then_some(at);
            let before = crew.absences.trouble(name);
            // What nobody can have mended meanwhile is said once.
            if post.is_some() || before.is_none() {
                warn!(slave = %name, reason = why, "slave is missing, and that could not be told");
            }
            crew.absences.set_trouble(name, Some(Unsent { why, again }));
            crew.tell(Status::SlaveChanged {
                slave: name.clone(),
            });
            Some(Try { at, rest })
        }
    }
}

/// What a mail about an absence says.
fn letter(
    plan: &Plan,
    slave: &SlavePlan,
    absence: &Absence,
    identity: &str,
    now: Timestamp,
) -> Letter {
    let (name, master) = (&slave.name, &plan.master);
    let title = &master.title;
    let since = clock::long(absence.since);
    let away = u64::try_from(now.0 - absence.since.0).unwrap_or_default();
    let away = clock::human(Duration::from_millis(away));
    let mut subject = format!("autobot: slave {name} was lost");
    let mut body = match (&absence.failed, absence.was_here) {
        (Some(why), _) => {
            subject = format!("autobot: slave {name} never came");
            format!(
                "A build of {title} needs slave {name}, which the master began to start on \
                 {since}.\nIt did not come: {why}.\n\nThe master tries it again.\n"
            )
        }
        (None, true) => format!(
            "Slave {name} of {title} is missing. It was heard of last on {since},\n{away} ago.\n"
        ),
        (None, false) => format!(
            "Slave {name} of {title} is missing. The master has waited for it since\n{since}, \
             for {away}.\n"
        ),
    };
    if let Some(admin) = &absence.admin {
        body.push_str("\nWho looks after it, in its own words:\n");
        for line in admin.lines() {
            body.push_str(&format!("  {line}\n"));
        }
    }
    if let Some(url) = &master.base_url {
        let mut page = url.clone();
        page.push_str("buildslaves/");
        for byte in name.as_str().bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                    page.push(char::from(byte));
                }
                _ => page.push_str(&format!("%{byte:02X}")),
            }
        }
        body.push_str(&format!("\nIts page: {page}\n"));
    }
    body.push_str(&format!("\n-- \n{title}\n"));
    if let Some(url) = &master.title_url {
        body.push_str(&format!("{url}\n"));
    }
    let id: String = identity
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let hex: String = name
        .as_str()
        .bytes()
        .take(32)
        .map(|it| format!("{it:02x}"))
        .collect();
    Letter {
        to: slave.notify_on_missing.clone(),
        subject: shown(&subject).replace('\n', " "),
        body,
        id: format!("absence.{id}.{hex}.{}", absence.since.0),
        written: now,
    }
}

/// A slave's own words, without what moves a terminal and not too many.
fn shown(text: &str) -> String {
    let plain = |c: char| if c == '\n' || !c.is_control() { c } else { ' ' };
    let text: String = text.chars().map(plain).take(ADMIN).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan_of;

    fn plan() -> Plan {
        plan_of(
            "[:master:]\nslaveport = none\nhtmlport = none\ntitle = The farm\n\
             title_url = http://farm.example.org/\nbase_url = http://ci.example.org/\n\
             [status:mail]\nfromaddr = ci@example.org\n\
             [slave:s 1]\npassword = x\nnotify_on_missing = ann@example.org \"Bo <bo@example.org>\"\n\
             [echo]\ntype = shell\ncommands = true\n[builder:a]\nfactory = echo\nslaves = \"s 1\"\n",
        )
    }

    fn told(absence: &Absence) -> (String, String) {
        let plan = plan();
        let now = later(absence.since, Duration::from_hours(1));
        let letter = letter(&plan, &plan.slaves[0], absence, "a/b-7", now);
        assert_eq!(letter.to, ["ann@example.org", "Bo <bo@example.org>"]);
        assert_eq!(letter.id, "absence.ab7.732031.0");
        let since = clock::long(absence.since);
        assert!(letter.body.contains(&since), "{}", letter.body);
        (letter.subject, letter.body.replace(&since, "THEN"))
    }

    fn absence() -> Absence {
        Absence {
            since: Timestamp(0),
            was_here: true,
            admin: Some(shown("Ann <ann@example.org>\nroom\u{1b}[31m 7\n")),
            failed: None,
            told: None,
        }
    }

    #[test]
    fn a_notice_says_who_is_missing_since_when_and_who_looks_after_it() {
        let (subject, body) = told(&absence());
        assert_eq!(subject, "autobot: slave s 1 was lost");
        insta::assert_snapshot!(body, @"
        Slave s 1 of The farm is missing. It was heard of last on THEN,
        1 h 00 min ago.

        Who looks after it, in its own words:
          Ann <ann@example.org>
          room [31m 7

        Its page: http://ci.example.org/buildslaves/s%201

        -- 
        The farm
        http://farm.example.org/
        ");
    }

    #[test]
    fn a_notice_of_a_slave_that_was_never_heard_of_says_so() {
        let never = Absence {
            was_here: false,
            admin: None,
            ..absence()
        };
        let (subject, body) = told(&never);
        assert_eq!(subject, "autobot: slave s 1 was lost");
        insta::assert_snapshot!(body, @"
        Slave s 1 of The farm is missing. The master has waited for it since
        THEN, for 1 h 00 min.

        Its page: http://ci.example.org/buildslaves/s%201

        -- 
        The farm
        http://farm.example.org/
        ");
        let failed = Absence {
            failed: Some("no machine".into()),
            ..never
        };
        let (subject, body) = told(&failed);
        assert_eq!(subject, "autobot: slave s 1 never came");
        insta::assert_snapshot!(body, @"
        A build of The farm needs slave s 1, which the master began to start on THEN.
        It did not come: no machine.

        The master tries it again.

        Its page: http://ci.example.org/buildslaves/s%201

        -- 
        The farm
        http://farm.example.org/
        ");
    }
}
