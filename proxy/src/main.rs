//! The `weir` command.

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use weir_proxy::config::{Config, Options};
use weir_proxy::{catalog, control, server};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A Postgres proxy that answers reads of stream tables from memory.
#[derive(Debug, Parser)]
#[command(name = "weir", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve clients.
    Serve(Options),
    /// Print what the upstream or Weir's role lacks, as the SQL that mends it.
    Check(Options),
    /// Undo what watching did to the application's tables; stream tables remain as ordinary views.
    Unwatch {
        #[command(flatten)]
        options: Options,
        /// Every table: there is no undoing by halves, so it must be said.
        #[arg(long, required = true)]
        all: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("WEIR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let result = match arguments.command {
        Command::Serve(options) => serve(&options),
        Command::Check(options) => run(check(&options)),
        Command::Unwatch { options, all: _ } => run(unwatch(&options)),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("weir: {error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

fn run(command: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(command)
}

fn serve(options: &Options) -> Outcome {
    let config = Config::load(options)?;
    run(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let stop = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        };
        server::run(config, stop).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Fails when something is missing without which nothing is maintained.
async fn check(options: &Options) -> Outcome {
    let config = Config::load(options)?;
    let client = control::connect(&config.upstream, "check").await?;
    let findings = catalog::check::check(&client, config.capture).await?;
    print!("{}", catalog::check::script(&findings));
    Ok(if findings.iter().any(|finding| finding.fatal) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn unwatch(options: &Options) -> Outcome {
    let client = control::connect(&Config::load(options)?.upstream, "unwatch").await?;
    let unwatched = catalog::watch::unwatch_all(&client).await?;
    unwatched.iter().for_each(|table| println!("{}", table.table));
    println!("{} tables are watched no more", unwatched.len());
    Ok(ExitCode::SUCCESS)
}
