//! A control group for all that runs under a hold: nothing can leave it by forking, and the kernel
//! kills it as one. Only where this user may make one.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// A control group of version 2, made for one hold.
#[derive(Clone, Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// Makes one below the control group that this process is in.
    ///
    /// # Errors
    /// There is no such hierarchy here, or this user may not: the usual case without a system that
    /// delegates.
    pub(crate) fn create(hold: &str) -> io::Result<Self> {
        let parent = own().ok_or(io::ErrorKind::Unsupported)?;
        let path = parent.join(name(hold));
        fs::create_dir(&path)?;
        Ok(Self { path })
    }

    /// One that another process of this user has made for the hold; `None` if this is not one.
    pub(crate) fn adopt(path: &Path, hold: &str) -> Option<Self> {
        let is_plain = path.is_absolute()
            && path
                .components()
                .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        let is_named = path.file_name().is_some_and(|found| *found == *name(hold));
        let is_cgroup =
            || rustix::fs::statfs(path).is_ok_and(|found| found.f_type == CGROUP2_MAGIC);
        (is_plain && is_named && is_cgroup()).then(|| Self {
            path: path.to_owned(),
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves a process into it; what the process starts from then on is in it too.
    pub(crate) fn add(&self, pid: i32) -> io::Result<()> {
        fs::write(self.path.join("cgroup.procs"), pid.to_string())
    }

    /// The processes in it and in the groups below it.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let mut pids = Vec::new();
        for path in self.with_descendants() {
            let listed = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
            pids.extend(listed.lines().filter_map(|line| line.parse::<i32>().ok()));
        }
        pids
    }

    /// Has the kernel kill all of it at once; older kernels cannot.
    pub(crate) fn kill(&self) {
        // Whoever calls this kills the processes one by one as well.
        drop(fs::write(self.path.join("cgroup.kill"), "1"));
    }

    /// Removes it, once nothing runs in it.
    pub(crate) fn remove(&self) {
        for path in self.with_descendants().into_iter().rev() {
            // Another process may have done it already; an empty group that stays harms nobody.
            drop(fs::remove_dir(path));
        }
    }

    /// Itself first, each group before those below it.
    fn with_descendants(&self) -> Vec<PathBuf> {
        let mut found = vec![self.path.clone()];
        let mut next = 0;
        while let Some(path) = found.get(next) {
            let below = fs::read_dir(path).into_iter().flatten().flatten();
            let below: Vec<PathBuf> = below
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path())
                .collect();
            found.extend(below);
            next += 1;
        }
        found
    }
}

fn name(hold: &str) -> String {
    format!("roda-{hold}")
}

/// The directory of the control group that this process is in.
fn own() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    locate(&mounts, &groups)
}

/// From `/proc/self/mountinfo` and `/proc/self/cgroup`, see proc(5) and cgroups(7).
fn locate(mounts: &str, groups: &str) -> Option<PathBuf> {
    let inside = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        if after.split(' ').next()? != "cgroup2" {
            return None;
        }
        let mut fields = before.split(' ').skip(3);
        let (root, mount) = (fields.next()?, fields.next()?);
        // A container sees only what is below the root of its mount.
        let below = Path::new(inside).strip_prefix(root).ok()?;
        Some(Path::new(mount).join(below))
    })
}

/// `CGROUP2_SUPER_MAGIC` of statfs(2).
const CGROUP2_MAGIC: rustix::fs::FsWord = 0x6367_7270;

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
24 30 0:21 / /proc rw,nosuid - proc proc rw
31 23 0:26 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
";

    #[test]
    fn the_own_group_is_found_wherever_the_hierarchy_is_mounted() {
        let groups = "3:cpuset:/x\n0::/user.slice/a\n";
        let found = locate(MOUNTS, groups);
        let expected = Path::new("/sys/fs/cgroup/unified/user.slice/a");
        assert_eq!(found.as_deref(), Some(expected));
        assert_eq!(locate(MOUNTS, "3:cpuset:/x\n"), None);
        assert_eq!(locate("", groups), None);
    }

    #[test]
    fn a_container_uses_what_its_mount_shows() {
        let mounts = MOUNTS.replace(
            "0:26 / /sys/fs/cgroup/unified",
            "0:26 /docker/1 /sys/fs/cgroup",
        );
        let found = locate(&mounts, "0::/docker/1/job\n");
        assert_eq!(found.as_deref(), Some(Path::new("/sys/fs/cgroup/job")));
        assert_eq!(locate(&mounts, "0::/other\n"), None);
    }

    #[test]
    fn nothing_but_the_group_of_the_hold_is_adopted() {
        assert!(Cgroup::adopt(Path::new("/tmp"), "ab").is_none());
        assert!(Cgroup::adopt(Path::new("/tmp/../roda-ab"), "ab").is_none());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("roda-ab");
        fs::create_dir(&path).unwrap();
        assert!(
            Cgroup::adopt(&path, "ab").is_none(),
            "an ordinary directory"
        );
    }
}
