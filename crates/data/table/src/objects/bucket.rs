//! One bucket: its objects, each spoken to with the credentials that hold for it.

use super::lent::{Lender, Lent};
use super::s3::S3;
use crate::Result;
use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::aws::AmazonS3;
use object_store::path::Path as Key;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as Answer,
};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::runtime::Handle;

/// See the module.
#[derive(Debug)]
pub(crate) struct Bucket {
    name: String,
    own: Arc<AmazonS3>,
    /// Clients whose credentials a catalog lent for the keys below a prefix, the longest prefix first.
    lent: RwLock<Vec<(Key, Arc<AmazonS3>)>>,
    /// Their credentials, by prefix.
    borrowed: Mutex<HashMap<Key, Arc<Lent>>>,
}

impl std::fmt::Display for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}", self.name)
    }
}

impl Bucket {
    pub(super) fn open(name: &str, s3: &S3, wire: &Handle) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            own: Arc::new(s3.open(name, wire)?),
            lent: RwLock::default(),
            borrowed: Mutex::default(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Speaks to the objects below `prefix` with what a catalog lends for them.
    pub(super) fn lend(
        &self,
        prefix: Key,
        s3: &S3,
        (config, lender): (&HashMap<String, String>, Arc<dyn Lender>),
        wire: &Handle,
    ) -> Result<()> {
        let mut borrowed = self.borrowed.lock();
        if let Some(known) = borrowed.get(&prefix) {
            known.renewed(config);
            return Ok(());
        }
        let client = match Lent::of(config, lender).map(Arc::new) {
            Some(lent) => {
                borrowed.insert(prefix.clone(), lent.clone());
                s3.open_lent(&self.name, lent, wire)?
            }
            // It only says how the store is spoken to.
            None if self.lent.read().iter().any(|(known, _)| *known == prefix) => return Ok(()),
            None => s3.open(&self.name, wire)?,
        };
        let mut lent = self.lent.write();
        lent.push((prefix, Arc::new(client)));
        lent.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.as_ref().len()));
        Ok(())
    }

    fn of(&self, key: &Key) -> Arc<AmazonS3> {
        let lent = self.lent.read();
        let found = lent.iter().find(|(prefix, _)| key.prefix_matches(prefix));
        found.map_or_else(|| self.own.clone(), |(_, client)| client.clone())
    }

    fn below(&self, prefix: Option<&Key>) -> Arc<AmazonS3> {
        prefix.map_or_else(|| self.own.clone(), |prefix| self.of(prefix))
    }
}

#[async_trait]
impl ObjectStore for Bucket {
    async fn put_opts(&self, key: &Key, payload: PutPayload, options: PutOptions) -> Answer<PutResult> {
        self.of(key).put_opts(key, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        key: &Key,
        options: PutMultipartOptions,
    ) -> Answer<Box<dyn MultipartUpload>> {
        self.of(key).put_multipart_opts(key, options).await
    }

    async fn get_opts(&self, key: &Key, options: GetOptions) -> Answer<GetResult> {
        self.of(key).get_opts(key, options).await
    }

    async fn get_ranges(&self, key: &Key, ranges: &[std::ops::Range<u64>]) -> Answer<Vec<bytes::Bytes>> {
        self.of(key).get_ranges(key, ranges).await
    }

    fn delete_stream(&self, keys: BoxStream<'static, Answer<Key>>) -> BoxStream<'static, Answer<Key>> {
        if self.lent.read().is_empty() {
            return self.own.delete_stream(keys);
        }
        let lent = self.lent.read().clone();
        let own = self.own.clone();
        keys.and_then(move |key| {
            let found = lent.iter().find(|(prefix, _)| key.prefix_matches(prefix));
            let client = found.map_or_else(|| own.clone(), |(_, client)| client.clone());
            async move {
                let asked = key.clone();
                let one = stream::once(async move { Ok(asked) }).boxed();
                client.delete_stream(one).try_for_each(|_| async { Ok(()) }).await?;
                Ok(key)
            }
        })
        .boxed()
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, Answer<ObjectMeta>> {
        self.below(prefix).list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> Answer<ListResult> {
        self.below(prefix).list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> Answer<()> {
        self.of(to).copy_opts(from, to, options).await
    }
}
