//! A playlist as long as Spotify allows.

use spotify_mcp::spotify::sandbox::Filter;

use super::*;

#[tokio::test]
async fn eleven_thousand_rows_are_deduplicated_within_the_requests_that_were_announced() {
    let server = TestServer::new().await;
    let ada = server.listener("ada").await;
    // Hundred tracks stand there again at the end, in one piece.
    let rows: Vec<_> = (0..10_900).chain(0..100).map(uri).collect();
    let list = filled(&server, "ada", rows);
    let arguments = json!({"playlist_id": list});
    let plan = done(&ada, "deduplicate_playlist", arguments.clone()).await;
    assert_eq!((&plan["removes"], &plan["rows_before"]), (&json!(100), &json!(11_000)), "{plan}");
    assert!(plan["rows"].as_array().unwrap().len() <= 20, "the answer stays small");
    server.control().clear_journal();
    let output = done(&ada, "deduplicate_playlist", applying(&arguments, &plan)).await;
    let asked = server.control().journal(&Filter { limit: Some(usize::MAX), ..Filter::default() }).len();
    assert!(asked as u64 <= plan["requests"].as_u64().unwrap(), "{asked} of {}", plan["requests"]);
    assert!(["verified", "accepted"].contains(&output["status"].as_str().unwrap()), "{output}");
    assert_eq!(held(&server, &list), (0..10_900).map(uri).collect::<Vec<_>>());
}
