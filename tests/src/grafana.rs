//! What Grafana's Postgres data source makes of a panel's SQL before it sends it: its macros, expanded as
//! `macros.go` of that data source does without TimescaleDB.

/// The dashboard's time range, as Grafana writes it into a query: RFC 3339 in UTC.
#[derive(Clone, Debug)]
pub struct Range {
    pub from: String,
    pub to: String,
}

/// `sql` with `$__timeFilter(column)`, `$__timeGroup(column, interval)` and `$__timeGroupAlias(column, interval)` expanded.
/// Panics at any other macro: a test must know what it runs.
pub fn expand(sql: &str, range: &Range) -> String {
    let mut expanded = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(at) = rest.find("$__") {
        expanded.push_str(&rest[..at]);
        let call = &rest[at + 3..];
        let open = call.find('(').unwrap_or_else(|| panic!("macro without arguments: {call}"));
        let close = open + call[open..].find(')').unwrap_or_else(|| panic!("macro without an end: {call}"));
        let arguments: Vec<&str> = call[open + 1..close].split(',').map(str::trim).collect();
        match (&call[..open], arguments.as_slice()) {
            ("timeFilter", [column]) => {
                expanded.push_str(&format!("{column} BETWEEN '{}' AND '{}'", range.from, range.to));
            }
            ("timeGroup", [column, interval]) => expanded.push_str(&time_group(column, interval)),
            ("timeGroupAlias", [column, interval]) => {
                expanded.push_str(&time_group(column, interval));
                expanded.push_str(" AS \"time\"");
            }
            (name, arguments) => panic!("macro $__{name}{arguments:?} is not known"),
        }
        rest = &call[close + 1..];
    }
    expanded.push_str(rest);
    expanded
}

fn time_group(column: &str, interval: &str) -> String {
    let seconds = seconds(interval.trim_matches('\''));
    format!("floor(extract(epoch from {column})/{seconds})*{seconds}")
}

/// Seconds of an interval such as `1d`.
fn seconds(interval: &str) -> u64 {
    let (number, unit) = interval.split_at(interval.len().saturating_sub(1));
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        other => panic!("interval unit {other:?} is not known"),
    };
    number.parse::<u64>().unwrap_or_else(|error| panic!("interval {interval:?}: {error}")) * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_become_what_grafana_sends() {
        let range = Range { from: "2024-01-01T00:00:00Z".into(), to: "2024-01-31T12:00:00.5Z".into() };
        let sql =
            "SELECT $__timeGroupAlias(day, '1d'), n FROM t WHERE $__timeFilter(t.day) GROUP BY $__timeGroup(day,'5m')";
        assert_eq!(
            expand(sql, &range),
            "SELECT floor(extract(epoch from day)/86400)*86400 AS \"time\", n FROM t \
             WHERE t.day BETWEEN '2024-01-01T00:00:00Z' AND '2024-01-31T12:00:00.5Z' \
             GROUP BY floor(extract(epoch from day)/300)*300"
        );
    }
}
