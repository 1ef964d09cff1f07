//! A failing sequence made small: ever smaller runs of messages are left out while it still fails.

use super::step::Sequence;

/// Tries at most, each a whole play on both sides.
const MAX_TRIES: usize = 400;

/// `fails` plays a candidate and tells whether the sides still differ.
pub fn shrink(sequence: &Sequence, mut fails: impl FnMut(&Sequence) -> bool) -> Sequence {
    let mut smallest = sequence.clone();
    let mut run = smallest.0.len().div_ceil(2).max(1);
    let mut tries = 0;
    loop {
        let mut from = 0;
        let mut shrunk = false;
        while from < smallest.0.len() && tries < MAX_TRIES {
            let to = (from + run).min(smallest.0.len());
            let mut candidate = smallest.clone();
            candidate.0.drain(from..to);
            tries += 1;
            if fails(&candidate) {
                smallest = candidate;
                shrunk = true;
            } else {
                from = to;
            }
        }
        if tries >= MAX_TRIES || (run == 1 && !shrunk) {
            return smallest;
        }
        run = if shrunk { run } else { (run / 2).max(1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Step;

    #[test]
    fn only_what_matters_is_left() {
        let query = |text: &str| Step::Query(text.to_owned());
        let sequence = Sequence((0..40).map(|n| query(&n.to_string())).collect());
        let small =
            shrink(&sequence, |candidate| candidate.0.contains(&query("3")) && candidate.0.contains(&query("31")));
        assert_eq!(small, Sequence(vec![query("3"), query("31")]));
    }
}
