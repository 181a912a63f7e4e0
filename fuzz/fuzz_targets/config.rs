//! Arbitrary bytes against every reader of the configuration.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| autobot::fuzz_config(bytes));
