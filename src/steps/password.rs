//! A password that a step hands to a program: as the file says it, or a
//! secret, whose value is filled in on the way to the slave.

use crate::model::HoleIn;
use crate::model::SecretHole;
use crate::model::SecretRef;
use crate::model::Shell;
use crate::model::Text;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Value;
use crate::syntax::text_with_secrets;

use super::Cx;
use super::StepError;

/// As a file says it.
#[derive(Clone, Debug)]
pub(super) struct Password(Text);

impl Value for Password {
    const EXPECTED: &'static str = Text::EXPECTED;
    const SHAPE: Shape = Shape::Template;

    fn read(node: &Node) -> Result<Self, Misread> {
        text_with_secrets(node).map(Self)
    }
}

/// As it is in one build: `<NAME>` where a secret goes.
#[derive(Clone, Debug)]
pub(super) struct Spent {
    pub(super) text: String,
    holes: Vec<(usize, SecretRef)>,
}

impl Password {
    pub(super) fn of(it: Option<&Self>, cx: &Cx<'_>) -> Result<Option<Spent>, StepError> {
        let Some(Self(text)) = it else {
            return Ok(None);
        };
        let (text, holes) = text.render_with_holes(cx.properties)?;
        Ok(Some(Spent { text, holes }))
    }
}

impl Spent {
    /// Has the values filled in where the password begins in the command, and hides it.
    pub(super) fn hide_in(&self, shell: &mut Shell, within: &HoleIn) {
        shell
            .holes
            .extend(self.holes.iter().map(|(at, secret)| SecretHole {
                within: within.clone(),
                at: *at,
                secret: secret.clone(),
            }));
        // What is shown for a secret hides nothing.
        if self.holes.is_empty() && !self.text.is_empty() {
            shell.mask.push(self.text.clone());
        }
    }
}
