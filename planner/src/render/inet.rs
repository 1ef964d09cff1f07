//! `inet_out`, `cidr_out` (`src/port/inet_net_ntop.c`).

use super::infallible;
use crate::value::{Inet, IpVersion};
use std::io::Write;

/// The address; the number of bits where it is not that of a whole address, or `always`.
pub fn encode_inet(inet: &Inet, always: bool, out: &mut Vec<u8>) {
    encode_address(inet, out);
    if always || inet.bits != inet.version.width() {
        infallible(write!(out, "/{}", inet.bits));
    }
}

pub fn encode_address(inet: &Inet, out: &mut Vec<u8>) {
    match (inet.version, inet.bytes()) {
        (IpVersion::V4, [a, b, c, d]) => infallible(write!(out, "{a}.{b}.{c}.{d}")),
        (_, bytes) => {
            let words: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            encode_words(&words, out);
        }
    }
}

/// `inet_net_ntop_ipv6`: the first of the longest runs of zeros, if of two words or more, is `::`; what maps version 4 ends as
/// that does.
fn encode_words(words: &[u16], out: &mut Vec<u8>) {
    let mut best = (0, 0);
    let mut at = 0;
    while at < words.len() {
        let length = words[at..].iter().take_while(|word| **word == 0).count();
        if length > best.1 {
            best = (at, length);
        }
        at += length.max(1);
    }
    let (start, length) = if best.1 < 2 { (usize::MAX, 0) } else { best };
    let mut at = 0;
    while at < words.len() {
        if at == start {
            out.push(b':');
            at += length;
            if at == words.len() {
                out.push(b':');
            }
            continue;
        }
        if at > 0 {
            out.push(b':');
        }
        let is_mapped =
            start == 0 && (length == 6 || length == 7 && words[7] != 0x0001 || length == 5 && words[5] == 0xffff);
        if at == 6 && is_mapped {
            let [a, b, c, d] = [words[6] >> 8, words[6] & 0xff, words[7] >> 8, words[7] & 0xff];
            infallible(write!(out, "{a}.{b}.{c}.{d}"));
            return;
        }
        infallible(write!(out, "{:x}", words[at]));
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let text = |text: &str, bits: u8| {
            let address: std::net::Ipv6Addr = text.parse().unwrap();
            let mut out = Vec::new();
            encode_inet(&Inet::new(IpVersion::V6, bits, &address.octets()).unwrap(), false, &mut out);
            String::from_utf8(out).unwrap()
        };
        for (given, shown) in [
            ("::", "::"),
            ("::1", "::1"),
            ("1::", "1::"),
            ("2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"),
            ("1:0:2:0:3:0:4:0", "1:0:2:0:3:0:4:0"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
        ] {
            assert_eq!(text(given, 128), shown);
        }
        assert_eq!(text("fe80::", 10), "fe80::/10");
    }
}
