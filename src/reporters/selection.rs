//! Which builders a status target is about.

use crate::expr::TagExpression;
use crate::model::BuilderName;
use crate::syntax::Code;
use crate::syntax::Glob;
use crate::syntax::Keys;
use crate::syntax::Place;
use crate::syntax::Problem;

use super::Event;

/// Which builders a status target is about: one of the lists, or every builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    All,
    /// Names and patterns.
    Builders(Vec<String>),
    /// A builder without a category is in none of them.
    Categories(Vec<String>),
    /// An expression over tags.
    Tags(TagExpression),
}

/// The lists as they stand in the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    pub(super) builders: Vec<(String, Place)>,
    pub(super) categories: Vec<(String, Place)>,
    pub(super) tags: Option<(String, Place)>,
}

const NAMES: [&str; 3] = ["builders", "categories", "tags"];

/// Reads the lists and makes one selection of them.
pub(super) fn read(keys: &mut Keys<'_>) -> Option<(Selection, Lists)> {
    type Words = Vec<(String, Place)>;
    let builders = keys.optional::<Words>("builders");
    let categories = keys.optional::<Words>("categories");
    let tags = keys.optional::<TagExpression>("tags");
    let (builders, categories, tags) = (builders?, categories?, tags?);
    let said = [builders.is_some(), categories.is_some(), tags.is_some()];
    let said: Vec<_> = said
        .into_iter()
        .zip(NAMES)
        .filter_map(|(it, name)| it.then_some(name))
        .collect();
    if let [first, second, ..] = said.as_slice() {
        let what = format!("`{first}` and `{second}` both select builders");
        let problem = Problem::error(Code::Contradiction, what)
            .at(&keys.place(second))
            .label("either this")
            .also(&keys.place(first), "or this")
            .help("one list says which builders are meant; without any, all are");
        keys.note(problem);
        return None;
    }
    for (list, name) in [&builders, &categories].into_iter().zip(NAMES) {
        if list.as_ref().is_some_and(Vec::is_empty) {
            let what = format!("`{name}` in {} selects no builder", keys.title());
            let problem = Problem::error(Code::NoBuilder, what)
                .at(&keys.place(name))
                .label("expected at least one word")
                .help("without this line all builders are meant");
            keys.note(problem);
            return None;
        }
    }
    let words = |list: &Words| list.iter().map(|(word, _)| word.clone()).collect();
    let selection = match (&builders, &categories, &tags) {
        (Some(list), ..) => Selection::Builders(words(list)),
        (_, Some(list), _) => Selection::Categories(words(list)),
        (_, _, Some(rule)) => Selection::Tags(rule.clone()),
        (None, None, None) => Selection::All,
    };
    let lists = Lists {
        builders: builders.unwrap_or_default(),
        categories: categories.unwrap_or_default(),
        tags: tags.map(|it| (it.as_str().to_owned(), keys.place("tags"))),
    };
    Some((selection, lists))
}

impl Selection {
    /// Why the event's builder is not meant; `None` if it is.
    pub(super) fn refuses(&self, event: &Event) -> Option<String> {
        self.leaves_out(&event.builder, event.category.as_deref(), &event.tags)
    }

    /// Why a builder is not meant; `None` if it is.
    pub(super) fn leaves_out(
        &self,
        builder: &BuilderName,
        category: Option<&str>,
        tags: &[String],
    ) -> Option<String> {
        match self {
            Self::All => None,
            Self::Builders(names) => (!names
                .iter()
                .any(|it| Glob::new(it).matches(builder.as_str())))
            .then(|| format!("builder `{builder}` is not among `builders`")),
            Self::Categories(all) => match category {
                Some(own) if all.iter().any(|it| it == own) => None,
                Some(own) => Some(format!("category `{own}` is not among `categories`")),
                None => Some(format!(
                    "builder `{builder}` has no category, and `categories` is set"
                )),
            },
            Self::Tags(rule) => (!rule.matches(tags)).then(|| {
                format!(
                    "the tags of builder `{builder}` are not `{}`",
                    rule.as_str()
                )
            }),
        }
    }

    /// As a part of a sentence: `builders a, b`.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::All => "all builders".to_owned(),
            Self::Builders(all) => format!("builders {}", all.join(", ")),
            Self::Categories(all) => format!("builders of category {}", all.join(", ")),
            Self::Tags(rule) => format!("builders tagged {}", rule.as_str()),
        }
    }
}
