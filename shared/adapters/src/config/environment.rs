//! Reads variables and gathers what is wrong with them.

use std::{collections::BTreeMap, net::IpAddr};

use nodeyard_domain::label::is_dns_label;

use super::ConfigError;

pub(super) struct Environment {
    values: BTreeMap<String, String>,
    problems: Vec<String>,
}

impl Environment {
    pub(super) fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { values: pairs.into_iter().collect(), problems: Vec::new() }
    }

    /// The value without blanks around it; an empty one counts as absent.
    pub(super) fn optional(&self, name: &str) -> Option<String> {
        self.values.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    pub(super) fn text(&mut self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.problems.push(format!("{name} is missing"));
            String::new()
        })
    }

    pub(super) fn label(&mut self, name: &str) -> String {
        let value = self.text(name);
        if !value.is_empty() && !is_dns_label(&value) {
            self.problems.push(format!("{name} is not a lowercase name: {value}"));
        }
        value
    }

    /// A URL without a slash at its end.
    pub(super) fn url(&mut self, name: &str, default: Option<&str>) -> String {
        let value = match (self.optional(name), default) {
            (Some(value), _) => value,
            (None, Some(default)) => default.to_owned(),
            (None, None) => self.text(name),
        };
        if !value.is_empty() && !is_http_url(&value) {
            self.problems.push(format!("{name} is not an http(s) URL: {value}"));
        }
        value.trim_end_matches('/').to_owned()
    }

    /// `true` or `false`.
    pub(super) fn is_on(&mut self, name: &str, default: bool) -> bool {
        match self.optional(name).as_deref() {
            None => default,
            Some("true") => true,
            Some("false") => false,
            Some(other) => {
                self.problems.push(format!("{name} is neither true nor false: {other}"));
                default
            }
        }
    }

    /// A list separated by commas; absent is empty.
    pub(super) fn list(&mut self, name: &str) -> Vec<String> {
        let value = self.optional(name).unwrap_or_default();
        let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    }

    /// What a parser of ours makes of the value; absent is none.
    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(&self.optional(name)?) {
            Ok(parsed) => Some(parsed),
            Err(wrong) => {
                self.problems.push(format!("{name} cannot be read: {wrong}"));
                None
            }
        }
    }

    pub(super) fn cidrs(&mut self, name: &str) -> Vec<String> {
        let list = self.list(name);
        for wrong in list.iter().filter(|text| !is_cidr(text)) {
            self.problems.push(format!("{name} holds something that is no CIDR: {wrong}"));
        }
        list
    }

    pub(super) fn finish<T>(self, config: T) -> Result<T, ConfigError> {
        if self.problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError { problems: self.problems })
        }
    }
}

fn is_http_url(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= most)
}
