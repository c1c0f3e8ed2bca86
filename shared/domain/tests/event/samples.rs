//! The samples in `events/` are what a subscriber of the bus receives: one of each kind.

use std::{collections::BTreeSet, path::Path};

use nodeyard_domain::event::{Event, EventKind, SOURCE, VERSION};
use serde_json::Value;

fn samples() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events");
    let files = std::fs::read_dir(folder).unwrap().flatten();
    files
        .filter(|file| file.file_name().to_string_lossy().starts_with("event-"))
        .map(|file| {
            let text = std::fs::read_to_string(file.path()).unwrap();
            let name = file.file_name().to_string_lossy().into_owned();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect()
}

#[test]
fn there_is_one_of_each_kind_and_each_is_what_we_would_send() {
    let mut seen = BTreeSet::new();
    for (name, sample) in samples() {
        let event: Event = serde_json::from_value(sample["detail"].clone()).unwrap();
        assert_eq!(serde_json::to_value(&event).unwrap(), sample["detail"], "{name}");
        assert_eq!(sample["detail-type"], event.kind().as_str(), "{name}");
        assert_eq!(sample["detail"]["kind"], event.kind().as_str(), "{name}");
        assert_eq!(sample["detail"]["at"], sample["time"], "{name}");
        assert_eq!((&sample["source"], event.version), (&Value::from(SOURCE), VERSION), "{name}");
        assert!(seen.insert(event.kind()), "{name} is the second of its kind");
    }
    assert_eq!(seen, EventKind::ALL.iter().copied().collect());
}

/// A subscriber of this release reads what a later one tells, as long as the version is the same.
#[test]
fn fields_that_come_later_are_no_reason_to_fail() {
    for (name, mut sample) in samples() {
        let detail = sample["detail"].as_object_mut().unwrap();
        let plain: Event = serde_json::from_value(Value::Object(detail.clone())).unwrap();
        detail.insert("added_later".to_owned(), Value::from(1));
        let known: Result<Event, _> = serde_json::from_value(sample["detail"].clone());
        assert_eq!(known.unwrap(), plain, "{name}");
    }
}
