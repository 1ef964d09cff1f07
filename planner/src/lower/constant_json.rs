//! Constants of jsonb: the tree of `src/include/utils/jsonb.h` as its text.

use crate::render::json::encode_json_string;
use crate::value::Value;
use crate::value::datum::{DatumError, fixed, numeric, varlena};
use std::io::Write;

/// Of a container's header.
const COUNT: u32 = 0x0FFF_FFFF;
const IS_SCALAR: u32 = 0x1000_0000;
const IS_OBJECT: u32 = 0x2000_0000;
const IS_ARRAY: u32 = 0x4000_0000;
/// Of an entry: a length, or the offset of its end, and what it is.
const LENGTH: u32 = 0x0FFF_FFFF;
const HAS_OFFSET: u32 = 0x8000_0000;
const KIND: u32 = 0x7000_0000;
/// Containers in containers.
const DEEPEST: usize = 100;

/// The value of a datum with its length word.
pub(super) fn jsonb(bytes: &[u8]) -> Result<Value, DatumError> {
    let mut text = Vec::new();
    container(varlena(bytes)?, 0, &mut text)?;
    let text = String::from_utf8(text).map_err(|_| DatumError::Malformed)?;
    Ok(Value::Jsonb(text.into()))
}

fn container(bytes: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), DatumError> {
    if depth > DEEPEST {
        return Err(DatumError::UnknownType);
    }
    let header = u32::from_le_bytes(fixed(bytes)?);
    let count = (header & COUNT) as usize;
    let entries = match (header & IS_OBJECT != 0, header & IS_ARRAY != 0) {
        (true, false) => count * 2,
        (false, true) => count,
        _ => return Err(DatumError::Malformed),
    };
    let (words, data) = bytes[4..].split_at_checked(entries * 4).ok_or(DatumError::Malformed)?;
    // Keys come first, then the values in the order of their keys.
    let (mut parts, mut start) = (Vec::with_capacity(entries), 0usize);
    for word in words.chunks_exact(4) {
        let entry = u32::from_le_bytes(fixed(word)?);
        let length = (entry & LENGTH) as usize;
        let end = if entry & HAS_OFFSET != 0 { length } else { start + length };
        let mut text = Vec::new();
        part(data, start, end, entry & KIND, depth, &mut text)?;
        parts.push(text);
        start = end;
    }
    if header & IS_SCALAR != 0 {
        out.extend(parts.pop().ok_or(DatumError::Malformed)?);
        return Ok(());
    }
    let is_object = header & IS_OBJECT != 0;
    out.push(if is_object { b'{' } else { b'[' });
    for at in 0..count {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(&parts[at]);
        if is_object {
            out.extend_from_slice(b": ");
            out.extend_from_slice(&parts[count + at]);
        }
    }
    out.push(if is_object { b'}' } else { b']' });
    Ok(())
}

fn part(data: &[u8], start: usize, end: usize, kind: u32, depth: usize, out: &mut Vec<u8>) -> Result<(), DatumError> {
    let bytes = |from: usize| data.get(from..end).ok_or(DatumError::Malformed);
    // Numbers and containers begin at a multiple of four.
    let aligned = start.next_multiple_of(4);
    match kind {
        0x0000_0000 => {
            let text = bytes(start)?;
            std::str::from_utf8(text).map_err(|_| DatumError::Malformed)?;
            encode_json_string(text, out);
        }
        0x1000_0000 => {
            let number = numeric(varlena(bytes(aligned)?)?)?;
            write!(out, "{number}").map_err(|_| DatumError::Malformed)?;
        }
        0x2000_0000 => out.extend_from_slice(b"false"),
        0x3000_0000 => out.extend_from_slice(b"true"),
        0x4000_0000 => out.extend_from_slice(b"null"),
        0x5000_0000 => container(bytes(aligned)?, depth + 1, out)?,
        _ => return Err(DatumError::Malformed),
    }
    Ok(())
}
