//! Reads from the host's own apt sources where Debian packages come from, so
//! that machines use the same mirror as the host.

use std::path::Path;

use crate::backing::BackingError;

/// The release that machines run.
pub const RELEASE: &str = "trixie";

/// Where machines get packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// The lines of an apt source list, for [`RELEASE`].
    pub lines: Vec<String>,
    /// Proxy that the host's apt goes through, if any.
    pub proxy: Option<String>,
}

/// One archive as a source list names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Archive {
    uri: String,
    suite: String,
    trusted: bool,
}

impl Sources {
    /// Reads the host's sources, or takes `mirror` in their place.
    ///
    /// # Errors
    /// No Debian mirror is named anywhere.
    pub fn of_host(mirror: Option<&str>) -> Result<Self, BackingError> {
        let lines = match mirror {
            Some(mirror) => vec![line(mirror, RELEASE, false)],
            None => lines(&archives(Path::new("/etc/apt"))),
        };
        if lines.is_empty() {
            return Err(BackingError::Unavailable {
                backing: "real",
                reason: "the host's apt sources name no Debian mirror to make machines from; \
                         name one with --debian-mirror URL"
                    .to_owned(),
            });
        }
        Ok(Self { lines, proxy: proxy_of_host() })
    }

    /// The lines as a client of apt-cacher-ng must have them: it fetches over
    /// TLS what is asked of it under `HTTPS///`, since it cannot look into a
    /// TLS connection.
    pub fn lines_behind_cache(&self) -> Vec<String> {
        self.lines.iter().map(|line| line.replace(" https://", " http://HTTPS///")).collect()
    }
}

fn line(uri: &str, suite: &str, trusted: bool) -> String {
    let options = if trusted { "[trusted=yes] " } else { "" };
    format!("deb {options}{uri} {suite} main")
}

/// Source lines for [`RELEASE`] from what the host has for its own: the main
/// archive, its updates, and security.
fn lines(archives: &[Archive]) -> Vec<String> {
    let mut lines = Vec::new();
    for kind in ["", "-updates", "-security"] {
        let found = archives.iter().find(|archive| kind_of(&archive.suite) == Some(kind));
        if let Some(archive) = found {
            let suite = format!("{RELEASE}{kind}");
            lines.push(line(&archive.uri, &suite, archive.trusted));
        }
    }
    // Updates and security alone make no system.
    if lines.first().is_some_and(|line| line.ends_with(&format!(" {RELEASE} main"))) {
        return lines;
    }
    Vec::new()
}

/// Which part of Debian a suite is, if it is one of Debian's.
fn kind_of(suite: &str) -> Option<&'static str> {
    const SUITES: [&str; 11] = [
        "bullseye",
        "bookworm",
        "trixie",
        "forky",
        "sid",
        "oldstable",
        "stable",
        "testing",
        "unstable",
        "oldoldstable",
        "duke",
    ];
    let (base, kind) = match suite {
        suite if suite.ends_with("-updates") => (suite.strip_suffix("-updates")?, "-updates"),
        suite if suite.ends_with("-security") => (suite.strip_suffix("-security")?, "-security"),
        suite => (suite, ""),
    };
    SUITES.contains(&base).then_some(kind)
}

/// All archives of binary packages in a folder laid out as `/etc/apt`. Files
/// that cannot be read name none.
fn archives(folder: &Path) -> Vec<Archive> {
    let mut files = vec![folder.join("sources.list")];
    if let Ok(entries) = std::fs::read_dir(folder.join("sources.list.d")) {
        let mut more: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    let mut found = Vec::new();
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => found.extend(text.lines().filter_map(one_line)),
            Some("sources") => found.extend(text.split("\n\n").flat_map(stanza)),
            _ => {}
        }
    }
    found
}

/// Parses the one-line form: `deb [options] uri suite component...`.
fn one_line(line: &str) -> Option<Archive> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t']) {
        return None;
    }
    let rest = rest.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    words.any(|component| component == "main").then_some(())?;
    usable(uri).then(|| Archive {
        uri: uri.trim_end_matches('/').to_owned(),
        suite: suite.to_owned(),
        trusted: options.split_whitespace().any(|option| option == "trusted=yes"),
    })
}

/// Parses one stanza of the deb822 form.
fn stanza(text: &str) -> Vec<Archive> {
    let field = |name: &str| -> Vec<String> {
        let mut words = Vec::new();
        let mut inside = false;
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line.split_once(':') {
                Some((key, value)) if !line.starts_with([' ', '\t']) => {
                    inside = key.trim().eq_ignore_ascii_case(name);
                    if inside {
                        words.extend(value.split_whitespace().map(str::to_owned));
                    }
                }
                _ if inside => words.extend(line.split_whitespace().map(str::to_owned)),
                _ => {}
            }
        }
        words
    };
    let has = |name: &str, word: &str| field(name).iter().any(|value| value == word);
    if !has("Types", "deb") || has("Enabled", "no") || !has("Components", "main") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for uri in field("URIs").into_iter().filter(|uri| usable(uri)) {
        for suite in field("Suites") {
            found.push(Archive {
                uri: uri.trim_end_matches('/').to_owned(),
                suite,
                trusted: has("Trusted", "yes"),
            });
        }
    }
    found
}

/// Only what the package cache can fetch.
fn usable(uri: &str) -> bool {
    uri.starts_with("http://") || uri.starts_with("https://")
}

/// The proxy in apt's configuration, or in the environment as apt honours it.
fn proxy_of_host() -> Option<String> {
    let dump = std::process::Command::new("apt-config").arg("dump").output().ok()?;
    proxy_in(&String::from_utf8_lossy(&dump.stdout))
        .or_else(|| std::env::var("http_proxy").ok())
        .filter(|proxy| proxy.starts_with("http://"))
}

fn proxy_in(dump: &str) -> Option<String> {
    let value = dump.lines().find_map(|line| line.strip_prefix("Acquire::http::Proxy \""))?;
    value.strip_suffix("\";").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_give_the_same_lines() {
        let old: Vec<_> = "\
            # a comment\n\
            deb http://mirror.test/debian/ bookworm main contrib\n\
            deb-src http://mirror.test/debian bookworm main\n\
            deb [arch=amd64] http://mirror.test/debian bookworm-updates main # too\n\
            deb http://mirror.test/debian-security bookworm-security main\n\
            deb http://other.test/tools tools-bookworm main\n"
            .lines()
            .filter_map(one_line)
            .collect();
        let new: Vec<_> = "\
            Types: deb deb-src\n# left out\nURIs: http://mirror.test/debian\n\
            Suites: bookworm\n bookworm-updates\nComponents: main\nSigned-By: /a/b.gpg\n\n\
            Types: deb\nURIs: http://mirror.test/debian-security\n\
            Suites: bookworm-security\nComponents: main\n\n\
            Types: deb\nURIs: http://mirror.test/debian\nSuites: sid\nComponents: main\nEnabled: no\n"
            .split("\n\n")
            .flat_map(stanza)
            .collect();
        assert_eq!(old[..3], new[..]);
        assert_eq!(
            lines(&old),
            [
                "deb http://mirror.test/debian trixie main",
                "deb http://mirror.test/debian trixie-updates main",
                "deb http://mirror.test/debian-security trixie-security main",
            ]
        );
    }

    #[test]
    fn another_distribution_names_no_mirror() {
        let foreign: Vec<_> =
            ["deb http://mirror.test/ubuntu noble main", "deb cdrom:[x]/ bookworm main"]
                .iter()
                .filter_map(|line| one_line(line))
                .collect();
        assert!(lines(&foreign).is_empty());
        let security_only = one_line("deb http://mirror.test/s bookworm-security main");
        assert!(lines(&Vec::from_iter(security_only)).is_empty());
    }

    #[test]
    fn a_trusted_mirror_over_tls_stays_both() {
        let archive = one_line("deb [trusted=yes] https://mirror.test/debian stable main");
        let sources = Sources { lines: lines(&Vec::from_iter(archive)), proxy: None };
        assert_eq!(
            sources.lines_behind_cache(),
            ["deb [trusted=yes] http://HTTPS///mirror.test/debian trixie main"]
        );
    }

    #[test]
    fn the_proxy_of_apt_is_found() {
        let dump = "Acquire \"\";\nAcquire::http::Proxy \"http://10.0.0.1:3142\";\n";
        assert_eq!(proxy_in(dump).as_deref(), Some("http://10.0.0.1:3142"));
        assert_eq!(proxy_in("Acquire::http::Proxy::other.test \"DIRECT\";"), None);
    }
}
