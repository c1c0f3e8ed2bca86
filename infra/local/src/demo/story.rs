//! A job's timeline, told as it grows.

use serde_json::Value;

use super::Stage;
use crate::error::Result;

/// How far a job's timeline has been told.
#[derive(Debug)]
pub struct Story {
    /// The page that was looked at last.
    page: String,
    /// How many of its entries have been told.
    told: usize,
}

impl Story {
    /// Nothing told yet.
    pub fn of(job_id: &str) -> Self {
        Self { page: format!("/jobs/{job_id}/timeline?limit=100"), told: 0 }
    }

    /// The messages that are new since the last look.
    ///
    /// # Errors
    /// The timeline cannot be read.
    pub async fn news(&mut self, stage: &Stage) -> Result<Vec<String>> {
        let mut news = Vec::new();
        loop {
            let page = stage.api.get(&self.page).await?;
            let more = self.take(&page, &mut news);
            if !more {
                return Ok(news);
            }
        }
    }

    /// Takes what is new of a page; says whether there is another.
    fn take(&mut self, page: &Value, news: &mut Vec<String>) -> bool {
        let entries = page.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let messages = entries.iter().skip(self.told).filter_map(|it| it.get("message")?.as_str());
        news.extend(messages.map(str::to_owned));
        match page.get("next").and_then(Value::as_str) {
            Some(next) => {
                *self = Self { page: next.to_owned(), told: 0 };
                true
            }
            None => {
                self.told = entries.len();
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Story;
    use serde_json::json;

    #[test]
    fn every_entry_is_told_once_also_on_a_page_that_grows() {
        let mut story = Story::of("job-1");
        let mut news = Vec::new();
        let entry = |text: &str| json!({ "message": text });
        assert!(!story.take(&json!({ "items": [entry("a")], "next": null }), &mut news));
        let grown = json!({ "items": [entry("a"), entry("b")], "next": "/next" });
        assert!(story.take(&grown, &mut news));
        assert!(!story.take(&json!({ "items": [entry("c")], "next": null }), &mut news));
        assert_eq!(news, ["a", "b", "c"]);
        assert_eq!(story.page, "/next");
    }
}
