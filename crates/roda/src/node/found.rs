//! Making a group: begun with the database, over when the founding entry stands in the log. A node that is
//! stopped in between goes on at its next start.

use std::path::Path;

use roda_proto::group::{founding_group_id, short_name};
use roda_proto::{Command, EpochRecord, Hlc, Identity, Incarnation, Snapshot, crypto};
use roda_store::{Store, StoreError};
use zeroize::Zeroizing;

use super::Node;
use super::start::{Start, TO_BE_FOUNDED, VOTERS, open_net};
use crate::error::{Error, Result};
use crate::home::{host_name, prepare};
use crate::random;
use crate::stream::TlsIdentity;
use crate::types::Options;

/// The setting that says how a group is to be founded: its salt in hex, and the founder's nick.
const FOUNDING: &str = "founding";

/// What the founding entry says beside the group's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Founding {
    salt: [u8; 16],
    nick: String,
}

impl Founding {
    fn to_meta(&self) -> String {
        format!("{:032x} {}", u128::from_be_bytes(self.salt), self.nick)
    }

    fn from_meta(text: &str) -> Option<Self> {
        let (salt, nick) = text.split_once(' ')?;
        let salt = u128::from_str_radix(salt, 16).ok()?;
        Some(Self {
            salt: salt.to_be_bytes(),
            nick: nick.to_owned(),
        })
    }

    /// How to go on with a founding of which nothing stands in the log yet.
    pub(super) fn unfinished(
        store: &Store,
        snapshot: &Snapshot,
    ) -> std::result::Result<Option<Self>, StoreError> {
        if !snapshot.heads.is_empty() {
            return Ok(None);
        }
        let Some(text) = store.meta(FOUNDING)? else {
            return Ok(None);
        };
        let damaged = || StoreError::Damaged(format!("its setting {FOUNDING} is {text:?}"));
        Self::from_meta(&text).map(Some).ok_or_else(damaged)
    }
}

impl Node {
    /// Makes a group and starts its first node.
    ///
    /// # Errors
    /// [`Error::AlreadyInGroup`], or why the home or the network cannot be used.
    pub async fn create(home: &Path, name: &str, options: Options) -> Result<Self> {
        let name = short_name(name);
        let (start, founding) = begin(home, &name, &options)?;
        let node = Self::start(home, start, &options).await?;
        node.found(founding, name).await?;
        Ok(node)
    }

    /// Writes the founding entry; returns when it is durable.
    pub(super) async fn found(&self, founding: Founding, name: String) -> Result<()> {
        let Founding { salt, nick } = founding;
        self.command(Command::Found { salt, name, nick }).await?;
        Ok(())
    }
}

/// All that comes before the founding entry.
fn begin(home: &Path, name: &str, options: &Options) -> Result<(Start, Founding)> {
    let database = prepare(home)?;
    if database.exists() {
        return Err(Error::AlreadyInGroup(home.into()));
    }
    let seed = Zeroizing::new(random::bytes()?);
    let identity = TlsIdentity::new(&seed).map_err(|error| Error::Store(error.to_string()))?;
    let founding = Founding {
        salt: random::bytes()?,
        nick: options.nick.clone().unwrap_or_else(host_name),
    };
    let group = founding_group_id(&identity.node(), &founding.salt, name);
    let net = open_net(&group, options)?;
    let record = Identity {
        seed,
        incarnation: Incarnation(random::bytes()?),
        group,
        group_name: name.to_owned(),
    };
    let secret = Zeroizing::new(random::bytes()?);
    let epoch = EpochRecord {
        tag: crypto::epoch_tag(&secret),
        secret,
        created: Hlc::ZERO,
    };
    let meta = [(VOTERS, TO_BE_FOUNDED), (FOUNDING, &founding.to_meta())];
    let store = Store::create_with(&database, &record, &[epoch], &meta)
        .map_err(|error| Error::store(home, error))?;
    Ok((Start::alone(store, net, identity), founding))
}

#[cfg(test)]
mod tests {
    use roda_proto::Topic;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_group_that_was_not_quite_made_is_made_by_the_next_start() {
        let home = tempfile::tempdir().unwrap();
        let options = Options {
            nick: Some("ana maria".to_owned()),
            interfaces: vec!["lo".to_owned()],
            ..Options::default()
        };
        drop(begin(home.path(), "square", &options).unwrap());
        let again = Node::create(home.path(), "other", options.clone()).await;
        assert!(matches!(again, Err(Error::AlreadyInGroup(_))));
        let later = Options {
            nick: None,
            ..options
        };
        for entries in 1..=2 {
            let node = Node::open(home.path(), later.clone()).await.unwrap();
            let members = node.members().await.unwrap();
            assert_eq!((members.len(), &*members[0].nick), (1, "ana maria"));
            let topic = node.topic(Topic::new("square").unwrap());
            topic.append("hello").await.unwrap();
            let lock = node.lock("printer".parse().unwrap()).acquire().await;
            assert!(lock.unwrap().fence().0 > 0);
            assert_eq!(node.group_name(), "square");
            assert_eq!(node.topics().await.unwrap()[0].entries, entries);
            node.shutdown().await.unwrap();
        }
    }
}
