//! Keys: public ones that name a project, secret ones of which only a hash is stored.

use crate::{Kind as Fault, Result, project};
use async_trait::async_trait;
use event::{ProjectId, ProjectKey};
use jiff::{SignedDuration, Timestamp};
use rand::{CryptoRng, Rng, distr::Alphanumeric};
use sha2::{Digest, Sha256};
use std::fmt;

/// Random characters of a generated key: 43 of base 62 carry 256 bits.
const RANDOM_CHARS: usize = 43;
/// How exact `last_used_at` is: one write per key in this time.
pub(crate) const NOTED_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// Bytes of the longest secret key that is accepted.
const SECRET_BYTES: usize = 256;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `phc_`: public, names the project of an event.
    Project,
    /// `phx_`: secret, acts for a person in every project unless scoped.
    Personal,
    /// `phs_`: secret, acts for one project, between servers.
    Secret,
}

impl Kind {
    /// The prefix of generated keys.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Project => "phc_",
            Self::Personal => "phx_",
            Self::Secret => "phs_",
        }
    }
}

/// Key material that is about to be stored. `Debug` shows only its mask.
#[derive(Clone, PartialEq, Eq)]
pub struct NewKey {
    kind: Kind,
    value: String,
}

/// Makes a key with 256 bits from `rng`.
pub fn generate(kind: Kind, rng: &mut impl CryptoRng) -> NewKey {
    let mut value = kind.prefix().to_owned();
    value.extend(rng.sample_iter(Alphanumeric).take(RANDOM_CHARS).map(char::from));
    NewKey { kind, value }
}

impl NewKey {
    /// Takes a value chosen by the operator, as bootstrap settings and tests do.
    ///
    /// # Errors
    /// `Invalid` when clients could not send it or it reads as a key of another kind.
    ///
    /// # Compat
    /// Project keys need no prefix but are at most 64 bytes (PostHog `rust/capture/src/token.rs`);
    /// personal keys may be unprefixed, as old ones are.
    pub fn fixed(kind: Kind, value: &str) -> Result<Self> {
        let (longest, other) = match kind {
            Kind::Project => (event::limit::TOKEN_BYTES, ["phx_", "phs_"]),
            Kind::Personal => (SECRET_BYTES, ["phc_", "phs_"]),
            Kind::Secret => (SECRET_BYTES, ["phc_", "phx_"]),
        };
        let refuse = |why: String| Err(Fault::Invalid.error(format!("the key cannot be used: {why}")));
        if value.is_empty() || value.len() > longest {
            return refuse(format!("it must have 1 to {longest} characters"));
        }
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return refuse("it may hold only visible ASCII characters".to_owned());
        }
        if other.iter().any(|prefix| value.starts_with(prefix)) {
            return refuse(format!("its prefix belongs to another kind of key, not {}", kind.prefix()));
        }
        if kind == Kind::Secret {
            let rest = value.strip_prefix("phs_").unwrap_or_default();
            if rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return refuse("it must be phs_ followed by letters and digits".to_owned());
            }
        }
        Ok(Self { kind, value: value.to_owned() })
    }

    /// What it is for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The key itself: shown to its owner once, never logged.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What may be shown later.
    pub fn mask(&self) -> String {
        mask(&self.value)
    }
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey").field("kind", &self.kind).field("value", &self.mask()).finish()
    }
}

/// First and last four characters; nothing of a value too short to hide the rest.
fn mask(value: &str) -> String {
    match (value.get(..4), value.len().checked_sub(4).and_then(|end| value.get(end..))) {
        (Some(start), Some(end)) if value.len() >= 16 => format!("{start}...{end}"),
        _ => "********".to_owned(),
    }
}

/// The SHA-256 of a key as sent: what is stored and looked up. Keys carry 256 random bits, so no salt is needed.
pub fn hash(value: &str) -> [u8; 32] {
    Sha256::digest(value.as_bytes()).into()
}

/// What a caller wants to do with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look at it.
    Read,
    /// Change it; implies reading.
    Write,
}

/// A stored secret key, without its value: who is calling and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Number of the key, for listing and revoking.
    pub id: i64,
    /// `Personal` or `Secret`.
    pub kind: Kind,
    /// What it is for.
    pub label: String,
    /// What may be shown of its value.
    pub mask: String,
    /// `*` or `<object>:read|write`.
    pub scopes: Vec<String>,
    /// The projects it is limited to; `None` is all. A `Secret` key has exactly one.
    pub projects: Option<Vec<ProjectId>>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last used, exact to the hour.
    pub last_used_at: Option<Timestamp>,
}

impl Credential {
    /// Whether its scopes cover `access` to `object` (`query`, `feature_flag`, ...). Write implies read.
    pub fn allows(&self, object: &str, access: Access) -> bool {
        self.scopes.iter().any(|scope| match scope.split_once(':') {
            None => scope == "*",
            Some((name, "write")) => name == object,
            Some((name, "read")) => name == object && access == Access::Read,
            Some(_) => false,
        })
    }

    /// Whether it may act in `project` at all.
    pub fn reaches(&self, project: ProjectId) -> bool {
        self.projects.as_ref().is_none_or(|projects| projects.contains(&project))
    }
}

/// What a new secret key may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What it is for; not empty.
    pub label: String,
    /// `*` or `<object>:read|write`; at least one.
    pub scopes: Vec<String>,
    /// Projects to limit it to; `None` is all. A `Secret` key needs exactly one.
    pub projects: Option<Vec<ProjectId>>,
}

impl Grant {
    /// Everything, everywhere: what a bootstrap personal key gets.
    pub fn all(label: &str) -> Self {
        Self { label: label.to_owned(), scopes: vec!["*".to_owned()], projects: None }
    }

    /// Refuses a grant that makes no sense for `kind`.
    pub(crate) fn check(&self, kind: Kind) -> Result<()> {
        let refuse = |why: String| Err(Fault::Invalid.error(why));
        if self.label.trim().is_empty() {
            return refuse("a key needs a label".to_owned());
        }
        if self.scopes.is_empty() {
            return refuse("a key needs at least one scope".to_owned());
        }
        if let Some(scope) = self.scopes.iter().find(|scope| !is_scope(scope)) {
            return refuse(format!("{scope:?} is no scope: write `*`, `<object>:read` or `<object>:write`"));
        }
        match (kind, &self.projects) {
            (Kind::Project, _) => {
                refuse("a project key is added to its project and has no scopes".to_owned())
            }
            (Kind::Secret, None) => refuse("a project secret key needs its project".to_owned()),
            (Kind::Secret, Some(projects)) if projects.len() != 1 => {
                refuse("a project secret key belongs to exactly one project".to_owned())
            }
            _ => Ok(()),
        }
    }
}

fn is_scope(scope: &str) -> bool {
    let is_object =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    match scope.split_once(':') {
        None => scope == "*",
        Some((name, access)) => is_object(name) && matches!(access, "read" | "write"),
    }
}

/// Keys at rest.
#[async_trait]
pub trait Store: Send + Sync {
    /// Adds one more public key to a project. `api_token` stays what it is.
    ///
    /// # Errors
    /// `NotFound` without that project, `Conflict` when any project has the key already.
    async fn add_project_key(
        &self,
        project: ProjectId,
        key: NewKey,
        label: &str,
        now: Timestamp,
    ) -> Result<project::Key>;

    /// Makes a new key the `api_token` of a project and gives back the old one.
    ///
    /// The old key is accepted until it is disabled, so that no event is lost while clients move over.
    ///
    /// # Errors
    /// As [`Store::add_project_key`].
    async fn rotate_project_key(&self, project: ProjectId, key: NewKey, now: Timestamp)
    -> Result<ProjectKey>;

    /// Stops accepting a public key. Disabling it again keeps the first time.
    ///
    /// # Errors
    /// `NotFound` for an unknown key, `Conflict` when it is the `api_token`: rotate first.
    async fn disable_project_key(&self, key: &str, now: Timestamp) -> Result<()>;

    /// Stores a personal or project secret key: hash, mask and grant, never the value.
    ///
    /// # Errors
    /// `Invalid` for a grant that makes no sense, `NotFound` for a project that does not exist,
    /// `Conflict` when the value is stored already.
    async fn create_key(&self, key: NewKey, grant: Grant, now: Timestamp) -> Result<Credential>;

    /// Lists personal and project secret keys, oldest first.
    async fn keys(&self) -> Result<Vec<Credential>>;

    /// Removes a personal or project secret key for good; false when there was none.
    async fn revoke_key(&self, id: i64) -> Result<bool>;

    /// Tells whose secret key this is; `None` for an unknown, revoked or public one.
    ///
    /// Moves `last_used_at` forward at most once an hour, and only while nothing else is being written;
    /// failing to do so is logged and refuses nobody.
    async fn authenticate(&self, value: &str, now: Timestamp) -> Result<Option<Credential>>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn generated_keys_have_their_shape_and_differ() {
        let mut rng = StdRng::seed_from_u64(1);
        for kind in [Kind::Project, Kind::Personal, Kind::Secret] {
            let (one, two) = (generate(kind, &mut rng), generate(kind, &mut rng));
            assert_eq!(one.value().len(), 47);
            assert!(one.value().starts_with(kind.prefix()));
            assert!(one.value()[4..].bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert_ne!(one, two);
            assert_eq!(NewKey::fixed(kind, one.value()).expect("its own kind"), one);
        }
    }

    #[test]
    fn fixed_keys_are_checked() {
        let long = "x".repeat(65);
        let cases = [
            (Kind::Project, "phc_test", true),
            (Kind::Project, "plain", true),
            (Kind::Project, "", false),
            (Kind::Project, long.as_str(), false),
            (Kind::Project, "phx_abc", false),
            (Kind::Project, "with space", false),
            (Kind::Project, "h\u{e9}", false),
            (Kind::Personal, "phx_dev", true),
            (Kind::Personal, long.as_str(), true),
            (Kind::Personal, "phc_abc", false),
            (Kind::Secret, "phs_abc9", true),
            (Kind::Secret, "phs_", false),
            (Kind::Secret, "phs_a-b", false),
            (Kind::Secret, "abc", false),
        ];
        for (kind, value, good) in cases {
            assert_eq!(NewKey::fixed(kind, value).is_ok(), good, "{kind:?} {value:?}");
        }
    }

    #[test]
    fn a_mask_hides_short_values_whole() {
        assert_eq!(mask("phx_0123456789abcdef"), "phx_...cdef");
        assert_eq!(mask("phx_0123456789a"), "********");
        let key = NewKey::fixed(Kind::Personal, "phx_0123456789abcdef").expect("good");
        assert!(!format!("{key:?}").contains("0123456789"));
    }

    #[test]
    fn scopes_are_understood() {
        let credential = |scopes: &[&str]| Credential {
            id: 1,
            kind: Kind::Personal,
            label: String::new(),
            mask: String::new(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            projects: Some(vec![ProjectId(2)]),
            created_at: Timestamp::UNIX_EPOCH,
            last_used_at: None,
        };
        let cases = [
            (&["*"][..], "query", Access::Write, true),
            (&["query:read"], "query", Access::Read, true),
            (&["query:read"], "query", Access::Write, false),
            (&["query:write"], "query", Access::Read, true),
            (&["query:write", "flag:read"], "flag", Access::Write, false),
            (&[], "query", Access::Read, false),
        ];
        for (scopes, object, access, allowed) in cases {
            assert_eq!(credential(scopes).allows(object, access), allowed, "{scopes:?} {object} {access:?}");
        }
        assert!(credential(&[]).reaches(ProjectId(2)) && !credential(&[]).reaches(ProjectId(1)));
    }
}
