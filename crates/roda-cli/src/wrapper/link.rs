//! The wrapper's connection to the node.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use crate::api::client::{Client, Lines, encoded};
use crate::api::lock_types::{ChildRequest, HoldEvent, HoldRequest, ReleasedReply};
use crate::commands::App;
use crate::error::{Failure, Result};

/// A hold as the node knows it, from the wish on. Dropped, the hold ends.
pub(super) struct Link {
    /// Its name.
    pub(super) hold: String,
    /// The session time.
    pub(super) session: Duration,
    socket: PathBuf,
    lines: Lines,
    events: VecDeque<HoldEvent>,
}

impl Link {
    /// Tells the node what is wanted.
    pub(super) async fn open(app: &App, wish: &HoldRequest) -> Result<Self> {
        let client = connect(app).await?;
        let mut link = Self {
            hold: String::new(),
            session: Duration::ZERO,
            socket: app.home.socket(),
            lines: client.post_lines("/v1/holds", wish).await?,
            events: VecDeque::new(),
        };
        match link.next().await {
            Some(HoldEvent::Hold { hold, session_ms }) => {
                link.hold = hold;
                link.session = Duration::from_millis(session_ms);
                Ok(link)
            }
            Some(HoldEvent::Failed { error }) => Err(error),
            Some(other) => Err(Failure::new("daemon-answer").with("reason", format!("{other:?}"))),
            None => Err(lost()),
        }
    }

    /// What happens next; `None` once the node is gone. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<HoldEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            // A connection that broke and one that ended come to the same.
            let lines = self.lines.next().await.ok().flatten()?;
            let lines = lines.split(|byte| *byte == b'\n');
            self.events
                .extend(lines.filter_map(|line| serde_json::from_slice(line).ok()));
        }
    }

    /// Tells the node what will run, so that it kills it if this process cannot.
    pub(super) async fn register(&mut self, child: &ChildRequest) -> Result<()> {
        let mut client = Client::connect(&self.socket)
            .await
            .map_err(|_gone| lost())?;
        let path = format!("/v1/holds/{}/child", encoded(&self.hold));
        match client.post::<Value>(&path, child).await {
            Ok(_empty) => Ok(()),
            // It was refused at once; why, is on its way.
            Err(failure) if failure.code == "unknown-hold" => {
                Err(self.refusal().await.unwrap_or(failure))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Why a hold that is over was never entered.
    async fn refusal(&mut self) -> Option<Failure> {
        let refusal = async {
            while let Some(event) = self.next().await {
                if let HoldEvent::Failed { error } = event {
                    return Some(error);
                }
            }
            None
        };
        timeout(RELEASE_MAX, refusal).await.ok().flatten()
    }

    /// Returns when the lock is free, or the node does not say so in time.
    pub(super) async fn release(&self) -> ReleasedReply {
        let path = format!("/v1/holds/{}", encoded(&self.hold));
        let release = async {
            let mut client = Client::connect(&self.socket).await.ok()?;
            client.delete(&path).await.ok()
        };
        let released = timeout(RELEASE_MAX, release).await;
        // The end of this process's connection releases the lock as well.
        released.ok().flatten().unwrap_or_default()
    }
}

fn lost() -> Failure {
    Failure::new("daemon-lost").with("reason", "…")
}

/// A connection to the node. If none runs, another process starts it: a child of this one would
/// count among what the command has left behind.
async fn connect(app: &App) -> Result<Client> {
    let socket = app.home.socket();
    if let Ok(client) = Client::connect(&socket).await {
        return Ok(client);
    }
    if !app.home.is_inhabited() {
        return Err(Failure::new("no-group").with("home", app.home.path()));
    }
    if app.global.no_spawn {
        return Err(Failure::new("not-running").with("home", app.home.path()));
    }
    let fault =
        |error: std::io::Error| Failure::new("daemon-start").with("reason", error.to_string());
    let output = Command::new("/proc/self/exe")
        .arg("--home")
        .arg(app.home.path())
        .args((0..app.global.verbose).map(|_| "-v"))
        .args(["--json", "up", "--detach"])
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(fault)?;
    if !output.status.success() {
        return Err(reported(&output.stderr));
    }
    Client::connect(&socket)
        .await
        .map_err(|error| Failure::file(&socket, &error))
}

/// The failure that another process has reported as JSON.
fn reported(stderr: &[u8]) -> Failure {
    #[derive(Deserialize)]
    struct Report {
        error: Reported,
    }
    #[derive(Deserialize)]
    struct Reported {
        code: String,
        values: std::collections::BTreeMap<String, crate::error::Arg>,
    }
    match serde_json::from_slice::<Report>(stderr) {
        Ok(report) => Failure {
            code: report.error.code,
            args: report.error.values,
        },
        Err(_not_ours) => {
            Failure::new("daemon-start").with("reason", String::from_utf8_lossy(stderr).trim())
        }
    }
}

/// How long a wrapper waits for the answer that its lock is free.
const RELEASE_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_starting_process_reports_keeps_its_code() {
        let stderr =
            br#"{"error":{"code":"no-group","message":"m","hint":"h","values":{"home":"/h"}}}"#;
        let failure = Failure::new("no-group").with("home", "/h");
        assert_eq!(reported(stderr), failure);
        assert_eq!(reported(b"boom\n").code, "daemon-start");
    }
}
