//! Frames of the Postgres protocol: five-byte headers, message boundaries, the messages Weir itself says.
