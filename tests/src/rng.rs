//! Random choices that can be repeated: every generator prints its seed, `WEIR_TEST_SEED` sets it.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// A generator for the test `name`. The seed goes to standard error, where it is shown when the test fails.
pub fn seeded(name: &str) -> StdRng {
    let seed = seed();
    eprintln!("{name}: WEIR_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// `make test` repeats these cases, so that it fails for what was changed and not by chance.
const SEED_OF_THE_GATE: u64 = 20_261_120;

/// The seed from `WEIR_TEST_SEED`; without it a new one in `make test-long`, always the same one in `make test`.
pub fn seed() -> u64 {
    match std::env::var("WEIR_TEST_SEED") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("WEIR_TEST_SEED={text} is not an unsigned integer")),
        Err(_) if is_long() => rand::random(),
        Err(_) => SEED_OF_THE_GATE,
    }
}

/// `short` in `make test`, `long` with `WEIR_LONG` set (`make test-long`).
pub fn rounds(short: usize, long: usize) -> usize {
    if is_long() { long } else { short }
}

/// Within `make test-long`.
pub fn is_long() -> bool {
    std::env::var_os("WEIR_LONG").is_some()
}
