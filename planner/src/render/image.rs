//! Types of which nothing but the binary image is known, as their output functions print them.

use super::{Renderer, Unrenderable, hex, infallible, integer};
use crate::types::{ColumnType, oid};
use crate::value::decode_binary;
use std::io::Write;

/// What is left of a binary image to be read.
struct Image<'b>(&'b [u8]);

/// First byte of a jsonpath's binary image (`jsonpath_send`).
const JSONPATH_VERSION: u8 = 1;

/// The range types that multiranges are made of.
const MULTIRANGES: [(u32, u32); 6] = [
    (4451, oid::INT4RANGE),
    (4532, oid::NUMRANGE),
    (4533, oid::TSRANGE),
    (4534, oid::TSTZRANGE),
    (4535, oid::DATERANGE),
    (4536, oid::INT8RANGE),
];

pub(super) fn image(renderer: &Renderer, bytes: &[u8], type_oid: u32, out: &mut Vec<u8>) -> Result<(), Unrenderable> {
    let start = out.len();
    let written = match MULTIRANGES.iter().find(|(of, _)| *of == type_oid) {
        Some((_, range)) => multirange(renderer, Image(bytes), *range, out)?,
        None => Image(bytes).write(renderer, type_oid, out),
    };
    match written {
        Some(Image([])) => Ok(()),
        _ => {
            out.truncate(start);
            Err(Unrenderable::Type(type_oid))
        }
    }
}

impl<'b> Image<'b> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn bytes(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn all(&mut self) -> &'b [u8] {
        std::mem::take(&mut self.0)
    }

    /// Appends the text; what is left of the image. None: of another form, or of a type whose text is not known.
    fn write(mut self, renderer: &Renderer, type_oid: u32, out: &mut Vec<u8>) -> Option<Image<'b>> {
        let floats = |image: &mut Image<'b>, parts: &[&str], out: &mut Vec<u8>| -> Option<()> {
            for part in parts {
                match *part {
                    "n" => renderer.float8(f64::from_bits(image.u64()?), out),
                    mark => out.extend_from_slice(mark.as_bytes()),
                }
            }
            Some(())
        };
        match type_oid {
            // The binary image of json is its text.
            oid::JSON | oid::REFCURSOR => out.extend_from_slice(self.all()),
            // The declaration of an encoding depends on who asks.
            oid::XML if !self.0.starts_with(b"<?xml") => out.extend_from_slice(self.all()),
            oid::JSONPATH if self.take::<1>()? == [JSONPATH_VERSION] => out.extend_from_slice(self.all()),
            oid::MACADDR | oid::MACADDR8 => {
                let [first] = self.take::<1>()?;
                hex(&[first], out);
                for byte in self.all() {
                    out.push(b':');
                    hex(&[*byte], out);
                }
            }
            oid::OID | oid::XID | oid::CID => integer(self.u32()?.into(), out),
            oid::XID8 => infallible(write!(out, "{}", self.u64()?)),
            oid::PG_LSN => infallible(write!(out, "{:X}/{:X}", self.u32()?, self.u32()?)),
            oid::TID => infallible(write!(out, "({},{})", self.u32()?, self.u16()?)),
            // `charout` prints other bytes differently from 15 to 16.
            oid::CHAR => {
                let [byte] = self.take::<1>().filter(|[byte]| byte.is_ascii() && *byte != 0)?;
                out.push(byte);
            }
            oid::BIT | oid::VARBIT => {
                let count = self.u32()? as usize;
                let bytes = self.bytes(count.div_ceil(8))?;
                out.extend((0..count).map(|at| if bytes[at / 8] << (at % 8) & 0x80 == 0 { b'0' } else { b'1' }));
            }
            oid::POINT => floats(&mut self, &["(", "n", ",", "n", ")"], out)?,
            oid::LINE => floats(&mut self, &["{", "n", ",", "n", ",", "n", "}"], out)?,
            oid::CIRCLE => floats(&mut self, &["<(", "n", ",", "n", "),", "n", ">"], out)?,
            oid::LSEG => floats(&mut self, &["[(", "n", ",", "n", "),(", "n", ",", "n", ")]"], out)?,
            oid::BOX => floats(&mut self, &["(", "n", ",", "n", "),(", "n", ",", "n", ")"], out)?,
            oid::PATH | oid::POLYGON => {
                let is_open = type_oid == oid::PATH && self.take::<1>()? == [0];
                out.push(if is_open { b'[' } else { b'(' });
                for at in 0..self.u32()? {
                    if at > 0 {
                        out.push(b',');
                    }
                    floats(&mut self, &["(", "n", ",", "n", ")"], out)?;
                }
                out.push(if is_open { b']' } else { b')' });
            }
            oid::TSVECTOR => self.tsvector(out)?,
            _ => return None,
        }
        Some(self)
    }

    /// `tsvectorout`: words in quotes, each with its places and their weights.
    fn tsvector(&mut self, out: &mut Vec<u8>) -> Option<()> {
        for at in 0..self.u32()? {
            if at > 0 {
                out.push(b' ');
            }
            let length = self.0.iter().position(|byte| *byte == 0)?;
            out.push(b'\'');
            for byte in self.bytes(length)? {
                if matches!(byte, b'\'' | b'\\') {
                    out.push(*byte);
                }
                out.push(*byte);
            }
            out.push(b'\'');
            self.take::<1>()?;
            for place in 0..self.u16()? {
                out.push(if place == 0 { b':' } else { b',' });
                // Two bits of weight, from D to A.
                let position = self.u16()?;
                integer((position & 0x3FFF).into(), out);
                out.extend_from_slice([&b""[..], b"C", b"B", b"A"][usize::from(position >> 14)]);
            }
        }
        Some(())
    }
}

/// `multirange_out`.
fn multirange<'b>(
    renderer: &Renderer,
    mut image: Image<'b>,
    range: u32,
    out: &mut Vec<u8>,
) -> Result<Option<Image<'b>>, Unrenderable> {
    let Some(count) = image.u32() else { return Ok(None) };
    out.push(b'{');
    for at in 0..count {
        if at > 0 {
            out.push(b',');
        }
        let bytes = image.u32().and_then(|length| image.bytes(length as usize));
        let Some(Ok(value)) = bytes.map(|bytes| decode_binary(range, bytes)) else { return Ok(None) };
        renderer.encode(&value, &ColumnType::new(range), out)?;
    }
    out.push(b'}');
    Ok(Some(image))
}
