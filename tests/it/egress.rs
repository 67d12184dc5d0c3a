//! The egress gate against servers and name servers that lie.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::{Request, Response};
use spotify_mcp::ambient::{Clock, Timestamp};
use spotify_mcp::egress::{
    AddressClass, Bytes, EgressError, Gate, GatePolicy, Limits, RefusalReason, Resolver,
};

use crate::fake::{Answer, Fake};

const MAX: usize = 1024;

fn gate(fake: &Fake) -> Gate {
    let policy = GatePolicy::new().with_loopback().allow(&fake.origin).unwrap();
    Gate::new(policy, Clock::system())
}

async fn get(gate: &Gate, url: &str) -> Result<Response<Bytes>, EgressError> {
    let request = Request::get(url).body(Bytes::new()).unwrap();
    gate.send(request, Limits::within(Duration::from_millis(500), MAX)).await
}

#[tokio::test]
async fn an_answer_comes_whole_over_one_connection() {
    let fake = Fake::always(|| Answer::json(200, r#"{"a":1}"#)).await;
    let gate = gate(&fake);
    for _ in 0..100 {
        let answer = get(&gate, &format!("{}/x", fake.origin)).await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &br#"{"a":1}"#[..]));
    }
    let counters = gate.counters();
    assert_eq!((counters.requests, counters.answers, counters.bytes), (100, 100, 700));
    assert_eq!(counters.connections, 1);
    assert!(fake.seen().iter().all(|seen| seen.connection == 0));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let trap = Fake::always(|| Answer::json(200, "{}")).await;
    let location = format!("location: {}/stolen\r\n", trap.origin);
    for status in [301, 302, 303, 307, 308] {
        let location = location.clone();
        let fake = Fake::start(move |_, _| Answer::new(status, &location, "")).await;
        let policy = GatePolicy::new().with_loopback();
        let policy = policy.allow(&fake.origin).unwrap().allow(&trap.origin).unwrap();
        let answer = get(&Gate::new(policy, Clock::system()), &fake.origin).await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
    }
    assert!(trap.seen().is_empty());
}

#[tokio::test]
async fn every_address_behind_a_name_is_judged_and_the_name_is_resolved_once() {
    let fake = Fake::always(|| Answer::json(200, "{}")).await;
    let port: u16 = fake.origin.rsplit(':').next().unwrap().parse().unwrap();
    let table: &[(&str, &[&str], AddressClass)] = &[
        ("loopback.example", &["127.0.0.1"], AddressClass::Loopback),
        ("metadata.example", &["169.254.169.254"], AddressClass::LinkLocal),
        ("private.example", &["10.1.2.3"], AddressClass::Private),
        ("mapped.example", &["::ffff:127.0.0.1"], AddressClass::Embedded),
        ("nat64.example", &["64:ff9b::7f00:1"], AddressClass::Embedded),
        ("six.example", &["::1"], AddressClass::Loopback),
        // One public address does not excuse the other.
        ("mixed.example", &["35.186.224.24", "127.0.0.1"], AddressClass::Loopback),
    ];
    for (host, addresses, class) in table {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let answers: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let resolver = Resolver::given(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            answers.clone()
        });
        // Loopback is permitted as a literal; that does not extend to names.
        let policy = GatePolicy::new().with_loopback().allow(&format!("{host}:{port}")).unwrap();
        let gate = Gate::with_resolver(policy, Clock::system(), resolver);
        let mut refusals = gate.refusals().unwrap();
        let error = get(&gate, &format!("https://{host}:{port}/")).await.unwrap_err();
        assert_eq!(error, EgressError::AddressNotAllowed(*class), "{host}");
        assert!(!error.may_have_arrived() && error.is_refusal());
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{host} was resolved again");
        let refusal = refusals.try_recv().unwrap();
        assert_eq!((refusal.host.as_str(), refusal.reason), (*host, RefusalReason::Address(*class)));
        assert_eq!(gate.counters().connections, 0);
    }
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn a_literal_in_any_notation_and_other_disguises_are_refused_and_reported() {
    let fake = Fake::always(|| Answer::json(200, "{}")).await;
    let port = fake.origin.rsplit(':').next().unwrap();
    let (clock, _) = Clock::moved_by_hand(Timestamp::from_secs(7));
    let policy = GatePolicy::new().allow("https://api.spotify.com/v1").unwrap();
    let gate = Gate::new(policy, clock);
    let mut refusals = gate.refusals().unwrap();
    assert!(gate.refusals().is_none());
    let targets = [
        ("127.0.0.1", RefusalReason::Literal),
        ("2130706433", RefusalReason::Literal),
        ("0x7f000001", RefusalReason::Literal),
        ("0x7f.0.0.1", RefusalReason::Literal),
        ("0177.0.0.1", RefusalReason::Literal),
        ("127.1", RefusalReason::Literal),
        ("[::1]", RefusalReason::Literal),
        ("[::ffff:127.0.0.1]", RefusalReason::Literal),
        ("[::ffff:7f00:1]", RefusalReason::Literal),
        ("localhost", RefusalReason::Scheme),
        ("api.spotify.com.", RefusalReason::Dots),
        ("api.spotify.com@127.0.0.1", RefusalReason::UserInfo),
    ];
    for (host, reason) in targets {
        let error = get(&gate, &format!("http://{host}:{port}/?token=secret")).await.unwrap_err();
        assert_eq!(error, EgressError::HostNotAllowed(reason), "{host}");
        assert!(!format!("{error} {error:?}").contains("secret"));
        let refusal = refusals.try_recv().unwrap();
        assert_eq!((refusal.reason, refusal.at), (reason, Timestamp::from_secs(7)));
        assert!(!refusal.host.contains("secret") && !refusal.host.contains('/'));
    }
    assert_eq!(gate.counters().hosts_refused, targets.len() as u64);
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn refusals_that_nobody_takes_are_counted_and_block_nothing() {
    let gate = Gate::new(GatePolicy::new(), Clock::system());
    for _ in 0..300 {
        get(&gate, "https://unlisted.example/").await.unwrap_err();
    }
    assert_eq!((gate.counters().hosts_refused, gate.counters().refusals_lost), (300, 300 - 256));
}

#[tokio::test]
async fn a_large_answer_is_not_read_to_its_end() {
    let told =
        Fake::always(|| Answer::Cut(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec()));
    let endless = Fake::always(|| Answer::Flood(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec()));
    let chunk = || {
        let body = "x".repeat(2000);
        Answer::Whole(
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7d0\r\n{body}\r\n").into_bytes(),
        )
    };
    for fake in [told.await, endless.await, Fake::always(chunk).await] {
        let gate = gate(&fake);
        let error = get(&gate, &fake.origin).await.unwrap_err();
        assert_eq!(error, EgressError::TooLarge { limit: MAX });
        assert_eq!(gate.counters().too_large, 1);
    }
    let full = Fake::start(|_, _| Answer::json(200, &"x".repeat(MAX))).await;
    assert_eq!(get(&gate(&full), &full.origin).await.unwrap().body().len(), MAX);
}

#[tokio::test]
async fn broken_answers_are_told_apart_from_slow_ones() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n";
    let broken = [
        format!("{head}short"),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhe".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
        "SSH-2.0-OpenSSH_9\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_owned(),
        format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1_000_000)),
        String::new(),
    ];
    for answer in broken {
        let shown = answer.chars().take(60).collect::<String>();
        let fake = Fake::start(move |_, _| Answer::Cut(answer.clone().into_bytes())).await;
        let error = get(&gate(&fake), &fake.origin).await.err();
        assert_eq!(error, Some(EgressError::Broken), "{shown}");
        assert!(EgressError::Broken.may_have_arrived());
    }
    let pause = Duration::from_millis(20);
    let slow = [
        Fake::always(|| Answer::Silence).await,
        Fake::start(move |_, _| Answer::Drip(head.as_bytes().to_vec(), pause)).await,
        Fake::start(move |_, _| Answer::Drip(b"HTTP/1.1 200 OK\r\nx: ".to_vec(), pause)).await,
    ];
    for fake in slow {
        let begun = Instant::now();
        let gate = gate(&fake);
        assert_eq!(get(&gate, &fake.origin).await.unwrap_err(), EgressError::Timeout);
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert_eq!(gate.counters().timeouts, 1);
    }
}

#[tokio::test]
async fn requests_beyond_the_bound_wait_their_turn_and_are_not_sent_late() {
    let silent = Fake::always(|| Answer::Silence).await;
    let mut policy = GatePolicy::new().with_loopback().allow(&silent.origin).unwrap();
    policy.concurrent = 2;
    let gate = Gate::new(policy, Clock::system());
    let shorter = async {
        let request = Request::get(&silent.origin).body(Bytes::new()).unwrap();
        gate.send(request, Limits::within(Duration::from_millis(200), MAX)).await
    };
    let (one, two, three) = tokio::join!(get(&gate, &silent.origin), get(&gate, &silent.origin), shorter);
    assert_eq!([one.unwrap_err(), two.unwrap_err()], [EgressError::Timeout, EgressError::Timeout]);
    let late = three.unwrap_err();
    assert_eq!((late.clone(), late.may_have_arrived()), (EgressError::Busy, false));
    assert_eq!(silent.seen().len(), 2);
    assert_eq!(gate.counters().timeouts, 3);
}

#[tokio::test]
async fn what_cannot_be_reached_was_certainly_not_sent() {
    let free = {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let gate = Gate::new(GatePolicy::new().with_loopback().allow(&free).unwrap(), Clock::system());
    let error = get(&gate, &free).await.unwrap_err();
    assert_eq!(error, EgressError::Connect);
    assert!(!error.may_have_arrived());

    let policy = GatePolicy::new().allow("nowhere.example").unwrap();
    let gate = Gate::with_resolver(policy, Clock::system(), Resolver::given(|_| Vec::new()));
    assert_eq!(get(&gate, "https://nowhere.example/").await.unwrap_err(), EgressError::Resolve);
    assert_eq!(gate.counters().connect_failures, 1);
}

/// What the gate for strangers' URLs does with a name that resolves so; how often the name was resolved.
async fn asked_by_name(addresses: Vec<&'static str>) -> (EgressError, usize, u64) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let resolver = Resolver::given(move |_| {
        // Another answer each time, as a name server does that wants us to check one address and use another.
        let turn = count.fetch_add(1, Ordering::SeqCst) % addresses.len();
        vec![addresses[turn].parse().unwrap()]
    });
    let mut policy = GatePolicy::new().with_any_public_host();
    policy.connect_timeout = Duration::from_millis(200);
    let gate = Gate::with_resolver(policy, Clock::system(), resolver);
    let error = get(&gate, "https://client.example/c.json").await.unwrap_err();
    (error, asked.load(Ordering::SeqCst), gate.counters().connections)
}

#[tokio::test]
async fn any_public_host_never_means_an_address_inside() {
    use AddressClass::{Broadcast, CarrierNat, CloudMetadata, Documentation, Embedded, LinkLocal, Loopback};
    use AddressClass::{Multicast, Private, Reserved, Unspecified};
    for (address, class) in [
        ("127.0.0.1", Loopback),
        ("127.255.255.254", Loopback),
        ("::1", Loopback),
        ("0.0.0.0", Unspecified),
        ("::", Unspecified),
        ("10.0.0.1", Private),
        ("172.16.0.1", Private),
        ("192.168.1.1", Private),
        ("fd00::1", Private),
        ("169.254.169.254", LinkLocal),
        ("fe80::1", LinkLocal),
        ("100.64.0.1", CarrierNat),
        ("168.63.129.16", CloudMetadata),
        ("224.0.0.1", Multicast),
        ("ff02::1", Multicast),
        ("255.255.255.255", Broadcast),
        ("240.0.0.1", Reserved),
        ("192.0.2.1", Documentation),
        ("2001:db8::1", Documentation),
        ("::ffff:127.0.0.1", Embedded),
        ("::127.0.0.1", Embedded),
        ("64:ff9b::7f00:1", Embedded),
        ("64:ff9b:1::a00:1", Embedded),
        ("2002:7f00:1::1", Embedded),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Embedded),
        ("2600::5efe:a00:1", Embedded),
    ] {
        let (error, asked, connections) = asked_by_name(vec![address]).await;
        assert_eq!(error, EgressError::AddressNotAllowed(class), "{address}");
        assert_eq!((asked, connections), (1, 0), "{address}");
    }
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_between_check_and_use_gains_nothing() {
    // Checked as inside: refused, although it would lead outside when asked again.
    let (error, asked, connections) = asked_by_name(vec!["127.0.0.1", "35.186.224.24"]).await;
    assert_eq!(error, EgressError::AddressNotAllowed(AddressClass::Loopback));
    assert_eq!((asked, connections), (1, 0));
    // Checked as outside: connected to that very address, however it would be answered when asked again.
    let fake = Fake::always(|| Answer::json(200, "{}")).await;
    let (error, asked, _) = asked_by_name(vec!["35.186.224.24", "127.0.0.1"]).await;
    assert!(!matches!(error, EgressError::AddressNotAllowed(_) | EgressError::HostNotAllowed(_)), "{error}");
    assert_eq!(asked, 1, "the name was resolved again");
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn a_connection_for_another_protocol_is_judged_counted_and_bounded_the_same_way() {
    let fake = Fake::always(|| Answer::Flood(b"220 ".to_vec())).await;
    let port: u16 = fake.origin.rsplit(':').next().unwrap().parse().unwrap();
    let limits = || Limits::within(Duration::from_millis(500), 10_000);
    let target = |host: &str, port: u16| format!("https://{host}:{port}/").parse::<http::Uri>().unwrap();
    let to = |address: &str| {
        let address: IpAddr = address.parse().unwrap();
        Resolver::given(move |_| vec![address])
    };
    let policy = |private: bool| {
        let policy = if private { GatePolicy::new().with_private() } else { GatePolicy::new() };
        policy.allow(&format!("mail.example:{port}")).unwrap()
    };
    let class = AddressClass::Loopback;
    for (private, resolver, asked, expected) in [
        (false, to("127.0.0.1"), port, Some(EgressError::AddressNotAllowed(class))),
        (true, to("169.254.169.254"), port, Some(EgressError::AddressNotAllowed(AddressClass::LinkLocal))),
        (true, to("127.0.0.1"), port + 1, Some(EgressError::HostNotAllowed(RefusalReason::Unlisted))),
        (true, to("127.0.0.1"), port, None),
    ] {
        let gate = Gate::with_resolver(policy(private), Clock::system(), resolver);
        let mut refusals = gate.refusals().unwrap();
        let opened = gate.open(&target("mail.example", asked), limits()).await;
        gate.ended(opened.as_ref().map(|_| ()));
        let counters = gate.counters();
        assert_eq!((counters.requests, counters.answers), (1, u64::from(expected.is_none())));
        assert_eq!(counters.hosts_refused + counters.addresses_refused, u64::from(expected.is_some()));
        assert_eq!(counters.connections, u64::from(expected.is_none()));
        assert_eq!(refusals.try_recv().is_ok(), expected.is_some());
        let mut opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                assert_eq!(Some(error), expected);
                continue;
            }
        };
        tokio::io::AsyncWriteExt::write_all(&mut opened, b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut said = Vec::new();
        let error = tokio::io::AsyncReadExt::read_to_end(&mut opened, &mut said).await.unwrap_err();
        assert_eq!(EgressError::of_connection(&error), EgressError::TooLarge { limit: 10_000 });
        assert!(said.len() < 100_000, "{}", said.len());
    }
}
