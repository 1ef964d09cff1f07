//! Network addresses: inet and cidr (network.c).

use super::define::strict_functions;
use crate::render::inet::{encode_address, encode_inet};
use crate::value::Value::{self, *};
use crate::value::{EvalError, Inet};

fn text(write: impl FnOnce(&mut Vec<u8>)) -> Result<Value, EvalError> {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out)
        .map(|text| Value::text(&text))
        .map_err(|_| EvalError::unsupported("an address that is no text"))
}

fn overlap(a: &Inet, b: &Inet) -> bool {
    a.version == b.version && a.compare_bits(b, a.bits.min(b.bits)).is_eq()
}

strict_functions! {
    "network_eq" (Inet(a), Inet(b)) => Ok(Bool(a.compare(b).is_eq()));
    "network_ne" (Inet(a), Inet(b)) => Ok(Bool(a.compare(b).is_ne()));
    "network_lt" (Inet(a), Inet(b)) => Ok(Bool(a.compare(b).is_lt()));
    "network_le" (Inet(a), Inet(b)) => Ok(Bool(a.compare(b).is_le()));
    "network_gt" (Inet(a), Inet(b)) => Ok(Bool(a.compare(b).is_gt()));
    "network_ge" (Inet(a), Inet(b)) => Ok(Bool(a.compare(b).is_ge()));
    "network_sub" (Inet(a), Inet(b)) => Ok(Bool(a.is_within(b, 1)));
    "network_subeq" (Inet(a), Inet(b)) => Ok(Bool(a.is_within(b, 0)));
    "network_sup" (Inet(a), Inet(b)) => Ok(Bool(b.is_within(a, 1)));
    "network_supeq" (Inet(a), Inet(b)) => Ok(Bool(b.is_within(a, 0)));
    "network_overlap" (Inet(a), Inet(b)) => Ok(Bool(overlap(a, b)));
    "network_masklen" (Inet(a)) => Ok(Int4(a.bits.into()));
    "network_family" (Inet(a)) => Ok(Int4(if a.bytes().len() == 4 { 4 } else { 6 }));
    "network_host" (Inet(a)) => text(|out| encode_address(a, out));
    "network_show" (Inet(a)) => text(|out| encode_inet(a, true, out));
}
