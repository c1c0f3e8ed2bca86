//! What the README and the code say of the same things as the template.

use std::collections::BTreeSet;

use nodeyard_engine::metric::Metric;
use nodeyard_tests::template::read;
use serde_json::Value;

use super::TEMPLATE;

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap()
}

fn alarms() -> Vec<Value> {
    let template = read(TEMPLATE);
    let resources = template["Resources"].as_object().unwrap().values();
    resources
        .filter(|resource| resource["Type"] == "AWS::CloudWatch::Alarm")
        .map(|alarm| alarm["Properties"].clone())
        .collect()
}

#[test]
fn every_alarm_leads_to_a_section_of_the_run_book_and_back() {
    let anchors: BTreeSet<String> = alarms()
        .iter()
        .filter_map(|alarm| alarm["AlarmDescription"].as_str()?.split("Run-book: ").nth(1))
        .map(str::to_owned)
        .collect();
    let readme = readme();
    let sections = readme.lines().filter_map(|line| line.strip_prefix("#### Alarm: "));
    let sections: BTreeSet<String> =
        sections.map(|title| format!("alarm-{}", title.replace(' ', "-"))).collect();
    assert!(anchors.len() > 10, "{anchors:?}");
    assert_eq!(anchors, sections);
}

#[test]
fn alarms_on_figures_of_ours_are_on_figures_that_are_told_and_described() {
    let told: BTreeSet<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    let alarms = alarms();
    let alarmed: BTreeSet<&str> = alarms
        .iter()
        .filter(|alarm| alarm["Namespace"] == "Nodeyard")
        .filter_map(|alarm| alarm["MetricName"].as_str())
        .collect();
    assert!(alarmed.len() >= 4 && alarmed.is_subset(&told), "{alarmed:?}");
    let readme = readme();
    for name in told {
        assert!(readme.contains(&format!("`{name}`")), "the README does not tell of {name}");
    }
}
