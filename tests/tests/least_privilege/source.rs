//! Functions of the source, and what they call: by names, so what it finds is rather too much than
//! too little.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The text of everything below a folder or of a file, by path; tests left out.
pub fn texts(place: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    let mut open = vec![root.join(place)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name == "tests") {
                continue;
            }
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((shown(root, &path), code(&text)));
        }
    }
    assert!(!found.is_empty(), "nothing in {place}");
    found.sort();
    found
}

fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap().to_string_lossy().into_owned()
}

/// Without tests and comments.
fn code(text: &str) -> String {
    let end = text
        .find("#[cfg(test)]\nmod ")
        .or(text.find("#[cfg(test)]\n#[allow"))
        .unwrap_or(text.len());
    let lines = text[..end].lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Bodies of functions by name; of several with one name, all together.
pub type Functions = BTreeMap<String, String>;

/// The functions in a text.
pub fn functions(text: &str) -> Functions {
    let mut found = Functions::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("fn ").map(|at| at + from) {
        from = at + 3;
        let is_word = at > 0 && text.as_bytes()[at - 1].is_ascii_alphanumeric();
        let name: String =
            text[from..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if is_word || name.is_empty() {
            continue;
        }
        let body = body(&text[from..]);
        found.entry(name).or_default().push_str(body);
    }
    found
}

/// What is between the first braces; nothing, of a declaration.
fn body(text: &str) -> &str {
    let mut open = 0;
    let begin = text.bytes().enumerate().find_map(|(at, byte)| {
        match byte {
            b'(' | b'[' => open += 1,
            b')' | b']' => open -= 1,
            b'{' | b';' if open == 0 => return Some((at, byte)),
            _ => {}
        }
        None
    });
    let Some((begin, b'{')) = begin else { return "" };
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate().skip(begin) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[begin..=at];
        }
    }
    ""
}

/// The names in front of an opening parenthesis; not those of keys, which are called as what they
/// are the keys of.
pub fn called(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut word = String::new();
    let text = text.replace("Key::", "Key ::key_");
    for c in text.chars() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
        } else {
            if c == '(' && !word.is_empty() {
                names.insert(word.clone());
            }
            word.clear();
        }
    }
    names
}

/// The text of a function and of all that it leads to.
pub fn reached(functions: &Functions, name: &str) -> String {
    let (mut text, mut seen) = (String::new(), BTreeSet::new());
    let mut open = vec![name.to_owned()];
    while let Some(name) = open.pop() {
        if let Some(body) = functions.get(&name).filter(|_| seen.insert(name.clone())) {
            text.push_str(body);
            text.push('\n');
            open.extend(called(body));
        }
    }
    text
}

#[test]
fn calls_are_followed_and_comments_and_tests_are_not() {
    let text = "impl X {\n    async fn a(&self) -> [u8; 2] { b(1) }\n}\n// fn c() { put() }\n\
        fn b(x: u8) { if x { get() } }\nfn d();\nfn e() { put() }\n#[cfg(test)]\nmod tests { fn b() { put() } }";
    let functions = functions(&code(text));
    assert_eq!(functions.keys().collect::<Vec<_>>(), ["a", "b", "d", "e"]);
    let reached = reached(&functions, "a");
    assert!(reached.contains("get()") && !reached.contains("put()"), "{reached}");
    assert_eq!(called("x.y(Key::z()).w(1); if (a) {}").len(), 3);
}
