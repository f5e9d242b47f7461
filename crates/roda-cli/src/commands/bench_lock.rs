//! `roda bench lock`: measures how fast a lock goes from hand to hand.

use std::path::Path;

use serde_json::{Value, json};

use super::App;
use crate::bench::lock::measure::measure;
use crate::bench::lock::report::LockMeasurement;
use crate::cli::BenchLockArgs;
use crate::daemon::ended_by_signal;
use crate::error::{Failure, Result};
use crate::net;
use crate::output::Colour;
use crate::scratch::Scratch;

pub(super) async fn run(app: &App, args: &BenchLockArgs) -> Result<()> {
    // A wrong interface should not wait for the first process to find it.
    net::find_interface(&args.runs.iface)?;
    let scratch = Scratch::new("bench")?;
    tokio::select! {
        result = measure_all(app, args, scratch.path()) => result,
        failure = ended_by_signal() => Err(failure),
    }
}

async fn measure_all(app: &App, args: &BenchLockArgs, directory: &Path) -> Result<()> {
    if !app.ui.json {
        app.ui.line(&app.ui.paint(Colour::Bold, &header(app)))?;
    }
    for &contenders in &args.contenders {
        let mut runs = Vec::new();
        for run in 0..args.runs.count {
            let directory = directory.join(format!("{contenders}-{run}"));
            std::fs::create_dir(&directory).map_err(|error| Failure::file(&directory, &error))?;
            runs.push(measure(contenders, args, &directory).await?);
            // Logs grow fast; the rest goes at the end.
            drop(std::fs::remove_dir_all(&directory));
        }
        let Some(median) = LockMeasurement::median(&runs) else {
            continue;
        };
        print(app, contenders, args, &median)?;
        if median.is_unsafe() {
            return Err(Failure::new("bench-overlap"));
        }
    }
    Ok(())
}

fn header(app: &App) -> String {
    let columns = [
        "bench-contenders",
        "bench-handoffs",
        "bench-p50",
        "bench-p99",
        "bench-fairness",
        "bench-alone",
        "bench-api-acquire",
        "bench-api-release",
        "bench-voters",
        "bench-fdatasync",
        "bench-ring",
        "bench-ring-p50",
    ];
    let columns: Vec<_> = columns.iter().map(|key| app.ui.text(key, &[])).collect();
    row(&columns)
}

fn print(app: &App, contenders: u16, args: &BenchLockArgs, median: &LockMeasurement) -> Result<()> {
    if app.ui.json {
        let mut object = json!({
            "system": "roda", "contenders": contenders, "nodes": args.nodes.unwrap_or(contenders),
            "seconds": args.seconds, "runs": args.runs.count, "iface": args.runs.iface,
        });
        let numbers = serde_json::to_value(median).expect("numbers are plain data");
        if let (Value::Object(object), Value::Object(numbers)) = (&mut object, numbers) {
            object.extend(numbers);
        }
        return app.ui.object(&object);
    }
    app.ui.line(&row(&[
        contenders.to_string(),
        format!("{:.0}", median.handoffs_per_s),
        format!("{:.0}", median.handoff_p50_us),
        format!("{:.0}", median.handoff_p99_us),
        format!("{:.2}", median.fairness),
        format!("{:.2}", median.uncontended_p50_us),
        format!("{:.0}", median.daemon_acquire_p50_us),
        format!("{:.0}", median.daemon_release_p50_us),
        format!("{:.0}", median.voters),
        format!("{:.0}", median.fdatasync_per_s),
        format!("{:.0}", median.ring_handoffs_per_s),
        format!("{:.1}", median.ring_handoff_p50_us),
    ]))
}

fn row(columns: &[String]) -> String {
    let mut line = format!("{:<10}", columns[0]);
    for column in &columns[1..] {
        line.push_str(&format!(" {column:>13}"));
    }
    line
}
