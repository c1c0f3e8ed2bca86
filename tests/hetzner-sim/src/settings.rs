//! What can be changed while the simulator runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// All settings; absent fields of a change keep their value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How long things take.
    pub times: Times,
    /// The request budget.
    pub rate: Rate,
    /// What a project may hold.
    pub limits: Limits,
    /// How a token that may only read is refused.
    pub readonly: Readonly,
    /// When permission is looked at.
    pub permission_check: PermissionCheck,
    /// Which address the next server gets.
    pub addresses: AddressOrder,
}

/// A change of settings that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not the shape of the settings.
    #[error("settings: {0}")]
    Shape(#[from] serde_json::Error),
    /// A value out of its range.
    #[error("settings: {0}")]
    Range(&'static str),
}

impl Settings {
    /// These settings with `change` merged in (RFC 7396, without removal).
    ///
    /// # Errors
    /// A field that does not exist, a wrong type, or a value out of range.
    pub fn changed(&self, change: &serde_json::Value) -> Result<Self, SettingsError> {
        if !change.is_object() {
            return Err(SettingsError::Range("a change is an object"));
        }
        let mut merged = serde_json::to_value(self)?;
        merge(&mut merged, change);
        let settings: Self = serde_json::from_value(merged)?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), SettingsError> {
        if self.times.all().iter().any(|secs| !(0.0..=1.0e6).contains(secs)) {
            return Err(SettingsError::Range("times are 0 to 1000000 seconds"));
        }
        if !(0.0..=1.0e6).contains(&self.rate.refill_per_sec) {
            return Err(SettingsError::Range("refill_per_sec is 0 to 1000000"));
        }
        if ![401, 403].contains(&self.readonly.status) {
            return Err(SettingsError::Range("readonly.status is 401 or 403"));
        }
        Ok(())
    }
}

fn merge(into: &mut serde_json::Value, change: &serde_json::Value) {
    match (into, change) {
        (serde_json::Value::Object(into), serde_json::Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key.clone()).or_insert(serde_json::Value::Null), value);
            }
        }
        (into, change) => *into = change.clone(),
    }
}

/// Durations in seconds; with real machines behind the servers these are the
/// least it takes, since an action ends not before its machine has followed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Times {
    /// `create_server`.
    pub create_secs: f64,
    /// `start_server`, also the one that follows a creation.
    pub start_secs: f64,
    /// `stop_server`: the plug pulled.
    pub stop_secs: f64,
    /// `shutdown_server`: asked to power down.
    pub shutdown_secs: f64,
    /// `reboot_server` and `reset_server`.
    pub reboot_secs: f64,
    /// `rebuild_server`.
    pub rebuild_secs: f64,
    /// `delete_server`: so long are name, address and quota still taken.
    pub delete_secs: f64,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            create_secs: 3.0,
            start_secs: 1.0,
            stop_secs: 1.0,
            shutdown_secs: 2.0,
            reboot_secs: 2.0,
            rebuild_secs: 3.0,
            delete_secs: 2.0,
        }
    }
}

impl Times {
    fn all(&self) -> [f64; 7] {
        [
            self.create_secs,
            self.start_secs,
            self.stop_secs,
            self.shutdown_secs,
            self.reboot_secs,
            self.rebuild_secs,
            self.delete_secs,
        ]
    }
}

/// Seconds of the settings as a span; what is no span is none.
pub fn span(secs: f64) -> Duration {
    Duration::try_from_secs_f64(secs).unwrap_or_default()
}

/// The request budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rate {
    /// The most that can be saved up.
    pub limit: u32,
    /// Requests that come back each second.
    pub refill_per_sec: f64,
    /// Who shares a budget.
    pub scope: RateScope,
}

impl Default for Rate {
    // [documented] 3,600 requests per hour and project, one back each second.
    fn default() -> Self {
        Self { limit: 3600, refill_per_sec: 1.0, scope: RateScope::Project }
    }
}

/// Who shares a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateScope {
    /// All tokens of a project. [documented]
    Project,
    /// Each token has its own. [assumed] for accounts that are treated so.
    Token,
}

/// What a project may hold; `null` is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Servers, those being deleted included.
    pub servers: Option<u32>,
    /// Primary IPs, those of servers included.
    pub primary_ips: Option<u32>,
    /// SSH keys.
    pub ssh_keys: Option<u32>,
    /// Placement groups. [observed] 50 for each project.
    pub placement_groups: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { servers: None, primary_ips: None, ssh_keys: None, placement_groups: Some(50) }
    }
}

/// How a token that may only read is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Readonly {
    /// 401 or 403: sources differ.
    pub status: u16,
    /// The code of the refusal.
    pub code: ReadonlyCode,
}

impl Default for Readonly {
    // [documented] in one published contract as 401; absent from another.
    fn default() -> Self {
        Self { status: 401, code: ReadonlyCode::TokenReadonly }
    }
}

/// The code of the refusal of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadonlyCode {
    /// `token_readonly`.
    TokenReadonly,
    /// `forbidden`.
    Forbidden,
}

/// When permission is looked at. Which the real API does is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PermissionCheck {
    /// Before anything else of the request.
    #[default]
    First,
    /// After the thing named in the path was found.
    AfterExistence,
    /// After everything else about the request was found right.
    AfterValidation,
}

/// Which address the next server gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressOrder {
    /// The lowest that is free, so that a freed one is given out at once.
    #[default]
    LowestFree,
    /// The one after the last given, so that a freed one rests.
    Rotating,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::{PermissionCheck, Settings};

    #[test]
    fn a_change_touches_only_what_it_names() {
        let settings = Settings::default()
            .changed(&json!({
                "times": {"create_secs": 0.5},
                "permission_check": "after_existence",
                "limits": {"servers": 2, "placement_groups": null},
            }))
            .unwrap();
        assert_eq!(settings.times.create_secs, 0.5);
        assert_eq!(settings.times.start_secs, 1.0);
        assert_eq!(settings.permission_check, PermissionCheck::AfterExistence);
        assert_eq!(settings.limits.servers, Some(2));
        assert_eq!(settings.limits.placement_groups, None);
        assert_eq!(settings.rate.limit, 3600);
    }

    #[test]
    fn misspelt_and_senseless_changes_are_refused() {
        let settings = Settings::default();
        for change in [
            json!({"times": {"create_sec": 1}}),
            json!({"time": {}}),
            json!({"times": {"delete_secs": -1}}),
            json!({"readonly": {"status": 404}}),
            json!([]),
        ] {
            assert!(settings.changed(&change).is_err(), "{change}");
        }
    }
}
