//! Random choices that can be repeated: every generator prints its seed, `WEIR_TEST_SEED` sets it.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// A generator for the test `name`. The seed goes to standard error, where it is shown when the test fails.
pub fn seeded(name: &str) -> StdRng {
    let seed = seed();
    eprintln!("{name}: WEIR_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// The seed from `WEIR_TEST_SEED`, or a new one.
pub fn seed() -> u64 {
    match std::env::var("WEIR_TEST_SEED") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("WEIR_TEST_SEED={text} is not an unsigned integer")),
        Err(_) => rand::random(),
    }
}

/// `short` in `make test`, `long` with `WEIR_LONG` set (`make test-long`).
pub fn rounds(short: usize, long: usize) -> usize {
    if std::env::var_os("WEIR_LONG").is_some() { long } else { short }
}
