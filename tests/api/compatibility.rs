//! What a front end was built upon goes on working: the contract is held against that of the last release.
//!
//! What callers send may only become more, what they are answered may only say more. Codes of a dictionary may be added: a front end
//! shows one that it doesn't know by its label.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Value, json};

fn released() -> Value {
    serde_json::from_str(include_str!("../../openapi/released.json")).expect("the contract of the last release")
}

/// Who has to bear a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    /// What a caller sends: all that was taken is taken.
    Sent,
    /// What a caller is answered: all that was there is there.
    Answered,
}

struct Comparison<'a> {
    before: &'a Value,
    after: &'a Value,
    breaks: Vec<String>,
    /// Pairs of schemas that are compared already.
    seen: HashSet<(String, String, Way)>,
}

/// Everything that would stop a caller who keeps to the contract before.
fn breaks(before: &Value, after: &Value) -> Vec<String> {
    let mut comparison = Comparison { before, after, breaks: Vec::new(), seen: HashSet::new() };
    comparison.paths();
    comparison.breaks
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn texts(value: &Value) -> BTreeSet<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The kinds of value that a schema takes; none is any.
fn kinds(schema: &Value) -> BTreeSet<&str> {
    let mut kinds = match &schema["type"] {
        Value::String(kind) => BTreeSet::from([kind.as_str()]),
        all => texts(all),
    };
    // A whole number is a number.
    if kinds.contains("number") {
        kinds.insert("integer");
    }
    kinds
}

fn is_open(operation: &Value) -> bool {
    operation["security"].as_array().is_some_and(|list| list.is_empty() || list.contains(&json!({})))
}

impl<'a> Comparison<'a> {
    fn tell(&mut self, at: &str, what: impl std::fmt::Display) {
        self.breaks.push(format!("{at}: {what}"));
    }

    fn paths(&mut self) {
        let (before, after) = (self.before, self.after);
        for (path, item) in members(&before["paths"]) {
            for (method, operation) in members(item) {
                let at = format!("{} {path}", method.to_uppercase());
                match &after["paths"][path][method] {
                    Value::Null => self.tell(&at, "is gone"),
                    now => self.operation(&at, operation, now),
                }
            }
        }
    }

    fn operation(&mut self, at: &str, before: &'a Value, after: &'a Value) {
        if is_open(before) && !is_open(after) {
            self.tell(at, "asks for a token");
        }
        if before["operationId"] != after["operationId"] {
            self.tell(at, "generated clients call it by another name");
        }
        let list = |operation: &'a Value| operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        let same = |one: &Value, other: &Value| one["name"] == other["name"] && one["in"] == other["in"];
        for parameter in list(before) {
            let at = format!("{at} {}", parameter["name"].as_str().unwrap_or_default());
            match list(after).iter().find(|now| same(parameter, now)) {
                None => self.tell(&at, "is taken no more"),
                Some(now) => {
                    if now["required"] == true && parameter["required"] != true {
                        self.tell(&at, "must be given");
                    }
                    self.schema(&at, &parameter["schema"], &now["schema"], Way::Sent);
                }
            }
        }
        for new in list(after).iter().filter(|new| new["required"] == true && !list(before).iter().any(|known| same(known, new))) {
            self.tell(&format!("{at} {}", new["name"].as_str().unwrap_or_default()), "must be given");
        }
        if after["requestBody"]["required"] == true && before["requestBody"]["required"] != true {
            self.tell(at, "a body must be sent");
        }
        self.content(&format!("{at} body"), &before["requestBody"], &after["requestBody"], Way::Sent);
        for (status, answer) in members(&before["responses"]).filter(|(status, _)| status.starts_with('2')) {
            let at = format!("{at} {status}");
            match &after["responses"][status] {
                Value::Null => self.tell(&at, "is answered no more"),
                now => self.content(&at, answer, now, Way::Answered),
            }
        }
    }

    fn content(&mut self, at: &str, before: &'a Value, after: &'a Value, way: Way) {
        for (kind, media) in members(&before["content"]) {
            match &after["content"][kind] {
                Value::Null => self.tell(at, format_args!("{kind} is gone")),
                now => self.schema(at, &media["schema"], &now["schema"], way),
            }
        }
    }

    fn schema(&mut self, at: &str, before: &'a Value, after: &'a Value, way: Way) {
        let (before_name, after_name) = (before["$ref"].as_str(), after["$ref"].as_str());
        if let (Some(one), Some(other)) = (before_name, after_name)
            && !self.seen.insert((one.to_owned(), other.to_owned(), way))
        {
            return;
        }
        let resolved = |document: &'a Value, schema: &'a Value, name: Option<&str>| match name {
            Some(name) => document.pointer(name.trim_start_matches('#')).unwrap_or(schema),
            None => schema,
        };
        let (before, after) = (resolved(self.before, before, before_name), resolved(self.after, after, after_name));
        let at = &match before_name.and_then(|name| name.rsplit('/').next()) {
            Some(name) => format!("{name} ({way:?})"),
            None => at.to_owned(),
        };
        // The side that may be narrower, and the one that must take it.
        let (narrow, wide) = if way == Way::Sent { (before, after) } else { (after, before) };
        let (narrow_kinds, wide_kinds) = (kinds(narrow), kinds(wide));
        if !wide_kinds.is_empty() && (narrow_kinds.is_empty() && members(narrow).next().is_some() || !narrow_kinds.is_subset(&wide_kinds)) {
            self.tell(at, format_args!("was {:?}, is {:?}", kinds(before), kinds(after)));
        }
        let (had, has) = (texts(&before["required"]), texts(&after["required"]));
        let promised = if way == Way::Sent { &has - &had } else { &had - &has };
        for name in promised {
            self.tell(at, format_args!("{name} {}", if way == Way::Sent { "must be given" } else { "may be missing" }));
        }
        for (name, member) in members(&before["properties"]) {
            match &after["properties"][name] {
                Value::Null => self.tell(at, format_args!("{name} is gone")),
                now => self.schema(&format!("{at} {name}"), member, now, way),
            }
        }
        for part in ["items", "additionalProperties"] {
            if before[part].is_object() && after[part].is_object() {
                self.schema(&format!("{at} {part}"), &before[part], &after[part], way);
            }
        }
        for choice in ["oneOf", "anyOf", "allOf"] {
            let list = |schema: &'a Value| schema[choice].as_array().map(Vec::as_slice).unwrap_or_default();
            if list(before).len() != list(after).len() {
                self.tell(at, format_args!("{choice} has other parts"));
            }
            for (one, other) in list(before).iter().zip(list(after)) {
                self.schema(&format!("{at} {choice}"), one, other, way);
            }
        }
        if way == Way::Sent {
            self.limits(at, before, after);
        }
    }

    /// What was taken must not be too much now.
    fn limits(&mut self, at: &str, before: &Value, after: &Value) {
        for code in &texts(&before["enum"]) - &texts(&after["enum"]) {
            if after["enum"].is_array() {
                self.tell(at, format_args!("{code} is taken no more"));
            }
        }
        if after["enum"].is_array() && !before["enum"].is_array() {
            self.tell(at, "takes only some values");
        }
        for most in ["maxLength", "maximum", "maxItems", "maxProperties", "exclusiveMaximum"] {
            if let Some(now) = after[most].as_f64()
                && before[most].as_f64().is_none_or(|then| now < then)
            {
                self.tell(at, format_args!("{most} is {now}"));
            }
        }
        for least in ["minLength", "minimum", "minItems", "minProperties", "exclusiveMinimum"] {
            if let Some(now) = after[least].as_f64()
                && before[least].as_f64().is_none_or(|then| now > then)
            {
                self.tell(at, format_args!("{least} is {now}"));
            }
        }
        for form in ["pattern", "format"] {
            if after[form].is_string() && after[form] != before[form] {
                self.tell(at, format_args!("{form} is {}", after[form]));
            }
        }
        if after["additionalProperties"] == false && before["additionalProperties"] != false {
            self.tell(at, "takes no further members");
        }
    }
}

#[test]
fn what_was_released_goes_on_working() {
    let found = breaks(&released(), &yiyong::app::document());
    assert!(found.is_empty(), "front ends of the last release would fail: {found:#?}");
}

/// What is new since the release stands in the changelog, so that a front end reads of it.
#[test]
fn what_is_new_is_told() {
    let changelog = include_str!("../../openapi/CHANGELOG.md");
    let unreleased = changelog.split("\n## ").find(|part| part.starts_with("Unreleased")).expect("a part for what is not released yet");
    let (before, after) = (released(), yiyong::app::document());
    for (path, item) in members(&after["paths"]) {
        for (method, operation) in members(item) {
            let then = &before["paths"][path][method];
            let name = format!("`{} {}`", method.to_uppercase(), path.trim_start_matches("/api/v1"));
            assert!(then.is_object() || unreleased.contains(&name), "the changelog doesn't tell of {name}");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let known = then["parameters"].as_array().into_iter().flatten().any(|known| known["name"] == parameter["name"]);
                let name = format!("`{}`", parameter["name"].as_str().expect("a name"));
                assert!(!then.is_object() || known || unreleased.contains(&name), "{method} {path}: the changelog doesn't tell of {name}");
            }
        }
    }
}

/// Something done to a part of the contract.
type Change = fn(&mut Value);

/// Each kind of break is one, and what only adds is none.
#[test]
fn a_break_is_seen() {
    let before = released();
    let found = |pointer: &str, change: Change| {
        let mut after = before.clone();
        change(after.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing at {pointer}")));
        breaks(&before, &after)
    };
    const STATIONS: &str = "/paths/~1api~1v1~1workstations";
    let seen: [(&str, Change, &str); 14] = [
        ("/paths", |v| drop(v.as_object_mut().expect("paths").remove("/api/v1/workstations")), "GET /api/v1/workstations: is gone"),
        ("/components/schemas/Workstation/properties", |v| drop(v.as_object_mut().expect("members").remove("name")), "name is gone"),
        ("/components/schemas/Workstation/properties/name/type", |v| *v = json!("integer"), "was {\"string\"}, is {\"integer\"}"),
        ("/components/schemas/Workstation/properties/name/type", |v| *v = json!(["string", "null"]), "is {\"null\", \"string\"}"),
        ("/components/schemas/Workstation/required", |v| v.as_array_mut().expect("names").retain(|n| n != "name"), "name may be missing"),
        ("/components/schemas/WorkstationDraft/required", |v| v.as_array_mut().expect("names").push(json!("note")), "note must be given"),
        ("/components/schemas/WorkstationDraft/properties", |v| drop(v.as_object_mut().expect("members").remove("name")), "name is gone"),
        ("/components/schemas/WorkstationDraft/properties/name/maxLength", |v| *v = json!(1), "maxLength is 1"),
        ("/components/schemas/HostKind/enum", |v| drop(v.as_array_mut().expect("codes").pop()), "is taken no more"),
        (STATIONS, |v| v["get"]["parameters"] = json!([]), "is taken no more"),
        (STATIONS, |v| v["get"]["parameters"][0]["required"] = json!(true), "must be given"),
        (STATIONS, |v| drop(v["get"]["responses"].as_object_mut().expect("answers").remove("200")), "200: is answered no more"),
        (STATIONS, |v| v["get"]["operationId"] = json!("other"), "by another name"),
        ("/paths/~1api~1v1~1public~1map/get", |v| drop(v.as_object_mut().expect("an operation").remove("security")), "asks for a token"),
    ];
    for (pointer, change, told) in seen {
        let breaks = found(pointer, change);
        assert!(breaks.iter().any(|line| line.contains(told)), "{pointer}: {told}: {breaks:?}");
    }
    let fine: [(&str, Change); 5] = [
        ("/paths", |v| v["/api/v1/new"] = json!({"get": {"operationId": "new", "responses": {}}})),
        ("/components/schemas/Workstation/properties", |v| v["new"] = json!({"type": "string"})),
        ("/components/schemas/WorkstationDraft/properties", |v| v["new"] = json!({"type": "string"})),
        ("/components/schemas/WorkstationDraft/properties/name/maxLength", |v| *v = json!(10_000)),
        ("/components/schemas/HostKind/enum", |v| v.as_array_mut().expect("codes").push(json!("new"))),
    ];
    for (pointer, change) in fine {
        assert_eq!(found(pointer, change), Vec::<String>::new(), "{pointer}");
    }
}
