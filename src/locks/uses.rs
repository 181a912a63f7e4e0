//! `locks = …`: which locks are wanted, and how.

use std::fmt;
use std::ops::Range;

use crate::model::Access;
use crate::model::LockUse;
use crate::syntax::Content;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Op;
use crate::syntax::Place;
use crate::syntax::Shape;
use crate::syntax::Value;

/// Locks that are wanted together. Two are equal that want the same, wherever they stand.
#[derive(Clone, Default)]
pub(crate) struct LockUses {
    uses: Vec<LockUse>,
    places: Vec<Place>,
}

impl LockUses {
    pub(crate) fn as_slice(&self) -> &[LockUse] {
        &self.uses
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.uses.is_empty()
    }

    /// Each with its place.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (&LockUse, &Place)> {
        self.uses.iter().zip(&self.places)
    }

    fn push(&mut self, item: &str, place: Place) -> Result<(), Misread> {
        let (name, access) = match item.rsplit_once(char::is_whitespace) {
            Some((name, word)) => match Access::from_word(word) {
                Some(access) => (name.trim_end(), access),
                None => (item, Access::Counting),
            },
            None => (item, Access::Counting),
        };
        let mut words = name.split_whitespace();
        if let (Some(first), Some(second)) = (words.next(), words.next()) {
            let what = format!(
                "expected a comma or a new line between `{first}` and `{second}`, or `counting` or \
                 `exclusive` behind the name"
            );
            return Err(Misread {
                what: Some(what),
                place: Some(place),
                ..Misread::default()
            });
        }
        if name.is_empty() || Access::from_word(name).is_some() {
            return Err(Misread {
                what: Some("expected the name of a lock".into()),
                place: Some(place),
                ..Misread::default()
            });
        }
        self.uses.push(LockUse {
            lock: name.into(),
            access,
        });
        self.places.push(place);
        Ok(())
    }

    fn edit(&mut self, op: Op, node: &Node) -> Result<(), Misread> {
        let other = Self::read(node)?;
        match op {
            Op::Set => *self = other,
            Op::Append => {
                self.uses.extend(other.uses);
                self.places.extend(other.places);
            }
            Op::Remove => {
                for (gone, place) in other.placed() {
                    let Some(at) = self.uses.iter().position(|it| it.lock == gone.lock) else {
                        return Err(Misread {
                            what: Some("the list has no such item to remove".into()),
                            place: Some(place.clone()),
                            ..Misread::default()
                        });
                    };
                    self.uses.remove(at);
                    self.places.remove(at);
                }
            }
        }
        Ok(())
    }
}

impl PartialEq for LockUses {
    fn eq(&self, other: &Self) -> bool {
        self.uses == other.uses
    }
}

impl Eq for LockUses {}

/// Without the places: a build goes on if a file only moved.
impl fmt::Debug for LockUses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.uses).finish()
    }
}

impl Value for LockUses {
    const EXPECTED: &'static str = "locks such as `cpu, database exclusive`";
    const SHAPE: Shape = Shape::Items(&Shape::Text);

    fn read(node: &Node) -> Result<Self, Misread> {
        let mut all = Self::default();
        match &node.content {
            Content::Text(text) if !text.starts_with('[') => {
                for at in items(text) {
                    all.push(&text[at.clone()], node.part(text, at))?;
                }
            }
            Content::Edited(edited) => {
                if let Some(base) = &edited.base {
                    all = Self::read(base)?;
                }
                for (op, node) in &edited.edits {
                    all.edit(*op, node)?;
                }
            }
            _ => {
                for (item, place) in Vec::<(String, Place)>::read(node)? {
                    all.push(item.trim(), place)?;
                }
            }
        }
        Ok(all)
    }
}

/// The bytes of each item of a text: commas and line ends stand between them.
fn items(text: &str) -> impl Iterator<Item = Range<usize>> {
    let start_of = |part: &str| part.as_ptr() as usize - text.as_ptr() as usize;
    text.split([',', '\n'])
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .map(move |it| start_of(it)..start_of(it) + it.len())
}
