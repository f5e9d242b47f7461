//! `roda backup` and `roda restore`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::roda::{Ended, Home};

fn backup(home: &Home, file: &Path, options: &[&str]) -> Ended {
    let file = file.to_str().unwrap();
    home.run(&[&["backup", file][..], options].concat())
}

fn restore(home: &Home, file: &Path) -> Ended {
    home.run(&["restore", file.to_str().unwrap()])
}

/// That a command failed so, with a hint, and printed no result.
#[track_caller]
fn refused(ended: &Ended, error: &str) {
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(error), "{}", ended.stderr);
    assert!(ended.stderr.contains("\nhint: "), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn a_destroyed_node_comes_back_with_its_settings_and_all_that_was_said() {
    let (ana, bia) = (Home::new(), Home::new());
    ana.create("ana");
    bia.join(&ana, "bia");
    bia.ok(&["say", "t", "before"]);
    let file = ana.file("bia.roda");
    let done = backup(&bia, &file, &[]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(
        done.stdout.contains("entries, checked: "),
        "{}",
        done.stdout
    );
    assert!(done.stderr.contains("keys"), "{}", done.stderr);
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    bia.ok(&["say", "t", "after"]);
    let node = bia.status()["node"].clone();
    ana.follow("t").take(2);
    bia.kill();
    fs::remove_dir_all(bia.path()).unwrap();

    let done = restore(&bia, &file);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.starts_with("bia ("), "{}", done.stdout);
    assert!(done.stdout.contains("“tests” is back"), "{}", done.stdout);
    assert!(done.stderr.contains("roda up"), "{}", done.stderr);
    assert_eq!(
        fs::metadata(bia.path()).unwrap().permissions().mode() & 0o777,
        0o700
    );
    assert!(!names(&bia.path()).contains(&"locks.db".to_owned()));
    // Without options: the interface came along.
    bia.ok(&["up", "--detach"]);
    assert_eq!(bia.status()["node"], node);
    assert_eq!(bia.status()["interfaces"][0]["name"], "lo");
    bia.ok(&["say", "t", "again"]);
    let both = ["before", "after", "again"];
    for home in [&ana, &bia] {
        home.follow("t").take(3);
        for text in both {
            assert_eq!(home.history("t").matches(&format!("\"{text}\"")).count(), 1);
        }
        assert!(home.ok(&["verify"]).starts_with("All is well"));
    }
    assert_eq!(ana.history("t"), bia.history("t"));
}

#[test]
fn a_stopped_node_is_backed_up_without_being_started_and_told_as_json() {
    let (home, target) = (Home::new(), Home::new());
    home.create("ana");
    let node = home.status()["node"].clone();
    home.ok(&["down"]);
    let file = home.file("ana.roda");
    let done = backup(&home, &file, &["--json", "--no-spawn"]);
    let told: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(
        (&told["node"], &told["group_name"]),
        (&node, &"tests".into())
    );
    assert_eq!(told["bytes"], fs::metadata(&file).unwrap().len());
    assert_eq!(done.stderr, "");
    assert_eq!(home.ok(&["down"]), "No node was running.\n");
    let restored = target.ok(&["restore", file.to_str().unwrap(), "--json"]);
    let restored: serde_json::Value = serde_json::from_str(&restored).unwrap();
    assert_eq!(
        (&restored["nick"], &restored["node"]),
        (&"ana".into(), &node)
    );
    assert_eq!(
        (&restored["made"], &restored["entries"]),
        (&told["made"], &told["entries"])
    );
    assert_eq!(restored["was_founder"], true);
}

#[test]
fn a_backup_is_refused_where_it_would_replace_or_be_lost() {
    let home = Home::new();
    let file = home.file("ana.roda");
    refused(&backup(&home, &file, &[]), "no group");
    home.create("ana");
    fs::write(&file, b"mine").unwrap();
    refused(&backup(&home, &file, &[]), "is there already");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    assert_eq!(backup(&home, &file, &["--force"]).code, Some(0));
    assert!(fs::read(&file).unwrap().starts_with(b"SQLite format 3\0"));
    let database = home.path().join("roda.db");
    refused(&backup(&home, &database, &["--force"]), "own directory");
    refused(&backup(&home, Path::new("/dev/null/x"), &[]), "/dev/null/x");
    refused(&backup(&home, &home.file("none/x"), &[]), "none/x");
    let parent = file.parent().unwrap();
    refused(&backup(&home, parent, &["--force"]), "directory");
    assert_eq!(names(parent), ["ana.roda", "home"]);
}

#[test]
fn what_cannot_be_restored_is_refused_and_no_home_is_made() {
    let (home, target) = (Home::new(), Home::new());
    home.create("ana");
    home.ok(&["say", "t", "something that is said"]);
    let file = home.file("ana.roda");
    assert_eq!(backup(&home, &file, &[]).code, Some(0));
    refused(&restore(&home, &file), "not empty");
    let whole = fs::read(&file).unwrap();
    let bad = home.file("bad");
    let mut flipped = whole.clone();
    let said = b"something that is said";
    let place = whole.windows(said.len()).position(|window| window == said);
    flipped[place.unwrap()] ^= 1;
    for (bytes, reason) in [
        (&flipped[..], "batch"),
        (&b"age-encryption.org/v1"[..], "no SQLite database"),
        (&whole[..whole.len() / 2], "should have"),
        (&[], "no SQLite database"),
    ] {
        fs::write(&bad, bytes).unwrap();
        refused(&restore(&target, &bad), reason);
        assert!(!target.path().exists(), "{reason}");
    }
    refused(
        &restore(&target, &home.path().join("roda.db")),
        "the database of a node",
    );
    refused(&restore(&target, &home.file("none")), "none: No such file");
    assert!(!target.path().exists());
    fs::create_dir(target.path()).unwrap();
    fs::write(target.path().join("photo.jpg"), b"mine").unwrap();
    refused(&restore(&target, &file), "not empty");
    assert_eq!(names(&target.path()), ["photo.jpg"]);
}

#[test]
fn a_restored_node_says_that_its_original_still_runs() {
    let (ana, bia, copy) = (Home::new(), Home::new(), Home::new());
    ana.create("ana");
    bia.join(&ana, "bia");
    let file = bia.file("bia.roda");
    assert_eq!(backup(&bia, &file, &[]).code, Some(0));
    assert_eq!(restore(&copy, &file).code, Some(0));
    refused(&copy.run(&["up", "--detach"]), "still runs, at ");
    bia.ok(&["say", "t", "unharmed"]);
    ana.follow("t").take(1);
}
