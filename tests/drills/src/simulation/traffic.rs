//! What callers ask a world for: nodes, work on them, releases, and second thoughts.

use nodeyard_domain::{
    id::JobId,
    job::JobKind,
    node::{Node, NodeStatus},
};

use super::life::Life;

impl Life {
    /// One request. Those that are refused count as none.
    pub(super) fn ask(&mut self) {
        let only_free = self.random.chance(500);
        let node = self.some_node(|node| !only_free || may_work(node));
        match node {
            Some(node) if self.random.chance(600) => self.ask_about(&node),
            _ => self.ask_for_node(),
        }
    }

    fn ask_for_node(&mut self) {
        let keep_on_failure = self.random.chance(150);
        let spread = self.random.chance(200);
        let rungs = 1 + self.random.below(self.rungs.len());
        let deadline_secs = *self.random.pick(&[300, 900, 1800, 1800, 1800, 3600]);
        self.stage.provision(|spec| {
            spec.keep_on_failure = keep_on_failure;
            spec.spread = spread;
            spec.placement.truncate(rungs);
            spec.deadline_secs = deadline_secs;
        });
        self.accepted += 1;
    }

    fn ask_about(&mut self, node: &Node) {
        let draw = self.random.below(100);
        match &node.open_job {
            // As DELETE /nodes/{id} does: a provision is cancelled, other work as well, and then
            // the node is released.
            Some(open) if draw < 20 => {
                self.stage.cancel(open);
                if !self.is_provision(open) {
                    self.work(JobKind::NodeRelease, node);
                }
            }
            Some(open) if draw < 40 => self.stage.cancel(open),
            None if draw < 40 && !node.status.is_gone() => self.work(JobKind::NodeRelease, node),
            None if draw < 55 && may_be_checked(node) => self.work(JobKind::NodeCheck, node),
            None if draw < 70 && may_work(node) && node.status == NodeStatus::Ready => {
                self.work(JobKind::NodeSmoke, node);
            }
            None if may_work(node) => self.work(JobKind::NodeConfigure, node),
            _ => self.ask_for_node(),
        }
    }

    /// What could not be configured is tried again.
    pub(super) fn retry(&mut self) {
        let nodes = self.stage.world.store.all_nodes();
        for node in nodes.iter().filter(|node| node.status == NodeStatus::NotReady) {
            if may_work(node) {
                self.work(JobKind::NodeConfigure, node);
            }
        }
    }

    fn work(&mut self, kind: JobKind, node: &Node) {
        if self.stage.work(kind, &node.id).is_some() {
            self.accepted += 1;
        }
    }

    fn is_provision(&self, job: &JobId) -> bool {
        self.stage
            .world
            .store
            .with_jobs(|jobs| jobs.get(job).is_some_and(|job| job.kind == JobKind::NodeProvision))
    }
}

fn may_be_checked(node: &Node) -> bool {
    may_work(node) && node.status != NodeStatus::Kept
}

fn may_work(node: &Node) -> bool {
    let has_server =
        matches!(node.status, NodeStatus::Ready | NodeStatus::NotReady | NodeStatus::Kept);
    has_server && node.open_job.is_none()
}
