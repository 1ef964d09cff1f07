//! Windows of a second or two, answered from memory. Postgres' own clock is read directly before and after every read: each
//! answer must be the query's at one moment between the two, though rows come and leave in every one of them.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Microseconds since 2000, as the server's clock shows them.
const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - 946684800000000";
/// Width of the window.
const WINDOW: i64 = 2_000_000;
/// Less than this share from memory proves nothing.
const LEAST_FROM_MEMORY: f64 = 0.5;

fn number(client: &mut RawClient, sql: &str) -> i64 {
    client.execute(sql).scalar().parse().expect("a number")
}

/// `at` of these microseconds since 2000.
fn timestamp(micros: i64) -> String {
    format!("'2000-01-01 00:00:00+00'::timestamptz + {micros} * interval '1 microsecond'")
}

/// Rows of `event` that can matter now, by id. Read through the session itself, its bookmark lies behind them afterwards.
fn events(client: &mut RawClient) -> BTreeMap<i64, i64> {
    let sql = "SELECT id, (extract(epoch FROM at) * 1000000)::bigint - 946684800000000 FROM event \
         WHERE at > clock_timestamp() - interval '6 seconds'";
    let rows = client.execute(sql).texts();
    rows.iter().map(|row| (row[0].parse().expect("an id"), row[1].parse().expect("a moment"))).collect()
}

fn set_up(weir: &TestWeir) {
    let mut client = RawClient::superuser(&weir.address());
    client.execute("CREATE TABLE event (id bigint PRIMARY KEY, grp int NOT NULL, at timestamptz NOT NULL)");
    for (name, query) in [
        ("recent", "SELECT id, grp, at FROM event WHERE at > now() - interval '2 seconds'"),
        (
            "recent_by_group",
            "SELECT grp, count(*) AS n, sum(id) AS ids, max(at) AS newest FROM event \
             WHERE at > now() - interval '2 seconds' GROUP BY grp",
        ),
        ("happened", "SELECT id, at FROM event WHERE at BETWEEN now() - interval '2 seconds' AND now()"),
        (
            "by_age",
            "SELECT grp, count(*) FILTER (WHERE at > now() - interval '1 second') AS fresh, \
             sum(CASE WHEN at <= now() - interval '1 second' THEN 1 ELSE 0 END) AS aged, count(*) AS n \
             FROM event WHERE grp > 0 OR at > now() - interval '2 seconds' GROUP BY grp",
        ),
        ("on_recent", "SELECT grp, count(*) AS n FROM recent GROUP BY grp"),
    ] {
        client.execute(&format!("SELECT pgtrickle.create_stream_table('{name}', $q${query}$q$, '1s', 'DIFFERENTIAL')"));
    }
    weir.wait_until_live(&["recent", "recent_by_group", "happened", "by_age", "on_recent"]);
}

/// One answer of `recent` that began after `before` was known and ended when `after` was: there is a moment in [t0, t1] at
/// which it is the query's answer.
fn check_recent(
    answer: &BTreeSet<i64>,
    (before, after): (&BTreeMap<i64, i64>, &BTreeMap<i64, i64>),
    (t0, t1): (i64, i64),
) -> Result<(), String> {
    let (mut earliest, mut latest) = (t0, t1);
    for id in answer {
        let at = after.get(id).or(before.get(id)).ok_or(format!("{id} was not there, or left long ago"))?;
        // It is there while at > now() - 2 s.
        latest = latest.min(at + WINDOW - 1);
    }
    for (id, at) in before {
        if !answer.contains(id) {
            earliest = earliest.max(at + WINDOW);
        }
    }
    match earliest <= latest {
        true => Ok(()),
        false => Err(format!("no moment from {t0} to {t1}: it is not before {earliest} and not after {latest}")),
    }
}

fn ids(rows: &[Vec<String>]) -> BTreeSet<i64> {
    rows.iter().map(|row| row[0].parse().expect("an id")).collect()
}

/// Writers without pause, readers at both levels.
#[test]
fn every_answer_is_the_querys_at_one_moment() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    set_up(&weir);
    let seed = rng::seed();
    eprintln!("WEIR_TEST_SEED={seed}");
    let (done, next) = (AtomicBool::new(false), AtomicU64::new(1));
    let (memory, reads) = (AtomicU64::new(0), AtomicU64::new(0));
    let routes: Mutex<BTreeMap<String, usize>> = Mutex::default();
    let lasting = Duration::from_secs(rng::rounds(8, 60) as u64);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (done, next, weir, server) = (&done, &next, &weir, &server);
            scope.spawn(move || {
                let mut random = StdRng::seed_from_u64(seed ^ writer);
                let address = if writer == 0 { weir.address() } else { server.address() };
                let mut client = RawClient::superuser(&address);
                while !done.load(Ordering::Relaxed) {
                    let rows: Vec<String> = (0..random.random_range(1..4))
                        .map(|_| {
                            let id = next.fetch_add(1, Ordering::Relaxed);
                            // Some are of the future, most leave soon, some have left already.
                            let ago = random.random_range(-300_000..2_200_000);
                            let group = random.random_range(0..3);
                            format!("({id}, {group}, now() - {ago} * interval '1 microsecond')")
                        })
                        .collect();
                    client.execute(&format!("INSERT INTO event VALUES {}", rows.join(", ")));
                    std::thread::sleep(Duration::from_millis(random.random_range(0..12)));
                }
            });
        }
        let readers: Vec<_> = ["session", "latest", "session"]
            .into_iter()
            .map(|level| {
                let (weir, server, memory, reads, routes) = (&weir, &server, &memory, &reads, &routes);
                scope.spawn(move || {
                    let mut through = RawClient::superuser(&weir.address());
                    let mut direct = RawClient::superuser(&server.address());
                    through.execute(&format!("SET weir.consistency = '{level}'"));
                    while started.elapsed() < lasting {
                        // At `latest` others' commits count as well.
                        let before = events(if level == "latest" { &mut direct } else { &mut through });
                        let t0 = number(&mut direct, NOW);
                        let rows = through.execute("SELECT id FROM recent").texts();
                        let t1 = number(&mut direct, NOW);
                        let route = through.last_route();
                        let after = events(&mut direct);
                        if let Err(reason) = check_recent(&ids(&rows), (&before, &after), (t0, t1)) {
                            panic!("{level}, {route}: {reason}");
                        }
                        reads.fetch_add(1, Ordering::Relaxed);
                        memory.fetch_add(u64::from(route == "memory"), Ordering::Relaxed);
                        *routes.lock().expect("no reader panics here").entry(route).or_default() += 1;
                        // Several windows in one read are of one moment.
                        let sums = "SELECT (SELECT count(*) FROM recent), (SELECT sum(n) FROM recent_by_group), \
                             (SELECT sum(n) FROM on_recent), \
                             (SELECT count(*) FROM recent WHERE at <= now() - interval '2 seconds')";
                        let row = through.execute(sums).texts().remove(0);
                        let counts: Vec<&str> = row.iter().map(|n| if n == "NULL" { "0" } else { n }).collect();
                        assert!(counts[0] == counts[1] && counts[0] == counts[2], "{row:?} {}", through.last_route());
                        assert_eq!(counts[3], "0", "a row that has left by the read's own clock");
                    }
                })
            })
            .collect();
        let outcomes: Vec<_> = readers.into_iter().map(|reader| reader.join()).collect();
        done.store(true, Ordering::Relaxed);
        outcomes.into_iter().for_each(|outcome| outcome.expect("every answer is right"));
    });
    let share = memory.load(Ordering::Relaxed) as f64 / reads.load(Ordering::Relaxed) as f64;
    eprintln!("{} reads, {:.1} % from memory: {routes:?}", reads.load(Ordering::Relaxed), share * 100.0);
    assert!(share >= LEAST_FROM_MEMORY, "only {:.1} % came from memory", share * 100.0);
}

/// What nobody writes to: groups, and windows with two ends, through all the moments in which rows come and leave.
#[test]
fn groups_and_windows_with_two_ends_move_by_time_alone() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    set_up(&weir);
    let mut random = rng::seeded("groups_and_windows_with_two_ends_move_by_time_alone");
    let mut through = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    let start = number(&mut direct, NOW);
    // id, group, at: some share a microsecond.
    let mut events: Vec<(i64, i64, i64)> = Vec::new();
    for id in 1..400 {
        let at = match events.last() {
            Some((_, _, at)) if random.random_bool(0.2) => *at,
            _ => start + random.random_range(-2_200_000..3_000_000),
        };
        events.push((id, random.random_range(0..4), at));
    }
    let values: Vec<String> =
        events.iter().map(|(id, group, at)| format!("({id}, {group}, {})", timestamp(*at))).collect();
    through.execute(&format!("INSERT INTO event VALUES {}", values.join(", ")));
    let grouped_at = |now: i64| {
        let mut groups: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        for (id, group, _) in events.iter().filter(|(_, _, at)| *at > now - WINDOW) {
            let entry = groups.entry(*group).or_default();
            *entry = (entry.0 + 1, entry.1 + id);
        }
        groups
            .iter()
            .map(|(group, (n, sum))| vec![group.to_string(), n.to_string(), sum.to_string()])
            .collect::<Vec<_>>()
    };
    let aged_at = |now: i64| {
        let mut groups: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        for (_, group, at) in events.iter().filter(|(_, group, at)| *group > 0 || *at > now - WINDOW) {
            let entry = groups.entry(*group).or_default();
            let is_fresh = *at > now - WINDOW / 2;
            *entry = (entry.0 + i64::from(is_fresh), entry.1 + i64::from(!is_fresh));
        }
        let row = |(group, (fresh, aged)): (&i64, &(i64, i64))| {
            [*group, *fresh, *aged, fresh + aged].map(|n| n.to_string()).to_vec()
        };
        groups.iter().map(row).collect::<Vec<_>>()
    };
    let happened_at = |now: i64| {
        let window = events.iter().filter(|(_, _, at)| now - WINDOW <= *at && *at <= now);
        window.map(|(id, _, _)| *id).collect::<BTreeSet<_>>()
    };
    let (mut reads, mut memory) = (0, 0);
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(6) {
        let t0 = number(&mut direct, NOW);
        let groups = through.execute("SELECT grp, n, ids FROM recent_by_group ORDER BY grp").texts();
        let first_route = through.last_route();
        let t1 = number(&mut direct, NOW);
        let happened = ids(&through.execute("SELECT id FROM happened").texts());
        let route = through.last_route();
        let t2 = number(&mut direct, NOW);
        let aged = through.execute("SELECT grp, fresh, aged, n FROM by_age ORDER BY grp").texts();
        let last_route = through.last_route();
        let t3 = number(&mut direct, NOW);
        let moments = |from: i64, to: i64| {
            let edges = events.iter().flat_map(|(_, _, at)| [0, 1, WINDOW / 2, WINDOW, WINDOW + 1].map(|age| at + age));
            std::iter::once(from).chain(edges.filter(|edge| from < *edge && *edge <= to).collect::<Vec<_>>())
        };
        assert!(
            moments(t0, t1).any(|now| grouped_at(now) == groups),
            "{first_route}: at no moment from {t0} to {t1}: {groups:?}, at first {:?}, at last {:?}",
            grouped_at(t0),
            grouped_at(t1)
        );
        assert!(
            moments(t1, t2).any(|now| happened_at(now) == happened),
            "{route}: at no moment from {t1} to {t2}: {happened:?}"
        );
        assert!(
            moments(t2, t3).any(|now| aged_at(now) == aged),
            "{last_route}: at no moment from {t2} to {t3}: {aged:?}"
        );
        reads += 3;
        memory += [first_route, route, last_route].iter().filter(|route| *route == "memory").count();
    }
    eprintln!("{reads} reads, {memory} from memory");
    assert!(memory * 10 >= reads * 9, "only {memory} of {reads} came from memory");
    assert_eq!(through.execute("SELECT count(*) FROM recent").scalar(), "0");
}

/// A row that a session has just written is there at once, at its own time; and what it has seen leave does not come back.
#[test]
fn the_clock_is_never_behind_what_was_written_or_seen() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut client = RawClient::superuser(&weir.address());
    client.execute("CREATE TABLE note (id int PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())");
    client.execute("SELECT pgtrickle.create_stream_table('written', 'SELECT id, at FROM note WHERE at <= now()', '1s', 'DIFFERENTIAL')");
    client.execute(
        "SELECT pgtrickle.create_stream_table('fresh', 'SELECT id FROM note WHERE at > now() - interval ''50 ms''', '1s', 'DIFFERENTIAL')",
    );
    weir.wait_until_live(&["written", "fresh"]);
    let (mut memory, mut seen) = (0, 0);
    for id in 1..=300 {
        client.execute(&format!("INSERT INTO note (id) VALUES ({id})"));
        assert_eq!(client.execute("SELECT count(*) FROM written").scalar(), id.to_string(), "{}", client.last_route());
        memory += u32::from(client.last_route() == "memory");
        // By turns from memory and, within a block, from Postgres.
        let in_block = id % 2 == 0;
        if in_block {
            client.execute("BEGIN; SELECT 1");
        }
        let fresh = client.execute("SELECT coalesce(min(id), 0) FROM fresh").scalar();
        let route = client.last_route();
        if in_block {
            assert!(route.starts_with("forwarded"), "{route}");
            client.execute("COMMIT");
        }
        let oldest: i32 = fresh.parse().expect("an id");
        assert!(oldest == 0 || oldest >= seen, "{oldest} is back, {seen} was the oldest already: {route}");
        seen = seen.max(oldest);
    }
    eprintln!("{memory} of 300 from memory");
    assert!(memory > 150, "only {memory} of 300 came from memory");
    let block = "BEGIN; SELECT count(*) FROM written";
    client.execute(block);
    assert!(client.last_route().starts_with("forwarded"));
    client.execute("COMMIT");
}
