//! What the program can be told.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser};
use hetzner_sim::backing::{Kind, Layer, Options};
use hetzner_sim::clock::Clock;
use hetzner_sim::settings::{Settings, SettingsError};
use hetzner_sim::{SimulatorConfig, TokenSpec};

/// A stand-in for the Hetzner Cloud API.
#[derive(Debug, Parser)]
#[command(name = "hetzner-sim", version, about)]
pub enum CommandLine {
    /// Run until interrupted. Prints one line of JSON when ready.
    Serve(Serve),
    /// Remove what a run that died has left behind.
    Cleanup(CleanUp),
}

/// `hetzner-sim serve`
#[derive(Debug, Args)]
pub struct Serve {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A token: NAME=SECRET:rw:PROJECT or NAME=SECRET:ro:PROJECT. Repeatable.
    #[arg(long = "token", value_name = "TOKEN")]
    tokens: Vec<TokenSpec>,
    /// Ids, passwords and automatic deeds follow from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Changes to the settings, as a JSON object.
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
    /// Let time stand still until `/_sim/clock/advance` moves it.
    #[arg(long)]
    standing_clock: bool,
    /// What stands behind the servers.
    #[arg(long, value_enum, default_value_t)]
    backing: Kind,
    /// Folder for what lives as long as the run.
    #[arg(long, default_value = ".nodeyard/sim")]
    state_dir: PathBuf,
    /// Folder for what later runs use again; beside the state if absent.
    #[arg(long)]
    cache_dir: Option<PathBuf>,
    /// Name of the stack; stacks do not meet.
    #[arg(long, default_value = "lab")]
    stack: String,
    /// A port of this host's 127.0.0.1 that the lab sees on its own.
    /// Repeatable.
    #[arg(long = "forward", value_name = "PORT")]
    forwards: Vec<u16>,
    /// Debian mirror, if this host's apt sources name none.
    #[arg(long, value_name = "URL")]
    debian_mirror: Option<String>,
    /// PREFIX=FOLDER: machines whose names begin so boot with the folder laid over their image.
    /// Repeatable.
    #[arg(long = "layer", value_name = "LAYER")]
    layers: Vec<Layer>,
}

/// `hetzner-sim cleanup`
#[derive(Debug, Args)]
pub struct CleanUp {
    /// The folder that the run was given.
    #[arg(long, default_value = ".nodeyard/sim")]
    pub state_dir: PathBuf,
    /// The stack that the run was given.
    #[arg(long, default_value = "lab")]
    pub stack: String,
}

impl Serve {
    /// The simulator asked for, without its backing.
    ///
    /// # Errors
    /// Settings that make no sense.
    pub fn config(&self) -> Result<SimulatorConfig, SettingsError> {
        let mut settings = Settings::default();
        if let Some(text) = &self.settings {
            settings = settings.changed(&serde_json::from_str(text)?)?;
        }
        let clock = if self.standing_clock { Clock::standing() } else { Clock::real() };
        Ok(SimulatorConfig {
            listen: self.listen,
            tokens: self.tokens.clone(),
            seed: self.seed,
            settings,
            clock,
            ..SimulatorConfig::default()
        })
    }

    /// The backing asked for.
    pub fn backing_options(&self) -> Options {
        Options {
            kind: self.backing,
            stack: self.stack.clone(),
            state_dir: self.state_dir.clone(),
            cache_dir: self.cache_dir.clone(),
            forwards: self.forwards.clone(),
            debian_mirror: self.debian_mirror.clone(),
            layers: self.layers.clone(),
        }
    }
}
