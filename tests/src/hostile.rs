//! Bytes from outside, damaged: recorded ones are mutated a hundred thousand times and given to a parser, which may
//! refuse them, but must neither panic nor allocate what their length does not justify.

use crate::rng::{rounds, seeded};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// Time for one parser with `WEIR_LONG` set: with the dozen parsers there are, ten minutes.
const LONG: Duration = Duration::from_secs(50);
/// Inputs for one parser in `make test`.
const SHORT: usize = 20_000;
/// Accepted inputs are mutated further; so many are kept.
const KEPT: usize = 2000;
/// Longer inputs are cut.
const MAX_BYTES: usize = 16 * 1024;
/// All parsers of a test program together, with the program itself.
const MAX_RESIDENT_KIB: u64 = 1024 * 1024;

/// Gives mutations of `recorded` to `parse`, which says whether it accepted them.
pub fn hammer(name: &str, recorded: &[&[u8]], parse: impl Fn(&[u8]) -> bool) {
    let mut rng = seeded(name);
    let mut corpus: Vec<Vec<u8>> = recorded.iter().map(|bytes| bytes.to_vec()).collect();
    for bytes in &corpus {
        run(name, bytes, &parse);
    }
    let started = Instant::now();
    let (mut tried, mut accepted) = (0_usize, 0_usize);
    let wanted = rounds(SHORT, usize::MAX);
    while tried < wanted && (wanted == SHORT || started.elapsed() < LONG) {
        let mut bytes = corpus.choose(&mut rng).expect("something was recorded").clone();
        for _ in 0..rng.random_range(1..5) {
            mutate(&mut bytes, &corpus, &mut rng);
        }
        bytes.truncate(MAX_BYTES);
        tried += 1;
        if run(name, &bytes, &parse) {
            accepted += 1;
            if corpus.len() < KEPT {
                corpus.push(bytes);
            } else {
                let place = rng.random_range(recorded.len()..corpus.len());
                corpus[place] = bytes;
            }
        }
    }
    let resident = peak_resident_kib();
    eprintln!("{name}: {tried} inputs, {accepted} accepted, {resident} KiB at most");
    assert!(resident < MAX_RESIDENT_KIB, "{name}: {resident} KiB of memory");
}

fn run(name: &str, bytes: &[u8], parse: impl Fn(&[u8]) -> bool) -> bool {
    catch_unwind(AssertUnwindSafe(|| parse(bytes))).unwrap_or_else(|panic| {
        eprintln!("{name} panics at b\"{}\"", bytes.escape_ascii());
        resume_unwind(panic)
    })
}

fn mutate(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], rng: &mut StdRng) {
    const BYTES: [u8; 12] = [0, 1, 4, 0x7f, 0x80, 0xff, b'\'', b'"', b'\\', b'(', b'{', b' '];
    const NUMBERS: [u32; 9] = [0, 1, 4, 5, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
    let at = rng.random_range(0..=bytes.len());
    match rng.random_range(0..9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
        1 if at < bytes.len() => bytes[at] = *BYTES.choose(rng).expect("not empty"),
        2 if at < bytes.len() => bytes[at] = rng.random(),
        3 => bytes.insert(at, *BYTES.choose(rng).expect("not empty")),
        4 => bytes.truncate(at),
        5 if bytes.len() >= 4 => {
            let at = rng.random_range(0..=bytes.len() - 4);
            bytes[at..at + 4].copy_from_slice(&NUMBERS.choose(rng).expect("not empty").to_be_bytes());
        }
        6 if bytes.len() >= 2 => {
            let at = rng.random_range(0..=bytes.len() - 2);
            bytes[at..at + 2].copy_from_slice(&(*NUMBERS.choose(rng).expect("not empty") as u16).to_be_bytes());
        }
        7 => {
            // A run of them left out or doubled.
            let to = rng.random_range(at..=bytes.len()).min(at + 64);
            let piece: Vec<u8> = if rng.random() { bytes.drain(at..to).collect() } else { bytes[at..to].to_vec() };
            if rng.random() {
                bytes.splice(at..at, piece);
            }
        }
        _ => {
            let other = corpus.choose(rng).expect("not empty");
            let from = rng.random_range(0..=other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
    }
}

/// `VmHWM` of this process; 0 where there is no `/proc`.
fn peak_resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "the byte 0x80")]
    fn a_rare_panic_is_found() {
        hammer("a rare panic", &[b"Q\0\0\0\x08abc"], |bytes| {
            assert!(!(bytes.len() == 8 && bytes[7] == 0x80), "the byte 0x80");
            true
        });
    }
}
