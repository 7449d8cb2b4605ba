//! The program `consentry`: reads the command line and the environment, and hands over.

use std::process::ExitCode;

use clap::Parser as _;
use consentry::cli::{
    Cli, Command, admin_token, app, audit, check, import, init, keys, mail, report, requests, user,
};
use consentry::config::Environment;
use consentry::{demo, serve};

/// Requests of one connection are handled on several threads, so what one allocates another frees:
/// glibc's allocator takes a lock for that (docs/dev/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_pages_small();
    let environment = Environment::of_process();
    let done = match Cli::parse().command {
        Command::Demo(arguments) => demo::run(&arguments, &environment),
        Command::Serve(arguments) => serve::run(&arguments, &environment),
        Command::Init(arguments) => init::run(&arguments, &environment),
        Command::Check(arguments) => check::run(&arguments, &environment),
        Command::App(arguments) => app::run(&arguments, &environment),
        Command::User(arguments) => user::run(&arguments, &environment),
        Command::Import(arguments) => import::run(&arguments, &environment),
        Command::Requests(arguments) => requests::run(&arguments, &environment),
        Command::Mail(arguments) => mail::run(&arguments, &environment),
        Command::AdminToken(arguments) => admin_token::run(&arguments, &environment),
        Command::Keys(arguments) => keys::run(&arguments, &environment),
        Command::Audit(arguments) => audit::run(&arguments, &environment),
    };
    report(done, &environment)
}

/// The kernel fills whole huge pages for heaps of which little is used: a third of the idle memory,
/// and no difference to the time that requests take (docs/dev/performance.md). A kernel without
/// huge pages refuses, and has nothing to switch off.
fn keep_pages_small() {
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
