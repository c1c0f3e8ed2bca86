//! What an error of the service means to the caller of the store.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use nodeyard_engine::store::StoreError;

/// No answer, or one that says "not now": the caller may try again.
pub(super) fn unavailable<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> StoreError {
    StoreError::Unavailable(match error {
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        SdkError::DispatchFailure(_) => "it could not be reached".to_owned(),
        SdkError::ServiceError(_) => match (error.code(), error.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(text), None) | (None, Some(text)) => text.to_owned(),
            (None, None) => "an error without a code".to_owned(),
        },
        _ => "its answer could not be read".to_owned(),
    })
}

/// Whether a write failed only because another one was at the same item.
pub(super) fn is_conflict(code: Option<&str>) -> bool {
    matches!(
        code,
        Some(
            "TransactionConflict"
                | "TransactionConflictException"
                | "TransactionInProgressException"
                | "ThrottlingError"
                | "ThrottlingException"
                | "ProvisionedThroughputExceeded"
                | "ProvisionedThroughputExceededException"
                | "RequestLimitExceeded"
        )
    )
}
