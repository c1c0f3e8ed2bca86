//! What the provider was asked while an effect was performed: adapters tell, the driver listens.
//!
//! A call that serves many jobs is told to all of them; one that nobody listens to is told to
//! nobody. What is told holds no secret: neither tokens nor bodies.

use std::{cell::RefCell, future::Future};

use nodeyard_domain::evidence::Call;

/// The most calls kept of one effect.
const MAX_CALLS: usize = 16;

tokio::task_local! {
    static HEARD: RefCell<Vec<Call>>;
}

/// Tells of a call to the provider, whatever came of it.
pub fn tell(call: impl FnOnce() -> Call) {
    // Without a listener there is nobody to tell.
    let _ = HEARD.try_with(|heard| {
        let mut heard = heard.borrow_mut();
        if heard.len() < MAX_CALLS {
            heard.push(call());
        }
    });
}

/// Performs something and listens.
pub(crate) async fn listen<T>(asking: impl Future<Output = T>) -> (T, Vec<Call>) {
    HEARD
        .scope(RefCell::default(), async {
            let answer = asking.await;
            (answer, HEARD.with(RefCell::take))
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: u16) -> Call {
        Call { request: "GET /x".into(), status: Some(number), failure: None, correlation_id: None }
    }

    #[tokio::test]
    async fn each_listener_hears_its_own_and_not_without_end() {
        tell(|| call(1));
        let ((), heard) = listen(async {
            tell(|| call(2));
            let ((), inner) = listen(async { tell(|| call(3)) }).await;
            assert_eq!(inner, [call(3)]);
            tokio::task::yield_now().await;
            tell(|| call(4));
        })
        .await;
        assert_eq!(heard, [call(2), call(4)]);
        let ((), heard) = listen(async { (0..100).for_each(|number| tell(|| call(number))) }).await;
        assert_eq!(heard.len(), MAX_CALLS);
    }
}
