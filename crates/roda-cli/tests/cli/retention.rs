//! `roda queue retain`, with a real node.

use crate::roda::Home;

#[test]
fn a_queue_is_told_for_how_long_it_lists_what_is_finished() {
    let home = Home::new();
    home.create("ana");
    let unknown = home.run(&["queue", "retain", "mail"]);
    assert_eq!(unknown.code, Some(1), "{}", unknown.stderr);
    home.ok(&["push", "mail", "x"]);
    let told = |done: &str, dead: &str| {
        format!(
            "mail: jobs that are done or cancelled are listed for {done}, dead ones for {dead}.\n"
        )
    };
    assert_eq!(home.ok(&["queue", "retain", "mail"]), told("7d", "30d"));
    let set = ["queue", "retain", "mail", "--done", "36h"];
    assert_eq!(home.ok(&set), told("36h", "30d"));
    let set = ["queue", "retain", "mail", "--dead", "90d", "--json"];
    let json = "{\"queue\":\"mail\",\"done_ms\":129600000,\"dead_ms\":7776000000}\n";
    assert_eq!(home.ok(&set), json);
    assert_eq!(home.ok(&["queue", "retain", "mail"]), told("36h", "90d"));
    let longest = format!("{}ms", u64::MAX);
    let set = home.ok(&["queue", "retain", "mail", "--done", &longest]);
    assert_eq!(home.ok(&["queue", "retain", "mail"]), set);
    let set = ["queue", "retain", "mail", "--done", "0s"];
    assert_eq!(home.ok(&set), told("0ms", "90d"));
    let wrong = home.run(&["queue", "retain", "mail", "--done", "long"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
}
