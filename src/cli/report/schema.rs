//! The schema in the documentation says what the report is: no less, and no more.

use boon::{Compiler, Schemas};
use serde_json::Value;

use super::tests::full;
use super::*;

const SCHEMA: &str = include_str!("../../../docs/report.schema.json");

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

fn as_json(report: &SyncReport, mode: Mode) -> Value {
    serde_json::to_value(json(report, mode)).unwrap()
}

fn is_valid(report: &Value) -> Result<(), String> {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("urn:regferry:report", schema()).unwrap();
    let index = compiler.compile("urn:regferry:report", &mut schemas).unwrap();
    schemas.validate(report, index).map_err(|error| format!("{error:#}"))
}

#[test]
fn every_report_is_as_the_schema_says() {
    for mode in [Mode::Execute, Mode::Plan] {
        assert_eq!(is_valid(&as_json(&full(), mode)), Ok(()));
    }
    let mut report = full();
    for outcome in [RunOutcome::Success, RunOutcome::Failure, RunOutcome::Timeout, RunOutcome::Cancelled] {
        report.rules[0].outcome = outcome;
        assert_eq!(is_valid(&as_json(&report, Mode::Execute)), Ok(()));
    }
    assert_eq!(is_valid(&as_json(&SyncReport::new(vec![], std::time::Duration::ZERO), Mode::Execute)), Ok(()));
}

#[test]
fn another_shape_is_refused_and_new_fields_are_not() {
    let mut report = as_json(&full(), Mode::Execute);
    report["rules"][0]["images"][0]["new"] = "field".into();
    assert_eq!(is_valid(&report), Ok(()));
    report["rules"][0]["images"][0]["bytes"] = "many".into();
    assert!(is_valid(&report).is_err());
}

#[test]
fn the_schema_explains_every_field_and_has_no_other() {
    let mut wrong = Vec::new();
    compare(&as_json(&full(), Mode::Execute), &schema(), "", &mut wrong);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Walks a report and its schema together.
fn compare(value: &Value, schema: &Value, at: &str, wrong: &mut Vec<String>) {
    let schema = resolved(schema);
    match value {
        Value::Object(fields) => {
            if schema["additionalProperties"] != true {
                wrong.push(format!("{at} does not allow new fields"));
            }
            let known = schema["properties"].as_object().unwrap();
            let required: Vec<&str> = schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            for (name, value) in fields {
                match known.get(name) {
                    Some(field) if field["description"].is_string() && required.contains(&name.as_str()) => {
                        compare(value, field, &format!("{at}.{name}"), wrong);
                    }
                    _ => wrong.push(format!("{at}.{name} is not explained, or not required")),
                }
            }
            wrong.extend(
                known.keys().filter(|name| !fields.contains_key(*name)).map(|name| format!("{at}.{name} is no field")),
            );
        }
        Value::Array(items) => items.iter().for_each(|item| compare(item, &schema["items"], at, wrong)),
        _ => {}
    }
}

fn resolved(part: &Value) -> Value {
    match part["$ref"].as_str().and_then(|name| name.strip_prefix('#')) {
        Some(pointer) => schema().pointer(pointer).unwrap().clone(),
        None => part.clone(),
    }
}
