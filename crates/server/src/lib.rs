//! HTTP for people and apps: the pages, and (as they land) the endpoints behind them.

pub mod pages;
