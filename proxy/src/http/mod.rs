//! Metrics and status over HTTP.
