//! The client's side of the control API.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{self, HeaderName};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use crate::error::{Failure, Result};

/// One connection to a running node; one request at a time.
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
}

#[derive(Deserialize)]
struct ErrorReply {
    error: Failure,
}

impl Client {
    /// Connects to the node that listens at `socket`.
    ///
    /// # Errors
    /// Nobody listens there.
    pub(crate) async fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket).await?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        // Its end shows as an error of the request that it carried.
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// Gets an object.
    pub(crate) async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        object(response).await
    }

    /// Posts an object and gets one.
    pub(crate) async fn post<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        let body = serde_json::to_vec(body).expect("requests are plain data");
        let response = self.send(Method::POST, path, body.into()).await?;
        object(response).await
    }

    /// Gets bytes as they are, and one header that comes with them.
    pub(crate) async fn get_bytes(
        &mut self,
        path: &str,
        name: &HeaderName,
    ) -> Result<(Bytes, Option<String>)> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        let value = response.headers().get(name);
        let value = value.and_then(|value| value.to_str().ok().map(str::to_owned));
        let bytes = response.collect().await.map_err(lost)?.to_bytes();
        Ok((bytes, value))
    }

    /// Puts bytes as they are somewhere and gets an object.
    pub(crate) async fn put_bytes<T: DeserializeOwned>(
        &mut self,
        path: &str,
        bytes: Vec<u8>,
    ) -> Result<T> {
        let response = self.send(Method::PUT, path, bytes.into()).await?;
        object(response).await
    }

    /// Deletes something.
    pub(crate) async fn delete<T: DeserializeOwned>(&mut self, path: &str) -> Result<T> {
        let response = self.send(Method::DELETE, path, Bytes::new()).await?;
        object(response).await
    }

    /// Gets a body that comes line by line.
    pub(crate) async fn lines(mut self, path: &str) -> Result<Lines> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        Ok(Lines {
            body: response.into_body(),
            rest: Vec::new(),
            _connection: self,
        })
    }

    /// Posts an object and gets a body that comes line by line.
    pub(crate) async fn post_lines(mut self, path: &str, body: &impl Serialize) -> Result<Lines> {
        let body = serde_json::to_vec(body).expect("requests are plain data");
        let response = self.send(Method::POST, path, body.into()).await?;
        Ok(Lines {
            body: response.into_body(),
            rest: Vec::new(),
            _connection: self,
        })
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let kind = if method == Method::PUT {
            "application/octet-stream"
        } else {
            "application/json"
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "roda")
            .header(header::CONTENT_TYPE, kind)
            .body(Full::new(body))
            .expect("paths are percent-encoded");
        self.sender.ready().await.map_err(lost)?;
        let response = self.sender.send_request(request).await.map_err(lost)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.collect().await.map_err(lost)?.to_bytes();
        Err(match serde_json::from_slice::<ErrorReply>(&body) {
            Ok(reply) => reply.error,
            Err(_not_ours) => Failure::new("other").with("reason", status.to_string()),
        })
    }
}

async fn object<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T> {
    let body = response.collect().await.map_err(lost)?.to_bytes();
    serde_json::from_slice(&body)
        .map_err(|error| Failure::new("daemon-answer").with("reason", error.to_string()))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err wants"
)]
fn lost(error: hyper::Error) -> Failure {
    Failure::new("daemon-lost").with("reason", error.to_string())
}

/// A body that comes line by line.
pub(crate) struct Lines {
    body: Incoming,
    rest: Vec<u8>,
    _connection: Client,
}

impl Lines {
    /// The next whole lines, with their ends; `None` at the end of the body. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let Some(frame) = self.body.frame().await else {
                return if self.rest.is_empty() {
                    Ok(None)
                } else {
                    Err(Failure::new("daemon-lost").with("reason", "…"))
                };
            };
            let Ok(data) = frame.map_err(lost)?.into_data() else {
                continue;
            };
            self.rest.extend_from_slice(&data);
            if let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') {
                let rest = self.rest.split_off(end + 1);
                return Ok(Some(std::mem::replace(&mut self.rest, rest)));
            }
        }
    }

    /// The data of the next events of an event stream; `None` at its end. Cancel-safe.
    pub(crate) async fn next_events(&mut self) -> Result<Option<Vec<String>>> {
        loop {
            let Some(lines) = self.next().await? else {
                return Ok(None);
            };
            let events = event_data(&lines);
            if !events.is_empty() {
                return Ok(Some(events));
            }
        }
    }
}

/// Our events have one line of data each, because JSON has no line ends outside its strings.
fn event_data(lines: &[u8]) -> Vec<String> {
    lines
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.strip_prefix(b"data:"))
        .map(|data| String::from_utf8_lossy(data.trim_ascii()).into_owned())
        .collect()
}

/// A text as one segment of a path or one value of a query.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                out.push(char::from(byte));
            } else {
                write!(out, "%{byte:02X}").expect("writing to a string cannot fail");
            }
            out
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_for_urls() {
        assert_eq!(encoded("praça-1.log"), "pra%C3%A7a-1.log");
        assert_eq!(encoded("/a b?#"), "%2Fa%20b%3F%23");
    }

    #[test]
    fn comments_and_names_of_events_are_skipped() {
        let lines = b": keep-alive\nevent: message\ndata: {\"a\":1}\n\nevent: message\ndata: {}\n";
        assert_eq!(event_data(lines), ["{\"a\":1}", "{}"]);
    }
}
