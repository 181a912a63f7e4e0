//! Draws log lines: each channel in its class, colours that programs print
//! as classes too. What a pen is set to lasts across records and chunks.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::sync::Arc;

use regex::Regex;
use vte::Params;
use vte::Parser;
use vte::Perform;

use crate::clock;
use crate::logs::times::Moment;
use crate::logs::times::Times;
use crate::model::Channel;

/// How text is printed at some point of a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pen {
    /// One of the 16 colours of a terminal; the others are drawn as the nearest.
    ink: Option<u8>,
    paper: Option<u8>,
    marks: u8,
}

const BOLD: u8 = 1;
const FAINT: u8 = 2;
const ITALIC: u8 = 4;
const UNDERLINE: u8 = 8;
const INVERSE: u8 = 16;
const STRUCK: u8 = 32;

impl Pen {
    /// Adds the CSS classes, each behind a space.
    fn classes(self, out: &mut String) {
        let (mut ink, mut paper) = (self.ink, self.paper);
        if self.marks & INVERSE != 0 {
            (ink, paper) = (paper.or(Some(0)), ink.or(Some(7)));
        }
        if let Some(ink) = ink {
            let _ = write!(out, " f{ink}");
        }
        if let Some(paper) = paper {
            let _ = write!(out, " b{paper}");
        }
        for (mark, class) in [
            (BOLD, " bold"),
            (FAINT, " faint"),
            (ITALIC, " italic"),
            (UNDERLINE, " under"),
            (STRUCK, " struck"),
        ] {
            if self.marks & mark != 0 {
                out.push_str(class);
            }
        }
    }

    /// Obeys a `CSI … m`.
    fn set(&mut self, params: &Params) {
        let mut codes = params.iter();
        while let Some(code) = codes.next() {
            let first = code.first().copied().unwrap_or(0);
            match first {
                0 => *self = Self::default(),
                1 => self.marks |= BOLD,
                2 => self.marks |= FAINT,
                3 => self.marks |= ITALIC,
                4 if code.get(1) == Some(&0) => self.marks &= !UNDERLINE,
                4 => self.marks |= UNDERLINE,
                7 => self.marks |= INVERSE,
                9 => self.marks |= STRUCK,
                21 | 22 => self.marks &= !(BOLD | FAINT),
                23 => self.marks &= !ITALIC,
                24 => self.marks &= !UNDERLINE,
                27 => self.marks &= !INVERSE,
                29 => self.marks &= !STRUCK,
                30..=37 => self.ink = Some(low(first - 30)),
                39 => self.ink = None,
                40..=47 => self.paper = Some(low(first - 40)),
                49 => self.paper = None,
                90..=97 => self.ink = Some(low(first - 90) + 8),
                100..=107 => self.paper = Some(low(first - 100) + 8),
                38 | 48 => {
                    // The colour stands behind `:`, or in the parameters that follow.
                    let rest: Vec<u16> = if code.len() > 1 {
                        code[1..].to_vec()
                    } else {
                        let mut rest: Vec<u16> = Vec::new();
                        let kind = codes.next().map_or(0, |it| it[0]);
                        rest.push(kind);
                        let more = match kind {
                            2 => 3,
                            5 => 1,
                            _ => 0,
                        };
                        rest.extend(codes.by_ref().take(more).map(|it| it[0]));
                        rest
                    };
                    let colour = colour(&rest);
                    if first == 38 {
                        self.ink = colour;
                    } else {
                        self.paper = colour;
                    }
                }
                _ => {}
            }
        }
    }

    fn to_token(self) -> String {
        let colour = |it: Option<u8>| it.map_or(16, u32::from);
        let number = colour(self.ink) | colour(self.paper) << 5 | u32::from(self.marks) << 10;
        format!("{number:x}")
    }

    fn from_token(token: &str) -> Option<Self> {
        let number = u32::from_str_radix(token, 16).ok()?;
        let colour = |it: u32| u8::try_from(it & 31).ok().filter(|it| *it < 16);
        Some(Self {
            ink: colour(number),
            paper: colour(number >> 5),
            marks: u8::try_from(number >> 10 & 63).ok()?,
        })
    }
}

fn low(code: u16) -> u8 {
    u8::try_from(code).expect("one of eight")
}

/// One of the 256 or of all colours, as the nearest of 16.
fn colour(spec: &[u16]) -> Option<u8> {
    match *spec {
        [5, index @ 0..=15, ..] => Some(low(index)),
        [5, index @ 16..=231, ..] => {
            let index = index - 16;
            let level = |it: u16| it % 6 * 51;
            Some(nearest([level(index / 36), level(index / 6), level(index)]))
        }
        [5, index @ 232..=255, ..] => {
            let grey = 8 + (index - 232) * 10;
            Some(nearest([grey; 3]))
        }
        [2, _, red, green, blue] | [2, red, green, blue] => Some(nearest([red, green, blue])),
        _ => None,
    }
}

fn nearest(rgb: [u16; 3]) -> u8 {
    const SIXTEEN: [[i32; 3]; 16] = [
        [0, 0, 0],
        [170, 0, 0],
        [0, 170, 0],
        [170, 85, 0],
        [0, 0, 170],
        [170, 0, 170],
        [0, 170, 170],
        [170, 170, 170],
        [85, 85, 85],
        [255, 85, 85],
        [85, 255, 85],
        [255, 255, 85],
        [85, 85, 255],
        [255, 85, 255],
        [85, 255, 255],
        [255, 255, 255],
    ];
    let distance = |other: &[i32; 3]| -> i32 {
        rgb.iter()
            .zip(other)
            .map(|(a, b)| (i32::from(*a) - b).pow(2))
            .sum()
    };
    (0_u8..16)
        .min_by_key(|it| distance(&SIXTEEN[usize::from(*it)]))
        .expect("there are sixteen")
}

/// The pens of the channels at the start of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pens([Pen; 3]);

impl Pens {
    /// A word that a client gives back to go on from here.
    pub(super) fn to_token(self) -> String {
        self.0.map(Pen::to_token).join("-")
    }

    pub(super) fn from_token(token: &str) -> Option<Self> {
        let mut pens = Self::default();
        let mut parts = token.split('-');
        for pen in &mut pens.0 {
            *pen = Pen::from_token(parts.next()?)?;
        }
        parts.next().is_none().then_some(pens)
    }
}

const fn slot(channel: Channel) -> usize {
    match channel {
        Channel::Stdout => 0,
        Channel::Stderr => 1,
        Channel::Header => 2,
    }
}

/// What lines are drawn with besides their colours.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    /// Before `L` in the ids of lines, where a page shows several logs.
    pub(super) ids: String,
    /// Lines that the address names.
    pub(super) here: Option<RangeInclusive<u64>>,
    /// Lines in which this occurs are marked.
    pub(super) find: Option<Regex>,
    /// When lines came, if that is to be shown.
    pub(super) times: Option<Arc<Times>>,
}

/// What a line says of the lines that follow, in the words of programs that part their logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fold {
    Opens,
    Closes,
}

impl Fold {
    /// Reads a line that is shown, and how much of it is the mark.
    fn of(text: &str) -> Option<(Self, usize)> {
        for mark in ["::group::", "##[group]"] {
            if text.starts_with(mark) {
                return Some((Self::Opens, mark.len()));
            }
        }
        let closes = ["::endgroup::", "##[endgroup]", "section_end:"];
        let closes = closes.iter().any(|it| text.starts_with(it));
        closes.then_some((Self::Closes, text.len()))
    }
}

/// A run of text in one channel and pen.
struct Run {
    channel: Channel,
    pen: Pen,
    text: String,
}

/// Makes HTML of log lines.
pub(super) struct Painter {
    parsers: [Parser; 3],
    /// At the end of what was fed, and at the start of the line.
    pens: Pens,
    line_pens: Pens,
    runs: Vec<Run>,
    /// A carriage return came, and nothing after it yet.
    returned: bool,
    /// What was drawn over in the line began a part of the log.
    opens: bool,
    number: u64,
    html: String,
    look: Look,
    /// When the line began, and which others did.
    moment: Option<Moment>,
}

impl Painter {
    /// Goes on at the start of the line `number`.
    pub(super) fn new(number: u64, pens: Pens) -> Self {
        Self {
            parsers: [Parser::new(), Parser::new(), Parser::new()],
            pens,
            line_pens: pens,
            runs: Vec::new(),
            returned: false,
            opens: false,
            number,
            html: String::new(),
            look: Look::default(),
            moment: None,
        }
    }

    pub(super) fn with(self, look: Look) -> Self {
        Self { look, ..self }
    }

    /// Forgets the lines that ended, so that only what follows is drawn.
    pub(super) fn forget(&mut self) {
        self.html.clear();
    }

    /// What the line that has not ended shows, without colours.
    pub(super) fn text(&self) -> String {
        self.runs.iter().map(|it| it.text.as_str()).collect()
    }

    /// How much HTML it is at most: what says when lines came is not counted as theirs.
    pub(super) fn room(&self, html: usize) -> usize {
        match self.look.times {
            Some(_) => html.saturating_mul(2),
            None => html,
        }
    }

    /// Learns when the line came that begins at a byte of the log.
    pub(super) fn begin_at(&mut self, byte: u64) {
        let is_known = |it: &Moment| it.bytes.contains(&byte);
        if let Some(times) = &self.look.times
            && !self.moment.as_ref().is_some_and(is_known)
        {
            self.moment = times.at(byte).ok();
        }
    }

    /// Takes a part of a line, without its end.
    pub(super) fn feed(&mut self, channel: Channel, bytes: &[u8]) {
        let slot = slot(channel);
        let mut hand = Hand {
            channel,
            pen: &mut self.pens.0[slot],
            runs: &mut self.runs,
            returned: &mut self.returned,
            opens: &mut self.opens,
        };
        self.parsers[slot].advance(&mut hand, bytes);
    }

    /// Ends the line.
    pub(super) fn end_line(&mut self) {
        let line = self.line();
        self.html.push_str(&line);
        self.html.push('\n');
        self.runs.clear();
        self.returned = false;
        self.opens = false;
        // An escape sequence does not reach over the end of a line.
        self.parsers = [Parser::new(), Parser::new(), Parser::new()];
        self.line_pens = self.pens;
        self.number += 1;
    }

    /// The lines that ended.
    pub(super) fn html(&self) -> &str {
        &self.html
    }

    /// The line that has not ended, if something of it is there.
    pub(super) fn unfinished(&self) -> Option<String> {
        (!self.runs.is_empty()).then(|| self.line())
    }

    /// The number of the line that has not ended, and the pens at its start.
    pub(super) fn at(&self) -> (u64, Pens) {
        (self.number, self.line_pens)
    }

    fn line(&self) -> String {
        let number = self.number;
        let ids = &self.look.ids;
        let text = self.text();
        let fold = match self.opens {
            true => Some((Fold::Opens, 0)),
            false => Fold::of(&text),
        };
        let mut line = String::from("<span class=\"line");
        let is_header = self.runs.first().map(|it| it.channel) == Some(Channel::Header);
        let is_hit = self.look.find.as_ref().is_some_and(|it| it.is_match(&text));
        let here = &self.look.here;
        let is_here = here.as_ref().is_some_and(|it| it.contains(&number));
        for (class, is_so) in [
            (" head", is_header),
            (" hit", is_hit),
            (" here", is_here),
            (" opens", fold.is_some_and(|it| it.0 == Fold::Opens)),
            (" closes", fold.is_some_and(|it| it.0 == Fold::Closes)),
        ] {
            if is_so {
                line.push_str(class);
            }
        }
        let _ = write!(
            line,
            "\" id=\"{ids}L{number}\"><a href=\"#{ids}L{number}\" data-n=\"{number}\" aria-label=\"line {number}\"></a>"
        );
        if let Some(moment) = &self.moment {
            let (iso, time) = (clock::iso(moment.at), clock::time_of_day(moment.at));
            let _ = write!(
                line,
                "<time datetime=\"{iso}\" title=\"{iso}\">{time}</time> "
            );
        }
        // The mark itself says nothing to a reader.
        let mut mark = fold.map_or(0, |it| it.1);
        for run in &self.runs {
            let passed = mark.min(run.text.len());
            mark -= passed;
            let Some(text) = run.text.get(passed..).filter(|it| !it.is_empty()) else {
                continue;
            };
            let _ = write!(line, "<span class=\"{}", run.channel.as_str());
            run.pen.classes(&mut line);
            line.push_str("\">");
            escape(text, &mut line);
            line.push_str("</span>");
        }
        line.push_str("</span>");
        line
    }
}

fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
}

/// What the parser moves while it reads.
struct Hand<'a> {
    channel: Channel,
    pen: &'a mut Pen,
    runs: &'a mut Vec<Run>,
    returned: &'a mut bool,
    opens: &'a mut bool,
}

impl Perform for Hand<'_> {
    fn print(&mut self, character: char) {
        if std::mem::take(self.returned) {
            // A progress bar draws over itself: what it drew last is what there is to see.
            let first = self.runs.first().map_or("", |it| it.text.as_str());
            *self.opens |= first.starts_with("section_start:");
            self.runs.clear();
        }
        match self.runs.last_mut() {
            Some(run) if run.channel == self.channel && run.pen == *self.pen => {
                run.text.push(character);
            }
            _ => self.runs.push(Run {
                channel: self.channel,
                pen: *self.pen,
                text: character.to_string(),
            }),
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\t' => self.print('\t'),
            b'\r' => *self.returned = true,
            8 => {
                if let Some(run) = self.runs.last_mut() {
                    run.text.pop();
                }
            }
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, between: &[u8], ignore: bool, action: char) {
        if action == 'm' && between.is_empty() && !ignore {
            self.pen.set(params);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with its classes, without what stands around each line.
    fn shown(painter: &Painter) -> String {
        let mut html = painter.html().to_owned();
        html.extend(painter.unfinished());
        html.lines()
            .map(|line| {
                let (_, line) = line.split_once("</a>").expect("a line");
                let line = line.strip_suffix("</span>").expect("a line");
                line.replace("<span class=", "[").replace("</span>", "]")
            })
            .collect::<Vec<_>>()
            .join("|")
    }

    fn check(parts: &[(Channel, &[u8])], expected: &str) {
        let mut painter = Painter::new(1, Pens::default());
        for (channel, bytes) in parts {
            for (at, part) in bytes.split(|it| *it == b'\n').enumerate() {
                if at > 0 {
                    painter.end_line();
                }
                painter.feed(*channel, part);
            }
        }
        assert_eq!(shown(&painter), expected);
    }

    use Channel::Header;
    use Channel::Stderr;
    use Channel::Stdout;

    #[test]
    fn colours_become_classes() {
        check(
            &[(Stdout, b"a\x1b[1;31mb\x1b[0m<c>")],
            r#"["stdout">a]["stdout f1 bold">b]["stdout">&lt;c&gt;]"#,
        );
        check(
            &[(Stdout, b"\x1b[38;5;196mx\x1b[48;2;0;0;250my\x1b[39;49mz")],
            r#"["stdout f1">x]["stdout f1 b4">y]["stdout">z]"#,
        );
        check(&[(Stdout, b"\x1b[7;32mx")], r#"["stdout f0 b2">x]"#);
    }

    #[test]
    fn a_pen_lasts_over_lines_and_over_other_channels() {
        check(
            &[
                (Stdout, b"\x1b[3"),
                (Stderr, b"bad"),
                (Stdout, b"2mgreen\nstill"),
                (Header, b"head"),
            ],
            r#"["stderr">bad]["stdout f2">green]|["stdout f2">still]["header">head]"#,
        );
    }

    #[test]
    fn a_token_carries_the_pens_to_the_next_chunk() {
        let mut first = Painter::new(1, Pens::default());
        first.feed(Stdout, b"\x1b[1;4;95;42mone");
        first.end_line();
        let (number, pens) = first.at();
        let token = pens.to_token();
        assert_eq!(Pens::from_token(&token), Some(pens));
        let mut second = Painter::new(number, pens);
        second.feed(Stdout, b"two");
        assert_eq!(shown(&second), r#"["stdout f13 b2 bold under">two]"#);
        for bad in ["", "1", "1-2", "1-2-3-4", "x-y-z", "ffffffffff-0-0"] {
            assert_eq!(Pens::from_token(bad), None, "{bad}");
        }
    }

    #[test]
    fn parts_of_a_log_are_marked_in_the_words_of_programs() {
        let mut painter = Painter::new(7, Pens::default()).with(Look {
            times: None,
            ids: "s2-".into(),
            here: Some(9..=10),
            find: Some(Regex::new("(?i)two").expect("an expression")),
        });
        for line in [
            "::group::Tests <1>",
            "one",
            "\x1b[31mT\x1b[0mwo",
            "::endgroup::",
            "section_start:15:x\r\x1b[0KDocs",
            "section_end:15:x\r\x1b[0K",
        ] {
            painter.feed(Stdout, line.as_bytes());
            painter.end_line();
        }
        painter.feed(Header, b"done");
        painter.end_line();
        let heads: Vec<_> = painter
            .html()
            .lines()
            .map(|it| {
                let (head, rest) = it.split_once(" href").expect("a link");
                let text = rest.split_once("</a>").expect("a link").1;
                format!("{} {text}", head.trim_start_matches("<span class="))
            })
            .collect();
        insta::assert_snapshot!(heads.join("\n"), @r#"
        "line opens" id="s2-L7"><a <span class="stdout">Tests &lt;1&gt;</span></span>
        "line" id="s2-L8"><a <span class="stdout">one</span></span>
        "line hit here" id="s2-L9"><a <span class="stdout f1">T</span><span class="stdout">wo</span></span>
        "line here closes" id="s2-L10"><a </span>
        "line opens" id="s2-L11"><a <span class="stdout">Docs</span></span>
        "line closes" id="s2-L12"><a </span>
        "line head" id="s2-L13"><a <span class="header">done</span></span>
        "#);
    }

    #[test]
    fn what_a_terminal_would_not_show_is_not_shown() {
        check(
            &[(Stdout, b"10%\r20%\r\nnext")],
            r#"["stdout">20%]|["stdout">next]"#,
        );
        check(
            &[(Stdout, b"\x1b]0;title\x07a\x1b[2Kb\x1b[?25lc\x08d\x00")],
            r#"["stdout">abd]"#,
        );
        check(
            &[(Stdout, b"\x1b]8;;http://never ends\nnext")],
            r#"|["stdout">next]"#,
        );
        check(
            &[(Stdout, b"\xff\xc3"), (Stdout, b"\xa9")],
            "[\"stdout\">\u{fffd}é]",
        );
    }
}
