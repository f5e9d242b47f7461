//! A lock through a node's control API, as `roda lock` takes it: a connection for each hold.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::figures::percentile_us;
use super::rounds::now_ns;
use super::worker::LOCK;
use crate::api::client::{Client, Lines};
use crate::error::{Failure, Result};

/// Median microseconds of acquire and of release, when nobody else wants the lock.
pub(crate) async fn uncontended_p50_us(socket: &Path) -> Result<(f64, f64)> {
    let mut releaser = connect(socket).await?;
    let (mut acquires, mut releases) = (Vec::new(), Vec::new());
    for round in 0..WARM_ROUNDS + ROUNDS {
        let asked = now_ns();
        let (hold, _open) = acquire(socket).await?;
        let entered = now_ns();
        let _released: Value = releaser.delete(&format!("/v1/holds/{hold}")).await?;
        let released = now_ns();
        if round >= WARM_ROUNDS {
            acquires.push(entered - asked);
            releases.push(released - entered);
        }
    }
    acquires.sort_unstable();
    releases.sort_unstable();
    Ok((percentile_us(&acquires, 50), percentile_us(&releases, 50)))
}

/// The name of a new hold, and the connection with which it ends.
async fn acquire(socket: &Path) -> Result<(String, Lines)> {
    let wish = json!({ "locks": [LOCK] });
    let mut lines = connect(socket)
        .await?
        .post_lines("/v1/holds", &wish)
        .await?;
    let mut hold = String::new();
    while let Some(chunk) = lines.next().await? {
        for line in chunk
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let event: Event = serde_json::from_slice(line)
                .map_err(|error| Failure::new("daemon-answer").with("reason", error.to_string()))?;
            match event.event.as_str() {
                "hold" => hold = event.hold,
                "granted" => return Ok((hold, lines)),
                _ => {}
            }
        }
    }
    Err(Failure::new("daemon-lost").with("reason", "…"))
}

async fn connect(socket: &Path) -> Result<Client> {
    let connected = Client::connect(socket).await;
    connected.map_err(|error| Failure::file(socket, &error))
}

/// What matters here of the events of a hold.
#[derive(Deserialize)]
struct Event {
    event: String,
    #[serde(default)]
    hold: String,
}

const WARM_ROUNDS: usize = 200;
const ROUNDS: usize = 1000;
