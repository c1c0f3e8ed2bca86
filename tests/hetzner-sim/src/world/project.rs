//! Projects and the request budgets that belong to them.

use super::budget::{Budget, Standing};
use super::{ProjectId, World};
use crate::config::TokenSpec;
use crate::settings::RateScope;

impl World {
    /// The project called so, made if it is new.
    pub fn project(&mut self, name: &str) -> ProjectId {
        let at = self.projects.iter().position(|known| known == name);
        ProjectId(at.unwrap_or_else(|| {
            self.projects.push(name.to_owned());
            self.projects.len() - 1
        }))
    }

    /// The project called so.
    pub fn find_project(&self, name: &str) -> Option<ProjectId> {
        self.projects.iter().position(|known| known == name).map(ProjectId)
    }

    /// What the project is called.
    pub fn project_name(&self, project: ProjectId) -> &str {
        self.projects.get(project.0).map_or("", String::as_str)
    }

    /// The budget a token draws on.
    pub fn budget_of(&mut self, token: &TokenSpec) -> &mut Budget {
        let key = match self.settings.rate.scope {
            RateScope::Project => format!("project {}", token.project),
            RateScope::Token => format!("token {}", token.name),
        };
        self.budget(key)
    }

    /// A budget by its key, full if it is new.
    pub fn budget(&mut self, key: String) -> &mut Budget {
        let (rate, now) = (&self.settings.rate, self.now);
        self.budgets.entry(key).or_insert_with(|| Budget::full(rate, now))
    }

    /// Takes one request off a token's budget, and says how it stands.
    pub fn spend(&mut self, token: &TokenSpec) -> (bool, Standing) {
        let (rate, now) = (self.settings.rate.clone(), self.now);
        let budget = self.budget_of(token);
        (budget.take(&rate, now), budget.standing(&rate, now))
    }

    /// How the budget of those without a valid token stands after a request.
    // [documented] calls without a token count too; that they share one
    // budget is [assumed].
    pub fn spend_unknown(&mut self) -> (bool, Standing) {
        let (rate, now) = (self.settings.rate.clone(), self.now);
        let budget = self.budget("nobody".to_owned());
        (budget.take(&rate, now), budget.standing(&rate, now))
    }

    /// Takes requests off a project's budget, and off that of each of `tokens`.
    pub fn drain(&mut self, project: &str, tokens: &[TokenSpec], requests: u32) {
        let (rate, now) = (self.settings.rate.clone(), self.now);
        self.budget(format!("project {project}")).drain(&rate, now, requests);
        if rate.scope == RateScope::Token {
            for token in tokens.iter().filter(|token| token.project == project) {
                self.budget_of(token).drain(&rate, now, requests);
            }
        }
    }
}
