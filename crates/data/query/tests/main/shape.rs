//! The shapes answers are written in.

use query::answer::{to_posthog_json, write_csv, write_jsonl, write_parquet, write_table};
use serde_json::{Value, json};

use crate::world::World;

const SQL: &str = "SELECT event, timestamp, properties.amount, toFloat(properties.amount) AS n, \
                   properties.is_paid = true AS paid, toDate(timestamp) AS day, 'a,\"b' AS odd \
                   FROM events WHERE event = 'purchase' ORDER BY timestamp";

#[tokio::test]
async fn posthog_json() {
    let world = World::open().await;
    let answer = world.ask(1, SQL).await.expect("an answer");
    let body: Value = serde_json::from_str(&to_posthog_json(&answer, SQL)).expect("JSON");
    assert_eq!(body["columns"], json!(["event", "timestamp", "amount", "n", "paid", "day", "odd"]));
    assert_eq!(
        body["types"],
        json!([
            ["event", "String"],
            ["timestamp", "DateTime64(6, 'UTC')"],
            ["amount", "Nullable(String)"],
            ["n", "Nullable(Float64)"],
            ["paid", "Nullable(Bool)"],
            ["day", "Date"],
            ["odd", "String"]
        ])
    );
    assert_eq!(
        body["results"],
        json!([
            ["purchase", "2026-01-09T09:30:00.000000Z", "29.99", 29.99, true, "2026-01-09", "a,\"b"],
            ["purchase", "2026-01-10T08:00:00.000000Z", "5.01", 5.01, false, "2026-01-10", "a,\"b"]
        ])
    );
    assert_eq!((&body["hasMore"], &body["limit"], &body["offset"]), (&json!(false), &json!(100), &json!(0)));
    assert_eq!(body["query"], SQL);
}

#[tokio::test]
async fn values_that_json_lacks_become_null() {
    let world = World::open().await;
    let sql = "SELECT CAST('NaN' AS DOUBLE), CAST('inf' AS DOUBLE), NULL, [1, NULL], 9223372036854775807, \
               named_struct('a', 1, 'b', 'x')";
    let rows = world.rows(1, sql).await;
    assert_eq!(rows, [["NULL", "NULL", "NULL", "[1,null]", "9223372036854775807", "[1,\"x\"]"]]);
}

#[tokio::test]
async fn every_type_of_the_engine_has_a_form() {
    let world = World::open().await;
    let kinds = ["ListView(Int64)", "LargeListView(Int64)", "LargeList(Int64)", "FixedSizeList(1, Int64)"];
    for kind in kinds {
        let answer = world.ask(1, &format!("SELECT arrow_cast([1], '{kind}')")).await;
        if let Ok(answer) = answer {
            let body: Value = serde_json::from_str(&to_posthog_json(&answer, "")).expect("JSON");
            assert!(body["results"][0][0].to_string().contains('1'), "{kind}: {body}");
        }
    }
    let sql = "SELECT arrow_cast(1, 'Float16'), arrow_cast(1, 'Duration(Second)'), \
               arrow_cast('x', 'Binary'), arrow_cast(1, 'Decimal256(40, 2)'), arrow_cast(1, 'Time64(Nanosecond)')";
    let answer = world.ask(1, sql).await.expect("an answer");
    let mut table = Vec::new();
    write_table(&answer, &mut table).expect("a table");
    assert!(String::from_utf8(table).expect("text").ends_with("(1 row)\n"));
}

#[tokio::test]
async fn text_forms() {
    let world = World::open().await;
    let answer = world.ask(1, SQL).await.expect("an answer");
    let text = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("text")
    };
    let csv = text(&|out| write_csv(&answer, out).expect("csv"));
    assert_eq!(
        csv,
        "event,timestamp,amount,n,paid,day,odd\n\
         purchase,2026-01-09T09:30:00.000000Z,29.99,29.99,true,2026-01-09,\"a,\"\"b\"\n\
         purchase,2026-01-10T08:00:00.000000Z,5.01,5.01,false,2026-01-10,\"a,\"\"b\"\n"
    );
    let lines = text(&|out| write_jsonl(&answer, out).expect("jsonl"));
    let first: Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&first["n"], &first["amount"]), (&json!(29.99), &json!("29.99")));
    let table = text(&|out| write_table(&answer, out).expect("table"));
    assert!(table.ends_with("(2 rows)\n"), "{table}");
    let mut bytes = Vec::new();
    write_parquet(&answer, &mut bytes).expect("parquet");
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
}
