//! Master keys and data keys.

use spotify_mcp::ambient::{Clock, Dice};
use spotify_mcp::crypto::Key;
use spotify_mcp::crypto::keys::RootKey;
use spotify_mcp::domain::{DataKeyId, UserId};
use spotify_mcp::store::MasterKeyMismatch;
use spotify_mcp::vault::{KeyRing, Standing};

use super::fixtures::{at, fresh, person, race};
use crate::support::database::on_both;

#[tokio::test]
async fn a_new_database_adopts_its_master_key_and_knows_it_again() {
    on_both(async |db| {
        let (clock, dice) = (Clock::moved_by_hand(at(0)).0, Dice::system());
        let root = |byte: u8| RootKey::new(Key::new([byte; 32]));
        let open =
            async |byte| KeyRing::open(db, &[root(byte)], (&clock, &dice)).await.unwrap().map(|(_, how)| how);
        let id = |byte| root(byte).id().to_string();
        assert_eq!(open(1).await, Ok(Standing::InUse));
        assert_eq!(open(1).await, Ok(Standing::InUse));
        let other = MasterKeyMismatch { expected: id(1), given_is_retired: false };
        assert_eq!(open(2).await, Err(other));

        let raw = db.raw().await;
        raw.run("UPDATE master_keys SET state = 'retired'").await;
        raw.run(&format!(
            "INSERT INTO master_keys (id, state, created_at) VALUES ('{}', 'active', 1)",
            id(3)
        ))
        .await;
        let retired = MasterKeyMismatch { expected: id(3), given_is_retired: true };
        assert_eq!(open(1).await, Err(retired));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_servers_with_different_keys_one_founds_the_database() {
    on_both(async |db| {
        let nodes = [db.store(), db.node().await];
        let fared = race(8, |n| {
            let node = nodes[n % 2].clone();
            async move { node.adopt_master_key(&format!("key{n}"), at(0)).await.unwrap() }
        })
        .await;
        assert_eq!(fared.iter().filter(|adopted| **adopted).count(), 1);
        assert_eq!(db.raw().await.number("SELECT COUNT(*) FROM master_keys").await, 1);
    })
    .await;
}

#[tokio::test]
async fn data_keys_are_found_by_id_and_by_person() {
    on_both(async |db| {
        let arthur = person(db, "arthur").await;
        let key = db.active_data_key(&arthur.user).await.unwrap().unwrap();
        assert_eq!((&key.id, &key.user, key.wrapped.len()), (&arthur.data_key, &arthur.user, 60));
        assert_eq!(key.master_key_id, "m1");
        assert_eq!(db.data_key(&key.id).await.unwrap().unwrap().user, arthur.user);
        assert!(db.data_key(&DataKeyId::mint(fresh())).await.unwrap().is_none());
        assert!(db.active_data_key(&UserId::mint(fresh())).await.unwrap().is_none());

        db.raw().await.run("UPDATE data_keys SET state = 'retired'").await;
        assert!(db.active_data_key(&arthur.user).await.unwrap().is_none());
        assert!(db.data_key(&key.id).await.unwrap().is_some());
    })
    .await;
}
