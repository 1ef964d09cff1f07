//! Digests (`cryptohashfuncs.c`) and bytes as text (`encode.c`).

use super::define::strict_functions;
use crate::value::EvalError;
use crate::value::Value::{self, *};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use sha2::{Sha224, Sha256, Sha384, Sha512};
use std::fmt::Write;

/// Of base64, how many bytes a line of 76 characters stands for.
const BASE64_LINE_BYTES: usize = 57;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn digest<D: Digest>(bytes: &[u8]) -> Value {
    Bytea(D::digest(bytes).to_vec().into())
}

fn encode(bytes: &[u8], format: &str) -> Result<Value, EvalError> {
    let text = match format.to_ascii_lowercase().as_str() {
        "hex" => hex(bytes),
        "base64" => {
            let mut text = String::new();
            for line in bytes.chunks(BASE64_LINE_BYTES) {
                STANDARD.encode_string(line, &mut text);
                // A full line ends in one, also where nothing follows.
                if line.len() == BASE64_LINE_BYTES {
                    text.push('\n');
                }
            }
            text
        }
        "escape" => bytes.iter().fold(String::new(), |mut text, byte| {
            match byte {
                0 | 0x80.. => {
                    let _ = write!(text, "\\{byte:03o}");
                }
                b'\\' => text.push_str("\\\\"),
                byte => text.push(char::from(*byte)),
            }
            text
        }),
        _ => return Err(unrecognized(format)),
    };
    Ok(Value::text(&text))
}

fn unrecognized(format: &str) -> EvalError {
    EvalError::invalid_parameter(format!("unrecognized encoding: \"{format}\""))
}

/// Of `hex` alone, where blanks between the pairs are skipped.
fn decode(text: &str, format: &str) -> Result<Value, EvalError> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => {}
        "base64" | "escape" | "base64url" => return Err(EvalError::unsupported("decode of another format than hex")),
        _ => return Err(unrecognized(format)),
    }
    let is_blank = |c: char| matches!(c, ' ' | '\n' | '\t' | '\r');
    let digit = |c: char| {
        c.to_digit(16).ok_or_else(|| EvalError::invalid_parameter(format!("invalid hexadecimal digit: \"{c}\"")))
    };
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut rest = text.chars();
    while let Some(first) = rest.next() {
        if is_blank(first) {
            continue;
        }
        let high = digit(first)?;
        let Some(second) = rest.next() else {
            return Err(EvalError::invalid_parameter("invalid hexadecimal data: odd number of digits"));
        };
        bytes.push((high << 4 | digit(second)?) as u8);
    }
    Ok(Bytea(bytes.into()))
}

fn byte(bytes: &[u8], at: i32) -> Result<Value, EvalError> {
    let byte = usize::try_from(at).ok().and_then(|at| bytes.get(at));
    byte.map(|byte| Int4(i32::from(*byte)))
        .ok_or_else(|| EvalError::new("2202E", format!("index {at} out of valid range, 0..{}", bytes.len() as i64 - 1)))
}

strict_functions! {
    "md5_text" (Text(a)) => Ok(Value::text(&hex(&Md5::digest(a.as_bytes()))));
    "md5_bytea" (Bytea(a)) => Ok(Value::text(&hex(&Md5::digest(a))));
    "sha224_bytea" (Bytea(a)) => Ok(digest::<Sha224>(a));
    "sha256_bytea" (Bytea(a)) => Ok(digest::<Sha256>(a));
    "sha384_bytea" (Bytea(a)) => Ok(digest::<Sha384>(a));
    "sha512_bytea" (Bytea(a)) => Ok(digest::<Sha512>(a));
    "binary_encode" (Bytea(a), Text(format)) => encode(a, format);
    "binary_decode" (Text(a), Text(format)) => decode(a, format);
    "byteaGetByte" (Bytea(a), &Int4(at)) => byte(a, at);
}
