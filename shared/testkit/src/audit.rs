//! The audit trail in memory: it only grows.

use nodeyard_engine::store::{AuditEntry, AuditFilter, Page, PageError, PageRequest};

use crate::store::Items;

impl Items {
    /// The same entry again is the same entry.
    pub(crate) fn append_audit(&mut self, entry: &AuditEntry) {
        if !self.audit.contains(entry) {
            self.audit.push(entry.clone());
        }
    }
}

/// A page, newest first. The cursor is a position counted from the oldest, so that what comes
/// meanwhile moves nothing.
pub(crate) fn page(
    trail: &[AuditEntry],
    filter: &AuditFilter,
    page: &PageRequest,
) -> Result<Page<AuditEntry>, PageError> {
    let before = match &page.cursor {
        Some(cursor) => cursor.parse::<usize>().map_err(|_| PageError::Cursor)?,
        None => trail.len(),
    };
    let mut ordered: Vec<&AuditEntry> = trail.iter().collect();
    ordered.sort_by_key(|entry| entry.at);
    let older = ordered.iter().enumerate().take(before).rev();
    let mut wanted = older.filter(|(_, entry)| filter.matches(entry));
    let mut found = Vec::new();
    let mut last = 0;
    for (place, entry) in wanted.by_ref().take(page.limit) {
        found.push((*entry).clone());
        last = place;
    }
    let next = wanted.next().map(|_| last.to_string());
    Ok(Page { items: found, next })
}
