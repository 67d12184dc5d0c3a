//! Fetches that take their time, and how many wait for them.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::*;

#[tokio::test]
async fn of_a_hundred_that_ask_at_once_one_fetches() {
    let world = World::new().await;
    let client = world.client();
    let pages = futures_util::future::join_all((0..100).map(|_| world.asks(&client))).await;
    // More than may wait for one document are told to come again.
    assert!(pages.iter().all(|page| is_consent(page) || page.code() == "UNAVAILABLE"));
    assert!(pages.iter().filter(|page| is_consent(page)).count() >= 32);
    assert_eq!(world.fetches(), 1);
}

#[tokio::test]
async fn no_more_wait_for_a_document_than_may_and_the_rest_are_told_so_at_once() {
    let world = World::new().await;
    world.answers(|| Answer::Silence);
    let client = world.client();
    let begun = Instant::now();
    let asks = (0..40).map(async |_| (world.asks(&client).await.code().to_owned(), begun.elapsed()));
    let told = futures_util::future::join_all(asks).await;
    let of = |code: &str| told.iter().filter(|(told, _)| told == code).count();
    assert_eq!((of("CLIENT_DOCUMENT_UNAVAILABLE"), of("UNAVAILABLE")), (32, 8), "{told:?}");
    assert!(told.iter().all(|(code, after)| code != "UNAVAILABLE" || *after < Duration::from_secs(8)));

    let limit = [("SPOTIFY_MCP__LIMITS__CLIENT_DOCUMENTS_PER_ADDRESS_PER_MINUTE", "20")];
    let world = World::on(Place::sqlite(), &limit).await;
    world.answers(|| Answer::Silence);
    let client = world.client();
    let told = futures_util::future::join_all((0..7).map(|_| world.asks(&client))).await;
    assert_eq!(told.iter().filter(|page| page.code() == "RATE_LIMITED").count(), 3);
}

#[tokio::test]
async fn who_waits_for_a_strangers_document_goes_for_a_newcomer() {
    let world = World::on(Place::sqlite(), &[("SPOTIFY_MCP__LIMITS__CONNECTIONS", "4")]).await;
    world.answers(|| Answer::Silence);
    let client = world.client();
    let waiting = futures_util::future::join_all(
        (0..4).map(|_| client.http.get(format!("{}{}", client.origin, client.attempt().path())).send()),
    );
    let newcomer = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let begun = Instant::now();
        assert_eq!(world.server.ready().await, Some(StatusCode::OK));
        begun.elapsed()
    };
    let (waiting, took) = tokio::join!(waiting, newcomer);
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert!(waiting.iter().any(Result::is_err), "none gave way");
}

#[tokio::test]
async fn a_document_that_drips_is_given_up_in_time() {
    let world = World::new().await;
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n";
    world.answers(|| Answer::Drip(head.to_vec(), Duration::from_millis(50)));
    let begun = Instant::now();
    let client = world.client();
    assert_eq!(world.asks(&client).await.code(), "CLIENT_DOCUMENT_UNAVAILABLE");
    assert!(
        (Duration::from_secs(9)..Duration::from_secs(20)).contains(&begun.elapsed()),
        "{:?}",
        begun.elapsed()
    );
    // Not asked again at once, and answered at once.
    let begun = Instant::now();
    assert_eq!(world.asks(&client).await.code(), "CLIENT_DOCUMENT_UNAVAILABLE");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(world.fetches(), 1);
}

#[tokio::test]
async fn one_address_makes_us_fetch_so_much_and_others_are_not_kept_from_it() {
    let limit = [("SPOTIFY_MCP__LIMITS__CLIENT_DOCUMENTS_PER_ADDRESS_PER_MINUTE", "3")];
    let world = World::on(Place::sqlite(), &limit).await;
    world.answers(|| Answer::json(404, "{}"));
    let mut codes = Vec::new();
    for number in 0..8 {
        let page = world.asks(&world.client_of(&format!("{}?{number}", world.id()))).await;
        codes.push(page.code().to_owned());
    }
    let refused = codes.iter().filter(|code| *code == "RATE_LIMITED").count();
    // A minute may have ended meanwhile.
    assert!(refused >= 2 && world.fetches() == 8 - refused, "{codes:?}");
}

#[tokio::test]
async fn one_holder_of_many_addresses_keeps_nobody_elses_document_from_being_read() {
    let environment = [
        ("SPOTIFY_MCP__LIMITS__CLIENT_DOCUMENTS_PER_ADDRESS_PER_MINUTE", "20"),
        ("SPOTIFY_MCP__SERVER__TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let world = World::on(Place::sqlite(), &environment).await;
    let document = world.document().to_string();
    *world.said.lock().unwrap() = Box::new(move |seen| match seen.target.as_str() {
        PATH => Answer::json(200, &document),
        _ => Answer::Silence,
    });
    let ask = async |id: &str, from: &str| {
        let path = world.client_of(id).attempt().path();
        let request = plain_http().get(format!("{}{path}", world.server.origin));
        request.header("x-forwarded-for", from).send().await.unwrap().status()
    };
    // Each from a /64 of its own, in one /48 and then in one /32: more than are fetched at once.
    let (network, region) = (
        (0..40).map(|n| (format!("{}?{n}", world.id()), format!("2001:db8:7:{n:x}::1"))),
        (40..80).map(|n| (format!("{}?{n}", world.id()), format!("2001:db8:{n:x}::1"))),
    );
    let flood: Vec<_> = network.chain(region).collect();
    let flooding = futures_util::future::join_all(flood.iter().map(|(id, from)| ask(id, from)));
    let others = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let begun = Instant::now();
        let told = (ask(&world.id(), "198.51.100.7").await, begun.elapsed());
        assert!(told.0 == StatusCode::OK && told.1 < Duration::from_secs(3), "{told:?}");
    };
    let (flooded, ()) = tokio::join!(flooding, others);
    let refused = flooded.iter().filter(|status| **status == StatusCode::TOO_MANY_REQUESTS).count();
    assert_eq!(refused, 64, "{flooded:?}");
}

#[tokio::test]
async fn a_document_that_nobody_had_time_to_fetch_is_not_held_against_its_client() {
    let world = World::new().await;
    let (tell, told) = watch::channel(false);
    world.holds_documents_of_all(told);
    // More than are fetched at once, and none of those under way comes to its end: some have no turn.
    let ids = (0..40).map(|number| format!("{}?{number}", world.id()));
    let mut asks: FuturesUnordered<_> =
        ids.map(async |id| (world.asks(&world.client_of(&id)).await, id)).collect();
    let (page, id) = asks.next().await.unwrap();
    assert_eq!((page.code(), page.status), ("UNAVAILABLE", StatusCode::SERVICE_UNAVAILABLE), "{page:?}");
    let asked_for = || world.site.seen().iter().any(|seen| id.ends_with(&seen.target));
    assert!(!asked_for());

    tell.send(true).unwrap();
    while let Some((page, _)) = asks.next().await {
        assert!(is_consent(&page) || page.code() == "UNAVAILABLE", "{page:?}");
    }
    assert!(is_consent(&world.asks(&world.client_of(&id)).await));
    assert!(asked_for());
}

#[tokio::test]
async fn those_for_whom_there_was_no_room_to_wait_find_the_document_as_it_was() {
    let world = World::new().await;
    let (tell, told) = watch::channel(false);
    world.holds_documents_of_all(told);
    let client = world.client();
    let mut asks: FuturesUnordered<_> = (0..40).map(|_| world.asks(&client)).collect();
    for _ in 0..8 {
        assert_eq!(asks.next().await.unwrap().code(), "UNAVAILABLE");
    }
    tell.send(true).unwrap();
    while let Some(page) = asks.next().await {
        assert!(is_consent(&page), "{page:?}");
    }
    // Nothing is remembered that would keep it from being fetched again.
    world.it_is_stale().await;
    assert!(is_consent(&world.asks(&client).await));
    assert_eq!(world.fetches(), 2);
}
