//! `roda bench multicast`: measures the message rate of this installation.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::App;
use crate::bench::System;
use crate::bench::measure::measure;
use crate::bench::nats::{self, Server};
use crate::bench::report::Measurement;
use crate::cli::BenchArgs;
use crate::daemon::ended_by_signal;
use crate::error::{Failure, Result};
use crate::net;
use crate::output::Colour;
use crate::scratch::Scratch;

pub(super) async fn run(app: &App, args: &BenchArgs) -> Result<()> {
    // A wrong interface should not wait for the first worker to find it.
    net::find_interface(&args.runs.iface)?;
    let scratch = Scratch::new("bench")?;
    tokio::select! {
        result = measure_all(app, args, scratch.path()) => result,
        failure = ended_by_signal() => Err(failure),
    }
}

async fn measure_all(app: &App, args: &BenchArgs, directory: &Path) -> Result<()> {
    let nats = nats::find();
    if nats.is_none() {
        app.ui.note(&app.ui.text("bench-no-nats", &[]));
    }
    if args.loss > 0.0 {
        app.ui.note(&app.ui.text("bench-loss-note", &[]));
    }
    if !app.ui.json {
        app.ui.line(&app.ui.paint(Colour::Bold, &header(app)))?;
    }
    for &receivers in &args.receivers {
        for system in [
            System::Roda,
            System::RawSingle,
            System::RawBatched,
            System::Nats,
        ] {
            if system == System::Nats && nats.is_none() {
                continue;
            }
            let mut runs = Vec::new();
            for run in 0..args.runs.count {
                let directory = directory.join(format!("{}-{receivers}-{run}", system.name()));
                runs.push(one_run(system, receivers, args, &directory, nats.as_ref()).await?);
            }
            if let Some(median) = Measurement::median(&runs) {
                print(app, system, receivers, args, &median)?;
            }
        }
    }
    Ok(())
}

async fn one_run(
    system: System,
    receivers: u8,
    args: &BenchArgs,
    directory: &Path,
    nats: Option<&PathBuf>,
) -> Result<Measurement> {
    std::fs::create_dir(directory).map_err(|error| Failure::file(directory, &error))?;
    let server = match (system, nats) {
        (System::Nats, Some(program)) => Some(Server::start(program, directory).await?),
        _ => None,
    };
    let result = measure(system, receivers, args, directory, server.as_ref()).await;
    // Seconds of messages are large, and the next run needs the room; the rest goes at the end.
    drop(std::fs::remove_dir_all(directory));
    result
}

fn header(app: &App) -> String {
    let columns = [
        "bench-system",
        "bench-receivers",
        "bench-rate",
        "bench-goodput",
        "bench-lost",
        "bench-p50",
        "bench-p99",
        "bench-cpu-send",
        "bench-cpu-receive",
        "bench-repairs",
        "bench-nacks",
    ];
    let columns: Vec<_> = columns.iter().map(|key| app.ui.text(key, &[])).collect();
    row(&columns)
}

fn print(
    app: &App,
    system: System,
    receivers: u8,
    args: &BenchArgs,
    result: &Measurement,
) -> Result<()> {
    if app.ui.json {
        let mut object = json!({
            "system": system.name(), "receivers": receivers, "size": args.size,
            "loss": args.loss, "seconds": args.seconds, "runs": args.runs.count, "iface": args.runs.iface,
        });
        let numbers = serde_json::to_value(result).expect("numbers are plain data");
        if let (Value::Object(object), Value::Object(numbers)) = (&mut object, numbers) {
            object.extend(numbers);
        }
        return app.ui.object(&object);
    }
    app.ui.line(&row(&[
        system.name().to_owned(),
        receivers.to_string(),
        format!("{:.0}", result.messages_per_s),
        format!("{:.1}", result.goodput_bytes_per_s / 1e6),
        format!("{:.1}%", result.lost * 100.0),
        format!("{:.0}", result.p50_us),
        format!("{:.0}", result.p99_us),
        format!("{:.2}", result.cpu_send_us),
        format!("{:.2}", result.cpu_receive_us),
        format!("{:.0}", result.repairs),
        format!("{:.0}", result.nacks),
    ]))
}

fn row(columns: &[String]) -> String {
    let mut line = format!("{:<12}", columns[0]);
    for column in &columns[1..] {
        line.push_str(&format!(" {column:>10}"));
    }
    line
}
