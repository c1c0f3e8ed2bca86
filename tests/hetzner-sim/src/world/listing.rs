//! Lists: filter, order, cut into pages.

use std::cmp::Ordering;

use super::catalogue;
use super::operation::{Kind, Labels, ListQuery, Page};
use super::{ProjectId, World};
use crate::clock::EpochMillis;

/// What lists look at; what a kind lacks is left at its default.
#[derive(Default)]
struct Row<'a> {
    id: u64,
    name: &'a str,
    labels: Option<&'a Labels>,
    created: EpochMillis,
    status: &'a str,
    kind: &'a str,
    fingerprint: &'a str,
    ip: &'a str,
    architecture: &'a str,
    deprecated: bool,
    command: &'a str,
    finished: EpochMillis,
}

impl World {
    pub(super) fn list(&self, project: ProjectId, kind: Kind, query: &ListQuery) -> Page {
        paged(self.rows(project, kind), query)
    }

    pub(super) fn list_actions(
        &self,
        project: ProjectId,
        server: Option<u64>,
        query: &ListQuery,
    ) -> Page {
        let rows = self
            .actions
            .values()
            .filter(|action| action.project == project)
            .filter(|action| {
                action.resources.iter().any(|(kind, id)| {
                    *kind == Kind::Server && server.is_none_or(|server| server == *id)
                })
            })
            .map(|action| Row {
                id: action.id,
                status: action.status(),
                created: action.started,
                command: action.command,
                finished: action.finished.unwrap_or_default(),
                ..Row::default()
            })
            .collect();
        paged(rows, query)
    }

    /// [documented] ids that are not there are left out; [assumed] no
    /// more than one page of 25 is answered.
    pub(super) fn actions_by_id(&self, project: ProjectId, ids: &[u64]) -> Vec<u64> {
        self.actions
            .values()
            .filter(|action| action.project == project && ids.contains(&action.id))
            .map(|action| action.id)
            .take(25)
            .collect()
    }

    fn rows(&self, project: ProjectId, kind: Kind) -> Vec<Row<'_>> {
        let row = |id, name, labels, created| Row {
            id,
            name,
            labels: Some(labels),
            created,
            ..Row::default()
        };
        match kind {
            Kind::Server => self
                .servers
                .values()
                .filter(|it| it.project == project)
                .map(|it| Row {
                    status: it.status.name(),
                    ..row(it.id, &it.name, &it.labels, it.created)
                })
                .collect(),
            Kind::SshKey => self
                .ssh_keys
                .values()
                .filter(|it| it.project == project)
                .map(|it| Row {
                    fingerprint: &it.fingerprint,
                    ..row(it.id, &it.name, &it.labels, it.created)
                })
                .collect(),
            Kind::PlacementGroup => self
                .placement_groups
                .values()
                .filter(|it| it.project == project)
                .map(|it| Row { kind: "spread", ..row(it.id, &it.name, &it.labels, it.created) })
                .collect(),
            Kind::Firewall => self
                .firewalls
                .values()
                .filter(|it| it.project == project)
                .map(|it| row(it.id, &it.name, &it.labels, it.created))
                .collect(),
            Kind::PrimaryIp => self
                .primary_ips
                .values()
                .filter(|it| it.project == project)
                .map(|it| Row { ip: &it.address, ..row(it.id, &it.name, &it.labels, it.created) })
                .collect(),
            Kind::ServerType => catalogue::SERVER_TYPES
                .iter()
                .map(|it| Row { id: it.id, name: it.name, ..Row::default() })
                .collect(),
            Kind::Location => catalogue::LOCATIONS
                .iter()
                .map(|it| Row { id: it.id, name: it.name, ..Row::default() })
                .collect(),
            Kind::Image => catalogue::IMAGES
                .iter()
                .map(|it| Row {
                    id: it.id,
                    name: it.name,
                    status: "available",
                    kind: it.kind,
                    architecture: it.architecture,
                    deprecated: it.deprecated.is_some(),
                    created: catalogue::IMAGES_CREATED,
                    ..Row::default()
                })
                .collect(),
            Kind::Action => Vec::new(),
        }
    }
}

fn paged(mut rows: Vec<Row<'_>>, query: &ListQuery) -> Page {
    rows.retain(|row| is_wanted(row, query));
    rows.sort_by(|one, other| {
        query
            .sort
            .iter()
            .map(|(field, descending)| {
                let order = by_field(field, one, other);
                if *descending { order.reverse() } else { order }
            })
            .find(|order| order.is_ne())
            // [assumed] by id where nothing else is asked for
            .unwrap_or_else(|| one.id.cmp(&other.id))
    });
    let from = (query.page - 1).saturating_mul(query.per_page);
    Page {
        total: rows.len(),
        ids: rows.iter().skip(from).take(query.per_page).map(|row| row.id).collect(),
        page: query.page,
        per_page: query.per_page,
    }
}

fn is_wanted(row: &Row<'_>, query: &ListQuery) -> bool {
    let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|it| it == value);
    let among =
        |wanted: &[String], value: &str| wanted.is_empty() || wanted.iter().any(|it| it == value);
    is(&query.name, row.name)
        && is(&query.fingerprint, row.fingerprint)
        && is(&query.ip, row.ip)
        && is(&query.architecture, row.architecture)
        && among(&query.status, row.status)
        && among(&query.types, row.kind)
        && (query.ids.is_empty() || query.ids.contains(&row.id))
        // [assumed] left out unless asked for
        && (query.include_deprecated || !row.deprecated)
        && query.selector.as_ref().is_none_or(|selector| {
            row.labels
                .map_or_else(|| selector.picks(&Labels::new()), |labels| selector.picks(labels))
        })
}

fn by_field(field: &str, one: &Row<'_>, other: &Row<'_>) -> Ordering {
    match field {
        "name" => one.name.cmp(other.name),
        "created" | "started" => one.created.cmp(&other.created),
        "command" => one.command.cmp(other.command),
        "status" => one.status.cmp(other.status),
        "finished" => one.finished.cmp(&other.finished),
        _ => one.id.cmp(&other.id),
    }
}
