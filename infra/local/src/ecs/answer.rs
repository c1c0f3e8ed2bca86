//! The errors of the ECS API, as its clients read them.

use serde_json::{Value, json};

/// An error answer; all of these are 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EcsError {
    /// The request makes no sense.
    #[error("{0}")]
    InvalidParameter(String),
    /// No such cluster.
    #[error("Cluster not found.")]
    ClusterNotFound,
    /// The client token was used with other parameters; names the tasks it started.
    #[error("The request was made with a client token that was used with other parameters.")]
    Conflict(Vec<String>),
    /// The task definition cannot be read, or the like.
    #[error("{0}")]
    Client(String),
    /// StopTask of a task that is not known.
    #[error("The referenced task was not found.")]
    TaskNotFound,
    /// A call that this endpoint does not have.
    #[error("this endpoint has no {0}")]
    UnknownOperation(String),
}

impl EcsError {
    /// The name that clients tell errors apart by.
    pub fn name(&self) -> &'static str {
        match self {
            // ECS has no exception of its own for an unknown task.
            Self::InvalidParameter(_) | Self::TaskNotFound => "InvalidParameterException",
            Self::ClusterNotFound => "ClusterNotFoundException",
            Self::Conflict(_) => "ConflictException",
            Self::Client(_) => "ClientException",
            Self::UnknownOperation(_) => "UnknownOperationException",
        }
    }

    /// The body of the answer.
    pub fn body(&self) -> Value {
        let mut body = json!({ "__type": self.name(), "message": self.to_string() });
        if let (Self::Conflict(tasks), Some(fields)) = (self, body.as_object_mut()) {
            fields.insert("resourceIds".to_owned(), json!(tasks));
        }
        body
    }
}
