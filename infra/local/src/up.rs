//! `cargo xtask up`: the stack, kept until Ctrl-C.

use crate::cli::UpOptions;
use crate::error::{Result, XtaskError};
use crate::report::Report;
use crate::signal::{asked_to_end, unless_interrupted};
use crate::stack;
use crate::state::StackState;
use crate::workspace::Workspace;

/// Brings the stack up, tells how to use it, and keeps it.
///
/// # Errors
/// It did not come up, or could not be ended.
pub async fn up(workspace: &Workspace, options: &UpOptions, report: Report) -> Result<()> {
    let name = &options.stack.stack;
    let brought_up = unless_interrupted(stack::bring_up(workspace, &options.stack, report)).await;
    let mut state = match brought_up {
        Ok(state) => state,
        // Somebody else's stack is not ours to end.
        Err(error @ XtaskError::AlreadyUp { .. }) => return Err(error),
        Err(error) => {
            stack::end(workspace, name, report).await?;
            return Err(error);
        }
    };
    tell(&state);
    if options.detach {
        state.owner = None;
        return state.save(workspace);
    }
    println!("Ctrl-C ends it.");
    asked_to_end().await?;
    stack::end(workspace, name, report).await
}

/// How to use the stack, ready to be copied.
pub fn tell(state: &StackState) {
    let url = state.api_url.as_deref().unwrap_or_default();
    let token = state.token.as_deref().unwrap_or_default();
    println!();
    println!("URL={url}");
    println!("TOKEN={token}");
    println!("HCLOUD_TOKEN={}", state.provider_token);
    println!("AWS_ENDPOINT_URL={}", state.aws_url);
    println!("WAKE_QUEUE_URL={}", state.queue_url.as_deref().unwrap_or_default());
    println!("HETZNER_ENDPOINT={}/v1", state.simulator_url);
    println!();
    println!("curl -H \"Authorization: Bearer $TOKEN\" $URL/providers");
    println!();
}
