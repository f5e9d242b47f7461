//! The node's side of `roda lock`: who holds what for which processes.
//!
//! A hold lives as long as its client's connection. If that ends while a process is registered, the
//! node kills everything that runs under the hold and only then lets go of the lock. So nobody is
//! inside after the next one entered, whatever happens to the wrapper.

mod run;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roda::LockName;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::sync::{Notify, watch};

use crate::api::lock_types::{ChildRequest, ReleasedReply};
use crate::descriptor::watched;
use crate::error::{Failure, Result};
use crate::tree::{Cgroup, Known, Process, Tree};

pub(crate) use run::{Wish, run};

/// All holds of this node.
pub(crate) struct Holds {
    /// How the names of all of them begin.
    mark: String,
    live: Mutex<BTreeMap<String, Arc<Hold>>>,
    count: watch::Sender<usize>,
    closing: watch::Sender<bool>,
}

impl Holds {
    /// None yet. Their names will begin with the home's mark: see [`Home::mark`](crate::home::Home::mark).
    pub(crate) fn new(mark: String) -> Self {
        Self {
            mark,
            live: Mutex::default(),
            count: watch::Sender::new(0),
            closing: watch::Sender::new(false),
        }
    }

    /// Begins one, unless an ancestor of the client has one of its locks: it would wait for itself.
    pub(crate) fn begin(&self, locks: Vec<LockName>, inside: &[String]) -> Result<Arc<Hold>> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        for outer in inside.iter().filter_map(|id| live.get(id)) {
            let both = locks.iter().find(|lock| outer.locks.contains(lock));
            if let (Some(lock), None) = (both, *outer.done.borrow()) {
                return Err(Failure::new("lock-held-by-parent").with("lock", lock.as_str()));
            }
        }
        let hold = Arc::new(Hold {
            id: self.random_name()?,
            locks,
            child: watch::Sender::new(Slot::Free),
            leave: Notify::new(),
            done: watch::Sender::new(None),
        });
        live.insert(hold.id.clone(), Arc::clone(&hold));
        self.count.send_replace(live.len());
        Ok(hold)
    }

    /// The hold of this name.
    pub(crate) fn find(&self, id: &str) -> Result<Arc<Hold>> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.get(id)
            .cloned()
            .ok_or_else(|| Failure::new("unknown-hold").with("hold", id))
    }

    /// Has everybody leave, and waits until they have: asks first, kills after a moment.
    pub(crate) async fn close(&self) {
        self.closing.send_replace(true);
        let mut count = self.count.subscribe();
        let empty = count.wait_for(|count| *count == 0);
        // What cannot be killed must not keep the node; its lease ends with the node's session.
        drop(tokio::time::timeout(CLOSE_MAX, empty).await);
    }

    /// So long as the mark leaves room for chance that nobody guesses it and no other hold has it.
    fn random_name(&self) -> Result<String> {
        let random = random_id()?;
        Ok(format!("{}{}", self.mark, &random[self.mark.len()..]))
    }

    fn end(&self, hold: &Hold) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.remove(&hold.id);
        self.count.send_replace(live.len());
    }
}

/// One client's hold, from its wish to its end.
pub(crate) struct Hold {
    id: String,
    locks: Vec<LockName>,
    child: watch::Sender<Slot>,
    leave: Notify,
    done: watch::Sender<Option<ReleasedReply>>,
}

/// The place for the process that runs under a hold.
enum Slot {
    /// Nothing runs.
    Free,
    /// This runs.
    Taken(Arc<Child>),
    /// Nothing may start any more.
    Closed,
}

struct Child {
    tree: Arc<Tree>,
    pidfd: OwnedFd,
}

impl Hold {
    /// Takes note of what will run under the hold.
    pub(crate) async fn register(&self, wish: &ChildRequest) -> Result<()> {
        let fault = |reason: &str| Failure::new("request-child").with("reason", reason);
        let find = |pid| Process::find(pid).ok_or_else(|| fault("no such process"));
        let (root, wrapper) = (find(wish.pid)?, find(wish.wrapper)?);
        // A number from another namespace of processes would mean somebody else here.
        let id = self.id.clone();
        let carries = tokio::task::spawn_blocking(move || root.carries(&id));
        if !carries.await.is_ok_and(|carries| carries) {
            return Err(fault("its environment lacks the marker of the hold"));
        }
        let cgroup = match &wish.cgroup {
            Some(path) => Some(
                Cgroup::adopt(Path::new(path), &self.id)
                    .ok_or_else(|| fault("this is not the control group of the hold"))?,
            ),
            None => None,
        };
        let pidfd = Pid::from_raw(wish.pid)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::NONBLOCK).ok())
            .ok_or_else(|| fault("no such process"))?;
        let strangers = wish.strangers.iter().filter_map(|pid| Process::find(*pid));
        let child = Arc::new(Child {
            tree: Arc::new(Tree {
                root,
                has_own_group: wish.own_group,
                wrapper,
                strangers: strangers.collect(),
                hold: self.id.clone(),
                cgroup,
                known: Known::default(),
            }),
            pidfd,
        });
        let is_taken = self.child.send_if_modified(|slot| match slot {
            Slot::Free => {
                *slot = Slot::Taken(child);
                true
            }
            Slot::Taken(_) | Slot::Closed => false,
        });
        if is_taken {
            Ok(())
        } else {
            Err(Failure::new("unknown-hold").with("hold", self.id.as_str()))
        }
    }

    /// Leaves the lock; returns when it is free and nothing runs under it.
    pub(crate) async fn release(&self) -> ReleasedReply {
        self.leave.notify_one();
        let mut done = self.done.subscribe();
        // An error means that the node has forgotten the hold, which ends it as well.
        match done.wait_for(Option::is_some).await {
            Ok(done) => done.unwrap_or_default(),
            Err(_forgotten) => ReleasedReply::default(),
        }
    }

    /// Returns when what runs has ended. Its wrapper gets a moment to end what it left behind.
    async fn child_ended(&self) {
        let Some(child) = self.registered().await else {
            return std::future::pending().await;
        };
        let pidfd = child.pidfd.try_clone().and_then(watched);
        match &pidfd {
            Ok(pidfd) => drop(pidfd.readable().await),
            // Without a descriptor left, the wrapper's word has to do.
            Err(_) => return std::future::pending().await,
        }
        let give_up = tokio::time::Instant::now() + LEFT_BEHIND_MAX;
        while tokio::time::Instant::now() < give_up && !child.tree.is_empty().await {
            tokio::time::sleep(LEFT_BEHIND_STEP).await;
        }
    }

    async fn registered(&self) -> Option<Arc<Child>> {
        let mut slots = self.child.subscribe();
        let taken = slots.wait_for(|slot| matches!(slot, Slot::Taken(_))).await;
        match taken.as_deref() {
            Ok(Slot::Taken(child)) => Some(Arc::clone(child)),
            Ok(Slot::Free | Slot::Closed) | Err(_) => None,
        }
    }

    /// Kills whatever runs, and returns when nothing does or ever will.
    async fn clear(&self) {
        let mut found = None;
        self.child.send_modify(|slot| {
            if let Slot::Taken(child) = std::mem::replace(slot, Slot::Closed) {
                found = Some(child);
            }
        });
        if let Some(child) = found {
            child.tree.kill_all().await;
            if let Some(cgroup) = &child.tree.cgroup {
                cgroup.remove();
            }
        }
    }
}

/// A name that nobody guesses and no other hold has.
pub(crate) fn random_id() -> Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(|error| Failure::new("runtime").with("reason", error.to_string()))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}

/// How long a wrapper has for ending what its command left behind; it needs half of it.
const LEFT_BEHIND_MAX: Duration = Duration::from_secs(2);
const LEFT_BEHIND_STEP: Duration = Duration::from_millis(20);
/// How long a node that stops waits for its holds.
const CLOSE_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<LockName> {
        list.iter()
            .map(|name| LockName::new(name).unwrap())
            .collect()
    }

    #[test]
    fn a_lock_inside_itself_is_refused_as_long_as_the_outer_hold_lives() {
        let holds = Holds::new("00ff".to_owned());
        let outer = holds.begin(names(&["a", "b"]), &[]).unwrap();
        assert!(outer.id.starts_with("00ff") && outer.id.len() == 32);
        let inside = [outer.id.clone()];
        let failure = holds.begin(names(&["c", "b"]), &inside).err().unwrap();
        assert_eq!(failure.code, "lock-held-by-parent");
        assert_eq!(failure.args["lock"], "b".into());
        assert!(holds.begin(names(&["c"]), &inside).is_ok());
        assert!(holds.begin(names(&["b"]), &[]).is_ok(), "no descendant");
        outer.done.send_replace(Some(ReleasedReply::default()));
        assert!(holds.begin(names(&["b"]), &inside).is_ok());
    }

    #[tokio::test]
    async fn only_a_process_with_the_marker_is_registered() {
        let holds = Holds::new("00ff".to_owned());
        let hold = holds.begin(names(&["a"]), &[]).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let mut wish = ChildRequest {
            pid: own,
            own_group: true,
            wrapper: own,
            strangers: Vec::new(),
            cgroup: None,
        };
        let failure = hold.register(&wish).await.unwrap_err();
        assert_eq!(failure.code, "request-child");
        wish.pid = i32::MAX;
        assert_eq!(
            hold.register(&wish).await.unwrap_err().code,
            "request-child"
        );
    }

    #[tokio::test]
    async fn a_hold_that_has_been_cleared_takes_no_child() {
        let holds = Holds::new("00ff".to_owned());
        let hold = holds.begin(names(&["a"]), &[]).unwrap();
        hold.clear().await;
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .env(crate::tree::HOLD_VARIABLE, &hold.id)
            .spawn()
            .unwrap();
        let wish = ChildRequest {
            pid: i32::try_from(child.id()).unwrap(),
            own_group: false,
            wrapper: i32::try_from(std::process::id()).unwrap(),
            strangers: Vec::new(),
            cgroup: None,
        };
        assert_eq!(hold.register(&wish).await.unwrap_err().code, "unknown-hold");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
