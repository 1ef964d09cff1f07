//! Against Postgres' own steps, in several orders of rows, whole and in parts as parallel workers compute them.

use super::*;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

/// The state of `float8_regr_accum` (float.c); without y it is that of `float8_accum`.
#[derive(Clone, Copy, Default)]
struct Postgres {
    n: f64,
    sx: f64,
    sxx: f64,
    sy: f64,
    syy: f64,
    sxy: f64,
}

impl Postgres {
    fn of(pairs: &[(f64, f64)]) -> Postgres {
        let mut state = Postgres::default();
        for &(y, x) in pairs {
            let before = state.n;
            state.n += 1.0;
            state.sx += x;
            state.sy += y;
            if before > 0.0 {
                let (of_x, of_y) = (x * state.n - state.sx, y * state.n - state.sy);
                let scale = 1.0 / (state.n * before);
                state.sxx += of_x * of_x * scale;
                state.syy += of_y * of_y * scale;
                state.sxy += of_x * of_y * scale;
            } else {
                let nan = |value: f64| if value.is_finite() { 0.0 } else { f64::NAN };
                (state.sxx, state.syy, state.sxy) = (nan(x), nan(y), nan(x) + nan(y));
            }
        }
        state
    }

    /// `float8_regr_combine`.
    fn with(self, other: Postgres) -> Postgres {
        if self.n == 0.0 || other.n == 0.0 {
            return if self.n == 0.0 { other } else { self };
        }
        let n = self.n + other.n;
        let (of_x, of_y) = (self.sx / self.n - other.sx / other.n, self.sy / self.n - other.sy / other.n);
        let sum = |a: f64, b: f64, product: f64| a + b + self.n * other.n * product / n;
        Postgres {
            n,
            sx: self.sx + other.sx,
            sy: self.sy + other.sy,
            sxx: sum(self.sxx, other.sxx, of_x * of_x),
            syy: sum(self.syy, other.syy, of_y * of_y),
            sxy: sum(self.sxy, other.sxy, of_x * of_y),
        }
    }

    fn spread(self, spread: Spread) -> Option<f64> {
        let divisor = if spread.sample { self.n - 1.0 } else { self.n };
        let variance = (divisor > 0.0).then(|| self.sxx / divisor)?;
        Some(if spread.deviation { variance.sqrt() } else { variance })
    }

    fn statistic(self, statistic: PairStatistic) -> Option<f64> {
        use PairStatistic::*;
        let Postgres { n, sx, sxx, sy, syy, sxy } = self;
        if n < 1.0 {
            return None;
        }
        match statistic {
            CovarPop => Some(sxy / n),
            CovarSamp => (n >= 2.0).then(|| sxy / (n - 1.0)),
            Corr => (sxx != 0.0 && syy != 0.0).then(|| sxy / (sxx * syy).sqrt()),
            AvgX => Some(sx / n),
            AvgY => Some(sy / n),
            Sxx => Some(sxx),
            Syy => Some(syy),
            Sxy => Some(sxy),
            Slope => (sxx != 0.0).then(|| sxy / sxx),
            Intercept => (sxx != 0.0).then(|| (sy - sx * sxy / sxx) / n),
            R2 if sxx != 0.0 && syy == 0.0 => Some(1.0),
            R2 => (sxx != 0.0).then(|| (sxy * sxy) / (sxx * syy)),
        }
    }
}

const SPREADS: [Spread; 4] = [
    Spread { deviation: false, sample: false },
    Spread { deviation: false, sample: true },
    Spread { deviation: true, sample: false },
    Spread { deviation: true, sample: true },
];
const STATISTICS: [PairStatistic; 11] = {
    use PairStatistic::*;
    [CovarPop, CovarSamp, Corr, AvgX, AvgY, Sxx, Syy, Sxy, Slope, Intercept, R2]
};

/// Numbers of one kind, some of them hard for Postgres' algorithm.
fn numbers(random: &mut StdRng, count: usize) -> Vec<f64> {
    let size = 10f64.powi(random.random_range(-9..9));
    let middle = [0.0, 1.0, 1e3, 1e7, 1e12][random.random_range(0..5)] * size;
    let kind = random.random_range(0..7);
    let constant = [0.1, 3.0, -0.0, 1e15 + 0.25, 2f64.powi(70)][random.random_range(0..5)];
    let mut numbers: Vec<f64> = (0..count)
        .map(|at| match kind {
            0 => constant,
            1 => f64::from(random.random_range(-3..4)),
            2 => middle + at as f64 * size,
            3 => random.random_range(-1.0..1.0) * 10f64.powi(random.random_range(-20..20)),
            _ => middle + random.random_range(-1.0..1.0) * size,
        })
        .collect();
    if random.random_bool(0.05) {
        let at = random.random_range(0..count);
        numbers[at] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY][random.random_range(0..3)];
    }
    if random.random_bool(0.2) {
        numbers.sort_by(f64::total_cmp);
    }
    numbers
}

fn is_close(found: Option<f64>, postgres: Option<f64>) -> bool {
    match (found, postgres) {
        (None, None) => true,
        (Some(x), Some(y)) if x.is_nan() || y.is_nan() => x.is_nan() && y.is_nan(),
        (Some(x), Some(y)) => x == y || (x - y).abs() <= tolerance() * x.abs().max(y.abs()),
        _ => false,
    }
}

/// The value, where one is given.
fn given(value: &Value) -> Option<Option<f64>> {
    match value {
        Value::Null => Some(None),
        Value::Float8(value) => Some(Some(*value)),
        Value::Error(_) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_given_is_what_postgres_computes() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (mut answered, mut asked) = (0, 0);
    for _ in 0..3000 {
        let count = [1, 2, 3, 4, 10, 100, 2000][random.random_range(0..7)];
        let x = numbers(&mut random, count);
        let y = match random.random_range(0..3) {
            0 => x.iter().map(|x| x * 3.0 - 7.0).collect(),
            _ => numbers(&mut random, count),
        };
        let mut pairs: Vec<(f64, f64)> = y.into_iter().zip(x).collect();
        let (mut of_pairs, mut of_one) = (FloatPairs::default(), FloatSpread::default());
        for &(y, x) in &pairs {
            of_pairs.add(y, x, 1);
            of_one.add(x, 1);
        }
        for order in 0..3 {
            let postgres = match order {
                0 => Postgres::of(&pairs),
                1 => {
                    pairs.shuffle(&mut random);
                    Postgres::of(&pairs)
                }
                _ => {
                    let (one, rest) = pairs.split_at(random.random_range(0..count));
                    let (two, three) = rest.split_at(rest.len() / 2);
                    Postgres::of(one).with(Postgres::of(two)).with(Postgres::of(three))
                }
            };
            let spreads = SPREADS.map(|spread| (format!("{spread:?}"), of_one.value(spread), postgres.spread(spread)));
            let statistics =
                STATISTICS.map(|which| (format!("{which:?}"), of_pairs.value(which), postgres.statistic(which)));
            for (what, value, postgres) in spreads.into_iter().chain(statistics) {
                asked += 1;
                let Some(found) = given(&value) else { continue };
                answered += 1;
                // (Means are sums, which are given in any case.)
                let is_mean = what.starts_with("Avg");
                assert!(is_mean || is_close(found, postgres), "{what} of {pairs:?}: {found:?}, and {postgres:?}");
            }
        }
    }
    assert!(answered * 10 > asked * 6, "{answered} of {asked} are answered");
}

#[test]
fn what_is_taken_back_leaves_no_trace() {
    let mut random = StdRng::seed_from_u64(7);
    let mut pairs = FloatPairs::default();
    let kept = [(1.0, 0.1), (2.5, 0.7), (-3.0, 0.2)];
    kept.iter().for_each(|&(y, x)| pairs.add(y, x, 1));
    let before = STATISTICS.map(|which| pairs.value(which));
    let mut others: Vec<(f64, f64)> = (0..500)
        .map(|_| (random.random_range(-1.0..1.0), 10f64.powi(random.random_range(-80..80))))
        .chain([(f64::NAN, 1.0), (1.0, f64::INFINITY), (f64::MAX, f64::MIN_POSITIVE)])
        .collect();
    others.iter().for_each(|&(y, x)| pairs.add(y, x, 2));
    assert!(pairs.value(PairStatistic::Corr).is_error());
    others.shuffle(&mut random);
    others.iter().for_each(|&(y, x)| pairs.add(y, x, -2));
    assert_eq!(STATISTICS.map(|which| pairs.value(which)), before);
    kept.iter().for_each(|&(y, x)| pairs.add(y, x, -1));
    assert!(STATISTICS.iter().all(|which| pairs.value(*which) == Value::Null));
}

/// As PostgreSQL 15 prints them.
#[test]
fn as_postgres() {
    let mut pairs = FloatPairs::default();
    [(1.0, 1.0), (2.0, 2.0), (2.0, 4.0)].iter().for_each(|&(y, x)| pairs.add(y, x, 1));
    assert_eq!(pairs.value(PairStatistic::Corr), Value::Float8(0.7559289460184544));
    assert_eq!(pairs.value(PairStatistic::CovarSamp), Value::Float8(0.6666666666666666));
    let mut one = FloatSpread::default();
    one.add(1e300, 1);
    assert!(one.value(SPREADS[0]).is_error());
    one.add(1e300, -1);
    [1.0, 2.0, 4.0].iter().for_each(|&x| one.add(x, 1));
    assert_eq!(one.value(SPREADS[1]), Value::Float8(2.3333333333333335));
}
