//! `roda status`: how the node is.

use std::path::Path;

use jiff::{SignedDuration, fmt::friendly::SpanPrinter};

use super::App;
use crate::api::types::StatusReply;
use crate::error::Result;
use crate::output::{Colour, escaped};

pub(super) async fn run(app: &App) -> Result<()> {
    let status: StatusReply = app.connect().await?.get("/v1/status").await?;
    if app.ui.json {
        return app.ui.object(&status);
    }
    for (key, value) in rows(app, &status) {
        let label = format!("{:<14}", app.ui.text(key, &[]));
        app.ui.line(&format!(
            "{} {}",
            app.ui.paint(Colour::Bold, &label),
            escaped(&value)
        ))?;
    }
    for problem in &status.problems {
        let label = app.ui.text("status-problem", &[]);
        app.ui.line(&format!(
            "{} {}",
            app.ui.paint(Colour::Red, &label),
            escaped(problem)
        ))?;
    }
    Ok(())
}

fn rows(app: &App, status: &StatusReply) -> Vec<(&'static str, String)> {
    let seconds = i64::try_from(status.uptime_ms / 1000).unwrap_or(i64::MAX);
    let uptime = SpanPrinter::new().duration_to_string(&SignedDuration::from_secs(seconds));
    let carrier = match status.carrier.as_str() {
        "multicast" => app.ui.text("carrier-multicast", &[]),
        "unicast" => app.ui.text("carrier-unicast", &[]),
        "none" => app.ui.text("carrier-none", &[]),
        _ => app.ui.text("carrier-mixed", &[]),
    };
    let members = [
        ("online", status.members_online.into()),
        ("members", status.members.into()),
    ];
    let mut rows = vec![
        (
            "status-group",
            format!("{} ({})", status.group_name, &status.group[..8]),
        ),
        (
            "status-node",
            format!("{} ({})", status.nick, &status.node[..8]),
        ),
        (
            "status-members",
            app.ui.text("status-members-value", &members),
        ),
        ("status-carrier", carrier),
        ("status-interfaces", interfaces(status)),
        ("status-groups", status.multicast_groups.join(", ")),
        ("status-port", format!("TCP {}", status.stream_port)),
        ("status-entries", status.entries.to_string()),
        ("status-stable", status.stable.clone()),
        ("status-epoch", status.epoch.to_string()),
        ("status-process", format!("{} ({uptime})", status.pid)),
        ("status-home", status.home.clone()),
    ];
    let is_elsewhere = Path::new(&status.socket).parent() != Some(Path::new(&status.home));
    if is_elsewhere {
        let values = [("path", status.socket.as_str().into())];
        rows.push(("status-socket", app.ui.text("status-socket-value", &values)));
    }
    rows.push(("status-counters", counted(&status.counters)));
    if !status.rejected.is_empty() {
        rows.push(("status-rejected", counted(&status.rejected)));
    }
    rows
}

fn interfaces(status: &StatusReply) -> String {
    let interfaces = status.interfaces.iter();
    let interfaces = interfaces
        .map(|interface| format!("{} ({})", interface.name, interface.addresses.join(", ")));
    interfaces.collect::<Vec<_>>().join(", ")
}

fn counted(counts: &std::collections::BTreeMap<String, u64>) -> String {
    let counts = counts.iter().filter(|(_, count)| **count > 0);
    let counts = counts.map(|(name, count)| format!("{name} {count}"));
    counts.collect::<Vec<_>>().join(", ")
}
