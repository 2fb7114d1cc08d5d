//! Names to addresses, each looked at before anything may connect to it.
//!
//! The connector asks here and connects to nothing but what it is given, so the address that was looked at is the one that
//! is called: a name that means something else a moment later changes nothing.

use crate::error::Reason;
use crate::policy::Policy;
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Who knows the addresses of a name.
pub(crate) trait Names: Send + Sync {
    /// All of them.
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the system.
pub(crate) struct System;

impl Names for System {
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Gives the connector addresses that the policy allows, or none.
pub(crate) struct Checked {
    pub(crate) names: Arc<dyn Names>,
    pub(crate) policy: Arc<Policy>,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, policy) = (Arc::clone(&self.names), Arc::clone(&self.policy));
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let found = names.addresses(name.clone()).await;
            let found =
                found.map_err(|cause| Reason::Connection.because(format!("{name} has no address"), cause))?;
            for address in &found {
                policy.address(&name, *address)?;
            }
            // Port 0 means that of the URL.
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}
