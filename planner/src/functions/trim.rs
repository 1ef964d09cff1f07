//! btrim, ltrim, rtrim: of blanks, or of the characters of a set. `rtrim1` also casts char(n) to text.

use super::define::strict_functions;
use crate::value::Value::{self, *};

strict_functions! {
    "btrim1" (Text(a)) => Ok(Value::text(a.trim_matches(' ')));
    "ltrim1" (Text(a)) => Ok(Value::text(a.trim_start_matches(' ')));
    "rtrim1" (Text(a) | Bpchar(a)) => Ok(Value::text(a.trim_end_matches(' ')));
    "btrim" (Text(a), Text(set)) => Ok(Value::text(a.trim_matches(|c| set.contains(c))));
    "ltrim" (Text(a), Text(set)) => Ok(Value::text(a.trim_start_matches(|c| set.contains(c))));
    "rtrim" (Text(a), Text(set)) => Ok(Value::text(a.trim_end_matches(|c| set.contains(c))));
}
