//! What a page says first after a button was pressed in vain: the build has ended meanwhile, the
//! slave has gone. A browser is led back to the page, with the name of the notice in the address.
//! The words stand here and not in the address, so that no link makes a page say anything else.

use axum::http::HeaderMap;
use axum::response::Response;

use crate::master::handle::Denied;

use super::app::redirect;
use super::failure;
use super::failure::Failure;

/// What says in an address which notice is meant.
pub(super) const ARGUMENT: &str = "notice";

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    HasEnded,
    StillRuns,
    NoLongerWaits,
    NoSuchRequest,
    NotConnected,
    NotPaused,
    NothingThere,
}

/// Each with its name in addresses and its words.
const ALL: [(Notice, &str, &str); 7] = [
    (
        Notice::HasEnded,
        "has-ended",
        "The build had ended already: nothing was stopped.",
    ),
    (
        Notice::StillRuns,
        "still-runs",
        "The build still runs: it can be built again when it has ended. Nothing was asked for.",
    ),
    (
        Notice::NoLongerWaits,
        "no-longer-waits",
        "The request did not wait any more: it has begun, or was cancelled before. Nothing was cancelled.",
    ),
    (
        Notice::NoSuchRequest,
        "no-such-request",
        "No request has such a number: nothing was cancelled.",
    ),
    (
        Notice::NotConnected,
        "not-connected",
        "The slave is not connected: it was told nothing.",
    ),
    (
        Notice::NotPaused,
        "not-paused",
        "The slave was not paused any more: nothing was changed.",
    ),
    (
        Notice::NothingThere,
        "nothing-there",
        "There is nothing at the address that led here: nothing was done.",
    ),
];

impl Notice {
    /// What can come between the drawing of a page and a click on it.
    const fn of(denied: &Denied) -> Option<Self> {
        match denied {
            Denied::Finished(_) => Some(Self::HasEnded),
            Denied::Running(_) => Some(Self::StillRuns),
            Denied::NotWaiting(_) => Some(Self::NoLongerWaits),
            Denied::NotConnected(_) => Some(Self::NotConnected),
            Denied::NotPaused(_) => Some(Self::NotPaused),
            Denied::NoBuilder(_)
            | Denied::NoSlave(_)
            | Denied::NoBuild(_)
            | Denied::BadInput(_)
            | Denied::BadForm(_)
            | Denied::Full(_)
            | Denied::Pinging(_)
            | Denied::Kept(_)
            | Denied::NotForUsers(_)
            | Denied::Store(_) => None,
        }
    }

    /// Leads a browser back to the page, where it says so; a program is answered with the failure.
    pub(super) fn or(
        self,
        failure: Failure,
        headers: &HeaderMap,
        page: &str,
    ) -> Result<Response, Failure> {
        if !failure::wants_page(headers) || failure::wants_json(headers) {
            return Err(failure);
        }
        let (_, name, _) = ALL[self as usize];
        Ok(redirect(&format!("{page}?{ARGUMENT}={name}")))
    }
}

/// The same of what the master refused.
pub(super) fn of_denied(
    denied: Denied,
    headers: &HeaderMap,
    page: &str,
) -> Result<Response, Failure> {
    match Notice::of(&denied) {
        Some(notice) => notice.or(denied.into(), headers, page),
        None => Err(denied.into()),
    }
}

/// What the address of a page has it say.
pub(super) fn said(query: Option<&str>) -> Option<&'static str> {
    let mut arguments = query?.split('&').filter_map(|it| it.split_once('='));
    let (_, asked) = arguments.find(|it| it.0 == ARGUMENT)?;
    let mut all = ALL.iter();
    all.find(|it| it.1 == asked).map(|it| it.2)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;

    use super::*;
    use crate::web::tests::ask;
    use crate::web::tests::full;
    use crate::web::tests::get;
    use crate::web::tests::post;

    #[tokio::test]
    async fn who_presses_a_button_in_vain_is_led_back_and_reads_why_and_a_program_gets_the_failure()
    {
        let (desk, router) = full().await;
        let html = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        let json = ("accept", "application/json");
        let other = format!("id={}", desk.waiting[1]);
        for (path, form, page, notice, status) in [
            (
                "/builders/hello/builds/0/stop",
                "",
                "/builders/hello/builds/0",
                "../0?notice=has-ended",
                409,
            ),
            (
                "/builders/hello/builds/6/rebuild",
                "",
                "/builders/hello",
                "../../../hello?notice=still-runs",
                409,
            ),
            (
                "/builders/hello/cancelbuild",
                &*other,
                "/builders/hello",
                "../hello?notice=no-longer-waits",
                409,
            ),
            (
                "/builders/hello/cancelbuild",
                "id=x",
                "/builders/hello",
                "../hello?notice=no-such-request",
                400,
            ),
            (
                "/builders/hello/cancelbuild",
                "",
                "/builders/hello",
                "../hello?notice=no-such-request",
                400,
            ),
            (
                "/buildslaves/newt/shutdown",
                "",
                "/buildslaves/newt",
                "../newt?notice=not-connected",
                409,
            ),
            (
                "/buildslaves/newt/unpause",
                "",
                "/buildslaves/newt",
                "../newt?notice=not-paused",
                409,
            ),
            (
                "/buildslaves/newt/reboot",
                "",
                "/buildslaves/newt",
                "../newt?notice=nothing-there",
                404,
            ),
        ] {
            let pressed = post(&router, path, &[html], form).await;
            assert_eq!(
                (pressed.status, pressed.header("location")),
                (302, notice),
                "{path} {form}"
            );
            let (_, query) = notice.split_once('?').expect("a query");
            let words = said(Some(query)).expect("words");
            let words = format!("<p class=\"notice\" id=\"notice\" role=\"alert\">{words}</p>");
            let shown = get(&router, &format!("{page}?{query}")).await.body;
            assert!(shown.contains(&words), "{path}: {shown}");
            for headers in [&[][..], &[json][..]] {
                let told = post(&router, path, headers, form).await;
                assert_eq!(told.status, status, "{path} {form}: {}", told.body);
            }
        }
        assert_eq!(*desk.asked.lock().expect("not poisoned"), [""; 0]);
        // What can only be a mistake of an address stays one.
        let missing = post(&router, "/builders/hello/builds/99/stop", &[html], "").await;
        assert_eq!(missing.status, 404);
        let misspelled = Request::get("/buildslaves/newt/shutdwon");
        let misspelled = misspelled.header(html.0, html.1).body(Body::empty());
        let led = ask(&router, misspelled.expect("a request")).await;
        assert_eq!(
            (led.status, led.header("location")),
            (302, "../newt?notice=nothing-there")
        );
    }

    #[test]
    fn each_notice_is_found_by_its_name_and_nothing_else_is_said() {
        for (at, (notice, name, words)) in ALL.into_iter().enumerate() {
            assert_eq!(notice as usize, at, "{name}");
            let query = format!("branch=x&notice={name}");
            assert_eq!(said(Some(&query)), Some(words));
        }
        for other in ["", "notice=", "notice=Call+0800", "xnotice=has-ended"] {
            assert_eq!(said(Some(other)), None, "{other}");
        }
        assert_eq!(said(None), None);
    }
}
