//! Lines out of pieces, none of them longer than what anybody honest says.

/// A line that is longer is left out.
const MOST: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
    /// Whether the line that has begun is too long.
    is_lost: bool,
}

impl Lines {
    /// The lines that end in this piece; `None` is one that was too long.
    pub(super) fn of(&mut self, piece: &[u8]) -> Vec<Option<Vec<u8>>> {
        let mut ended = Vec::new();
        for part in piece.split_inclusive(|it| *it == b'\n') {
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            if self.begun.len() + text.len() > MOST {
                self.is_lost = true;
            }
            if self.is_lost {
                self.begun = Vec::new();
            } else {
                self.begun.extend_from_slice(text);
            }
            if text.len() < part.len() {
                let line = std::mem::take(&mut self.begun);
                ended.push((!std::mem::take(&mut self.is_lost)).then_some(line));
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_and_one_without_end_takes_no_room() {
        let mut lines = Lines::default();
        assert_eq!(lines.of(b"a"), []);
        assert_eq!(
            lines.of(b"b\n\nc"),
            [Some(b"ab".to_vec()), Some(Vec::new())]
        );
        for _ in 0..100 {
            assert_eq!(lines.of(&[b'x'; 100_000]), []);
            assert!(lines.begun.len() <= MOST);
        }
        assert_eq!(lines.of(b"\nd\n"), [None, Some(b"d".to_vec())]);
    }
}
