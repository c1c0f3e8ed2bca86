//! Reading lists page by page.

use nodeyard_engine::store::{Page, PageError, PageRequest, StoreError};

use super::{
    change::text,
    cursor,
    keys::{Item, Key},
    row::text_of,
    table::Table,
};

/// Queries made for one page at most: a filter that matches little gives short pages, not long
/// waits.
const MAX_QUERIES: usize = 10;
/// Items read at a time.
const CHUNK: i32 = 100;

/// What is listed, in which order.
pub(super) struct List {
    /// Names the list in cursors.
    pub(super) name: String,
    pub(super) source: Source,
    pub(super) newest_first: bool,
}

pub(super) enum Source {
    /// The index of one kind of record.
    Index { list: &'static str },
    /// Items of one partition whose sort keys begin with a prefix.
    Partition { pk: String, prefix: &'static str },
}

impl Source {
    fn place_attribute(&self) -> &'static str {
        match self {
            Self::Index { .. } => "list_sk",
            Self::Partition { .. } => "sk",
        }
    }

    /// The key after which a query goes on. `None` for a place that is not of this list.
    fn start(&self, place: &str) -> Option<Item> {
        match self {
            Self::Index { list } => {
                let (_, id) = place.split_once('#')?;
                let key = Key { pk: format!("{list}#{id}"), sk: (*list).to_owned() };
                let mut start = key.attributes();
                start.insert("list_pk".to_owned(), text(*list));
                start.insert("list_sk".to_owned(), text(place));
                Some(start)
            }
            Self::Partition { pk, prefix } => place
                .starts_with(prefix)
                .then(|| Key { pk: pk.clone(), sk: place.to_owned() }.attributes()),
        }
    }
}

/// Reads a list from where a page starts, in chunks.
pub(super) struct Reader<'a> {
    table: &'a Table,
    list: &'a List,
    start: Option<Item>,
    queries: usize,
    at_end: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn open(
        table: &'a Table,
        list: &'a List,
        request: &PageRequest,
    ) -> Result<Self, PageError> {
        let start = match &request.cursor {
            None => None,
            Some(cursor) => {
                let place = cursor::read(&list.name, cursor)?;
                Some(list.source.start(&place).ok_or(PageError::Cursor)?)
            }
        };
        Ok(Self { table, list, start, queries: 0, at_end: false })
    }

    /// The next items; `None` at the end of the list or of what one page may cost.
    pub(super) async fn chunk(&mut self) -> Result<Option<Vec<Item>>, StoreError> {
        if self.at_end || self.queries >= MAX_QUERIES {
            return Ok(None);
        }
        self.queries += 1;
        let call = self.table.new_query();
        let call = match &self.list.source {
            Source::Index { list } => call
                .index_name("list")
                .key_condition_expression("list_pk = :pk")
                .expression_attribute_values(":pk", text(*list)),
            Source::Partition { pk, prefix } => call
                .consistent_read(true)
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":pk", text(pk))
                .expression_attribute_values(":prefix", text(*prefix)),
        };
        let call = call
            .scan_index_forward(!self.list.newest_first)
            .limit(CHUNK)
            .set_exclusive_start_key(self.start.take());
        let answer = self.table.query(call).await?;
        self.start = answer.last_evaluated_key;
        self.at_end = self.start.is_none();
        Ok(Some(answer.items.unwrap_or_default()))
    }

    pub(super) fn place_of(&self, item: &Item) -> String {
        text_of(item, self.list.source.place_attribute()).to_owned()
    }
}

/// Gathers one page: the records that were wanted, and where to go on.
pub(super) struct Gatherer<T> {
    limit: usize,
    found: Vec<(String, T)>,
    last_read: Option<String>,
}

impl<T> Gatherer<T> {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), found: Vec::new(), last_read: None }
    }

    /// Takes what was read at a place; `None` when it was not wanted. True when the page is full
    /// and known to have a next one.
    pub(super) fn take(&mut self, place: String, record: Option<T>) -> bool {
        self.last_read = Some(place.clone());
        self.found.extend(record.map(|record| (place, record)));
        self.found.len() > self.limit
    }

    pub(super) fn finish(mut self, reader: &Reader<'_>) -> Page<T> {
        let next = if self.found.len() > self.limit {
            self.found.truncate(self.limit);
            self.found.last().map(|(place, _)| place.clone())
        } else if reader.at_end {
            None
        } else {
            self.last_read
        };
        let next = next.map(|place| cursor::write(&reader.list.name, &place));
        Page { items: self.found.into_iter().map(|(_, record)| record).collect(), next }
    }
}

/// All items of a partition, consistently: for the few records that are kept in one.
pub(super) async fn read_partition(table: &Table, pk: &str) -> Result<Vec<Item>, StoreError> {
    let mut items = Vec::new();
    let mut start: Option<Item> = None;
    loop {
        let query = table
            .new_query()
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(pk))
            .set_exclusive_start_key(start);
        let answer = table.query(query).await?;
        items.extend(answer.items.unwrap_or_default());
        start = answer.last_evaluated_key;
        if start.is_none() {
            return Ok(items);
        }
    }
}
