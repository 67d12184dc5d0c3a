//! For tests: what documents must look like, by the rules of their formats (`scripts/reports` asks the official
//! validators; this holds in every build what they ask for).

use serde_json::Value;

/// Every member of an object is one of these; those before `|` must be there.
fn members(value: &Value, at: &str, required: &[&str], optional: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("{at} is no object: {value}"));
    for name in required {
        assert!(object.contains_key(*name), "{at} has no {name}: {value}");
    }
    for name in object.keys() {
        let known = required.contains(&name.as_str()) || optional.contains(&name.as_str());
        assert!(known, "{at} has an unknown member {name}");
    }
}

fn list<'a>(value: &'a Value, at: &str) -> &'a [Value] {
    value.as_array().unwrap_or_else(|| panic!("{at} is no list: {value}"))
}

fn words<'a>(value: &'a Value, at: &str) -> &'a str {
    let text = value.as_str().unwrap_or_else(|| panic!("{at} is no text: {value}"));
    assert!(!text.trim().is_empty(), "{at} is empty");
    text
}

fn uuid(value: &Value, at: &str) {
    let text = words(value, at);
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12], "{at}: {text}");
    assert!(
        parts.concat().bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()),
        "{at}: {text}"
    );
    assert!(parts[2].starts_with('5') && parts[3].starts_with(['8', '9', 'a', 'b']), "{at}: {text}");
}

/// SARIF 2.1.0 with what GitHub asks for beside the schema.
pub(super) fn sarif(text: &str) -> Value {
    let document: Value = serde_json::from_str(text).unwrap();
    members(&document, "log", &["$schema", "version", "runs"], &[]);
    assert_eq!(document["version"], "2.1.0");
    for run in list(&document["runs"], "runs") {
        let required = ["tool", "automationDetails", "columnKind", "invocations", "results", "taxonomies"];
        members(run, "run", &required, &[]);
        let driver = &run["tool"]["driver"];
        for name in ["name", "fullName", "semanticVersion", "informationUri"] {
            words(&driver[name], name);
        }
        let rules = list(&driver["rules"], "rules");
        rules.iter().for_each(sarif_rule);
        for result in list(&run["results"], "results") {
            sarif_result(result, rules);
        }
        assert!(words(&run["automationDetails"]["id"], "automationDetails.id").ends_with('/'));
        for taxonomy in list(&run["taxonomies"], "taxonomies") {
            uuid(&taxonomy["guid"], "taxonomy.guid");
            assert!(!list(&taxonomy["taxa"], "taxa").is_empty());
            list(&taxonomy["taxa"], "taxa").iter().for_each(|taxon| uuid(&taxon["guid"], "taxon.guid"));
        }
        for invocation in list(&run["invocations"], "invocations") {
            let optional = ["exitCode", "endTimeUtc", "toolExecutionNotifications"];
            members(invocation, "invocation", &["executionSuccessful"], &optional);
        }
    }
    document
}

fn sarif_rule(rule: &Value) {
    let required = [
        "id",
        "name",
        "shortDescription",
        "fullDescription",
        "help",
        "helpUri",
        "defaultConfiguration",
        "properties",
        "relationships",
    ];
    members(rule, "rule", &required, &[]);
    let (id, name) = (words(&rule["id"], "rule.id"), words(&rule["name"], "rule.name"));
    assert!(id.starts_with("SMC") && id[3..].bytes().all(|byte| byte.is_ascii_digit()), "{id}");
    assert!(name != id && name.starts_with(|c: char| c.is_ascii_uppercase()), "{name}");
    for text in ["shortDescription", "fullDescription"] {
        assert!(
            words(&rule[text]["text"], text).ends_with(['.', '!', '?']),
            "{id}: {text} ends like a sentence"
        );
    }
    words(&rule["help"]["text"], "help");
    words(&rule["help"]["markdown"], "help");
    let score: f64 = words(&rule["properties"]["security-severity"], "security-severity").parse().unwrap();
    assert!((0.1..=10.0).contains(&score));
    assert!(list(&rule["properties"]["tags"], "tags").contains(&"security".into()));
    level(&rule["defaultConfiguration"]["level"]);
}

fn level(value: &Value) {
    assert!(["error", "warning", "note"].contains(&words(value, "level")), "{value}");
}

fn sarif_result(result: &Value, rules: &[Value]) {
    let required =
        ["ruleId", "ruleIndex", "kind", "level", "message", "locations", "partialFingerprints", "properties"];
    members(result, "result", &required, &["suppressions", "baselineState"]);
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(rules[index]["id"], result["ruleId"], "ruleIndex names the rule");
    assert_eq!(result["kind"], "fail", "GitHub shows every kind as an alert");
    level(&result["level"]);
    words(&result["message"]["text"], "message");
    let locations = list(&result["locations"], "locations");
    assert!(!locations.is_empty(), "GitHub wants a location");
    for location in locations {
        let physical = &location["physicalLocation"];
        let uri = words(&physical["artifactLocation"]["uri"], "uri");
        assert!(!uri.contains([' ', '\\']) && (!uri.contains(':') || uri.starts_with("file:///")), "{uri}");
        assert!(physical["region"]["startLine"].as_u64().unwrap() >= 1);
    }
    let prints = result["partialFingerprints"].as_object().unwrap();
    assert!(!prints.is_empty() && prints.values().all(Value::is_string));
    for suppression in result["suppressions"].as_array().into_iter().flatten() {
        assert_eq!(suppression["kind"], "external");
        words(&suppression["justification"], "justification");
    }
}

/// OSCAL assessment results 1.2.1.
pub(super) fn oscal(text: &str) -> Value {
    let document: Value = serde_json::from_str(text).unwrap();
    nothing_is_empty(&document, "document");
    members(&document, "document", &["assessment-results"], &[]);
    let results = &document["assessment-results"];
    members(results, "assessment-results", &["uuid", "metadata", "import-ap", "results"], &["back-matter"]);
    members(&results["metadata"], "metadata", &["title", "last-modified", "version", "oscal-version"], &[]);
    assert_eq!(results["metadata"]["oscal-version"], "1.2.1");
    uuid(&results["uuid"], "uuid");
    let plan = words(&results["import-ap"]["href"], "href").trim_start_matches('#').to_owned();
    let resources = list(&results["back-matter"]["resources"], "resources");
    assert!(resources.iter().any(|resource| resource["uuid"] == plan), "import-ap leads somewhere");
    for result in list(&results["results"], "results") {
        let required = ["uuid", "title", "description", "start", "reviewed-controls"];
        members(result, "result", &required, &["end", "props", "observations", "risks", "findings"]);
        oscal_result(result);
    }
    document
}

fn oscal_result(result: &Value) {
    let each = |name: &str| result[name].as_array().cloned().unwrap_or_default();
    let (observations, risks) = (each("observations"), each("risks"));
    for observation in &observations {
        let optional = ["title", "props", "types", "relevant-evidence", "expires"];
        members(observation, "observation", &["uuid", "description", "methods", "collected"], &optional);
        uuid(&observation["uuid"], "observation");
        assert!(["TEST", "EXAMINE", "INTERVIEW"].contains(&words(&observation["methods"][0], "method")));
    }
    for risk in &risks {
        let optional = ["props", "remediations", "related-observations", "deadline", "risk-log"];
        members(risk, "risk", &["uuid", "title", "description", "statement", "status"], &optional);
        assert!(["open", "deviation-approved"].contains(&words(&risk["status"], "status")));
        leads(risk, "related-observations", "observation-uuid", &observations);
    }
    for finding in each("findings") {
        let optional = ["related-observations", "related-risks"];
        members(&finding, "finding", &["uuid", "title", "description", "target"], &optional);
        let target = &finding["target"];
        members(target, "target", &["type", "target-id", "status"], &["remarks", "title", "description"]);
        let state = words(&target["status"]["state"], "state");
        assert!(["satisfied", "not-satisfied"].contains(&state), "{state}");
        token(words(&target["target-id"], "target-id"));
        leads(&finding, "related-observations", "observation-uuid", &observations);
        leads(&finding, "related-risks", "risk-uuid", &risks);
    }
    for selection in list(&result["reviewed-controls"]["control-selections"], "selections") {
        for control in selection["include-controls"].as_array().into_iter().flatten() {
            token(words(&control["control-id"], "control-id"));
        }
    }
    let mut all: Vec<&Value> = observations.iter().chain(&risks).map(|one| &one["uuid"]).collect();
    let count = all.len();
    all.sort_by_key(|id| id.to_string());
    all.dedup();
    assert_eq!(all.len(), count, "no id twice");
}

fn leads(from: &Value, member: &str, name: &str, to: &[Value]) {
    for one in from[member].as_array().into_iter().flatten() {
        assert!(to.iter().any(|known| known["uuid"] == one[name]), "{member} leads nowhere: {one}");
    }
}

fn token(text: &str) {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let rest = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    assert!(first && rest, "no token: {text}");
}

fn nothing_is_empty(value: &Value, at: &str) {
    match value {
        Value::Array(items) => {
            assert!(!items.is_empty(), "{at} is an empty list");
            items.iter().for_each(|item| nothing_is_empty(item, at));
        }
        Value::Object(object) => {
            object.iter().for_each(|(name, value)| nothing_is_empty(value, &format!("{at}.{name}")))
        }
        Value::String(text) => assert!(!text.trim().is_empty(), "{at} is empty"),
        Value::Null => panic!("{at} is null"),
        Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Well-formed XML of JUnit's elements; the names of its cases.
pub(super) fn junit(text: &str) -> Vec<String> {
    let body = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").expect("a declaration");
    let (mut open, mut cases) = (Vec::new(), Vec::new());
    for piece in body.split('<').skip(1) {
        let (tag, inside) = piece.split_once('>').unwrap_or_else(|| panic!("an open tag: {piece}"));
        assert!(!inside.contains(['>', '"']), "unescaped: {inside}");
        assert!(piece.chars().all(|c| c == '\n' || !c.is_control()), "a control character: {piece:?}");
        for entity in tag.split('&').skip(1).chain(inside.split('&').skip(1)) {
            let name = entity.split(';').next().unwrap();
            assert!(["lt", "gt", "amp", "quot", "apos"].contains(&name), "unescaped: &{entity}");
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "elements are closed in order");
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap().to_owned();
        let known = ["testsuites", "testsuite", "testcase", "failure", "error", "skipped", "system-out"];
        assert!(known.contains(&name.as_str()), "{name}");
        if name == "testcase" {
            cases.push(tag.split(" name=\"").nth(1).unwrap().split('"').next().unwrap().to_owned());
        }
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    cases
}
