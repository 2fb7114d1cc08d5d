//! A topic as a log, on the cluster that librdkafka brings along for tests: the real protocol on real sockets.

use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::kafka::{self, Settings};
use crate::{Kind, Offset, Partitions, Record};

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster(partitions: i32) -> (Cluster, Settings) {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic("events", partitions, 1).expect("a topic");
    let settings = Settings {
        brokers: cluster.bootstrap_servers(),
        topic: "events".to_owned(),
        partitions: partitions as usize,
        replication: 0,
        max_queue_bytes: 1 << 20,
        max_record_bytes: 100_000,
        ack_timeout: Duration::from_secs(1),
        properties: Vec::new(),
        password: String::new(),
    };
    (cluster, settings)
}

async fn open(settings: &Settings, floors: &[u64]) -> Partitions {
    kafka::open(settings, Some(floors.to_vec())).await.expect("opened")
}

/// Everything from `from` to the end of a partition.
async fn all(log: &Partitions, partition: usize, from: u64) -> Vec<Record> {
    let log = log.iter().nth(partition).expect("a partition");
    let (start, mut records) = (Instant::now(), Vec::<Record>::new());
    while from + (records.len() as u64) < log.durable().0 {
        records.extend(log.read(Offset(from + records.len() as u64), 10_000).await.expect("read"));
        assert!(start.elapsed() < Duration::from_secs(20), "{} of {}", records.len(), log.durable());
    }
    records
}

fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8_lossy(&record.bytes).into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_read_in_order_from_anywhere() {
    let (_cluster, settings) = cluster(3);
    let log = open(&settings, &[]).await;
    let mut sent = vec![Vec::new(); 3];
    let mut waiting = Vec::new();
    for number in 0..300_u64 {
        let key = number % 7;
        let text = format!("{key} {number}");
        waiting.push((log.number_of(key), log.of(key).append(text.clone().into_bytes().into())));
        sent[log.number_of(key)].push(text);
    }
    let mut next = [0; 3];
    for (partition, append) in waiting {
        assert_eq!(append.await.expect("acknowledged"), Offset(next[partition]), "in the order of the calls");
        next[partition] += 1;
    }
    for (partition, sent) in sent.iter().enumerate() {
        assert_eq!(texts(&all(&log, partition, 0).await), *sent);
    }
    log.close().await.expect("closed");
    drop(log);

    let log = open(&settings, &next).await;
    let middle = next.map(|end| end / 2);
    for (partition, sent) in sent.iter().enumerate() {
        let from = middle[partition];
        assert_eq!(texts(&all(&log, partition, from).await), sent[from as usize..]);
        let first = log.iter().nth(partition).expect("a partition").read(Offset(0), 1).await.expect("back");
        assert_eq!(first.len(), usize::from(!sent.is_empty()), "at least one, and no more than fits");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_comes_back() {
    let (cluster, settings) = cluster(1);
    let log = open(&settings, &[]).await;
    let append = |text: String| log.of(0).append(text.into_bytes().into());
    append("before".to_owned()).await.expect("acknowledged");
    cluster.broker_down(1).expect("down");
    let mut refused = 0;
    let start = Instant::now();
    while log.is_reachable() {
        // Until it is noticed, an append waits for its acknowledgement and gives up in time.
        let error = append(format!("lost {refused}")).await.expect_err("nobody answers");
        assert!(matches!(error.kind(), Kind::Unavailable | Kind::Busy { .. }), "{error}");
        assert!(start.elapsed() < Duration::from_secs(15), "noticed");
        refused += 1;
    }
    let error = append("refused".to_owned()).await.expect_err("refused at once");
    assert!(matches!(error.kind(), Kind::Busy { .. }), "{error}");
    cluster.broker_up(1).expect("up");
    let start = Instant::now();
    while !log.is_reachable() {
        assert!(start.elapsed() < Duration::from_secs(15), "noticed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    append("after".to_owned()).await.expect("acknowledged");
    assert!(!log.is_poisoned());
    let read = texts(&all(&log, 0, 0).await);
    assert_eq!(
        (read.first().map(String::as_str), read.last().map(String::as_str)),
        (Some("before"), Some("after"))
    );
    assert!(!read.contains(&"refused".to_owned()), "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_brokers_disown_is_made_anew() {
    let (cluster, settings) = cluster(1);
    let log = open(&settings, &[]).await;
    let append = |text: &'static str| log.of(0).append(text.as_bytes().into());
    append("before").await.expect("acknowledged");
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_PRODUCER_FENCED]);
    let error = append("refused").await.expect_err("disowned");
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    let start = Instant::now();
    while append("after").await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(15), "made anew");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(texts(&all(&log, 0, 0).await), ["before", "after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_in_words() {
    let (_cluster, settings) = cluster(2);
    let log = open(&settings, &[]).await;
    let error = log.of(0).append(vec![0; 100_001].into()).await.expect_err("too large");
    assert_eq!(error.kind(), Kind::Invalid);
    let other = Settings { partitions: 3, ..settings.clone() };
    let error = kafka::open(&other, None).await.err().expect("another number of partitions");
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("set it to 2"), "{error}");
    let error = kafka::open(&settings, Some(vec![0, 0, 5])).await.err().expect("a third was folded");
    assert_eq!(error.kind(), Kind::Invalid);
    // A checkpoint beyond the end stays visible to who compares them.
    let further = open(&settings, &[7]).await;
    assert_eq!(further.iter().next().map(|log| log.durable()), Some(Offset(0)));
    for (property, word) in
        [("acks=1", "acks"), ("sasl.password=x", "kafka.password"), ("secret", "name=value")]
    {
        let wrong = Settings { properties: vec![property.to_owned()], ..settings.clone() };
        let error = wrong.check().expect_err("refused").to_string();
        assert!(error.contains(word) && (property != "secret" || !error.contains("secret")), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_hears_of_records_of_others() {
    let (_cluster, settings) = cluster(1);
    let reading = open(&settings, &[]).await;
    let writing = kafka::open(&settings, None).await.expect("opened to append");
    let error = writing.of(0).read(Offset(0), 1).await.expect_err("opened to append");
    assert_eq!(error.kind(), Kind::Bug);
    let mut growth = reading.subscribe();
    assert!(reading.of(0).read(Offset(0), 1).await.expect("nothing yet").is_empty());
    growth.mark_seen();
    writing.of(0).append("from another process".as_bytes().into()).await.expect("acknowledged");
    tokio::time::timeout(Duration::from_secs(10), growth.changed()).await.expect("heard");
    assert_eq!(texts(&all(&reading, 0, 0).await), ["from another process"]);
}
