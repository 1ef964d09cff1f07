//! Frames of the Postgres protocol: five-byte headers, message boundaries, buffered endpoints, and the messages Weir
//! itself reads or says. Knows nothing of routing: what a message means for a session is decided in `session`.

pub mod backend;
pub mod buffer;
pub mod endpoint;
pub mod frame;
pub mod frontend;
pub mod startup;
pub mod stream;
