//! A visitor: who it is, how that is known, and from where.

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::config::About;
use crate::config::Action;
use crate::config::Person;
use crate::master::Access;
use crate::store::Act;

use super::super::client_address::Peer;
use super::super::failure::Failure;

/// Who a request is from.
#[derive(Clone, Debug)]
pub(in crate::web) struct Visitor {
    pub(super) way: Way,
    pub(super) person: Option<Person>,
    pub(super) peer: Peer,
    /// What was shown to be let in, and lets nobody in.
    pub(super) refusal: Option<Failure>,
    /// What was permitted, and is written down until it has ended.
    acts: Arc<Mutex<Vec<Arc<Act>>>>,
}

/// How it is known who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The socket that only the owner can open.
    Socket,
    Nobody,
    Session,
    Password,
    Token {
        name: String,
        scopes: Vec<String>,
    },
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket => f.write_str("socket"),
            Self::Nobody => f.write_str("nobody"),
            Self::Session => f.write_str("session"),
            Self::Password => f.write_str("password"),
            Self::Token { name, .. } => write!(f, "token {name}"),
        }
    }
}

impl Visitor {
    /// Somebody of whom nothing is known.
    pub(in crate::web) fn nobody(access: Access, peer: Peer) -> Self {
        Self {
            way: match access {
                Access::Owner => Way::Socket,
                Access::Full | Access::ReadOnly => Way::Nobody,
            },
            person: None,
            peer,
            refusal: None,
            acts: Arc::default(),
        }
    }

    /// Somebody, or who has logged in by this name.
    #[cfg(test)]
    pub(in crate::web) fn called_for_tests(name: Option<&str>) -> Self {
        let person = name.map(|it| Person::new(it, std::collections::BTreeMap::new()));
        Self {
            person,
            ..Self::nobody(Access::Full, Peer::default())
        }
    }

    /// The same, who has just logged in.
    pub(in crate::web) fn known_as(&self, person: Person) -> Self {
        Self {
            person: Some(person),
            way: Way::Password,
            ..self.clone()
        }
    }

    /// The name of who has logged in.
    pub(in crate::web) fn name(&self) -> Option<&str> {
        self.person.as_ref().map(Person::name)
    }

    /// Who it is in the log of what was done: a name that was typed counts for who needs none.
    pub(in crate::web) fn called<'a>(&'a self, typed: Option<&'a str>) -> Option<&'a str> {
        self.name().or(typed)
    }

    /// The token's name, if it is not good for this.
    pub(super) fn lacks_scope(&self, action: Action) -> Option<&str> {
        match &self.way {
            Way::Token { name, scopes } => {
                let has = scopes.iter().any(|it| it == action.as_str());
                // Whatever a token is for, it needs to see.
                (!has && action != Action::View).then_some(name.as_str())
            }
            Way::Socket | Way::Nobody | Way::Session | Way::Password => None,
        }
    }

    pub(super) fn acts(&self, act: Arc<Act>) {
        let acts = self.acts.lock();
        acts.unwrap_or_else(PoisonError::into_inner).push(act);
    }

    pub(super) fn acts_so_far(&self) -> Vec<Arc<Act>> {
        let acts = self.acts.lock();
        std::mem::take(&mut *acts.unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // It is there wherever the layer of `meet` is; where it is not, it is nobody.
        let found = parts.extensions.get().cloned();
        Ok(found.unwrap_or_else(|| Self::nobody(Access::ReadOnly, Peer::default())))
    }
}

tokio::task_local! {
    /// For what stands around every page, which no handler should have to hand on.
    static PAGE: Page;
}

/// Who looks at a page, and what it is about.
struct Page {
    visitor: Visitor,
    about: RefCell<Option<About>>,
}

/// Draws pages for this visitor as long as `answer` takes.
pub(super) async fn scope<F: Future>(visitor: Visitor, answer: F) -> F::Output {
    let page = Page {
        visitor,
        about: RefCell::default(),
    };
    PAGE.scope(page, answer).await
}

/// Says what the page that is answered is about, so that it shows the forms that are allowed for
/// that, and no others.
pub(in crate::web) fn about_page(about: About) {
    // Outside of a request there is no page.
    let _ = PAGE.try_with(|page| page.about.replace(Some(about)));
}

/// Who looks at the page that is drawn, and what it is about.
pub(in crate::web) fn of_page() -> Option<(Visitor, Option<About>)> {
    let read = |page: &Page| (page.visitor.clone(), page.about.borrow().clone());
    PAGE.try_with(read).ok()
}
