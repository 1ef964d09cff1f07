//! Weir's counters, from `/metrics`.

use crate::dataset::Dataset;
use std::io::{Read, Write};
use std::net::TcpStream;

/// A counter of `/metrics`.
pub fn metric(dataset: &Dataset, name: &str) -> f64 {
    let address = dataset.weir.http_address();
    let mut stream = TcpStream::connect(&address).expect("Weir serves HTTP");
    let request = format!("GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("Weir serves HTTP");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("Weir serves HTTP");
    let sample = answer.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    sample.unwrap_or_else(|| panic!("/metrics has no {name}"))
}
