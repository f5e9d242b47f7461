//! Running a program to its end, with a deadline.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// How often a state that nobody announces is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// How long the output of a program that has ended may stay open. A child that it left behind must
/// not hold it: `$(roda up --detach)` would never return.
const OUTPUT_OPEN_MAX: Duration = Duration::from_secs(3);

/// A program that has ended.
pub(crate) struct Finished {
    pub(crate) line: String,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Finished {
    /// Refuses any end but exit code 0.
    pub(crate) fn success(self) -> Result<Self> {
        self.code(0)
    }

    /// Refuses any end but this exit code.
    pub(crate) fn code(self, expected: i32) -> Result<Self> {
        ensure!(
            self.status.code() == Some(expected),
            "`{}` ended with {} instead of {expected}\nstdout: {}\nstderr: {}",
            self.line,
            self.status,
            excerpt(&self.stdout),
            excerpt(&self.stderr),
        );
        Ok(self)
    }

    /// Standard output without white space around it.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim().to_owned()
    }
}

/// A program that still runs; it is killed when this is dropped.
pub(crate) struct Running {
    line: String,
    child: Child,
    stdout: mpsc::Receiver<Vec<u8>>,
    stderr: mpsc::Receiver<Vec<u8>>,
}

impl Running {
    /// Whether it has ended by now.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits for the end; kills the program at the deadline.
    pub(crate) fn finish(mut self, timeout: Duration) -> Result<Finished> {
        let deadline = Instant::now() + timeout;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() >= deadline {
                self.child.kill()?;
                self.child.wait()?;
                let stderr = self.stderr.recv_timeout(OUTPUT_OPEN_MAX);
                bail!(
                    "`{}` did not end within {timeout:?}\nstderr: {}",
                    self.line,
                    excerpt(&stderr.unwrap_or_default())
                );
            }
            thread::sleep(POLL_INTERVAL);
        };
        let read = |output: &mpsc::Receiver<Vec<u8>>| {
            output.recv_timeout(OUTPUT_OPEN_MAX).with_context(|| {
                format!(
                    "`{}` has ended but its output is still held open",
                    self.line
                )
            })
        };
        Ok(Finished {
            line: self.line.clone(),
            status,
            stdout: read(&self.stdout)?,
            stderr: read(&self.stderr)?,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when the program has ended, which is what is wanted.
        let _already_ended = self.child.kill();
        let _already_waited = self.child.wait();
    }
}

/// Starts a program; `input` is written to its standard input, which is then closed.
pub(crate) fn start(command: Command, input: &[u8]) -> Result<Running> {
    start_paced(command, vec![input.to_vec()], Duration::ZERO)
}

/// The same with input that comes in pieces, with a pause after each.
pub(crate) fn start_paced(
    mut command: Command,
    input: Vec<Vec<u8>>,
    pause: Duration,
) -> Result<Running> {
    let line = describe(&command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    thread::spawn(move || {
        for piece in input {
            // A program that does not read all of its input says so by its exit code.
            if stdin.write_all(&piece).is_err() {
                return;
            }
            thread::sleep(pause);
        }
    });
    let stdout = collect(child.stdout.take().context("no standard output")?);
    let stderr = collect(child.stderr.take().context("no standard error")?);
    Ok(Running {
        line,
        child,
        stdout,
        stderr,
    })
}

/// Runs a program to its end.
pub(crate) fn run(command: Command, input: &[u8], timeout: Duration) -> Result<Finished> {
    start(command, input)?.finish(timeout)
}

/// Asks again and again until there is an answer; at the deadline the error says what the last
/// look saw.
pub(crate) fn wait_for<T>(
    what: &str,
    timeout: Duration,
    mut look: impl FnMut() -> Result<Result<T, String>>,
) -> Result<T> {
    let started = Instant::now();
    let mut pause = POLL_INTERVAL;
    loop {
        match look().with_context(|| format!("while waiting for {what}"))? {
            Ok(found) => return Ok(found),
            Err(seen) if started.elapsed() >= timeout => {
                bail!("waited {timeout:?} for {what}; last seen: {seen}")
            }
            Err(_not_yet) => thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

fn collect(mut output: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is still worth showing.
        let _interrupted = output.read_to_end(&mut bytes);
        let _nobody_waits = sender.send(bytes);
    });
    receiver
}

fn describe(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect();
    words.join(" ")
}

/// The end of a long text.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const SHOWN_MAX: usize = 2_000;
    let from = bytes.len().saturating_sub(SHOWN_MAX);
    let cut = if from > 0 { "… " } else { "" };
    format!(
        "{cut}{}",
        String::from_utf8_lossy(&bytes[from..]).trim_end()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_that_does_not_end_is_killed_and_named() {
        let error = run(shell("exec sleep 60"), b"", Duration::from_millis(20)).err();
        assert!(error.unwrap().to_string().contains("exec sleep 60"));
    }

    #[test]
    fn input_output_and_exit_code_are_passed_on() {
        let finished = run(shell("cat; exit 3"), b"line", Duration::from_secs(10)).unwrap();
        assert_eq!(finished.text(), "line");
        assert!(finished.code(3).is_ok());
    }

    #[test]
    fn waiting_ends_with_what_was_seen_last() {
        let mut looks = 0;
        let error = wait_for("a miracle", Duration::ZERO, || {
            looks += 1;
            Ok(Err::<(), _>(format!("look {looks}")))
        });
        assert!(
            error
                .unwrap_err()
                .to_string()
                .ends_with("last seen: look 1")
        );
    }
}
