//! Cursors over stream tables: DECLARE is Postgres', FETCH is answered from memory as long as nothing else happens in the
//! block. `text` reads the statements and `spoken` the messages that bring them; `open` sees what must hold when a cursor is
//! declared, `prove` that memory has the rows its snapshot shows, `fetch` tells them, and `settle` brings upstream's cursor to
//! where the client's is before anything is forwarded that could see it.

mod fetch;
mod held;
mod open;
mod prove;
mod settle;
mod spoken;
mod text;

pub(super) use held::Cursors;
pub(super) use spoken::Spoken;
