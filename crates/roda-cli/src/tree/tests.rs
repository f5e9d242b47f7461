//! The tree of real processes that do their best to get away.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::*;

/// A child in a process group of its own that runs a script, with the hold's marker or without.
struct Family {
    child: Child,
    tree: Arc<Tree>,
    directory: tempfile::TempDir,
}

impl Family {
    fn start(script: &str, has_marker: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let hold = format!("test-{}", directory.path().display()).replace(['/', ','], "-");
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .process_group(0);
        if has_marker {
            command.env(HOLD_VARIABLE, format!("outer,{hold}"));
        }
        let child = command.spawn().unwrap();
        let root = Process::find(i32::try_from(child.id()).unwrap()).unwrap();
        let tree = Tree {
            root,
            has_own_group: true,
            wrapper: Process::own().unwrap(),
            strangers: Vec::new(),
            hold,
            cgroup: None,
            known: Known::default(),
        };
        // Other tests have children of this process too: here it is not anybody's wrapper.
        let tree = Arc::new(Tree {
            wrapper: Process {
                born: 0,
                ..tree.wrapper
            },
            ..tree
        });
        Self {
            child,
            tree,
            directory,
        }
    }

    /// Waits until the script has written `count` files named `pid…`.
    fn pids(&self, count: usize) -> Vec<i32> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let pids = written(self.directory.path());
            if pids.len() == count {
                return pids;
            }
            assert!(Instant::now() < deadline, "only {} of {count}", pids.len());
            std::thread::yield_now();
        }
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn written(directory: &Path) -> Vec<i32> {
    std::fs::read_dir(directory)
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
        .filter_map(|text| text.strip_suffix('\n')?.parse().ok())
        .collect()
}

fn lives(pid: i32) -> bool {
    Process::find(pid).is_some_and(|process| !process.is_dead)
}

/// Writes the number of the process that will then do nothing for long.
const SLEEPER: &str = "echo \\$\\$ > pid-\\$\\$; exec sleep 1000";

#[tokio::test]
async fn children_and_grandchildren_are_killed() {
    let script = format!("sh -c \"{SLEEPER}\" & sh -c \"sh -c '{SLEEPER}' & wait\" & wait");
    let family = Family::start(&script, false);
    let pids = family.pids(2);
    assert!(family.tree.members().len() >= 3);
    family.tree.kill_all().await;
    assert!(!pids.into_iter().any(lives));
    assert!(family.tree.is_empty().await);
}

#[tokio::test]
async fn whoever_starts_a_session_of_its_own_is_killed() {
    let script = format!("setsid sh -c \"{SLEEPER}\" & wait");
    let family = Family::start(&script, false);
    let pids = family.pids(1);
    family.tree.kill_all().await;
    assert!(!lives(pids[0]));
}

#[tokio::test]
async fn a_daemon_that_forked_twice_is_known_by_its_marker() {
    let script = format!("(setsid sh -c \"{SLEEPER}\" &) ; exit 0");
    let family = Family::start(&script, true);
    let pids = family.pids(1);
    // Its parent has ended; nothing but the marker tells whose it is.
    assert_eq!(family.tree.members().len(), 1);
    family.tree.kill_all().await;
    assert!(!lives(pids[0]));
}

#[tokio::test]
async fn whoever_was_found_once_stays_known_until_it_is_dead() {
    // Like a process that is ending, it loses its environment while it lives.
    let script = "(setsid sh -c 'echo $$ > pid; while [ ! -e go ]; do sleep 0.01; done; \
                  exec env -i sleep 1000' &) ; exit 0";
    let family = Family::start(script, true);
    let pid = family.pids(1)[0];
    assert!(!family.tree.is_empty().await);
    std::fs::write(family.directory.path().join("go"), "").unwrap();
    while Process::find(pid).unwrap().carries(&family.tree.hold) {
        tokio::task::yield_now().await;
    }
    assert!(!family.tree.is_empty().await);
    family.tree.kill_all().await;
    assert!(!lives(pid));
}

#[tokio::test]
async fn whoever_ignores_being_asked_is_killed() {
    let script = "trap '' TERM INT HUP; echo $$ > pid; while :; do sleep 1000; done";
    let family = Family::start(script, false);
    let pids = family.pids(1);
    assert!(family.tree.signal(Signal::TERM) >= 1);
    assert!(lives(pids[0]));
    family.tree.kill_all().await;
    assert!(!lives(pids[0]));
}

#[tokio::test]
async fn a_stopped_process_is_killed() {
    let family = Family::start("echo $$ > pid; kill -STOP $$; sleep 1000", false);
    let pids = family.pids(1);
    family.tree.kill_all().await;
    assert!(!lives(pids[0]));
}

#[tokio::test]
async fn a_zombie_does_not_count() {
    let mut family = Family::start("exit 7", false);
    while !Process::find(family.tree.root.pid).unwrap().is_dead {
        tokio::task::yield_now().await;
    }
    assert!(family.tree.is_empty().await);
    assert_eq!(family.child.wait().unwrap().code(), Some(7));
}

#[tokio::test]
async fn processes_of_others_are_left_alone() {
    let other = Family::start(SLEEPER.replace('\\', "").as_str(), true);
    let family = Family::start(SLEEPER.replace('\\', "").as_str(), true);
    let (kept, killed) = (other.pids(1), family.pids(1));
    family.tree.kill_all().await;
    assert!(lives(kept[0]));
    assert!(!lives(killed[0]));
}

#[tokio::test]
async fn a_control_group_keeps_whoever_hides_from_all_else() {
    let script =
        format!("while [ ! -e go ]; do :; done; (env -i setsid sh -c \"{SLEEPER}\" &) ; exit 0");
    let family = Family::start(&script, false);
    let Ok(cgroup) = Cgroup::create(&family.tree.hold) else {
        // This user may not make control groups.
        return;
    };
    cgroup.add(family.tree.root.pid).unwrap();
    std::fs::write(family.directory.path().join("go"), "go\n").unwrap();
    let tree = Arc::new(Tree {
        cgroup: Some(cgroup.clone()),
        known: Known::default(),
        ..(*family.tree).clone()
    });
    let pids = family.pids(1);
    while tree.members().len() > 1 {
        tokio::task::yield_now().await;
    }
    assert!(family.tree.is_empty().await, "only the control group knows");
    assert_eq!(tree.members().len(), 1);
    tree.kill_all().await;
    assert!(!pids.into_iter().any(lives));
    cgroup.remove();
    assert!(!cgroup.path().exists());
}
