//! Questions that the installed SQL asks from inside a function (`pgtrickle.ask_weir`), and the bell that announces them.

use super::Shared;
use super::keeper::Keeper;
use super::notice::Notice;
use super::populate::Managed;
use super::{explain, validate, verify};
use crate::catalog::install::LOCK_CLASS;
use crate::control;
use serde_json::{Value as Json, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use weir_cache::Position;

/// How often the bell is looked at: the delay of a question on a server on which nothing else commits.
const BELL_INTERVAL: Duration = Duration::from_millis(50);
/// Answers older than this were read or given up (the longest wait in the installed SQL is 60 s).
const KEEP_ANSWERS: &str = "5 minutes";

/// Shows the installed SQL that a Weir is here and hears (advisory lock), and pushes questions out of an idle server's WAL
/// buffers. While the stream is not open nobody may wait for an answer: the slot may be waiting for the asker to end.
/// Ends with its connection.
pub(super) async fn answer_the_bell(shared: Arc<Shared>, notices: mpsc::UnboundedSender<Notice>) {
    let Ok(client) = control::connect(&shared.config.upstream, "bell").await else { return };
    let rung = format!(
        "SELECT pg_current_wal_insert_lsn()::text WHERE EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' \
             AND classid = {LOCK_CLASS} AND objid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
    );
    let Ok(rung) = client.prepare(&rung).await else { return };
    let Ok(locks) = client.prepare(&questions_in_locks()).await else { return };
    // Those that are being answered; an asker's locks stay until it has read the answer.
    let mut known = HashSet::new();
    let mut tick = tokio::time::interval(BELL_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut is_shown = false;
    loop {
        tick.tick().await;
        let is_open = shared.stream_is_open.load(Ordering::Acquire);
        if is_open != is_shown {
            let function = if is_open { "pg_advisory_lock_shared" } else { "pg_advisory_unlock_shared" };
            if client.batch_execute(&format!("SELECT {function}({LOCK_CLASS}, 0)")).await.is_err() {
                return;
            }
            is_shown = is_open;
        }
        let Ok(row) = client.query_opt(&rung, &[]).await else { return };
        let position = row.and_then(|row| row.get::<_, String>(0).parse::<Position>().ok());
        let (Some(position), Some(capture)) = (position, shared.capture.get()) else {
            known.clear();
            continue;
        };
        // What the asker has committed before is known by then.
        let position = capture.position_after(position);
        capture.reach(position);
        if capture.is_by_snapshot() {
            let Ok(rows) = client.query(&locks, &[]).await else { return };
            let asked: HashSet<String> = read_locks(&rows).into_iter().collect();
            known.retain(|question| asked.contains(question));
            for question in asked {
                if known.insert(question.clone()) {
                    shared.ledger.reached(position, REACH_WAIT).await;
                    let _ = notices.send(Notice::Asked(question));
                }
            }
        }
    }
}

/// First key of the locks in which `pgtrickle.ask_by_locks` puts a question; the one below holds its length.
const QUESTION_CLASS: u32 = 0x5745_0000;
/// The longest question.
const QUESTION_BYTES: u32 = 8000;
/// A question is read after this time even if what was committed before it has not arrived.
const REACH_WAIT: Duration = Duration::from_secs(1);

/// Askers' locks, each asker's together and in order. Whoever has rung has taken all of its locks before.
fn questions_in_locks() -> String {
    let (first, last) = (QUESTION_CLASS - 1, QUESTION_CLASS + QUESTION_BYTES / 4);
    format!(
        "SELECT l.pid, l.classid, l.objid FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted \
             AND l.classid::bigint BETWEEN {first} AND {last} \
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1, 2"
    )
}

/// The questions in these locks; what is no whole question is left out.
fn read_locks(rows: &[tokio_postgres::Row]) -> Vec<String> {
    let locks: Vec<(i32, u32, u32)> = rows
        .iter()
        .filter_map(|row| Some((row.try_get(0).ok()?, row.try_get(1).ok()?, row.try_get(2).ok()?)))
        .collect();
    let questions = locks.chunk_by(|a, b| a.0 == b.0);
    questions.filter_map(read_question).collect()
}

fn read_question(locks: &[(i32, u32, u32)]) -> Option<String> {
    let (&(_, class, size), parts) = locks.split_first()?;
    let is_whole = class == QUESTION_CLASS - 1
        && size <= QUESTION_BYTES
        && parts.len() == size.div_ceil(4) as usize
        && parts.iter().zip(QUESTION_CLASS..).all(|((_, class, _), expected)| *class == expected);
    let bytes: Vec<u8> = parts.iter().flat_map(|(_, _, four)| four.to_be_bytes()).take(size as usize).collect();
    is_whole.then(|| String::from_utf8(bytes).ok()).flatten()
}

/// How long an answer about a stream table waits for what its asker may have committed just before, such as that very table.
/// (An asker that holds locks for which the table's population waits would otherwise wait for itself.)
const SETTLE_WAIT: Duration = Duration::from_secs(3);

/// A question that has arrived.
pub(super) struct Question {
    json: Json,
    request: String,
    since: Instant,
}

impl Question {
    /// None: it cannot be read, and is ignored; its asker times out.
    pub(super) fn read(text: &str) -> Option<Question> {
        let json: Json = serde_json::from_str(text).ok()?;
        let request = json["request"].as_str()?.to_owned();
        Some(Question { json, request, since: Instant::now() })
    }

    /// What was committed about its table before it was asked has not taken effect yet. (The marks of that are with the keeper
    /// before the question is.)
    fn is_early(&self, keeper: &Keeper) -> bool {
        let Some(pgt_id) = self.json["pgt_id"].as_i64() else { return false };
        let is_requested = keeper.requested.iter().any(|(requested, _)| *requested == pgt_id);
        let view = keeper.views.values().find(|view| view.row.pgt_id == pgt_id);
        self.since.elapsed() < SETTLE_WAIT
            && (keeper.must_read || is_requested || view.is_some_and(|view| view.is_unfinished() || view.evaluating))
    }
}

/// Answers what can be answered; the rest stays.
pub(super) fn serve(keeper: &mut Keeper) {
    for question in std::mem::take(&mut keeper.asked) {
        if question.is_early(keeper) { keeper.asked.push(question) } else { answer(keeper, question) }
    }
}

/// Answers one question on a task of its own.
fn answer(keeper: &Keeper, Question { json: question, request, .. }: Question) {
    let shared = keeper.shared.clone();
    match question["ask"].as_str() {
        Some("verify") => {
            let id = question["pgt_id"].as_i64();
            let subject = keeper.views.values().find(|view| Some(view.row.pgt_id) == id).map(verify::Subject::of);
            let work = keeper.work.clone();
            tokio::spawn(async move {
                let answer = match subject {
                    Some(Ok(subject)) => verify::verify(&shared, &work, &subject).await,
                    Some(Err(reason)) => Err(reason),
                    None => Err("Weir does not know it yet".to_owned()),
                };
                let answer = answer.map_or_else(|error| json!({ "error": error }), |verdict| verdict.to_json());
                reply(&shared, &request, &answer).await;
            });
        }
        Some("explain") => {
            let answer = explain::explain(keeper, question["pgt_id"].as_i64());
            tokio::spawn(async move { reply(&shared, &request, &answer).await });
        }
        Some("validate") => {
            let stream_tables: Vec<_> = keeper.views.values().map(|view: &Managed| view.row.id).collect();
            tokio::spawn(async move {
                let answer = validate::validate(&shared, &question, stream_tables).await;
                reply(&shared, &request, &answer).await;
            });
        }
        _ => tracing::debug!(%question, "an unknown question"),
    }
}

async fn reply(shared: &Shared, request: &str, answer: &Json) {
    let write = async {
        let client = control::connect(&shared.config.upstream, "answer").await.map_err(|error| error.to_string())?;
        let insert = "INSERT INTO pgtrickle.weir_answers (request, answer) VALUES ($1::text::uuid, $2::text::jsonb)";
        client.execute(insert, &[&request, &answer.to_string()]).await.map_err(|error| error.to_string())?;
        let delete =
            format!("DELETE FROM pgtrickle.weir_answers WHERE answered_at < now() - interval '{KEEP_ANSWERS}'");
        client.batch_execute(&delete).await.map_err(|error| error.to_string())
    };
    if let Err(error) = write.await {
        tracing::warn!(error, "an answer could not be written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_from_its_locks_or_not_at_all() {
        let text = "{\"ask\": 1}";
        let size = text.len() as u32;
        let four = |at: usize| {
            let mut bytes = [0; 4];
            for (to, from) in bytes.iter_mut().zip(text.bytes().skip(4 * at)) {
                *to = from;
            }
            u32::from_be_bytes(bytes)
        };
        let mut locks = vec![(7, QUESTION_CLASS - 1, size)];
        locks.extend((0..size.div_ceil(4)).map(|at| (7, QUESTION_CLASS + at, four(at as usize))));
        assert_eq!(read_question(&locks).as_deref(), Some(text));
        for left_out in 0..locks.len() {
            let mut partial = locks.clone();
            partial.remove(left_out);
            assert_eq!(read_question(&partial), None, "without lock {left_out}");
        }
    }
}
