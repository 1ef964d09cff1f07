//! Random expressions over the columns in scope.

use super::schema::{Kind, Relation};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Columns with their aliases, and relations that subqueries may read.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub columns: Vec<(String, Kind)>,
    pub relations: Vec<Relation>,
}

/// jsonpaths that find something in documents of these schemas, and some that fail.
const PATHS: &[&str] =
    &["$.a", "$.* ? (@ > 1)", "strict $.a[*]", "$[*].type()", "$.a == 1", "exists ($.k)", "$.a + 1", "$.**.double()"];

/// Patterns, and what stands in the place of their matches.
const REPLACED: [[&str; 2]; 4] =
    [["[ab]+|t$", "x"], ["(a)(.)?", "<\\2\\1>"], [".*?(b+)", "\\&\\1"], ["(a|b)+?", "\\1\\\\"]];

impl Scope {
    pub fn any_column(&self, rng: &mut StdRng) -> Option<(String, Kind)> {
        self.columns.choose(rng).cloned()
    }

    pub fn plain_column(&self, rng: &mut StdRng) -> Option<(String, Kind)> {
        let plain: Vec<_> = self.columns.iter().filter(|(_, kind)| kind.is_plain()).collect();
        plain.choose(rng).map(|found| (**found).clone())
    }

    pub(super) fn column_of(&self, kind: Kind, rng: &mut StdRng) -> Option<String> {
        let fitting: Vec<_> = self.columns.iter().filter(|(_, own)| *own == kind).collect();
        fitting.choose(rng).map(|(name, _)| name.clone())
    }

    /// A column of that kind, or a constant.
    pub fn simple(&self, kind: Kind, rng: &mut StdRng) -> String {
        match self.column_of(kind, rng) {
            Some(column) if rng.random_bool(0.75) => column,
            _ => kind.literal(rng),
        }
    }

    /// Any expression of that kind. What it gives for equal arguments looks alike.
    pub fn expr(&self, kind: Kind, depth: usize, rng: &mut StdRng) -> String {
        if depth == 0 || rng.random_bool(0.5) {
            return self.simple(kind, rng);
        }
        let deeper = depth - 1;
        match rng.random_range(0..8) {
            0 => {
                let condition = self.condition(deeper, rng);
                let (yes, no) = (self.expr(kind, deeper, rng), self.simple(kind, rng));
                format!("CASE WHEN {condition} THEN {yes} ELSE {no} END")
            }
            1 => format!("coalesce({}, {})", self.simple(kind, rng), kind.literal(rng)),
            2 if kind.is_plain() => format!("nullif({}, {})", self.simple(kind, rng), kind.literal(rng)),
            3 if kind.is_plain() && kind != Kind::Bool => {
                format!("greatest({}, {})", self.simple(kind, rng), self.simple(kind, rng))
            }
            _ => match kind {
                Kind::Int4 => match rng.random_range(0..11) {
                    10 => format!("({}::key + 1)", self.simple(kind, rng)),
                    9 => format!("({} << 2 >> 1)", self.simple(kind, rng)),
                    7 => {
                        let (text, list) = (self.simple(Kind::Text, rng), self.simple(Kind::List, rng));
                        format!("num_nulls({}, {text}, {list})", self.simple(kind, rng))
                    }
                    8 => format!("bit_length({})", self.simple(Kind::Text, rng)),
                    // Fails where it is 3.
                    5 | 6 => format!("(12 / ({} - 3))", self.simple(kind, rng)),
                    4 => format!("doubled({})", self.simple(kind, rng)),
                    0 => format!("({} + {})", self.simple(kind, rng), self.simple(kind, rng)),
                    1 => format!("({} * 2)", self.simple(kind, rng)),
                    2 if rng.random_bool(0.4) => format!("upper({})", self.simple(Kind::Range, rng)),
                    2 => format!("length({})", self.simple(Kind::Text, rng)),
                    _ => format!("abs({})", self.simple(kind, rng)),
                },
                Kind::Int8 => format!("({} - {})", self.simple(kind, rng), self.simple(Kind::Int4, rng)),
                Kind::Fixed => match rng.random_range(0..4) {
                    0 => format!("ln(abs({}) + 1)::numeric(8,2)", self.simple(kind, rng)),
                    1 => format!("power(1.05, {})::numeric(8,2)", self.simple(Kind::Int2, rng)),
                    2 => format!("exp({} / 10)::numeric(8,2)", self.simple(kind, rng)),
                    _ => format!("(-{})", self.simple(kind, rng)),
                },
                Kind::Text => match rng.random_range(0..12) {
                    9 => format!("lower({})", self.simple(kind, rng)),
                    10 => self.word(rng),
                    11 => format!("array_to_string({}, ',', '*')", self.simple(Kind::List, rng)),
                    7 => format!("({} ->> 'a')", self.simple(Kind::Json, rng)),
                    8 if rng.random_bool(0.5) => format!("host({})", self.simple(Kind::Inet, rng)),
                    8 => format!("jsonb_typeof({})", self.simple(Kind::Json, rng)),
                    6 => {
                        let function = if rng.random_bool(0.5) { "shown" } else { "worded" };
                        format!("{function}({}, {})", self.simple(kind, rng), self.simple(Kind::Int4, rng))
                    }
                    4 => {
                        let [pattern, by] = REPLACED.choose(rng).expect("not empty");
                        format!("regexp_replace({}, '{pattern}', '{by}', 'g')", self.simple(kind, rng))
                    }
                    5 => {
                        let pattern = ["b| .", "(a|ab)(b?)", "^(?:.)??(.*?)b", "a(b)?", "(?<=a)(.)", "((.)\\2?)+"]
                            .choose(rng)
                            .expect("not empty");
                        format!("substring({} from '{pattern}')", self.simple(kind, rng))
                    }
                    3 => self.by_template(rng),
                    0 => format!("({} || {})", self.simple(kind, rng), self.simple(kind, rng)),
                    1 => format!("upper({})", self.simple(kind, rng)),
                    _ if rng.random_bool(0.3) => format!("({})::text", self.simple(Kind::Mood, rng)),
                    _ => format!("({})::text", self.simple(Kind::Int4, rng)),
                },
                Kind::Json => match rng.random_range(0..6) {
                    5 => {
                        let path = PATHS.choose(rng).expect("not empty");
                        let call = ["first", "array"].choose(rng).expect("not empty");
                        format!("jsonb_path_query_{call}({}, '{path}', silent => true)", self.simple(kind, rng))
                    }
                    0 => format!("({} -> 'a')", self.simple(kind, rng)),
                    1 => format!(
                        "jsonb_build_object('k', {}, 'a', {})",
                        self.simple(Kind::Int4, rng),
                        self.simple(kind, rng)
                    ),
                    2 => format!(
                        "jsonb_build_array({}, {}, 'x')",
                        self.simple(Kind::Text, rng),
                        self.simple(Kind::Date, rng)
                    ),
                    3 => format!("to_jsonb({})", self.simple(Kind::List, rng)),
                    _ => format!("to_jsonb({})", self.simple(Kind::Timestamp, rng)),
                },
                Kind::List => match rng.random_range(0..3) {
                    0 => format!("({})[{}:]", self.simple(kind, rng), rng.random_range(0..3)),
                    1 => format!("({})[:{}]", self.simple(kind, rng), self.simple(Kind::Int4, rng)),
                    _ => format!("({} || 2)", self.simple(kind, rng)),
                },
                Kind::Range => match rng.random_range(0..3) {
                    0 => format!("({} * {})", self.simple(kind, rng), self.simple(kind, rng)),
                    1 => format!("int4range({}, 5, '[]')", self.simple(Kind::Int4, rng)),
                    _ => format!("range_merge({}, {})", self.simple(kind, rng), kind.literal(rng)),
                },
                Kind::Bool => format!("({})", self.condition(deeper, rng)),
                Kind::Date if rng.random_bool(0.2) => {
                    format!("to_date(to_char({}, 'YYYY-DDD'), 'YYYY-DDD')", self.simple(Kind::Timestamp, rng))
                }
                Kind::Date => format!("({} + {})", self.simple(kind, rng), rng.random_range(0..3)),
                Kind::Timestamp => format!("({} + make_interval(hours => 30, months => 1))", self.simple(kind, rng)),
                _ => self.simple(kind, rng),
            },
        }
    }

    fn word(&self, rng: &mut StdRng) -> String {
        let text = self.simple(Kind::Text, rng);
        match rng.random_range(0..7) {
            6 => format!("format('%s|%-6L|%1$I|%2$s %1$*2$s', {text}, {})", self.simple(Kind::Int4, rng)),
            0 => format!("md5({text})"),
            1 => format!("initcap({text})"),
            2 => format!("{}({text})", ["quote_literal", "quote_ident"][rng.random_range(0..2)]),
            3 => format!("encode(sha256(decode(md5({text}), 'hex')), 'base64')"),
            4 => format!("({text})::char(2)::text"),
            _ => format!("overlay({text} placing {} from {})", Kind::Text.literal(rng), rng.random_range(1..4)),
        }
    }

    /// Text by a template of `to_char`.
    fn by_template(&self, rng: &mut StdRng) -> String {
        let (kind, templates): (Kind, &[&str]) = match rng.random_range(0..5) {
            0 => (Kind::Timestamp, &["YYYY-MM-DD HH24:MI", "FMDay, DDth", "IYYY-IW", "HH12 am", "US"]),
            1 => (Kind::Date, &["YYYY-MM", "Dy DD Mon", "Q"]),
            2 => (Kind::Fixed, &["FM9990.00", "999.9", "000", "9.9EEEE", "9.99PR"]),
            3 => (Kind::Float, &["FM990.000", "9.9", "S9"]),
            _ => (Kind::Int4, &["000", "FM9,999", "RN", "9th", "99MI"]),
        };
        format!("to_char({}, '{}')", self.simple(kind, rng), templates.choose(rng).expect("not empty"))
    }

    /// A condition without subqueries.
    pub fn condition(&self, depth: usize, rng: &mut StdRng) -> String {
        let Some((column, kind)) = self.plain_column(rng) else { return "true".into() };
        if depth > 0 && rng.random_bool(0.3) {
            let (a, b) = (self.condition(depth - 1, rng), self.condition(depth - 1, rng));
            return match rng.random_range(0..3) {
                0 => format!("({a} AND {b})"),
                1 => format!("({a} OR {b})"),
                _ => format!("NOT ({a})"),
            };
        }
        let operator = *["=", "<>", "<", "<=", ">", ">="].choose(rng).expect("not empty");
        match rng.random_range(0..12) {
            11 => {
                let Some((other, second)) = self.plain_column(rng) else { return "true".into() };
                let mut values = format!("{}, {}", self.simple(kind, rng), self.simple(second, rng));
                let mut columns = format!("{column}, {other}");
                if rng.random_bool(0.3) {
                    columns += &format!(", {}", self.simple(Kind::Int4, rng));
                    // Fails where it is 3, and is asked for only where the pairs before are equal.
                    values += &format!(", (12 / ({} - 3))", self.simple(Kind::Int4, rng));
                }
                format!("({columns}) {operator} ({values})")
            }
            10 => {
                let not = ["", "NOT "].choose(rng).expect("not empty");
                format!("({column}, {}) IS {not}NULL", self.simple(kind, rng))
            }
            9 if kind == Kind::Int4 => format!("above({column}, {})", self.simple(kind, rng)),
            0 => format!("{column} IS NULL"),
            1 => format!("{column} IS NOT NULL"),
            2 => format!("{column} IN ({}, {})", kind.literal(rng), kind.literal(rng)),
            3 => format!("{column} IS DISTINCT FROM {}", self.simple(kind, rng)),
            4 | 6 if kind == Kind::Json => format!("{column} @> {}", kind.literal(rng)),
            7 if kind == Kind::Inet => format!("{column} <<= {}", kind.literal(rng)),
            7 if kind == Kind::Json => format!("{column} ? 'a'"),
            8 if kind == Kind::Json => {
                let operator = ["@?", "@@"].choose(rng).expect("not empty");
                format!("{column} {operator} '{}'", PATHS.choose(rng).expect("not empty"))
            }
            4 if matches!(kind, Kind::Range | Kind::Inet | Kind::TimeTz) => {
                format!("{column} BETWEEN {} AND {}", kind.literal(rng), kind.literal(rng))
            }
            4 if kind == Kind::List => format!("{column} @> {}", kind.literal(rng)),
            4 => format!("{column} {operator} ANY (ARRAY[{}, {}])", kind.literal(rng), self.simple(kind, rng)),
            5 => format!("{column} NOT IN ({}, {})", kind.literal(rng), self.simple(kind, rng)),
            6..8 if kind == Kind::Range => {
                let operator = ["@>", "&&", "<@", "<<", "-|-"][rng.random_range(0..5)];
                format!("{column} {operator} {}", self.simple(kind, rng))
            }
            8 if kind == Kind::Range => format!("{column} @> {}", self.simple(Kind::Int4, rng)),
            6 if kind == Kind::Text => {
                let operator = [
                    "LIKE 'a%'",
                    "~ '^a|b$'",
                    "!~ '[^a-b]'",
                    "~ '(.)\\1'",
                    "!~ 'a(?!b)'",
                    "SIMILAR TO '(a|b)+%'",
                    "ILIKE 'zOË'",
                    "NOT ILIKE '%B%'",
                    "LIKE '%!a!_' ESCAPE '!'",
                ];
                format!("{column} {}", operator.choose(rng).expect("not empty"))
            }
            _ => format!("{column} {operator} {}", self.simple(kind, rng)),
        }
    }

    /// A list of the rows in an order. Where that leaves rows tied that differ, only Postgres can answer.
    fn listed(&self, column: &str, kind: Kind, rng: &mut StdRng) -> (String, Kind) {
        let direction = ["", " DESC", " NULLS FIRST", " DESC NULLS LAST"][rng.random_range(0..4)];
        let distinct = kind.is_plain() && rng.random_bool(0.25);
        let by = match self.plain_column(rng) {
            Some((other, _)) if !distinct && rng.random_bool(0.4) => format!("{other}{direction}, {column}"),
            Some((other, _)) if !distinct && rng.random_bool(0.2) => format!("{other}{direction}"),
            _ => format!("{column}{direction}"),
        };
        let distinct = if distinct { "DISTINCT " } else { "" };
        match rng.random_range(0..8) {
            0 => return (format!("json_agg({distinct}{column} ORDER BY {by})"), Kind::Other),
            1 => return (format!("jsonb_agg({distinct}{column} ORDER BY {by})"), Kind::Other),
            2 => return self.members(column, rng),
            3 | 4 => return self.ordered_set(column, kind, rng),
            _ => {}
        }
        if kind == Kind::Text && rng.random_bool(0.7) {
            let delimiter = match self.column_of(Kind::Text, rng) {
                Some(other) if distinct.is_empty() && rng.random_bool(0.3) => other,
                _ => "'-'".to_owned(),
            };
            return (format!("string_agg({distinct}{column}, {delimiter} ORDER BY {by})"), Kind::Text);
        }
        if !distinct.is_empty() && rng.random_bool(0.5) {
            return (format!("array_agg(DISTINCT {column})"), Kind::Other);
        }
        (format!("array_agg({distinct}{column} ORDER BY {by})"), Kind::Other)
    }

    /// A list of a frame's rows, in the window's order.
    fn listed_in_window(&self, column: &str, kind: Kind, rng: &mut StdRng) -> (String, Kind) {
        let call = match rng.random_range(0..5) {
            0 => format!("json_agg({column})"),
            1 => format!("jsonb_agg({column})"),
            2 => {
                let Some((key, _)) = self.plain_column(rng) else { return ("count(*)".into(), Kind::Int8) };
                let name = ["json_object_agg", "jsonb_object_agg"][rng.random_range(0..2)];
                return (format!("{name}({key}, {column}) FILTER (WHERE {key} IS NOT NULL)"), Kind::Other);
            }
            _ if kind == Kind::Text => {
                return (self.filtered(format!("string_agg({column}, {column} || '-')"), rng), Kind::Text);
            }
            _ => format!("array_agg({column})"),
        };
        (self.filtered(call, rng), Kind::Other)
    }

    /// A JSON object; NULL keys, which are errors, are sometimes left out.
    fn members(&self, column: &str, rng: &mut StdRng) -> (String, Kind) {
        let Some((key, _)) = self.plain_column(rng) else { return ("count(*)".into(), Kind::Int8) };
        let order = if rng.random_bool(0.5) { format!(" ORDER BY {column}, {key}") } else { String::new() };
        let name = if order.is_empty() {
            "jsonb_object_agg"
        } else {
            ["json_object_agg", "jsonb_object_agg"][rng.random_range(0..2)]
        };
        let filter = if rng.random_bool(0.8) { format!(" FILTER (WHERE {key} IS NOT NULL)") } else { String::new() };
        (format!("{name}({key}, {column}{order}){filter}"), Kind::Other)
    }

    fn ordered_set(&self, column: &str, kind: Kind, rng: &mut StdRng) -> (String, Kind) {
        let direction = ["", " DESC"][rng.random_range(0..2)];
        let fraction = ["0", "0.25", "0.5", "0.9", "1"][rng.random_range(0..5)];
        match rng.random_range(0..6) {
            3 if matches!(kind, Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Float) => {
                let call = format!(
                    "percentile_cont(ARRAY[{fraction}, 0.3, NULL]) WITHIN GROUP (ORDER BY {column}{direction})"
                );
                (call, Kind::Other)
            }
            4 if kind != Kind::Fixed => {
                let name = ["rank", "dense_rank", "percent_rank", "cume_dist"][rng.random_range(0..4)];
                let result = if name.ends_with('k') && name != "percent_rank" { Kind::Int8 } else { Kind::Float };
                let nulls = ["", " NULLS FIRST"][rng.random_range(0..2)];
                let own = if rng.random_bool(0.1) { format!("NULL::{}", kind.sql()) } else { kind.literal(rng) };
                (format!("{name}({own}) WITHIN GROUP (ORDER BY {column}{direction}{nulls})"), result)
            }
            0 if matches!(kind, Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Fixed | Kind::Float) => {
                (format!("percentile_cont({fraction}) WITHIN GROUP (ORDER BY {column}{direction})"), Kind::Float)
            }
            1 => (format!("mode() WITHIN GROUP (ORDER BY {column}{direction})"), kind),
            _ => (format!("percentile_disc({fraction}) WITHIN GROUP (ORDER BY {column}{direction})"), kind),
        }
    }

    fn filtered(&self, call: String, rng: &mut StdRng) -> String {
        if !call.contains("FILTER") && rng.random_bool(0.2) {
            format!("{call} FILTER (WHERE {})", self.condition(0, rng))
        } else {
            call
        }
    }

    /// An aggregate call and what it yields. `window`: as a window function, without DISTINCT.
    pub fn aggregate(&self, window: bool, rng: &mut StdRng) -> (String, Kind) {
        let Some((column, kind)) = self.any_column(rng) else { return ("count(*)".into(), Kind::Int8) };
        if !window && !matches!(kind, Kind::Oid | Kind::Other) && rng.random_bool(0.2) {
            let (call, result) = self.listed(&column, kind, rng);
            return (self.filtered(call, rng), result);
        }
        if window && !matches!(kind, Kind::Oid | Kind::Other) && rng.random_bool(0.2) {
            return self.listed_in_window(&column, kind, rng);
        }
        if !window && kind.is_number() && rng.random_bool(if kind == Kind::Float { 0.6 } else { 0.06 }) {
            let call = self.float_statistic(&column, rng);
            return (rounded(&self.filtered(call, rng)), Kind::Float);
        }
        let distinct = if !window && kind.is_plain() && rng.random_bool(0.2) { "DISTINCT " } else { "" };
        let (call, result) = match (rng.random_range(0..10), kind) {
            (0, _) => ("count(*)".to_owned(), Kind::Int8),
            // Fails in groups with a 3.
            (1, Kind::Int4) if rng.random_bool(0.4) => (format!("sum(12 / ({column} - 3))"), Kind::Int8),
            (1..3, Kind::Int2 | Kind::Int4) => (format!("sum({distinct}{column})"), Kind::Int8),
            (1..3, Kind::Int8) => (format!("sum({distinct}{column})"), Kind::Loose),
            (1..3, Kind::Fixed | Kind::Loose) => (format!("sum({distinct}{column})"), Kind::Loose),
            (1..4, Kind::Timestamp) => {
                let name = ["sum", "avg"].choose(rng).expect("not empty");
                (format!("{name}({column} - {})", kind.literal(rng)), Kind::Other)
            }
            (1, Kind::Bool) => (format!("bool_and({column})"), Kind::Bool),
            (2, Kind::Bool) => (format!("every({distinct}{column})"), Kind::Bool),
            (3, Kind::Bool) => (format!("bool_or({column})"), Kind::Bool),
            (6, Kind::Float) => (format!("regr_count({column}, {})", self.simple(Kind::Int4, rng)), Kind::Int8),
            (7, kind) if kind.is_integer() => {
                let name = ["bit_and", "bit_or", "bit_xor"][rng.random_range(0..3)];
                (format!("{name}({distinct}{column})"), kind)
            }
            (3, Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Fixed) => {
                (format!("avg({distinct}{column})"), Kind::Loose)
            }
            (8.., Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Fixed | Kind::Loose) => {
                let name = ["variance", "var_pop", "stddev", "stddev_pop", "stddev_samp"][rng.random_range(0..5)];
                (format!("{name}({distinct}{column})"), Kind::Loose)
            }
            (4, kind) if kind.has_extremes() => (format!("min({column})"), kind),
            (5, kind) if kind.has_extremes() => (format!("max({column})"), kind),
            _ => (format!("count({distinct}{column})"), Kind::Int8),
        };
        (self.filtered(call, rng), result)
    }

    fn float_statistic(&self, column: &str, rng: &mut StdRng) -> String {
        if rng.random_bool(0.4) {
            let name = ["variance", "var_pop", "stddev", "stddev_pop"].choose(rng).expect("not empty");
            let distinct = if rng.random_bool(0.2) { "DISTINCT " } else { "" };
            return format!("{name}({distinct}{column}::float8)");
        }
        let name =
            ["corr", "covar_pop", "covar_samp", "regr_sxx", "regr_slope", "regr_intercept", "regr_r2", "regr_avgx"];
        let name = name.choose(rng).expect("not empty");
        let other = self.simple([Kind::Int4, Kind::Float][rng.random_range(0..2)], rng);
        format!("{name}({column}::float8, {other}::float8)")
    }
}

/// Without the last digits, which depend on the order of rows. What is added is no multiple of what values are.
fn rounded(statistic: &str) -> String {
    format!("floor({statistic} * 1024 + 0.37171717)")
}
