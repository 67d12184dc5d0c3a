//! One question to several linked accounts of a person: done here for every reading tool alike, which runs once for
//! each account and never learns of the others.
//!
//! Never lets one account's failure hide what the others answered, and never runs for an account that is not the
//! caller's own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};

use super::tools::{ALL, Answer, Arguments, Context, FOOTER, ToolError, ToolSpec, the_one_named};
use crate::domain::LinkId;
use crate::domain::linking::{ALL_ACCOUNTS, MOST_ACCOUNTS};
use crate::policy::{ToolClass, ToolPolicies, Toolset};
use crate::spotify::text::clean;
use crate::store::Link;

/// The argument that names an account.
const ARGUMENT: &str = "account";
/// Where each account's own part of an answer stands.
const PARTS: &str = "by_account";
/// How long before the call's deadline each account's own ends: what came in time is still put together.
const RESERVE: Duration = Duration::from_millis(300);
/// Longest name of an account in an answer: an id is no longer.
const LONGEST_NAME: usize = 256;

/// How a tool takes the argument `account`.
#[derive(Debug)]
enum Takes {
    /// One account: it changes something.
    One,
    /// Several: its answer has these fields of rows.
    Several(Vec<String>),
}

/// What all tools take; tools about the accounts themselves are not in it, nor those without the argument.
#[derive(Debug)]
pub(super) struct Accounts(HashMap<&'static str, Takes>);

impl Accounts {
    /// Of all tools, by their policies and schemas.
    pub(super) fn of(policies: &ToolPolicies) -> Self {
        let takes = |tool: &'static ToolSpec| {
            let policy = policies.of(tool.name)?;
            let has_argument = properties(&(tool.input)()).is_some_and(|known| known.contains_key(ARGUMENT));
            let takes = match policy.class {
                _ if policy.toolset == Toolset::Accounts || !has_argument => return None,
                ToolClass::Look => Takes::Several(fields_of_rows(&(tool.output)())),
                ToolClass::Change | ToolClass::Control => Takes::One,
            };
            Some((tool.name, takes))
        };
        Self(ALL.into_iter().filter_map(takes).collect())
    }

    /// A tool's schemas as they are listed: those of a reading tool say that it takes several accounts, and what it
    /// answers then.
    pub(super) fn schemas(&self, tool: &ToolSpec) -> (Map<String, Value>, Map<String, Value>) {
        let (mut input, mut output) = ((tool.input)(), (tool.output)());
        if let Some(Takes::Several(rows)) = self.0.get(tool.name) {
            widen(&mut input);
            add_parts(&mut output, rows);
        }
        (input, output)
    }
}

/// The linked accounts that a call came to use, for the trail.
#[derive(Debug, Default)]
pub(super) struct Used(Mutex<Vec<LinkId>>);

impl Used {
    /// Adds one.
    pub(super) fn note(&self, link: &LinkId) {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !used.contains(link) && used.len() <= MOST_ACCOUNTS {
            used.push(link.clone());
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<LinkId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Which accounts are asked.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// The one that is named, or the primary one: the tool reads the argument itself.
    One,
    /// These.
    Named(Vec<String>),
    /// Every linked one.
    All,
}

/// Runs a tool for the account, or for each of the accounts, that its arguments name.
pub(super) async fn run(
    context: Context<'_>,
    tool: &'static ToolSpec,
    arguments: Arguments,
) -> Result<Answer, ToolError> {
    let Some(takes) = context.server.accounts.0.get(tool.name) else {
        let answer = (tool.run)(context, arguments).await?;
        return Ok(if tool.hints.open_world { done_with(context, answer).await } else { answer });
    };
    match (asked(&arguments)?, takes) {
        (Asked::One, Takes::Several(_)) => (tool.run)(context, arguments).await,
        (Asked::One, Takes::One) => Ok(done_with(context, (tool.run)(context, arguments).await?).await),
        (_, Takes::One) => Err(ToolError::invalid(
            "The argument 'account' is not valid: a tool that changes something works with one account at a time. Name \
             one, and call again for the next.",
        )),
        (asked, Takes::Several(rows)) => {
            let links = chosen(context, asked).await?;
            if links.len() > 1 && goes_on(&arguments) {
                return Err(ToolError::invalid(
                    "The argument 'account' is not valid: where a list goes on differs from account to account, so that with \
                     several of them rows would be skipped. Go on with one account at a time, and its own place out of \
                     by_account.",
                ));
            }
            let answers = join_all(links.iter().map(|link| one(context, tool, arguments.clone(), link)));
            combined(links.iter().map(name).zip(answers.await).collect(), rows)
        }
    }
}

/// The same with the account that something was done with, where the person has several.
async fn done_with(context: Context<'_>, answer: Answer) -> Answer {
    let used = context.used.all();
    let Ok(links) = context.links().await else { return answer };
    if links.len() < 2 {
        return answer;
    }
    let named = |id: &LinkId| links.iter().find(|link| link.id == *id).map(name);
    match used.iter().filter_map(named).collect::<Vec<_>>().as_slice() {
        [account] => answer.remarking(&format!("\nWith the account {account}.")),
        [from, to] => answer.remarking(&format!("\nFrom the account {from} into the account {to}.")),
        _ => answer,
    }
}

/// Whether a place is named from which a list goes on: each account has its own. Times are the same for all.
fn goes_on(arguments: &Arguments) -> bool {
    let is_first = |place: &Value| place.is_null() || place.as_f64() == Some(0.0);
    let offset = arguments.get("offset").is_some_and(|offset| !is_first(offset));
    offset || arguments.get("after").is_some_and(Value::is_string)
}

/// Whether an answer has more than it tells.
fn has_more(part: &Map<String, Value>) -> bool {
    part.keys().any(|field| field.starts_with("next_"))
}

fn asked(arguments: &Arguments) -> Result<Asked, ToolError> {
    let is_all = |name: &str| name.trim().eq_ignore_ascii_case(ALL_ACCOUNTS);
    let invalid = |why: &str| ToolError::invalid(format!("The argument 'account' is not valid: {why}."));
    match arguments.get(ARGUMENT) {
        Some(Value::String(name)) if is_all(name) => Ok(Asked::All),
        Some(Value::Array(names)) => {
            let names: Option<Vec<_>> = names.iter().map(|name| Some(name.as_str()?.trim())).collect();
            let names = names.ok_or_else(|| invalid("a list of accounts is a list of names"))?;
            if !(1..=MOST_ACCOUNTS).contains(&names.len()) {
                return Err(invalid(&format!("it must be a list of 1 to {MOST_ACCOUNTS} names")));
            }
            if names.iter().any(|name| !(1..=LONGEST_NAME).contains(&name.chars().count())) {
                return Err(invalid(&format!("a name has 1 to {LONGEST_NAME} characters")));
            }
            if names.iter().any(|name| is_all(name)) {
                return Ok(Asked::All);
            }
            Ok(Asked::Named(names.into_iter().map(str::to_owned).collect()))
        }
        _ => Ok(Asked::One),
    }
}

/// The accounts, each once, in the order in which they were asked for.
async fn chosen(context: Context<'_>, asked: Asked) -> Result<Vec<Link>, ToolError> {
    let mut links = context.links().await?;
    if links.is_empty() {
        return Err(ToolError::no_account(&context.server.reconnect_url));
    }
    let Asked::Named(names) = asked else {
        links.truncate(MOST_ACCOUNTS);
        return Ok(links);
    };
    let mut chosen: Vec<Link> = Vec::with_capacity(names.len());
    for name in &names {
        let link = the_one_named(&links, name)?;
        if chosen.iter().all(|known| known.id != link.id) {
            chosen.push(link.clone());
        }
    }
    Ok(chosen)
}

async fn one(
    context: Context<'_>,
    tool: &'static ToolSpec,
    mut arguments: Arguments,
    link: &Link,
) -> Result<Answer, ToolError> {
    let deadline = context.deadline.checked_sub(RESERVE).filter(|deadline| *deadline > Instant::now());
    let deadline = deadline.unwrap_or(context.deadline);
    arguments.insert(ARGUMENT.to_owned(), json!(link.id.as_str()));
    let answered = timeout_at(deadline, (tool.run)(Context { deadline, ..context }, arguments));
    answered.await.unwrap_or_else(|_| Err(ToolError::timeout()))
}

/// By what a person and a tool call it.
pub(super) fn name(link: &Link) -> String {
    clean(if link.alias.is_empty() { &link.identity } else { &link.alias }, LONGEST_NAME)
}

type Part = (String, Result<Answer, ToolError>);

/// All parts as one answer: rows of all accounts, each marked; everything else by account.
fn combined(parts: Vec<Part>, rows: &[String]) -> Result<Answer, ToolError> {
    if parts.iter().all(|(_, outcome)| outcome.is_err()) {
        return Err(failed(parts));
    }
    let mut whole: Map<String, Value> = rows.iter().map(|field| (field.clone(), json!([]))).collect();
    let (mut each, mut text, mut code, mut is_foreign) = (Vec::new(), String::new(), None, false);
    for (account, outcome) in parts {
        let mut part = Map::from_iter([(ARGUMENT.to_owned(), json!(account))]);
        let told = match outcome {
            Ok(answer) => {
                code = code.or(answer.code);
                sort_out(answer.structured, &account, (&mut whole, &mut part));
                let own = answer.text.strip_suffix(FOOTER);
                is_foreign |= own.is_some();
                own.unwrap_or(&answer.text).to_owned()
            }
            Err(error) => {
                code = code.or(Some(error.code));
                let told = error.told();
                part.insert("error".to_owned(), json!(error));
                told
            }
        };
        each.push(Value::Object(part));
        let between = if text.is_empty() { "" } else { "\n\n" };
        text.push_str(&format!("{between}Account {account}: {told}"));
    }
    if each.iter().any(|part| part.as_object().is_some_and(has_more)) {
        text.push_str("\n\nTo go on, name one account alone, with its own place.");
    }
    if is_foreign {
        text.push_str(FOOTER);
    }
    whole.insert(PARTS.to_owned(), Value::Array(each));
    Ok(Answer { text, structured: Value::Object(whole), code })
}

/// Rows go to the whole, the rest to the account's own part.
fn sort_out(
    structured: Value,
    account: &str,
    (whole, part): (&mut Map<String, Value>, &mut Map<String, Value>),
) {
    let Value::Object(fields) = structured else { return };
    for (field, value) in fields {
        match (whole.get_mut(&field), value) {
            (Some(Value::Array(all)), Value::Array(rows)) => all.extend(rows.into_iter().map(|mut row| {
                if let Value::Object(row) = &mut row {
                    row.entry(ARGUMENT).or_insert_with(|| json!(account));
                }
                row
            })),
            (_, value) => drop(part.insert(field, value)),
        }
    }
}

/// Nothing came of any account: said once where it is the same for all.
fn failed(parts: Vec<Part>) -> ToolError {
    let mut errors = parts.into_iter().filter_map(|(name, outcome)| Some((name, outcome.err()?)));
    let Some((name, mut error)) = errors.next() else { return ToolError::timeout() };
    let others: Vec<_> = errors.collect();
    if others.iter().all(|(_, other)| *other == error) {
        return error;
    }
    error.message = format!("Account {name}: {}", error.message);
    for (name, other) in others {
        error.message.push_str(&format!(" Account {name}: {} ({})", other.message, other.code));
    }
    error
}

fn properties(schema: &Map<String, Value>) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

/// The fields of an answer that are lists of objects.
fn fields_of_rows(output: &Map<String, Value>) -> Vec<String> {
    let is = |schema: &Value, kind: &str| match &schema["type"] {
        Value::Array(kinds) => kinds.iter().any(|known| known == kind),
        known => known == kind,
    };
    let fields = properties(output).into_iter().flatten();
    let rows = fields.filter(|(_, schema)| is(schema, "array") && is(&schema["items"], "object"));
    rows.map(|(field, _)| field.clone()).collect()
}

/// Lets `account` be a list too, and says so.
fn widen(input: &mut Map<String, Value>) {
    let Some(Value::Object(account)) = input.get_mut("properties").and_then(|known| known.get_mut(ARGUMENT))
    else {
        return;
    };
    let mut name = std::mem::take(account);
    let said = name.remove("description").unwrap_or_else(|| json!(""));
    let said =
        format!("{} Or a list of several, or \"all\": first pages.", said.as_str().unwrap_or_default());
    let list = json!({"type": "array", "items": name, "minItems": 1, "maxItems": MOST_ACCOUNTS});
    account.insert("anyOf".to_owned(), json!([name, list]));
    account.insert("description".to_owned(), json!(said.trim_start()));
}

/// Adds what an answer for several accounts holds: a mark on each row, and each account's own part. What that may hold
/// stands in the schema already, and is not said again: the list of tools is read by every model.
fn add_parts(output: &mut Map<String, Value>, rows: &[String]) {
    let Some(Value::Object(fields)) = output.get_mut("properties") else { return };
    for field in rows {
        let row = fields.get_mut(field).and_then(|schema| schema["items"].get_mut("properties"));
        if let Some(Value::Object(row)) = row {
            row.entry(ARGUMENT).or_insert(json!({"type": "string"}));
        }
    }
    let parts = json!({"type": "array", "items": {"type": "object", "required": [ARGUMENT]}});
    fields.insert(PARTS.to_owned(), parts);
    if let Some(Value::Array(forms)) = output.get_mut("anyOf") {
        forms.push(json!({"required": [PARTS]}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(structured: Value) -> Result<Answer, ToolError> {
        Ok(Answer { text: format!("Some.{FOOTER}"), structured, code: None })
    }

    fn parts(second: Result<Answer, ToolError>) -> Vec<Part> {
        let first = answer(json!({"tracks": [{"uri": "a"}], "total": 7, "next_offset": 1}));
        vec![("main".to_owned(), first), ("work".to_owned(), second)]
    }

    #[test]
    fn rows_are_marked_and_the_rest_stays_with_its_account() {
        let rows = ["tracks".to_owned()];
        let whole = combined(parts(answer(json!({"tracks": [{"uri": "b"}], "total": 1}))), &rows).unwrap();
        let expected = json!({
            "tracks": [{"uri": "a", "account": "main"}, {"uri": "b", "account": "work"}],
            "by_account": [{"account": "main", "total": 7, "next_offset": 1}, {"account": "work", "total": 1}],
        });
        assert_eq!(whole.structured, expected);
        let text = "Account main: Some.\n\nAccount work: Some.\n\nTo go on, name one account alone, with its own place.";
        assert_eq!(whole.text, format!("{text}{FOOTER}"));
        assert_eq!(whole.code, None);
    }

    #[test]
    fn a_failure_stays_with_its_account_and_hides_nothing() {
        let rows = ["tracks".to_owned()];
        let whole = combined(parts(Err(ToolError::timeout())), &rows).unwrap();
        assert_eq!(whole.structured["tracks"], json!([{"uri": "a", "account": "main"}]));
        assert_eq!(whole.structured["by_account"][1]["error"]["code"], "UPSTREAM_TIMEOUT");
        assert_eq!(whole.code, Some("UPSTREAM_TIMEOUT"));
        assert!(whole.text.contains("Account work: Spotify did not answer in time"), "{}", whole.text);
    }

    #[test]
    fn where_all_fail_it_is_an_error_said_once_if_it_is_the_same() {
        let both = |second| {
            let first = ("main".to_owned(), Err(ToolError::timeout()));
            combined(vec![first, ("work".to_owned(), Err(second))], &[]).err().unwrap()
        };
        assert_eq!(both(ToolError::timeout()), ToolError::timeout());
        let told = both(ToolError::new("NOT_FOUND", "Gone.")).message;
        assert!(
            told.starts_with("Account main: Spotify did")
                && told.ends_with("Account work: Gone. (NOT_FOUND)")
        );
    }

    #[test]
    fn a_place_of_one_account_goes_on_and_a_first_page_or_a_time_does_not() {
        let read = |name: &str, value: Value| goes_on(&Map::from_iter([(name.to_owned(), value)]));
        assert!(read("offset", json!(1)) && read("offset", json!("20")) && read("after", json!("0abc")));
        assert!(
            !read("offset", json!(0)) && !read("offset", json!(null)) && !read("after", json!(1_795_000))
        );
        assert!(!goes_on(&Map::new()));
    }

    #[test]
    fn what_is_asked_is_told_by_its_form() {
        let read = |value: Value| asked(&Map::from_iter([(ARGUMENT.to_owned(), value)]));
        assert_eq!(asked(&Map::new()).unwrap(), Asked::One);
        assert_eq!(read(json!("work")).unwrap(), Asked::One);
        assert_eq!(read(json!(5)).unwrap(), Asked::One, "which the tool refuses");
        for all in [json!("all"), json!(" ALL "), json!(["work", "all"])] {
            assert_eq!(read(all).unwrap(), Asked::All);
        }
        assert_eq!(read(json!([" work"])).unwrap(), Asked::Named(vec!["work".to_owned()]));
        for bad in [json!([]), json!([1]), json!(vec!["x"; MOST_ACCOUNTS + 1])] {
            assert_eq!(read(bad).unwrap_err().code, "INVALID_ARGUMENT");
        }
    }
}
