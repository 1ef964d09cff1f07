//! Aggregates that can take rows back: what `count`, `sum`, `min` … hold for one group. The engine adds and removes
//! rows as deltas come; one-shot reads only add. No plans, no storage: an [`Accumulator`] sees evaluated values.
//!
//! A failing argument or filter is counted apart, so the result is an error while any such row is in the group and
//! heals when the last one leaves.

mod accumulator;
mod distinct;
mod expansion;
mod float_spread;
mod float_sum;
mod json;
mod listed;
mod mode;
mod ordered;
mod ranked;
mod single;

pub use accumulator::Accumulator;
pub use float_sum::{DOUBLE_TOLERANCE, SINGLE_TOLERANCE};
pub(crate) use ordered::image_order;
