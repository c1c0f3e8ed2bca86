//! One write: what it changes, and what must hold for it to be made.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    error::BuildError,
    types::{
        AttributeValue, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure,
        TransactWriteItem, Update,
    },
};

use super::keys::{Item, Key};

pub(super) enum Condition {
    /// The item is there.
    Exists,
    /// The item is not there.
    New,
    /// The attribute is not there.
    Absent(&'static str),
    Present(&'static str),
    Is(&'static str, AttributeValue),
    OneOf(&'static str, Vec<AttributeValue>),
    Any(Vec<Condition>),
}

impl Condition {
    /// An attribute is as it was loaded, absence included.
    pub(super) fn same(name: &'static str, value: Option<AttributeValue>) -> Self {
        value.map_or(Self::Absent(name), |value| Self::Is(name, value))
    }

    /// The job has not ended.
    pub(super) fn open_job() -> Self {
        Self::OneOf("state", vec![text("queued"), text("running")])
    }
}

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

enum Action {
    Put(Item),
    Update { sets: Vec<String>, removes: Vec<String> },
    Check,
    Delete,
}

pub(super) struct Write {
    pub(super) key: Key,
    action: Action,
    conditions: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Write {
    fn new(key: Key, action: Action) -> Self {
        let (names, values) = (HashMap::new(), HashMap::new());
        Self { key, action, conditions: Vec::new(), names, values }
    }

    /// The item holds its key already.
    pub(super) fn put(key: Key, item: Item) -> Self {
        Self::new(key, Action::Put(item))
    }

    pub(super) fn update(key: Key) -> Self {
        Self::new(key, Action::Update { sets: Vec::new(), removes: Vec::new() })
    }

    pub(super) fn check(key: Key) -> Self {
        Self::new(key, Action::Check)
    }

    pub(super) fn delete(key: Key) -> Self {
        Self::new(key, Action::Delete)
    }

    pub(super) fn require(mut self, condition: Condition) -> Self {
        let clause = self.render(condition);
        self.conditions.push(clause);
        self
    }

    pub(super) fn set(mut self, name: &str, value: AttributeValue) -> Self {
        let clause = format!("{} = {}", self.name(name), self.value(value));
        self.push_set(clause)
    }

    pub(super) fn set_or_remove(self, name: &str, value: Option<AttributeValue>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self.remove(name),
        }
    }

    /// Sets an attribute that is not there, and leaves one that is.
    pub(super) fn set_once(mut self, name: &str, value: AttributeValue) -> Self {
        let (name, value) = (self.name(name), self.value(value));
        self.push_set(format!("{name} = if_not_exists({name}, {value})"))
    }

    /// Raises a number by one.
    pub(super) fn raise(mut self, name: &str) -> Self {
        let (name, zero, one) = (self.name(name), self.value(number(0)), self.value(number(1)));
        self.push_set(format!("{name} = if_not_exists({name}, {zero}) + {one}"))
    }

    pub(super) fn remove(mut self, name: &str) -> Self {
        let name = self.name(name);
        if let Action::Update { removes, .. } = &mut self.action {
            removes.push(name);
        }
        self
    }

    fn push_set(mut self, clause: String) -> Self {
        if let Action::Update { sets, .. } = &mut self.action {
            sets.push(clause);
        }
        self
    }

    fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{name}");
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    fn render(&mut self, condition: Condition) -> String {
        match condition {
            Condition::Exists => format!("attribute_exists({})", self.name("pk")),
            Condition::New => format!("attribute_not_exists({})", self.name("pk")),
            Condition::Absent(name) => format!("attribute_not_exists({})", self.name(name)),
            Condition::Present(name) => format!("attribute_exists({})", self.name(name)),
            Condition::Is(name, value) => format!("{} = {}", self.name(name), self.value(value)),
            Condition::OneOf(name, values) => {
                let name = self.name(name);
                let values: Vec<String> =
                    values.into_iter().map(|value| self.value(value)).collect();
                format!("{name} IN ({})", values.join(", "))
            }
            Condition::Any(conditions) => {
                let clauses: Vec<String> =
                    conditions.into_iter().map(|condition| self.render(condition)).collect();
                format!("({})", clauses.join(" OR "))
            }
        }
    }

    /// About what the service counts: names and values that this write brings along.
    pub(super) fn bytes(&self) -> usize {
        match &self.action {
            Action::Put(item) => item.iter().map(|(name, value)| name.len() + size(value)).sum(),
            _ => self.values.values().map(size).sum(),
        }
    }

    pub(super) fn parts(self) -> Parts {
        let condition = (!self.conditions.is_empty()).then(|| self.conditions.join(" AND "));
        let (item, update) = match self.action {
            Action::Put(item) => (Some(item), None),
            Action::Update { sets, removes } => (None, Some(update_expression(&sets, &removes))),
            Action::Check | Action::Delete => (None, None),
        };
        let some = |full: bool| full.then_some(());
        Parts {
            key: self.key.attributes(),
            item,
            update,
            condition,
            names: some(!self.names.is_empty()).map(|()| self.names),
            values: some(!self.values.is_empty()).map(|()| self.values),
        }
    }

    pub(super) fn into_transaction(self, table: &str) -> Result<TransactWriteItem, BuildError> {
        let kind = std::mem::discriminant(&self.action);
        let is_check = kind == std::mem::discriminant(&Action::Check);
        let parts = self.parts();
        let whole = TransactWriteItem::builder();
        let none = ReturnValuesOnConditionCheckFailure::None;
        Ok(match (parts.item, parts.update) {
            (Some(item), _) => whole
                .put(
                    Put::builder()
                        .table_name(table)
                        .set_item(Some(item))
                        .set_condition_expression(parts.condition)
                        .set_expression_attribute_names(parts.names)
                        .set_expression_attribute_values(parts.values)
                        .return_values_on_condition_check_failure(none)
                        .build()?,
                )
                .build(),
            (None, Some(update)) => whole
                .update(
                    Update::builder()
                        .table_name(table)
                        .set_key(Some(parts.key))
                        .update_expression(update)
                        .set_condition_expression(parts.condition)
                        .set_expression_attribute_names(parts.names)
                        .set_expression_attribute_values(parts.values)
                        .return_values_on_condition_check_failure(none)
                        .build()?,
                )
                .build(),
            (None, None) if is_check => whole
                .condition_check(
                    ConditionCheck::builder()
                        .table_name(table)
                        .set_key(Some(parts.key))
                        .set_condition_expression(parts.condition)
                        .set_expression_attribute_names(parts.names)
                        .set_expression_attribute_values(parts.values)
                        .return_values_on_condition_check_failure(none)
                        .build()?,
                )
                .build(),
            (None, None) => whole
                .delete(
                    Delete::builder()
                        .table_name(table)
                        .set_key(Some(parts.key))
                        .set_condition_expression(parts.condition)
                        .set_expression_attribute_names(parts.names)
                        .set_expression_attribute_values(parts.values)
                        .return_values_on_condition_check_failure(none)
                        .build()?,
                )
                .build(),
        })
    }
}

/// A write in the service's terms.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) key: Item,
    /// Set for a put.
    pub(super) item: Option<Item>,
    /// Set for an update.
    pub(super) update: Option<String>,
    pub(super) condition: Option<String>,
    pub(super) names: Option<HashMap<String, String>>,
    pub(super) values: Option<HashMap<String, AttributeValue>>,
}

fn update_expression(sets: &[String], removes: &[String]) -> String {
    let part = |word: &str, clauses: &[String]| match clauses {
        [] => None,
        _ => Some(format!("{word} {}", clauses.join(", "))),
    };
    [part("SET", sets), part("REMOVE", removes)].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::L(list) => list.iter().map(size).sum::<usize>() + 3,
        AttributeValue::M(map) => map.iter().map(|(name, value)| name.len() + size(value)).sum(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key { pk: "JOB#1".into(), sk: "JOB".into() }
    }

    #[test]
    fn expressions_name_everything_by_placeholder() {
        let parts = Write::update(key())
            .set("status", text("ready"))
            .raise("crashes")
            .remove("server")
            .require(Condition::Is("version", number(3)))
            .require(Condition::Any(vec![
                Condition::Absent("open_job"),
                Condition::Is("open_job", text("job-1")),
            ]))
            .parts();
        assert_eq!(
            parts.update.unwrap(),
            "SET #status = :v0, #crashes = if_not_exists(#crashes, :v1) + :v2 REMOVE #server"
        );
        assert_eq!(
            parts.condition.unwrap(),
            "#version = :v3 AND (attribute_not_exists(#open_job) OR #open_job = :v4)"
        );
        assert_eq!(parts.values.unwrap().len(), 5);
        assert_eq!(parts.names.unwrap()["#open_job"], "open_job");
    }

    #[test]
    fn a_write_without_conditions_brings_no_empty_maps() {
        let parts = Write::put(key(), key().attributes()).parts();
        assert!(parts.condition.is_none() && parts.names.is_none() && parts.values.is_none());
    }

    #[test]
    fn as_loaded_means_absence_too() {
        let absent = Write::check(key()).require(Condition::same("news_at", None)).parts();
        assert_eq!(absent.condition.unwrap(), "attribute_not_exists(#news_at)");
    }
}
