//! Weir's counters and state, from its HTTP address.

use std::io::{Read, Write};
use std::net::TcpStream;
use weir_tests::weir::TestWeir;

/// A counter of `/metrics`.
pub fn metric(weir: &TestWeir, name: &str) -> f64 {
    weir.counter(name)
}

/// The whole answer to GET `path`.
pub fn http(weir: &TestWeir, path: &str) -> String {
    let address = weir.http_address();
    let mut stream = TcpStream::connect(&address).expect("Weir serves HTTP");
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("Weir serves HTTP");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("Weir serves HTTP");
    answer
}
