//! Logins where both connections use TLS, for which Weir needs the role's secret: whom it gets secrets of, what becomes
//! of the others, and that nobody else can have them. And passwords in the clear.

use weir_tests::postgres::{Auth, Options, TestServer};
use weir_tests::tls::{Authority, psql};
use weir_tests::weir::TestWeir;

struct Stack {
    authority: Authority,
    server: TestServer,
}

impl Stack {
    fn start(options: Options) -> Stack {
        let authority = Authority::new();
        let issued = authority.issue_local("server");
        authority.issue_local("weir");
        let server = options.auth(Auth::ScramSha256).tls(&issued, &authority.root()).start();
        Stack { authority, server }
    }

    fn weir(&self, user: &str, options: &str, arguments: &[&str]) -> TestWeir {
        let url = format!("postgres://{user}:{user}@localhost:{}/postgres?{options}", self.server.port());
        let file = |name: &str| self.authority.folder().join(name).display().to_string();
        let tls = [file("weir.crt"), file("weir.key")];
        let arguments = [&["--tls-cert", &tls[0], "--tls-key", &tls[1]], arguments].concat();
        TestWeir::start_as(&self.server, &url, &arguments)
    }

    fn admin(&self, statement: &str) -> String {
        let folder = self.server.socket_folder().display();
        let connection = format!("host={folder} port={} user=postgres dbname=postgres", self.server.port());
        psql(&connection, statement).unwrap_or_else(|error| panic!("{statement}: {error}"))
    }
}

fn log_in(weir: &TestWeir, role: &str, password: &str, options: &str) -> Result<String, String> {
    let connection = format!(
        "host=localhost port={} user={role} password={password} dbname=postgres sslmode=require {options}",
        weir.port()
    );
    psql(&connection, "SELECT session_user")
}

#[test]
fn whom_weir_logs_in_for() {
    let stack = Stack::start(TestServer::options());
    stack.admin(
        "CREATE ROLE app LOGIN PASSWORD 'app'; CREATE ROLE late LOGIN PASSWORD 'late' VALID UNTIL '2001-01-01'; \
         CREATE ROLE barred NOLOGIN PASSWORD 'barred'; CREATE ROLE empty LOGIN; \
         SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 'old'",
    );
    let weir = stack.weir("postgres", "sslmode=require", &[]);
    assert_eq!(log_in(&weir, "app", "app", "").as_deref(), Ok("app"));
    // A client's settings do not reach the question for the secret.
    assert_eq!(log_in(&weir, "app", "app", "options='-c search_path=evil -c role=app'").as_deref(), Ok("app"));
    let mut errors = Vec::new();
    for (role, password) in [
        ("app", "wrong"),
        ("nobody", "nobody"),
        ("late", "late"),
        ("barred", "barred"),
        ("empty", "empty"),
        ("old", "old"),
        ("postgres", "postgres"),
    ] {
        let error = log_in(&weir, role, password, "").unwrap_err();
        errors.push(error.replace(role, "<role>"));
    }
    // Nothing tells them apart, and all say what may help.
    errors.dedup();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert!(errors[0].contains("FATAL:  password authentication failed for user \"<role>\""), "{errors:?}");
    assert!(errors[0].contains("channel_binding=disable"), "{errors:?}");
    let log = weir.log();
    for reason in ["md5 password", "password expired", "superuser", "may not log in", "no password", "no such role"] {
        assert!(log.contains(reason), "{reason}: {log}");
    }
    // Without binding the messages are relayed, and Postgres needs nobody's help.
    assert_eq!(log_in(&weir, "postgres", "postgres", "channel_binding=disable").as_deref(), Ok("postgres"));

    stack.admin("ALTER ROLE app PASSWORD 'changed'");
    assert_eq!(log_in(&weir, "app", "changed", "").as_deref(), Ok("app"));
    assert!(log_in(&weir, "app", "app", "").is_err());

    let superusers_too = stack.weir("postgres", "sslmode=require", &["--login-superusers"]);
    assert_eq!(log_in(&superusers_too, "postgres", "postgres", "").as_deref(), Ok("postgres"));
    assert!(log_in(&superusers_too, "postgres", "wrong", "").is_err());
    for function in ["login_secret", "superuser_login_secret"] {
        let statement = format!("SELECT pgtrickle.{function}('app')");
        let connection = format!("{}?sslmode=disable", stack.server.url()).replace("postgres:postgres", "app:changed");
        let error = psql(&connection, &statement).unwrap_err();
        assert!(error.contains(&format!("permission denied for function {function}")), "{error}");
    }
}

#[test]
fn without_the_secrets_the_error_names_the_remedy() {
    let stack = Stack::start(TestServer::options());
    stack.admin(
        "CREATE ROLE app LOGIN PASSWORD 'app'; CREATE ROLE weir LOGIN REPLICATION PASSWORD 'weir'; \
         GRANT CREATE, TEMP ON DATABASE postgres TO weir",
    );
    let weir = stack.weir("weir", "sslmode=require", &[]);
    let error = log_in(&weir, "app", "app", "").unwrap_err();
    assert!(error.contains("FATAL:  SCRAM authentication cannot be relayed between two TLS connections"), "{error}");
    assert!(error.contains("weir check"), "{error}");
    let bound = log_in(&weir, "app", "app", "channel_binding=require").unwrap_err();
    assert!(bound.contains("channel binding"), "{bound}");
    assert_eq!(log_in(&weir, "app", "app", "channel_binding=disable").as_deref(), Ok("app"));

    // What `weir check` prints mends it, when a superuser runs it.
    let url = format!("postgres://weir:weir@localhost:{}/postgres?sslmode=require", stack.server.port());
    let check = std::process::Command::new(weir_tests::weir::binary()).args(["check", "--upstream", &url]).output();
    let script = String::from_utf8(check.expect("weir check runs").stdout).expect("UTF-8");
    let (_, remedy) = script.split_once("-- as a superuser:\n").unwrap_or_else(|| panic!("no remedy: {script}"));
    let (remedy, _) = remedy.split_once(" TO weir;").unwrap_or_else(|| panic!("no grant: {script}"));
    stack.admin(&format!("{remedy} TO weir;"));
    assert_eq!(log_in(&weir, "app", "app", "").as_deref(), Ok("app"));
    assert_eq!(log_in(&weir, "app", "app", "channel_binding=require").as_deref(), Ok("app"));
}

#[test]
fn a_password_in_the_clear_is_protected_alike_on_both_connections() {
    let stack = Stack::start(TestServer::options().hba("local all all trust").hba("host all all all password"));
    stack.admin("CREATE ROLE app LOGIN PASSWORD 'app'");
    for (upstream, client, works) in [
        ("require", "sslmode=require", true),
        ("require", "sslmode=disable", false),
        ("disable", "sslmode=require", false),
        ("disable", "sslmode=disable", true),
    ] {
        let weir = stack.weir("postgres", &format!("sslmode={upstream}"), &[]);
        let answer = log_in(&weir, "app", "app", client);
        match works {
            true => assert_eq!(answer.as_deref(), Ok("app"), "upstream {upstream}, client {client}"),
            false => assert!(answer.unwrap_err().contains("asks for a password in clear text")),
        }
    }
}
