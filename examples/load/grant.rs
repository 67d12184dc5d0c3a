//! Tokens for the yardstick: the simulator's own, by its control plane, each behind an invented bearer token.

use std::time::Instant;

use serde_json::{Value, json};
use spotify_mcp::spotify::sandbox::CLIENT_ID;

use super::people::name;
use super::{Outcome, Person, report};

/// The one scope that the call needs.
const SCOPE: &str = "user-read-currently-playing";

pub(super) async fn all(simulator: &str, users: usize) -> Outcome<Vec<Person>> {
    let began = Instant::now();
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut people = Vec::with_capacity(users);
    for number in 0..users {
        let id = name(number);
        let wanted = json!({"client_id": CLIENT_ID, "user": id, "scope": SCOPE});
        let answer = client
            .post(format!("{simulator}/__sandbox/grants"))
            .header("x-sandbox-control", "1")
            .json(&wanted)
            .send()
            .await?
            .error_for_status()?;
        let tokens: Value = answer.json().await?;
        let upstream = tokens["access_token"].as_str().ok_or("no access_token")?.to_owned();
        // As long as a real one, so that both servers read as many bytes.
        let token = format!("yardstick_{id}_{:0>40}", number);
        people.push(Person { id, token, upstream: Some(upstream) });
    }
    report::setup("granted", users, began.elapsed());
    Ok(people)
}
