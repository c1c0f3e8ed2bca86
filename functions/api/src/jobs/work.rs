//! A job of any kind, found by its id.

use nodeyard_domain::{id::JobId, work::Work};
use nodeyard_engine::{rotation::RotationStore, store::JobStore};

use crate::{
    app::{App, Ports},
    auth::Caller,
    problem::Problem,
};

impl<P: Ports> App<P> {
    /// A job the caller may see.
    ///
    /// # Errors
    /// `not_found`, also for what is no id and for what the caller may not see.
    pub(crate) async fn visible_work(&self, caller: &Caller, id: &str) -> Result<Work, Problem> {
        let absent = || Problem::not_found("job");
        let id = id.parse::<JobId>().map_err(|_| absent())?;
        let work = match self.store.load(&id).await? {
            Some(loaded) => Work::OnNode(Box::new(loaded.job)),
            None => {
                let loaded = self.store.load_rotation(&id).await?.ok_or_else(absent)?;
                Work::Rotation(Box::new(loaded.rotation))
            }
        };
        if caller.sees(work.connection()) { Ok(work) } else { Err(absent().unseen()) }
    }
}
