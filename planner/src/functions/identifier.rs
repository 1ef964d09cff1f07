//! `quote_ident` and `%I` of `format()`: a name as it has to be written (`quote_identifier` in ruleutils.c). Sessions in which
//! `quote_all_identifiers` is on are Postgres' to answer.

use super::Function;
use super::define::wrong_arguments;
use crate::eval::EvalContext;
use crate::settings::SettingSet;
use crate::value::EvalError;
use crate::value::Value::{self, *};

pub(super) static FUNCTIONS: &[Function] =
    &[Function { symbol: "quote_ident", strict: true, settings: SettingSet::NONE, eval: quote_ident }];

fn quote_ident(args: &[&Value], _: &EvalContext) -> Result<Value, EvalError> {
    match args {
        [Text(name)] => Ok(Value::text(&identifier(name)?)),
        _ => Err(wrong_arguments("quote_ident", args)),
    }
}

/// What `pg_get_keywords()` of 14 to 18 does not call unreserved.
const KEYWORDS: &str = " all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast \
    char character check coalesce collate collation column concurrently constraint create cross current_catalog current_date \
    current_role current_schema current_time current_timestamp current_user dec decimal default deferrable desc distinct do else \
    end except exists extract false fetch float for foreign freeze from full grant greatest group grouping having ilike in \
    initially inner inout int integer intersect interval into is isnull join lateral leading least left like limit localtime \
    localtimestamp national natural nchar none normalize not notnull null nullif numeric offset on only or order out outer \
    overlaps overlay placing position precision primary real references returning right row select session_user setof similar \
    smallint some substring symmetric table tablesample then time timestamp to trailing treat trim true union unique user using \
    values varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces \
    xmlparse xmlpi xmlroot xmlserialize xmltable ";

/// What only some of them do not.
const KEYWORDS_OF_SOME: &str = " json json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar \
    json_serialize json_table json_value merge_action system_user ";

fn is_among(words: &str, name: &str) -> bool {
    words.split_ascii_whitespace().any(|word| word == name)
}

/// Errors: whether the name is a keyword depends on the server's version.
pub(super) fn identifier(name: &str) -> Result<String, EvalError> {
    let may_be_plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if may_be_plain && is_among(KEYWORDS_OF_SOME, name) {
        return Err(EvalError::unsupported("a keyword of some versions as an identifier"));
    }
    match may_be_plain && !is_among(KEYWORDS, name) {
        true => Ok(name.to_owned()),
        false => Ok(format!("\"{}\"", name.replace('"', "\"\""))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        for (name, expected) in [
            ("shop", "shop"),
            ("_a1", "_a1"),
            ("1a", "\"1a\""),
            ("", "\"\""),
            ("Shop", "\"Shop\""),
            ("a b", "\"a b\""),
            ("a\"b", "\"a\"\"b\""),
            ("größe", "\"größe\""),
            ("select", "\"select\""),
            ("values", "\"values\""),
            ("cursor", "cursor"),
        ] {
            assert_eq!(identifier(name).as_deref(), Ok(expected));
        }
        assert!(identifier("json_table").is_err());
    }
}
