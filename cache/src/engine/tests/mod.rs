//! The engine against a from-scratch evaluator: random plans, commits and refreshes ([`fuzz`]), and the behaviours
//! that a random walk would not pin down one by one ([`cases`], [`intake`], [`kept`], [`ranks`], [`stars`], [`temporal`], [`windows`]).

mod cases;
mod fixtures;
mod fuzz;
mod generate;
mod intake;
mod kept;
mod oracle;
mod ranks;
mod stars;
mod temporal;
mod windows;
