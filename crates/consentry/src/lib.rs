//! The parts of the program `consentry`: config, command line, wiring, jobs and shutdown. A library
//! only so that `main` reads as a table of contents and the tests can start parts of it.

pub mod cli;
pub mod config;
pub mod demo;
mod outbound;
pub mod serve;
mod system;
