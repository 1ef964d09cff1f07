//! Parameter values as a Bind carries them, read as the types' input and receive functions would. What they would
//! refuse is forwarded, so that Postgres refuses it.

use super::attempt::Refusal;
use super::reason;
use crate::analysis::Labels;
use crate::wire::frontend::Bind;
use weir_planner::parse::decode_text;
use weir_planner::settings::Settings;
use weir_planner::types::oid;
use weir_planner::value::{Value, decode_binary, element_type};

pub(super) fn decode(
    bind: &Bind<'_>,
    types: &[u32],
    labels: &Labels,
    settings: &Settings,
    into: &mut Vec<Value>,
) -> Result<(), Refusal> {
    into.clear();
    let formats = bind.formats.len();
    if bind.values.len() != types.len() || !(matches!(formats, 0 | 1) || formats == types.len()) {
        return Err(reason::FORMATS.into());
    }
    for (i, (value, type_oid)) in bind.values.iter().zip(types).enumerate() {
        let format = match bind.formats[..] {
            [] => 0,
            [one] => one,
            ref each => each[i],
        };
        into.push(match (value, format) {
            (None, 0 | 1) => Value::Null,
            // An enum's image is its label in either format.
            (Some(bytes), 0 | 1) if let Some(labels) = labels.get(type_oid) => {
                let is_label = labels.iter().any(|label| label.as_bytes() == *bytes);
                is_label.then(|| Value::Opaque((*bytes).into())).ok_or(reason::PARAMETER)?
            }
            // Text may not hold a zero byte (22021), in either format.
            (Some(bytes), format) if is_text(*type_oid, format) && bytes.contains(&0) => {
                return Err(reason::PARAMETER.into());
            }
            (Some(bytes), 0) => {
                let text = std::str::from_utf8(bytes).map_err(|_| reason::PARAMETER)?;
                decode_text(*type_oid, -1, text, settings).map_err(|_| reason::PARAMETER)?
            }
            (Some(bytes), 1) => {
                let value = decode_binary(*type_oid, bytes).map_err(|_| reason::PARAMETER)?;
                is_readable(&value).then_some(value).ok_or(reason::PARAMETER)?
            }
            _ => return Err(reason::FORMATS.into()),
        });
    }
    Ok(())
}

/// The image is text, or a list of texts in text format.
fn is_text(type_oid: u32, format: i16) -> bool {
    let type_oid = if format == 0 { element_type(type_oid).unwrap_or(type_oid) } else { type_oid };
    matches!(type_oid, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::UNKNOWN)
}

/// No text in it holds a zero byte.
fn is_readable(value: &Value) -> bool {
    match value {
        Value::Array(array) => array.elements.iter().all(is_readable),
        // Inside an array; alone it has been seen to before.
        Value::Text(text) | Value::Bpchar(text) => !text.contains('\0'),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An enum's OID.
    const MOOD: u32 = 20_000;

    fn bind<'a>(formats: Vec<i16>, values: Vec<Option<&'a [u8]>>) -> Bind<'a> {
        Bind { portal: b"", statement: b"", formats, values, result_formats: vec![] }
    }

    fn decoded(bind: &Bind<'_>, types: &[u32]) -> Result<Vec<Value>, &'static str> {
        let mut values = Vec::new();
        let labels = Labels::from([(MOOD, vec!["sad".into(), "ok".into()])]);
        match decode(bind, types, &labels, &Settings::default(), &mut values) {
            Ok(()) => Ok(values),
            Err(Refusal::Forward(reason)) => Err(reason),
            Err(other) => panic!("decoding only forwards: {other:?}"),
        }
    }

    #[test]
    fn text_and_binary_are_read_by_type() {
        let types = [oid::INT4, oid::TEXT];
        let text = bind(vec![], vec![Some(b"42"), None]);
        assert_eq!(decoded(&text, &types), Ok(vec![Value::Int4(42), Value::Null]));
        let mixed = bind(vec![1, 0], vec![Some(b"\0\0\0\x2a"), Some(b"x")]);
        assert_eq!(decoded(&mixed, &types).unwrap()[0], Value::Int4(42));
    }

    #[test]
    fn labels_are_read_as_they_are() {
        for format in [0, 1] {
            let read = decoded(&bind(vec![format], vec![Some(b"ok")]), &[MOOD]);
            assert_eq!(read, Ok(vec![Value::Opaque(b"ok".as_slice().into())]));
            assert_eq!(decoded(&bind(vec![format], vec![Some(b" ok")]), &[MOOD]), Err(reason::PARAMETER));
        }
    }

    #[test]
    fn what_postgres_refuses_is_forwarded() {
        assert_eq!(decoded(&bind(vec![], vec![Some(b"4x")]), &[oid::INT4]), Err(reason::PARAMETER));
        assert_eq!(decoded(&bind(vec![1], vec![Some(b"\0\0\x2a")]), &[oid::INT4]), Err(reason::PARAMETER));
        assert_eq!(decoded(&bind(vec![1], vec![Some(b"a\0b")]), &[oid::TEXT]), Err(reason::PARAMETER));
        assert_eq!(decoded(&bind(vec![0], vec![Some(b"\xff")]), &[oid::TEXT]), Err(reason::PARAMETER));
        assert_eq!(decoded(&bind(vec![], vec![]), &[oid::TEXT]), Err(reason::FORMATS));
        assert_eq!(decoded(&bind(vec![2], vec![Some(b"1")]), &[oid::INT4]), Err(reason::FORMATS));
        let late = (i64::MAX - 1).to_be_bytes();
        assert_eq!(decoded(&bind(vec![1], vec![Some(&late)]), &[oid::TIMESTAMP]), Err(reason::PARAMETER));
    }
}
