//! Changes a JSON tree in one place.

use nodeyard_drills::random::Random;
use serde_json::{Map, Value, json};

use crate::mutation::WORDS;

/// One change somewhere in the tree.
pub(crate) fn change(random: &mut Random, mut tree: Value, other: &[u8]) -> Value {
    let mut left = random.below(count(&tree));
    let mut taken = Taken { random, other };
    taken.walk(&mut tree, &mut left);
    tree
}

fn count(tree: &Value) -> usize {
    1 + match tree {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

struct Taken<'a> {
    random: &'a mut Random,
    other: &'a [u8],
}

impl Taken<'_> {
    /// Goes to the node that is `left` steps away. True once it was changed.
    fn walk(&mut self, tree: &mut Value, left: &mut usize) -> bool {
        if *left == 0 {
            self.change_here(tree);
            return true;
        }
        *left -= 1;
        match tree {
            Value::Array(items) => items.iter_mut().any(|item| self.walk(item, left)),
            Value::Object(members) => members.values_mut().any(|member| self.walk(member, left)),
            _ => false,
        }
    }

    fn change_here(&mut self, tree: &mut Value) {
        match self.random.below(8) {
            0 => *tree = self.scalar(),
            1 => *tree = self.nested(tree.take()),
            2 => {
                // Something of another input, as it is.
                let other: Value = serde_json::from_slice(self.other).unwrap_or(Value::Null);
                let mut left = self.random.below(count(&other));
                *tree = nth(&other, &mut left).cloned().unwrap_or_default();
            }
            _ => match tree {
                Value::Object(members) => self.change_members(members),
                Value::Array(items) => self.change_items(items),
                Value::String(text) => self.change_text(text),
                Value::Number(number) => {
                    let near =
                        number.as_i64().unwrap_or(0).wrapping_add(self.random.between(-2, 2));
                    *tree = if self.random.chance(500) { json!(near) } else { self.scalar() };
                }
                Value::Bool(truth) => *truth = !*truth,
                Value::Null => *tree = self.scalar(),
            },
        }
    }

    fn change_members(&mut self, members: &mut Map<String, Value>) {
        let at = self.random.below(members.len());
        let name = members.keys().nth(at).cloned().unwrap_or_default();
        match self.random.below(4) {
            0 => drop(members.remove(&name)),
            1 => {
                let value = members.remove(&name).unwrap_or_default();
                members.insert((*self.random.pick(WORDS)).to_owned(), value);
            }
            2 => {
                let value = self.scalar();
                members.insert((*self.random.pick(WORDS)).to_owned(), value);
            }
            _ => {
                for number in 0..*self.random.pick(&[20, 200, 2_000]) {
                    members.insert(format!("{name}{number}"), Value::Bool(true));
                }
            }
        }
    }

    fn change_items(&mut self, items: &mut Vec<Value>) {
        let at = self.random.below(items.len());
        match self.random.below(3) {
            0 if !items.is_empty() => drop(items.remove(at)),
            1 if !items.is_empty() => {
                let times = *self.random.pick(&[1, 30, 600]);
                let again = items[at].clone();
                items.extend(std::iter::repeat_n(again, times));
            }
            _ => items.push(self.scalar()),
        }
    }

    fn change_text(&mut self, text: &mut String) {
        if self.random.chance(500)
            && let Ok(inner @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text)
        {
            // A document in a text: its own parser waits behind this one.
            *text = change(self.random, inner, self.other).to_string();
            return;
        }
        let mut chars: Vec<char> = text.chars().collect();
        let at = self.random.below(chars.len() + 1);
        match self.random.below(6) {
            0 => *text = (*self.random.pick(WORDS)).to_owned(),
            1 => {
                let times = *self.random.pick(&[2, 64, 256, 513, 5_000]);
                *text = text.chars().take(100).collect::<String>().repeat(times);
            }
            2 if at < chars.len() => {
                chars.remove(at);
                *text = chars.into_iter().collect();
            }
            3 => {
                chars.truncate(at);
                *text = chars.into_iter().collect();
            }
            4 => {
                let strange = ['\0', '\n', '\u{7f}', 'ß', '\u{2028}', '\u{10ffff}', '"', '\\', '/'];
                chars.insert(at, *self.random.pick(&strange));
                *text = chars.into_iter().collect();
            }
            _ => {
                let word = *self.random.pick(WORDS);
                *text = chars[..at].iter().chain(&word.chars().collect::<Vec<_>>()).collect();
                text.extend(&chars[at..]);
            }
        }
    }

    fn scalar(&mut self) -> Value {
        match self.random.below(9) {
            0 => Value::Null,
            1 => json!(self.random.chance(500)),
            2 => json!([]),
            3 => json!({}),
            4 => json!(*self.random.pick(&[0_u64, 1, 255, 1 << 32, (1 << 53) + 1, u64::MAX])),
            5 => json!(*self.random.pick(&[-1_i64, i64::MIN, i64::MAX])),
            6 => json!(*self.random.pick(&[0.5, -0.0, 1e308, 1e-308, 4.0])),
            _ => json!(*self.random.pick(WORDS)),
        }
    }

    /// Around the limit of depth that parsers have.
    fn nested(&mut self, mut inner: Value) -> Value {
        let depth = *self.random.pick(&[1, 5, 40, 126]);
        let in_objects = self.random.chance(500);
        for _ in 0..depth {
            inner = if in_objects { json!({ "a": inner }) } else { json!([inner]) };
        }
        inner
    }
}

fn nth<'a>(tree: &'a Value, left: &mut usize) -> Option<&'a Value> {
    if *left == 0 {
        return Some(tree);
    }
    *left -= 1;
    match tree {
        Value::Array(items) => items.iter().find_map(|item| nth(item, left)),
        Value::Object(members) => members.values().find_map(|member| nth(member, left)),
        _ => None,
    }
}
