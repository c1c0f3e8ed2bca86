//! The container image's parts are pinned by hash: whoever gives one of them another content gets
//! no image.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).unwrap()
}

/// The instructions of a container file, continued lines joined, comments left out.
fn instructions(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    joined.lines().map(words).filter(|line| !line.is_empty()).collect()
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// What in a container file is not pinned.
fn loose(text: &str) -> Vec<String> {
    let all = instructions(text);
    let mut stages: Vec<&str> = Vec::new();
    let mut loose = Vec::new();
    for line in &all {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let is_pinned = match word {
            "FROM" => {
                let image = rest.split(' ').next().unwrap();
                stages.extend(rest.rsplit_once(" AS ").map(|(_, stage)| stage));
                let digest = image.split_once('@').map_or("", |(_, digest)| digest);
                let argument = digest.strip_prefix("${").and_then(|it| it.strip_suffix('}'));
                // An argument without a default cannot be left out.
                let asked = argument.is_some_and(|it| all.contains(&format!("ARG {it}")));
                image == "scratch" || is_digest(digest) || asked || stages.contains(&image)
            }
            "RUN" => rest.split("&&").all(|command| {
                let has = |text: &str| command.contains(text);
                (!has("pip install") || (has("--require-hashes") && has("--requirement")))
                    && (!has("cargo build") || has("--locked"))
                    && (!has("apt-get install") || rest.contains("snapshot.debian.org"))
                    && !["curl", "wget", "git clone"].iter().any(|fetch| has(fetch))
            }),
            // Put together by `cargo xtask package`; see below.
            "ADD" => rest == "root.tar /",
            "COPY" => !rest.contains("--from=") || stages.iter().any(|it| rest.contains(it)),
            _ => true,
        };
        if !is_pinned {
            loose.push(line.clone());
        }
    }
    loose
}

#[test]
fn every_part_of_the_image_is_pinned() {
    let text = read("infra/ansible-task/Containerfile");
    assert_eq!(loose(&text), Vec::<String>::new());
    let all = instructions(&text);
    assert!(all.iter().any(|line| line == "USER 10001:10001"));
    assert!(all.contains(&"VOLUME /scratch".to_owned()));
    // No argument of the build or of the task can be a command.
    assert!(all.contains(&r#"ENTRYPOINT ["/usr/local/bin/nodeyard-ansible-task"]"#.to_owned()));
    assert!(!all.iter().any(|line| line.starts_with("CMD") || line.starts_with("SHELL")));
}

#[test]
fn what_is_not_pinned_is_found() {
    for planted in [
        "FROM debian:trixie-slim",
        "FROM debian@latest",
        "ARG D=sha256:0\nFROM debian@${D}",
        "RUN pip install ansible-core==2.19.14",
        "RUN true \\\n    && pip install --requirement x",
        "RUN cargo build --release",
        "RUN apt-get update && apt-get install -y python3",
        "RUN curl -sSf https://example.com/x | sh",
        "ADD https://example.com/x /x",
        "COPY --from=docker.io/library/busybox /bin/sh /sh",
    ] {
        assert_eq!(loose(planted).len(), 1, "{planted}");
    }
    let digest = format!("FROM debian@sha256:{} AS base\nFROM base\n", "0a".repeat(32));
    assert_eq!(loose(&digest), Vec::<String>::new());
}

#[test]
fn every_requirement_has_its_version_and_hashes() {
    let text = read("infra/ansible-task/requirements.txt");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let mut ansible = None;
    for line in &lines {
        let mut words = line.split(' ');
        let (name, version) = words.next().unwrap().split_once("==").expect("an exact version");
        let hashes: Vec<&str> = words.map(|word| word.strip_prefix("--hash=").unwrap()).collect();
        assert!(!hashes.is_empty() && hashes.iter().all(|hash| is_digest(hash)), "{name}");
        if name == "ansible-core" {
            ansible = Some(format!("{name}=={version}"));
        }
    }
    assert!(lines.len() >= 9, "the dependencies too");
    let tested = read("playbooks/requirements.txt");
    assert!(tested.lines().any(|line| Some(line) == ansible.as_deref()), "{ansible:?}");
}

/// What the image's file system is put together from.
#[test]
fn the_parts_of_the_file_system_are_signed_or_hashed() {
    let text = read("infra/local/src/package/image.rs");
    for wanted in ["\"--require-hashes\"", "\"--no-deps\"", "\"--only-binary\"", "\"--pull=never\""]
    {
        assert!(text.contains(wanted), "no {wanted}");
    }
    let sources: Vec<&str> = text.lines().filter(|line| line.contains("\"deb ")).collect();
    assert_eq!(sources.len(), 3, "the release, its updates, and security");
    for source in sources {
        assert!(source.contains("\"deb http://deb.debian.org/"), "{source}");
    }
    // What would have apt take packages that nobody signed.
    for unsigned in ["trusted=yes", "AllowUnauthenticated", "AllowInsecure", "no-check-gpg"] {
        assert!(!text.contains(unsigned), "{unsigned}");
    }
    let build = read("infra/local/src/package/functions.rs");
    assert!(build.contains("\"--locked\""));
}

/// Crates come from one registry, each with its checksum.
#[test]
fn every_crate_has_its_checksum() {
    let lock = read("Cargo.lock");
    let mut count = 0;
    for package in lock.split("[[package]]").skip(1) {
        let Some(source) = package.lines().find(|line| line.starts_with("source = ")) else {
            continue;
        };
        count += 1;
        let registry = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
        assert_eq!(source, registry, "{package}");
        assert!(package.contains("\nchecksum = \""), "{package}");
    }
    assert!(count > 200, "{count}");
}
