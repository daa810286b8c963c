//! Sample data of every operation in the contract: what a body looks like that is sent, and what comes back.
//!
//! A sample is made of its schema: of the example that stands at a member, or of what its name stands for in this city. So a member
//! that is added has a sample too, and one that is gone is gone from all of them. A test sends the samples to a server.

use serde_json::{Map, Value, json};

/// How deep a sample goes; what lies deeper is left empty.
const DEPTH: usize = 10;

/// What stands in members of these names, where the schema gives no example.
const BY_NAME: &[(&str, &str)] = &[
    ("access_token", "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIwMTkzNmEzYyJ9.c2lnbmF0dXJl"),
    ("account_code", "zz-bank"),
    ("account_name", "郑州市见义勇为协会"),
    ("address", "登封市崇高路 1 号"),
    ("allowed_actions", "update"),
    ("answer", "经核实，名单无误"),
    ("awarded_by", "郑州市人民政府"),
    ("bank_reason", "户名不符"),
    ("benefit", "升学加 10 分"),
    ("binding_ticket", "3f2a9e4b1c08d5f7"),
    ("caption", "揭牌仪式"),
    ("changes_url", "/api/v1/volunteer-teams?updated_since=2023-01-10T09%3A00%3A00%2B08%3A00"),
    ("client_secret", "四月的风吹过金水河边的柳树，也吹过嵩山脚下的麦田与少林寺前的银杏树"),
    ("code", "zz-dengfeng-001"),
    ("column", "name"),
    ("confirmed_by", "郑州市见义勇为确认委员会"),
    ("content", "见义勇为宣传周活动"),
    ("current_password", "五月的雨落在嵩山书院的石阶上"),
    ("deed_place", "郑州市金水区金水河"),
    ("deed_summary", "跳入金水河，救起一名落水儿童"),
    ("detail", "1 处需要修改"),
    ("disbursement_code", "zz-2022-0001"),
    ("division_code", "410185"),
    ("donor", "郑州市热心企业"),
    ("event_types", "disbursements.pay"),
    ("figure", "four_ones.volunteer_teams"),
    ("figures", "four_ones.volunteer_teams"),
    ("file_name", "volunteers.csv"),
    ("findings", "台账齐全"),
    ("form_title", "“四个一工程”月报表"),
    ("giver_name", "王芳"),
    ("giver_relation", "配偶"),
    ("headers_zh", "姓名"),
    ("holder_name", "王小明"),
    ("holder_relation", "本人"),
    ("host_name", "崇高路派出所"),
    ("id_number", "110101199003074610"),
    ("ignored_columns", "序号"),
    ("indicator", "志愿者队伍"),
    ("instance", "/api/v1/workstations"),
    ("introduction", "现将拟发放名单公示如下"),
    ("kid", "2022-06"),
    ("kind", "service_confirmed"),
    ("kinds", "service_confirmed"),
    ("label_en", "Venues that are finished"),
    ("label_zh", "建成的宣传阵地"),
    ("mapping_name", "民政局名册"),
    ("message", "请填写名称"),
    ("message_en", "16 the month before, 30 now: more than 50% of change"),
    ("message_zh", "上月 16，本月 30，变化超过 50%"),
    ("name", "登封市崇高路工作站"),
    ("new_password", "四月的风吹过金水河边的柳树"),
    ("next_cursor", "eyJpIjoiMDE5MzZhM2MiLCJjIjoiIiwiYiI6IngifQ"),
    ("note", "每周三值班"),
    ("number", "郑见协〔2022〕3号"),
    ("objection", "比上月少了一半，请核对"),
    ("objector", "王芳"),
    ("organization_code", "zz-dengfeng"),
    ("organization_name", "登封市见义勇为协会"),
    ("outlet", "郑州日报"),
    ("page", "pages/service/index"),
    ("parts", "four_ones.volunteers"),
    ("password", "四月的风吹过金水河边的柳树"),
    ("phone", "13800138000"),
    ("phone_code", "e31968a7f94cc5ee25fafc2aef2773f0bb8c3937b22520eb8ee345274d00c144"),
    ("place", "登封市少林大道"),
    ("proof", "户口簿"),
    ("reason", "名单有误，请核对后重新提交"),
    ("records_url", "/api/v1/volunteers?status=active"),
    ("reference", "20220128000123"),
    ("refers_to", "organizations"),
    ("refresh_token", "kQ7mX2vR9tB4nL6sW1pZ8c"),
    ("remedy_note", "已补齐值班记录并明确专人"),
    ("request_id", "0193d1b2c3d47a5f8e9b0c1d2e3f4a5b"),
    ("resource", "volunteers"),
    ("resource_en", "volunteer team"),
    ("resource_zh", "志愿者队伍"),
    ("revocation_reason", "事迹不实"),
    ("says_en", "the link's hash is not what its row makes it"),
    ("says_zh", "链上的哈希与该行不符"),
    ("secret", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
    ("sha256", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
    ("sheet", "Sheet1"),
    ("short_name", "登封"),
    ("signature", "c2lnbmF0dXJl"),
    ("summary", "巡查辖区阵地"),
    ("sync_token", "eyJzIjo0NzExfQ"),
    ("template_id", "tmpl-3f2a9e4b1c08"),
    ("text", "现将 2022 年 6 月推进情况通报如下。"),
    ("thumbnail", "/api/v1/attachment-links/01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08/thumbnail"),
    ("title", "郑州市见义勇为事迹"),
    ("title_en", "The year's work"),
    ("title_zh", "年度工作"),
    ("topic", "急救知识"),
    ("topics", "四个一建设"),
    ("type", "/problems/validation_failed"),
    ("unit", "team"),
    ("unit_zh", "支"),
    ("url", "https://register.example.cn/hooks/yiyong"),
    ("username", "wang.fang"),
    ("withdrawal_reason", "本人要求"),
];

const NUMBERS: &[(&str, f64)] = &[
    ("latitude", 34.7589225),
    ("longitude", 113.6861302),
    ("max", 100.0),
    ("percent", 50.0),
    ("status", 422.0),
    ("year", 2022.0),
    ("receipt_year", 2022.0),
    ("version", 1.0),
];

/// Writes samples into a finished document.
pub fn add(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    let sampler = Sampler { schemas: &schemas };
    let operations = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    for operation in operations.filter_map(Value::as_object_mut).flat_map(|methods| methods.values_mut()) {
        if let Some(content) = operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut) {
            sampler.add_to(content, true);
        }
        let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
        for (status, response) in responses.into_iter().flatten() {
            if let Some(content) = response.get_mut("content").and_then(Value::as_object_mut).filter(|_| status.starts_with('2')) {
                sampler.add_to(content, false);
            }
        }
    }
}

struct Sampler<'a> {
    schemas: &'a Value,
}

impl Sampler<'_> {
    fn add_to(&self, content: &mut Map<String, Value>, sent: bool) {
        for (kind, media) in content.iter_mut() {
            let has_one = media.get("example").is_some() || media.get("examples").is_some();
            if has_one || !kind.ends_with("json") {
                continue;
            }
            // A file is no value.
            let sample = self.sample(&media["schema"], "", sent, 0);
            if !sample.is_string() {
                media["example"] = sample;
            }
        }
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let name = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/components/schemas/"));
        name.map_or(schema, |name| self.resolved(&self.schemas[name]))
    }

    fn sample(&self, schema: &Value, name: &str, sent: bool, depth: usize) -> Value {
        for given in ["example", "const", "default"] {
            if let Some(value) = schema.get(given).filter(|value| !value.is_null()) {
                return value.clone();
            }
        }
        if let Some(first) = schema["examples"].get(0).or_else(|| schema["enum"].get(0)) {
            return first.clone();
        }
        if schema["$ref"].is_string() {
            return self.sample(self.resolved(schema), name, sent, depth);
        }
        for choice in ["oneOf", "anyOf"] {
            if let Some(first) = schema[choice].as_array().and_then(|all| all.iter().find(|one| one["type"] != "null")) {
                return self.sample(first, name, sent, depth);
            }
        }
        if let Some(all) = schema["allOf"].as_array() {
            let parts = all.iter().filter_map(|part| match self.sample(part, name, sent, depth) {
                Value::Object(members) => Some(members),
                _ => None,
            });
            return Value::Object(parts.flatten().collect());
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null").and_then(Value::as_str),
            kind => kind.as_str(),
        };
        match kind {
            Some("object") => self.object(schema, sent, depth),
            Some("array") if depth >= DEPTH => json!([]),
            Some("array") => json!([self.sample(&schema["items"], name, sent, depth + 1)]),
            Some("boolean") => json!(false),
            Some("integer") => json!(number(name).map_or_else(|| whole(schema, name), |n| n as i64)),
            Some("number") => json!(number(name).unwrap_or(1.0)),
            Some("string") => text(schema, name).into(),
            _ => json!({}),
        }
    }

    /// All that is always there; of what is sent, also what its schema has an example of.
    fn object(&self, schema: &Value, sent: bool, depth: usize) -> Value {
        if depth >= DEPTH {
            return json!({});
        }
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut members = Map::new();
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            if required.iter().any(|r| r == name.as_str()) || (sent && member.get("example").is_some()) {
                members.insert(name.clone(), self.sample(member, name, sent, depth + 1));
            }
        }
        // A patch requires nothing: it says what is to be another.
        if members.is_empty() && sent {
            let texts = schema["properties"].as_object().into_iter().flatten();
            let first = ["name", "title", "note"].iter().find_map(|wanted| texts.clone().find(|(name, _)| name == wanted));
            if let Some((name, member)) = first.or_else(|| texts.clone().next()) {
                members.insert(name.clone(), self.sample(member, name, sent, depth + 1));
            }
        }
        Value::Object(members)
    }
}

fn number(name: &str) -> Option<f64> {
    NUMBERS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

fn whole(schema: &Value, name: &str) -> i64 {
    let usual = if name.ends_with("fen") { 100_000 } else { 1 };
    let least = schema["minimum"].as_i64().unwrap_or(usual);
    usual.max(least).min(schema["maximum"].as_i64().unwrap_or(i64::MAX))
}

fn text(schema: &Value, name: &str) -> String {
    let text = match schema["format"].as_str() {
        Some("uuid") => "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08",
        Some("date") => "2022-06-17",
        Some("date-time") => "2022-06-17T01:30:00Z",
        Some("binary") => "",
        _ => BY_NAME.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| *text),
    };
    let most = schema["maxLength"].as_u64().and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text without a sample would show a front end nothing.
    #[test]
    fn every_text_has_a_sample() {
        let document = crate::app::document();
        let mut silent = std::collections::BTreeSet::new();
        fn look<'a>(value: &'a Value, name: &'a str, silent: &mut std::collections::BTreeSet<&'a str>) {
            match value {
                Value::String(text) if text.is_empty() => drop(silent.insert(name)),
                Value::Object(members) => members.iter().for_each(|(name, value)| look(value, name, silent)),
                Value::Array(items) => items.iter().for_each(|value| look(value, name, silent)),
                _ => {}
            }
        }
        for (path, item) in document["paths"].as_object().expect("paths") {
            for operation in item.as_object().expect("operations").values() {
                let responses = operation["responses"].as_object().into_iter().flatten().map(|(_, response)| &response["content"]);
                for content in std::iter::once(&operation["requestBody"]["content"]).chain(responses) {
                    content.as_object().into_iter().flatten().for_each(|(_, media)| look(&media["example"], path, &mut silent));
                }
            }
        }
        assert!(silent.is_empty(), "{silent:#?}");
    }

    #[test]
    fn names_are_in_order_and_used() {
        assert!(BY_NAME.is_sorted_by(|(a, _), (b, _)| a < b));
        let document = crate::app::document().to_string();
        let unused: Vec<&str> = BY_NAME.iter().map(|(name, _)| *name).filter(|name| !document.contains(&format!("\"{name}\":"))).collect();
        assert!(unused.is_empty(), "{unused:?}");
    }
}
