//! The append-only registry of the codes in our problem answers, with the HTTP status and the
//! sentence each stands for. Codes of failed jobs are another registry, `nodeyard_domain::code`.

use http::StatusCode;

macro_rules! codes {
    ($($variant:ident = $text:literal, $status:literal, $title:literal;)+) => {
        /// Why a request was refused. Callers match on the text; it never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ApiCode { $($variant,)+ }

        impl ApiCode {
            pub const ALL: &[ApiCode] = &[$(ApiCode::$variant,)+];

            pub fn as_str(self) -> &'static str {
                match self { $(ApiCode::$variant => $text,)+ }
            }

            /// The same for each occurrence of the code.
            pub fn title(self) -> &'static str {
                match self { $(ApiCode::$variant => $title,)+ }
            }

            pub fn status(self) -> StatusCode {
                let number: u16 = match self { $(ApiCode::$variant => $status,)+ };
                StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    };
}

codes! {
    InvalidRequest = "invalid_request", 400, "The request cannot be read.";
    InvalidJson = "invalid_json", 400, "The body is not JSON.";
    InvalidBody = "invalid_body", 400, "The body has values that are missing, of the wrong type or out of range.";
    UnknownField = "unknown_field", 400, "The body has a field that this route does not know.";
    InvalidQuery = "invalid_query", 400, "A query parameter is unknown or cannot be read.";
    InvalidCursor = "invalid_cursor", 400, "The cursor is not one this list gave out.";
    InvalidIdempotencyKey = "invalid_idempotency_key", 400, "The Idempotency-Key has no 1 to 255 visible characters.";
    AcquisitionModeUnsupported = "acquisition_mode_unsupported", 400, "Nodes come from a connected provider only.";
    Ipv6OnlyUnsupported = "ipv6_only_unsupported", 400, "Nodes without a public IPv4 address are not supported.";
    ControlAddressUnknown = "control_address_unknown", 400, "SSH cannot be restricted: this deployment does not know its own egress addresses.";
    ConnectionRequired = "connection_required", 400, "Several connections exist: say which one.";
    MissingToken = "missing_token", 401, "The request has no bearer token.";
    InvalidToken = "invalid_token", 401, "The bearer token is not known.";
    IssuerUnavailable = "issuer_unavailable", 503, "The issuer's keys cannot be read.";
    TokenExpired = "token_expired", 401, "The bearer token has expired.";
    Forbidden = "forbidden", 403, "The token may not do this.";
    BootstrapSpent = "bootstrap_spent", 403, "The bootstrap secret is spent: an admin token exists or existed.";
    NotFound = "not_found", 404, "There is nothing here.";
    ProviderNotFound = "provider_not_found", 404, "There is no connection of this name.";
    MethodNotAllowed = "method_not_allowed", 405, "The route does not have this method.";
    ProviderNotConnected = "provider_not_connected", 409, "The connection cannot take new nodes.";
    ProjectAlreadyConnected = "project_already_connected", 409, "Another connection holds this project.";
    ConnectionInUse = "connection_in_use", 409, "Nodes live on this connection.";
    NodeBusy = "node_busy", 409, "Another job is open on the node.";
    NodeGone = "node_gone", 409, "The node is released or failed; nothing of it is left.";
    OrphanChanged = "orphan_changed", 409, "The orphan is not what was reported any more.";
    ProviderRefused = "provider_refused", 409, "The provider refused to do it.";
    NodeNotConfigurable = "node_not_configurable", 409, "The node has no server that could be configured.";
    NodeNotCheckable = "node_not_checkable", 409, "The node has not been configured to its end.";
    NodeNotReady = "node_not_ready", 409, "The node is not ready for this.";
    NotCancellable = "not_cancellable", 409, "The job cannot be cancelled.";
    EditConflict = "edit_conflict", 409, "The record was changed by somebody else meanwhile.";
    RotationOpen = "rotation_open", 409, "A rotation of the connection's key is open.";
    KeyVersionsInUse = "key_versions_in_use", 409, "Nodes still need earlier versions of the connection's key.";
    SpendCapExceeded = "spend_cap_exceeded", 409, "The connection's cap on nodes or money is reached.";
    PlacementUnavailable = "placement_unavailable", 409, "The provider sells nothing of the default placement ladder.";
    LastAdminToken = "last_admin_token", 409, "The last unrestricted admin token cannot be deleted.";
    VersionMismatch = "version_mismatch", 412, "The job is not in the version that If-Match names.";
    BodyTooLarge = "body_too_large", 413, "The body is too large.";
    UnsupportedMediaType = "unsupported_media_type", 415, "The body has to be application/json.";
    IdempotencyKeyReused = "idempotency_key_reused", 422, "The Idempotency-Key was used with another body.";
    UnknownProvider = "unknown_provider", 422, "There is no such kind of provider.";
    UnknownProfile = "unknown_profile", 422, "There is no such profile.";
    UnknownImage = "unknown_image", 422, "There is no such image.";
    UnknownServerType = "unknown_server_type", 422, "The provider has no such server type.";
    UnknownLocation = "unknown_location", 422, "The provider has no such location, or does not sell the server type there.";
    PriceCeilingExceeded = "price_ceiling_exceeded", 422, "Every rung costs more than max_price.";
    ProviderTokenRejected = "provider_token_rejected", 422, "The provider refused the token.";
    TokenReadonly = "token_readonly", 422, "The token can only read.";
    DifferentProject = "different_project", 422, "The token belongs to another project than the connection.";
    InternalError = "internal_error", 500, "Something went wrong on our side.";
    ProviderUnavailable = "provider_unavailable", 503, "The provider did not answer usefully.";
    StoreUnavailable = "store_unavailable", 503, "Our own storage did not answer.";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Append-only: a changed line here breaks callers who match on codes.
    #[test]
    fn registry_is_stable() {
        let line = |code: &ApiCode| {
            format!("{} {} {}", code.status().as_u16(), code.as_str(), code.title())
        };
        let lines: Vec<String> = ApiCode::ALL.iter().map(line).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
