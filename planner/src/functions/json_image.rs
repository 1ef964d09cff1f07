//! What JSON aggregates make of their arguments. Postgres does this inside the aggregates' transition functions, so these
//! have no entry in `pg_proc` and no place in the registry; they say which settings a type's JSON depends on.

use super::Function;
use crate::eval::EvalContext;
use crate::render::json::{JsonForm, encode_json, encode_json_key};
use crate::settings::SettingSet;
use crate::types::oid;
use crate::value::{EvalError, Value, element_type};

/// What a value becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonRole {
    /// An image of type json.
    Json,
    /// A jsonb.
    Jsonb,
    /// The text of an object's key, not escaped.
    Key,
}

/// The function for values of a type; none where its JSON is not known.
pub fn json_image(type_oid: u32, role: JsonRole) -> Option<&'static Function> {
    let element = element_type(type_oid).filter(|_| role != JsonRole::Key);
    let settings = match element.unwrap_or(type_oid) {
        oid::BOOL | oid::INT2 | oid::INT4 | oid::INT8 | oid::NUMERIC | oid::DATE | oid::TIME => SettingSet::NONE,
        oid::UNKNOWN | oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::UUID | oid::TIMESTAMP => {
            SettingSet::NONE
        }
        oid::FLOAT4 | oid::FLOAT8 => SettingSet::EXTRA_FLOAT_DIGITS,
        oid::TIMESTAMPTZ => SettingSet::TIME_ZONE,
        oid::INTERVAL => SettingSet::INTERVAL_STYLE,
        oid::BYTEA => SettingSet::BYTEA_OUTPUT,
        // Embedding a json in a jsonb would need it parsed.
        oid::JSON if role == JsonRole::Json => SettingSet::NONE,
        oid::JSONB if role != JsonRole::Key => SettingSet::NONE,
        _ => return None,
    };
    let functions = match role {
        JsonRole::Json => &TO_JSON,
        JsonRole::Jsonb => &TO_JSONB,
        JsonRole::Key => &TO_KEY,
    };
    functions.iter().find(|function| function.settings == settings)
}

type Image = fn(&[&Value], &EvalContext) -> Result<Value, EvalError>;

const fn family(symbols: [&'static str; 5], eval: Image) -> [Function; 5] {
    let [none, float, zone, interval, bytea] = symbols;
    [
        Function { symbol: none, strict: true, settings: SettingSet::NONE, eval },
        Function { symbol: float, strict: true, settings: SettingSet::EXTRA_FLOAT_DIGITS, eval },
        Function { symbol: zone, strict: true, settings: SettingSet::TIME_ZONE, eval },
        Function { symbol: interval, strict: true, settings: SettingSet::INTERVAL_STYLE, eval },
        Function { symbol: bytea, strict: true, settings: SettingSet::BYTEA_OUTPUT, eval },
    ]
}

static TO_JSON: [Function; 5] = family(
    ["json image", "json image of float", "json image of timestamptz", "json image of interval", "json image of bytea"],
    |args, ctx| image(args, |value, out| encode_json(value, JsonForm::Json, &ctx.settings, out)).map(opaque),
);

static TO_JSONB: [Function; 5] = family(
    [
        "jsonb image",
        "jsonb image of float",
        "jsonb image of timestamptz",
        "jsonb image of interval",
        "jsonb image of bytea",
    ],
    |args, ctx| image(args, |value, out| encode_json(value, JsonForm::Jsonb, &ctx.settings, out)).and_then(jsonb),
);

static TO_KEY: [Function; 5] = family(
    ["json key", "json key of float", "json key of timestamptz", "json key of interval", "json key of bytea"],
    |args, ctx| image(args, |value, out| encode_json_key(value, &ctx.settings, out)).map(opaque),
);

fn jsonb(text: Vec<u8>) -> Result<Value, EvalError> {
    match String::from_utf8(text) {
        Ok(text) => Ok(Value::Jsonb(text.into())),
        Err(_) => Err(EvalError::unsupported("a jsonb that is not UTF-8")),
    }
}

fn opaque(image: Vec<u8>) -> Value {
    Value::Opaque(image.into())
}

fn image(
    args: &[&Value],
    write: impl Fn(&Value, &mut Vec<u8>) -> Result<(), crate::render::Unrenderable>,
) -> Result<Vec<u8>, EvalError> {
    let [value] = args else { return Err(EvalError::unsupported("JSON of several values")) };
    let mut out = Vec::new();
    match write(value, &mut out) {
        Ok(()) => Ok(out),
        Err(reason) => Err(EvalError::unsupported(reason.to_string())),
    }
}
