//! Lists the profiles: each playbook below `playbooks/profiles` with the schema of its variables,
//! so that the program holds them. A playbook without a schema ends the build.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../playbooks/profiles");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut rows = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yml") {
            rows.push(row(&path)?);
        }
    }
    rows.sort();
    let out = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    fs::write(out.join("profiles.rs"), format!("&[\n{}]\n", rows.concat()))
}

/// Name and schema, as a line of Rust.
fn row(playbook: &Path) -> io::Result<String> {
    let schema = playbook.with_extension("vars.json");
    if !schema.is_file() {
        let missing = format!("{} has no {}", playbook.display(), schema.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, missing));
    }
    println!("cargo::rerun-if-changed={}", schema.display());
    let name = playbook.file_stem().unwrap_or_default();
    Ok(format!("    ({name:?}, include_str!({:?})),\n", schema.canonicalize()?))
}
