//! One client: start-up, forwarding, the decision what memory may answer, and the answers. A session is one task on one
//! of the `workers`, with two endpoints and no lock on its way; `relay` moves bytes, `frontend` (with `judge` and
//! `forward`) and `upstream` look at message headers, `attempt` decides whether memory answers a collected read (with
//! `resolve`: may it at all, and `freshness`: as of when), and everything it cannot prove is forwarded with a reason
//! from `reason`. A COPY of a query is `copy`'s, a cursor over one `cursor`'s, a subscription `subscription`'s. What a message looks like is `wire`'s business; what a plan yields is the cache's.

mod answer;
mod attempt;
mod batch;
mod bookmark;
mod cancel;
mod context;
mod conversation;
mod copy;
mod cursor;
mod elsewhere;
mod environment;
mod exchange;
mod expected;
mod forward;
mod freshness;
mod frontend;
mod hidden;
mod hold;
#[cfg(test)]
mod hostile;
mod idle;
mod judge;
mod listener;
mod login;
mod mend;
mod miscount;
mod opening;
mod owed;
mod parameters;
mod prelude;
mod privilege;
mod probe;
pub mod reason;
mod relay;
mod resolve;
mod sasl;
mod scan;
mod shape;
mod show;
mod startup;
mod statements;
mod subscription;
mod unix;
mod upstream;
mod workers;

pub use context::SessionContext;
pub use listener::{Listener, serve};
pub use workers::Workers;
