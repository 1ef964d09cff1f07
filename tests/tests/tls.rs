//! TLS on either hop and on both: logins with psql's defaults and with channel binding, verification of the upstream,
//! reloaded certificates, direct TLS, and nothing in the clear behind a request for TLS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use weir_tests::postgres::{Auth, Options, TestServer};
use weir_tests::tls::{Authority, Issued, fingerprint, psql, s_client};
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const GSSENC_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];
const IS_ENCRYPTED: &str = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

/// A server with TLS and SCRAM whose role `app` has a password of that name.
fn server(authority: &Authority, options: Options) -> TestServer {
    let server = options.auth(Auth::ScramSha256).tls(&authority.issue_local("server"), &authority.root()).start();
    psql(&format!("{}?sslmode=disable", server.url()), "CREATE ROLE app LOGIN PASSWORD 'app'").expect("a superuser");
    server
}

fn upstream(server: &TestServer, options: &str) -> String {
    format!("postgres://postgres:postgres@localhost:{}/postgres?{options}", server.port())
}

/// Weir with a certificate for its clients, and `options` in its connection string.
fn weir(server: &TestServer, issued: &Issued, options: &str, arguments: &[&str]) -> TestWeir {
    let (certificate, key) = (issued.certificate.to_str().expect("UTF-8"), issued.key.to_str().expect("UTF-8"));
    let arguments = [&["--tls-cert", certificate, "--tls-key", key], arguments].concat();
    TestWeir::start_as(server, &upstream(server, options), &arguments)
}

fn app(weir: &TestWeir, password: &str, options: &str) -> String {
    format!("host=localhost port={} user=app password={password} dbname=postgres {options}", weir.port())
}

#[test]
fn all_four_quadrants_with_scram() {
    let authority = Authority::new();
    let server = server(&authority, TestServer::options());
    let ours = authority.issue_local("weir");
    for (upstream_mode, upstream_encrypted) in [("disable", "f"), ("require", "t")] {
        let weir = weir(&server, &ours, &format!("sslmode={upstream_mode}"), &[]);
        for client in ["sslmode=disable", "sslmode=require", "", "sslmode=require channel_binding=disable"] {
            let what = format!("client {client:?}, upstream {upstream_mode}");
            let answer = psql(&app(&weir, "app", client), IS_ENCRYPTED);
            assert_eq!(answer.as_deref(), Ok(upstream_encrypted), "{what}\n{}", weir.log());
            for (user, password) in [("app", "wrong"), ("nobody", "app")] {
                let error = psql(&app(&weir, password, &format!("user={user} {client}")), IS_ENCRYPTED).unwrap_err();
                let expected = format!("FATAL:  password authentication failed for user \"{user}\"");
                assert!(error.contains(&expected), "{what}: {error}");
            }
        }
        let full = format!("sslmode=verify-full sslrootcert={}", authority.root().display());
        assert_eq!(psql(&app(&weir, "app", &full), IS_ENCRYPTED).as_deref(), Ok(upstream_encrypted));
        // The password's owner may insist that nobody stands between it and the certificate it sees.
        let bound = psql(&app(&weir, "app", "sslmode=require channel_binding=require"), IS_ENCRYPTED);
        match upstream_encrypted {
            "t" => assert_eq!(bound.as_deref(), Ok("t")),
            _ => assert!(bound.unwrap_err().contains("channel binding is required"), "only where Weir logs in"),
        }
    }
}

#[test]
fn the_upstreams_certificate_is_verified_as_libpq_would() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = server(&authority, TestServer::options().conf("listen_addresses = '127.0.0.1, 127.0.0.2'"));
    let ours = authority.issue_local("weir");
    let by_address =
        |options: &str| format!("postgres://postgres:postgres@127.0.0.2:{}/postgres?{options}", server.port());
    let root = |authority: &Authority| authority.root().display().to_string();
    let (right, wrong) = (root(&authority), root(&other));
    let certificate = ours.certificate.display().to_string();
    let arguments = ["--tls-cert", &certificate, "--tls-key", ours.key.to_str().expect("UTF-8")];
    // (connection string, whether it may be used)
    let cases = [
        (upstream(&server, &format!("sslmode=verify-full&sslrootcert={right}")), true),
        (upstream(&server, &format!("sslmode=verify-ca&sslrootcert={wrong}")), false),
        // With a root certificate, `require` verifies the chain, as libpq does.
        (upstream(&server, &format!("sslmode=require&sslrootcert={wrong}")), false),
        (by_address(&format!("sslmode=verify-ca&sslrootcert={right}")), true),
        (by_address(&format!("sslmode=verify-full&sslrootcert={right}")), false),
    ];
    for (url, works) in cases {
        // libpq's own verdict first. 127.0.0.2 is not in the certificate.
        let direct = psql(&url, "SELECT 1");
        assert_eq!(direct.is_ok(), works, "libpq: {url}: {direct:?}");
        let weir = TestWeir::start_as(&server, &url, &arguments);
        let answer = psql(&app(&weir, "app", "sslmode=require"), IS_ENCRYPTED);
        match works {
            true => assert_eq!(answer.as_deref(), Ok("t"), "{url}\n{}", weir.log()),
            false => assert!(answer.unwrap_err().contains("TLS: invalid peer certificate"), "{url}"),
        }
    }
}

#[test]
fn certificates_are_reloaded_without_dropping_connections() {
    let authority = Authority::new();
    let server = server(&authority, TestServer::options());
    let ours = authority.issue_local("weir");
    let weir = weir(&server, &ours, "sslmode=require", &[]);
    let mut session = Command::new("psql");
    session.args(["-X", "-A", "-t", "-q", &app(&weir, "app", "sslmode=require")]).env("HOME", "/nonexistent");
    let mut session = session.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("psql is installed");
    let mut ask = session.stdin.take().expect("piped");
    ask.write_all(b"SELECT 'before';\n").expect("psql reads");

    let first = fingerprint(&weir.address());
    let next = authority.issue_local("next");
    std::fs::copy(&next.certificate, &ours.certificate).expect("ours");
    std::fs::copy(&next.key, &ours.key).expect("ours");
    weir.hang_up();
    let second = fingerprint(&weir.address());
    assert_ne!(first, second);
    assert!(first.contains("Fingerprint=") && second.contains("Fingerprint="), "{first} {second}");
    assert_eq!(psql(&app(&weir, "app", "channel_binding=require"), IS_ENCRYPTED).as_deref(), Ok("t"));

    std::fs::write(&ours.certificate, "no certificate").expect("ours");
    weir.hang_up();
    assert!(weir.log().contains("were not reloaded"), "{}", weir.log());
    assert_eq!(fingerprint(&weir.address()), second, "the old one stays");

    ask.write_all(b"SELECT 'after';\n").expect("psql reads");
    drop(ask);
    let done = session.wait_with_output().expect("psql ends");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "before\nafter\n");
}

/// A start-up packet of `app`, for protocol 3.`minor`.
fn startup(minor: u8, parameters: &[u8]) -> Vec<u8> {
    let body = [&[0, 3, 0, minor][..], b"user\0app\0database\0postgres\0", parameters, b"\0"].concat();
    [&((body.len() + 4) as u32).to_be_bytes()[..], &body].concat()
}

#[test]
fn direct_tls_needs_the_protocols_name() {
    let authority = Authority::new();
    let server = server(&authority, TestServer::options());
    let weir = weir(&server, &authority.issue_local("weir"), "sslmode=require", &["--authentication-timeout-s", "2"]);
    let asked = |arguments: &[&str]| s_client(&weir.address(), arguments, &startup(0, b""));
    let with = asked(&["-alpn", "postgresql"]);
    assert_eq!(with.first(), Some(&b'R'), "a request for SASL: {with:?}");
    assert!(with.windows(18).any(|bytes| bytes == b"SCRAM-SHA-256-PLUS"));
    assert_eq!(asked(&[]), b"", "closed without ALPN");
    assert_eq!(asked(&["-alpn", "http/1.1"]), b"", "no such protocol here");
    let requested = asked(&["-starttls", "postgres"]);
    assert_eq!(requested.first(), Some(&b'R'), "after an SSLRequest none is needed");
}

#[test]
fn nothing_in_the_clear_is_read_behind_a_request_for_encryption() {
    let authority = Authority::new();
    let server = server(&authority, TestServer::options());
    let weir = weir(&server, &authority.issue_local("weir"), "sslmode=require", &[]);
    let says = |address: &str, bytes: &[u8]| {
        let mut socket = TcpStream::connect(address).expect("it accepts");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        socket.write_all(bytes).expect("it reads");
        let mut answer = vec![0; 4096];
        let n = socket.read(&mut answer).expect("it answers");
        (answer[..n].to_vec(), socket)
    };
    for request in [SSL_REQUEST, GSSENC_REQUEST] {
        let injected = [&request[..], &startup(0, b"")].concat();
        let (answer, _) = says(&weir.address(), &injected);
        let text = String::from_utf8_lossy(&answer);
        assert!(text.contains("C08P01") && text.contains("received unencrypted data after"), "{text:?}");
    }
    // One of each, in either order; what comes then is a protocol version that Postgres does not know.
    let (answer, mut socket) = says(&weir.address(), &GSSENC_REQUEST);
    assert_eq!(answer, b"N");
    socket.write_all(&GSSENC_REQUEST).expect("it reads");
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).expect("it closes");
    let text = String::from_utf8_lossy(&rest);
    assert!(text.contains("C0A000") && text.contains("unsupported frontend protocol 1234.5680"), "{text:?}");
    let (answer, mut socket) = says(&weir.address(), &GSSENC_REQUEST);
    assert_eq!(answer, b"N");
    socket.write_all(&SSL_REQUEST).expect("it reads");
    let mut offered = [0];
    socket.read_exact(&mut offered).expect("it answers");
    assert_eq!(offered, *b"S");
}

#[test]
fn tls_can_be_required() {
    let authority = Authority::new();
    let server = server(&authority, TestServer::options());
    let folder = authority.folder().to_str().expect("UTF-8");
    let weir =
        weir(&server, &authority.issue_local("weir"), "sslmode=require", &["--tls-required", "--listen-unix", folder]);
    let error = psql(&app(&weir, "app", "sslmode=disable"), IS_ENCRYPTED).unwrap_err();
    assert!(error.contains("FATAL:  connection requires TLS"), "{error}");
    assert_eq!(psql(&app(&weir, "app", "sslmode=require"), IS_ENCRYPTED).as_deref(), Ok("t"));
    let local = format!("host={folder} port={} user=app password=app dbname=postgres", weir.port());
    assert_eq!(psql(&local, IS_ENCRYPTED).as_deref(), Ok("t"), "a Unix socket is no network");
}

#[test]
fn cancel_requests_and_replication_go_through_tls() {
    let authority = Authority::new();
    let server = server(&authority, TestServer::options());
    let weir = weir(&server, &authority.issue_local("weir"), "sslmode=require", &["--login-superusers"]);
    let mut waiting = Command::new("psql");
    waiting.args(["-X", "-q", "-c", "SELECT pg_sleep(60)", &app(&weir, "app", "sslmode=require")]);
    let waiting = waiting.env("HOME", "/nonexistent").stderr(Stdio::piped()).spawn().expect("psql is installed");
    let admin = format!("{}?sslmode=disable", server.url());
    let started = Instant::now();
    let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND wait_event = 'PgSleep'";
    while psql(&admin, sleeps).as_deref() != Ok("1") {
        assert!(started.elapsed() < Duration::from_secs(30), "psql does not sleep");
    }
    let sent = Command::new("kill").args(["-INT", &waiting.id().to_string()]).status().expect("kill can be run");
    assert!(sent.success());
    let done = waiting.wait_with_output().expect("psql ends");
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(error.contains("canceling statement due to user request"), "{error}");

    // The same over TLS to Weir: a key nobody has is read and the connection closed.
    let cancel = [&[0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e][..], &[9; 8]].concat();
    assert_eq!(s_client(&weir.address(), &["-starttls", "postgres"], &cancel), b"");

    let replication = format!(
        "host=localhost port={} user=postgres password=postgres dbname=postgres sslmode=require replication=database",
        weir.port()
    );
    let answer = psql(&replication, "IDENTIFY_SYSTEM").expect("a walsender answers");
    assert!(answer.ends_with("|postgres"), "{answer}");
}

#[test]
fn weirs_own_certificate_is_shown_and_lends_nobody_its_identity() {
    let authority = Authority::new();
    let ours = authority.issue("client", "postgres", "DNS:weir");
    let shown = format!("sslmode=require&sslcert={}&sslkey={}", ours.certificate.display(), ours.key.display());
    let options = || TestServer::options().hba("local all all trust").hba("hostnossl all all all scram-sha-256");
    let believing = server(&authority, options().hba("hostssl all all all scram-sha-256 clientcert=verify-ca"));
    let certificate = authority.issue_local("weir");
    let through = weir(&believing, &certificate, &shown, &[]);
    assert_eq!(psql(&app(&through, "app", "sslmode=require"), IS_ENCRYPTED).as_deref(), Ok("t"));
    let without = weir(&believing, &certificate, "sslmode=require", &[]);
    let error = psql(&app(&without, "app", "sslmode=require"), IS_ENCRYPTED).unwrap_err();
    assert!(error.contains("requires a valid client certificate"), "{error}");

    let trusting = server(&authority, options().hba("hostssl all all all cert"));
    let through = weir(&trusting, &certificate, &shown, &[]);
    let stranger = format!("host=localhost port={} user=postgres dbname=postgres sslmode=require", through.port());
    let error = psql(&stranger, IS_ENCRYPTED).unwrap_err();
    assert!(error.contains("Postgres asked for nothing but a certificate, and saw Weir's"), "{error}");
}

#[test]
fn a_newer_protocol_is_the_servers_to_negotiate() {
    let authority = Authority::new();
    let server = server(&authority, TestServer::options());
    let weir = weir(&server, &authority.issue_local("weir"), "sslmode=require", &["--authentication-timeout-s", "2"]);
    let asked = |address: &str| s_client(address, &["-starttls", "postgres"], &startup(2, b"_pq_.unheard_of\0on\0"));
    let ours = asked(&weir.address());
    // NegotiateProtocolVersion as the server words it, then the request for authentication.
    let length = u32::from_be_bytes(ours[1..5].try_into().expect("a header")) as usize + 1;
    assert_eq!(ours[0], b'v', "{ours:?}");
    assert!(ours[..length].ends_with(b"_pq_.unheard_of\0"), "{ours:?}");
    assert_eq!(ours[length], b'R');
    let mut direct = RawClient::superuser(&weir.address());
    assert_eq!(direct.query("SELECT 1").scalar(), "1", "and in the clear as before");
}

/// Postgres 18 speaks direct TLS and protocol 3.2; fetched only for long runs, or when it is asked for.
fn options_18() -> Option<Options> {
    let wanted = std::env::var_os("WEIR_LONG").is_some() || std::env::var("PG_MAJOR").is_ok_and(|major| major == "18");
    wanted.then(|| TestServer::options().major(18))
}

#[test]
fn direct_tls_to_a_server_that_speaks_it() {
    let Some(options) = options_18() else { return };
    let authority = Authority::new();
    let server = server(&authority, options);
    let root = format!("sslmode=verify-full&sslnegotiation=direct&sslrootcert={}", authority.root().display());
    let weir = weir(&server, &authority.issue_local("weir"), &root, &[]);
    for client in ["sslmode=disable", "sslmode=require channel_binding=require"] {
        assert_eq!(psql(&app(&weir, "app", client), IS_ENCRYPTED).as_deref(), Ok("t"), "{client}\n{}", weir.log());
    }
}

#[test]
fn long_cancel_keys_of_protocol_3_2() {
    let Some(options) = options_18() else { return };
    let server = options.start();
    let weir = TestWeir::start(&server);
    let connect = || {
        let socket = TcpStream::connect(weir.address()).expect("it accepts");
        socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        socket
    };
    let message = |socket: &mut TcpStream| {
        let mut header = [0; 5];
        socket.read_exact(&mut header).expect("a message");
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        let mut body = vec![0; length - 4];
        socket.read_exact(&mut body).expect("its body");
        (header[0], body)
    };
    let mut session = connect();
    session.write_all(b"\0\0\0\x29\0\x03\0\x02user\0postgres\0database\0postgres\0\0").expect("it reads");
    let mut key = Vec::new();
    loop {
        match message(&mut session) {
            (b'K', body) => key = body,
            (b'Z', _) => break,
            (b'E', body) => panic!("{}", String::from_utf8_lossy(&body)),
            _ => {}
        }
    }
    assert_eq!(key.len(), 4 + 32, "process id and a long secret");
    session.write_all(b"Q\0\0\0\x18SELECT pg_sleep(60)\0").expect("it reads");
    std::thread::sleep(Duration::from_millis(500));
    let mut cancel = connect();
    let request = [&(8 + key.len() as u32).to_be_bytes()[..], &[0x04, 0xd2, 0x16, 0x2e], &key].concat();
    cancel.write_all(&request).expect("it reads");
    let started = Instant::now();
    while message(&mut session).0 != b'E' {}
    assert!(started.elapsed() < Duration::from_secs(30), "cancelled, not slept through");
}
