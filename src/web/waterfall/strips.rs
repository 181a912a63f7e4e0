//! How the waterfall falls: items of several columns, newest first, become
//! rows. What began within ten seconds shares a strip; a strip is as tall as
//! its fullest column; what is empty belongs to the cell below it.

use serde::Serialize;

use crate::model::Timestamp;

/// What began within this time before the newest of a strip is in the strip.
const STRIP_MS: i64 = 10_000;

/// A shorter pause between two items is not shown.
const PAUSE_MS: i64 = 2_000;

/// Something in a column.
#[derive(Clone, Debug)]
pub(super) struct Item<T> {
    pub(super) start: Timestamp,
    /// `None` while it runs, and for what has no length.
    pub(super) end: Option<Timestamp>,
    pub(super) what: T,
}

/// A column's items, newest first, asked for one by one.
pub(super) trait Column<T, E> {
    fn next(&mut self) -> Result<Option<Item<T>>, E>;
}

/// How much of the past is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) now: Timestamp,
    /// Strips that begin later are left out.
    pub(super) last: Timestamp,
    /// Where it stops.
    pub(super) first: Option<Timestamp>,
    /// The most strips.
    pub(super) strips: usize,
    /// With so many items it is enough, too.
    pub(super) boxes: usize,
    /// Whether empty cells belong to those below them.
    pub(super) merge: bool,
}

/// A cell of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Cell<T> {
    pub(super) rows: usize,
    /// `None` is a pause.
    pub(super) what: Option<T>,
    /// Nothing is known of this time.
    pub(super) unknown: bool,
    /// It is older than its row, and stands here because nothing else would.
    pub(super) ahead: bool,
}

impl<T> Cell<T> {
    fn of(slot: Slot<T>, rows: usize) -> Self {
        let unknown = matches!(slot, Slot::Unknown);
        let ahead = matches!(slot, Slot::Ahead(_));
        let what = match slot {
            Slot::Item(what) | Slot::Ahead(what) => Some(what),
            Slot::Pause | Slot::Empty | Slot::Unknown => None,
        };
        Self {
            rows,
            what,
            unknown,
            ahead,
        }
    }
}

/// The table: for each row the time, and for each column the cell that begins there.
#[derive(Debug)]
pub(super) struct Table<T> {
    pub(super) rows: Vec<Row<T>>,
    /// The oldest time label.
    pub(super) oldest: Option<Timestamp>,
}

#[derive(Debug)]
pub(super) struct Row<T> {
    pub(super) time: Option<(Timestamp, usize)>,
    pub(super) cells: Vec<Option<Cell<T>>>,
}

enum Slot<T> {
    Item(T),
    /// An item of an older time.
    Ahead(T),
    Pause,
    Empty,
    Unknown,
}

/// A column with its pauses.
struct Falling<'a, T, E> {
    column: Box<dyn Column<T, E> + 'a>,
    /// When the item above began, or now.
    above: Timestamp,
    /// An item that was read and has not been placed; a pause above it is.
    held: Option<Item<T>>,
    next: Option<(Timestamp, Slot<T>)>,
    slots: Vec<Slot<T>>,
    /// Changes keep their height.
    keeps_height: bool,
}

impl<T, E> Falling<'_, T, E> {
    /// Looks at the next item or pause.
    fn look(&mut self) -> Result<Option<Timestamp>, E> {
        if self.next.is_none() {
            let item = match self.held.take() {
                Some(item) => Some((item, true)),
                None => self.column.next()?.map(|item| (item, false)),
            };
            if let Some((item, pause_shown)) = item {
                match item.end {
                    Some(end) if !pause_shown && end.0 + PAUSE_MS < self.above.0 => {
                        self.next = Some((end, Slot::Pause));
                        self.held = Some(item);
                    }
                    _ => {
                        self.above = item.start;
                        self.next = Some((item.start, Slot::Item(item.what)));
                    }
                }
            }
        }
        Ok(self.next.as_ref().map(|(start, _)| *start))
    }
}

/// Lays the columns out; the first holds the changes.
pub(super) fn lay_out<'a, T, E>(
    columns: Vec<Box<dyn Column<T, E> + 'a>>,
    bounds: Bounds,
) -> Result<Table<T>, E> {
    let mut columns: Vec<Falling<'a, T, E>> = columns
        .into_iter()
        .enumerate()
        .map(|(at, column)| Falling {
            column,
            above: bounds.now.min(bounds.last),
            held: None,
            next: None,
            slots: Vec::new(),
            keeps_height: at == 0,
        })
        .collect();
    // Each strip's label and height.
    let mut strips: Vec<(Timestamp, usize)> = Vec::new();
    let mut boxes = 0;
    while strips.len() < bounds.strips && boxes < bounds.boxes {
        let mut newest: Option<Timestamp> = None;
        for column in &mut columns {
            newest = newest.max(column.look()?);
        }
        let Some(newest) = newest else { break };
        if bounds.first.is_some_and(|first| newest < first) {
            break;
        }
        let (earliest, mut parts) = take_strip(&mut columns, newest, bounds.boxes)?;
        if earliest > bounds.last {
            continue;
        }
        boxes += parts
            .iter()
            .flatten()
            .filter(|it| matches!(it, Slot::Item(_)))
            .count();
        let height = parts.iter().map(Vec::len).max().unwrap_or(0);
        for (column, part) in columns.iter_mut().zip(&mut parts) {
            let empty = height - part.len();
            column.slots.extend((0..empty).map(|_| Slot::Empty));
            column.slots.append(part);
        }
        strips.push((earliest, height));
    }
    fill_bottom(&mut columns)?;
    Ok(table(columns, &strips, bounds.merge))
}

type Strip<T> = (Timestamp, Vec<Vec<Slot<T>>>);

/// Takes what began at `newest` or within ten seconds before. Of so many items that they would
/// fill a page by themselves, it takes the newest: the next strip begins with the others.
fn take_strip<T, E>(
    columns: &mut [Falling<'_, T, E>],
    newest: Timestamp,
    most: usize,
) -> Result<Strip<T>, E> {
    let mut earliest = newest;
    let mut parts: Vec<Vec<Slot<T>>> = columns.iter().map(|_| Vec::new()).collect();
    let mut taken = 0;
    loop {
        let mut next: Option<(Timestamp, usize)> = None;
        for (at, column) in columns.iter_mut().enumerate() {
            if let Some(start) = column.look()?
                && start.0 > newest.0 - STRIP_MS
                && next.is_none_or(|(newer, _)| start > newer)
            {
                next = Some((start, at));
            }
        }
        // What began in the same moment stays together: a page goes on with what is older.
        let Some((start, at)) = next.filter(|it| taken < most || it.0 >= earliest) else {
            return Ok((earliest, parts));
        };
        earliest = earliest.min(start);
        let (_, slot) = columns[at].next.take().expect("it was looked at");
        taken += usize::from(matches!(slot, Slot::Item(_)));
        parts[at].push(slot);
    }
}

/// What is empty at the bottom is what came before.
fn fill_bottom<T, E>(columns: &mut [Falling<'_, T, E>]) -> Result<(), E> {
    for column in columns {
        if !matches!(column.slots.last(), Some(Slot::Empty)) {
            continue;
        }
        column.look()?;
        let filling = match column.next.take() {
            Some((_, Slot::Item(what))) => Slot::Ahead(what),
            Some((_, slot)) => slot,
            None => Slot::Unknown,
        };
        if let Some(last) = column.slots.last_mut() {
            *last = filling;
        }
    }
    Ok(())
}

fn table<T, E>(
    columns: Vec<Falling<'_, T, E>>,
    strips: &[(Timestamp, usize)],
    merge: bool,
) -> Table<T> {
    let mut rows: Vec<Row<T>> = Vec::new();
    for (label, height) in strips {
        for at in 0..*height {
            let time = match merge {
                true => (at == 0).then_some((*label, *height)),
                false => (at + 1 == *height).then_some((*label, 1)),
            };
            rows.push(Row {
                time,
                cells: Vec::new(),
            });
        }
    }
    for column in columns {
        let mut cells: Vec<Option<Cell<T>>> = Vec::new();
        let mut empty = 0;
        for slot in column.slots {
            cells.push(None);
            if merge && matches!(slot, Slot::Empty) {
                empty += 1;
                continue;
            }
            let at = cells.len() - 1;
            let is_apart = matches!(slot, Slot::Item(_) | Slot::Ahead(_) | Slot::Unknown);
            if column.keeps_height && empty > 0 && is_apart {
                cells[at - empty] = Some(Cell::of(Slot::Empty, empty));
                cells[at] = Some(Cell::of(slot, 1));
            } else {
                cells[at - empty] = Some(Cell::of(slot, empty + 1));
            }
            empty = 0;
        }
        for (row, cell) in rows.iter_mut().zip(cells) {
            row.cells.push(cell);
        }
    }
    Table {
        rows,
        oldest: strips.last().map(|(label, _)| *label),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct List(std::vec::IntoIter<Item<String>>);

    impl Column<String, ()> for List {
        fn next(&mut self) -> Result<Option<Item<String>>, ()> {
            Ok(self.0.next())
        }
    }

    /// `name start-end`, `name start-` while it runs, newest first; `;` between columns.
    fn drawn(columns: &str, bounds: Bounds) -> String {
        let at = |secs: &str| secs.parse().ok().map(Timestamp::from_secs);
        let columns = columns
            .split(';')
            .map(|column| {
                let items: Vec<_> = column
                    .split(',')
                    .filter(|it| !it.trim().is_empty())
                    .map(|item| {
                        let (name, times) = item.trim().split_once(' ').expect("a name");
                        let (start, end) = times.split_once('-').expect("times");
                        Item {
                            start: at(start).expect("a start"),
                            end: at(end),
                            what: name.to_owned(),
                        }
                    })
                    .collect();
                Box::new(List(items.into_iter())) as Box<dyn Column<String, ()>>
            })
            .collect();
        let table = lay_out(columns, bounds).expect("no errors");
        let shown = |cell: &Option<Cell<String>>| match cell {
            None => ".".to_owned(),
            Some(cell) => {
                let text = cell
                    .what
                    .as_deref()
                    .unwrap_or(if cell.unknown { "?" } else { "-" });
                format!("{text} x{}", cell.rows)
            }
        };
        let mut out = String::new();
        for row in &table.rows {
            let time = row.time.map_or(".".to_owned(), |(time, rows)| {
                format!("{} x{rows}", time.as_secs())
            });
            let cells: Vec<_> = row.cells.iter().map(shown).collect();
            out.push_str(&format!("{time} | {}\n", cells.join(" | ")));
        }
        out
    }

    const SAMPLE: &str = "cy 296-, bo 104-, ann 95-; \
        make 304-, get 300-304, b1 300-, make0 105-130, get0 100-105, b0 100-130; \
        get 108-120, b0 108-120; ";

    fn bounds() -> Bounds {
        Bounds {
            now: Timestamp::from_secs(1000),
            last: Timestamp::from_secs(1000),
            first: None,
            strips: 200,
            boxes: 300,
            merge: true,
        }
    }

    #[test]
    fn the_waterfall_falls_as_it_always_did() {
        insta::assert_snapshot!(drawn(SAMPLE, bounds()), @"
        296 x3 | - x2 | make x1 | - x5 | ? x9
        . | . | get x1 | . | .
        . | cy x1 | b1 x1 | . | .
        130 x1 | - x4 | - x1 | . | .
        120 x1 | . | make0 x2 | . | .
        100 x3 | . | . | get x2 | .
        . | . | get0 x1 | . | .
        . | bo x1 | b0 x1 | b0 x1 | .
        95 x1 | ann x1 | ? x1 | ? x1 | .
        ");
    }

    #[test]
    fn an_upper_bound_leaves_out_what_is_newer() {
        let bounds = Bounds {
            last: Timestamp::from_secs(200),
            ..bounds()
        };
        insta::assert_snapshot!(drawn(SAMPLE, bounds), @"
        130 x1 | - x4 | - x1 | - x2 | ? x6
        120 x1 | . | make0 x2 | . | .
        100 x3 | . | . | get x2 | .
        . | . | get0 x1 | . | .
        . | bo x1 | b0 x1 | b0 x1 | .
        95 x1 | ann x1 | ? x1 | ? x1 | .
        ");
    }

    #[test]
    fn rows_end_at_the_limit() {
        let bounds = Bounds {
            strips: 2,
            ..bounds()
        };
        insta::assert_snapshot!(drawn(SAMPLE, bounds), @"
        296 x3 | - x2 | make x1 | - x4 | ? x4
        . | . | get x1 | . | .
        . | cy x1 | b1 x1 | . | .
        130 x1 | bo x1 | - x1 | . | .
        ");
    }

    #[test]
    fn of_more_items_within_seconds_than_a_page_holds_the_newest_are_shown() {
        let burst = "; a4 109-109, a3 108-108, a2 107-107, a1 106-106; b3 108-108, b1 106-106";
        let bounds = Bounds {
            boxes: 2,
            ..bounds()
        };
        insta::assert_snapshot!(drawn(burst, bounds), @"
        108 x3 | - x2 | - x1 | - x2
        . | . | a4 x1 | .
        . | ? x1 | a3 x1 | b3 x1
        ");
    }

    #[test]
    fn cells_stay_single_when_asked() {
        let bounds = Bounds {
            strips: 1,
            merge: false,
            ..bounds()
        };
        insta::assert_snapshot!(drawn(SAMPLE, bounds), @"
        . | - x1 | make x1 | - x1 | - x1
        . | - x1 | get x1 | - x1 | - x1
        296 x1 | cy x1 | b1 x1 | - x1 | ? x1
        ");
    }
}
