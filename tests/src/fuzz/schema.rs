//! Tables with columns of many types, few different values, NULLs, duplicates, keys or none; and changes to them.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Types by how the grammar may use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int2,
    Int4,
    Int8,
    /// `numeric(8,2)`: equal values look alike.
    Fixed,
    /// Numeric of any scale: 1.0 and 1.00 are equal and differ in looks, so it is not grouped, sorted or limited by.
    Loose,
    /// `float8`; never summed, because Postgres' sums depend on the order of rows.
    Float,
    Text,
    Bool,
    Date,
    Timestamp,
    Uuid,
    Inet,
    TimeTz,
    /// `jsonb` without fractions: equal values look alike.
    Json,
    /// `int4[]`, without NULLs in it: a slice that a NULL was cut off from looks different from its equals.
    List,
    /// `int4range`.
    Range,
    /// An enum whose labels are not in the order of their bytes ([`MOOD`]).
    Mood,
    /// Of it there are only extremes.
    Oid,
    /// Compared as bytes on the wire, otherwise only passed on.
    Other,
}

/// The type of [`Kind::Mood`].
pub const MOOD: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'b')";

/// Domains over the types of these kinds, one over another one.
pub const DOMAINS: &str = "CREATE DOMAIN of_int4 AS int4 CHECK (VALUE > -1000); CREATE DOMAIN key AS of_int4;
    CREATE DOMAIN of_text AS text; CREATE DOMAIN of_date AS date; CREATE DOMAIN of_timestamp AS timestamp;
    CREATE DOMAIN of_bool AS bool; CREATE DOMAIN of_uuid AS uuid; CREATE DOMAIN of_int8 AS int8";

/// Functions that expressions call, and FROM.
pub const FUNCTIONS: &str = "CREATE FUNCTION doubled (n int) RETURNS int IMMUTABLE RETURN n * 2;
    CREATE FUNCTION shown (t text, n int) RETURNS text RETURN CASE WHEN n > 2 THEN upper(t) ELSE t || '-' END;
    CREATE FUNCTION above (n int, low int) RETURNS bool STABLE STRICT RETURN coalesce(doubled(n), 0) > low;
    CREATE FUNCTION worded (t text, n int) RETURNS text LANGUAGE sql AS $$ SELECT coalesce(t, 'none') || doubled(n) $$;
    CREATE FUNCTION few (n int) RETURNS SETOF int IMMUTABLE LANGUAGE sql AS 'SELECT g FROM generate_series(2, least(n, 4)) g';
    CREATE FUNCTION twins (a int, b bigint) RETURNS TABLE (x int, y bigint) STABLE LANGUAGE sql
        BEGIN ATOMIC SELECT a, b UNION ALL SELECT doubled(a), b + 1 WHERE a > 2; END";

impl Kind {
    pub const STORED: [Kind; 16] = [
        Kind::Inet,
        Kind::TimeTz,
        Kind::Json,
        Kind::List,
        Kind::Range,
        Kind::Int4,
        Kind::Int4,
        Kind::Int8,
        Kind::Int2,
        Kind::Fixed,
        Kind::Text,
        Kind::Bool,
        Kind::Date,
        Kind::Timestamp,
        Kind::Uuid,
        Kind::Mood,
    ];

    pub fn sql(self) -> &'static str {
        match self {
            Kind::Int2 => "int2",
            Kind::Int4 => "int4",
            Kind::Int8 => "int8",
            Kind::Fixed => "numeric(8,2)",
            Kind::Loose => "numeric",
            Kind::Float => "float8",
            Kind::Text | Kind::Other => "text",
            Kind::Bool => "bool",
            Kind::Date => "date",
            Kind::Timestamp => "timestamp",
            Kind::Uuid => "uuid",
            Kind::Mood => "mood",
            Kind::Range => "int4range",
            Kind::List => "int4[]",
            Kind::Inet => "inet",
            Kind::TimeTz => "timetz",
            Kind::Json => "jsonb",
            Kind::Oid => "oid",
        }
    }

    /// How a table's column of it is declared: now and then with a domain.
    fn declared(self, rng: &mut StdRng) -> String {
        match self {
            Kind::Int4 if rng.random_bool(0.05) => "key".into(),
            Kind::Int4 | Kind::Int8 | Kind::Text | Kind::Date | Kind::Timestamp | Kind::Bool | Kind::Uuid
                if rng.random_bool(0.15) =>
            {
                format!("of_{}", self.sql())
            }
            _ => self.sql().into(),
        }
    }

    /// Equal values look alike: any of them may stand for its class.
    pub fn is_plain(self) -> bool {
        !matches!(self, Kind::Loose | Kind::Float | Kind::Oid | Kind::Other)
    }

    /// `min` and `max` take it.
    pub fn has_extremes(self) -> bool {
        self == Kind::Oid || self.is_plain() && !matches!(self, Kind::Bool | Kind::Uuid | Kind::Range | Kind::Json)
    }

    pub fn is_integer(self) -> bool {
        matches!(self, Kind::Int2 | Kind::Int4 | Kind::Int8)
    }

    pub fn is_number(self) -> bool {
        self.is_integer() || matches!(self, Kind::Fixed | Kind::Loose | Kind::Float)
    }

    /// A constant, without NULLs.
    pub fn literal(self, rng: &mut StdRng) -> String {
        let small = rng.random_range(-1..5);
        match self {
            Kind::Int2 | Kind::Int4 | Kind::Int8 => format!("{small}::{}", self.sql()),
            Kind::Fixed => format!("{small}.{}::numeric(8,2)", ["00", "25", "50"].choose(rng).expect("not empty")),
            Kind::Loose => format!("{small}.5"),
            Kind::Float => format!("{small}.5::float8"),
            Kind::Text | Kind::Other => {
                format!("'{}'", ["a", "b", "ab", "", "it''s", "Zoë", "a b"].choose(rng).expect("not empty"))
            }
            Kind::Bool => format!("{}", rng.random_bool(0.5)),
            Kind::Date => format!("date '2024-02-{:02}'", 27 + small.clamp(0, 2)),
            Kind::Timestamp => format!("timestamp '2024-02-28 {:02}:00:00.5'", 22 + small.clamp(0, 1)),
            Kind::Mood => format!("'{}'::mood", ["sad", "ok", "happy", "b"].choose(rng).expect("not empty")),
            Kind::Range => {
                let bounds = ["[1,4)", "(,3]", "empty", "[2,)", "[1,2]", "(,)", "[4,5)"];
                format!("'{}'::int4range", bounds.choose(rng).expect("not empty"))
            }
            Kind::List => {
                let lists = ["{}", "{1}", "{1,2}", "{2,1}", "{3,1,2}", "[0:1]={1,2}"];
                format!("'{}'::int4[]", lists.choose(rng).expect("not empty"))
            }
            Kind::Inet => {
                let addresses = ["10.0.0.1", "10.0.0.0/8", "::1", "192.168.1.5/24", "fe80::/10"];
                format!("'{}'::inet", addresses.choose(rng).expect("not empty"))
            }
            Kind::TimeTz => {
                let times = ["12:00+00", "13:00+01", "12:00:00.5-03:30", "24:00+00"];
                format!("'{}'::timetz", times.choose(rng).expect("not empty"))
            }
            Kind::Json => {
                let documents = [
                    "null",
                    "1",
                    "-2",
                    "\"a\"",
                    "true",
                    "[]",
                    "[1, \"b\"]",
                    "{}",
                    "{\"a\": 1, \"b\": [2]}",
                    "{\"a\": \"Z\"}",
                ];
                format!("'{}'::jsonb", documents.choose(rng).expect("not empty"))
            }
            Kind::Oid => format!("{}::oid", rng.random_range(0..5) * 1_000_000_000i64),
            Kind::Uuid => format!("uuid '00000000-0000-4000-8000-00000000000{}'", small.clamp(0, 3)),
        }
    }
}

/// A table, stream table or subquery as queries see it.
#[derive(Clone, Debug)]
pub struct Relation {
    pub name: String,
    pub columns: Vec<(String, Kind)>,
}

impl Relation {
    /// Of a base table: the rows of one key, as [`Relation::function_columns`].
    fn function(&self) -> String {
        let (names, types): (Vec<String>, Vec<String>) = self
            .function_columns()
            .enumerate()
            .map(|(at, (name, kind))| (format!("s.{name}"), format!("l{at} {}", kind.sql())))
            .unzip();
        format!(
            "CREATE FUNCTION of_{0} (key int) RETURNS TABLE ({1}) STABLE LANGUAGE sql \
             BEGIN ATOMIC SELECT {2} FROM {0} s WHERE s.k = key; END",
            self.name,
            types.join(", "),
            names.join(", ")
        )
    }

    /// Those whose modifier would not tell that a body stands in the call's place.
    pub fn function_columns(&self) -> impl Iterator<Item = &(String, Kind)> {
        self.columns.iter().filter(|(_, kind)| *kind != Kind::Fixed).take(3)
    }

    /// The function of a base table.
    pub fn function_name(&self) -> Option<String> {
        self.name.starts_with('t').then(|| format!("of_{}", self.name))
    }
}

/// Base tables.
#[derive(Clone, Debug)]
pub struct Schema {
    pub tables: Vec<Relation>,
    /// Which table has a primary key (its first column, an `int4`).
    keyed: Vec<bool>,
}

/// Stands in names for the run's number, so that a case can be run again beside its first run.
pub const RUN: char = '@';

impl Schema {
    pub fn random(rng: &mut StdRng) -> Schema {
        let (mut tables, mut keyed) = (Vec::new(), Vec::new());
        for table in 0..3 {
            let mut columns = vec![("k".to_owned(), Kind::Int4)];
            for column in 0..rng.random_range(2..6) {
                let kind = match rng.random_range(0..100) {
                    0..7 => Kind::Float,
                    7..11 => Kind::Oid,
                    _ => *Kind::STORED.choose(rng).expect("not empty"),
                };
                columns.push((format!("{}{column}", ["x", "y", "z"][table]), kind));
            }
            tables.push(Relation { name: format!("t{table}{RUN}"), columns });
            keyed.push(rng.random_bool(0.5));
        }
        Schema { tables, keyed }
    }

    /// The statements that make the tables, with their first rows.
    pub fn create(&self, rng: &mut StdRng) -> Vec<String> {
        let mut statements = Vec::new();
        for (table, keyed) in self.tables.iter().zip(&self.keyed) {
            let columns: Vec<String> = table
                .columns
                .iter()
                .enumerate()
                .map(|(at, (name, kind))| {
                    let key = if at == 0 && *keyed { " PRIMARY KEY" } else { "" };
                    format!("{name} {}{key}", kind.declared(rng))
                })
                .collect();
            statements.push(format!("CREATE TABLE {} ({})", table.name, columns.join(", ")));
        }
        statements.extend(self.tables.iter().map(Relation::function));
        for _ in 0..rng.random_range(0..24) {
            statements.push(self.insert(rng));
        }
        statements
    }

    fn value(kind: Kind, rng: &mut StdRng) -> String {
        if rng.random_bool(0.15) { "NULL".into() } else { kind.literal(rng) }
    }

    fn insert(&self, rng: &mut StdRng) -> String {
        let at = rng.random_range(0..self.tables.len());
        let table = &self.tables[at];
        let mut values: Vec<String> = table.columns.iter().map(|(_, kind)| Self::value(*kind, rng)).collect();
        if self.keyed[at] {
            values[0] = rng.random_range(0..14).to_string();
        }
        format!("INSERT INTO {} VALUES ({}) ON CONFLICT DO NOTHING", table.name, values.join(", "))
    }

    /// A random change; several statements are one transaction.
    pub fn change(&self, rng: &mut StdRng) -> String {
        let statements: Vec<String> = (0..rng.random_range(1..4)).map(|_| self.statement(rng)).collect();
        statements.join("; ")
    }

    fn statement(&self, rng: &mut StdRng) -> String {
        let at = rng.random_range(0..self.tables.len());
        let table = &self.tables[at];
        let (name, kind) = table.columns.choose(rng).expect("a table has columns");
        let condition = match rng.random_range(0..3) {
            0 => format!("{name} IS NULL"),
            1 => format!("k = {}", rng.random_range(0..14)),
            _ => format!("{name} = {}", kind.literal(rng)),
        };
        match rng.random_range(0..20) {
            0 => format!("TRUNCATE {}", table.name),
            // Equal rows, and nothing else, are what a commit may consist of.
            1 if !self.keyed[at] => format!(
                "INSERT INTO {0} SELECT * FROM {0} WHERE ctid IN (SELECT min(ctid) FROM {0} WHERE {condition})",
                table.name
            ),
            2 if !self.keyed[at] => format!(
                "INSERT INTO {0} SELECT t.* FROM {0} t, generate_series(1, 2) WHERE t.ctid IN (SELECT min(ctid) FROM {0})",
                table.name
            ),
            1..4 => format!("DELETE FROM {} WHERE {condition}", table.name),
            4..9 => {
                let (target, kind) = &table.columns[rng.random_range(1..table.columns.len())];
                format!("UPDATE {} SET {target} = {} WHERE {condition}", table.name, Self::value(*kind, rng))
            }
            _ => self.insert(rng),
        }
    }
}
