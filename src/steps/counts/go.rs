//! `go test -v`.

use super::Counter;
use super::Format;
use super::Tests;

pub(super) const FORMAT: Format = Format {
    name: "go",
    begin: || Box::new(Go::default()),
};

#[derive(Default)]
struct Go(Option<Tests>);

impl Counter for Go {
    fn see(&mut self, line: &str) {
        // Subtests are indented: the test that they are of has their outcome.
        let Some(rest) = line.strip_prefix("--- ") else {
            return;
        };
        let mut one = Tests::default();
        match rest.split_once(": ") {
            Some(("PASS", _)) => one.passed = 1,
            Some(("FAIL", _)) => one.failed = 1,
            Some(("SKIP", _)) => one.skipped = 1,
            Some(_) | None => return,
        }
        *self.0.get_or_insert_default() += one;
    }

    fn tests(&self) -> Option<Tests> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::counted;
    use super::*;

    #[test]
    fn subtests_belong_to_their_test() {
        let said = "=== RUN   TestTwice\n--- PASS: TestTwice (0.00s)\n=== RUN   TestBad/sub\n\
            --- FAIL: TestBad (0.00s)\n    --- FAIL: TestBad/sub (0.00s)\n    --- PASS: TestBad/good (0.00s)\n\
            --- SKIP: TestLater (0.00s)\n--- BENCH: BenchmarkX\nFAIL\texample.org/hello\t0.005s\n";
        assert_eq!(counted(&FORMAT, said), Some((1, 1, 1)));
    }
}
