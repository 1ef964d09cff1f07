//! `COPY (SELECT …) TO STDOUT` from memory. `lexer` cuts the text, `text` finds the inner statement and `options` what
//! follows it; the inner statement is analysed, allowed and evaluated as the read it is. `rows` writes what it yields
//! (with `escape`), and `stream` hands that over.

pub(super) mod escape;
mod lexer;
mod options;
mod rows;
mod stream;
mod text;

pub(super) use lexer::{Lexer, Token};
pub(super) use options::Options;
pub(super) use rows::BINARY_HEADER;
pub(super) use stream::CopyOut;
pub(super) use text::read;
