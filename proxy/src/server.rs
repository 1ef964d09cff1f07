//! Composition: builds the parts of `weir serve` and ties their lives together.
