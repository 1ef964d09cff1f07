//! `range_out` (`src/backend/utils/adt/rangetypes.c`).

use super::{Renderer, Unrenderable};
use crate::types::ColumnType;
use crate::value::{Range, RangeBound};

pub(super) fn range(renderer: &Renderer, range: &Range, out: &mut Vec<u8>) -> Result<(), Unrenderable> {
    let Some(bounds) = &range.bounds else {
        out.extend_from_slice(b"empty");
        return Ok(());
    };
    out.push(if bounds.lower.inclusive { b'[' } else { b'(' });
    bound(renderer, &bounds.lower, range.element, out)?;
    out.push(b',');
    bound(renderer, &bounds.upper, range.element, out)?;
    out.push(if bounds.upper.inclusive { b']' } else { b')' });
    Ok(())
}

/// An infinite one is nothing at all.
fn bound(renderer: &Renderer, bound: &RangeBound, element: u32, out: &mut Vec<u8>) -> Result<(), Unrenderable> {
    let Some(value) = &bound.value else { return Ok(()) };
    let mut image = Vec::new();
    renderer.encode(value, &ColumnType::new(element), &mut image)?;
    let is_special = |byte: &u8| {
        matches!(byte, b'"' | b'\\' | b'(' | b')' | b'[' | b']' | b',' | b' ' | b'\t' | b'\n' | b'\r' | 0xb | 0xc)
    };
    if !image.is_empty() && !image.iter().any(is_special) {
        out.extend_from_slice(&image);
        return Ok(());
    }
    out.push(b'"');
    for byte in image {
        if matches!(byte, b'"' | b'\\') {
            out.push(byte);
        }
        out.push(byte);
    }
    out.push(b'"');
    Ok(())
}
