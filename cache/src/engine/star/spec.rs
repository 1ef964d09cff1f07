//! A star's parameters.

use crate::key::KeySpec;
use weir_planner::Expr;

/// Expressions are over the concatenation of the driver's row and the links' rows, each cut to its width.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StarSpec {
    pub driver_width: usize,
    /// The driver's keys, each once.
    pub keys: Vec<KeySpec>,
    pub links: Vec<LinkSpec>,
    pub output: Vec<Expr>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LinkSpec {
    /// Which of the driver's keys looks up in this link.
    pub driver_key: usize,
    /// Over the link's own row.
    pub key: KeySpec,
    /// Drivers without a match are joined to a row of NULLs.
    pub outer: bool,
    pub width: usize,
    /// Over the concatenation up to and with this link: what is not true of every one of them goes.
    pub conditions: Vec<Expr>,
}

impl StarSpec {
    /// Position of a link's first column in the concatenation.
    pub fn start(&self, link: usize) -> usize {
        self.driver_width + self.links[..link].iter().map(|link| link.width).sum::<usize>()
    }
}
