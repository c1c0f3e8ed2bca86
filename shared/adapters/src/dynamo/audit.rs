//! The audit trail: entries are put where nothing is, and read. Only this module can name one's
//! key, so nothing else can change or delete one.
//!
//! All of it is one partition: a trail has as many entries as there are requests that change
//! something, far below what a partition takes, and one query gives the newest of them.

use nodeyard_engine::store::{AuditEntry, AuditFilter, Page, PageError, PageRequest, StoreError};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    change::{Condition, Write},
    keys::{Key, sortable},
    list::{Gatherer, List, Reader, Source},
    row::{child_expiry, item, read, unreadable},
    table::Table,
    text::Text,
};

const TRAIL: &str = "AUDIT";
const ENTRY_PREFIX: &str = "E#";
/// Of the entry's hash, in its key.
const HASH_DIGITS: usize = 32;

/// Kept as long as what hangs on a job: an entry has to outlive the job that it tells of, which is
/// kept for 90 days after its end, and the entry is written before its beginning.
#[derive(Serialize, Deserialize)]
struct EntryRow {
    entry: Text<AuditEntry>,
    #[serde(default)]
    expires_at: i64,
}

/// The place of an entry follows from all it says, so that the same entry again has the same place
/// and another one never.
fn key(entry: &AuditEntry) -> Result<Key, StoreError> {
    let place = format!("{ENTRY_PREFIX}{}#", sortable(entry.at));
    let mut key = Key { pk: TRAIL.to_owned(), sk: place };
    let text = serde_json::to_string(entry).map_err(|error| unreadable(&key, &error))?;
    key.sk.push_str(&hex::encode(Sha256::digest(text))[..HASH_DIGITS]);
    Ok(key)
}

/// The write that appends an entry, alone or beside the change it tells of. It is refused only
/// where this very entry is already.
pub(super) fn append(entry: &AuditEntry) -> Result<Write, StoreError> {
    let key = key(entry)?;
    let row = EntryRow { entry: Text(entry.clone()), expires_at: child_expiry(entry.at) };
    Ok(Write::put(key.clone(), item(&key, &row)?).require(Condition::New))
}

/// A page of the trail, newest first.
pub(super) async fn list(
    table: &Table,
    filter: &AuditFilter,
    page: &PageRequest,
) -> Result<Page<AuditEntry>, PageError> {
    let source = Source::Partition { pk: TRAIL.to_owned(), prefix: ENTRY_PREFIX };
    let list = List { name: "audit".to_owned(), source, newest_first: true };
    let mut reader = Reader::open(table, &list, page)?;
    let mut gatherer = Gatherer::new(page.limit);
    'page: while let Some(items) = reader.chunk().await? {
        for item in items {
            let place = reader.place_of(&item);
            let entry = read::<EntryRow>(item)?.entry.0;
            if gatherer.take(place, filter.matches(&entry).then_some(entry)) {
                break 'page;
            }
        }
    }
    Ok(gatherer.finish(&reader))
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;
    use nodeyard_domain::audit::{Action, Outcome, Resource, ResourceKind};

    use super::*;

    fn entry() -> AuditEntry {
        let at = "2026-11-23T10:00:00.5Z".parse().unwrap();
        let resource = Resource::all(ResourceKind::Orphan);
        AuditEntry::of_system(at, Action::OrphanConfirm, resource, Outcome::Done)
    }

    #[test]
    fn an_entry_is_put_only_where_nothing_is_and_expires() {
        let write = append(&entry()).unwrap();
        let (pk, sk) = (write.key.pk.clone(), write.key.sk.clone());
        assert_eq!(pk, TRAIL);
        assert!(sk.starts_with("E#1795428000500000000#"), "{sk}");
        let parts = write.parts();
        assert!(parts.update.is_none());
        assert_eq!(parts.condition.as_deref(), Some("attribute_not_exists(#pk)"));
        let item = parts.item.unwrap();
        let days = 120 * 24 * 3600;
        let expires_at = AttributeValue::N((1_795_428_000 + days).to_string());
        assert_eq!(item["expires_at"], expires_at);
        assert_eq!(read::<EntryRow>(item).unwrap().entry.0, entry());
    }

    #[test]
    fn each_entry_has_a_place_of_its_own() {
        let other = AuditEntry { request_id: "other".into(), ..entry() };
        let place = |entry: &AuditEntry| key(entry).unwrap().sk;
        assert_eq!(place(&entry()), place(&entry()));
        assert_ne!(place(&entry()), place(&other));
        let later = AuditEntry { at: "2026-11-23T10:00:01Z".parse().unwrap(), ..entry() };
        assert!(place(&entry()) < place(&later) && place(&other) < place(&later));
    }

    /// The partition's name stands in this file only, and here nothing but a put is made.
    #[test]
    fn no_code_changes_or_deletes_an_entry() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut open = vec![folder];
        let mut read = 0;
        while let Some(folder) = open.pop() {
            for found in std::fs::read_dir(folder).unwrap().flatten() {
                if found.path().is_dir() {
                    open.push(found.path());
                    continue;
                }
                let text = std::fs::read_to_string(found.path()).unwrap();
                let code = |line: &&str| !line.trim_start().starts_with("//");
                let own = found.path().ends_with("dynamo/audit.rs");
                let shown = if own { "#[cfg(test)]" } else { "no such mark" };
                let text = text.split(shown).next().unwrap();
                for line in text.lines().filter(code) {
                    let words = ["update(", "delete(", "put_all"];
                    let changes = words.iter().any(|word| line.contains(word));
                    assert!(!own || !changes, "{line}");
                    assert!(own || !line.contains("\"AUDIT"), "{}: {line}", found.path().display());
                }
                read += 1;
            }
        }
        assert!(read > 20, "the source was read");
    }
}
