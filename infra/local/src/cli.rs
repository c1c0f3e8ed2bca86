//! The words a person types.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Nodeyard's local stack, its demo and its tests.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub task: Task,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Bring the stack up, print its URL and a token, and keep it until Ctrl-C.
    Up(UpOptions),
    /// End a stack, and clean up what a dead run left.
    Down(DownOptions),
    /// From nothing to a node that serves its page, and back to nothing.
    Demo(DemoOptions),
    /// Everything that must pass.
    Test(TestOptions),
    /// Acquisitions while workers and container tasks are killed and answers get lost.
    Chaos(ChaosOptions),
    /// The same lost answers against the provider's own Python client and against us.
    Peer(PeerOptions),
    /// A run that says far more than anybody reads.
    Sizes(SizesOptions),
    /// A token revoked while jobs run, another connected, and a managed key replaced on all nodes.
    Rotation(RotationOptions),
    /// Plant secrets, let everything happen to them, and search every place for them.
    Canary(CanaryOptions),
    /// Each profile on real machines, on first boots as they are, and killed after each role.
    Profiles(ProfilesOptions),
    /// A WordPress site on a fresh node: made, cloned, backed up, damaged, restored.
    Smokes(ProofOptions),
    /// Break a real node in every way a readiness code tells of, and repair it.
    Readiness(ProofOptions),
    /// The acceptance criteria on a fresh node, each with its evidence.
    Acceptance(ProofOptions),
    /// Everything that a deployment is made from: zips, container image, checksums.
    Package(PackageOptions),
    /// Put the packaged release on AWS, or take a deployment down again.
    Deploy(DeployOptions),
    /// Kill at every boundary of every hop, in a simulated world.
    CrashMatrix(DrillOptions),
    /// Whole simulated worlds, with everything that goes wrong: `--runs N --seed S`.
    Sim(DrillOptions),
    /// Planted defects, each of which must be caught.
    Defects(DrillOptions),
    /// Two workers, a queue that loses and doubles, and a crash: every order of events.
    Model(DrillOptions),
    /// Inputs nobody meant to send, for every parser: `--secs N --target T --seed S`.
    Fuzz(DrillOptions),
    /// Write the API's document from the code, and look for breaking changes.
    Openapi(OpenapiOptions),
    /// Hold the API against its document: made-up requests, and a generated client.
    Schemathesis(SchemathesisOptions),
    /// Provider calls per node; simulated, or on the local stack.
    Calls(CallsOptions),
    /// Check a job's evidence: chain, digest, signature.
    VerifyEvidence(VerifyEvidenceOptions),
    /// Print the variables of a stack that is up, and of its functions, for a shell to take.
    Environment(DownOptions),
    /// Hand a queue's messages to a function run by `cargo lambda watch`.
    Feed(FeedOptions),
    /// Answer as ECS and run container tasks on this machine.
    #[command(hide = true)]
    Ecs(EcsOptions),
}

/// Which stack, and what stands behind its servers.
#[derive(Debug, Clone, Args)]
pub struct StackOptions {
    /// Name of the stack; several can be up at once.
    #[arg(long, default_value = "lab", value_parser = stack_name)]
    pub stack: String,
    /// What a created server is.
    #[arg(long, value_enum, default_value_t = BackingKind::Auto)]
    pub backing: BackingKind,
    /// Run container tasks with podman from this image, not as processes.
    #[arg(long, value_name = "IMAGE")]
    pub task_image: Option<String>,
    /// Run the functions from the zips of `cargo xtask package`, not from a development build.
    #[arg(long)]
    pub packaged: bool,
    /// What lies over the image of some machines: how their names begin, and a folder.
    #[arg(skip)]
    pub layers: Vec<(String, PathBuf)>,
    /// What a drill changes about the programs; a person cannot choose it.
    #[arg(skip)]
    pub probe: Probe,
}

impl StackOptions {
    /// As a person gets them who chooses nothing else.
    pub fn of(stack: String, backing: BackingKind) -> Self {
        Self {
            stack,
            backing,
            task_image: None,
            packaged: false,
            layers: Vec::new(),
            probe: Probe::default(),
        }
    }
}

/// What a drill changes about the functions and the container task.
#[derive(Debug, Clone, Default)]
pub struct Probe {
    /// Their tracing filter, if not the usual one.
    pub log_level: Option<String>,
    /// The defect that is switched on in them; only debug builds have any.
    pub planted: Option<String>,
}

/// What a created server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BackingKind {
    /// The most real of the others that can be used here.
    Auto,
    /// A systemd-nspawn machine; Linux, root.
    Nspawn,
    /// A podman machine; Linux.
    Podman,
    /// Nothing: runs are simulated, and said to be.
    None,
}

impl BackingKind {
    /// The word the simulator knows it by.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Nspawn => "nspawn",
            Self::Podman => "podman",
            Self::None => "none",
        }
    }
}

/// `cargo xtask up`.
#[derive(Debug, Args)]
pub struct UpOptions {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackOptions,
    /// Leave it running and come back; `cargo xtask down` ends it.
    #[arg(long)]
    pub detach: bool,
}

/// `cargo xtask down`, `cargo xtask environment`.
#[derive(Debug, Args)]
pub struct DownOptions {
    /// Name of the stack.
    #[arg(long, default_value = "lab", value_parser = stack_name)]
    pub stack: String,
}

/// `cargo xtask demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoOptions {
    /// Which stack.
    #[command(flatten)]
    pub stack: StackOptions,
    /// How many nodes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub nodes: u32,
    /// What becomes of them: `base` or `web`.
    #[arg(long, default_value = "web")]
    pub profile: String,
    /// Leave the stack and the nodes up at the end.
    #[arg(long)]
    pub keep: bool,
}

/// `cargo xtask test`.
#[derive(Debug, Args)]
pub struct TestOptions {
    /// Run only the steps whose names hold this text.
    #[arg(long)]
    pub only: Option<String>,
}

/// `cargo xtask chaos`.
#[derive(Debug, Clone, Args)]
pub struct ChaosOptions {
    /// Name of the stack that it brings up.
    #[arg(long, default_value = "chaos", value_parser = stack_name)]
    pub stack: String,
    /// What a created server is.
    #[arg(long, value_enum, default_value_t = BackingKind::None)]
    pub backing: BackingKind,
    /// How many nodes are asked for.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(2..=50))]
    pub acquisitions: u32,
    /// What is done, and in which order, follows from it; made if absent, and printed.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Only what a minute allows: nothing that has to be waited out, and more sweeps.
    #[arg(long)]
    pub short: bool,
}

/// `cargo xtask peer`.
#[derive(Debug, Clone, Args)]
pub struct PeerOptions {
    /// Name of the stack that it brings up.
    #[arg(long, default_value = "peer", value_parser = stack_name)]
    pub stack: String,
    /// How often each fault is tried on each side.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub runs: u32,
}

/// `cargo xtask canary`.
#[derive(Debug, Clone, Args)]
pub struct CanaryOptions {
    /// Name of the stack that it brings up.
    #[arg(long, default_value = "canary", value_parser = stack_name)]
    pub stack: String,
    /// What a created server is.
    #[arg(long, value_enum, default_value_t = BackingKind::Auto)]
    pub backing: BackingKind,
    /// Tracing filter of the functions and the task.
    #[arg(long, default_value = "debug")]
    pub log: String,
    /// With a planted leak in the programs, all of whose forms must be found; ends red.
    #[arg(long)]
    pub leak: bool,
}

/// `cargo xtask rotation`.
#[derive(Debug, Clone, Args)]
pub struct RotationOptions {
    /// Name of the stack that it brings up.
    #[arg(long, default_value = "rotation", value_parser = stack_name)]
    pub stack: String,
    /// What a created server is.
    #[arg(long, value_enum, default_value_t = BackingKind::None)]
    pub backing: BackingKind,
    /// How many nodes are asked for.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=50))]
    pub jobs: u32,
}

/// `cargo xtask sizes`.
#[derive(Debug, Clone, Args)]
pub struct SizesOptions {
    /// Name of the stack that it brings up.
    #[arg(long, default_value = "sizes", value_parser = stack_name)]
    pub stack: String,
    /// Tasks that changed something.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1_000..=200_000))]
    pub events: u32,
    /// What Ansible prints.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub output_mb: u32,
}

/// `cargo xtask profiles`.
#[derive(Debug, Clone, Args)]
pub struct ProfilesOptions {
    /// Name of the stack that it brings up.
    #[arg(long, default_value = "profiles", value_parser = stack_name)]
    pub stack: String,
    /// Only what a few minutes allow: odd first boots with `base` alone, and nothing is killed.
    #[arg(long)]
    pub short: bool,
}

/// `cargo xtask smokes`, `readiness` and `acceptance`.
#[derive(Debug, Clone, Args)]
pub struct ProofOptions {
    /// Name of the stack that it brings up.
    #[arg(long, default_value = "proof", value_parser = stack_name)]
    pub stack: String,
    /// Only what a few minutes allow: one node.
    #[arg(long)]
    pub short: bool,
}

/// What goes to the drills' own program, which knows its options.
#[derive(Debug, Clone, Args)]
pub struct DrillOptions {
    /// Options of the drill.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}

/// `cargo xtask openapi`.
#[derive(Debug, Clone, Args)]
pub struct OpenapiOptions {
    /// Write nothing: fail if the checked-in document is not what the code says.
    #[arg(long)]
    pub check: bool,
    /// Only compare the checked-in document: with a file's, or with that of a git revision.
    #[arg(long, value_name = "FILE|REVISION", conflicts_with = "check")]
    pub against: Option<String>,
}

/// `cargo xtask schemathesis`.
#[derive(Debug, Clone, Args)]
pub struct SchemathesisOptions {
    /// Name of the stack that it brings up.
    #[arg(long, default_value = "schemathesis", value_parser = stack_name)]
    pub stack: String,
    /// How long requests are made up.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(10..=86_400))]
    pub secs: u32,
    /// What is made up follows from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// `cargo xtask verify-evidence`.
#[derive(Debug, Clone, Args)]
pub struct VerifyEvidenceOptions {
    /// The bundle, as `GET /jobs/{id}/evidence` answers it; `-` for standard input.
    pub file: PathBuf,
    /// The deployment's public key, from elsewhere than the bundle: PEM, or DER as base64.
    #[arg(long)]
    pub public_key: Option<PathBuf>,
}

/// `cargo xtask calls`.
#[derive(Debug, Clone, Args)]
pub struct CallsOptions {
    /// On the local stack instead of a simulated world; takes minutes.
    #[arg(long)]
    pub stack_run: bool,
    /// Nodes asked for at once, one number after the other; for `--stack-run`.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 20, 50, 100], requires = "stack_run",
          value_parser = clap::value_parser!(u32).range(1..=100))]
    pub nodes: Vec<u32>,
    /// Name of the stack that it brings up.
    #[arg(long, default_value = "calls", value_parser = stack_name)]
    pub stack: String,
}

/// `cargo xtask feed`.
#[derive(Debug, Args)]
pub struct FeedOptions {
    /// The queue.
    #[arg(long)]
    pub queue_url: String,
    /// Where `cargo lambda watch` takes invocations, without a path.
    #[arg(long, default_value = "http://127.0.0.1:9000")]
    pub watch_url: String,
    /// The function's name.
    #[arg(long, default_value = "nodeyard-worker")]
    pub function: String,
}

/// `cargo xtask ecs`.
#[derive(Debug, Args)]
pub struct EcsOptions {
    /// Port on 127.0.0.1.
    #[arg(long)]
    pub port: u16,
    /// Endpoint of the AWS emulator, which knows the task definitions.
    #[arg(long)]
    pub aws_url: String,
    /// The only cluster.
    #[arg(long)]
    pub cluster: String,
    /// Where logs of tasks and what they have running are kept.
    #[arg(long)]
    pub folder: PathBuf,
    /// The entry point of the container task.
    #[arg(long)]
    pub program: PathBuf,
    /// The playbooks it runs.
    #[arg(long)]
    pub playbooks: PathBuf,
    /// Search path of the tasks.
    #[arg(long)]
    pub path: String,
    /// Network namespace of the tasks.
    #[arg(long)]
    pub netns: Option<PathBuf>,
    /// Run tasks with podman from this image.
    #[arg(long)]
    pub image: Option<String>,
}

/// Processors that the functions can be built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Architecture {
    /// Graviton.
    #[value(name = "arm64")]
    Arm64,
    /// Intel and AMD.
    #[value(name = "x86_64")]
    X86_64,
}

impl Architecture {
    /// The word that the template and Lambda know it by.
    pub fn word(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86_64 => "x86_64",
        }
    }

    /// This machine's.
    pub const OWN: Self = if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::X86_64 };
}

/// `cargo xtask package`.
#[derive(Debug, Clone, Args)]
pub struct PackageOptions {
    /// Processors of the functions.
    #[arg(long, value_enum, value_delimiter = ',',
          default_values_t = [Architecture::Arm64, Architecture::X86_64])]
    pub arch: Vec<Architecture>,
    /// Leave the container image out, which needs podman and Debian's archive.
    #[arg(long)]
    pub no_image: bool,
}

/// `cargo xtask deploy`.
#[derive(Debug, Clone, Args)]
pub struct DeployOptions {
    /// Name of the deployment: part of all names, and a label of each server.
    #[arg(long, default_value = "main")]
    pub deployment: String,
    /// Processor of the functions.
    #[arg(long, value_enum, default_value_t = Architecture::Arm64)]
    pub arch: Architecture,
    /// Region; else the AWS settings say it.
    #[arg(long)]
    pub region: Option<String>,
    /// An emulator in place of AWS. Nothing is pushed to it: its image has to be there.
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// An image in place of the packaged one; needed where there is no podman.
    #[arg(long, value_name = "IMAGE")]
    pub task_image: Option<String>,
    /// A parameter of the template; may be repeated. The others stay as they are.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Take the deployment down. State and keys are kept, and named.
    #[arg(long)]
    pub remove: bool,
    /// Make the deployment's table what another table is, such as one restored to a moment before.
    #[arg(long, value_name = "TABLE", conflicts_with = "remove")]
    pub restore_from: Option<String>,
    /// With `--remove`: state, keys and secrets as well. There is no way back.
    #[arg(long, requires = "remove")]
    pub with_data: bool,
    /// With `--remove`: although nodes are left, whose servers go on costing money.
    #[arg(long, requires = "remove")]
    pub leave_nodes: bool,
}

/// Lower-case letters, digits and hyphens, at most 32: it becomes part of the
/// names of a folder and a network namespace.
fn stack_name(text: &str) -> Result<String, String> {
    let fits = (1..=32).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !["cache", "release", "sim", "tools"].contains(&text)
        && !text.starts_with("venv");
    if fits { Ok(text.to_owned()) } else { Err("1 to 32 of a-z, 0-9 and -".to_owned()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Cli, stack_name};
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_words_fit_together() {
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["xtask", "demo", "--nodes", "0"]).is_err());
        assert!(Cli::try_parse_from(["xtask", "demo", "--nodes", "4", "--keep"]).is_ok());
        assert!(Cli::try_parse_from(["xtask", "deploy", "--with-data"]).is_err());
        let both = ["xtask", "deploy", "--remove", "--restore-from", "table"];
        assert!(Cli::try_parse_from(both).is_err());
    }

    #[test]
    fn a_stack_name_cannot_leave_its_folder() {
        assert_eq!(stack_name("lab-2").unwrap(), "lab-2");
        for name in ["", "..", "a/b", "A", "venv", "venv-sam", "release", &"x".repeat(33)] {
            assert!(stack_name(name).is_err(), "{name}");
        }
    }
}
