//! `weir-demo`: the scenarios as a user would run them. Weir is spoken to over the Postgres wire, its counters over HTTP.

mod check;
mod dashboard;
mod generator;
mod stack;
mod target;
mod view;

use clap::{Args, Parser, Subcommand};
use generator::{Pace, Writer};
use stack::Stack;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use target::Target;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use weir_tests::scenario::{self, Scenario};

#[derive(Parser)]
#[command(name = "weir-demo", about = "Run a scenario on a private Postgres behind Weir")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Live terminal view until Ctrl-C; leaves nothing behind.
    Run(Run),
    /// Writes a scenario's events through a Weir that runs already, where its tables are made first if there are none.
    Generate(Generate),
    /// Serves a scenario's dashboard, read through a Weir that runs already.
    Dashboard(Served),
    /// Bounded run without a terminal: compares every stream table with its view, exits 1 on any difference.
    Check(Check),
}

#[derive(Args)]
struct Run {
    #[arg(long, default_value = "ecommerce", value_parser = scenario_named)]
    scenario: Scenario,
    #[command(flatten)]
    pace: PaceArguments,
    /// Seconds between two frames.
    #[arg(long, default_value_t = 0.5)]
    frame: f64,
    /// Where the dashboard listens; port 0: any free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    dashboard: SocketAddr,
    /// Stop by itself after this many seconds.
    #[arg(long)]
    seconds: Option<f64>,
}

#[derive(Args)]
struct Generate {
    #[arg(long, default_value = "ecommerce", value_parser = scenario_named)]
    scenario: Scenario,
    /// Weir: postgres://user:password@host:port/database; the user must be allowed to create tables.
    #[arg(long)]
    url: String,
    #[command(flatten)]
    pace: PaceArguments,
}

#[derive(Args)]
struct Served {
    #[arg(long, default_value = "ecommerce", value_parser = scenario_named)]
    scenario: Scenario,
    /// Weir: postgres://user:password@host:port/database.
    #[arg(long)]
    url: String,
    /// Weir's HTTP address, for its counters: host:port.
    #[arg(long)]
    counters: String,
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

#[derive(Args)]
struct Check {
    /// One scenario; all of them without it.
    #[arg(long, value_parser = scenario_named)]
    scenario: Option<Scenario>,
    /// Seconds of writing and reading per scenario.
    #[arg(long, default_value_t = 15.0)]
    seconds: f64,
    /// Connections that write at once.
    #[arg(long, default_value_t = 3)]
    writers: usize,
    /// How many times faster than the seed's generator each of them writes.
    #[arg(long, default_value_t = 60.0)]
    rate: f64,
    /// Normal events between two bursts; more often than the seed's.
    #[arg(long, default_value_t = 12)]
    burst_every: u64,
    /// Normal events between two changes of reference data; more often than the seed's.
    #[arg(long, default_value_t = 5)]
    change_every: u64,
    /// Events in one transaction.
    #[arg(long, default_value_t = 1)]
    batch: u32,
    /// Finance: what the seed's quantities are multiplied by; positions of every kind, some beyond their capital.
    #[arg(long, default_value_t = 400)]
    quantity_scale: u32,
}

#[derive(Args)]
struct PaceArguments {
    /// How many times faster than the seed's generator; with `--writers` and `--batch`, up to tens of thousands of events a
    /// second.
    #[arg(long, default_value_t = 1.0)]
    rate: f64,
    /// Connections that write at once, each at that rate.
    #[arg(long, default_value_t = 1)]
    writers: usize,
    /// Events in one transaction.
    #[arg(long, default_value_t = 1)]
    batch: u32,
    /// Normal events between two bursts (flash sale, suspicious burst). The seed's: about every 45 seconds.
    #[arg(long)]
    burst_every: Option<u64>,
    /// Normal events between two changes of reference data (repricing, tier rotation). The seed's: 30.
    #[arg(long)]
    change_every: Option<u64>,
    /// Finance: trade with all 50 accounts and 30 instruments (the seed: the first 20 and 15).
    #[arg(long)]
    whole_book: bool,
    /// Finance: multiply the quantities traded; some hundreds take portfolios beyond their capital.
    #[arg(long, default_value_t = 1)]
    quantity_scale: u32,
}

impl PaceArguments {
    fn of(&self, scenario: Scenario) -> Pace {
        Pace::of(scenario, self.rate)
            .with_intervals(self.burst_every, self.change_every)
            .with_book(self.whole_book, self.quantity_scale)
            .with_batch(self.batch)
    }
}

fn scenario_named(name: &str) -> Result<Scenario, String> {
    let names = || scenario::ALL.map(|scenario| scenario.name).join(", ");
    Scenario::named(name).ok_or_else(|| format!("unknown scenario; there are {}", names()))
}

#[tokio::main]
async fn main() -> ExitCode {
    let stop = stop_on_signals();
    let done = match Arguments::parse().command {
        Command::Run(arguments) => run(arguments, stop).await,
        Command::Generate(arguments) => generate(arguments, stop).await,
        Command::Dashboard(arguments) => serve(arguments, stop).await,
        Command::Check(arguments) => check(arguments, stop).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Run, stop: watch::Receiver<bool>) -> Result<(), String> {
    let scenario = arguments.scenario;
    let mut stack = Stack::start(scenario);
    let pace = arguments.pace.of(scenario);
    let target = Target::private(stack.weir.address());
    let (address, dashboard) =
        dashboard::serve(scenario, target, stack.weir.http_address(), arguments.dashboard).await?;
    let writer = Writer::spawn_many(arguments.pace.writers, scenario, pace, &stack.weir.config(), &stop);
    let until = arguments.seconds.map(Duration::from_secs_f64);
    let shown =
        view::run(&stack, &writer, address, Duration::from_secs_f64(arguments.frame.max(0.05)), until, stop).await;
    writer.abort();
    dashboard.abort();
    println!("stopping Weir and Postgres");
    stack.stop();
    shown
}

async fn generate(arguments: Generate, mut stop: watch::Receiver<bool>) -> Result<(), String> {
    let scenario = arguments.scenario;
    let config: tokio_postgres::Config =
        arguments.url.parse().map_err(|error| format!("{}: {error}", arguments.url))?;
    let target = Target::parse(&arguments.url)?;
    tokio::task::spawn_blocking(move || target.install(scenario)).await.map_err(|error| error.to_string())??;
    println!("{}: writing", scenario.name);
    let writer = Writer::spawn_many(arguments.pace.writers, scenario, arguments.pace.of(scenario), &config, &stop);
    // The sender lives as long as the process.
    let _stopped = stop.wait_for(|&stop| stop).await;
    println!("{}: {} events written", scenario.name, writer.finish().await);
    Ok(())
}

async fn serve(arguments: Served, mut stop: watch::Receiver<bool>) -> Result<(), String> {
    let target = Target::parse(&arguments.url)?;
    let (address, dashboard) =
        dashboard::serve(arguments.scenario, target, arguments.counters, arguments.listen).await?;
    println!("{}: dashboard on http://{address}", arguments.scenario.name);
    let _stopped = stop.wait_for(|&stop| stop).await;
    dashboard.abort();
    Ok(())
}

async fn check(arguments: Check, stop: watch::Receiver<bool>) -> Result<(), String> {
    let scenarios = arguments.scenario.map_or(scenario::ALL.to_vec(), |scenario| vec![scenario]);
    let mut failed = Vec::new();
    for scenario in scenarios {
        let options = check::Options {
            duration: Duration::from_secs_f64(arguments.seconds),
            writers: arguments.writers,
            pace: Pace::of(scenario, arguments.rate)
                .with_intervals(Some(arguments.burst_every), Some(arguments.change_every))
                .with_book(true, arguments.quantity_scale)
                .with_batch(arguments.batch),
        };
        let mut stack = Stack::start(scenario);
        if let Err(reason) = check::run(&stack, &options, stop.clone()).await {
            println!("{}: FAILED\n{reason}", scenario.name);
            println!("--- end of weir's log ---\n{}", tail(&stack.weir.log()));
            failed.push(format!("{}: {reason}", scenario.name));
        }
        stack.stop();
        if *stop.borrow() {
            return Err("interrupted".to_owned());
        }
    }
    // Said once more at the end, where it is looked for.
    if failed.is_empty() { Ok(()) } else { Err(format!("demo-check failed\n{}", failed.join("\n"))) }
}

/// The last lines of a log.
fn tail(log: &str) -> String {
    const LINES: usize = 40;
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// Becomes true at SIGINT, SIGTERM or SIGHUP.
fn stop_on_signals() -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let mut signals = signal(kind).expect("these signals can be handled");
        let sender = sender.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                sender.send_replace(true);
            }
        });
    }
    receiver
}
