//! The probe: one named prepared statement on the client's own upstream connection that returns everything of the
//! session's state that decides whether and how memory may answer, and the position it has seen. Sent only while the
//! session is idle outside a block. Its name is visible in `pg_prepared_statements`. Everything in it is qualified,
//! because it is analysed under the client's search_path.

use super::environment::{Consistency, Probed};
use super::exchange::ServerError;
use super::reason;
use super::relay::{Relay, SessionError};
use crate::analysis::Environment;
use crate::wire::frontend;
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use weir_cache::Position;
use weir_planner::render::Renderer;
use weir_planner::settings::Settings;

pub(super) const NAME: &str = "weir_probe";
/// Parameters of the probe's statement.
pub(super) const PARAMETERS: usize = 2;

/// Named reads that one probe verifies; past it they are forgotten and become forwarded statements.
const MAX_VERIFIED: usize = 32;

/// The parser's settings follow `analysis::Environment::parser_settings` in order. `$1` and `$2` are the names and
/// texts of the client's prepared reads; the last column but one counts those that still stand for the same text, because
/// DEALLOCATE and PREPARE may have been run where Weir cannot see them.
const TEXT: &str = "SELECT pg_catalog.pg_current_wal_flush_lsn(), pg_catalog.pg_current_wal_insert_lsn(), \
     current_user, session_user, pg_catalog.current_schemas(true), \
     pg_catalog.current_setting('TimeZone'), pg_catalog.current_setting('DateStyle'), \
     pg_catalog.current_setting('IntervalStyle'), pg_catalog.current_setting('extra_float_digits'), \
     pg_catalog.current_setting('bytea_output'), pg_catalog.current_setting('client_encoding'), \
     pg_catalog.current_setting('standard_conforming_strings'), pg_catalog.current_setting('backslash_quote'), \
     pg_catalog.current_setting('transform_null_equals'), pg_catalog.current_setting('array_nulls'), \
     pg_catalog.current_setting('lc_monetary'), pg_catalog.current_setting('default_text_search_config'), \
     pg_catalog.current_setting('xmloption'), \
     pg_catalog.current_setting('default_transaction_isolation'), pg_catalog.current_setting('synchronous_commit'), \
     pg_catalog.pg_my_temp_schema(), pg_catalog.current_setting('weir.consistency', true), \
     pg_catalog.current_setting('statement_timeout'), \
     pg_catalog.current_setting('idle_session_timeout', true), \
     pg_catalog.current_setting('idle_in_transaction_session_timeout'), \
     pg_catalog.current_setting('transaction_timeout', true), \
     pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()), \
     pg_catalog.current_setting('server_version_num'), \
     CASE WHEN pg_catalog.cardinality($1::pg_catalog.text[]) OPERATOR(pg_catalog.=) 0 THEN 0 ELSE \
     (SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_statements AS s \
     JOIN ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) AS e(n, t) \
     ON s.name OPERATOR(pg_catalog.=) e.n AND s.statement OPERATOR(pg_catalog.=) e.t WHERE NOT s.from_sql) END, \
     pg_catalog.current_setting('quote_all_identifiers')";

/// Columns of the probe's row.
const COLUMNS: usize = 30;

/// Invalid SQL statement name: the client has deallocated everything.
const UNDEFINED_STATEMENT: &str = "26000";

const TEXT_ARRAY_OID: u32 = 1009;
const TEXT_OID: u32 = 25;

impl Relay {
    /// Brings the session's state up to date. `Ok(Err(reason))`: Postgres would not say.
    pub(super) async fn probe(&mut self) -> Result<Result<(), &'static str>, SessionError> {
        let epoch = self.context.registry.epoch();
        if self.statements.named_reads().count() > MAX_VERIFIED {
            self.statements.forget_named();
        }
        let (names, texts): (Vec<_>, Vec<_>) =
            self.statements.named_reads().map(|(name, s)| (name.to_vec(), s.text.as_bytes().to_vec())).unzip();
        let parameters = vec![Some(text_array(&names)), Some(text_array(&texts))];
        let mut outcome = Err(String::new());
        for _ in 0..2 {
            let prepare = !self.probe_prepared;
            let sent = SystemTime::now();
            let reply = self.ask_probe(prepare, parameters.clone()).await?;
            self.probe_prepared = reply.is_ok();
            outcome = reply.map(|fields| (fields, sent));
            match &outcome {
                // The client has deallocated everything, the probe included.
                Err(sqlstate) if sqlstate == UNDEFINED_STATEMENT && !prepare => {}
                _ => break,
            }
        }
        let (fields, sent) = match outcome {
            Ok(answer) => answer,
            Err(sqlstate) => {
                tracing::debug!(sqlstate, "probe failed");
                return Ok(Err(reason::PROBE));
            }
        };
        let Some(answer) = read(&fields, sent) else { return Ok(Err(reason::PROBE)) };
        let changed = answer.verified != names.len();
        if changed {
            self.statements.forget_named();
        }
        let mut bookmark = answer.flush;
        if let Some(position) = self.context.maintain.position_now() {
            bookmark = position.max(bookmark);
        } else if answer.insert > answer.flush && answer.asynchronous_commit {
            match self.context.positions.flushed().await {
                Some(position) => bookmark = position,
                None => return Ok(Err(reason::POSITION)),
            }
        } else if answer.insert > answer.flush && self.context.positions.has_asynchronous_commit() {
            // What this session saw of others' commits may not have been flushed.
            match self.context.positions.visible().await {
                Some(position) => bookmark = bookmark.max(position),
                None => return Ok(Err(reason::POSITION)),
            }
        }
        self.state.learn(answer.probed, bookmark, epoch);
        self.note_upstream_activity();
        // The statement about to be answered may be one of those that changed.
        Ok(if changed { Err(reason::STATEMENT_CHANGED) } else { Ok(()) })
    }

    async fn ask_probe(
        &mut self,
        prepare: bool,
        parameters: Vec<Option<Bytes>>,
    ) -> Result<Result<Vec<Option<String>>, String>, SessionError> {
        let mut request = BytesMut::new();
        if prepare {
            // It may exist although we do not know it: an error can have hidden that its Parse succeeded.
            frontend::say_close_statement(&mut request, NAME);
            frontend::say_parse(&mut request, NAME, TEXT, &[TEXT_ARRAY_OID, TEXT_ARRAY_OID]);
        }
        frontend::say_bind(&mut request, NAME, 1, parameters);
        frontend::say_execute(&mut request);
        frontend::say_sync(&mut request);
        let mut reply = Err(String::new());
        self.exchange(&request, |tag, body| match tag {
            b'D' => reply = Ok(data_row(body)),
            b'E' => reply = Err(ServerError::read(body).sqlstate),
            _ => {}
        })
        .await?;
        Ok(reply)
    }
}

/// A one-dimensional `text[]` in binary (`array_recv`).
fn text_array(items: &[Vec<u8>]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i32(i32::from(!items.is_empty()));
    out.put_i32(0);
    out.put_u32(TEXT_OID);
    if !items.is_empty() {
        out.put_i32(items.len() as i32);
        out.put_i32(1);
    }
    for item in items {
        out.put_i32(item.len() as i32);
        out.put_slice(item);
    }
    out.freeze()
}

/// The values of a DataRow in text.
fn data_row(body: &[u8]) -> Vec<Option<String>> {
    let mut rest = body.get(2..).unwrap_or_default();
    let mut fields = Vec::with_capacity(COLUMNS);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        match usize::try_from(i32::from_be_bytes(*length)).ok().and_then(|n| after.split_at_checked(n)) {
            Some((value, after)) => {
                fields.push(Some(String::from_utf8_lossy(value).into_owned()));
                rest = after;
            }
            None => {
                fields.push(None);
                rest = after;
            }
        }
    }
    fields
}

struct Answer {
    flush: Position,
    insert: Position,
    asynchronous_commit: bool,
    verified: usize,
    probed: Probed,
}

fn read(fields: &[Option<String>], sent: SystemTime) -> Option<Answer> {
    let fields: &[Option<String>; COLUMNS] = fields.try_into().ok()?;
    let text = |i: usize| fields[i].clone().unwrap_or_default();
    let set = |i: usize| fields[i].as_deref().is_some_and(|value| duration(value).is_none_or(|d| !d.is_zero()));
    let settings = Settings {
        time_zone: text(5),
        date_style: text(6),
        interval_style: text(7),
        extra_float_digits: text(8).parse().ok()?,
        bytea_output: text(9),
    };
    let renderer = Arc::new(Renderer::new(&settings));
    let environment = Environment {
        role: text(2),
        schemas: array(&text(4))?,
        settings,
        parser_settings: (11..18).map(text).collect(),
    };
    let server_micros = (text(26).parse::<f64>().ok()? * 1e6) as i64;
    let local_micros = sent.duration_since(UNIX_EPOCH).ok()?.as_micros() as i64;
    Some(Answer {
        flush: text(0).parse().ok()?,
        insert: text(1).parse().ok()?,
        asynchronous_commit: text(19) == "off",
        verified: text(28).parse().ok()?,
        probed: Probed {
            environment: Arc::new(environment),
            session_user: text(3),
            utf8: text(10).eq_ignore_ascii_case("UTF8"),
            read_committed: text(18) == "read committed",
            temporary_objects: text(20) != "0",
            quotes_all: text(29) != "off",
            consistency: Consistency::parse(&text(21)),
            statement_timeout: duration(&text(22)).unwrap_or_default(),
            idle_session_timeout: duration(&text(23)).unwrap_or_default(),
            transaction_timeouts: set(24) || set(25),
            clock_offset_micros: server_micros - local_micros,
            server_version: text(27).parse().ok()?,
            taken: Instant::now(),
            renderer,
        },
    })
}

/// A time setting as `SHOW` prints it (`convert_int_from_base_unit` in `guc.c`): `0`, `200ms`, `5s`, `1min`, `2h`, `1d`.
fn duration(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..end].parse().ok()?;
    let unit = match &text[end..] {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(unit)?))
}

/// A one-dimensional array literal as `array_out` prints it.
fn array(text: &str) -> Option<Vec<String>> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut items = Vec::new();
    let mut rest = inner.chars().peekable();
    while rest.peek().is_some() {
        let mut item = String::new();
        if rest.next_if_eq(&'"').is_some() {
            loop {
                match rest.next()? {
                    '"' => break,
                    '\\' => item.push(rest.next()?),
                    c => item.push(c),
                }
            }
        } else {
            while let Some(c) = rest.next_if(|c| *c != ',') {
                item.push(c);
            }
        }
        items.push(item);
        if rest.peek().is_some() && rest.next() != Some(',') {
            return None;
        }
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn array_literals_are_read_with_their_quotes() {
        assert_eq!(array("{}"), Some(vec![]));
        assert_eq!(array("{pg_catalog,public}"), Some(vec!["pg_catalog".into(), "public".into()]));
        assert_eq!(array(r#"{"a,b","c\"d\\e",f}"#), Some(vec!["a,b".into(), "c\"d\\e".into(), "f".into()]));
        assert_eq!(array("{\"a"), None);
        assert_eq!(array("a"), None);
    }

    #[test]
    fn durations_are_read_in_the_units_show_prints() {
        for (text, millis) in [("0", 0), ("200ms", 200), ("5s", 5000), ("1min", 60_000), ("2h", 7_200_000)] {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(duration("1 fortnight"), None);
    }

    #[test]
    fn rows_keep_nulls_apart_from_empty_text() {
        assert_eq!(data_row(b"\0\x02\xff\xff\xff\xff\0\0\0\0"), vec![None, Some(String::new())]);
    }

    #[test]
    fn damaged_settings_are_refused() {
        let recorded: [&[u8]; 5] = [
            b"{pg_catalog,public}",
            br#"{"a,b","c\"d\\e",f}"#,
            b"200ms",
            b"\0\x02\xff\xff\xff\xff\0\0\0\x01x",
            b"1min",
        ];
        weir_tests::hostile::hammer("settings", &recorded, |bytes| {
            let _ = data_row(bytes);
            std::str::from_utf8(bytes).is_ok_and(|text| array(text).is_some() || duration(text).is_some())
        });
    }
}
