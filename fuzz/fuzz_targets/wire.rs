//! Arbitrary bytes against all that listens to programs of Buildbot.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| autobot::fuzz_wire(bytes));
