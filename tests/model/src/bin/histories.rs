//! Writes the histories of a release, each once.

use clap::{Parser, Subcommand};
use nodeyard_model::histories::folder;

#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes those of today's records that the release has not yet.
    Write { release: String },
}

fn main() -> std::io::Result<()> {
    let Command::Write { release } = Options::parse().command;
    let written = folder::write(&folder::root(), &release)?;
    println!("{written} histories of {release}");
    Ok(())
}
