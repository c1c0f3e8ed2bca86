//! What a request asks for, as far as its route says.

use axum::extract::{MatchedPath, Request};
use http::{Method, StatusCode};
use nodeyard_domain::audit::{Action, Resource, ResourceKind};

use crate::problem::Problem;

/// Every route that takes a token: a route that is not here leaves no trace of its refusals. A
/// test holds this list against the contract.
const ROUTES: &[(&str, &str, Action, ResourceKind)] = &[
    ("GET", "/providers", Action::ProviderRead, ResourceKind::Connection),
    ("GET", "/providers/{name}", Action::ProviderRead, ResourceKind::Connection),
    ("GET", "/providers/{name}/catalog", Action::ProviderRead, ResourceKind::Connection),
    ("PUT", "/providers/{name}", Action::ProviderConnect, ResourceKind::Connection),
    ("POST", "/providers/{name}/check", Action::ProviderCheck, ResourceKind::Connection),
    ("POST", "/providers/{name}/rotate-key", Action::ProviderRotateKey, ResourceKind::Connection),
    ("DELETE", "/providers/{name}", Action::ProviderDisconnect, ResourceKind::Connection),
    ("GET", "/nodes", Action::NodeRead, ResourceKind::Node),
    ("GET", "/nodes/{id}", Action::NodeRead, ResourceKind::Node),
    ("POST", "/nodes", Action::NodeCreate, ResourceKind::Node),
    ("PATCH", "/nodes/{id}", Action::NodeLabels, ResourceKind::Node),
    ("DELETE", "/nodes/{id}", Action::NodeRelease, ResourceKind::Node),
    ("POST", "/nodes/{id}/configure", Action::NodeConfigure, ResourceKind::Node),
    ("POST", "/nodes/{id}/check", Action::NodeCheck, ResourceKind::Node),
    ("POST", "/nodes/{id}/smokes", Action::NodeSmoke, ResourceKind::Node),
    ("GET", "/jobs", Action::JobRead, ResourceKind::Job),
    ("GET", "/jobs/{id}", Action::JobRead, ResourceKind::Job),
    ("GET", "/jobs/{id}/timeline", Action::JobRead, ResourceKind::Job),
    ("GET", "/jobs/{id}/log", Action::JobRead, ResourceKind::Job),
    ("GET", "/jobs/{id}/evidence", Action::JobRead, ResourceKind::Job),
    ("POST", "/jobs/{id}/cancel", Action::JobCancel, ResourceKind::Job),
    ("GET", "/orphans", Action::OrphanRead, ResourceKind::Orphan),
    ("DELETE", "/orphans/{id}", Action::OrphanRemove, ResourceKind::Orphan),
    ("POST", "/orphans/confirm", Action::OrphanConfirm, ResourceKind::Orphan),
    ("GET", "/tokens", Action::TokenRead, ResourceKind::Token),
    ("POST", "/tokens", Action::TokenCreate, ResourceKind::Token),
    ("DELETE", "/tokens/{id}", Action::TokenDelete, ResourceKind::Token),
    ("GET", "/audit", Action::AuditRead, ResourceKind::Audit),
];

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(super) action: Action,
    pub(super) resource: Resource,
    is_change: bool,
}

impl Asked {
    /// `None` for what takes no token, and for what there is no route for.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let template = request.extensions().get::<MatchedPath>()?;
        Self::by(request.method(), template.as_str(), request.uri().path())
    }

    fn by(method: &Method, template: &str, path: &str) -> Option<Self> {
        // A GET route answers HEAD as well.
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let (_, _, action, kind) = ROUTES
            .iter()
            .find(|(known, route, ..)| *known == method.as_str() && *route == template)?;
        let mut steps = template.split('/').zip(path.split('/'));
        let named = steps.find(|(template, _)| template.starts_with('{'));
        let resource = match named {
            // Of what ids are made of, `@` is all that may come encoded.
            Some((_, step)) => Resource::named(*kind, &step.replace("%40", "@")),
            None => Resource::all(*kind),
        };
        Some(Self { action: *action, resource, is_change: method != Method::GET })
    }

    /// The thing it is about, if the path names one well.
    pub(crate) fn resource_id(&self) -> Option<&str> {
        self.resource.id.as_deref()
    }

    /// Whether the answer is a refusal that belongs into the trail.
    pub(crate) fn is_refused_by(&self, problem: &Problem) -> bool {
        let status = problem.code.status();
        let denied = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        denied || problem.unseen || (self.is_change && status.is_client_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::ApiCode;

    fn asked(method: &Method, template: &str, path: &str) -> Option<Asked> {
        Asked::by(method, template, path)
    }

    #[test]
    fn the_thing_is_named_by_the_path_if_it_is_well_formed() {
        let path = "/nodes/{id}/configure";
        let id = format!("node-{:032x}", 7);
        let found = asked(&Method::POST, path, &format!("/nodes/{id}/configure")).unwrap();
        assert_eq!((found.action, found.resource.id), (Action::NodeConfigure, Some(id)));
        let found = asked(&Method::POST, path, "/nodes/ny_secret/configure").unwrap();
        assert_eq!(found.resource, Resource::all(ResourceKind::Node));
        let found = asked(&Method::DELETE, "/orphans/{id}", "/orphans/server-9%40main").unwrap();
        assert_eq!(found.resource.id.as_deref(), Some("server-9@main"));
        let found = asked(&Method::HEAD, "/nodes", "/nodes").unwrap();
        assert!(found.action == Action::NodeRead && !found.is_change);
        assert_eq!(asked(&Method::GET, "/health", "/health"), None);
        assert_eq!(asked(&Method::PATCH, "/nodes", "/nodes"), None);
    }

    #[test]
    fn refusals_of_changes_are_kept_and_of_reads_only_denials() {
        let change = asked(&Method::POST, "/nodes", "/nodes").unwrap();
        let read = asked(&Method::GET, "/nodes", "/nodes").unwrap();
        for code in ApiCode::ALL {
            let problem = Problem::new(*code, "");
            let status = code.status().as_u16();
            assert_eq!(change.is_refused_by(&problem), (400..500).contains(&status), "{code:?}");
            assert_eq!(read.is_refused_by(&problem), [401, 403].contains(&status), "{code:?}");
        }
        let unseen = Problem::not_found("node").unseen();
        assert!(read.is_refused_by(&unseen));
    }
}
