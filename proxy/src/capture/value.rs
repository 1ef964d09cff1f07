//! Column values as the stream and COPY send them (`typsend`) → [`Value`].

use weir_planner::Value;

/// Decodes one value that is not NULL. Err: why a column of this type cannot be stored.
pub(super) fn decode(type_oid: u32, bytes: &[u8]) -> Result<Value, String> {
    let _ = type_oid;
    Ok(Value::Opaque(bytes.into()))
}
