//! Salts and cursors.

use jiff::civil::date;
use metastore::Metastore;
use std::sync::Arc;

pub async fn a_salt_is_made_once(store: Arc<dyn Metastore>) {
    let day = date(2026, 3, 1);
    let racing: Vec<_> = (1..=8_u8)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.salt(day, [number; 16]).await.expect("a salt") })
        })
        .collect();
    let mut salts = Vec::new();
    for one in racing {
        salts.push(one.await.expect("no task failed"));
    }
    assert!(salts.iter().all(|salt| *salt == salts[0]), "everybody gets the first one's");
    assert_ne!(store.salt(date(2026, 3, 2), [9; 16]).await.expect("a salt"), salts[0]);
}

pub async fn old_salts_are_forgotten(store: Arc<dyn Metastore>) {
    let days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 1, 2)];
    for day in days {
        store.salt(day, [1; 16]).await.expect("a salt");
    }
    store.forget_salts(days[1]).await.expect("forgotten");
    let mut now = Vec::new();
    for day in days {
        now.push(store.salt(day, [2; 16]).await.expect("a salt")[0]);
    }
    assert_eq!(now, [2, 1, 1]);
}

pub async fn cursors_are_overwritten(store: Arc<dyn Metastore>) {
    assert_eq!(store.cursor("export").await.expect("read"), None);
    for value in ["2026-01-01", "", "2026-01-02"] {
        store.advance_cursor("export", value).await.expect("advanced");
        assert_eq!(store.cursor("export").await.expect("read").as_deref(), Some(value));
    }
    assert_eq!(store.cursor("Export").await.expect("read"), None);
}
