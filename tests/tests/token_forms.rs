//! Nothing looks at a provider token's form beyond its being a legal header value: the source is
//! read for statements that do. What tokens look like is the provider's to change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

/// Words by which a statement learns of a text's form.
const OF_FORM: &[&str] = &[
    ".len()",
    ".chars()",
    ".bytes()",
    ".as_bytes()",
    ".char_indices()",
    ".lines()",
    ".split",
    ".rsplit",
    "starts_with(",
    "ends_with(",
    "strip_prefix(",
    "strip_suffix(",
    ".find(",
    ".rfind(",
    ".contains(",
    ".matches(",
    "matches!(",
    ".parse",
    "is_ascii",
    "is_alphanumeric",
    "is_char_boundary",
    "is_empty()",
    "Regex",
    "regex",
    ".get(..",
    "[..",
    "decode(",
    ".trim",
    "to_lowercase",
    "to_uppercase",
    "eq_ignore_ascii_case",
];

/// What may be asked of it: that it is there, that it fits into a header and into our limit, and
/// whether an answer repeats it.
const ALLOWED: &[&str] = &[
    "(1..=MAX_TOKEN_CHARS).contains(&new.token.len())",
    "!token.is_empty()",
    "token.bytes().all(|byte| byte.is_ascii_graphic())",
    "text.contains(token)",
];

/// Where `token` is something else: our own API tokens, JWTs, cursors of AWS, names of runs.
const OTHER_TOKENS: &[&str] = &[
    "functions/api/src/auth.rs",
    "functions/api/src/issuer.rs",
    "shared/adapters/src/jwt.rs",
    "shared/adapters/src/jwt/tests.rs",
    "functions/api/src/tokens.rs",
    "shared/domain/src/token.rs",
    "shared/adapters/src/dynamo/token.rs",
    "shared/adapters/src/ecs.rs",
    "shared/adapters/src/ecs/found.rs",
];

/// Statements about a token that look at its form.
fn looks(code: &str) -> Vec<String> {
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    let lines: Vec<&str> = code.lines().filter(|line| !is_comment(line)).map(str::trim).collect();
    let text = lines.join(" ");
    // Chains that were broken over lines are one again.
    let text = text.replace(" .", ".");
    let statements = text.split([';', '{', '}']).map(str::trim);
    statements
        .filter(|statement| is_about_token(statement))
        .filter(|statement| {
            let rest =
                ALLOWED.iter().fold((*statement).to_owned(), |rest, it| rest.replace(it, ""));
            OF_FORM.iter().any(|word| rest.contains(word))
        })
        .map(str::to_owned)
        .collect()
}

/// Whether a statement has a token as a value: a word `token` with nothing of another word at it,
/// or what a secret exposes.
fn is_about_token(statement: &str) -> bool {
    // A secret's text may be anybody's; which one it is, the file tells.
    let exposes = statement.contains("expose_secret()") && !statement.contains("DeploymentKey");
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let named = statement.match_indices("token").any(|(at, word)| {
        let before = statement[..at].chars().next_back();
        let after = statement[at + word.len()..].chars().next();
        // Of a field path or a call it is the value; of a path or a text, a name.
        !before.is_some_and(|c| is_word(c) || "\"`/:".contains(c))
            && !after.is_some_and(|c| is_word(c) || "\"`/:(".contains(c))
    });
    named || exposes
}

fn sources(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (mut found, mut open) = (Vec::new(), vec![root.join(folder)]);
    while let Some(path) = open.pop() {
        if path.is_dir() {
            if !["tests", "target"].iter().any(|name| path.ends_with(name)) {
                open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let end = text.find("#[cfg(test)]\n").unwrap_or(text.len());
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            found.push((name, text[..end].to_owned()));
        }
    }
    found
}

#[test]
fn nothing_looks_at_a_provider_tokens_form() {
    let mut read = 0;
    for folder in ["functions", "shared/domain", "shared/engine", "shared/adapters"] {
        for (path, code) in sources(folder) {
            // A private key is read line by line, to be taken out of logs.
            let is_other = OTHER_TOKENS.contains(&path.as_str())
                || path.starts_with("functions/ansible-task/");
            if !is_other {
                read += 1;
                assert_eq!(looks(&code), Vec::<String>::new(), "{path}");
            }
        }
    }
    assert!(read > 100, "{read} files");
    for path in OTHER_TOKENS {
        assert!(sources(path.rsplit_once('/').unwrap().0).iter().any(|(name, _)| name == path));
    }
}

/// The scripts, playbooks and the template as well: no pattern is 64 characters long.
#[test]
fn no_pattern_of_a_token_is_written_anywhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for file in ["infra/template.yaml", "infra/local/deploy.py", "functions/api/openapi.json"] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        for pattern in ["{64}", "[A-Za-z0-9]{"] {
            assert!(!text.contains(pattern), "{file} has {pattern}");
        }
    }
    let contract = std::fs::read_to_string(root.join("functions/api/openapi.json")).unwrap();
    let contract: serde_json::Value = serde_json::from_str(&contract).unwrap();
    let token = &contract["components"]["schemas"]["NewConnection"]["properties"]["token"];
    assert_eq!(token["type"], "string");
    // What a header can carry, as in `ALLOWED`, and nothing of what a token looks like.
    assert_eq!(token["pattern"], "^[!-~]+$");
    assert_eq!(token["minLength"], 1);
    for limit in ["enum", "const", "examples", "example", "default"] {
        assert!(token.get(limit).is_none(), "the contract says {limit} of a token");
    }
}

#[test]
fn planted_looks_are_found() {
    for planted in [
        "if token.len() != 64 { return Err(()); }",
        "let good = token\n    .expose_secret()\n    .len() == 64;",
        "if !new.token.chars().all(char::is_alphanumeric) { refuse(); }",
        "if token.starts_with(\"hc_\") { refuse(); }",
        "let kind = wanted.token.expose_secret().split_once(':');",
        "static FORM: &str = \"x\"; let ok = Regex::new(FORM).is_match(&token);",
        "let ok = matches!(token.as_bytes(), [b'a'..=b'z', ..]);",
        "faults.check((20..=MAX_TOKEN_CHARS).contains(&new.token.len()));",
        "let short = &secret.expose_secret()[..8];",
    ] {
        assert_eq!(looks(planted).len(), 1, "{planted}");
    }
    for innocent in [
        "let report = provider.check_token(&token, name, key, None).await?;",
        "// token.len() == 64",
        "let legal = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());",
        "let token = SecretString::from(new.token);",
        "let name = token_name(connection).len();",
        "format!(\"{}/token\", prefix).len()",
    ] {
        assert_eq!(looks(innocent), Vec::<String>::new(), "{innocent}");
    }
}
