//! Definitions.

use crate::sample::{ONE, at};
use event::ProjectId;
use metastore::definition::{Event, EventProperty, Owner, Property, PropertyType};
use metastore::{Checkpoint, Definitions, Metastore, Page};
use std::sync::Arc;

fn seen(offset: u64, definitions: Definitions) -> Arc<Checkpoint> {
    Arc::new(Checkpoint { reach: offset.into(), projects: Vec::new(), definitions: vec![(ONE, definitions)] })
}

fn property(owner: Owner, name: &str, kind: Option<PropertyType>) -> Property {
    Property { owner, name: name.to_owned(), kind }
}

pub async fn definitions_merge(store: Arc<dyn Metastore>) {
    let event = |first, last| Event { name: "buy".to_owned(), created_at: at(first), last_seen_at: at(last) };
    let (numeric, text) = (Some(PropertyType::Numeric), Some(PropertyType::String));
    let steps = [
        (event(5, 5), None, Some(Owner::Group(1))),
        (event(3, 3), numeric, Some(Owner::Group(1))),
        (event(9, 9), text, Some(Owner::Group(0))),
        (event(7, 7), None, None),
    ];
    for (offset, (event, kind, group)) in (1..).zip(steps) {
        let mut properties = vec![property(Owner::Event, "price", kind)];
        properties.extend(group.map(|owner| property(owner, "seats", kind)));
        let pair = EventProperty { event: "buy".to_owned(), property: "price".to_owned() };
        let definitions = Definitions { events: vec![event], properties, event_properties: vec![pair] };
        store.commit(seen(offset, definitions)).await.expect("committed");
    }
    let page = Page::default();
    let events = store.event_definitions(ONE, &page).await.expect("listed");
    assert_eq!(events.rows, [event(3, 9)], "oldest creation, newest sight");
    let of = async |owner| store.property_definitions(ONE, owner, &page).await.expect("listed").rows;
    let price = of(Owner::Event).await;
    assert_eq!(price, [property(Owner::Event, "price", numeric)], "the first known type stays");
    assert!(price[0].is_numerical());
    assert!(of(Owner::Person).await.is_empty());
    assert_eq!(of(Owner::Group(0)).await, [property(Owner::Group(0), "seats", text)]);
    assert_eq!(of(Owner::Group(1)).await, [property(Owner::Group(1), "seats", numeric)]);
    assert_eq!(store.event_properties(ONE, "buy").await.expect("listed"), ["price"]);
    assert!(store.event_properties(ONE, "sell").await.expect("listed").is_empty());
    assert_eq!(store.event_definitions(ProjectId(2), &page).await.expect("listed").count, 0);
}

pub async fn definitions_are_listed_in_pages(store: Arc<dyn Metastore>) {
    let names = ["$pageview", "$Pageleave", "buy", "100%", "zoom"];
    let definitions = Definitions {
        events: names
            .map(|name| Event { name: name.to_owned(), created_at: at(0), last_seen_at: at(0) })
            .to_vec(),
        properties: names.map(|name| property(Owner::Person, name, None)).to_vec(),
        event_properties: Vec::new(),
    };
    store.commit(seen(1, definitions)).await.expect("committed");
    let cases = [
        (None, 2, 0, 5, &["$Pageleave", "$pageview"][..]),
        (None, 10, 3, 5, &["buy", "zoom"]),
        (Some("PAGE"), 10, 0, 2, &["$Pageleave", "$pageview"]),
        (Some("%"), 10, 0, 1, &["100%"]),
        (Some("page"), 1, 1, 2, &["$pageview"]),
    ];
    for (search, limit, offset, count, expected) in cases {
        let page = Page { search: search.map(str::to_owned), limit, offset };
        let events = store.event_definitions(ONE, &page).await.expect("listed");
        let properties = store.property_definitions(ONE, Owner::Person, &page).await.expect("listed");
        assert_eq!((events.count, properties.count), (count, count), "{page:?}");
        assert_eq!(events.rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), expected, "{page:?}");
        assert_eq!(
            properties.rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(),
            expected,
            "{page:?}"
        );
    }
}
