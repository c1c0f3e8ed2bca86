//! What must hold all the time, checked cheaply whenever a hop has ended: from the store's items
//! and the cloud's own books, never from what the engine says.

use std::collections::HashMap;

use nodeyard_domain::{
    id::JobId,
    job::{Job, JobState},
};

use super::Stage;

struct Known {
    version: u64,
    /// As it ended.
    ended: Option<Box<Job>>,
}

/// The jobs as they were last seen.
#[derive(Default)]
pub struct Watch {
    known: HashMap<JobId, Known>,
    pub broken: Vec<String>,
    pub doubled: Vec<String>,
}

impl Watch {
    /// Looks at every job's version, and at what is alive at once.
    pub fn look(&mut self, stage: &Stage) {
        let Self { known, broken, .. } = self;
        stage.world.store.with_jobs(|jobs| {
            for (id, job) in jobs {
                match known.get_mut(id) {
                    Some(before) if before.version == job.version => {}
                    Some(before) => moved(before, job, broken),
                    None => {
                        let new = Known { version: job.version, ended: None };
                        known.insert(id.clone(), new);
                    }
                }
            }
        });
    }

    /// Looks once more, when all is over: at what may only be compared in full.
    pub fn conclude(&mut self, stage: &Stage) {
        self.look(stage);
        let Self { known, broken, doubled } = self;
        stage.world.store.with_jobs(|jobs| {
            for (id, job) in jobs {
                let ended = known.get(id).and_then(|known| known.ended.as_deref());
                if ended.is_some_and(|ended| ended != job) {
                    broken.push(format!("{id} ended and has changed"));
                }
            }
        });
        let books = stage.world.provider.books();
        for (most, of) in [(books.most_alive_per_name, "name"), (books.most_alive_per_node, "node")]
        {
            if most > 1 {
                doubled.push(format!("{most} servers of one {of} were alive at once"));
            }
        }
        let most = stage.world.runner.most_alive_per_node();
        if most > 1 {
            doubled.push(format!("{most} runs of one node were alive at once"));
        }
    }
}

fn moved(before: &mut Known, job: &Job, broken: &mut Vec<String>) {
    if before.ended.is_some() {
        broken.push(format!("{} ended and went on to version {}", job.id, job.version));
    }
    if job.version < before.version {
        broken.push(format!("{} went from version {} to {}", job.id, before.version, job.version));
    }
    before.version = job.version;
    if job.state.is_terminal() {
        before.ended = Some(Box::new(job.clone()));
        if job.due_at.is_some() || job.intent.is_some() {
            broken.push(format!("{} ended and has a next effect", job.id));
        }
    } else if job.due_at.is_none() || job.intent.is_none() {
        broken.push(format!("{} has no next effect in step {:?}", job.id, job.step));
    } else if job.state == JobState::Queued {
        broken.push(format!("{} was committed and is still queued", job.id));
    }
}
