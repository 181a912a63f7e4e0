//! JUnit's XML, one document after another, as many programs write it into files.

use super::Counter;
use super::Format;
use super::Tests;

pub(super) const FORMAT: Format = Format {
    name: "junit",
    begin: || Box::new(Junit::default()),
};

/// Looks only at the beginnings of elements, so that a document of any length, or
/// none at all, takes no memory.
#[derive(Default)]
struct Junit {
    sum: Option<Tests>,
    place: Place,
    /// The test that is open.
    test: Option<End>,
}

/// What the text is part of.
#[derive(Clone, Copy, Default, PartialEq)]
enum Place {
    #[default]
    Markup,
    Cdata,
    Comment,
}

/// How a test ended, as far as was said.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Passed,
    Failed,
    Skipped,
}

impl End {
    const fn counted(self) -> Tests {
        match self {
            Self::Passed => Tests::of(1, 0, 0),
            Self::Failed => Tests::of(1, 1, 0),
            Self::Skipped => Tests::of(1, 0, 1),
        }
    }
}

impl Junit {
    fn close(&mut self) {
        if let Some(end) = self.test.take() {
            *self.sum.get_or_insert_default() += end.counted();
        }
    }

    fn open(&mut self, name: &str) {
        match (name, self.test) {
            ("testcase", _) => {
                self.close();
                self.test = Some(End::Passed);
            }
            ("failure" | "error", Some(_)) => self.test = Some(End::Failed),
            ("skipped", Some(End::Passed)) => self.test = Some(End::Skipped),
            ("testsuite" | "testsuites", _) => {
                self.close();
                // There may be no test in it.
                self.sum.get_or_insert_default();
            }
            _ => {}
        }
    }
}

impl Counter for Junit {
    fn see(&mut self, line: &str) {
        let mut rest = line;
        loop {
            let end = match self.place {
                Place::Markup => {
                    let Some(found) = rest.find('<') else { return };
                    rest = &rest[found + 1..];
                    if let Some(inside) = rest.strip_prefix("![CDATA[") {
                        (self.place, rest) = (Place::Cdata, inside);
                    } else if let Some(inside) = rest.strip_prefix("!--") {
                        (self.place, rest) = (Place::Comment, inside);
                    } else {
                        let is_name = |it: char| it.is_alphanumeric() || it == '_' || it == '-';
                        let length = rest.find(|it| !is_name(it)).unwrap_or(rest.len());
                        self.open(&rest[..length]);
                        rest = &rest[length..];
                    }
                    continue;
                }
                Place::Cdata => "]]>",
                Place::Comment => "-->",
            };
            let Some(found) = rest.find(end) else { return };
            rest = &rest[found + end.len()..];
            self.place = Place::Markup;
        }
    }

    fn tests(&self) -> Option<Tests> {
        let Some(open) = self.test else {
            return self.sum;
        };
        let mut sum = self.sum.unwrap_or_default();
        sum += open.counted();
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::counted;
    use super::*;

    #[test]
    fn documents_behind_each_other_are_added() {
        let one = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="HelloTest" tests="3" skipped="1" failures="1" errors="0">
  <testcase name="bad"><failure message="&lt;testcase>">at <![CDATA[ <testcase/> <error>
    <testcase> ]]></failure></testcase><testcase name="good" time="0"/>
  <testcase
     name="later"><skipped/></testcase>
  <!-- <testcase name="of
       <testcase/> a comment"/> -->
  <system-out><![CDATA[<testcase/>]]></system-out>
</testsuite>
"#;
        assert_eq!(counted(&FORMAT, one), Some((1, 1, 1)));
        let all = format!("{one}{one}<testsuites><testcase><error/></testcase></testsuites>");
        assert_eq!(counted(&FORMAT, &all), Some((2, 3, 2)));
        assert_eq!(counted(&FORMAT, "<testsuite/>"), Some((0, 0, 0)));
    }

    #[test]
    fn what_is_no_document_counts_nothing() {
        let said = "< <é <testcases/> <error/> <![CDATA[\n<testcase/>";
        assert_eq!(counted(&FORMAT, said), None);
    }
}
